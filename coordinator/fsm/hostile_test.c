/* hostile_test.c - what somebody who is known, and may do little, cannot do to the others; and that
 * a replica without memory halts, instead of coming to another end than the rest. */
#include <stdio.h>

#include "base/fault.h"
#include "base/test.h"
#include "coordinator/fsm/fsm_fixture.h"
#include "coordinator/fsm/state.h"
#include "coordinator/policy/policy_fixture.h"
#include "net/proto/spec.pb-c.h"
#include "net/proto_codec.h"
#include "net/spec.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))
#define TTL_US UINT64_C(60000000)

enum {
    GUEST = 200,
    BOB = 21,
    EVE,
    GIL,
    IDS_MAX = 29000,
    LABELS = 21,
    DESCRIPTION_SIZE = 65000,
    FAULTS_MAX = 2000
};

static const struct policy_fix_rule rules[] = {
    {.name = "admins", .effect = RAYOS__POLICY__EFFECT__EFFECT_ALLOW, .who = "role:admin"},
    {.name = "asking",
     .effect = RAYOS__POLICY__EFFECT__EFFECT_ASK,
     .who = "role:operator",
     .action = "registry.label",
     .approver = "role:viewer"},
    {.name = "small",
     .effect = RAYOS__POLICY__EFFECT__EFFECT_ALLOW,
     .who = "role:operator",
     .vcpus = 4},
    {.name = "door",
     .effect = RAYOS__POLICY__EFFECT__EFFECT_ALLOW,
     .who = "principal:gil",
     .action = "node.approve"},
};

static void open_world(struct fix *fix)
{
    size_t size;
    uint8_t *packed = policy_fix_pack(rules, COUNT_OF(rules), &size);

    fix_open_cluster_with(fix, packed, size);
    free(packed);
    assert_int_equal(fix_put_guest(fix, GUEST, false), RAY_OK);
    assert_int_equal(
        fix_principal(fix, BOB, "bob", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_OPERATOR),
        RAY_OK);
    assert_int_equal(
        fix_principal(fix, EVE, "eve", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_VIEWER), RAY_OK);
    assert_int_equal(
        fix_principal(fix, GIL, "gil", RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_VIEWER), RAY_OK);
}

/* ---- confirm-off ---- */

static void label_node(struct fix *fix)
{
    struct fix_command command;
    Rayos__Registry__ObjectLabel request = RAYOS__REGISTRY__OBJECT_LABEL__INIT;
    Rayos__Registry__Label labels[LABELS];
    Rayos__Registry__Label *list[LABELS];
    char keys[LABELS][4];
    struct ray_id id = fix_id(FIX_NODE_A);

    for (unsigned i = 0; i < LABELS; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%02u", i);
        rayos__registry__label__init(&labels[i]);
        labels[i].key = keys[i];
        list[i] = &labels[i];
    }
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL;
    command.message.object_label = &request;
    request.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    request.id = ray_proto_id(&id);
    request.set = list;
    request.n_set = LABELS;
    assert_int_equal(fix_apply(fix, &command), RAY_OK);
}

/* The ids of nodes first, first + step, ... */
static int confirm_off(struct fix *fix, const char *who, size_t count, unsigned first,
                       unsigned step)
{
    static struct ray_id ids[IDS_MAX];
    static ProtobufCBinaryData list[IDS_MAX];
    struct fix_command command;
    Rayos__Registry__ConfirmOff off = RAYOS__REGISTRY__CONFIRM_OFF__INIT;

    for (size_t i = 0; i < count; i++) {
        ids[i] = fix_id(first + (unsigned)i * step);
        list[i] = ray_proto_id(&ids[i]);
    }
    fix_command(&command);
    fix_as(&command, who, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_CONFIRM_OFF;
    command.message.confirm_off = &off;
    off.nodes = list;
    off.n_nodes = count;
    return fix_apply(fix, &command);
}

/* What a command names costs no memory before it is known to be allowed and possible. */
static void test_many_ids_halt_nobody(void **state)
{
    struct fix fix;

    (void)state;
    open_world(&fix);
    label_node(&fix);
    assert_int_equal(confirm_off(&fix, "eve", IDS_MAX, FIX_NODE_A, 0), RAY_ETOOBIG);
    assert_string_equal(fix.outcome.result.text, "29000 nodes, at most 4096");
    assert_int_equal(confirm_off(&fix, "eve", COORD_UNKNOWN_NODES_MAX + 1, 5000, 1), RAY_ETOOBIG);
    assert_int_equal(confirm_off(&fix, "eve", COORD_UNKNOWN_NODES_MAX, 5000, 1), RAY_EDENIED);
    assert_int_equal(confirm_off(&fix, "admin", COORD_UNKNOWN_NODES_MAX, 5000, 1), RAY_OK);
    assert_int_equal(confirm_off(&fix, "admin", 2, FIX_NODE_A, 0), RAY_EINVAL);
    assert_string_equal(fix.outcome.result.text, "a node is named twice");
    assert_int_equal(confirm_off(&fix, "eve", 1, FIX_NODE_A, 0), RAY_EDENIED);
    assert_string_equal(fix.outcome.result.text,
                        "rule 'default' denies eve node.confirm-off node:node-10: no rule allows "
                        "it");
    assert_int_equal(confirm_off(&fix, "eve", 0, 0, 0), RAY_EDENIED);
    assert_false(coord_fsm_is_halted(fix.fsm));
    fix_close(&fix);
}

/* ---- approval of nodes ---- */

static int approve_node(struct fix *fix, const char *who, unsigned node, unsigned replaces)
{
    struct fix_command command;
    Rayos__Registry__NodeApprove approve = RAYOS__REGISTRY__NODE_APPROVE__INIT;
    struct ray_id id = fix_id(node);
    struct ray_id other = fix_id(replaces);

    fix_command(&command);
    fix_as(&command, who, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_APPROVE;
    command.message.node_approve = &approve;
    approve.node = ray_proto_id(&id);
    approve.replaces = ray_proto_optional_id(&other);
    return fix_apply(fix, &command);
}

/* To let one in is less than to remove another. */
static void test_who_approves_removes_nobody(void **state)
{
    struct fix fix;

    (void)state;
    open_world(&fix);
    assert_int_equal(approve_node(&fix, "gil", FIX_NODE_A, 0), RAY_ECONFLICT); /* is in */
    assert_int_equal(approve_node(&fix, "gil", FIX_NODE_A, FIX_NODE_A), RAY_EDENIED);
    assert_string_equal(fix.outcome.result.text,
                        "rule 'default' denies gil node.remove node:node-10: no rule allows it");
    assert_int_equal(approve_node(&fix, "admin", FIX_NODE_A, FIX_NODE_A), RAY_ECONFLICT);
    fix_close(&fix);
}

/* ---- sessions ---- */

static int open_session(struct fix *fix, const char *who, unsigned session)
{
    struct fix_command command;
    Rayos__Registry__SessionOpen open = RAYOS__REGISTRY__SESSION_OPEN__INIT;
    struct ray_id id = fix_id(session);

    fix_command(&command);
    fix_as(&command, who, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_SESSION_OPEN;
    command.message.session_open = &open;
    open.id = ray_proto_id(&id);
    open.ttl_us = TTL_US;
    return fix_apply(fix, &command);
}

static int close_session(struct fix *fix, const char *who, unsigned session)
{
    struct fix_command command;
    Rayos__Registry__SessionClose close = RAYOS__REGISTRY__SESSION_CLOSE__INIT;
    struct ray_id id = fix_id(session);

    fix_command(&command);
    fix_as(&command, who, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_SESSION_CLOSE;
    command.message.session_close = &close;
    close.id = ray_proto_id(&id);
    return fix_apply(fix, &command);
}

static void test_nobody_takes_all_sessions(void **state)
{
    enum { FIRST = 1000, NEXT = FIRST + COORD_FSM_PRINCIPAL_SESSIONS_MAX };
    struct fix fix;

    (void)state;
    open_world(&fix);
    for (unsigned i = FIRST; i < NEXT; i++) {
        assert_int_equal(open_session(&fix, "eve", i), RAY_OK);
    }
    assert_int_equal(open_session(&fix, "eve", NEXT), RAY_ETOOBIG);
    assert_string_equal(fix.outcome.result.text, "eve has 256 sessions open, no more are possible");
    assert_int_equal(open_session(&fix, "eve", FIRST), RAY_OK); /* the same again */
    assert_int_equal(open_session(&fix, "bob", NEXT), RAY_OK);
    assert_int_equal(close_session(&fix, "eve", FIRST), RAY_OK);
    assert_int_equal(open_session(&fix, "eve", FIRST), RAY_OK);
    assert_int_equal(open_session(&fix, "eve", NEXT + 1), RAY_ETOOBIG);
    fix_close(&fix);
}

/* ---- events ---- */

static int say(struct fix *fix, const char *who, Rayos__Registry__Caller caller, const char *what)
{
    struct fix_command command;
    Rayos__Registry__EventAdd add = RAYOS__REGISTRY__EVENT_ADD__INIT;

    fix_command(&command);
    fix_as(&command, who, caller);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_EVENT_ADD;
    command.message.event_add = &add;
    add.what = (char *)(uintptr_t)what;
    add.text = (char *)"text";
    return fix_apply(fix, &command);
}

static void test_denials_leave_other_events(void **state)
{
    enum { DENIALS = 100, KEPT = 4 };
    struct fix fix;
    size_t before;

    (void)state;
    open_world(&fix);
    assert_int_equal(fix_put_guest(&fix, GUEST + 1, false), RAY_OK);
    before = coord_fsm_count(fix.fsm, COORD_EVENT);
    for (unsigned i = 0; i < DENIALS; i++) {
        assert_int_equal(fix_label_as(&fix, "eve", GUEST + i % 2, "e"), RAY_EDENIED);
    }
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_EVENT), before + KEPT);
    assert_string_equal(fix_happening(&fix)->text,
                        "rule 'default': eve registry.label guest:guest-201");
    assert_int_equal(fix_happening(&fix)->time_us, fix.time_us);
    assert_int_equal(confirm_off(&fix, "eve", 0, 0, 0), RAY_EDENIED);
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_EVENT), before + KEPT);
    fix_close(&fix);
}

static void test_nobody_says_what_the_cluster_says(void **state)
{
    const Rayos__Registry__Caller principal = RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL;
    struct fix fix;

    (void)state;
    open_world(&fix);
    assert_int_equal(say(&fix, "admin", principal, "lunch"), RAY_OK);
    assert_int_equal(say(&fix, "admin", principal, "policy-denied"), RAY_EDENIED);
    assert_string_equal(fix.outcome.result.text, "'policy-denied' is said by the cluster itself");
    assert_int_equal(say(&fix, "admin", principal, "approved"), RAY_EDENIED);
    assert_int_equal(say(&fix, "node", RAYOS__REGISTRY__CALLER__CALLER_NONE, "duplicate-identity"),
                     RAY_OK);
    fix_close(&fix);
}

/* ---- history ---- */

static void test_the_history_names_who_decided(void **state)
{
    struct fix fix;
    struct ray_id id;
    struct fsm_change change;

    (void)state;
    open_world(&fix);
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "prod"), RAY_EDENIED);
    id = fix_id((unsigned)fix.index);
    assert_int_equal(fix_decide(&fix, "eve", fix.index, true), RAY_OK);
    change = fsm_history_last(fsm_find(fix.fsm, COORD_OPERATION, &id));
    assert_string_equal(change.principal->bytes, "eve");
    assert_string_equal(change.what->bytes, "operation-decide");
    id = fix_id(GUEST);
    change = fsm_history_last(fsm_find(fix.fsm, COORD_GUEST, &id));
    assert_string_equal(change.principal->bytes, "bob");
    assert_string_equal(change.what->bytes, "label");
    fix_close(&fix);
}

/* ---- memory ---- */

static int put_guest(struct fix *fix, uint32_t vcpus)
{
    struct fix_command command;
    Rayos__Registry__ObjectPut request = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Guest body = RAYOS__REGISTRY__GUEST__INIT;
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    Rayos__Spec__NodeLabel labels[RAY_SPEC_NODE_LABELS_MAX];
    Rayos__Spec__NodeLabel *list[RAY_SPEC_NODE_LABELS_MAX];
    char keys[RAY_SPEC_NODE_LABELS_MAX][4];
    static char description[DESCRIPTION_SIZE];
    static uint8_t bytes[RAY_SPEC_SIZE_MAX];
    struct ray_id id = fix_id(GUEST + 1);

    memset(description, 'a', sizeof description - 1);
    spec.description = description; /* in all more than an arena has lying about */
    for (unsigned i = 0; i < RAY_SPEC_NODE_LABELS_MAX; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%02u", i);
        rayos__spec__node_label__init(&labels[i]);
        labels[i].key = keys[i];
        labels[i].value = ray_proto_bytes(keys[i], 3);
        list[i] = &labels[i];
    }
    spec.node_labels = list;
    spec.n_node_labels = RAY_SPEC_NODE_LABELS_MAX;
    spec.vcpus = vcpus;
    assert_true(rayos__spec__guest_spec__get_packed_size(&spec) <= sizeof bytes);
    object.spec = ray_proto_bytes(bytes, rayos__spec__guest_spec__pack(&spec, bytes));
    fix_command(&command);
    fix_as(&command, "bob", RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.message.object_put = &request;
    request.object = &object;
    object.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    object.id = ray_proto_id(&id);
    object.name = (char *)"web-1";
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_GUEST;
    object.guest = &body;
    body.wanted = RAYOS__REGISTRY__WANTED__WANTED_STOPPED;
    return fix_apply(fix, &command);
}

static int put_small(struct fix *fix)
{
    return put_guest(fix, 4);
}

static int put_large(struct fix *fix)
{
    return put_guest(fix, 5);
}

static int approve(struct fix *fix)
{
    return fix_decide(fix, "eve", fix->index, true);
}

/* With each allocation failing once: as ever, or halted. */
static void must_halt_without_memory(int (*run)(struct fix *fix), bool is_about_asked, int expected)
{
    int rc = RAY_ENOMEM;
    unsigned i;

    for (i = 1; i <= FAULTS_MAX; i++) {
        struct fix fix;
        char text[32];
        bool has_fired;

        open_world(&fix);
        if (is_about_asked) {
            assert_int_equal(fix_label_as(&fix, "bob", GUEST, "prod"), RAY_EDENIED);
        }
        fix.has_no_twin = true;
        (void)snprintf(text, sizeof text, "alloc:%u", i);
        if (!ray_fault_set(text)) {
            fix_close(&fix);
            skip();
        }
        rc = run(&fix);
        has_fired = ray_fault_has_fired();
        (void)ray_fault_set(NULL);
        assert_int_equal(rc, rc == RAY_ENOMEM ? RAY_ENOMEM : expected);
        assert_int_equal(coord_fsm_is_halted(fix.fsm), rc == RAY_ENOMEM);
        fix_close(&fix);
        if (!has_fired) {
            break;
        }
    }
    assert_true(i > 1 && i <= FAULTS_MAX);
    assert_int_equal(rc, expected);
}

static void test_memory_decides_nothing(void **state)
{
    (void)state;
    must_halt_without_memory(put_small, false, RAY_OK);
    must_halt_without_memory(put_large, false, RAY_EDENIED);
    must_halt_without_memory(approve, true, RAY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_ids_halt_nobody),
        cmocka_unit_test(test_who_approves_removes_nobody),
        cmocka_unit_test(test_nobody_takes_all_sessions),
        cmocka_unit_test(test_denials_leave_other_events),
        cmocka_unit_test(test_nobody_says_what_the_cluster_says),
        cmocka_unit_test(test_the_history_names_who_decided),
        cmocka_unit_test(test_memory_decides_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
