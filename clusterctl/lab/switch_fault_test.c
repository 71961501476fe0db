/* switch_fault_test.c - every fault alone and in pairs against a simulated clock. */
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "base/test.h"
#include "clusterctl/lab/switch_fault.h"

static struct ray_switch_link make_link(uint64_t seed, struct ray_switch_fault fault)
{
    struct ray_switch_link link;

    ray_switch_link_init(&link, seed, "a", "b");
    link.fault = fault;
    return link;
}

static void test_no_fault(void **state)
{
    struct ray_switch_link link = make_link(1, (struct ray_switch_fault){0});
    uint64_t random = link.random;
    (void)state;

    for (uint64_t now = 0; now < 100; now++) {
        struct ray_switch_decision decision = ray_switch_link_decide(&link, now, 60);

        assert_int_equal(decision.verdict, RAY_SWITCH_PASS);
        assert_int_equal(decision.copy_count, 1);
        assert_int_equal(decision.at_ns, now);
        assert_false(decision.is_late);
    }
    assert_true(link.random == random); /* no dice were thrown */
}

static size_t count_passed(struct ray_switch_link *link, size_t count)
{
    size_t passed = 0;

    for (size_t i = 0; i < count; i++) {
        passed += ray_switch_link_decide(link, i, 60).verdict == RAY_SWITCH_PASS;
    }
    return passed;
}

static void test_loss(void **state)
{
    static const uint32_t ppms[] = {1, 1000, 50000, 500000, 999999};
    enum { COUNT = 200000 };
    struct ray_switch_link link;
    (void)state;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(ppms); i++) {
        double p = ppms[i] / 1e6;
        double want = (double)COUNT * (1 - p);
        double deviation_squared = (double)COUNT * p * (1 - p);
        double off;

        link = make_link(i + 1, (struct ray_switch_fault){.loss_ppm = ppms[i]});
        off = (double)count_passed(&link, COUNT) - want;
        /* Five standard deviations; the seeds are fixed, so this cannot flap. */
        assert_true(off * off <= 25 * deviation_squared + 4);
    }
    link = make_link(1, (struct ray_switch_fault){.loss_ppm = RAY_SWITCH_PPM});
    assert_int_equal(count_passed(&link, COUNT), 0);
}

static void test_seed_repeats(void **state)
{
    struct ray_switch_fault fault = {.loss_ppm = 300000, .jitter_ns = 1000, .reorder_ppm = 1000};
    struct ray_switch_link first = make_link(42, fault);
    struct ray_switch_link again = make_link(42, fault);
    struct ray_switch_link other_seed = make_link(43, fault);
    struct ray_switch_link other_names;
    size_t differs_seed = 0;
    size_t differs_names = 0;
    (void)state;

    ray_switch_link_init(&other_names, 42, "b", "a");
    other_names.fault = fault;
    for (uint64_t now = 0; now < 1000; now++) {
        struct ray_switch_decision a = ray_switch_link_decide(&first, now, 60);
        struct ray_switch_decision b = ray_switch_link_decide(&again, now, 60);

        assert_int_equal(a.verdict, b.verdict);
        assert_true(a.at_ns == b.at_ns && a.is_late == b.is_late);
        differs_seed += ray_switch_link_decide(&other_seed, now, 60).verdict != a.verdict;
        differs_names += ray_switch_link_decide(&other_names, now, 60).verdict != a.verdict;
    }
    assert_true(differs_seed > 300); /* 420 are expected of independent dice */
    assert_true(differs_names > 300);
}

/* The same frames are lost whatever other faults are set. */
static void test_dice_do_not_shift(void **state)
{
    struct ray_switch_link plain = make_link(7, (struct ray_switch_fault){.loss_ppm = 200000});
    struct ray_switch_link full = make_link(7, (struct ray_switch_fault){.loss_ppm = 200000,
                                                                         .duplicate_ppm = 500000,
                                                                         .reorder_ppm = 500000,
                                                                         .delay_ns = 1000,
                                                                         .jitter_ns = 1000});
    (void)state;

    for (uint64_t now = 0; now < 10000; now++) {
        assert_int_equal(ray_switch_link_decide(&plain, now, 60).verdict,
                         ray_switch_link_decide(&full, now, 60).verdict);
    }
}

static void test_cut(void **state)
{
    struct ray_switch_link link = make_link(1, (struct ray_switch_fault){.is_cut = true});
    (void)state;

    for (uint64_t now = 0; now < 100; now++) {
        assert_int_equal(ray_switch_link_decide(&link, now, 60).verdict, RAY_SWITCH_DROP_CUT);
    }
    link.fault.is_cut = false;
    assert_int_equal(ray_switch_link_decide(&link, 100, 60).at_ns, 100);
}

static void test_delay_keeps_order(void **state)
{
    struct ray_switch_link link =
        make_link(5, (struct ray_switch_fault){.delay_ns = 20 * RAY_NS_PER_MS,
                                               .jitter_ns = 10 * RAY_NS_PER_MS});
    uint64_t last_ns = 0;
    uint64_t least_ns = UINT64_MAX;
    uint64_t most_ns = 0;
    (void)state;

    /* Far apart, so that order does not stretch the delay. */
    for (uint64_t now = 0; now < 2000 * RAY_NS_PER_S; now += RAY_NS_PER_S) {
        uint64_t delay_ns = ray_switch_link_decide(&link, now, 60).at_ns - now;

        assert_in_range(delay_ns, 20 * RAY_NS_PER_MS, 30 * RAY_NS_PER_MS);
        least_ns = delay_ns < least_ns ? delay_ns : least_ns;
        most_ns = delay_ns > most_ns ? delay_ns : most_ns;
    }
    assert_true(least_ns < 20100 * RAY_NS_PER_US && most_ns > 29900 * RAY_NS_PER_US);
    /* Close together: never before the one in front, never later than the most. */
    for (uint64_t now = 3000 * RAY_NS_PER_S; now < 3001 * RAY_NS_PER_S; now += 100000) {
        struct ray_switch_decision decision = ray_switch_link_decide(&link, now, 60);

        assert_true(decision.at_ns >= last_ns);
        assert_true(decision.at_ns <= now + 30 * RAY_NS_PER_MS);
        last_ns = decision.at_ns;
    }
}

/* Without the fault frames still queue behind those that wait. */
static void test_clear_keeps_order(void **state)
{
    struct ray_switch_link link =
        make_link(5, (struct ray_switch_fault){.delay_ns = 50 * RAY_NS_PER_MS});
    (void)state;

    assert_int_equal(ray_switch_link_decide(&link, 0, 60).at_ns, 50 * RAY_NS_PER_MS);
    link.fault = (struct ray_switch_fault){0};
    assert_int_equal(ray_switch_link_decide(&link, 1, 60).at_ns, 50 * RAY_NS_PER_MS);
    assert_int_equal(ray_switch_link_decide(&link, 60 * RAY_NS_PER_MS, 60).at_ns,
                     60 * RAY_NS_PER_MS);
}

static void test_rate(void **state)
{
    /* 1 Mbit/s: 1250 bytes take 10 ms. */
    struct ray_switch_link link = make_link(1, (struct ray_switch_fault){.rate_bps = 1000000});
    size_t passed = 0;
    (void)state;

    for (size_t i = 0; i < 100; i++) {
        struct ray_switch_decision decision = ray_switch_link_decide(&link, 0, 1250);

        if (decision.verdict == RAY_SWITCH_PASS) {
            passed++;
            assert_true(decision.at_ns == passed * 10 * RAY_NS_PER_MS);
        } else {
            assert_int_equal(decision.verdict, RAY_SWITCH_DROP_RATE);
        }
    }
    assert_int_equal(passed, RAY_SWITCH_RATE_BACKLOG_MS / 10 + 1);
    /* At the rate itself everything passes. */
    for (uint64_t i = 1; i <= 1000; i++) {
        uint64_t now_ns = RAY_NS_PER_S + i * 10 * RAY_NS_PER_MS;

        assert_int_equal(ray_switch_link_decide(&link, now_ns, 1250).verdict, RAY_SWITCH_PASS);
    }
    /* The slowest rate with the largest frame: one passes, nothing overflows. */
    link = make_link(1, (struct ray_switch_fault){.rate_bps = 1000});
    assert_true(ray_switch_link_decide(&link, 0, 69632).at_ns ==
                UINT64_C(69632) * 8 * RAY_NS_PER_MS);
    assert_int_equal(ray_switch_link_decide(&link, 1, 60).verdict, RAY_SWITCH_DROP_RATE);
}

static void test_copies_and_lateness(void **state)
{
    struct ray_switch_link link =
        make_link(9, (struct ray_switch_fault){.duplicate_ppm = 250000, .reorder_ppm = 250000});
    size_t copies = 0;
    size_t late = 0;
    (void)state;

    for (uint64_t now = 0; now < 100000; now++) {
        struct ray_switch_decision decision = ray_switch_link_decide(&link, now, 60);

        assert_in_range(decision.copy_count, 1, 2);
        assert_true(decision.copy_count == 1 || !decision.is_late);
        copies += decision.copy_count;
        late += decision.is_late;
    }
    assert_in_range(copies, 124000, 126000);
    assert_in_range(late, 18000, 19500); /* a quarter of the three quarters that are single */
}

static void test_fault_is_set(void **state)
{
    const struct ray_switch_fault faults[] = {
        {.loss_ppm = 1},  {.duplicate_ppm = 1}, {.reorder_ppm = 1}, {.delay_ns = 1},
        {.jitter_ns = 1}, {.rate_bps = 1},      {.is_cut = true},
    };
    (void)state;

    assert_false(ray_switch_fault_is_set(&(struct ray_switch_fault){0}));
    for (size_t i = 0; i < RAY_ARRAY_COUNT(faults); i++) {
        assert_true(ray_switch_fault_is_set(&faults[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_fault),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_seed_repeats),
        cmocka_unit_test(test_dice_do_not_shift),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_delay_keeps_order),
        cmocka_unit_test(test_clear_keeps_order),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_copies_and_lateness),
        cmocka_unit_test(test_fault_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
