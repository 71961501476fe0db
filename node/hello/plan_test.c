#include <string.h>

#include "base/test.h"
#include "node/hello/plan.h"

struct world {
    struct hello_plan plan;
    uint64_t now_ms;
    char text[64]; /* of the last order */
};

static const char *step(struct world *world, const struct hello_event *event)
{
    struct hello_order order = hello_plan_step(&world->plan, event, world->now_ms);

    switch (order.kind) {
    case HELLO_ORDER_POST:
        (void)snprintf(world->text, sizeof world->text, "post %s", hello_phase_word(order.phase));
        break;
    case HELLO_ORDER_ASK:
        (void)snprintf(world->text, sizeof world->text, "ask");
        break;
    case HELLO_ORDER_WAIT:
        (void)snprintf(world->text, sizeof world->text, "wait %u", order.wait_ms);
        break;
    case HELLO_ORDER_END:
        (void)snprintf(world->text, sizeof world->text, "end: %s", hello_end_text(order.end));
        break;
    }
    return world->text;
}

static const char *start(struct world *world)
{
    *world = (struct world){.now_ms = 12345};
    return step(world, &(struct hello_event){.kind = HELLO_EVENT_START});
}

static const char *answer(struct world *world, int status)
{
    return step(world, &(struct hello_event){.kind = HELLO_EVENT_ANSWERED, .status = status});
}

static const char *failure(struct world *world)
{
    return step(world, &(struct hello_event){.kind = HELLO_EVENT_FAILED});
}

static const char *node(struct world *world, bool is_ready)
{
    return step(world, &(struct hello_event){.kind = HELLO_EVENT_NODE, .is_ready = is_ready});
}

static const char *waited(struct world *world, uint64_t ms)
{
    world->now_ms += ms;
    return step(world, &(struct hello_event){.kind = HELLO_EVENT_WAITED});
}

static void test_both_phases(void **state)
{
    struct world world;

    (void)state;
    assert_string_equal(start(&world), "post init");
    assert_string_equal(answer(&world, 204), "ask");
    for (int i = 0; i < 5; i++) {
        assert_string_equal(node(&world, false), "wait 1000");
        assert_string_equal(waited(&world, 1000), "ask");
    }
    assert_string_equal(node(&world, true), "post ready");
    assert_string_equal(answer(&world, 200), "end: all is said");
}

/* Ready before the first hello was taken: only the news is told. */
static void test_ready_overtakes(void **state)
{
    struct world world;

    (void)state;
    (void)start(&world);
    assert_string_equal(failure(&world), "wait 1000");
    assert_string_equal(waited(&world, 1000), "ask");
    assert_string_equal(node(&world, false), "post init");
    assert_string_equal(failure(&world), "wait 2000");
    assert_string_equal(waited(&world, 2000), "ask");
    assert_string_equal(node(&world, true), "post ready");
    /* Ready stays ready: it is not asked again. */
    assert_string_equal(failure(&world), "wait 4000");
    assert_string_equal(waited(&world, 4000), "post ready");
    assert_string_equal(answer(&world, 299), "end: all is said");
}

static void test_back_off(void **state)
{
    static const uint32_t expected_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    struct world world;

    (void)state;
    (void)start(&world);
    for (size_t i = 0; i < sizeof expected_ms / sizeof expected_ms[0]; i++) {
        char expected[32];
        (void)snprintf(expected, sizeof expected, "wait %u", expected_ms[i]);
        assert_string_equal(failure(&world), expected);
        assert_string_equal(waited(&world, expected_ms[i]), "ask");
        assert_string_equal(node(&world, false), "post init");
    }
    /* A hello that was taken forgives. */
    assert_string_equal(answer(&world, 200), "ask");
    assert_string_equal(node(&world, true), "post ready");
    assert_string_equal(failure(&world), "wait 1000");
}

static void test_jitter_is_in_the_upper_half(void **state)
{
    (void)state;
    for (uint32_t random = 0; random < 5000; random += 7) {
        const struct hello_event event = {.kind = HELLO_EVENT_FAILED, .random = random};
        struct hello_order order;
        struct world world;

        (void)start(&world);
        order = hello_plan_step(&world.plan, &event, world.now_ms);
        assert_int_equal(order.kind, HELLO_ORDER_WAIT);
        assert_in_range(order.wait_ms, HELLO_RETRY_MIN_MS / 2, HELLO_RETRY_MIN_MS);
    }
}

static void test_statuses(void **state)
{
    static const int final[] = {300, 302, 400, 403, 404, 405, 413, 499};
    static const int passing[] = {408, 425, 429, 500, 503, 599};
    struct world world;

    (void)state;
    for (size_t i = 0; i < sizeof final / sizeof final[0]; i++) {
        (void)start(&world);
        assert_string_equal(answer(&world, final[i]), "end: the server does not take hellos");
    }
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
        (void)start(&world);
        assert_string_equal(answer(&world, passing[i]), "wait 1000");
    }
}

/* Whatever fails for ever, ten minutes are the end, and no wait goes beyond. */
static void test_late(void **state)
{
    static const char late[] = "end: nobody counts a boot as good after ten minutes";

    (void)state;
    for (int is_taken = 0; is_taken <= 1; is_taken++) {
        struct world world;
        uint64_t begin_ms;
        int step_count = 0;
        const char *text = start(&world);

        begin_ms = world.now_ms;
        while (strncmp(text, "end", 3) != 0) {
            assert_true(++step_count < 10000);
            if (strncmp(text, "post", 4) == 0) {
                text = is_taken ? answer(&world, 200) : failure(&world);
            } else if (strcmp(text, "ask") == 0) {
                text = node(&world, false);
            } else {
                text = waited(&world, strtoul(text + 5, NULL, 10));
            }
        }
        assert_string_equal(text, late);
        assert_int_equal(world.now_ms - begin_ms, HELLO_TOTAL_MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_phases), cmocka_unit_test(test_ready_overtakes),
        cmocka_unit_test(test_back_off),    cmocka_unit_test(test_jitter_is_in_the_upper_half),
        cmocka_unit_test(test_statuses),    cmocka_unit_test(test_late),
    };

    return cmocka_run_group_tests_name("node/hello/plan", tests, NULL, NULL);
}
