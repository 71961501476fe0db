/* Levels of pressure at the edges of their times, and how often they can change at most. */
#include <string.h>

#include "base/clock.h"
#include "base/test.h"
#include "node/init/pressure_core.h"

static const struct pressure_rule rule = {"memory", "full 1 1", 3000, 15000, true};

static uint64_t at(uint64_t ms)
{
    return (1000000 + ms) * RAY_NS_PER_MS;
}

static void test_lasting_alarms_make_it_high(void **state)
{
    struct pressure_level level = {0};

    (void)state;
    assert_true(pressure_next_ns(&level, &rule) == UINT64_MAX);
    assert_false(pressure_alarm(&level, &rule, at(0)));
    assert_false(pressure_alarm(&level, &rule, at(1000)));
    assert_false(pressure_alarm(&level, &rule, at(2999)));
    assert_true(pressure_alarm(&level, &rule, at(3000)));
    assert_true(level.is_high && level.since_ns == at(3000));
    assert_false(pressure_alarm(&level, &rule, at(4000))); /* said already */
    assert_true(level.since_ns == at(3000));
}

static void test_gap_begins_a_new_row(void **state)
{
    struct pressure_level level = {0};

    (void)state;
    assert_false(pressure_alarm(&level, &rule, at(0)));
    assert_false(pressure_alarm(&level, &rule, at(2000)));
    assert_false(pressure_alarm(&level, &rule, at(2000 + PRESSURE_GAP_MS + 1)));
    assert_false(pressure_alarm(&level, &rule, at(2000 + PRESSURE_GAP_MS + 3000)));
    assert_true(pressure_alarm(&level, &rule, at(2000 + PRESSURE_GAP_MS + 3001)));
    level = (struct pressure_level){0};
    assert_false(pressure_alarm(&level, &rule, at(0)));
    assert_true(pressure_alarm(&level, &rule, at(PRESSURE_GAP_MS))); /* just no gap */
}

static void test_quiet_makes_it_normal(void **state)
{
    struct pressure_level level = {0};

    (void)state;
    assert_false(pressure_tick(&level, &rule, at(0)));
    assert_false(pressure_alarm(&level, &rule, at(0)));
    assert_true(pressure_alarm(&level, &rule, at(3000)));
    assert_false(pressure_tick(&level, &rule, at(17999)));
    assert_false(pressure_alarm(&level, &rule, at(17999))); /* stays high for longer */
    assert_true(pressure_next_ns(&level, &rule) == at(32999));
    assert_false(pressure_tick(&level, &rule, at(32998)));
    assert_true(pressure_tick(&level, &rule, at(32999)));
    assert_true(!level.is_high && level.since_ns == at(32999));
    assert_false(pressure_tick(&level, &rule, at(99999))); /* once */
    assert_false(pressure_alarm(&level, &rule, at(100000)));
}

/* Whatever the alarms: two changes to high are at least both times apart. */
static void test_changes_are_rare(void **state)
{
    uint64_t random = 88172645463325252u;
    struct pressure_level level = {0};
    uint64_t high_ns = 0;
    unsigned count = 0;

    (void)state;
    for (uint64_t ms = 0; ms < 3600000; ms += 500) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (void)pressure_tick(&level, &rule, at(ms));
        /* Minutes of storm and minutes of flicker. */
        if ((ms / 60000) % 2 == 0 ? random % 2 == 0 : random % 20 == 0) {
            if (pressure_alarm(&level, &rule, at(ms))) {
                assert_true(high_ns == 0 || at(ms) - high_ns >= 18000 * RAY_NS_PER_MS);
                high_ns = at(ms);
                count++;
            }
        }
    }
    assert_true(count > 10);
}

static void test_rules(void **state)
{
    (void)state;
    for (int kind = 0; kind < PRESSURE_KIND_COUNT; kind++) {
        const struct pressure_rule *one = pressure_rule((enum pressure_kind)kind);
        unsigned lost_us, window_us;
        char line[8];

        assert_int_equal(sscanf(one->trigger, "%7s %u %u", line, &lost_us, &window_us), 3);
        assert_true(strcmp(line, "some") == 0 || strcmp(line, "full") == 0);
        /* What the kernel takes: windows of 0.5 to 10 s. */
        assert_true(window_us >= 500000 && window_us <= 10000000 && lost_us < window_us);
        assert_true(window_us / 1000 < PRESSURE_GAP_MS);
        assert_true(one->normal_after_ms > PRESSURE_GAP_MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lasting_alarms_make_it_high),
        cmocka_unit_test(test_gap_begins_a_new_row),
        cmocka_unit_test(test_quiet_makes_it_normal),
        cmocka_unit_test(test_changes_are_rare),
        cmocka_unit_test(test_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
