/* permit_test.c - what a node does outside of the log is asked of the rules, and what they deny is
 * told: marker, event, not too often. */
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "coordinator/api/member_fixture.h"
#include "net/proto_codec.h"

static int open_fix(void **state)
{
    struct member_fix *fix = calloc(1, sizeof *fix);

    assert_non_null(fix);
    member_fix_open(fix);
    assert_int_equal(member_fix_start(fix, NULL, NULL), RAY_OK);
    member_fix_create_cluster(fix);
    *state = fix;
    return 0;
}

static int close_fix(void **state)
{
    member_fix_close(*state);
    free(*state);
    return 0;
}

static const struct member_caller viewer = {
    .name = "eve", .roles = COORD_POLICY_VIEWER, .kind = RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL};

static const struct coord_object *last_event(const struct member_fix *fix)
{
    const struct coord_fsm *fsm = coord_replica_fsm(fix->member->replica);
    const struct coord_object *last = NULL;
    const struct coord_object *event = coord_fsm_next((struct coord_fsm *)fsm, COORD_EVENT, NULL);

    while (event != NULL) {
        last = event;
        event = coord_fsm_next((struct coord_fsm *)fsm, COORD_EVENT, &last->id);
    }
    return last;
}

static bool has_denial(void *arg)
{
    const struct coord_object *event = last_event(arg);

    return event != NULL && strcmp(event->happening.what, "policy-denied") == 0;
}

static int reboot(struct member_fix *fix, const struct member_caller *caller, struct ray_err *err)
{
    return member_permit_node(fix->member, caller, COORD_POLICY_NODE_REBOOT, &fix->member->id, err);
}

static void test_rules_decide_about_a_node(void **state)
{
    struct member_fix *fix = *state;
    struct member_caller caller = viewer;
    const struct coord_object *event;
    struct ray_err err = {0};
    char detail[160];

    (void)snprintf(detail, sizeof detail, "eve node.reboot node:%s", fix->member->name);
    assert_int_equal(reboot(fix, &caller, &err), RAY_EDENIED);
    assert_non_null(strstr(err.text, "rule 'default' denies eve node.reboot node:"));
    assert_true(err.next_step[0] != '\0');
    assert_int_equal(fix->denied_count, 1);
    assert_string_equal(strchr(fix->denied, ':') + 1, detail);
    assert_true(member_fix_run(fix, has_denial, fix));
    event = last_event(fix);
    assert_string_equal(event->happening.principal, "eve");
    assert_non_null(strstr(event->happening.text, detail));
    assert_int_equal(
        member_permit_node(fix->member, &caller, COORD_POLICY_NODE_LOG, &fix->member->id, &err),
        RAY_OK); /* viewers read logs */
    caller.roles = COORD_POLICY_OPERATOR;
    assert_int_equal(reboot(fix, &caller, &err), RAY_OK);
    assert_int_equal(fix->denied_count, 1);
}

/* It has let the caller in, and judged. */
static void test_another_node_has_judged(void **state)
{
    struct member_fix *fix = *state;
    const struct member_caller node = {.name = "node", .is_admin = true};

    assert_int_equal(reboot(fix, &node, NULL), RAY_OK);
}

static void test_a_node_that_is_not_there(void **state)
{
    struct member_fix *fix = *state;
    const struct ray_id nobody = {.bytes = {7}};
    struct ray_err err = {0};

    assert_int_equal(
        member_permit_node(fix->member, &viewer, COORD_POLICY_NODE_DISK, &nobody, &err),
        RAY_EDENIED);
    assert_string_equal(fix->denied, "default:eve node.disk node:");
}

static bool has_more(void *arg)
{
    return ((const struct member_fix *)arg)->denied[0] == '*';
}

/* Ten or twenty of them: a second may pass on the way. */
static void test_denials_fill_nothing(void **state)
{
    enum { COUNT = 200 };
    struct member_fix *fix = *state;
    struct ray_err err = {0};

    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(reboot(fix, &viewer, &err), RAY_EDENIED);
    }
    assert_in_range(fix->denied_count, 1, COUNT / 2);
    assert_true(member_fix_run(fix, has_more, fix));
    assert_non_null(strstr(fix->denied, " more denials"));
}

/* Looks that are denied are told and no more; among them nothing that was tried is lost. */
static void test_what_is_not_told_has_its_event(void **state)
{
    enum { COUNT = 200 };
    struct member_fix *fix = *state;
    struct ray_err err = {0};

    for (int i = 0; i < COUNT; i++) {
        (void)member_tell_denied(fix->member, "default", "zoe registry.read");
    }
    assert_int_equal(reboot(fix, &viewer, &err), RAY_EDENIED);
    assert_true(member_fix_run(fix, has_denial, fix));
    assert_string_equal(last_event(fix)->happening.principal, "eve");
}

static int rename_node(struct member_fix *fix, const char *name)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;

    object.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    object.id = ray_proto_id(&fix->member->id);
    object.name = (char *)(uintptr_t)name;
    put.object = &object;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.object_put = &put;
    return member_fix_propose(fix, &command);
}

static void test_root_is_that_of_the_registrys_node(void **state)
{
    struct member_fix *fix = *state;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__EventAdd add = RAYOS__REGISTRY__EVENT_ADD__INIT;

    assert_int_equal(rename_node(fix, "renamed"), RAY_OK);
    add.what = (char *)(uintptr_t)"seen";
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_EVENT_ADD;
    command.event_add = &add;
    assert_int_equal(member_fix_propose(fix, &command), RAY_OK);
    assert_string_equal(last_event(fix)->happening.what, "seen");
    assert_string_equal(last_event(fix)->happening.principal, "root@renamed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rules_decide_about_a_node, open_fix, close_fix),
        cmocka_unit_test_setup_teardown(test_another_node_has_judged, open_fix, close_fix),
        cmocka_unit_test_setup_teardown(test_a_node_that_is_not_there, open_fix, close_fix),
        cmocka_unit_test_setup_teardown(test_denials_fill_nothing, open_fix, close_fix),
        cmocka_unit_test_setup_teardown(test_what_is_not_told_has_its_event, open_fix, close_fix),
        cmocka_unit_test_setup_teardown(test_root_is_that_of_the_registrys_node, open_fix,
                                        close_fix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
