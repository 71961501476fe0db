#include "base/test.h"
#include "coordinator/lease/clock_check.h"

#define S UINT64_C(1000000000)

static void test_whole_seconds_are_no_gap(void **state)
{
    struct coord_lease_clock_check check = {0};

    (void)state;
    for (uint64_t boot = 0; boot < 2000 * S; boot += S / 2) {
        uint64_t rtc = (5000 * S + boot + 3 * S / 10) / S * S;

        assert_false(coord_lease_clock_check_step(&check, boot, rtc));
    }
}

static void test_a_clock_that_stood_still(void **state)
{
    struct coord_lease_clock_check check = {0};

    (void)state;
    assert_false(coord_lease_clock_check_step(&check, 10 * S, 100 * S));
    assert_false(coord_lease_clock_check_step(&check, 11 * S, 104 * S)); /* the first gap */
    assert_true(coord_lease_clock_check_step(&check, 12 * S, 105 * S));
    /* It has begun anew. */
    assert_false(coord_lease_clock_check_step(&check, 13 * S, 106 * S));
    assert_false(coord_lease_clock_check_step(&check, 14 * S, 107 * S));
}

static void test_one_gap_alone(void **state)
{
    struct coord_lease_clock_check check = {0};

    (void)state;
    assert_false(coord_lease_clock_check_step(&check, 10 * S, 100 * S));
    assert_false(coord_lease_clock_check_step(&check, 11 * S, 500 * S));
    assert_false(coord_lease_clock_check_step(&check, 12 * S, 102 * S));
    assert_false(coord_lease_clock_check_step(&check, 13 * S, 500 * S));
}

static void test_set_back_and_set_by_us(void **state)
{
    struct coord_lease_clock_check check = {0};

    (void)state;
    assert_false(coord_lease_clock_check_step(&check, 10 * S, 100 * S));
    assert_false(coord_lease_clock_check_step(&check, 11 * S, 1 * S));
    assert_true(coord_lease_clock_check_step(&check, 12 * S, 2 * S));
    coord_lease_clock_check_reset(&check);
    assert_false(coord_lease_clock_check_step(&check, 13 * S, 7000 * S));
    assert_false(coord_lease_clock_check_step(&check, 14 * S, 7001 * S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_seconds_are_no_gap),
        cmocka_unit_test(test_a_clock_that_stood_still),
        cmocka_unit_test(test_one_gap_alone),
        cmocka_unit_test(test_set_back_and_set_by_us),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
