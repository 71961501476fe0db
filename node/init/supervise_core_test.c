#include <string.h>

#include "base/clock.h"
#include "base/test.h"
#include "node/init/supervise_core.h"

/* A world around the core: time, and a trace of effects as text. */
struct world {
    struct supervise_core core;
    struct supervise_effects effects;
    uint64_t now_ns;
    char trace[1024];
};

static void note(struct world *world)
{
    static const char *const names[] = {
        [SUPERVISE_EFFECT_SPAWN] = "spawn",         [SUPERVISE_EFFECT_TERMINATE] = "term",
        [SUPERVISE_EFFECT_KILL] = "kill",           [SUPERVISE_EFFECT_CHANGED] = "",
        [SUPERVISE_EFFECT_ALL_READY] = "all-ready", [SUPERVISE_EFFECT_ALL_STOPPED] = "all-stopped",
    };

    world->trace[0] = '\0';
    for (size_t i = 0; i < world->effects.count; i++) {
        const struct supervise_effect *effect = &world->effects.items[i];
        size_t used = strlen(world->trace);
        const char *service = world->core.specs[effect->index].name;
        if (effect->kind == SUPERVISE_EFFECT_CHANGED) {
            (void)snprintf(world->trace + used, sizeof world->trace - used, "%s=%s ", service,
                           supervise_state_name(world->core.services[effect->index].state));
        } else if (effect->kind >= SUPERVISE_EFFECT_ALL_READY) {
            (void)snprintf(world->trace + used, sizeof world->trace - used, "%s ",
                           names[effect->kind]);
        } else {
            (void)snprintf(world->trace + used, sizeof world->trace - used, "%s:%s ",
                           names[effect->kind], service);
        }
    }
}

static const char *step(struct world *world, enum supervise_event_kind kind, size_t index)
{
    const struct supervise_event event = {.kind = kind, .index = index};

    supervise_core_step(&world->core, &event, world->now_ns, &world->effects);
    note(world);
    return world->trace;
}

static const char *exits(struct world *world, size_t index, bool is_clean)
{
    const struct supervise_event event = {
        .kind = SUPERVISE_EVENT_EXITED, .index = index, .is_clean = is_clean};

    supervise_core_step(&world->core, &event, world->now_ns, &world->effects);
    note(world);
    return world->trace;
}

static const char *wait_ms(struct world *world, uint64_t ms)
{
    world->now_ns += ms * RAY_NS_PER_MS;
    return step(world, SUPERVISE_EVENT_TICK, 0);
}

static enum supervise_state state_of(const struct world *world, size_t index)
{
    return world->core.services[index].state;
}

static void begin(struct world *world, const struct supervise_spec *specs, size_t count)
{
    memset(world, 0, sizeof *world);
    world->now_ns = 100 * RAY_NS_PER_S;
    assert_int_equal(supervise_core_init(&world->core, specs, count, NULL), RAY_OK);
}

enum { A, B, C };

static const struct supervise_spec chain[] = {
    {.name = "a",
     .waits_for_notify = true,
     .ready_deadline_ms = 5000,
     .stop_deadline_ms = 1000,
     .slow_retry_ms = 60000,
     .needed_for_ready = true},
    {.name = "b", .deps = 1U << A, .stop_deadline_ms = 1000, .needed_for_ready = true},
    {.name = "c", .deps = 1U << B, .stop_deadline_ms = 1000, .is_absent = false},
};

static void start_chain(struct world *world)
{
    begin(world, chain, 3);
    assert_string_equal(step(world, SUPERVISE_EVENT_START, 0), "a=starting spawn:a ");
    assert_string_equal(step(world, SUPERVISE_EVENT_SPAWNED, A), "");
    assert_string_equal(step(world, SUPERVISE_EVENT_READY, A), "a=ready b=starting spawn:b ");
    assert_string_equal(step(world, SUPERVISE_EVENT_SPAWNED, B),
                        "b=ready c=starting spawn:c all-ready ");
    assert_string_equal(step(world, SUPERVISE_EVENT_SPAWNED, C), "c=ready ");
}

static void test_starts_in_order(void **state)
{
    struct world world;

    (void)state;
    start_chain(&world);
    assert_int_equal(world.core.services[A].start_count, 1);
}

static void test_stops_in_reverse(void **state)
{
    struct world world;

    (void)state;
    start_chain(&world);
    assert_string_equal(step(&world, SUPERVISE_EVENT_STOP_ALL, 0), "c=stopping term:c ");
    assert_string_equal(exits(&world, C, false), "kill:c c=stopped b=stopping term:b ");
    assert_string_equal(wait_ms(&world, 999), "");
    assert_string_equal(wait_ms(&world, 1), "kill:b "); /* SIGTERM was not enough */
    assert_string_equal(exits(&world, B, false), "kill:b b=stopped a=stopping term:a ");
    assert_string_equal(exits(&world, A, true), "kill:a a=stopped all-stopped ");
    assert_string_equal(step(&world, SUPERVISE_EVENT_RESTART, A), "");
    assert_string_equal(wait_ms(&world, 100000), "");
}

static void test_stop_with_nothing_running(void **state)
{
    struct world world;

    (void)state;
    begin(&world, chain, 3);
    assert_string_equal(step(&world, SUPERVISE_EVENT_STOP_ALL, 0),
                        "a=stopped b=stopped c=stopped all-stopped ");
    assert_string_equal(step(&world, SUPERVISE_EVENT_START, 0), "");
}

/* Stopping while the exec of a service is under way: it is taken down after its answer. */
static void test_stop_during_start(void **state)
{
    struct world world;

    (void)state;
    begin(&world, chain, 1);
    (void)step(&world, SUPERVISE_EVENT_START, 0);
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
    assert_string_equal(step(&world, SUPERVISE_EVENT_STOP_ALL, 0), "a=stopping term:a ");
    assert_string_equal(step(&world, SUPERVISE_EVENT_READY, A), ""); /* too late */
    assert_string_equal(exits(&world, A, false), "kill:a a=stopped all-stopped ");
}

/* 100, 200, 400, 800 ms of back-off (without jitter), then five failures are too many. */
static void test_backs_off_and_gives_up(void **state)
{
    struct world world;
    uint64_t expected_ms = SUPERVISE_BACKOFF_MIN_MS;

    (void)state;
    begin(&world, chain, 1);
    (void)step(&world, SUPERVISE_EVENT_START, 0);
    for (int i = 0; i < SUPERVISE_CRASH_COUNT - 1; i++) {
        (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
        assert_string_equal(exits(&world, A, false), "kill:a a=backoff ");
        assert_int_equal(supervise_core_next_ns(&world.core) - world.now_ns,
                         expected_ms * RAY_NS_PER_MS);
        assert_string_equal(wait_ms(&world, expected_ms - 1), "");
        assert_string_equal(wait_ms(&world, 1), "a=starting spawn:a ");
        expected_ms *= 2;
    }
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
    assert_string_equal(exits(&world, A, false), "kill:a a=gave-up ");
    assert_int_equal(world.core.services[A].failure_count, SUPERVISE_CRASH_COUNT);
    /* The slow retry is one try. */
    assert_string_equal(wait_ms(&world, 60000), "a=starting spawn:a ");
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
    assert_string_equal(exits(&world, A, false), "kill:a a=gave-up ");
    /* One that holds for ten seconds forgives. */
    (void)wait_ms(&world, 60000);
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
    assert_string_equal(step(&world, SUPERVISE_EVENT_READY, A), "a=ready all-ready ");
    world.now_ns += SUPERVISE_STABLE_MS * RAY_NS_PER_MS;
    assert_string_equal(exits(&world, A, false), "kill:a a=backoff ");
}

/* Four failures, then one second short of stable: the fifth gives up. Exactly stable: not. */
static void test_edge_of_stability(void **state)
{
    for (int is_stable = 0; is_stable <= 1; is_stable++) {
        struct world world;
        (void)state;
        begin(&world, chain, 1);
        (void)step(&world, SUPERVISE_EVENT_START, 0);
        for (int i = 0; i < SUPERVISE_CRASH_COUNT - 1; i++) {
            (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
            (void)exits(&world, A, false);
            (void)wait_ms(&world, 2000);
        }
        (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
        (void)step(&world, SUPERVISE_EVENT_READY, A);
        world.now_ns += SUPERVISE_STABLE_MS * RAY_NS_PER_MS - (is_stable ? 0 : 1);
        (void)exits(&world, A, false);
        assert_int_equal(state_of(&world, A), is_stable ? SUPERVISE_BACKOFF : SUPERVISE_GAVE_UP);
    }
}

/* Failures that are far apart never give up, however many, and back-off stays bounded. */
static void test_slow_failures_go_on(void **state)
{
    struct world world;

    (void)state;
    begin(&world, chain, 1);
    (void)step(&world, SUPERVISE_EVENT_START, 0);
    for (int i = 0; i < 1000; i++) {
        (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
        (void)exits(&world, A, false);
        assert_int_equal(state_of(&world, A), SUPERVISE_BACKOFF);
        assert_true(supervise_core_next_ns(&world.core) - world.now_ns <=
                    SUPERVISE_BACKOFF_MAX_MS * RAY_NS_PER_MS);
        (void)wait_ms(&world, SUPERVISE_BACKOFF_MAX_MS);
    }
}

static void test_jitter_is_in_the_upper_half(void **state)
{
    (void)state;
    for (uint32_t random = 0; random < 5000; random += 7) {
        struct world world;
        struct supervise_event event = {.kind = SUPERVISE_EVENT_SPAWN_FAILED, .random = random};
        uint64_t wait_ns;
        begin(&world, chain, 1);
        (void)step(&world, SUPERVISE_EVENT_START, 0);
        supervise_core_step(&world.core, &event, world.now_ns, &world.effects);
        wait_ns = supervise_core_next_ns(&world.core) - world.now_ns;
        assert_true(wait_ns >= 50 * RAY_NS_PER_MS && wait_ns <= 100 * RAY_NS_PER_MS);
    }
}

static void test_not_ready_in_time(void **state)
{
    struct world world;

    (void)state;
    begin(&world, chain, 1);
    (void)step(&world, SUPERVISE_EVENT_START, 0);
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
    assert_string_equal(wait_ms(&world, 4999), "");
    assert_string_equal(wait_ms(&world, 1), "a=stopping term:a ");
    assert_string_equal(exits(&world, A, true), "kill:a a=backoff "); /* clean or not */
    assert_int_equal(world.core.services[A].why, SUPERVISE_WHY_NOT_READY_IN_TIME);
}

static void test_watchdog(void **state)
{
    static const struct supervise_spec spec[] = {
        {.name = "w", .watchdog_ms = 2000, .stop_deadline_ms = 500}};
    struct world world;

    (void)state;
    begin(&world, spec, 1);
    (void)step(&world, SUPERVISE_EVENT_START, 0);
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
    for (int i = 0; i < 10; i++) {
        assert_string_equal(wait_ms(&world, 1999), "");
        assert_string_equal(step(&world, SUPERVISE_EVENT_ALIVE, A), "");
    }
    assert_string_equal(wait_ms(&world, 2000), "w=stopping term:w ");
    assert_string_equal(wait_ms(&world, 500), "kill:w ");
    assert_string_equal(wait_ms(&world, SUPERVISE_KILL_AGAIN_MS), "kill:w ");
    assert_string_equal(exits(&world, A, false), "kill:w w=backoff ");
    assert_int_equal(world.core.services[A].why, SUPERVISE_WHY_WATCHDOG);
}

/* A tick that comes late says that the machine slept. */
static void test_watchdog_over_a_sleep(void **state)
{
    static const struct supervise_spec spec[] = {
        {.name = "w", .watchdog_ms = 2000, .stop_deadline_ms = 500}};
    struct world world;

    (void)state;
    begin(&world, spec, 1);
    (void)step(&world, SUPERVISE_EVENT_START, 0);
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
    assert_string_equal(wait_ms(&world, 2000 + SUPERVISE_LATE_MS), "");
    assert_string_equal(wait_ms(&world, 1999), "");
    assert_string_equal(wait_ms(&world, 1), "w=stopping term:w ");
    assert_string_equal(exits(&world, A, false), "kill:w w=backoff ");

    begin(&world, spec, 1);
    (void)step(&world, SUPERVISE_EVENT_START, 0);
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
    assert_string_equal(wait_ms(&world, 2000 + SUPERVISE_LATE_MS - 1), "w=stopping term:w ");
}

static void test_restart_by_request(void **state)
{
    struct world world;

    (void)state;
    start_chain(&world);
    assert_string_equal(step(&world, SUPERVISE_EVENT_RESTART, B), "b=stopping term:b ");
    assert_false(world.core.is_all_ready);
    assert_string_equal(exits(&world, B, true), "kill:b b=starting spawn:b ");
    assert_string_equal(step(&world, SUPERVISE_EVENT_SPAWNED, B), "b=ready all-ready ");
    assert_int_equal(world.core.services[B].failure_count, 0);
}

/* A request also ends a back-off and a giving up, and joins a stop that failure began. */
static void test_restart_in_other_states(void **state)
{
    struct world world;

    (void)state;
    begin(&world, chain, 1);
    (void)step(&world, SUPERVISE_EVENT_START, 0);
    (void)step(&world, SUPERVISE_EVENT_SPAWN_FAILED, A);
    assert_string_equal(step(&world, SUPERVISE_EVENT_RESTART, A), "a=starting spawn:a ");
    for (int i = 0; i < SUPERVISE_CRASH_COUNT; i++) {
        (void)step(&world, SUPERVISE_EVENT_SPAWN_FAILED, A);
        (void)wait_ms(&world, 2000);
    }
    assert_int_equal(state_of(&world, A), SUPERVISE_GAVE_UP);
    assert_string_equal(step(&world, SUPERVISE_EVENT_RESTART, A), "a=starting spawn:a ");
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
    (void)wait_ms(&world, 5000);
    assert_int_equal(state_of(&world, A), SUPERVISE_STOPPING);
    assert_string_equal(step(&world, SUPERVISE_EVENT_RESTART, A), "");
    assert_string_equal(exits(&world, A, false), "kill:a a=starting spawn:a ");
}

static void test_policies(void **state)
{
    static const struct supervise_spec specs[] = {
        {.name = "once", .restart = SUPERVISE_RESTART_ON_FAILURE},
        {.name = "never", .restart = SUPERVISE_RESTART_NEVER},
    };
    struct world world;

    (void)state;
    begin(&world, specs, 2);
    (void)step(&world, SUPERVISE_EVENT_START, 0);
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, 0);
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, 1);
    assert_string_equal(exits(&world, 1, false), "kill:never never=stopped ");
    assert_string_equal(exits(&world, 0, false), "kill:once once=backoff ");
    (void)wait_ms(&world, 100);
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, 0);
    assert_string_equal(exits(&world, 0, true), "kill:once once=stopped ");
}

static void test_stopping_by_itself(void **state)
{
    struct world world;

    (void)state;
    begin(&world, chain, 1);
    (void)step(&world, SUPERVISE_EVENT_START, 0);
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
    (void)step(&world, SUPERVISE_EVENT_READY, A);
    assert_string_equal(step(&world, SUPERVISE_EVENT_STOPPING, A), "a=stopping ");
    assert_string_equal(wait_ms(&world, 1000), "kill:a "); /* it said so, but does not */
    assert_string_equal(exits(&world, A, false), "kill:a a=backoff ");
}

static void test_conditions_and_absence(void **state)
{
    static const struct supervise_spec specs[] = {
        {.name = "gone", .is_absent = true, .needed_for_ready = true},
        {.name = "net", .deps = 1U << 0, .conditions = 3},
    };
    struct world world;
    struct supervise_event event = {.kind = SUPERVISE_EVENT_CONDITIONS, .conditions = 1};

    (void)state;
    begin(&world, specs, 2);
    assert_string_equal(step(&world, SUPERVISE_EVENT_START, 0), "all-ready ");
    supervise_core_step(&world.core, &event, world.now_ns, &world.effects);
    assert_int_equal(world.effects.count, 0);
    event.conditions = 2;
    supervise_core_step(&world.core, &event, world.now_ns, &world.effects);
    note(&world);
    assert_string_equal(world.trace, "net=starting spawn:net ");
    assert_string_equal(step(&world, SUPERVISE_EVENT_RESTART, 0), "");
}

/* What needs a condition stops with it, in whatever state it is, and comes back with it. */
static void test_lost_condition(void **state)
{
    static const struct supervise_spec specs[] = {
        {.name = "a", .conditions = 1, .stop_deadline_ms = 1000, .slow_retry_ms = 60000},
        {.name = "b", .conditions = 2, .stop_deadline_ms = 1000},
    };
    const struct supervise_event set = {.kind = SUPERVISE_EVENT_CONDITIONS, .conditions = 3};
    const struct supervise_event lost = {.kind = SUPERVISE_EVENT_CONDITIONS_LOST, .conditions = 1};
    struct world world;

    (void)state;
    begin(&world, specs, 2);
    (void)step(&world, SUPERVISE_EVENT_START, 0);
    supervise_core_step(&world.core, &lost, world.now_ns, &world.effects); /* was not there */
    assert_int_equal(world.effects.count, 0);
    supervise_core_step(&world.core, &set, world.now_ns, &world.effects);
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, B);
    supervise_core_step(&world.core, &lost, world.now_ns, &world.effects);
    note(&world);
    assert_string_equal(world.trace, "a=stopping term:a ");
    assert_string_equal(exits(&world, A, true), "kill:a a=waiting ");
    assert_string_equal(wait_ms(&world, 100000), "");
    assert_string_equal(step(&world, SUPERVISE_EVENT_RESTART, A), "");
    supervise_core_step(&world.core, &set, world.now_ns, &world.effects);
    note(&world);
    assert_string_equal(world.trace, "a=starting spawn:a ");
    (void)step(&world, SUPERVISE_EVENT_SPAWNED, A);
    (void)exits(&world, A, false);
    assert_int_equal(state_of(&world, A), SUPERVISE_BACKOFF);
    supervise_core_step(&world.core, &lost, world.now_ns, &world.effects);
    assert_int_equal(state_of(&world, A), SUPERVISE_WAITING);
    assert_int_equal(state_of(&world, B), SUPERVISE_READY);
}

static void test_refuses_bad_tables(void **state)
{
    static const struct supervise_spec circle[] = {
        {.name = "a", .deps = 1U << 2}, {.name = "b", .deps = 1U << 0}, {.name = "c", .deps = 2}};
    static const struct supervise_spec self[] = {{.name = "a", .deps = 1}};
    static const struct supervise_spec missing[] = {{.name = "a", .deps = 2}};
    static struct supervise_spec many[SUPERVISE_SERVICE_COUNT_MAX + 1];
    struct supervise_core core;
    struct ray_err err = {0};

    (void)state;
    assert_int_equal(supervise_core_init(&core, circle, 3, &err), RAY_EINVAL);
    assert_non_null(strstr(err.text, "circle"));
    assert_int_equal(supervise_core_init(&core, self, 1, &err), RAY_EINVAL);
    assert_int_equal(supervise_core_init(&core, missing, 1, &err), RAY_EINVAL);
    for (size_t i = 0; i < sizeof many / sizeof many[0]; i++) {
        many[i].name = "x";
        many[i].deps = i > 0 && i < 32 ? 1U << (i - 1) : 0;
    }
    assert_int_equal(supervise_core_init(&core, many, SUPERVISE_SERVICE_COUNT_MAX, &err), RAY_OK);
    assert_int_equal(supervise_core_init(&core, many, SUPERVISE_SERVICE_COUNT_MAX + 1, &err),
                     RAY_EINVAL);
}

/* Random events for ever: effects stay within their bound (the core asserts it), nothing is
 * spawned that has a process, and stopping always comes to an end. */
static void test_random_walks(void **state)
{
    uint32_t seed = 12345;

    (void)state;
    for (int walk = 0; walk < 300; walk++) {
        struct world world;
        bool has_process[3] = {false};
        begin(&world, chain, 3);
        (void)step(&world, SUPERVISE_EVENT_START, 0);
        for (int i = 0; i < 300; i++) {
            struct supervise_event event = {0};
            seed = seed * 1664525U + 1013904223U;
            event.index = (seed >> 8) % 3;
            event.kind = (enum supervise_event_kind)(SUPERVISE_EVENT_TICK + (seed >> 16) % 8);
            event.is_clean = (seed >> 5) & 1;
            event.random = seed;
            if (i == 250) {
                event.kind = SUPERVISE_EVENT_STOP_ALL;
            } else if (event.kind == SUPERVISE_EVENT_EXITED) {
                has_process[event.index] = false;
            } else if (event.kind == SUPERVISE_EVENT_SPAWNED ||
                       event.kind == SUPERVISE_EVENT_SPAWN_FAILED) {
                continue; /* come only as answers */
            }
            world.now_ns += (seed >> 20) * RAY_NS_PER_MS;
            supervise_core_step(&world.core, &event, world.now_ns, &world.effects);
            for (size_t e = 0; e < world.effects.count; e++) {
                size_t index = world.effects.items[e].index;
                if (world.effects.items[e].kind == SUPERVISE_EFFECT_SPAWN) {
                    assert_false(has_process[index]);
                    has_process[index] = true;
                }
            }
            for (size_t s = 0; s < 3; s++) {
                if (has_process[s] && !world.core.services[s].has_process) {
                    (void)step(&world, SUPERVISE_EVENT_SPAWNED, s);
                }
            }
        }
        for (int i = 0; i < 3; i++) {
            for (size_t s = 0; s < 3; s++) {
                (void)exits(&world, s, false);
            }
        }
        assert_true(world.core.is_all_stopped);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_in_order),
        cmocka_unit_test(test_stops_in_reverse),
        cmocka_unit_test(test_stop_with_nothing_running),
        cmocka_unit_test(test_stop_during_start),
        cmocka_unit_test(test_backs_off_and_gives_up),
        cmocka_unit_test(test_edge_of_stability),
        cmocka_unit_test(test_slow_failures_go_on),
        cmocka_unit_test(test_jitter_is_in_the_upper_half),
        cmocka_unit_test(test_not_ready_in_time),
        cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_watchdog_over_a_sleep),
        cmocka_unit_test(test_restart_by_request),
        cmocka_unit_test(test_restart_in_other_states),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_stopping_by_itself),
        cmocka_unit_test(test_conditions_and_absence),
        cmocka_unit_test(test_lost_condition),
        cmocka_unit_test(test_refuses_bad_tables),
        cmocka_unit_test(test_random_walks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
