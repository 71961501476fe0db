/* health.c - one function for each check; the node is as well as its worst check. A check
 * that cannot be made ("unavailable") makes the node degraded: nobody knows. */
#include "node/health/health.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

enum {
    CHECK_COUNT_MAX = 16,
    SPACE_DEGRADED_PERCENT = 10, /* free space of the data folder below it */
    SPACE_FAILED_PERCENT = 2,
    MEMORY_DEGRADED_PERCENT = 8, /* available memory below it */
    MEMORY_FAILED_PERCENT = 3,
    PRESSURE_DEGRADED_PERCENT = 10,
    PRESSURE_FAILED_PERCENT = 40,
    WATCHDOG_BITE = 32, /* WDIOF_CARDRESET of linux/watchdog.h */
};

enum state { STATE_OK, STATE_UNAVAILABLE, STATE_DEGRADED, STATE_FAILED };

struct judge {
    struct ray_arena *arena;
    Rayos__Node__Health *health;
    enum state worst;
    bool is_out_of_memory;
};

static const char *state_word(enum state state)
{
    static const char *const words[] = {"ok", "unavailable", "degraded", "failed"};

    return words[state];
}

static char *text(struct judge *judge, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static char *text(struct judge *judge, const char *fmt, va_list ap)
{
    char formatted[RAY_ERR_TEXT_SIZE];
    int size = vsnprintf(formatted, sizeof formatted, fmt, ap);
    char *copy;

    if (size < 0) {
        size = 0;
    }
    copy = ray_arena_strndup(judge->arena, formatted,
                             (size_t)size < sizeof formatted ? (size_t)size : sizeof formatted - 1);
    judge->is_out_of_memory = judge->is_out_of_memory || copy == NULL;
    return copy;
}

/* Adds a check; `next_step` may be NULL. */
static void say(struct judge *judge, const char *name, enum state state, const char *next_step,
                const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void say(struct judge *judge, const char *name, enum state state, const char *next_step,
                const char *fmt, ...)
{
    Rayos__Node__Check *check = ray_arena_alloc(judge->arena, sizeof *check);
    va_list ap;

    if (check == NULL) {
        judge->is_out_of_memory = true;
        return;
    }
    assert(judge->health->n_checks < CHECK_COUNT_MAX);
    rayos__node__check__init(check);
    check->name = (char *)name;
    check->state = (char *)state_word(state);
    check->next_step = (char *)(next_step != NULL ? next_step : "");
    va_start(ap, fmt);
    check->message = text(judge, fmt, ap);
    va_end(ap);
    judge->health->checks[judge->health->n_checks++] = check;
    if (state > judge->worst) {
        judge->worst = state;
    }
}

/* part * 100 / whole without overflow. */
static unsigned percent_of(uint64_t part, uint64_t whole)
{
    if (whole == 0) {
        return 100;
    }
    return (unsigned)((double)part * 100.0 / (double)whole);
}

static void check_data(struct judge *judge, const struct health_input *input)
{
    static const char free_space[] = "remove what is not needed below /var/rayos, or give the node "
                                     "a larger data disk";
    char free_text[16];
    unsigned percent;

    if (!input->data.is_known) {
        say(judge, "data", STATE_UNAVAILABLE, "start rayosd by rayos-init",
            "there is no /run/rayos/boot.json: PID 1 is not rayos-init");
        return;
    }
    if (!input->data.is_disk && strcmp(input->data.reason, "absent") != 0) {
        say(judge, "data", STATE_DEGRADED,
            "see 'clusterctl node log', then mend or replace the data disk and reboot",
            "data is in RAM, the disk was not used: %s", input->data.reason);
        return;
    }
    if (!input->has_space) {
        say(judge, "data", STATE_FAILED, "see 'clusterctl node log'",
            "the data folder cannot be read");
        return;
    }
    percent = percent_of(input->free_bytes, input->total_bytes);
    (void)ray_format_size(input->free_bytes, free_text);
    if (percent < SPACE_DEGRADED_PERCENT) {
        say(judge, "data", percent < SPACE_FAILED_PERCENT ? STATE_FAILED : STATE_DEGRADED,
            free_space, "%s free on %s, %u percent", free_text,
            input->data.is_disk ? input->data.device : "RAM", percent);
    } else if (input->data.is_disk) {
        say(judge, "data", STATE_OK, NULL, "%s, %s free", input->data.device, free_text);
    } else {
        say(judge, "data", STATE_OK, NULL,
            "diskless: data is in RAM and ends with this boot, %s free", free_text);
    }
}

static void check_memory(struct judge *judge, const struct health_input *input)
{
    unsigned percent = percent_of(input->memory_available_bytes, input->memory_total_bytes);
    unsigned pressure = input->has_pressure ? input->pressure_percent : 0;
    enum state state = STATE_OK;
    char available[16];

    if (input->memory_total_bytes == 0) {
        say(judge, "memory", STATE_UNAVAILABLE, NULL, "/proc/meminfo cannot be read");
        return;
    }
    if (percent < MEMORY_FAILED_PERCENT || pressure >= PRESSURE_FAILED_PERCENT) {
        state = STATE_FAILED;
    } else if (percent < MEMORY_DEGRADED_PERCENT || pressure >= PRESSURE_DEGRADED_PERCENT) {
        state = STATE_DEGRADED;
    }
    (void)ray_format_size(input->memory_available_bytes, available);
    say(judge, "memory", state, state == STATE_OK ? NULL : "stop something that uses memory",
        "%s available, %u percent; all tasks stalled %u percent of the last 10 s", available,
        percent, pressure);
}

static void check_clock(struct judge *judge, const struct health_input *input)
{
    if (input->clock_source[0] == '\0') {
        say(judge, "clock", STATE_UNAVAILABLE, NULL, "the clock source cannot be read");
    } else if (input->is_clock_fit) {
        say(judge, "clock", STATE_OK, NULL, "%s, fit for leases", input->clock_source);
    } else {
        say(judge, "clock", STATE_DEGRADED,
            "give the machine a steady clock: TSC, kvm-clock or HPET",
            "%s is not fit for leases: this node gets no grants", input->clock_source);
    }
}

static void check_watchdog(struct judge *judge, const Rayos__Init__Watchdog *watchdog)
{
    if (watchdog == NULL || watchdog->driver[0] == '\0') {
        say(judge, "watchdog", STATE_DEGRADED, "enable a watchdog in the firmware or the machine",
            "none: a hang of this machine would go unnoticed");
    } else if (watchdog->withheld[0] != '\0') {
        say(judge, "watchdog", STATE_FAILED, "see 'clusterctl node log'",
            "not fed, the machine is about to reset: %s", watchdog->withheld);
    } else if ((watchdog->bootstatus & WATCHDOG_BITE) != 0) {
        say(judge, "watchdog", STATE_DEGRADED, "look into the newest folder of /var/rayos/crash",
            "%s reset the machine at its last boot", watchdog->driver);
    } else {
        say(judge, "watchdog", STATE_OK, NULL, "%s%s, %u s", watchdog->driver,
            watchdog->is_hardware ? "" : " (software)", watchdog->timeout_s);
    }
}

/* How bad a service's state is. */
static enum state service_state(const Rayos__Init__Service *service)
{
    if (strcmp(service->state, "gave-up") == 0) {
        return STATE_FAILED;
    }
    if (strcmp(service->state, "backoff") == 0 ||
        (service->needed_for_ready && strcmp(service->state, "ready") != 0)) {
        return STATE_DEGRADED;
    }
    return STATE_OK;
}

static void check_services(struct judge *judge, const Rayos__Init__Status *init)
{
    const Rayos__Init__Service *worst = NULL;
    enum state state = STATE_OK;

    for (size_t i = 0; i < init->n_services; i++) {
        enum state its = service_state(init->services[i]);

        if (its > state) {
            state = its;
            worst = init->services[i];
        }
    }
    if (worst != NULL) {
        say(judge, "services", state, "see 'clusterctl node services' and 'clusterctl node log'",
            "%s is %s%s%s", worst->name, worst->state, worst->why[0] != '\0' ? ": " : "",
            worst->why);
    } else {
        say(judge, "services", STATE_OK, NULL, "%zu, none in trouble", init->n_services);
    }
}

static void check_log(struct judge *judge, const Rayos__Init__Log *log)
{
    if (log == NULL || log->folder[0] == '\0') {
        say(judge, "log", STATE_DEGRADED, "see 'clusterctl node log'",
            "not written to the data folder, only kept in memory");
    } else if (log->is_full) {
        say(judge, "log", STATE_FAILED, "make room in the data folder",
            "no space left in %s: lines are only kept in memory", log->folder);
    } else {
        say(judge, "log", STATE_OK, NULL, "%s, %llu lines lost", log->folder,
            (unsigned long long)log->lost_count);
    }
}

static void check_boot(struct judge *judge, const Rayos__Init__Status *init)
{
    if (init->n_degraded > 0) {
        say(judge, "boot", STATE_DEGRADED, "see 'clusterctl node timeline'",
            "%zu steps failed, the first is %s", init->n_degraded, init->degraded[0]);
    } else {
        say(judge, "boot", STATE_OK, NULL, "every step went well");
    }
}

/* The resource that is short and whose shortage means something; NULL: none. */
static const Rayos__Init__Pressure *find_trouble(const Rayos__Init__Status *init)
{
    for (size_t i = 0; i < init->n_pressures; i++) {
        if (init->pressures[i]->is_high && init->pressures[i]->is_trouble) {
            return init->pressures[i];
        }
    }
    return NULL;
}

static void check_pressure(struct judge *judge, const Rayos__Init__Status *init)
{
    const Rayos__Init__Pressure *trouble = find_trouble(init);
    const Rayos__Init__PressureGroup *group;
    char bytes[16];

    if (init->n_pressures == 0) {
        say(judge, "pressure", STATE_OK, NULL, "this kernel does not measure it");
    } else if (trouble == NULL) {
        say(judge, "pressure", STATE_OK, NULL, "none that lasts");
    } else if (trouble->n_groups == 0) {
        say(judge, "pressure", STATE_DEGRADED, "see 'clusterctl node log'",
            "short of %s: all tasks stalled %u percent of the last 10 s", trouble->resource,
            trouble->full_percent);
    } else {
        group = trouble->groups[0];
        (void)ray_format_size(group->memory_bytes, bytes);
        say(judge, "pressure", STATE_DEGRADED,
            "stop or limit what uses it; 'clusterctl node log' names the groups",
            "short of %s: all tasks stalled %u percent of the last 10 s, most in %s "
            "(%u percent, %s of memory)",
            trouble->resource, trouble->full_percent, group->name, group->some_percent, bytes);
    }
}

static void check_init(struct judge *judge, const struct health_input *input)
{
    static const char *const names[] = {"watchdog", "services", "log", "boot", "pressure"};

    if (input->init == NULL) {
        for (size_t i = 0; i < RAY_ARRAY_COUNT(names); i++) {
            say(judge, names[i], STATE_UNAVAILABLE, "see the console of this node",
                "PID 1 does not say: %s", input->init_error);
        }
        return;
    }
    check_watchdog(judge, input->init->watchdog);
    check_services(judge, input->init);
    check_log(judge, input->init->log);
    check_boot(judge, input->init);
    check_pressure(judge, input->init);
}

int health_judge(const struct health_input *input, struct ray_arena *arena,
                 Rayos__Node__Health **out_health, struct ray_err *err)
{
    struct judge judge = {.arena = arena};

    assert(input->init != NULL || input->init_error != NULL);
    judge.health = ray_arena_alloc(arena, sizeof *judge.health);
    if (judge.health == NULL) {
        return ray_fail(err, RAY_ENOMEM, "the health of this node");
    }
    rayos__node__health__init(judge.health);
    judge.health->checks = ray_arena_alloc(arena, CHECK_COUNT_MAX * sizeof *judge.health->checks);
    if (judge.health->checks == NULL) {
        return ray_fail(err, RAY_ENOMEM, "the health of this node");
    }
    check_data(&judge, input);
    check_memory(&judge, input);
    check_clock(&judge, input);
    check_init(&judge, input);
    if (judge.is_out_of_memory) {
        return ray_fail(err, RAY_ENOMEM, "the health of this node");
    }
    /* Not known is not well. */
    judge.health->state =
        (char *)state_word(judge.worst == STATE_UNAVAILABLE ? STATE_DEGRADED : judge.worst);
    *out_health = judge.health;
    return RAY_OK;
}
