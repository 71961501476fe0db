#include "base/clock.h"
#include "base/test.h"
#include "node/init/rate_limit.h"

static void test_burst_then_rate(void **state)
{
    struct rate_limit limit;
    uint64_t now_ns = 5 * RAY_NS_PER_S;

    (void)state;
    rate_limit_init(&limit, 3, 10, now_ns);
    for (int i = 0; i < 3; i++) {
        assert_true(rate_limit_take(&limit, now_ns));
    }
    assert_false(rate_limit_take(&limit, now_ns));
    assert_false(rate_limit_take(&limit, now_ns + 99 * RAY_NS_PER_MS));
    assert_true(rate_limit_take(&limit, now_ns + 100 * RAY_NS_PER_MS));
    assert_false(rate_limit_take(&limit, now_ns + 100 * RAY_NS_PER_MS));
    assert_int_equal(limit.suppressed_count, 3);
}

static void test_reports_once(void **state)
{
    struct rate_limit limit;

    (void)state;
    rate_limit_init(&limit, 1, 1, 0);
    assert_true(rate_limit_take(&limit, 0));
    assert_false(rate_limit_take(&limit, 0));
    assert_false(rate_limit_take(&limit, 0));
    assert_int_equal(rate_limit_report(&limit, 0), 0); /* nothing passes yet */
    assert_int_equal(rate_limit_report(&limit, RAY_NS_PER_S), 2);
    assert_int_equal(rate_limit_report(&limit, RAY_NS_PER_S), 0);
}

static void test_small_steps_add_up(void **state)
{
    struct rate_limit limit;
    uint64_t now_ns = 0;
    int passed = 0;

    (void)state;
    rate_limit_init(&limit, 1, 20, 0);
    assert_true(rate_limit_take(&limit, 0));
    for (int i = 0; i < 100000; i++) { /* one second in steps of 10 us */
        now_ns += 10 * RAY_NS_PER_US;
        passed += rate_limit_take(&limit, now_ns) ? 1 : 0;
    }
    assert_in_range(passed, 19, 20);
}

static void test_time_backwards_and_far_ahead(void **state)
{
    struct rate_limit limit;

    (void)state;
    rate_limit_init(&limit, 2, 1000000, 100);
    assert_true(rate_limit_take(&limit, 50));
    assert_true(rate_limit_take(&limit, 0));
    assert_false(rate_limit_take(&limit, 0));
    assert_true(rate_limit_take(&limit, UINT64_MAX));
    assert_true(rate_limit_take(&limit, UINT64_MAX));
    assert_false(rate_limit_take(&limit, UINT64_MAX)); /* never above the burst */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_reports_once),
        cmocka_unit_test(test_small_steps_add_up),
        cmocka_unit_test(test_time_backwards_and_far_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
