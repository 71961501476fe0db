/* policy_test.c - the rules in force decide when a command is applied; rules come, are confirmed,
 * and go back by themselves. */
#include "base/test.h"
#include "coordinator/fsm/rules_fixture.h"
#include "coordinator/mutant.h"
#include "net/proto_codec.h"
#include "net/spec.h"

static uint64_t version_of(const struct fix *fix)
{
    return coord_fsm_policy_version(fix->fsm);
}

static const struct coord_policy_version *policy_of(const struct fix *fix, uint64_t version)
{
    const struct coord_object *object = fix_find(fix, COORD_POLICY, (unsigned)version);

    return object != NULL ? &object->policy : NULL;
}

static void test_a_new_cluster_has_rules(void **state)
{
    struct fix fix;
    Rayos__Registry__Reply *reply;

    (void)state;
    rules_open(&fix);
    assert_int_equal(version_of(&fix), 1);
    assert_int_equal(fix_label_as(&fix, "ann", GUEST, "a"), RAY_OK);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "b"), RAY_OK);
    assert_int_equal(fix_label_as(&fix, "eve", GUEST, "e"), RAY_EDENIED);
    assert_string_equal(fix.outcome.result.text,
                        "rule 'default' denies eve registry.label guest:guest-200: no rule allows "
                        "it");
    assert_string_equal(fix.outcome.result.next_step,
                        "clusterctl policy test --as eve registry.label guest:guest-200");
    reply = rules_reply(&fix);
    assert_string_equal(reply->rule, "default");
    assert_string_equal(reply->denied, "eve registry.label guest:guest-200");
    assert_string_equal(reply->operation, "");
    rayos__registry__reply__free_unpacked(reply, NULL);
    assert_string_equal(fix_happening(&fix)->what, "policy-denied");
    assert_string_equal(fix_happening(&fix)->principal, "eve");
    assert_int_equal(fix_label_as(&fix, "zoe", GUEST, "z"), RAY_EDENIED);
    rules_survive_a_dump(&fix);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "c"), RAY_OK);
    fix_close(&fix);
}

static void test_who_is_gone_may_nothing(void **state)
{
    const struct policy_fix_rule rules[] = {{.name = "all", .effect = ALLOW}};
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "b"), RAY_OK);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, BOB), RAY_OK);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "c"), RAY_EDENIED);
    assert_string_equal(fix.outcome.result.text, "there is no principal 'bob' (any more)");
    fix_close(&fix);
}

/* Clusters of older builds have none. */
static void test_without_rules_admins_alone(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(version_of(&fix), 0);
    assert_int_equal(fix_put_guest(&fix, GUEST, false), RAY_OK);
    assert_int_equal(
        fix_principal(&fix, BOB, "bob", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_OPERATOR),
        RAY_OK);
    assert_int_equal(fix_label_as(&fix, "admin", GUEST, "a"), RAY_OK);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "b"), RAY_EDENIED);
    assert_int_equal(rules_set(&fix, &rules_admins, 1), RAY_OK);
    assert_int_equal(version_of(&fix), 1);
    fix_close(&fix);
}

static void test_roles_fit_is_admin(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__ObjectPut request = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Principal body = RAYOS__REGISTRY__PRINCIPAL__INIT;
    struct ray_id id = fix_id(ANN);
    uint8_t key[COORD_KEY_SIZE] = {2};

    (void)state;
    fix_open_cluster(&fix);
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.message.object_put = &request;
    request.object = &object;
    object.kind = RAYOS__REGISTRY__KIND__KIND_PRINCIPAL;
    object.id = ray_proto_id(&id);
    object.name = (char *)"ann";
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL;
    object.principal = &body;
    body.key = ray_proto_bytes(key, sizeof key);
    body.role = RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN;
    assert_int_equal(fix_apply(&fix, &command), RAY_EINVAL);
    body.role = RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_VIEWER;
    body.is_admin = true;
    assert_int_equal(fix_apply(&fix, &command), RAY_EINVAL);
    body.role = (Rayos__Registry__PrincipalRole)9;
    assert_int_equal(fix_apply(&fix, &command), RAY_EINVAL);
    body.role = RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN;
    object.name = (char *)"root@n1";
    assert_int_equal(fix_apply(&fix, &command), RAY_EINVAL);
    object.name = (char *)"ann";
    assert_int_equal(fix_apply(&fix, &command), RAY_OK);
    assert_int_equal(coord_fsm_roles(&fix_find(&fix, COORD_PRINCIPAL, ANN)->principal),
                     COORD_POLICY_ADMIN);
    /* As an older build wrote it. */
    body.role = RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_NONE;
    assert_int_equal(fix_apply(&fix, &command), RAY_OK);
    assert_int_equal(coord_fsm_roles(&fix_find(&fix, COORD_PRINCIPAL, ANN)->principal),
                     COORD_POLICY_ADMIN);
    rules_survive_a_dump(&fix);
    fix_close(&fix);
}

/* The rules at the command's place in the log, not those of the moment when it was proposed: twice
 * the same bytes. */
static void test_the_log_orders_rules_and_commands(void **state)
{
    const struct policy_fix_rule strict[] = {
        rules_admins, {.name = "no-labels", .effect = DENY, .reason = "ask ann"}};
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "a"), RAY_OK);
    assert_int_equal(rules_set(&fix, strict, COUNT_OF(strict)), RAY_OK);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "a"), RAY_EDENIED);
    assert_string_equal(fix.outcome.result.text,
                        "rule 'no-labels' denies bob registry.label guest:guest-200: ask ann");
    assert_int_equal(fix_policy_revert(&fix, 1), RAY_OK);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "a"), RAY_OK);
    fix_close(&fix);
}

static void test_a_put_is_several_actions(void **state)
{
    const struct policy_fix_rule rules[] = {
        rules_admins,
        {.name = "no-start", .effect = DENY, .action = "guest.start"},
        {.name = "web", .effect = ALLOW, .who = "role:operator", .object = "guest:web-*"},
    };
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(rules_put_guest(&fix, "bob", "web-1", false, 210, 0), RAY_OK);
    assert_int_equal(rules_put_guest(&fix, "bob", "web-1", true, 210, 0),
                     RAY_EDENIED); /* and start */
    assert_int_equal(rules_put_guest(&fix, "bob", "db-1", false, 211, 0), RAY_EDENIED);
    /* Neither out of his reach nor into it. */
    assert_int_equal(rules_put_guest(&fix, "bob", "db-1", false, 210, 0), RAY_EDENIED);
    assert_int_equal(rules_put_guest(&fix, "bob", "web-2", false, GUEST, 0), RAY_EDENIED);
    assert_int_equal(rules_put_guest(&fix, "bob", "web-3", false, 210, 0), RAY_OK);
    fix_close(&fix);
}

static void test_how_much_is_asked_for(void **state)
{
    const struct policy_fix_rule rules[] = {
        rules_admins, {.name = "small", .effect = ALLOW, .who = "role:operator", .vcpus = 4}};
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(rules_put_guest(&fix, "bob", "web-1", false, 210, 5), RAY_EDENIED);
    assert_int_equal(rules_put_guest(&fix, "bob", "web-1", false, 210, 4), RAY_OK);
    /* what it was would do; what it will be does not */
    assert_int_equal(rules_put_guest(&fix, "bob", "web-1", false, 210, 5), RAY_EDENIED);
    /* no spec: cannot be measured */
    assert_int_equal(rules_put_guest(&fix, "bob", "web-1", false, 210, RAY_SPEC_VCPUS_MAX + 1),
                     RAY_EDENIED);
    fix_close(&fix);
}

static void test_what_members_say_no_principal_says(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__Tick tick = RAYOS__REGISTRY__TICK__INIT;

    (void)state;
    rules_open(&fix);
    fix_command(&command);
    fix_as(&command, "ann", RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_TICK;
    command.message.tick = &tick;
    assert_int_equal(fix_apply(&fix, &command), RAY_EDENIED);
    command.header.caller = RAYOS__REGISTRY__CALLER__CALLER_NONE;
    assert_int_equal(fix_apply(&fix, &command), RAY_OK);
    command.header.caller = (Rayos__Registry__Caller)3; /* of a later build: never skipped */
    assert_int_equal(fix_apply(&fix, &command), RAY_EUNSUPPORTED);
    assert_true(coord_fsm_is_halted(fix.fsm));
    fix_close(&fix);
}

/* ---- versions ---- */

static void test_nobody_is_locked_out(void **state)
{
    const struct policy_fix_rule nobody[] = {{.name = "nothing", .effect = DENY}};
    const struct policy_fix_rule only_ask[] = {{.name = "ask", .effect = ASK}};
    const struct policy_fix_rule only_bob[] = {
        {.name = "bob", .effect = ALLOW, .who = "principal:bob"}};
    const struct policy_fix_rule only_ann[] = {
        {.name = "ann", .effect = ALLOW, .who = "principal:ann"}};
    struct rules rules = rules_pack(only_ann, COUNT_OF(only_ann));
    struct fix_command command;
    Rayos__Registry__PolicySet set = RAYOS__REGISTRY__POLICY_SET__INIT;
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, nobody, COUNT_OF(nobody)), RAY_EINVAL);
    assert_string_equal(fix.outcome.result.text, "under these rules no admin may set the policy");
    assert_int_equal(rules_set(&fix, only_ask, COUNT_OF(only_ask)), RAY_EINVAL);
    assert_int_equal(rules_set(&fix, only_bob, COUNT_OF(only_bob)), RAY_EINVAL);
    assert_int_equal(version_of(&fix), 1);
    assert_int_equal(rules_set(&fix, only_ann, COUNT_OF(only_ann)), RAY_OK);
    /* The console of any node is a way back in any case. */
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_POLICY_SET;
    command.message.policy_set = &set;
    free(rules.bytes);
    rules = rules_pack(&rules_admins, 1);
    set.rules = ray_proto_bytes(rules.bytes, rules.size);
    fix_as(&command, "admin", RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    assert_int_equal(fix_apply(&fix, &command), RAY_EDENIED);
    fix_as(&command, "root@a", RAYOS__REGISTRY__CALLER__CALLER_CONSOLE);
    assert_int_equal(fix_apply(&fix, &command), RAY_OK);
    fix_as(&command, "admin", RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    assert_int_equal(fix_apply(&fix, &command), RAY_OK);
    free(rules.bytes);
    fix_close(&fix);
}

static void test_who_may_set_the_policy_stays(void **state)
{
    const struct policy_fix_rule only_ann[] = {
        {.name = "ann", .effect = ALLOW, .who = "principal:ann"}};
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, only_ann, COUNT_OF(only_ann)), RAY_OK);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, ANN), RAY_ECONFLICT);
    assert_string_equal(fix.outcome.result.text,
                        "ann is the last admin who may set the policy under the rules in force");
    assert_int_equal(
        fix_principal(&fix, ANN, "ann", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_OPERATOR),
        RAY_ECONFLICT);
    assert_int_equal(/* of another name she is another one to the rules */
                     fix_principal(&fix, ANN, "anna",
                                   RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN),
                     RAY_ECONFLICT);
    assert_int_equal(
        fix_principal(&fix, ANN, "ann", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN), RAY_OK);
    assert_int_equal(
        fix_principal(&fix, BOB, "bob", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN), RAY_OK);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, BOB), RAY_OK);
    assert_int_equal(rules_set(&fix, &rules_admins, 1), RAY_OK); /* now 'admin' may, too */
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, ANN), RAY_OK);
    fix_close(&fix);
}

static void test_who_may_set_what_comes_back_stays(void **state)
{
    const Rayos__Registry__PrincipalRole admin = RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN;
    const struct policy_fix_rule only_ann[] = {
        {.name = "ann", .effect = ALLOW, .who = "principal:ann"}};
    const struct policy_fix_rule only_bob[] = {
        {.name = "bob", .effect = ALLOW, .who = "principal:bob"}};
    struct rules rules = rules_pack(only_bob, COUNT_OF(only_bob));
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(fix_principal(&fix, BOB, "bob", admin), RAY_OK);
    assert_int_equal(rules_set(&fix, only_ann, COUNT_OF(only_ann)), RAY_OK);
    assert_int_equal(fix_policy_set(&fix, rules.bytes, rules.size, 2, 60 * SECOND_US), RAY_OK);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, ANN), RAY_ECONFLICT);
    assert_string_equal(fix.outcome.result.text,
                        "ann is the last admin who may set the policy under the rules that come "
                        "back unless those in force are confirmed");
    assert_int_equal(fix_principal(&fix, ANN, "anna", admin), RAY_ECONFLICT);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, BOB), RAY_ECONFLICT);
    assert_int_equal(fix_policy_confirm(&fix, 3), RAY_OK);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, ANN), RAY_OK);
    free(rules.bytes);
    fix_close(&fix);
}

static int say(struct fix *fix, const char *who, const char *what, const char *text)
{
    struct fix_command command;
    Rayos__Registry__EventAdd add = RAYOS__REGISTRY__EVENT_ADD__INIT;
    struct ray_id guest = fix_id(GUEST);

    fix_command(&command);
    fix_as(&command, who, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_EVENT_ADD;
    command.message.event_add = &add;
    add.what = (char *)(uintptr_t)what;
    add.text = (char *)(uintptr_t)text;
    add.object_kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    add.object_id = ray_proto_id(&guest);
    return fix_apply(fix, &command);
}

/* Whatever one says, what the cluster says stays, and what others say. */
static void test_words_push_nothing_out(void **state)
{
    enum { TIMES = 300, KEPT_MAX = 64 };
    struct fix fix;
    size_t events;
    char text[32];

    (void)state;
    rules_open(&fix);
    events = coord_fsm_count(fix.fsm, COORD_EVENT);
    for (int i = 0; i < TIMES; i++) {
        (void)snprintf(text, sizeof text, "word-%d", i);
        assert_int_equal(say(&fix, "bob", text, text), RAY_OK);
    }
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_EVENT), events + KEPT_MAX);
    assert_string_equal(fix_happening(&fix)->what, text); /* the newest is told */
    assert_string_equal(fix_happening(&fix)->text, text);
    assert_int_equal(say(&fix, "ann", "word", "hers"), RAY_OK);
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_EVENT), events + KEPT_MAX + 1);
    rules_survive_a_dump(&fix);
    fix_close(&fix);
}

static void test_the_same_word_of_two(void **state)
{
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(say(&fix, "bob", "seen", "smoke"), RAY_OK);
    assert_int_equal(say(&fix, "ann", "seen", "smoke"), RAY_OK);
    assert_string_equal(fix_happening(&fix)->principal, "ann");
    fix_close(&fix);
}

static void test_what_is_no_policy(void **state)
{
    struct rules rules = rules_pack(&rules_admins, 1);
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(fix_policy_set(&fix, rules.bytes, rules.size - 1, 0, 0), RAY_EMALFORMED);
    assert_int_equal(fix_policy_set(&fix, rules.bytes, rules.size, 7, 0), RAY_ECONFLICT);
    assert_int_equal(
        fix_policy_set(&fix, rules.bytes, rules.size, 1, COORD_FSM_POLICY_CONFIRM_MAX_US + 1),
        RAY_EINVAL);
    assert_int_equal(fix_policy_set(&fix, rules.bytes, rules.size, 1, 0), RAY_OK);
    assert_int_equal(fix_policy_revert(&fix, 9), RAY_ENOTFOUND);
    assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_POLICY, 3, "3", 10),
                     RAY_EINVAL);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_POLICY, 2), RAY_EINVAL);
    assert_int_equal(version_of(&fix), 2);
    free(rules.bytes);
    fix_close(&fix);
}

static void test_unconfirmed_rules_go_back(void **state)
{
    struct rules rules = rules_pack(&rules_admins, 1);
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_false(coord_fsm_can_expire(fix.fsm));
    assert_int_equal(fix_policy_set(&fix, rules.bytes, rules.size, 1, 60 * SECOND_US), RAY_OK);
    assert_true(coord_fsm_can_expire(fix.fsm));
    assert_int_equal(policy_of(&fix, 2)->restores, 1);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "b"), RAY_EDENIED);
    rules_pass(&fix, 59 * SECOND_US);
    assert_int_equal(version_of(&fix), 2);
    rules_survive_a_dump(&fix);
    rules_pass(&fix, 2 * SECOND_US);
    assert_int_equal(version_of(&fix), 3);
    assert_int_equal(policy_of(&fix, 3)->from, 1);
    assert_string_equal(fix_happening(&fix)->what, "policy-reverted");
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "b"), RAY_OK);
    assert_false(coord_fsm_can_expire(fix.fsm));
    free(rules.bytes);
    fix_close(&fix);
}

static void test_confirmed_rules_stay(void **state)
{
    struct rules rules = rules_pack(&rules_admins, 1);
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(fix_policy_set(&fix, rules.bytes, rules.size, 0, 60 * SECOND_US), RAY_OK);
    assert_int_equal(fix_policy_confirm(&fix, 1), RAY_ECONFLICT);
    assert_int_equal(fix_policy_confirm(&fix, 2), RAY_OK);
    assert_string_equal(fix_happening(&fix)->what, "policy-confirmed");
    assert_int_equal(fix_policy_confirm(&fix, 2), RAY_OK);
    rules_pass(&fix, 70 * SECOND_US);
    assert_int_equal(version_of(&fix), 2);
    free(rules.bytes);
    fix_close(&fix);
}

/* What comes back is what was confirmed last, not what nobody had confirmed. */
static void test_unconfirmed_upon_unconfirmed(void **state)
{
    struct rules rules = rules_pack(&rules_admins, 1);
    struct fix fix;

    (void)state;
    rules_open(&fix);
    for (int i = 0; i < COORD_FSM_POLICIES_MAX + 4; i++) {
        assert_int_equal(fix_policy_set(&fix, rules.bytes, rules.size, 0, 60 * SECOND_US), RAY_OK);
    }
    assert_int_equal(policy_of(&fix, version_of(&fix))->restores, 1);
    assert_int_equal(policy_of(&fix, version_of(&fix) - 1)->confirm_by_us, 0);
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_POLICY), COORD_FSM_POLICIES_MAX);
    rules_survive_a_dump(&fix);
    rules_pass(&fix, 61 * SECOND_US);
    assert_int_equal(policy_of(&fix, version_of(&fix))->from, 1);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "b"), RAY_OK);
    free(rules.bytes);
    fix_close(&fix);
}

static void test_old_versions_leave(void **state)
{
    struct fix fix;

    (void)state;
    rules_open(&fix);
    for (int i = 0; i < COORD_FSM_POLICIES_MAX; i++) {
        assert_int_equal(rules_set(&fix, &rules_admins, 1), RAY_OK);
    }
    assert_int_equal(version_of(&fix), COORD_FSM_POLICIES_MAX + 1);
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_POLICY), COORD_FSM_POLICIES_MAX);
    assert_null(policy_of(&fix, 1));
    assert_non_null(policy_of(&fix, 2));
    assert_int_equal(fix_policy_revert(&fix, 1), RAY_ENOTFOUND);
    fix_close(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_cluster_has_rules),
        cmocka_unit_test(test_who_is_gone_may_nothing),
        cmocka_unit_test(test_without_rules_admins_alone),
        cmocka_unit_test(test_roles_fit_is_admin),
        cmocka_unit_test(test_the_log_orders_rules_and_commands),
        cmocka_unit_test(test_a_put_is_several_actions),
        cmocka_unit_test(test_how_much_is_asked_for),
        cmocka_unit_test(test_what_members_say_no_principal_says),
        cmocka_unit_test(test_nobody_is_locked_out),
        cmocka_unit_test(test_who_may_set_the_policy_stays),
        cmocka_unit_test(test_who_may_set_what_comes_back_stays),
        cmocka_unit_test(test_words_push_nothing_out),
        cmocka_unit_test(test_the_same_word_of_two),
        cmocka_unit_test(test_what_is_no_policy),
        cmocka_unit_test(test_unconfirmed_rules_go_back),
        cmocka_unit_test(test_confirmed_rules_stay),
        cmocka_unit_test(test_unconfirmed_upon_unconfirmed),
        cmocka_unit_test(test_old_versions_leave),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
