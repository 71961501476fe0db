#include "base/test.h"
#include "coordinator/lease/grant.h"

#define MS UINT64_C(1000000)

static void test_w(void **state)
{
    const struct coord_lease_timing lan = {3000 * MS, 500 * MS, 10000};
    const struct coord_lease_timing slow = {15000 * MS, 3000 * MS, 10000};
    const struct coord_lease_timing exact = {2000, 1000, 0};
    const struct coord_lease_timing largest = {COORD_LEASE_TIME_MAX_NS, 2 * COORD_LEASE_TIME_MAX_NS,
                                               COORD_LEASE_DRIFT_PPM_MAX};

    (void)state;
    /* 3.5 s * 1.01 / 0.99, rounded up */
    assert_int_equal(coord_lease_wait_ns(&lan), UINT64_C(3570707071));
    assert_int_equal(coord_lease_wait_ns(&slow), UINT64_C(18363636364));
    assert_int_equal(coord_lease_wait_ns(&exact), 3000);
    assert_int_equal(coord_lease_wait_ns(&largest), UINT64_C(2200000000000));
}

static void test_limits(void **state)
{
    struct coord_lease_timing timing = {3000 * MS, 500 * MS, 10000};
    struct coord_lease_timing other = {1000 * MS, 600 * MS, 20000};

    (void)state;
    assert_int_equal(coord_lease_timing_check(&timing, NULL), RAY_OK);
    timing = coord_lease_timing_max(&timing, &other);
    assert_true(timing.grant_ns == 3000 * MS && timing.margin_ns == 600 * MS &&
                timing.drift_ppm == 20000);
    timing.grant_ns = COORD_LEASE_TIME_MAX_NS;
    timing.margin_ns = COORD_LEASE_TIME_MAX_NS;
    timing.drift_ppm = COORD_LEASE_DRIFT_PPM_MAX;
    assert_int_equal(coord_lease_timing_check(&timing, NULL), RAY_OK);
    timing.drift_ppm++;
    assert_int_equal(coord_lease_timing_check(&timing, NULL), RAY_EINVAL);
    timing.drift_ppm = 0;
    timing.grant_ns++;
    assert_int_equal(coord_lease_timing_check(&timing, NULL), RAY_EINVAL);
    timing.grant_ns = 0;
    assert_int_equal(coord_lease_timing_check(&timing, NULL), RAY_EINVAL);
    timing.grant_ns = 1;
    timing.margin_ns = 0;
    assert_int_equal(coord_lease_timing_check(&timing, NULL), RAY_EINVAL);
}

static void test_hash_sees_every_field(void **state)
{
    static const struct coord_lease_hash none;
    const struct coord_lease_pair pair = {
        .id = {{1}}, .epoch = {1, 5}, .from = {1, 4}, .origin = RAY_EPOCH_START, .kind = 1};
    struct coord_lease_hash all[9];
    struct coord_lease_pair changed[8];
    struct coord_lease_pair two[2] = {pair, pair};

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        changed[i] = pair;
    }
    changed[1].id.bytes[15] = 1;
    changed[2].epoch.cluster = 2;
    changed[3].epoch.index = 6;
    changed[4].from.cluster = 0;
    changed[5].from.index = 3;
    changed[6].origin = RAY_EPOCH_CANCEL;
    changed[7].kind = COORD_LEASE_PRESENTATION;
    for (size_t i = 0; i < 8; i++) {
        all[i] = coord_lease_hash_of(&changed[i], 1);
    }
    all[8] = coord_lease_hash_of(NULL, 0);
    for (size_t i = 0; i < 9; i++) {
        assert_false(coord_lease_hash_equal(&all[i], &none));
        for (size_t j = 0; j < i; j++) {
            assert_false(coord_lease_hash_equal(&all[i], &all[j]));
        }
    }
    two[0].id.bytes[0] = 9;
    coord_lease_sort(two, 2);
    assert_int_equal(two[0].id.bytes[0], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_w),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_hash_sees_every_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
