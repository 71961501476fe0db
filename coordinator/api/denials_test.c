/* denials_test.c - so many are told in a second, the others counted, none lost. */
#include "base/clock.h"
#include "base/test.h"
#include "coordinator/api/denials.h"

#define SECOND_NS (1000 * RAY_NS_PER_MS)

static void test_so_many_in_a_second(void **state)
{
    struct member_denials denials = {0};
    const uint64_t start_ns = 5 * SECOND_NS;

    (void)state;
    for (unsigned i = 0; i < MEMBER_DENIALS_TOLD_MAX; i++) {
        assert_true(member_denials_take(&denials, start_ns + i));
    }
    assert_int_equal(member_denials_held(&denials, start_ns + 2 * SECOND_NS), 0);
    assert_false(member_denials_take(&denials, start_ns + 20));
    assert_false(member_denials_take(&denials, start_ns + SECOND_NS - 1));
    assert_int_equal(member_denials_held(&denials, start_ns + SECOND_NS - 1), 0);
    assert_int_equal(member_denials_held(&denials, start_ns + SECOND_NS), 2);
    assert_int_equal(member_denials_held(&denials, start_ns + SECOND_NS), 0); /* once */
    assert_true(member_denials_take(&denials, start_ns + SECOND_NS));
}

static void test_what_nobody_fetched_is_kept(void **state)
{
    struct member_denials denials = {0};
    uint64_t now_ns = SECOND_NS;
    uint64_t told = 0;

    (void)state;
    for (int i = 0; i < 3; i++, now_ns += SECOND_NS) {
        for (int j = 0; j < 2 * MEMBER_DENIALS_TOLD_MAX; j++) {
            told += member_denials_take(&denials, now_ns);
        }
    }
    assert_int_equal(told, 3 * MEMBER_DENIALS_TOLD_MAX);
    assert_int_equal(member_denials_held(&denials, now_ns), 3 * MEMBER_DENIALS_TOLD_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_so_many_in_a_second),
        cmocka_unit_test(test_what_nobody_fetched_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
