/* policy_test.c - the rules in force decide when a command is applied; what they ask about waits;
 * rules come, are confirmed, and go back by themselves. */
#include "base/test.h"
#include "coordinator/fsm/fsm_fixture.h"
#include "coordinator/mutant.h"
#include "coordinator/policy/policy_fixture.h"
#include "net/proto_codec.h"
#include "net/spec.h"

#define ALLOW RAYOS__POLICY__EFFECT__EFFECT_ALLOW
#define DENY RAYOS__POLICY__EFFECT__EFFECT_DENY
#define ASK RAYOS__POLICY__EFFECT__EFFECT_ASK
#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))
#define SECOND_US UINT64_C(1000000)

enum { GUEST = 200, ANN = 21, BOB, EVE, ZOE };

static const struct policy_fix_rule admins = {
    .name = "admins", .effect = ALLOW, .who = "role:admin"};

struct rules {
    uint8_t *bytes;
    size_t size;
};

static struct rules pack(const struct policy_fix_rule *list, size_t count)
{
    struct rules rules;

    rules.bytes = policy_fix_pack(list, count, &rules.size);
    return rules;
}

static int set_rules(struct fix *fix, const struct policy_fix_rule *list, size_t count)
{
    struct rules rules = pack(list, count);
    int rc = fix_policy_set(fix, rules.bytes, rules.size, 0, 0);

    free(rules.bytes);
    return rc;
}

/* A cluster with the rules that new ones have, a guest, an operator, two viewers and an admin. */
static void open_default(struct fix *fix)
{
    struct ray_buf rules;

    ray_buf_init(&rules, COORD_POLICY_SIZE_MAX);
    assert_int_equal(coord_policy_default(&rules, NULL), RAY_OK);
    fix_open_cluster_with(fix, rules.data, rules.size);
    ray_buf_fini(&rules);
    assert_int_equal(fix_put_guest(fix, GUEST, false), RAY_OK);
    assert_int_equal(
        fix_principal(fix, ANN, "ann", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN), RAY_OK);
    assert_int_equal(
        fix_principal(fix, BOB, "bob", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_OPERATOR),
        RAY_OK);
    assert_int_equal(
        fix_principal(fix, EVE, "eve", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_VIEWER), RAY_OK);
    assert_int_equal(
        fix_principal(fix, ZOE, "zoe", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_NONE), RAY_OK);
}

static Rayos__Registry__Reply *reply_of(const struct fix *fix)
{
    const struct coord_fsm_result *result = &fix->outcome.result;
    Rayos__Registry__Reply *reply =
        rayos__registry__reply__unpack(NULL, result->body_size, result->body);

    assert_non_null(reply);
    return reply;
}

static uint64_t version_of(const struct fix *fix)
{
    return coord_fsm_policy_version(fix->fsm);
}

static const struct coord_policy_version *policy_of(const struct fix *fix, uint64_t version)
{
    const struct coord_object *object = fix_find(fix, COORD_POLICY, (unsigned)version);

    return object != NULL ? &object->policy : NULL;
}

static const struct coord_operation *operation_of(const struct fix *fix, uint64_t revision)
{
    const struct coord_object *object = fix_find(fix, COORD_OPERATION, (unsigned)revision);

    assert_non_null(object);
    return &object->operation;
}

/* Logged time goes on by that, in steps that count. */
static void pass(struct fix *fix, uint64_t us)
{
    static const uint64_t step_us = COORD_FSM_TICK_MAX_US;
    uint64_t now_us = 1000 * fix->index * step_us;

    assert_int_equal(fix_tick(fix, now_us), RAY_OK); /* it only begins to count */
    for (uint64_t done_us = 0; done_us < us; done_us += step_us) {
        now_us += us - done_us < step_us ? us - done_us : step_us;
        assert_int_equal(fix_tick(fix, now_us), RAY_OK);
    }
}

/* Everything comes out of a dump again, and goes on alike. */
static void must_survive_a_dump(struct fix *fix)
{
    struct ray_buf bytes;
    uint8_t before[COORD_HASH_SIZE];
    uint8_t after[COORD_HASH_SIZE];

    fix_dump(fix->fsm, &bytes);
    coord_fsm_hash(fix->fsm, before);
    coord_fsm_destroy(fix->fsm);
    fix->fsm = fix_load(bytes.data, bytes.size, 1000);
    assert_non_null(fix->fsm);
    coord_fsm_hash(fix->fsm, after);
    assert_memory_equal(before, after, sizeof before);
    ray_buf_fini(&bytes);
}

static void test_a_new_cluster_has_rules(void **state)
{
    struct fix fix;
    Rayos__Registry__Reply *reply;

    (void)state;
    open_default(&fix);
    assert_int_equal(version_of(&fix), 1);
    assert_int_equal(fix_label_as(&fix, "ann", GUEST, "a"), RAY_OK);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "b"), RAY_OK);
    assert_int_equal(fix_label_as(&fix, "eve", GUEST, "e"), RAY_EDENIED);
    assert_string_equal(fix.outcome.result.text,
                        "rule 'default' denies eve registry.label guest:guest-200: no rule allows "
                        "it");
    assert_string_equal(fix.outcome.result.next_step,
                        "clusterctl policy test --as eve registry.label guest:guest-200");
    reply = reply_of(&fix);
    assert_string_equal(reply->rule, "default");
    assert_string_equal(reply->denied, "eve registry.label guest:guest-200");
    assert_string_equal(reply->operation, "");
    rayos__registry__reply__free_unpacked(reply, NULL);
    assert_string_equal(fix_happening(&fix)->what, "policy-denied");
    assert_string_equal(fix_happening(&fix)->principal, "eve");
    assert_int_equal(fix_label_as(&fix, "zoe", GUEST, "z"), RAY_EDENIED);
    must_survive_a_dump(&fix);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "c"), RAY_OK);
    fix_close(&fix);
}

static void test_who_is_gone_may_nothing(void **state)
{
    const struct policy_fix_rule rules[] = {{.name = "all", .effect = ALLOW}};
    struct fix fix;

    (void)state;
    open_default(&fix);
    assert_int_equal(set_rules(&fix, rules, COUNT_OF(rules)), RAY_OK);
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
    assert_int_equal(set_rules(&fix, &admins, 1), RAY_OK);
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
    must_survive_a_dump(&fix);
    fix_close(&fix);
}

/* The rules at the command's place in the log, not those of the moment when it was proposed: twice
 * the same bytes. */
static void test_the_log_orders_rules_and_commands(void **state)
{
    const struct policy_fix_rule strict[] = {
        admins, {.name = "no-labels", .effect = DENY, .reason = "ask ann"}};
    struct fix fix;

    (void)state;
    open_default(&fix);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "a"), RAY_OK);
    assert_int_equal(set_rules(&fix, strict, COUNT_OF(strict)), RAY_OK);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "a"), RAY_EDENIED);
    assert_string_equal(fix.outcome.result.text,
                        "rule 'no-labels' denies bob registry.label guest:guest-200: ask ann");
    assert_int_equal(fix_policy_revert(&fix, 1), RAY_OK);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "a"), RAY_OK);
    fix_close(&fix);
}

static int put_guest_as(struct fix *fix, const char *principal, const char *name, bool is_wanted,
                        unsigned guest, uint32_t vcpus)
{
    struct fix_command command;
    Rayos__Registry__ObjectPut request = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Guest body = RAYOS__REGISTRY__GUEST__INIT;
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct ray_id id = fix_id(guest);
    uint8_t bytes[32];

    spec.vcpus = vcpus;
    assert_true(rayos__spec__guest_spec__get_packed_size(&spec) <= sizeof bytes);
    object.spec = ray_proto_bytes(bytes, rayos__spec__guest_spec__pack(&spec, bytes));
    fix_command(&command);
    fix_as(&command, principal, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.message.object_put = &request;
    request.object = &object;
    object.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    object.id = ray_proto_id(&id);
    object.name = (char *)(uintptr_t)name;
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_GUEST;
    object.guest = &body;
    body.wanted = is_wanted ? RAYOS__REGISTRY__WANTED__WANTED_RUNNING
                            : RAYOS__REGISTRY__WANTED__WANTED_STOPPED;
    return fix_apply(fix, &command);
}

static int put_token_as(struct fix *fix, const char *principal, unsigned token, unsigned replaces)
{
    struct fix_command command;
    Rayos__Registry__ObjectPut request = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Token body = RAYOS__REGISTRY__TOKEN__INIT;
    struct ray_id id = fix_id(token);
    struct ray_id other = fix_id(replaces);
    uint8_t hash[COORD_KEY_SIZE] = {0};

    memcpy(hash, id.bytes, sizeof id.bytes);
    fix_command(&command);
    fix_as(&command, principal, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.message.object_put = &request;
    request.object = &object;
    object.kind = RAYOS__REGISTRY__KIND__KIND_TOKEN;
    object.id = ray_proto_id(&id);
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_TOKEN;
    object.token = &body;
    body.hash = ray_proto_bytes(hash, sizeof hash);
    body.uses_left = 1;
    body.node_name = (char *)"node-10";
    body.replaces = ray_proto_optional_id(&other);
    return fix_apply(fix, &command);
}

/* A token that puts one node in another's place is no way around the rules about nodes. */
static void test_a_token_is_approval_and_removal(void **state)
{
    struct policy_fix_rule rules[] = {
        admins,
        {.name = "no", .effect = DENY, .action = "node.approve", .who = "role:operator"},
        {.name = "rest", .effect = ALLOW, .who = "role:operator"},
    };
    struct fix fix;

    (void)state;
    open_default(&fix);
    assert_int_equal(set_rules(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(put_token_as(&fix, "bob", 80, 0), RAY_OK);
    assert_int_equal(put_token_as(&fix, "bob", 81, FIX_NODE_A), RAY_EDENIED);
    rules[1].action = "node.remove";
    assert_int_equal(set_rules(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(put_token_as(&fix, "bob", 82, FIX_NODE_A), RAY_EDENIED);
    rules[1].action = "node.drain";
    assert_int_equal(set_rules(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(put_token_as(&fix, "bob", 83, FIX_NODE_A), RAY_OK);
    fix_close(&fix);
}

static void test_a_put_is_several_actions(void **state)
{
    const struct policy_fix_rule rules[] = {
        admins,
        {.name = "no-start", .effect = DENY, .action = "guest.start"},
        {.name = "web", .effect = ALLOW, .who = "role:operator", .object = "guest:web-*"},
    };
    struct fix fix;

    (void)state;
    open_default(&fix);
    assert_int_equal(set_rules(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(put_guest_as(&fix, "bob", "web-1", false, 210, 0), RAY_OK);
    assert_int_equal(put_guest_as(&fix, "bob", "web-1", true, 210, 0), RAY_EDENIED); /* and start */
    assert_int_equal(put_guest_as(&fix, "bob", "db-1", false, 211, 0), RAY_EDENIED);
    /* Neither out of his reach nor into it. */
    assert_int_equal(put_guest_as(&fix, "bob", "db-1", false, 210, 0), RAY_EDENIED);
    assert_int_equal(put_guest_as(&fix, "bob", "web-2", false, GUEST, 0), RAY_EDENIED);
    assert_int_equal(put_guest_as(&fix, "bob", "web-3", false, 210, 0), RAY_OK);
    fix_close(&fix);
}

static void test_how_much_is_asked_for(void **state)
{
    const struct policy_fix_rule rules[] = {
        admins, {.name = "small", .effect = ALLOW, .who = "role:operator", .vcpus = 4}};
    struct fix fix;

    (void)state;
    open_default(&fix);
    assert_int_equal(set_rules(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(put_guest_as(&fix, "bob", "web-1", false, 210, 5), RAY_EDENIED);
    assert_int_equal(put_guest_as(&fix, "bob", "web-1", false, 210, 4), RAY_OK);
    /* what it was would do; what it will be does not */
    assert_int_equal(put_guest_as(&fix, "bob", "web-1", false, 210, 5), RAY_EDENIED);
    /* no spec: cannot be measured */
    assert_int_equal(put_guest_as(&fix, "bob", "web-1", false, 210, RAY_SPEC_VCPUS_MAX + 1),
                     RAY_EDENIED);
    fix_close(&fix);
}

static void test_what_members_say_no_principal_says(void **state)
{
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__Tick tick = RAYOS__REGISTRY__TICK__INIT;

    (void)state;
    open_default(&fix);
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
    struct rules rules = pack(only_ann, COUNT_OF(only_ann));
    struct fix_command command;
    Rayos__Registry__PolicySet set = RAYOS__REGISTRY__POLICY_SET__INIT;
    struct fix fix;

    (void)state;
    open_default(&fix);
    assert_int_equal(set_rules(&fix, nobody, COUNT_OF(nobody)), RAY_EINVAL);
    assert_string_equal(fix.outcome.result.text, "under these rules no admin may set the policy");
    assert_int_equal(set_rules(&fix, only_ask, COUNT_OF(only_ask)), RAY_EINVAL);
    assert_int_equal(set_rules(&fix, only_bob, COUNT_OF(only_bob)), RAY_EINVAL);
    assert_int_equal(version_of(&fix), 1);
    assert_int_equal(set_rules(&fix, only_ann, COUNT_OF(only_ann)), RAY_OK);
    /* She leaves: the console of any node is the way back. */
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, ANN), RAY_OK);
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_POLICY_SET;
    command.message.policy_set = &set;
    free(rules.bytes);
    rules = pack(&admins, 1);
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

static void test_what_is_no_policy(void **state)
{
    struct rules rules = pack(&admins, 1);
    struct fix fix;

    (void)state;
    open_default(&fix);
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
    struct rules rules = pack(&admins, 1);
    struct fix fix;

    (void)state;
    open_default(&fix);
    assert_false(coord_fsm_can_expire(fix.fsm));
    assert_int_equal(fix_policy_set(&fix, rules.bytes, rules.size, 1, 60 * SECOND_US), RAY_OK);
    assert_true(coord_fsm_can_expire(fix.fsm));
    assert_int_equal(policy_of(&fix, 2)->restores, 1);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "b"), RAY_EDENIED);
    pass(&fix, 59 * SECOND_US);
    assert_int_equal(version_of(&fix), 2);
    must_survive_a_dump(&fix);
    pass(&fix, 2 * SECOND_US);
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
    struct rules rules = pack(&admins, 1);
    struct fix fix;

    (void)state;
    open_default(&fix);
    assert_int_equal(fix_policy_set(&fix, rules.bytes, rules.size, 0, 60 * SECOND_US), RAY_OK);
    assert_int_equal(fix_policy_confirm(&fix, 1), RAY_ECONFLICT);
    assert_int_equal(fix_policy_confirm(&fix, 2), RAY_OK);
    assert_string_equal(fix_happening(&fix)->what, "policy-confirmed");
    assert_int_equal(fix_policy_confirm(&fix, 2), RAY_OK);
    pass(&fix, 70 * SECOND_US);
    assert_int_equal(version_of(&fix), 2);
    free(rules.bytes);
    fix_close(&fix);
}

/* What comes back is what was confirmed last, not what nobody had confirmed. */
static void test_unconfirmed_upon_unconfirmed(void **state)
{
    struct rules rules = pack(&admins, 1);
    struct fix fix;

    (void)state;
    open_default(&fix);
    for (int i = 0; i < COORD_FSM_POLICIES_MAX + 4; i++) {
        assert_int_equal(fix_policy_set(&fix, rules.bytes, rules.size, 0, 60 * SECOND_US), RAY_OK);
    }
    assert_int_equal(policy_of(&fix, version_of(&fix))->restores, 1);
    assert_int_equal(policy_of(&fix, version_of(&fix) - 1)->confirm_by_us, 0);
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_POLICY), COORD_FSM_POLICIES_MAX);
    must_survive_a_dump(&fix);
    pass(&fix, 61 * SECOND_US);
    assert_int_equal(policy_of(&fix, version_of(&fix))->from, 1);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "b"), RAY_OK);
    free(rules.bytes);
    fix_close(&fix);
}

static void test_old_versions_leave(void **state)
{
    struct fix fix;

    (void)state;
    open_default(&fix);
    for (int i = 0; i < COORD_FSM_POLICIES_MAX; i++) {
        assert_int_equal(set_rules(&fix, &admins, 1), RAY_OK);
    }
    assert_int_equal(version_of(&fix), COORD_FSM_POLICIES_MAX + 1);
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_POLICY), COORD_FSM_POLICIES_MAX);
    assert_null(policy_of(&fix, 1));
    assert_non_null(policy_of(&fix, 2));
    assert_int_equal(fix_policy_revert(&fix, 1), RAY_ENOTFOUND);
    fix_close(&fix);
}

/* ---- approval ---- */

static const struct policy_fix_rule asking[] = {
    {.name = "two-eyes",
     .effect = ASK,
     .who = "role:operator",
     .action = "registry.label",
     .approver = "role:viewer",
     .reason = "labels bill people"},
    {.name = "two-admins", .effect = ASK, .who = "principal:ann", .action = "registry.label"},
    {.name = "admins", .effect = ALLOW, .who = "role:admin"},
};

/* Bob labels the guest; the operation's revision. */
static uint64_t ask(struct fix *fix)
{
    assert_int_equal(fix_label_as(fix, "bob", GUEST, "prod"), RAY_EDENIED);
    return fix->index;
}

static void open_asking(struct fix *fix)
{
    open_default(fix);
    assert_int_equal(set_rules(fix, asking, COUNT_OF(asking)), RAY_OK);
}

static void test_what_is_asked_waits(void **state)
{
    struct fix fix;
    Rayos__Registry__Reply *reply;
    const struct coord_operation *operation;
    char name[32];

    (void)state;
    open_asking(&fix);
    operation = operation_of(&fix, ask(&fix));
    (void)snprintf(name, sizeof name, "op-%llu", (unsigned long long)fix.index);
    reply = reply_of(&fix);
    assert_string_equal(reply->operation, name);
    assert_string_equal(reply->rule, "");
    rayos__registry__reply__free_unpacked(reply, NULL);
    assert_string_equal(operation->state, "needs-approval");
    assert_string_equal(operation->asker, "bob");
    assert_string_equal(operation->rule, "two-eyes");
    assert_string_equal(operation->action, "registry.label guest:guest-200");
    assert_string_equal(operation->message, "labels bill people");
    assert_true(operation->command.size > 0);
    assert_true(coord_fsm_can_expire(fix.fsm));
    assert_int_equal(fix_find(&fix, COORD_GUEST, GUEST)->label_count, 0);
    must_survive_a_dump(&fix);
    fix_close(&fix);
}

/* The kept command may hold what lets a node in. */
static void test_the_command_is_not_told(void **state)
{
    struct fix fix;
    Rayos__Registry__WatchEvent *told;
    const struct coord_fsm_event *event;

    (void)state;
    open_asking(&fix);
    event = fix_event(&fix, COORD_OPERATION, (unsigned)ask(&fix));
    assert_non_null(event);
    told = rayos__registry__watch_event__unpack(NULL, event->packed_size, event->packed);
    assert_non_null(told);
    assert_string_equal(told->object->operation->asker, "bob");
    assert_int_equal(told->object->operation->command.len, 0);
    rayos__registry__watch_event__free_unpacked(told, NULL);
    fix_close(&fix);
}

static void test_an_approver_lets_it_run(void **state)
{
    struct fix fix;
    uint64_t operation;

    (void)state;
    open_asking(&fix);
    operation = ask(&fix);
    assert_int_equal(fix_decide(&fix, "bob", operation, true), RAY_EDENIED);
    assert_int_equal(fix_decide(&fix, "zoe", operation, true), RAY_EDENIED);
    assert_int_equal(fix_decide(&fix, "ann", operation, true), RAY_EDENIED); /* viewers alone */
    assert_int_equal(fix_find(&fix, COORD_GUEST, GUEST)->label_count, 0);
    must_survive_a_dump(&fix);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_OK);
    assert_int_equal(fix_find(&fix, COORD_GUEST, GUEST)->label_count, 1);
    assert_string_equal(operation_of(&fix, operation)->state, "done");
    assert_string_equal(operation_of(&fix, operation)->asker, "bob");
    assert_string_equal(operation_of(&fix, operation)->decider, "eve");
    assert_int_equal(operation_of(&fix, operation)->command.size, 0);
    assert_string_equal(fix_happening(&fix)->what, "approved");
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_ECONFLICT); /* once */
    must_survive_a_dump(&fix);
    fix_close(&fix);
}

static void test_who_asks_never_approves(void **state)
{
    struct fix fix;

    (void)state;
    open_asking(&fix);
    assert_int_equal(fix_label_as(&fix, "ann", GUEST, "prod"), RAY_EDENIED);
    assert_int_equal(fix_decide(&fix, "ann", fix.index, true), RAY_EDENIED);
    assert_int_equal(fix_find(&fix, COORD_GUEST, GUEST)->label_count, 0);
    fix_close(&fix);
}

static void test_denied_and_taken_back(void **state)
{
    struct fix fix;
    uint64_t operation;

    (void)state;
    open_asking(&fix);
    operation = ask(&fix);
    assert_int_equal(fix_decide(&fix, "zoe", operation, false), RAY_EDENIED);
    assert_int_equal(fix_decide(&fix, "ann", operation, false), RAY_OK); /* admins always may */
    assert_string_equal(operation_of(&fix, operation)->state, "denied");
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_ECONFLICT);
    operation = ask(&fix);
    assert_int_equal(fix_decide(&fix, "bob", operation, false), RAY_OK);
    assert_string_equal(operation_of(&fix, operation)->decider, "bob");
    assert_int_equal(fix_find(&fix, COORD_GUEST, GUEST)->label_count, 0);
    assert_int_equal(fix_decide(&fix, "eve", 7777, true), RAY_ENOTFOUND);
    fix_close(&fix);
}

static void test_nobody_decides_in_time(void **state)
{
    struct fix fix;
    uint64_t operation;

    (void)state;
    open_asking(&fix);
    operation = ask(&fix);
    pass(&fix, COORD_FSM_APPROVAL_US - SECOND_US);
    assert_string_equal(operation_of(&fix, operation)->state, "needs-approval");
    pass(&fix, 2 * SECOND_US);
    assert_string_equal(operation_of(&fix, operation)->state, "expired");
    assert_int_equal(operation_of(&fix, operation)->command.size, 0);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_ECONFLICT);
    assert_false(coord_fsm_can_expire(fix.fsm));
    fix_close(&fix);
}

static void test_rules_changed_meanwhile(void **state)
{
    const struct policy_fix_rule deny[] = {
        {.name = "frozen", .effect = DENY, .who = "role:operator"},
        {.name = "rest", .effect = ALLOW}};
    const struct policy_fix_rule allow[] = {{.name = "all", .effect = ALLOW}};
    struct fix fix;
    uint64_t operation;

    (void)state;
    open_asking(&fix);
    operation = ask(&fix);
    assert_int_equal(set_rules(&fix, deny, COUNT_OF(deny)), RAY_OK);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_ECONFLICT);
    assert_int_equal(set_rules(&fix, allow, COUNT_OF(allow)), RAY_OK);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_ECONFLICT);
    assert_int_equal(fix_policy_revert(&fix, 2), RAY_OK);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_OK);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, BOB), RAY_OK);
    fix_close(&fix);
}

static void test_who_asked_is_gone(void **state)
{
    struct fix fix;
    uint64_t operation;

    (void)state;
    open_asking(&fix);
    operation = ask(&fix);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, BOB), RAY_OK);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_EDENIED);
    assert_int_equal(fix_find(&fix, COORD_GUEST, GUEST)->label_count, 0);
    assert_int_equal(fix_decide(&fix, "eve", operation, false), RAY_EDENIED);
    assert_int_equal(fix_decide(&fix, "ann", operation, false), RAY_OK); /* admins always may */
    assert_string_equal(operation_of(&fix, operation)->state, "denied");
    fix_close(&fix);
}

static void test_an_approved_command_that_fails(void **state)
{
    struct fix fix;
    uint64_t operation;

    (void)state;
    open_asking(&fix);
    operation = ask(&fix);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST), RAY_OK);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_ENOTFOUND);
    assert_string_equal(operation_of(&fix, operation)->state, "failed");
    assert_true(strncmp(operation_of(&fix, operation)->message, "no guest", 8) == 0);
    must_survive_a_dump(&fix);
    fix_close(&fix);
}

static void test_what_waits_is_not_written(void **state)
{
    struct fix fix;
    uint64_t operation;

    (void)state;
    open_asking(&fix);
    operation = ask(&fix);
    assert_int_equal(
        fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_OPERATION, (unsigned)operation, "mine", 0),
        RAY_ECONFLICT);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_OPERATION, (unsigned)operation),
                     RAY_ECONFLICT);
    fix_close(&fix);
}

static void ask_as_another(struct fix *fix, unsigned number, int count)
{
    char name[16];

    (void)snprintf(name, sizeof name, "asker-%u", number);
    assert_int_equal(
        fix_principal(fix, 500 + number, name, RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_OPERATOR),
        RAY_OK);
    for (int i = 0; i < count; i++) {
        uint64_t before = coord_fsm_count(fix->fsm, COORD_OPERATION);

        assert_int_equal(fix_label_as(fix, name, GUEST, "prod"), RAY_EDENIED);
        assert_int_equal(coord_fsm_count(fix->fsm, COORD_OPERATION), before + 1);
    }
}

/* Those that clients put are none of them. */
static void test_what_clients_put_takes_no_place(void **state)
{
    enum { FIRST = 100000 };
    struct fix fix;

    (void)state;
    open_asking(&fix);
    for (unsigned i = 0; i < COORD_FSM_OPERATIONS_MAX; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "mine-%u", i);
        assert_int_equal(
            fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_OPERATION, FIRST + i, name, 0), RAY_OK);
    }
    (void)ask(&fix);
    fix_close(&fix);
}

static void test_only_so_much_waits(void **state)
{
    struct fix fix;

    (void)state;
    open_asking(&fix);
    for (int i = 0; i < COORD_FSM_ASKER_WAITING_MAX; i++) {
        (void)ask(&fix);
    }
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "prod"), RAY_ETOOBIG);
    assert_string_equal(fix.outcome.result.text,
                        "16 commands of bob wait for approval, no more can");
    for (unsigned i = 1; i < COORD_FSM_OPERATIONS_WAITING_MAX / COORD_FSM_ASKER_WAITING_MAX; i++) {
        ask_as_another(&fix, i, COORD_FSM_ASKER_WAITING_MAX);
    }
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_OPERATION), COORD_FSM_OPERATIONS_WAITING_MAX);
    ask_as_another(&fix, 99, 0);
    assert_int_equal(fix_label_as(&fix, "asker-99", GUEST, "prod"), RAY_ETOOBIG);
    assert_string_equal(fix.outcome.result.text, "256 commands wait for approval, no more can");
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
        cmocka_unit_test(test_a_token_is_approval_and_removal),
        cmocka_unit_test(test_a_put_is_several_actions),
        cmocka_unit_test(test_how_much_is_asked_for),
        cmocka_unit_test(test_what_members_say_no_principal_says),
        cmocka_unit_test(test_nobody_is_locked_out),
        cmocka_unit_test(test_what_is_no_policy),
        cmocka_unit_test(test_unconfirmed_rules_go_back),
        cmocka_unit_test(test_confirmed_rules_stay),
        cmocka_unit_test(test_unconfirmed_upon_unconfirmed),
        cmocka_unit_test(test_old_versions_leave),
        cmocka_unit_test(test_what_is_asked_waits),
        cmocka_unit_test(test_the_command_is_not_told),
        cmocka_unit_test(test_an_approver_lets_it_run),
        cmocka_unit_test(test_who_asks_never_approves),
        cmocka_unit_test(test_denied_and_taken_back),
        cmocka_unit_test(test_nobody_decides_in_time),
        cmocka_unit_test(test_rules_changed_meanwhile),
        cmocka_unit_test(test_who_asked_is_gone),
        cmocka_unit_test(test_an_approved_command_that_fails),
        cmocka_unit_test(test_what_waits_is_not_written),
        cmocka_unit_test(test_only_so_much_waits),
        cmocka_unit_test(test_what_clients_put_takes_no_place),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
