/* level_test.c - the feature level: raised by the leader when all have it, never before; and a
 * build that does not have it stays out, with all its data kept. */
#include "base/clock.h"
#include "base/test.h"
#include "coordinator/replica/impl.h"
#include "coordinator/replica/replica_fixture.h"

enum { NEWER = COORD_FSM_FEATURE_LEVEL + 1, DUTY_MS = 1000 };

static void lead(struct replica_fix *fix)
{
    replica_fix_open(fix, true);
    fix->feature_level = NEWER;
    assert_int_equal(replica_fix_create(fix, NULL), RAY_OK);
    replica_fix_run(fix, 0);
    replica_fix_found(fix);
}

static uint32_t level(struct replica_fix *fix)
{
    return coord_fsm_cluster(coord_replica_fsm(fix->replica))->cluster.feature_level;
}

static struct coord_replica_feature feature(struct replica_fix *fix)
{
    struct coord_replica_feature out;

    assert_true(coord_replica_feature(fix->replica, &out));
    assert_int_equal(out.level, level(fix));
    assert_int_equal(out.build_level, NEWER);
    return out;
}

/* NULL: nobody. */
static bool is_held_by(struct replica_fix *fix, const struct ray_id *node)
{
    struct coord_replica_feature found = feature(fix);

    return node == NULL ? ray_id_is_none(&found.holder) : ray_id_equal(&found.holder, node);
}

static void say(struct replica_fix *fix, unsigned node, uint32_t feature_level)
{
    struct ray_id id = replica_fix_id(node);
    Rayos__Member__Hello hello = RAYOS__MEMBER__HELLO__INIT;

    hello.server_id =
        coord_fsm_find(coord_replica_fsm(fix->replica), COORD_NODE, &id)->node.raft_id;
    hello.cluster_epoch = 1;
    hello.feature_level = feature_level;
    replica_fix_greet(fix, node, &hello);
}

static void pass(struct replica_fix *fix, unsigned ms)
{
    for (unsigned passed = 0; passed < ms; passed += DUTY_MS) {
        replica_fix_run(fix, DUTY_MS);
    }
}

static const struct coord_object *find_event(struct replica_fix *fix, const char *what)
{
    struct coord_fsm *fsm = coord_replica_fsm(fix->replica);
    const struct coord_object *event = coord_fsm_next(fsm, COORD_EVENT, NULL);

    while (event != NULL && strcmp(event->happening.what, what) != 0) {
        struct ray_id id = event->id;

        event = coord_fsm_next(fsm, COORD_EVENT, &id);
    }
    return event;
}

static void test_raised_when_all_have_had_it(void **state)
{
    struct replica_fix fix;

    (void)state;
    lead(&fix);
    pass(&fix, REPLICA_FEATURE_MS - 2 * DUTY_MS);
    assert_int_equal(level(&fix), COORD_FSM_FEATURE_LEVEL);
    assert_null(find_event(&fix, "feature-raised"));
    pass(&fix, 4 * DUTY_MS);
    assert_int_equal(level(&fix), NEWER);
    assert_string_equal(find_event(&fix, "feature-raised")->happening.text, "from 1 to 2");
    assert_int_equal(feature(&fix).common_level, NEWER);
    assert_true(is_held_by(&fix, NULL));
    replica_fix_close(&fix);
}

static void test_an_observer_of_before_holds_it_back(void **state)
{
    struct ray_id observer = replica_fix_id(1);
    struct replica_fix fix;

    (void)state;
    lead(&fix);
    replica_fix_join(&fix, 1, true);
    replica_fix_up(&fix, 1);
    say(&fix, 1, COORD_FSM_FEATURE_LEVEL);
    pass(&fix, 2U * REPLICA_FEATURE_MS);
    assert_int_equal(level(&fix), COORD_FSM_FEATURE_LEVEL);
    assert_true(is_held_by(&fix, &observer));
    assert_int_equal(feature(&fix).holder_level, COORD_FSM_FEATURE_LEVEL);

    say(&fix, 1, NEWER); /* upgraded: from now on it counts anew */
    pass(&fix, REPLICA_FEATURE_MS - 2 * DUTY_MS);
    assert_int_equal(level(&fix), COORD_FSM_FEATURE_LEVEL);
    pass(&fix, 4 * DUTY_MS);
    assert_int_equal(level(&fix), NEWER);
    replica_fix_close(&fix);
}

static void test_an_observer_that_is_off_is_not_waited_for(void **state)
{
    struct replica_fix fix;

    (void)state;
    lead(&fix);
    replica_fix_join(&fix, 1, true);
    replica_fix_up(&fix, 1);
    say(&fix, 1, COORD_FSM_FEATURE_LEVEL);
    replica_fix_down(&fix, 1);
    pass(&fix, REPLICA_FEATURE_MS + 4 * DUTY_MS);
    assert_int_equal(level(&fix), NEWER);
    replica_fix_close(&fix);
}

/* Its disk may start with the old build any time. */
static void test_a_server_that_is_off_is_waited_for(void **state)
{
    struct ray_id node = replica_fix_id(1);
    struct coord_replica_status status;
    struct replica_fix fix;

    (void)state;
    lead(&fix);
    replica_fix_join(&fix, 1, false);
    replica_fix_up(&fix, 1);
    say(&fix, 1, NEWER);
    pass(&fix, 2 * DUTY_MS);
    coord_replica_status(fix.replica, &status);
    assert_int_equal(status.config.count, 2); /* a standby */
    replica_fix_down(&fix, 1);
    pass(&fix, 2U * REPLICA_FEATURE_MS);
    assert_int_equal(level(&fix), COORD_FSM_FEATURE_LEVEL);
    assert_true(is_held_by(&fix, &node));
    assert_int_equal(feature(&fix).holder_level, 0);
    assert_int_equal(feature(&fix).common_level, 0);
    replica_fix_close(&fix);
}

/* It would halt at the first entry that it gets. */
static void test_a_build_of_before_is_made_no_server(void **state)
{
    struct coord_replica_status status;
    struct replica_fix fix;

    (void)state;
    lead(&fix);
    pass(&fix, REPLICA_FEATURE_MS + 4 * DUTY_MS);
    assert_int_equal(level(&fix), NEWER);
    replica_fix_join(&fix, 1, false);
    replica_fix_up(&fix, 1);
    say(&fix, 1, COORD_FSM_FEATURE_LEVEL);
    pass(&fix, 10 * DUTY_MS);
    coord_replica_status(fix.replica, &status);
    assert_int_equal(status.config.count, 1);
    say(&fix, 1, NEWER);
    pass(&fix, 2 * DUTY_MS);
    coord_replica_status(fix.replica, &status);
    assert_int_equal(status.config.count, 2);
    replica_fix_close(&fix);
}

static void test_a_build_of_before_does_not_start(void **state)
{
    struct replica_fix fix;
    struct ray_err err = {0};

    (void)state;
    lead(&fix);
    pass(&fix, REPLICA_FEATURE_MS + 4 * DUTY_MS);
    assert_int_equal(level(&fix), NEWER);
    replica_fix_stop(&fix);

    fix.feature_level = COORD_FSM_FEATURE_LEVEL;
    assert_int_equal(replica_fix_create(&fix, &err), RAY_EUNSUPPORTED);
    assert_string_equal(err.text, "the cluster is at feature level 2, this node's build has 1");
    assert_string_equal(err.next_step,
                        "start this node with the build that the other members have, or a newer");
    replica_fix_stop(&fix);

    fix.feature_level = NEWER; /* all is still there */
    assert_int_equal(replica_fix_create(&fix, &err), RAY_OK);
    replica_fix_run(&fix, 0);
    assert_int_equal(level(&fix), NEWER);
    replica_fix_close(&fix);
}

/* Nor by the log alone. */
static void test_a_build_of_before_halts_at_the_entry(void **state)
{
    struct replica_fix fix;

    (void)state;
    lead(&fix);
    pass(&fix, REPLICA_FEATURE_MS + 4 * DUTY_MS);
    replica_fix_stop(&fix);
    coord_mem_store_destroy(fix.records);
    assert_int_equal(coord_mem_store_create(&fix.records, NULL), RAY_OK);

    fix.feature_level = COORD_FSM_FEATURE_LEVEL;
    if (replica_fix_create(&fix, NULL) == RAY_OK) { /* its snapshot is of before */
        replica_fix_run(&fix, 10 * DUTY_MS);
        assert_int_equal(fix.role, COORD_REPLICA_FAILED);
        assert_non_null(strstr(fix.trouble, "feature level 2, this node's build has 1"));
    }
    replica_fix_close(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raised_when_all_have_had_it),
        cmocka_unit_test(test_an_observer_of_before_holds_it_back),
        cmocka_unit_test(test_an_observer_that_is_off_is_not_waited_for),
        cmocka_unit_test(test_a_server_that_is_off_is_waited_for),
        cmocka_unit_test(test_a_build_of_before_is_made_no_server),
        cmocka_unit_test(test_a_build_of_before_does_not_start),
        cmocka_unit_test(test_a_build_of_before_halts_at_the_entry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
