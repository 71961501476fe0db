/* Progress, quarantine; and the list of mutants names only checkers that there are. */
#include "base/test.h"
#include "coordinator/mutant.h"
#include "tests/sim/check_end.h"

static struct sim_verdict judge(struct sim_end_node *nodes, size_t done_count, size_t pending_count)
{
    struct sim_end end = {.nodes = nodes,
                          .node_count = 3,
                          .healed_done_count = done_count,
                          .pending_count = pending_count};
    struct sim_verdict verdict = {0};

    sim_check_progress(&end, &verdict);
    assert_true(!verdict.is_bad || verdict.checker == SIM_CHECK_PROGRESS);
    return verdict;
}

static void test_progress(void **state)
{
    const struct sim_end_node good[3] = {{.is_up = true, .is_leader = true, .applied_index = 9},
                                         {.is_up = true, .applied_index = 9},
                                         {.is_up = true, .applied_index = 9}};
    struct sim_end_node nodes[3];

    (void)state;
    memcpy(nodes, good, sizeof nodes);
    assert_false(judge(nodes, 1, 0).is_bad);
    assert_true(judge(nodes, 0, 0).is_bad);
    assert_true(judge(nodes, 1, 1).is_bad);
    nodes[1].is_leader = true;
    assert_true(judge(nodes, 1, 0).is_bad);
    memcpy(nodes, good, sizeof nodes);
    nodes[0].is_leader = false;
    assert_true(judge(nodes, 1, 0).is_bad);
    memcpy(nodes, good, sizeof nodes);
    nodes[2].applied_index = 8;
    assert_true(judge(nodes, 1, 0).is_bad);
    nodes[2].is_quarantined = true;
    assert_true(judge(nodes, 1, 0).is_bad);
    nodes[2].was_damaged = true;
    assert_false(judge(nodes, 1, 0).is_bad);
    memcpy(nodes, good, sizeof nodes);
    nodes[2].is_up = false;
    assert_true(judge(nodes, 1, 0).is_bad);
}

/* 0 alone has 3 as a voter; 1 and 2 do not; 3 has what 2 wrote before its disk was lost. */
static void test_nobody_can_be_elected(void **state)
{
    struct sim_end_node nodes[4] = {
        {.is_up = true, .voters = 0xf, .voter_count = 4, .last_index = 9, .last_term = 2},
        {.is_up = true, .voters = 0x7, .voter_count = 3, .last_index = 5, .last_term = 2},
        {.is_up = true, .is_quarantined = true},
        {.is_up = true, .voters = 0x7, .voter_count = 3, .last_index = 8, .last_term = 3}};
    struct sim_end end = {.nodes = nodes, .node_count = 4, .healed_done_count = 1};
    struct sim_verdict verdict = {0};

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        nodes[i].place = i;
    }
    assert_false(sim_check_progress(&end, &verdict));
    assert_false(verdict.is_bad);
    nodes[3].last_term = 2; /* now it votes for 0 */
    assert_true(sim_check_progress(&end, &verdict));
    assert_true(verdict.is_bad);
    verdict = (struct sim_verdict){0};
    nodes[3].last_term = 3;
    nodes[1].last_index = 9; /* and now 0 for 1 */
    assert_true(sim_check_progress(&end, &verdict));
    assert_true(verdict.is_bad);
    verdict = (struct sim_verdict){0};
    nodes[1].last_index = 5;
    nodes[2].is_quarantined = false; /* nothing was lost */
    assert_true(sim_check_progress(&end, &verdict));
    assert_true(verdict.is_bad);
}

static void test_quarantine(void **state)
{
    struct sim_verdict verdict = {0};

    (void)state;
    sim_check_quarantine(1, true, "rot", &verdict);
    assert_false(verdict.is_bad);
    sim_check_quarantine(1, false, "rot", &verdict);
    assert_int_equal(verdict.checker, SIM_CHECK_QUARANTINE);
}

static void test_level(void **state)
{
    const uint32_t levels[] = {2, 1, 2};
    struct sim_verdict verdict = {0};

    (void)state;
    sim_check_level(1, levels, 7, &verdict);
    sim_check_level(2, levels, 5, &verdict); /* the older one is no member */
    assert_false(verdict.is_bad);
    sim_check_level(2, levels, 2, &verdict);
    assert_int_equal(verdict.checker, SIM_CHECK_LEVEL);
}

static void test_first_is_kept(void **state)
{
    struct sim_verdict verdict = {0};

    (void)state;
    sim_verdict_fail(&verdict, SIM_CHECK_LOG, "first %d", 1);
    sim_verdict_fail(&verdict, SIM_CHECK_ONCE, "second");
    assert_int_equal(verdict.checker, SIM_CHECK_LOG);
    assert_string_equal(verdict.text, "first 1");
}

static void test_mutants_name_checkers(void **state)
{
    (void)state;
    for (int i = RAY_MUTANT_NONE + 1; i < RAY_MUTANT_COUNT; i++) {
        const char *at = ray_mutant_info((enum ray_mutant)i)->checker;

        while (*at != '\0') {
            size_t length = strcspn(at, "|");

            assert_true(strncmp(at, "test:", 5) == 0 ||
                        sim_checker_find(at, length) != SIM_CHECKER_COUNT);
            at += length + (at[length] == '|');
        }
    }
    for (int i = 0; i < SIM_CHECKER_COUNT; i++) {
        const char *name = sim_checker_name((enum sim_checker)i);

        assert_int_equal(sim_checker_find(name, strlen(name)), i);
        assert_true(strlen(sim_checker_text((enum sim_checker)i)) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress),      cmocka_unit_test(test_nobody_can_be_elected),
        cmocka_unit_test(test_quarantine),    cmocka_unit_test(test_level),
        cmocka_unit_test(test_first_is_kept), cmocka_unit_test(test_mutants_name_checkers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
