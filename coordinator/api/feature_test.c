/* feature_test.c - who is too old for the cluster is told so at the door. */
#include "base/test.h"
#include "coordinator/api/impl.h"

static void test_admit(void **state)
{
    struct ray_err err = {0};

    (void)state;
    assert_int_equal(member_feature_admit(1, 0, &err), RAY_OK); /* says none */
    assert_int_equal(member_feature_admit(1, 1, &err), RAY_OK);
    assert_int_equal(member_feature_admit(2, 3, &err), RAY_OK);
    assert_int_equal(member_feature_admit(3, 2, &err), RAY_EUNSUPPORTED);
    assert_string_equal(
        err.text, "the build of this node is too old: it has feature level 2, the cluster is at 3");
    assert_string_equal(
        err.next_step, "start it with the build that the members have, or a newer, and join again");
    assert_int_equal(member_feature_admit(2, 0, &err), RAY_EUNSUPPORTED);
}

/* One that is off holds nothing back where there is nothing to be raised. */
static void test_held_back(void **state)
{
    struct coord_replica_feature feature = {.level = 1, .build_level = 1, .common_level = 0};

    (void)state;
    assert_false(member_feature_is_held_back(&feature));
    feature.build_level = 2;
    assert_true(member_feature_is_held_back(&feature));
    feature.common_level = 2; /* it is being raised */
    assert_false(member_feature_is_held_back(&feature));
}

/* Only what is about a level gets that next step. */
static void test_explain(void **state)
{
    struct coord_member m = {.replica = NULL};
    struct ray_err err = {0};

    (void)state;
    (void)ray_fail(&err, RAY_EUNSUPPORTED, "needs more");
    (void)ray_next(&err, "as it was");
    member_feature_explain(&m, &err);
    assert_string_equal(err.next_step, "as it was");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admit),
        cmocka_unit_test(test_held_back),
        cmocka_unit_test(test_explain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
