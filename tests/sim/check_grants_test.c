/* Each lemma of grants, held and broken once. */
#include "base/test.h"
#include "tests/sim/check_grants.h"

struct fixture {
    struct sim_verdict verdict;
    struct sim_check_grants check;
};

static void begin(struct fixture *fix)
{
    *fix = (struct fixture){.verdict = {.is_bad = false}};
    sim_check_grants_init(&fix->check, &fix->verdict);
}

static void must_hold(struct fixture *fix)
{
    assert_false(fix->verdict.is_bad);
}

static void must_fail(struct fixture *fix, enum sim_checker checker)
{
    assert_true(fix->verdict.is_bad);
    assert_int_equal(fix->verdict.checker, checker);
    sim_check_grants_fini(&fix->check);
}

static struct ray_epoch epoch_of(uint64_t index)
{
    return (struct ray_epoch){1, index};
}

static struct sim_grants_guest running_guest(uint64_t index)
{
    return (struct sim_grants_guest){
        .is_there = true, .is_wanted = true, .has_run = true, .epoch = epoch_of(index)};
}

static void test_one_run(void **state)
{
    struct fixture fix;
    uint64_t first = 0;
    uint64_t second = 0;

    (void)state;
    begin(&fix);
    sim_check_grants_run(&fix.check, 3, 0, SIM_NOBODY, true, &first);
    sim_check_grants_run(&fix.check, 3, 0, SIM_NOBODY, false, &first); /* thawed */
    sim_check_grants_run(&fix.check, 3, 1, SIM_NOBODY, true, &second);
    must_hold(&fix);
    sim_check_grants_run(&fix.check, 3, 0, 1, true, &first);
    must_fail(&fix, SIM_CHECK_GRANT_ONE);
}

static void test_memory(void **state)
{
    struct fixture fix;
    uint64_t first = 0;
    uint64_t second = 0;

    (void)state;
    begin(&fix);
    sim_check_grants_run(&fix.check, 0, 0, SIM_NOBODY, true, &first);
    second = first; /* it went there */
    sim_check_grants_run(&fix.check, 0, 1, SIM_NOBODY, false, &second);
    must_hold(&fix);
    sim_check_grants_run(&fix.check, 0, 0, SIM_NOBODY, false, &first);
    must_fail(&fix, SIM_CHECK_GRANT_MEMORY);
}

static void test_slots(void **state)
{
    struct sim_grants_guest guest = running_guest(20);
    struct fixture fix;

    (void)state;
    begin(&fix);
    fix.check.grant_ns_max = 1000;
    sim_check_grants_guest(&fix.check, 0, &guest, SIM_NOBODY);
    sim_check_grants_slot(&fix.check, 0, 1, epoch_of(20), epoch_of(0), 1000);
    sim_check_grants_slot(&fix.check, 0, 1, epoch_of(10), epoch_of(10), 1000); /* burned */
    sim_check_grants_slot(&fix.check, 0, 1, epoch_of(10), epoch_of(0), 0);     /* dead */
    must_hold(&fix);
    sim_check_grants_slot(&fix.check, 0, 1, epoch_of(10), epoch_of(9), 1);
    must_fail(&fix, SIM_CHECK_GRANT_ENDED);
    begin(&fix);
    fix.check.grant_ns_max = 1000;
    sim_check_grants_slot(&fix.check, 0, 1, epoch_of(20), epoch_of(20), 1001);
    must_fail(&fix, SIM_CHECK_GRANT_TIME);
}

static void test_death(void **state)
{
    struct fixture fix;

    (void)state;
    begin(&fix);
    sim_check_grants_death(&fix.check, 5, 2, false);
    sim_check_grants_death(&fix.check, 5, 2, true); /* a follower's log, later */
    sim_check_grants_death(&fix.check, 6, 2, true);
    assert_true(sim_check_grants_committed(&fix.check, 5, 2, true));
    assert_false(sim_check_grants_committed(&fix.check, 5, 2, true));
    assert_true(sim_check_grants_committed(&fix.check, 6, 2, false)); /* refused */
    must_hold(&fix);
    sim_check_grants_death(&fix.check, 7, 2, true);
    assert_true(sim_check_grants_committed(&fix.check, 7, 2, true));
    must_fail(&fix, SIM_CHECK_GRANT_DEATH);
}

static void test_fork(void **state)
{
    struct fixture fix;

    (void)state;
    begin(&fix);
    sim_check_grants_forked(&fix.check, 0, epoch_of(9));
    sim_check_grants_forked(&fix.check, 1, epoch_of(9));
    must_hold(&fix);
    sim_check_grants_forked(&fix.check, 0, epoch_of(9));
    must_fail(&fix, SIM_CHECK_GRANT_FORK);
}

static void test_answers(void **state)
{
    struct fixture fix;

    (void)state;
    begin(&fix);
    sim_check_grants_appended(&fix.check, 10, 2);
    sim_check_grants_appended(&fix.check, 11, 2);
    sim_check_grants_led(&fix.check, 2, 100);
    sim_check_grants_answer(&fix.check, 2, 10, 50, SIM_NOBODY);
    sim_check_grants_led(&fix.check, 4, 200);
    sim_check_grants_answer(&fix.check, 2, 10, 199, SIM_NOBODY);
    must_hold(&fix);
    sim_check_grants_answer(&fix.check, 2, 10, 201, SIM_NOBODY);
    must_fail(&fix, SIM_CHECK_GRANT_SENT);
    begin(&fix);
    sim_check_grants_appended(&fix.check, 10, 2);
    sim_check_grants_answer(&fix.check, 2, 9, 50, SIM_NOBODY);
    must_fail(&fix, SIM_CHECK_GRANT_ANSWER);
    begin(&fix);
    sim_check_grants_appended(&fix.check, 10, 2);
    sim_check_grants_answer(&fix.check, 2, 10, 50, 7);
    must_fail(&fix, SIM_CHECK_GRANT_ANSWER);
}

static void test_volumes(void **state)
{
    struct sim_grants_guest guest = running_guest(5);
    struct fixture fix;
    uint64_t memory = 0;

    (void)state;
    begin(&fix);
    guest.has_writer = true;
    sim_check_grants_guest(&fix.check, 0, &guest, 1);
    guest.has_run = guest.has_writer = false;
    sim_check_grants_guest(&fix.check, 0, &guest, SIM_NOBODY);
    must_hold(&fix);
    sim_check_grants_run(&fix.check, 0, 1, SIM_NOBODY, true, &memory);
    must_fail(&fix, SIM_CHECK_GRANT_VOLUME);
    begin(&fix);
    sim_check_grants_guest(&fix.check, 0, &guest, 1);
    must_fail(&fix, SIM_CHECK_GRANT_VOLUME);
    begin(&fix);
    guest.has_writer = true;
    sim_check_grants_guest(&fix.check, 0, &guest, SIM_NOBODY);
    must_fail(&fix, SIM_CHECK_GRANT_VOLUME);
}

static void test_end(void **state)
{
    struct sim_grants_guest guest = running_guest(5);
    struct fixture fix;

    (void)state;
    begin(&fix);
    sim_check_grants_end(&fix.check, 0, SIM_NOBODY); /* there is none */
    sim_check_grants_guest(&fix.check, 0, &guest, 1);
    sim_check_grants_end(&fix.check, 0, 1);
    must_hold(&fix);
    sim_check_grants_end(&fix.check, 0, SIM_NOBODY);
    must_fail(&fix, SIM_CHECK_GRANT_RUNS);
    begin(&fix);
    guest.is_wanted = guest.has_run = false;
    sim_check_grants_guest(&fix.check, 0, &guest, SIM_NOBODY);
    sim_check_grants_end(&fix.check, 0, SIM_NOBODY);
    must_hold(&fix);
    guest.has_run = true;
    sim_check_grants_guest(&fix.check, 0, &guest, SIM_NOBODY);
    sim_check_grants_end(&fix.check, 0, SIM_NOBODY);
    must_fail(&fix, SIM_CHECK_GRANT_RUNS);
}

static void test_known_again(void **state)
{
    struct fixture fix;

    (void)state;
    begin(&fix);
    sim_check_grants_unknown(&fix.check, 6, 0);
    sim_check_grants_unknown(&fix.check, 6, 6); /* nobody says that they do not */
    sim_check_grants_unknown(&fix.check, 2, 2);
    must_hold(&fix);
    sim_check_grants_unknown(&fix.check, 0, 2);
    must_fail(&fix, SIM_CHECK_GRANT_KNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_run),     cmocka_unit_test(test_memory),
        cmocka_unit_test(test_slots),       cmocka_unit_test(test_death),
        cmocka_unit_test(test_fork),        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_volumes),     cmocka_unit_test(test_end),
        cmocka_unit_test(test_known_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
