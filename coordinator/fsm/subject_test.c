/* subject_test.c - which actions on which objects a command is: as it is and as it will be. */
#include "base/test.h"
#include "coordinator/fsm/rules_fixture.h"
#include "net/proto_codec.h"
#include "net/spec.h"

enum { NETWORK = 400, SHOWN = 410 };

static int label(struct fix *fix, const char *who, Rayos__Registry__Kind kind, unsigned id,
                 const char *key, const char *remove)
{
    struct fix_command command;
    Rayos__Registry__ObjectLabel request = RAYOS__REGISTRY__OBJECT_LABEL__INIT;
    Rayos__Registry__Label set = RAYOS__REGISTRY__LABEL__INIT;
    Rayos__Registry__Label *list[] = {&set};
    struct ray_id object = fix_id(id);
    char *removed[] = {(char *)(uintptr_t)remove};

    fix_command(&command);
    fix_as(&command, who, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL;
    command.message.object_label = &request;
    request.kind = kind;
    request.id = ray_proto_id(&object);
    if (key != NULL) {
        set.key = (char *)(uintptr_t)key;
        set.value = ray_proto_bytes((const uint8_t *)"x", 1);
        request.set = list;
        request.n_set = 1;
    }
    request.remove = removed;
    request.n_remove = remove != NULL;
    return fix_apply(fix, &command);
}

/* Who may label some must not label others into their number, nor out of another rule's. */
static void test_labels_are_judged_as_they_will_be(void **state)
{
    const struct policy_fix_rule rules[] = {
        rules_admins,
        {.name = "not-prod",
         .effect = DENY,
         .who = "principal:bob",
         .label_key = "prod",
         .label_value = "*"},
        {.name = "mine",
         .effect = ALLOW,
         .who = "principal:bob",
         .action = "registry.label",
         .label_key = "bob",
         .label_value = "*"},
        {.name = "free", .effect = ALLOW, .who = "principal:zoe", .action = "registry.label"},
    };
    const Rayos__Registry__Kind guest = RAYOS__REGISTRY__KIND__KIND_GUEST;
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(label(&fix, "bob", guest, GUEST, "bob", NULL), RAY_EDENIED); /* not yet his */
    assert_int_equal(label(&fix, "zoe", guest, GUEST, "bob", NULL), RAY_OK);
    assert_int_equal(label(&fix, "bob", guest, GUEST, "a", NULL), RAY_OK);
    assert_int_equal(label(&fix, "bob", guest, GUEST, "b", "bob"), RAY_EDENIED); /* out of it */
    assert_int_equal(label(&fix, "bob", guest, GUEST, "prod", NULL), RAY_EDENIED);
    assert_int_equal(label(&fix, "ann", guest, GUEST, "prod", NULL), RAY_OK);
    assert_int_equal(label(&fix, "bob", guest, GUEST, NULL, "prod"), RAY_EDENIED);
    fix_close(&fix);
}

static void test_operators_label_what_they_run(void **state)
{
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_NETWORK, NETWORK, "lan", 0),
                     RAY_OK);
    assert_int_equal(label(&fix, "bob", RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST, "a", NULL),
                     RAY_OK);
    assert_int_equal(label(&fix, "bob", RAYOS__REGISTRY__KIND__KIND_NETWORK, NETWORK, "a", NULL),
                     RAY_OK);
    assert_int_equal(label(&fix, "bob", RAYOS__REGISTRY__KIND__KIND_NODE, FIX_NODE_A, "a", NULL),
                     RAY_EDENIED);
    assert_int_equal(label(&fix, "bob", RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, BOB, "a", NULL),
                     RAY_EDENIED);
    assert_int_equal(label(&fix, "ann", RAYOS__REGISTRY__KIND__KIND_NODE, FIX_NODE_A, "a", NULL),
                     RAY_OK);
    fix_close(&fix);
}

static int principal_as(struct fix *fix, const char *who, unsigned id, const char *name,
                        Rayos__Registry__PrincipalRole role)
{
    struct fix_command command;
    Rayos__Registry__ObjectPut request = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Principal body = RAYOS__REGISTRY__PRINCIPAL__INIT;
    struct ray_id object_id = fix_id(id);
    uint8_t key[COORD_KEY_SIZE] = {(uint8_t)id};

    fix_command(&command);
    fix_as(&command, who, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.message.object_put = &request;
    request.object = &object;
    object.kind = RAYOS__REGISTRY__KIND__KIND_PRINCIPAL;
    object.id = ray_proto_id(&object_id);
    object.name = (char *)(uintptr_t)name;
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL;
    object.principal = &body;
    body.key = ray_proto_bytes(key, sizeof key);
    body.role = role;
    body.is_admin = role == RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN;
    return fix_apply(fix, &command);
}

static int delete_as(struct fix *fix, const char *who, Rayos__Registry__Kind kind, unsigned id)
{
    struct fix_command command;
    Rayos__Registry__ObjectDelete request = RAYOS__REGISTRY__OBJECT_DELETE__INIT;
    struct ray_id object = fix_id(id);

    fix_command(&command);
    fix_as(&command, who, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_DELETE;
    command.message.object_delete = &request;
    request.kind = kind;
    request.id = ray_proto_id(&object);
    return fix_apply(fix, &command);
}

static void test_admins_are_made_by_who_may(void **state)
{
    const Rayos__Registry__PrincipalRole admin = RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN;
    const Rayos__Registry__PrincipalRole viewer = RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_VIEWER;
    const struct policy_fix_rule rules[] = {
        rules_admins,
        {.name = "no-admins", .effect = DENY, .who = "principal:bob", .action = "principal.admin"},
        {.name = "desk", .effect = ALLOW, .who = "principal:bob"},
    };
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(principal_as(&fix, "bob", 30, "max", viewer), RAY_OK);
    assert_int_equal(principal_as(&fix, "bob", 31, "mia", admin), RAY_EDENIED);
    assert_string_equal(fix.outcome.result.text,
                        "rule 'no-admins' denies bob principal.admin principal:mia");
    assert_int_equal(principal_as(&fix, "bob", 30, "max", admin), RAY_EDENIED);
    assert_int_equal(principal_as(&fix, "bob", BOB, "bob", admin), RAY_EDENIED);
    assert_int_equal(principal_as(&fix, "bob", ANN, "ann", viewer), RAY_EDENIED);
    assert_int_equal(label(&fix, "bob", RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, ANN, "a", NULL),
                     RAY_EDENIED);
    assert_int_equal(delete_as(&fix, "bob", RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, ANN),
                     RAY_EDENIED);
    assert_int_equal(principal_as(&fix, "ann", 30, "max", admin), RAY_OK);
    fix_close(&fix);
}

static void test_an_admin_is_moved_nowhere_by_a_label(void **state)
{
    const struct policy_fix_rule rules[] = {
        rules_admins,
        {.name = "team",
         .effect = ALLOW,
         .who = "principal:bob",
         .action = "principal.admin",
         .label_key = "team",
         .label_value = "x"},
        {.name = "labels", .effect = ALLOW, .who = "principal:bob", .action = "registry.label"},
    };
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(label(&fix, "ann", RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, ANN, "team", NULL),
                     RAY_OK);
    assert_int_equal(label(&fix, "bob", RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, ANN, "tall", NULL),
                     RAY_OK);
    assert_int_equal(label(&fix, "bob", RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, ANN, NULL, "team"),
                     RAY_EDENIED);
    fix_close(&fix);
}

static int approve_as(struct fix *fix, const char *who, unsigned id)
{
    struct fix_command command;
    Rayos__Registry__NodeApprove approve = RAYOS__REGISTRY__NODE_APPROVE__INIT;
    struct ray_id node = fix_id(id);

    fix_command(&command);
    fix_as(&command, who, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_APPROVE;
    command.message.node_approve = &approve;
    approve.node = ray_proto_id(&node);
    return fix_apply(fix, &command);
}

static void test_a_node_is_approved_by_the_name_it_gets(void **state)
{
    const struct policy_fix_rule rules[] = {
        rules_admins,
        {.name = "core",
         .effect = DENY,
         .who = "principal:bob",
         .action = "node.approve",
         .object = "node:core-1"},
        {.name = "desk", .effect = ALLOW, .who = "principal:bob"},
    };
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(fix_join_as(&fix, "core-1", 60, FIX_TOKEN, 960, 1), RAY_OK);
    assert_int_equal(fix_join_as(&fix, "core-1", 61, 0, 961, 1), RAY_OK);
    assert_string_equal(fix_find(&fix, COORD_NODE, 61)->node.wanted_name, "core-1");
    assert_int_equal(approve_as(&fix, "bob", 61), RAY_EDENIED);
    assert_string_equal(fix.outcome.result.text, "rule 'core' denies bob node.approve node:core-1");
    assert_int_equal(fix_join_as(&fix, "edge-1", 62, 0, 962, 1), RAY_OK);
    assert_int_equal(approve_as(&fix, "bob", 62), RAY_OK);
    fix_close(&fix);
}

/* By names with NULL at the end. */
static int guest_as(struct fix *fix, const char *who, unsigned id, bool is_wanted,
                    const char *const *names)
{
    struct fix_command command;
    Rayos__Registry__ObjectPut request = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Guest body = RAYOS__REGISTRY__GUEST__INIT;
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    Rayos__Spec__GuestNetwork networks[RAY_SPEC_NETWORKS_MAX];
    Rayos__Spec__GuestNetwork *list[RAY_SPEC_NETWORKS_MAX];
    struct ray_id guest = fix_id(id);
    char name[16];
    uint8_t bytes[256];

    for (; names[spec.n_networks] != NULL; spec.n_networks++) {
        rayos__spec__guest_network__init(&networks[spec.n_networks]);
        networks[spec.n_networks].network = (char *)(uintptr_t)names[spec.n_networks];
        list[spec.n_networks] = &networks[spec.n_networks];
    }
    spec.networks = list;
    assert_true(rayos__spec__guest_spec__get_packed_size(&spec) <= sizeof bytes);
    (void)snprintf(name, sizeof name, "guest-%u", id);
    fix_command(&command);
    fix_as(&command, who, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.message.object_put = &request;
    request.object = &object;
    object.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    object.id = ray_proto_id(&guest);
    object.name = name;
    object.spec = ray_proto_bytes(bytes, rayos__spec__guest_spec__pack(&spec, bytes));
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_GUEST;
    object.guest = &body;
    body.wanted = is_wanted ? RAYOS__REGISTRY__WANTED__WANTED_RUNNING
                            : RAYOS__REGISTRY__WANTED__WANTED_STOPPED;
    return fix_apply(fix, &command);
}

static void test_each_network_of_a_guest_is_asked(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const lan[] = {"lan", NULL};
    static const char *const both[] = {"lan", "dmz", NULL};
    const struct policy_fix_rule open[] = {
        {.name = "lan", .effect = ALLOW, .action = "guest.network", .object = "network:lan"},
        {.name = "none", .effect = DENY, .action = "guest.network"},
        {.name = "rest", .effect = ALLOW},
    };
    const struct policy_fix_rule shut[] = {
        {.name = "none", .effect = DENY, .action = "guest.network"},
        {.name = "rest", .effect = ALLOW},
    };
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(guest_as(&fix, "ann", 300, false, lan), RAY_EDENIED); /* the default is safe */
    assert_string_equal(fix.outcome.result.text,
                        "rule 'no-guest-network' denies ann guest.network network:lan: guests have "
                        "no network until a rule before this one allows it");
    assert_int_equal(guest_as(&fix, "bob", 300, true, none), RAY_OK);
    assert_int_equal(rules_set(&fix, open, COUNT_OF(open)), RAY_OK);
    assert_int_equal(guest_as(&fix, "bob", 300, true, both), RAY_EDENIED);
    assert_int_equal(guest_as(&fix, "bob", 300, true, lan), RAY_OK);
    /* What it has does not keep anybody from stopping it; it does not start again. */
    assert_int_equal(rules_set(&fix, shut, COUNT_OF(shut)), RAY_OK);
    assert_int_equal(guest_as(&fix, "bob", 300, false, lan), RAY_OK);
    assert_int_equal(guest_as(&fix, "bob", 300, false, both), RAY_EDENIED);
    assert_int_equal(guest_as(&fix, "bob", 300, true, lan), RAY_EDENIED);
    assert_int_equal(guest_as(&fix, "bob", 300, true, none), RAY_OK);
    fix_close(&fix);
}

static int present_as(struct fix *fix, const char *who, unsigned node, unsigned guest)
{
    struct fix_command command;
    Rayos__Registry__ObjectPut request = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Presentation body = RAYOS__REGISTRY__PRESENTATION__INIT;
    struct ray_id id = fix_id(SHOWN);
    struct ray_id node_id = fix_id(node);
    struct ray_id guest_id = fix_id(guest);

    fix_command(&command);
    fix_as(&command, who, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.message.object_put = &request;
    request.object = &object;
    object.kind = RAYOS__REGISTRY__KIND__KIND_PRESENTATION;
    object.id = ray_proto_id(&id);
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_PRESENTATION;
    object.presentation = &body;
    body.guest = ray_proto_id(&guest_id);
    body.node = ray_proto_id(&node_id);
    body.surface = (char *)(uintptr_t)"main";
    return fix_apply(fix, &command);
}

/* The display counts, not where the guest runs; what is shown already is asked about, too. */
static void test_the_node_that_shows_is_asked(void **state)
{
    const Rayos__Registry__Kind presentation = RAYOS__REGISTRY__KIND__KIND_PRESENTATION;
    struct policy_fix_rule rules[] = {
        {.name = "wall", .effect = ALLOW, .action = "guest.present"},
        {.name = "no-more", .effect = DENY, .action = "guest.present"},
        rules_admins,
    };
    struct fix fix;
    const char *first;
    const char *other;

    (void)state;
    rules_open(&fix);
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_OK);
    first = fix_find(&fix, COORD_NODE, FIX_NODE_A)->name;
    other = fix_find(&fix, COORD_NODE, FIX_NODE_B)->name;
    rules[0].on = other;
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(fix_put_guest(&fix, GUEST, true), RAY_OK);
    assert_int_equal(fix_restart(&fix, GUEST, FIX_NODE_A), RAY_OK); /* it runs on the first */
    assert_int_equal(present_as(&fix, "ann", FIX_NODE_A, GUEST), RAY_EDENIED);
    assert_int_equal(present_as(&fix, "ann", FIX_NODE_B, GUEST), RAY_OK);
    assert_int_equal(present_as(&fix, "ann", FIX_NODE_B, GUEST), RAY_OK);
    rules[0].on = first;
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(present_as(&fix, "ann", FIX_NODE_A, GUEST),
                     RAY_EDENIED); /* taken from the other */
    assert_int_equal(delete_as(&fix, "ann", presentation, SHOWN), RAY_EDENIED);
    rules[0].on = NULL;
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(present_as(&fix, "ann", FIX_NODE_A, GUEST), RAY_OK);
    assert_int_equal(delete_as(&fix, "ann", presentation, SHOWN), RAY_OK);
    fix_close(&fix);
}

static void test_a_start_is_asked_where_the_guest_is(void **state)
{
    static const char *const none[] = {NULL};
    struct policy_fix_rule rules[] = {
        {.name = "here", .effect = DENY, .who = "principal:bob", .action = "guest.start"},
        {.name = "rest", .effect = ALLOW},
    };
    struct fix fix;

    (void)state;
    rules_open(&fix);
    rules[0].on = fix_find(&fix, COORD_NODE, FIX_NODE_A)->name;
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(guest_as(&fix, "bob", GUEST, true, none), RAY_OK); /* it is nowhere */
    assert_int_equal(fix_restart(&fix, GUEST, FIX_NODE_A), RAY_OK);
    assert_int_equal(guest_as(&fix, "bob", GUEST, false, none), RAY_OK);
    assert_int_equal(guest_as(&fix, "bob", GUEST, true, none), RAY_EDENIED);
    fix_close(&fix);
}

static void test_so_many_labels_cost_nothing(void **state)
{
    enum { COUNT = COORD_LABELS_MAX + 1 };
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__ObjectLabel request = RAYOS__REGISTRY__OBJECT_LABEL__INIT;
    struct ray_id guest = fix_id(GUEST);
    char *removed[COUNT];

    (void)state;
    rules_open(&fix);
    for (int i = 0; i < COUNT; i++) {
        removed[i] = (char *)(uintptr_t)"a";
    }
    fix_command(&command);
    fix_as(&command, "ann", RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL;
    command.message.object_label = &request;
    request.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    request.id = ray_proto_id(&guest);
    request.remove = removed;
    request.n_remove = COUNT;
    assert_int_equal(fix_apply(&fix, &command), RAY_ETOOBIG);
    request.n_remove--;
    assert_int_equal(fix_apply(&fix, &command), RAY_OK);
    fix_close(&fix);
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
        rules_admins,
        {.name = "no", .effect = DENY, .action = "node.approve", .who = "role:operator"},
        {.name = "rest", .effect = ALLOW, .who = "role:operator"},
    };
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(put_token_as(&fix, "bob", 80, 0), RAY_OK);
    assert_int_equal(put_token_as(&fix, "bob", 81, FIX_NODE_A), RAY_EDENIED);
    rules[1].action = "node.remove";
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(put_token_as(&fix, "bob", 82, FIX_NODE_A), RAY_EDENIED);
    rules[1].action = "node.drain";
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(put_token_as(&fix, "bob", 83, FIX_NODE_A), RAY_OK);
    fix_close(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_are_judged_as_they_will_be),
        cmocka_unit_test(test_operators_label_what_they_run),
        cmocka_unit_test(test_admins_are_made_by_who_may),
        cmocka_unit_test(test_an_admin_is_moved_nowhere_by_a_label),
        cmocka_unit_test(test_a_node_is_approved_by_the_name_it_gets),
        cmocka_unit_test(test_each_network_of_a_guest_is_asked),
        cmocka_unit_test(test_the_node_that_shows_is_asked),
        cmocka_unit_test(test_a_start_is_asked_where_the_guest_is),
        cmocka_unit_test(test_a_token_is_approval_and_removal),
        cmocka_unit_test(test_so_many_labels_cost_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
