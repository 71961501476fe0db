#include "base/test.h"
#include "coordinator/lease/choice.h"

static struct ray_epoch e(uint64_t index)
{
    return (struct ray_epoch){1, index};
}

static enum coord_lease_act act(struct coord_lease_facts facts, uint64_t *out_index)
{
    struct coord_lease_choice choice;

    facts.cluster_epoch = facts.cluster_epoch != 0 ? facts.cluster_epoch : 1;
    choice = coord_lease_choose(&facts);
    *out_index = choice.epoch.index;
    return choice.act;
}

static void test_start_and_stop(void **state)
{
    const struct coord_lease_pair pair = {.epoch = {1, 5}, .origin = RAY_EPOCH_CREATED};
    struct coord_lease_facts facts = {.pair = &pair, .is_wanted = true};
    uint64_t index;

    (void)state;
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_NONE); /* the slot is not alive yet */
    facts.is_alive = true;
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_FORK);
    assert_int_equal(index, 5);
    facts.burned = e(5);
    facts.copy = RAY_GRANT_COPY_RUN;
    facts.copy_epoch = e(5);
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_NONE);
    facts.is_wanted = false;
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_END);
    facts.copy = RAY_GRANT_COPY_ENDED;
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_PROPOSE_STOPPED);
    facts.burned = e(4); /* never forked: burned first */
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_END);
}

static void test_died_by_itself(void **state)
{
    const struct coord_lease_pair pair = {.epoch = {1, 5}, .origin = RAY_EPOCH_CREATED};
    struct coord_lease_facts facts = {
        .pair = &pair, .is_wanted = true, .is_alive = true, .burned = {1, 5}};
    uint64_t index;

    (void)state;
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_PROPOSE_START);
    assert_int_equal(index, 5);
    facts.is_migrating = true; /* the destination may yet have it */
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_NONE);
}

static void test_copies(void **state)
{
    struct coord_lease_pair pair = {.epoch = {1, 9}, .from = {1, 5}, .origin = RAY_EPOCH_MIGRATION};
    struct coord_lease_facts facts = {.pair = &pair,
                                      .is_wanted = true,
                                      .is_alive = true,
                                      .copy = RAY_GRANT_COPY_LOADED,
                                      .copy_epoch = {1, 5}};
    uint64_t index;

    (void)state;
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_ADOPT);
    assert_int_equal(index, 9);
    facts.is_alive = false;
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_NONE);
    facts.is_alive = true;
    facts.copy = RAY_GRANT_COPY_FROZEN;
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_END);
    assert_int_equal(index, 5);
    pair.origin = RAY_EPOCH_CANCEL;
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_ADOPT);
    facts.copy_epoch = e(4);
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_END);
    facts.copy = RAY_GRANT_COPY_RUN; /* frozen by deadline, its guest left and came back */
    facts.copy_epoch = e(5);
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_END);
    facts.copy_epoch = e(10); /* an old list */
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_NONE);
    facts.copy = RAY_GRANT_COPY_FROZEN;
    facts.copy_epoch = e(9);
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_PROPOSE_CANCEL);
    facts.is_migrating = true;
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_NONE);
}

static void test_not_in_the_list(void **state)
{
    struct coord_lease_facts facts = {.is_wanted = true,
                                      .copy = RAY_GRANT_COPY_FROZEN,
                                      .copy_epoch = {1, 5},
                                      .known_epoch = {1, 5}};
    uint64_t index;

    (void)state;
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_NONE);
    facts.known_epoch = e(6);
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_END);
    assert_int_equal(index, 5);
    facts.is_home = true; /* its grant is on the way */
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_NONE);
    facts.cluster_epoch = 2; /* after a recovery nothing older runs; a start makes it new */
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_PROPOSE_START);
    assert_int_equal(index, 6);
    facts.is_wanted = false; /* nor does it stay at home here for ever */
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_END);
    assert_int_equal(index, 6);
    facts.copy = RAY_GRANT_COPY_ENDED;
    facts.burned = e(5);
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_END);
    facts.burned = e(6);
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_PROPOSE_STOPPED);
    assert_int_equal(index, 6);
    facts.is_home = false;
    assert_int_equal(act(facts, &index), COORD_LEASE_ACT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_and_stop),
        cmocka_unit_test(test_died_by_itself),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_not_in_the_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
