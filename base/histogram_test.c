#include "base/histogram.h"
#include "base/test.h"

static void test_bounds(void **state)
{
    (void)state;
    assert_int_equal(ray_histogram_bound_ns(0), 16000);
    assert_int_equal(ray_histogram_bound_ns(RAY_HISTOGRAM_BUCKETS - 1), UINT64_MAX);
    for (size_t i = 1; i < RAY_HISTOGRAM_BUCKETS; i++) {
        assert_true(ray_histogram_bound_ns(i) > ray_histogram_bound_ns(i - 1));
    }
    assert_int_equal(ray_histogram_bound_ns(RAY_HISTOGRAM_BUCKETS - 2), 16777216000);
}

/* At a bound, and one beyond it. */
static void test_add(void **state)
{
    uint64_t sum_ns = 0;
    uint64_t count = 0;

    (void)state;
    for (size_t i = 0; i < RAY_HISTOGRAM_BUCKETS; i++) {
        struct ray_histogram histogram = {.sum_ns = 0};
        uint64_t bound_ns = ray_histogram_bound_ns(i);

        ray_histogram_add(&histogram, bound_ns);
        assert_int_equal(histogram.counts[i], 1);
        if (bound_ns != UINT64_MAX) {
            ray_histogram_add(&histogram, bound_ns + 1);
            assert_int_equal(histogram.counts[i + 1], 1);
            assert_int_equal(ray_histogram_count(&histogram), 2);
            assert_int_equal(histogram.sum_ns, 2 * bound_ns + 1);
        }
    }
    for (struct ray_histogram all = {.sum_ns = 0}; count < 1000; count++) {
        ray_histogram_add(&all, count * 100000);
        sum_ns += count * 100000;
        assert_int_equal(ray_histogram_count(&all), count + 1);
        assert_int_equal(all.sum_ns, sum_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_add),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
