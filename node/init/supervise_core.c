#include "node/init/supervise_core.h"

#include <assert.h>

#include "base/clock.h"

static uint64_t after_ms(uint64_t now_ns, uint64_t ms)
{
    return now_ns + ms * RAY_NS_PER_MS;
}

static void emit(struct supervise_effects *effects, enum supervise_effect_kind kind, size_t index)
{
    /* A step makes at most three effects per service and two in all. */
    assert(effects->count < SUPERVISE_EFFECT_COUNT_MAX);
    effects->items[effects->count++] = (struct supervise_effect){.kind = kind, .index = index};
}

/* One CHANGED per service and step is enough: the shell reads the state it ends in, and a
 * service that passes through a state within one step was never seen there. */
static void enter(struct supervise_core *core, size_t index, enum supervise_state state,
                  enum supervise_why why, uint64_t now_ns, struct supervise_effects *effects)
{
    struct supervise_service *service = &core->services[index];

    service->state = state;
    service->why = why;
    service->since_ns = now_ns;
    service->deadline_ns = 0;
    service->watchdog_deadline_ns = 0;
    for (size_t i = 0; i < effects->count; i++) {
        if (effects->items[i].kind == SUPERVISE_EFFECT_CHANGED &&
            effects->items[i].index == index) {
            return;
        }
    }
    emit(effects, SUPERVISE_EFFECT_CHANGED, index);
}

/* ---- failure, back-off and giving up ---- */

static void forget_crashes(struct supervise_service *service)
{
    service->crash_count = 0;
    service->backoff_count = 0;
    service->is_on_probation = false;
}

/* Remembers a failure; true when it is time to give up. */
static bool is_crash_loop(struct supervise_service *service, uint64_t now_ns)
{
    uint64_t window_ns = SUPERVISE_CRASH_WINDOW_MS * RAY_NS_PER_MS;
    uint64_t oldest_ns;

    service->crash_ns[service->crash_count % SUPERVISE_CRASH_COUNT] = now_ns;
    service->crash_count++;
    if (service->is_on_probation) {
        return true;
    }
    if (service->crash_count < SUPERVISE_CRASH_COUNT) {
        return false;
    }
    oldest_ns = service->crash_ns[service->crash_count % SUPERVISE_CRASH_COUNT];
    return now_ns - oldest_ns <= window_ns;
}

static uint64_t backoff_ms(const struct supervise_service *service, uint32_t random)
{
    uint64_t delay_ms = SUPERVISE_BACKOFF_MIN_MS;

    for (uint32_t i = 0; i < service->backoff_count && delay_ms < SUPERVISE_BACKOFF_MAX_MS; i++) {
        delay_ms *= 2;
    }
    if (delay_ms > SUPERVISE_BACKOFF_MAX_MS) {
        delay_ms = SUPERVISE_BACKOFF_MAX_MS;
    }
    /* Jitter over the upper half: services that fell together do not come back together. */
    return delay_ms - (delay_ms / 2) * (random % 1024) / 1024;
}

static void fail(struct supervise_core *core, size_t index, enum supervise_why why, uint64_t now_ns,
                 uint32_t random, struct supervise_effects *effects)
{
    struct supervise_service *service = &core->services[index];
    const struct supervise_spec *spec = &core->specs[index];

    service->failure_count++;
    if (service->ready_since_ns != 0 &&
        now_ns - service->ready_since_ns >= SUPERVISE_STABLE_MS * RAY_NS_PER_MS) {
        forget_crashes(service);
    }
    if (core->is_stopping || spec->restart == SUPERVISE_RESTART_NEVER) {
        enter(core, index, SUPERVISE_STOPPED, why, now_ns, effects);
        return;
    }
    if (is_crash_loop(service, now_ns)) {
        enter(core, index, SUPERVISE_GAVE_UP, why, now_ns, effects);
        if (spec->slow_retry_ms != 0) {
            service->deadline_ns = after_ms(now_ns, spec->slow_retry_ms);
        }
        return;
    }
    enter(core, index, SUPERVISE_BACKOFF, why, now_ns, effects);
    service->deadline_ns = after_ms(now_ns, backoff_ms(service, random));
    service->backoff_count++;
}

/* ---- starting ---- */

static bool deps_are_met(const struct supervise_core *core, size_t index)
{
    if ((core->specs[index].conditions & ~core->conditions) != 0) {
        return false;
    }
    for (size_t dep = 0; dep < core->count; dep++) {
        enum supervise_state state = core->services[dep].state;
        if ((core->specs[index].deps & (UINT32_C(1) << dep)) != 0 && state != SUPERVISE_READY &&
            state != SUPERVISE_ABSENT) {
            return false;
        }
    }
    return true;
}

static void start_what_can(struct supervise_core *core, uint64_t now_ns,
                           struct supervise_effects *effects)
{
    if (core->is_stopping || !core->is_started) {
        return;
    }
    for (size_t i = 0; i < core->count; i++) {
        struct supervise_service *service = &core->services[i];
        if (service->state != SUPERVISE_WAITING || !deps_are_met(core, i)) {
            continue;
        }
        enter(core, i, SUPERVISE_STARTING, SUPERVISE_WHY_NONE, now_ns, effects);
        service->ready_since_ns = 0;
        if (core->specs[i].ready_deadline_ms != 0) {
            service->deadline_ns = after_ms(now_ns, core->specs[i].ready_deadline_ms);
        }
        emit(effects, SUPERVISE_EFFECT_SPAWN, i);
    }
}

static void become_ready(struct supervise_core *core, size_t index, uint64_t now_ns,
                         struct supervise_effects *effects)
{
    struct supervise_service *service = &core->services[index];

    enter(core, index, SUPERVISE_READY, SUPERVISE_WHY_NONE, now_ns, effects);
    service->ready_since_ns = now_ns;
    if (core->specs[index].watchdog_ms != 0) {
        service->watchdog_deadline_ns = after_ms(now_ns, core->specs[index].watchdog_ms);
    }
}

/* ---- stopping ---- */

static void begin_stop(struct supervise_core *core, size_t index, enum supervise_after after,
                       enum supervise_why why, uint64_t now_ns, struct supervise_effects *effects)
{
    struct supervise_service *service = &core->services[index];

    service->after = after;
    enter(core, index, SUPERVISE_STOPPING, why, now_ns, effects);
    service->deadline_ns = after_ms(now_ns, core->specs[index].stop_deadline_ms);
    if (after != SUPERVISE_AFTER_POLICY) { /* else it stops by itself */
        emit(effects, SUPERVISE_EFFECT_TERMINATE, index);
    }
}

static bool is_running(const struct supervise_service *service)
{
    return service->has_process || service->state == SUPERVISE_STARTING;
}

static bool has_running_dependents(const struct supervise_core *core, size_t index)
{
    for (size_t i = 0; i < core->count; i++) {
        if ((core->specs[i].deps & (UINT32_C(1) << index)) != 0 && is_running(&core->services[i])) {
            return true;
        }
    }
    return false;
}

/* In reverse order of dependencies: a service stops when nothing above it runs. */
static void stop_what_can(struct supervise_core *core, uint64_t now_ns,
                          struct supervise_effects *effects)
{
    bool any_is_running = false;

    if (!core->is_stopping) {
        return;
    }
    for (size_t i = 0; i < core->count; i++) {
        struct supervise_service *service = &core->services[i];
        if (service->state == SUPERVISE_WAITING || service->state == SUPERVISE_BACKOFF ||
            service->state == SUPERVISE_GAVE_UP) {
            enter(core, i, SUPERVISE_STOPPED, SUPERVISE_WHY_ORDERED, now_ns, effects);
        } else if ((service->state == SUPERVISE_STARTING || service->state == SUPERVISE_READY) &&
                   !has_running_dependents(core, i)) {
            begin_stop(core, i, SUPERVISE_AFTER_STOP, SUPERVISE_WHY_ORDERED, now_ns, effects);
        }
        any_is_running = any_is_running || is_running(service);
    }
    if (!any_is_running && !core->is_all_stopped) {
        core->is_all_stopped = true;
        emit(effects, SUPERVISE_EFFECT_ALL_STOPPED, 0);
    }
}

/* ---- events ---- */

static void on_exit(struct supervise_core *core, size_t index, const struct supervise_event *event,
                    uint64_t now_ns, struct supervise_effects *effects)
{
    struct supervise_service *service = &core->services[index];
    enum supervise_state state = service->state;
    bool is_done = event->is_clean && core->specs[index].restart != SUPERVISE_RESTART_ALWAYS;

    if (!service->has_process) {
        return;
    }
    service->has_process = false;
    emit(effects, SUPERVISE_EFFECT_KILL, index); /* children that it left behind */
    if (state == SUPERVISE_STOPPING && service->after == SUPERVISE_AFTER_FAILURE) {
        fail(core, index, service->why, now_ns, event->random, effects);
    } else if (core->is_stopping ||
               (state == SUPERVISE_STOPPING && service->after == SUPERVISE_AFTER_STOP)) {
        enter(core, index, SUPERVISE_STOPPED, SUPERVISE_WHY_ORDERED, now_ns, effects);
    } else if (state == SUPERVISE_STOPPING && service->after == SUPERVISE_AFTER_RESTART) {
        enter(core, index, SUPERVISE_WAITING, SUPERVISE_WHY_ORDERED, now_ns, effects);
    } else if (is_done) {
        enter(core, index, SUPERVISE_STOPPED, SUPERVISE_WHY_EXITED, now_ns, effects);
    } else {
        fail(core, index, SUPERVISE_WHY_EXITED, now_ns, event->random, effects);
    }
}

static void on_restart(struct supervise_core *core, size_t index, uint64_t now_ns,
                       struct supervise_effects *effects)
{
    struct supervise_service *service = &core->services[index];

    if (core->is_stopping || service->state == SUPERVISE_ABSENT) {
        return;
    }
    forget_crashes(service);
    switch (service->state) {
    case SUPERVISE_STARTING:
    case SUPERVISE_READY:
        begin_stop(core, index, SUPERVISE_AFTER_RESTART, SUPERVISE_WHY_ORDERED, now_ns, effects);
        break;
    case SUPERVISE_STOPPING:
        service->after = SUPERVISE_AFTER_RESTART;
        break;
    case SUPERVISE_BACKOFF:
    case SUPERVISE_GAVE_UP:
    case SUPERVISE_STOPPED:
        enter(core, index, SUPERVISE_WAITING, SUPERVISE_WHY_ORDERED, now_ns, effects);
        break;
    case SUPERVISE_ABSENT:
    case SUPERVISE_WAITING:
        break;
    }
}

/* They wait where a restart would wait, too, but for the condition. */
static void stop_what_lost(struct supervise_core *core, uint32_t conditions, uint64_t now_ns,
                           struct supervise_effects *effects)
{
    for (size_t i = 0; i < core->count; i++) {
        if ((core->specs[i].conditions & conditions) != 0) {
            on_restart(core, i, now_ns, effects);
        }
    }
}

static void on_deadline(struct supervise_core *core, size_t index, uint64_t now_ns,
                        struct supervise_effects *effects)
{
    struct supervise_service *service = &core->services[index];

    switch (service->state) {
    case SUPERVISE_STARTING:
        begin_stop(core, index, SUPERVISE_AFTER_FAILURE, SUPERVISE_WHY_NOT_READY_IN_TIME, now_ns,
                   effects);
        break;
    case SUPERVISE_STOPPING:
        emit(effects, SUPERVISE_EFFECT_KILL, index);
        service->deadline_ns = after_ms(now_ns, SUPERVISE_KILL_AGAIN_MS);
        break;
    case SUPERVISE_GAVE_UP:
        service->is_on_probation = true;
        enter(core, index, SUPERVISE_WAITING, service->why, now_ns, effects);
        break;
    case SUPERVISE_BACKOFF:
        enter(core, index, SUPERVISE_WAITING, service->why, now_ns, effects);
        break;
    case SUPERVISE_ABSENT:
    case SUPERVISE_WAITING:
    case SUPERVISE_READY:
    case SUPERVISE_STOPPED:
        service->deadline_ns = 0; /* these have none */
        break;
    }
}

/* A machine that slept or stood still wakes everybody at once: who was to speak meanwhile could
 * not, and gets its whole time anew. */
static void forgive_if_asleep(struct supervise_core *core, size_t index, uint64_t now_ns)
{
    struct supervise_service *service = &core->services[index];

    if (service->watchdog_deadline_ns != 0 &&
        now_ns >= after_ms(service->watchdog_deadline_ns, SUPERVISE_LATE_MS)) {
        service->watchdog_deadline_ns = after_ms(now_ns, core->specs[index].watchdog_ms);
    }
}

static void on_tick(struct supervise_core *core, uint64_t now_ns, struct supervise_effects *effects)
{
    for (size_t i = 0; i < core->count; i++) {
        struct supervise_service *service = &core->services[i];

        forgive_if_asleep(core, i, now_ns);
        if (service->watchdog_deadline_ns != 0 && now_ns >= service->watchdog_deadline_ns) {
            begin_stop(core, i, SUPERVISE_AFTER_FAILURE, SUPERVISE_WHY_WATCHDOG, now_ns, effects);
        } else if (service->deadline_ns != 0 && now_ns >= service->deadline_ns) {
            on_deadline(core, i, now_ns, effects);
        }
    }
}

static void on_service_event(struct supervise_core *core, const struct supervise_event *event,
                             uint64_t now_ns, struct supervise_effects *effects)
{
    struct supervise_service *service = &core->services[event->index];
    const struct supervise_spec *spec = &core->specs[event->index];

    switch (event->kind) {
    case SUPERVISE_EVENT_SPAWNED:
        service->has_process = true;
        service->start_count++;
        if (!spec->waits_for_notify && service->state == SUPERVISE_STARTING) {
            become_ready(core, event->index, now_ns, effects);
        }
        break;
    case SUPERVISE_EVENT_SPAWN_FAILED:
        if (service->state == SUPERVISE_STARTING) {
            fail(core, event->index, SUPERVISE_WHY_SPAWN_FAILED, now_ns, event->random, effects);
        }
        break;
    case SUPERVISE_EVENT_EXITED:
        on_exit(core, event->index, event, now_ns, effects);
        break;
    case SUPERVISE_EVENT_READY:
        if (service->state == SUPERVISE_STARTING && service->has_process) {
            become_ready(core, event->index, now_ns, effects);
        }
        break;
    case SUPERVISE_EVENT_STOPPING:
        if ((service->state == SUPERVISE_STARTING || service->state == SUPERVISE_READY) &&
            service->has_process) {
            begin_stop(core, event->index, SUPERVISE_AFTER_POLICY, SUPERVISE_WHY_BY_ITSELF, now_ns,
                       effects);
        }
        break;
    case SUPERVISE_EVENT_ALIVE:
        if (service->state == SUPERVISE_READY && spec->watchdog_ms != 0) {
            service->watchdog_deadline_ns = after_ms(now_ns, spec->watchdog_ms);
        }
        break;
    case SUPERVISE_EVENT_RESTART:
        on_restart(core, event->index, now_ns, effects);
        break;
    case SUPERVISE_EVENT_START:
    case SUPERVISE_EVENT_STOP_ALL:
    case SUPERVISE_EVENT_TICK:
    case SUPERVISE_EVENT_CONDITIONS:
    case SUPERVISE_EVENT_CONDITIONS_LOST:
        break; /* not about one service */
    }
}

static void update_all_ready(struct supervise_core *core, struct supervise_effects *effects)
{
    bool is_all_ready = core->is_started && !core->is_stopping;

    for (size_t i = 0; i < core->count; i++) {
        enum supervise_state state = core->services[i].state;
        if (core->specs[i].needed_for_ready && state != SUPERVISE_READY &&
            state != SUPERVISE_ABSENT) {
            is_all_ready = false;
        }
    }
    if (is_all_ready && !core->is_all_ready) {
        emit(effects, SUPERVISE_EFFECT_ALL_READY, 0);
    }
    core->is_all_ready = is_all_ready;
}

void supervise_core_step(struct supervise_core *core, const struct supervise_event *event,
                         uint64_t now_ns, struct supervise_effects *effects)
{
    effects->count = 0;
    switch (event->kind) {
    case SUPERVISE_EVENT_START:
        core->is_started = true;
        break;
    case SUPERVISE_EVENT_STOP_ALL:
        core->is_stopping = true;
        break;
    case SUPERVISE_EVENT_TICK:
        on_tick(core, now_ns, effects);
        break;
    case SUPERVISE_EVENT_CONDITIONS:
        core->conditions |= event->conditions;
        break;
    case SUPERVISE_EVENT_CONDITIONS_LOST:
        core->conditions &= ~event->conditions;
        stop_what_lost(core, event->conditions, now_ns, effects);
        break;
    default:
        if (event->index >= core->count) {
            return;
        }
        on_service_event(core, event, now_ns, effects);
        break;
    }
    start_what_can(core, now_ns, effects);
    stop_what_can(core, now_ns, effects);
    update_all_ready(core, effects);
}

uint64_t supervise_core_next_ns(const struct supervise_core *core)
{
    uint64_t next_ns = UINT64_MAX;

    for (size_t i = 0; i < core->count; i++) {
        const struct supervise_service *service = &core->services[i];
        if (service->deadline_ns != 0 && service->deadline_ns < next_ns) {
            next_ns = service->deadline_ns;
        }
        if (service->watchdog_deadline_ns != 0 && service->watchdog_deadline_ns < next_ns) {
            next_ns = service->watchdog_deadline_ns;
        }
    }
    return next_ns;
}

/* ---- the table ---- */

/* Takes away, round by round, what depends on nothing left: a circle is what remains. */
static int check_order(const struct supervise_spec *specs, size_t count, struct ray_err *err)
{
    uint32_t left = count == SUPERVISE_SERVICE_COUNT_MAX ? UINT32_MAX : (UINT32_C(1) << count) - 1;

    for (size_t round = 0; round <= count && left != 0; round++) {
        for (size_t i = 0; i < count; i++) {
            if ((specs[i].deps & left) == 0) {
                left &= ~(UINT32_C(1) << i);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        if ((left & (UINT32_C(1) << i)) != 0) {
            return ray_fail(err, RAY_EINVAL, "service %s depends on itself in a circle",
                            specs[i].name);
        }
    }
    return RAY_OK;
}

int supervise_core_init(struct supervise_core *core, const struct supervise_spec *specs,
                        size_t count, struct ray_err *err)
{
    if (count > SUPERVISE_SERVICE_COUNT_MAX) {
        return ray_fail(err, RAY_EINVAL, "%zu services, at most %d", count,
                        SUPERVISE_SERVICE_COUNT_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (count < SUPERVISE_SERVICE_COUNT_MAX && specs[i].deps >> count != 0) {
            return ray_fail(err, RAY_EINVAL, "service %s depends on one that does not exist",
                            specs[i].name);
        }
    }
    if (check_order(specs, count, err) != RAY_OK) {
        return RAY_EINVAL;
    }
    *core = (struct supervise_core){.specs = specs, .count = count};
    for (size_t i = 0; i < count; i++) {
        core->services[i].state = specs[i].is_absent ? SUPERVISE_ABSENT : SUPERVISE_WAITING;
    }
    return RAY_OK;
}

const char *supervise_state_name(enum supervise_state state)
{
    static const char *const names[] = {
        [SUPERVISE_ABSENT] = "absent",     [SUPERVISE_WAITING] = "waiting",
        [SUPERVISE_STARTING] = "starting", [SUPERVISE_READY] = "ready",
        [SUPERVISE_STOPPING] = "stopping", [SUPERVISE_BACKOFF] = "backoff",
        [SUPERVISE_GAVE_UP] = "gave-up",   [SUPERVISE_STOPPED] = "stopped",
    };

    return (size_t)state < sizeof names / sizeof names[0] ? names[state] : "?";
}

const char *supervise_why_text(enum supervise_why why)
{
    static const char *const texts[] = {
        [SUPERVISE_WHY_NONE] = "",
        [SUPERVISE_WHY_EXITED] = "exited",
        [SUPERVISE_WHY_SPAWN_FAILED] = "cannot-start",
        [SUPERVISE_WHY_NOT_READY_IN_TIME] = "not-ready-in-time",
        [SUPERVISE_WHY_WATCHDOG] = "watchdog",
        [SUPERVISE_WHY_ORDERED] = "ordered",
        [SUPERVISE_WHY_BY_ITSELF] = "by-itself",
    };

    return (size_t)why < sizeof texts / sizeof texts[0] ? texts[why] : "?";
}
