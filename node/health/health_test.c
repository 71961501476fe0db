/* Each check at and beyond the edge of its limits, and every way PID 1 may answer. */
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "node/health/health.h"
#include "node/health/read.h"

struct place {
    struct ray_arena arena;
    struct health_input input;
    Rayos__Init__Status status;
    Rayos__Init__Watchdog watchdog;
    Rayos__Init__Log log;
    Rayos__Init__Service service;
    Rayos__Init__Service *services[1];
    Rayos__Node__Health *health;
};

/* A node that is well. */
static int setup(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    *state = place;
    ray_arena_init(&place->arena, 1 << 20);
    rayos__init__status__init(&place->status);
    rayos__init__watchdog__init(&place->watchdog);
    rayos__init__log__init(&place->log);
    rayos__init__service__init(&place->service);
    place->watchdog.driver = (char *)"i6300ESB timer";
    place->watchdog.is_hardware = true;
    place->watchdog.timeout_s = 30;
    place->log.folder = (char *)"/var/rayos/log";
    place->service.name = (char *)"rayosd";
    place->service.state = (char *)"ready";
    place->service.needed_for_ready = true;
    place->services[0] = &place->service;
    place->status.watchdog = &place->watchdog;
    place->status.log = &place->log;
    place->status.services = place->services;
    place->status.n_services = 1;
    place->input = (struct health_input){
        .data = {.is_known = true, .is_disk = true, .device = "vda1", .reason = ""},
        .has_space = true,
        .free_bytes = 50,
        .total_bytes = 100,
        .memory_total_bytes = 1000,
        .memory_available_bytes = 500,
        .has_pressure = true,
        .clock_source = "tsc",
        .is_clock_fit = true,
        .init = &place->status,
    };
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;

    ray_arena_fini(&place->arena);
    free(place);
    return 0;
}

static const Rayos__Node__Check *find(const struct place *place, const char *name)
{
    for (size_t i = 0; i < place->health->n_checks; i++) {
        if (strcmp(place->health->checks[i]->name, name) == 0) {
            return place->health->checks[i];
        }
    }
    return NULL;
}

/* Judges, and says how the named check and the whole came out. */
/* The check's message. */
static const char *expect(struct place *place, const char *name, const char *state,
                          const char *overall)
{
    const Rayos__Node__Check *check;

    assert_int_equal(health_judge(&place->input, &place->arena, &place->health, NULL), RAY_OK);
    check = find(place, name);
    if (check == NULL) {
        fail_msg("no check '%s'", name);
        return "";
    }
    assert_string_equal(check->state, state);
    assert_string_not_equal(check->message, "");
    assert_string_equal(place->health->state, overall);
    if (strcmp(state, "degraded") == 0 || strcmp(state, "failed") == 0) {
        assert_string_not_equal(check->next_step, "");
    }
    return check->message;
}

static void test_well(void **state)
{
    static const char *const names[] = {"data",     "memory", "clock", "watchdog",
                                        "services", "log",    "boot",  "pressure"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        expect(*state, names[i], "ok", "ok");
    }
}

static void test_data(void **state)
{
    struct place *place = *state;

    place->input.free_bytes = 10;
    expect(place, "data", "ok", "ok");
    place->input.free_bytes = 9;
    expect(place, "data", "degraded", "degraded");
    place->input.free_bytes = 1;
    expect(place, "data", "failed", "failed");
    place->input.free_bytes = UINT64_MAX;
    place->input.total_bytes = UINT64_MAX;
    expect(place, "data", "ok", "ok");
    place->input.data.is_disk = false;
    place->input.data.reason = "absent"; /* diskless on purpose */
    expect(place, "data", "ok", "ok");
    place->input.data.reason = "damaged";
    expect(place, "data", "degraded", "degraded");
    place->input.data.is_disk = true;
    place->input.has_space = false;
    expect(place, "data", "failed", "failed");
    place->input.data.is_known = false;
    expect(place, "data", "unavailable", "degraded");
}

static void test_lasting_pressure(void **state)
{
    struct place *place = *state;
    Rayos__Init__PressureGroup group = RAYOS__INIT__PRESSURE_GROUP__INIT;
    Rayos__Init__PressureGroup *groups[] = {&group};
    Rayos__Init__Pressure memory = RAYOS__INIT__PRESSURE__INIT;
    Rayos__Init__Pressure cpu = RAYOS__INIT__PRESSURE__INIT;
    Rayos__Init__Pressure *pressures[] = {&cpu, &memory};

    cpu.resource = (char *)"cpu";
    cpu.is_high = true; /* busy is not ill */
    memory.resource = (char *)"memory";
    memory.full_percent = 45;
    memory.is_trouble = true;
    place->status.pressures = pressures;
    place->status.n_pressures = 2;
    expect(place, "pressure", "ok", "ok");
    memory.is_high = true;
    expect(place, "pressure", "degraded", "degraded");
    group.name = (char *)"hog";
    group.memory_bytes = 3 << 20;
    memory.groups = groups;
    memory.n_groups = 1;
    expect(place, "pressure", "degraded", "degraded");
    assert_non_null(strstr(find(place, "pressure")->message, "memory"));
    assert_non_null(strstr(find(place, "pressure")->message, "45 percent"));
    assert_non_null(strstr(find(place, "pressure")->message, "hog"));
}

static void test_memory(void **state)
{
    struct place *place = *state;

    place->input.memory_available_bytes = 80;
    expect(place, "memory", "ok", "ok");
    place->input.memory_available_bytes = 79;
    expect(place, "memory", "degraded", "degraded");
    place->input.memory_available_bytes = 29;
    expect(place, "memory", "failed", "failed");
    place->input.memory_available_bytes = 500;
    place->input.pressure_percent = 9;
    expect(place, "memory", "ok", "ok");
    place->input.pressure_percent = 10;
    expect(place, "memory", "degraded", "degraded");
    place->input.pressure_percent = 40;
    expect(place, "memory", "failed", "failed");
    place->input.has_pressure = false;
    expect(place, "memory", "ok", "ok");
    place->input.memory_total_bytes = 0;
    expect(place, "memory", "unavailable", "degraded");
}

static void test_clock(void **state)
{
    struct place *place = *state;

    place->input.is_clock_fit = false;
    expect(place, "clock", "degraded", "degraded");
    place->input.clock_source = "";
    expect(place, "clock", "unavailable", "degraded");
}

static void test_watchdog(void **state)
{
    struct place *place = *state;

    place->watchdog.is_hardware = false;
    expect(place, "watchdog", "ok", "ok");
    place->watchdog.bootstatus = 32;
    expect(place, "watchdog", "degraded", "degraded");
    place->watchdog.withheld = (char *)"rayosd hangs";
    assert_non_null(strstr(expect(place, "watchdog", "failed", "failed"), "rayosd hangs"));
    place->watchdog.driver = (char *)"";
    expect(place, "watchdog", "degraded", "degraded");
    place->status.watchdog = NULL; /* an older PID 1 */
    expect(place, "watchdog", "degraded", "degraded");
}

static void test_services(void **state)
{
    static const struct {
        const char *word;
        bool is_needed;
        const char *state;
    } cases[] = {
        {"ready", true, "ok"},        {"waiting", true, "degraded"},  {"waiting", false, "ok"},
        {"absent", false, "ok"},      {"backoff", false, "degraded"}, {"backoff", true, "degraded"},
        {"gave-up", false, "failed"}, {"", true, "degraded"},
    };
    struct place *place = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        place->service.state = (char *)cases[i].word;
        place->service.needed_for_ready = cases[i].is_needed;
        place->service.why = (char *)"exit status 3";
        expect(place, "services", cases[i].state, cases[i].state);
    }
    place->status.n_services = 0;
    expect(place, "services", "ok", "ok");
}

static void test_log_and_boot(void **state)
{
    struct place *place = *state;
    char *stages[] = {(char *)"network: no card"};

    place->log.is_full = true;
    expect(place, "log", "failed", "failed");
    place->log.folder = (char *)"";
    expect(place, "log", "degraded", "degraded");
    place->status.log = NULL;
    expect(place, "log", "degraded", "degraded");
    place->status.log = &place->log;
    place->status.degraded = stages;
    place->status.n_degraded = 1;
    assert_non_null(strstr(expect(place, "boot", "degraded", "degraded"), "network: no card"));
}

static void test_no_answer(void **state)
{
    struct place *place = *state;

    place->input.init = NULL;
    place->input.init_error = "no service answers";
    expect(place, "watchdog", "unavailable", "degraded");
    expect(place, "services", "unavailable", "degraded");
    expect(place, "log", "unavailable", "degraded");
    assert_non_null(strstr(expect(place, "boot", "unavailable", "degraded"), "no service answers"));
    place->input.is_clock_fit = false;
    expect(place, "clock", "degraded", "degraded");
    place->input.free_bytes = 0;
    expect(place, "data", "failed", "failed"); /* the worst wins */
}

static void test_no_memory(void **state)
{
    struct place *place = *state;

    for (unsigned n = 1;; n++) {
        struct ray_arena arena;
        int rc;

        ray_arena_init(&arena, 1 << 20);
        ray_test_fault_arm("alloc", n);
        rc = health_judge(&place->input, &arena, &place->health, NULL);
        ray_arena_fini(&arena);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
    }
    for (size_t size = 1; size < 2000; size += 16) { /* a limit anywhere is reported, too */
        struct ray_arena arena;
        int rc;

        ray_arena_init(&arena, size);
        rc = health_judge(&place->input, &arena, &place->health, NULL);
        assert_true(rc == RAY_OK || rc == RAY_ENOMEM);
        ray_arena_fini(&arena);
    }
}

static void test_pressure(void **state)
{
    static const struct {
        const char *text;
        bool is_good;
        unsigned percent;
    } cases[] = {
        {"some avg10=9.99 avg60=0.00 avg300=0.00 total=1\nfull avg10=1.53 avg60=0.0", true, 1},
        {"full avg10=100.00 avg60=0.00", true, 100},
        {"full avg10=0.00", true, 0},
        {"full avg10=", false, 0},
        {"full avg10=x.y", false, 0},
        {"full avg10=999.00", false, 0},
        {"some avg10=1.00", false, 0},
        {"", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned percent = 0;

        assert_int_equal(health_pressure_parse(cases[i].text, &percent), cases[i].is_good);
        assert_int_equal(percent, cases[i].percent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_well, setup, teardown),
        cmocka_unit_test_setup_teardown(test_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lasting_pressure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watchdog, setup, teardown),
        cmocka_unit_test_setup_teardown(test_services, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_and_boot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
        cmocka_unit_test(test_pressure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
