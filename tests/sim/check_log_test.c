/* Each thing that check_log looks for, found; and a good run let go. */
#include "base/test.h"
#include "tests/sim/check_log.h"
#include "tests/sim/mem.h"
#include "tests/sim/rng.h"

struct fixture {
    struct sim_verdict verdict;
    struct sim_check_log check;
};

static int set_up(void **state)
{
    struct fixture *fixture = sim_alloc(1, sizeof *fixture);

    sim_check_log_init(&fixture->check, &fixture->verdict);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    sim_check_log_fini(&fixture->check);
    free(fixture);
    return 0;
}

static void expect(const struct fixture *fixture, enum sim_checker checker)
{
    assert_true(fixture->verdict.is_bad);
    assert_int_equal(fixture->verdict.checker, checker);
    assert_true(strlen(fixture->verdict.text) > 0);
}

static void test_good(void **state)
{
    struct fixture *fixture = *state;

    for (uint64_t index = 1; index <= 1000; index++) {
        uint64_t term = 1 + index / 100;

        sim_check_log_leads(&fixture->check, term % 3, term);
        for (uint32_t node = 0; node < 3; node++) {
            sim_check_log_appended(&fixture->check, node, index, term, index * 7,
                                   index == 1 ? 0 : 1 + (index - 1) / 100);
            sim_check_log_applied(&fixture->check, node, index, term, index * 7);
            sim_check_log_state(&fixture->check, node, index, index * 11);
        }
        sim_check_log_acked(&fixture->check, index);
    }
    sim_check_log_end(&fixture->check, 0, 1000);
    assert_false(fixture->verdict.is_bad);
    assert_int_equal(sim_check_log_committed(&fixture->check, 500)->hash, 3500);
    assert_null(sim_check_log_committed(&fixture->check, 1001));
}

static void test_two_leaders(void **state)
{
    struct fixture *fixture = *state;

    sim_check_log_leads(&fixture->check, 1, 4);
    sim_check_log_leads(&fixture->check, 1, 4);
    assert_false(fixture->verdict.is_bad);
    sim_check_log_leads(&fixture->check, 2, 4);
    expect(fixture, SIM_CHECK_ELECTION);
}

static void test_entry_differs(void **state)
{
    struct fixture *fixture = *state;

    sim_check_log_appended(&fixture->check, 0, 5, 2, 77, 1);
    sim_check_log_appended(&fixture->check, 1, 5, 3, 78, 1); /* another term may differ */
    assert_false(fixture->verdict.is_bad);
    sim_check_log_appended(&fixture->check, 1, 5, 2, 78, 1);
    expect(fixture, SIM_CHECK_LOG);
}

static void test_before_differs(void **state)
{
    struct fixture *fixture = *state;

    sim_check_log_appended(&fixture->check, 0, 5, 2, 77, 1);
    sim_check_log_appended(&fixture->check, 1, 5, 2, 77, 2);
    expect(fixture, SIM_CHECK_LOG);
}

static void test_commit_differs(void **state)
{
    struct fixture *fixture = *state;

    sim_check_log_applied(&fixture->check, 0, 9, 2, 77);
    sim_check_log_applied(&fixture->check, 1, 9, 3, 77);
    expect(fixture, SIM_CHECK_LOG);
}

static void test_acked_is_replaced(void **state)
{
    struct fixture *fixture = *state;

    sim_check_log_applied(&fixture->check, 0, 9, 2, 77);
    sim_check_log_acked(&fixture->check, 9);
    sim_check_log_applied(&fixture->check, 1, 9, 3, 77);
    expect(fixture, SIM_CHECK_DURABLE);
}

static void test_state_differs(void **state)
{
    struct fixture *fixture = *state;

    sim_check_log_state(&fixture->check, 0, 9, 1);
    sim_check_log_state(&fixture->check, 1, 9, 2);
    expect(fixture, SIM_CHECK_STATE);
}

static void test_acked_is_gone(void **state)
{
    struct fixture *fixture = *state;

    for (uint64_t index = 1; index <= 9; index++) {
        sim_check_log_applied(&fixture->check, 0, index, 2, index);
    }
    sim_check_log_acked(&fixture->check, 7);
    sim_check_log_end(&fixture->check, 0, 7);
    assert_false(fixture->verdict.is_bad);
    sim_check_log_end(&fixture->check, 0, 6);
    expect(fixture, SIM_CHECK_DURABLE);
}

static void test_acked_from_nowhere(void **state)
{
    struct fixture *fixture = *state;

    sim_check_log_acked(&fixture->check, 3);
    expect(fixture, SIM_CHECK_DURABLE);
}

static void test_map(void **state)
{
    struct sim_map map = {0};
    struct sim_rng rng;
    bool is_new;

    (void)state;
    assert_null(sim_map_get(&map, 1, 2));
    sim_rng_init(&rng, 1);
    for (uint64_t i = 0; i < 5000; i++) {
        *sim_map_put(&map, i, i % 3, 0, &is_new) = i * 5;
        assert_true(is_new);
    }
    for (uint64_t i = 0; i < 5000; i++) {
        assert_int_equal(*sim_map_get(&map, i, i % 3), i * 5);
        assert_null(sim_map_get(&map, i, 3));
    }
    sim_map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_leaders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_entry_differs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_before_differs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commit_differs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_acked_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_state_differs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_acked_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_acked_from_nowhere, set_up, tear_down),
        cmocka_unit_test(test_map),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
