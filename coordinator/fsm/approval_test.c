/* approval_test.c - what rules ask about waits for somebody else, who lets run what was asked and
 * nothing else. */
#include "base/test.h"
#include "coordinator/fsm/rules_fixture.h"
#include "coordinator/mutant.h"
#include "net/proto_codec.h"

static const struct coord_operation *operation_of(const struct fix *fix, uint64_t revision)
{
    const struct coord_object *object = fix_find(fix, COORD_OPERATION, (unsigned)revision);

    assert_non_null(object);
    return &object->operation;
}

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
    rules_open(fix);
    assert_int_equal(rules_set(fix, asking, COUNT_OF(asking)), RAY_OK);
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
    reply = rules_reply(&fix);
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
    rules_survive_a_dump(&fix);
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
    rules_survive_a_dump(&fix);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_OK);
    assert_int_equal(fix_find(&fix, COORD_GUEST, GUEST)->label_count, 1);
    assert_string_equal(operation_of(&fix, operation)->state, "done");
    assert_string_equal(operation_of(&fix, operation)->asker, "bob");
    assert_string_equal(operation_of(&fix, operation)->decider, "eve");
    assert_int_equal(operation_of(&fix, operation)->command.size, 0);
    assert_string_equal(fix_happening(&fix)->what, "approved");
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_ECONFLICT); /* once */
    rules_survive_a_dump(&fix);
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
    rules_pass(&fix, COORD_FSM_APPROVAL_US - SECOND_US);
    assert_string_equal(operation_of(&fix, operation)->state, "needs-approval");
    rules_pass(&fix, 2 * SECOND_US);
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
    assert_int_equal(rules_set(&fix, deny, COUNT_OF(deny)), RAY_OK);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_ECONFLICT);
    assert_int_equal(rules_set(&fix, allow, COUNT_OF(allow)), RAY_OK);
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

/* Of two that ask about one command, each has a say. */
static const struct policy_fix_rule twice[] = {
    {.name = "names",
     .effect = ASK,
     .who = "principal:bob",
     .action = "guest.create",
     .approver = "principal:eve"},
    {.name = "starts",
     .effect = ASK,
     .who = "principal:bob",
     .action = "guest.start",
     .approver = "principal:zoe"},
    {.name = "rest", .effect = ALLOW},
};

static void test_each_rule_that_asks_has_a_say(void **state)
{
    struct policy_fix_rule both[COUNT_OF(twice)];
    struct fix fix;
    uint64_t operation;

    (void)state;
    memcpy(both, twice, sizeof both);
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, both, COUNT_OF(both)), RAY_OK);
    assert_int_equal(rules_put_guest(&fix, "bob", "web-1", true, 300, 1), RAY_EDENIED);
    operation = fix.index;
    assert_int_equal(operation_of(&fix, operation)->rules.size, strlen("names starts"));
    assert_memory_equal(operation_of(&fix, operation)->rules.data, "names starts",
                        strlen("names starts"));
    rules_survive_a_dump(&fix);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_EDENIED);
    assert_true(strncmp(fix.outcome.result.text, "rule 'starts' does not let eve", 30) == 0);
    assert_int_equal(fix_decide(&fix, "zoe", operation, true), RAY_EDENIED);
    assert_true(strncmp(fix.outcome.result.text, "rule 'names' does not let zoe", 29) == 0);
    assert_null(fix_find(&fix, COORD_GUEST, 300));
    assert_int_equal(fix_decide(&fix, "zoe", operation, false), RAY_OK); /* one may stop it */
    both[1].approver = "principal:eve";
    assert_int_equal(rules_set(&fix, both, COUNT_OF(both)), RAY_OK);
    assert_int_equal(rules_put_guest(&fix, "bob", "web-1", true, 300, 1), RAY_EDENIED);
    assert_int_equal(fix_decide(&fix, "eve", fix.index, true), RAY_OK);
    assert_true(fix_guest(&fix, 300)->is_wanted);
    fix_close(&fix);
}

static void test_an_approval_is_for_what_was_seen(void **state)
{
    struct fix fix;
    uint64_t operation;

    (void)state;
    open_asking(&fix);
    operation = ask(&fix);
    assert_int_equal(rules_put_guest(&fix, "ann", "guest-200", false, GUEST, 3), RAY_OK);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_ECONFLICT);
    assert_non_null(strstr(fix.outcome.result.text, "after it was asked"));
    assert_non_null(strstr(fix.outcome.result.next_step, "let bob do it again"));
    assert_int_equal(fix_find(&fix, COORD_GUEST, GUEST)->label_count, 0);
    assert_int_equal(fix_decide(&fix, "eve", operation, false), RAY_OK);
    operation = ask(&fix);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_OK);
    fix_close(&fix);
}

/* The same effect for another reason: who approved has read another rule. */
static void test_an_approval_is_for_the_rule_that_asked(void **state)
{
    const struct policy_fix_rule other[] = {
        {.name = "later", .effect = ASK, .who = "role:operator", .approver = "role:viewer"},
        {.name = "rest", .effect = ALLOW}};
    struct fix fix;
    uint64_t operation;

    (void)state;
    open_asking(&fix);
    operation = ask(&fix);
    assert_int_equal(rules_set(&fix, other, COUNT_OF(other)), RAY_OK);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_ECONFLICT);
    assert_non_null(strstr(fix.outcome.result.text, "no longer what was asked"));
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST), RAY_OK);
    assert_int_equal(fix_policy_revert(&fix, 2), RAY_OK);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_ECONFLICT); /* it is gone */
    fix_close(&fix);
}

static void report(struct fix *fix, Rayos__Registry__GuestState guest_state)
{
    struct fix_command command;
    Rayos__Registry__GuestReport report = RAYOS__REGISTRY__GUEST_REPORT__INIT;
    Rayos__Registry__Epoch epoch = RAYOS__REGISTRY__EPOCH__INIT;
    struct ray_id guest = fix_id(GUEST);
    struct ray_id incarnation = fix_id(fix_incarnation(FIX_NODE_A));

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_GUEST_REPORT;
    command.message.guest_report = &report;
    command.header.incarnation = ray_proto_optional_id(&incarnation);
    report.guest = ray_proto_optional_id(&guest);
    report.epoch = &epoch;
    report.state = guest_state;
    epoch.cluster = fix_guest(fix, GUEST)->epoch.cluster;
    epoch.index = fix_guest(fix, GUEST)->epoch.index;
    assert_int_equal(fix_apply(fix, &command), RAY_OK);
    assert_int_equal(fix->outcome.event_count, 1);
}

/* What a node reports of a guest's run does not outdate anything, nor what members do about it. */
static void test_reports_outdate_no_approval(void **state)
{
    struct fix fix;
    uint64_t operation;

    (void)state;
    open_asking(&fix);
    assert_int_equal(rules_put_guest(&fix, "ann", "guest-200", true, GUEST, 1), RAY_OK);
    operation = ask(&fix);
    assert_int_equal(fix_restart(&fix, GUEST, FIX_NODE_A), RAY_OK);
    report(&fix, RAYOS__REGISTRY__GUEST_STATE__GUEST_RUNNING);
    report(&fix, RAYOS__REGISTRY__GUEST_STATE__GUEST_FAILED);
    rules_survive_a_dump(&fix);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_OK);
    fix_close(&fix);
}

/* So many reports that nobody can say whether an operator's change was before them. */
static void test_a_change_behind_many_reports_counts(void **state)
{
    struct fix fix;
    uint64_t operation;

    (void)state;
    open_asking(&fix);
    assert_int_equal(rules_put_guest(&fix, "ann", "guest-200", true, GUEST, 1), RAY_OK);
    assert_int_equal(fix_restart(&fix, GUEST, FIX_NODE_A), RAY_OK);
    operation = ask(&fix);
    assert_int_equal(rules_put_guest(&fix, "ann", "guest-200", true, GUEST, 3), RAY_OK);
    for (int i = 0; i < COORD_CHANGES_MAX; i++) {
        report(&fix, i % 2 == 0 ? RAYOS__REGISTRY__GUEST_STATE__GUEST_RUNNING
                                : RAYOS__REGISTRY__GUEST_STATE__GUEST_FAILED);
    }
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_ECONFLICT);
    fix_close(&fix);
}

/* By its incarnation, and under that name. */
static int console_decides(struct fix *fix, const char *name, unsigned incarnation,
                           uint64_t operation)
{
    struct fix_command command;
    Rayos__Registry__OperationDecide decide = RAYOS__REGISTRY__OPERATION_DECIDE__INIT;
    struct ray_id id = fix_id((unsigned)operation);
    struct ray_id own = fix_id(incarnation);

    fix_command(&command);
    fix_as(&command, name, RAYOS__REGISTRY__CALLER__CALLER_CONSOLE);
    command.header.incarnation = ray_proto_optional_id(&own);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OPERATION_DECIDE;
    command.message.operation_decide = &decide;
    decide.operation = ray_proto_id(&id);
    decide.is_approved = true;
    return fix_apply(fix, &command);
}

static int console_labels(struct fix *fix, const char *name, unsigned incarnation)
{
    struct fix_command command;
    Rayos__Registry__ObjectLabel label = RAYOS__REGISTRY__OBJECT_LABEL__INIT;
    Rayos__Registry__Label set = RAYOS__REGISTRY__LABEL__INIT;
    Rayos__Registry__Label *sets[] = {&set};
    struct ray_id id = fix_id(GUEST);
    struct ray_id own = fix_id(incarnation);

    fix_command(&command);
    fix_as(&command, name, RAYOS__REGISTRY__CALLER__CALLER_CONSOLE);
    command.header.incarnation = ray_proto_optional_id(&own);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL;
    command.message.object_label = &label;
    label.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    label.id = ray_proto_id(&id);
    label.set = sets;
    label.n_set = 1;
    set.key = (char *)"env";
    set.value = ray_proto_bytes("prod", 4);
    return fix_apply(fix, &command);
}

static int remove_as(struct fix *fix, const char *who, unsigned id, bool is_forced)
{
    struct fix_command command;
    Rayos__Registry__NodeRemove removal = RAYOS__REGISTRY__NODE_REMOVE__INIT;
    struct ray_id node = fix_id(id);

    fix_command(&command);
    fix_as(&command, who, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE;
    command.message.node_remove = &removal;
    removal.node = ray_proto_id(&node);
    removal.is_forced = is_forced;
    return fix_apply(fix, &command);
}

static void test_a_forced_removal_does_not_wait(void **state)
{
    const struct policy_fix_rule rules[] = {
        {.name = "ask", .effect = ASK, .who = "principal:bob", .action = "node.remove"},
        {.name = "rest", .effect = ALLOW}};
    struct fix fix;

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_OK);
    assert_int_equal(remove_as(&fix, "bob", FIX_NODE_B, true), RAY_EDENIED);
    assert_string_equal(fix.outcome.result.text,
                        "rule 'ask' asks for approval, for which a forced removal cannot wait");
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_OPERATION), 0);
    assert_int_equal(remove_as(&fix, "bob", FIX_NODE_B, false), RAY_EDENIED);
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_OPERATION), 1);
    assert_int_equal(remove_as(&fix, "ann", FIX_NODE_B, true), RAY_OK);
    fix_close(&fix);
}

static void test_another_name_is_nobody_else(void **state)
{
    const Rayos__Registry__PrincipalRole operator=
        RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_OPERATOR;
    const struct policy_fix_rule rules[] = {
        {.name = "ask", .effect = ASK, .action = "registry.label", .approver = "*"},
        {.name = "rest", .effect = ALLOW}};
    struct fix fix;
    uint64_t operation;

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_OK);
    /* root at node A, which has another name by now, as any node's */
    assert_int_equal(console_labels(&fix, "root@a", fix_incarnation(FIX_NODE_A)), RAY_EDENIED);
    operation = fix.index;
    rules_survive_a_dump(&fix);
    assert_int_equal(console_decides(&fix, "root@n9", fix_incarnation(FIX_NODE_A), operation),
                     RAY_EDENIED);
    assert_int_equal(console_decides(&fix, "root@n9", 0, operation), RAY_EDENIED);
    assert_int_equal(console_decides(&fix, "root@b", fix_incarnation(FIX_NODE_B), operation),
                     RAY_OK);
    /* bob, who is bert by now, and another one is bob */
    assert_int_equal(fix_label_as(&fix, "bob", GUEST, "b"), RAY_EDENIED);
    operation = fix.index;
    assert_int_equal(fix_principal(&fix, BOB, "bert", operator), RAY_OK);
    assert_int_equal(fix_principal(&fix, BOB + 100, "bob", operator), RAY_OK);
    assert_int_equal(fix_decide(&fix, "bert", operation, true), RAY_EDENIED);
    assert_int_equal(fix_decide(&fix, "bob", operation, true), RAY_EDENIED);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_OK);
    fix_close(&fix);
}

static Rayos__Registry__Answer *query(const struct fix *fix, const char *name)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    Rayos__Registry__Answer *answer;
    uint8_t bytes[128];
    struct ray_buf out;

    query.kind = RAYOS__REGISTRY__KIND__KIND_OPERATION;
    query.name = (char *)(uintptr_t)name;
    assert_true(rayos__registry__query__get_packed_size(&query) <= sizeof bytes);
    ray_buf_init(&out, 2 * (size_t)COORD_FSM_PAGE_SIZE_MAX);
    assert_int_equal(
        coord_fsm_query(fix->fsm, bytes, rayos__registry__query__pack(&query, bytes), &out, NULL),
        RAY_OK);
    answer = rayos__registry__answer__unpack(NULL, out.size, out.data);
    ray_buf_fini(&out);
    assert_non_null(answer);
    return answer;
}

/* Who asks for it by name sees what it will do; what would let a node in nobody sees. */
static void test_the_command_is_shown_without_secrets(void **state)
{
    const struct policy_fix_rule rules[] = {
        {.name = "tokens", .effect = ASK, .action = "token.create"}, rules_admins};
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Token token = RAYOS__REGISTRY__TOKEN__INIT;
    Rayos__Registry__Answer *answer;
    Rayos__Registry__Command *shown;
    uint8_t hash[COORD_KEY_SIZE];
    char name[32];

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, rules, COUNT_OF(rules)), RAY_OK);
    memset(hash, 0xa5, sizeof hash);
    token.hash = ray_proto_bytes(hash, sizeof hash);
    token.uses_left = 3;
    object.kind = RAYOS__REGISTRY__KIND__KIND_TOKEN;
    object.id = ray_proto_bytes(hash, RAY_ID_SIZE);
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_TOKEN;
    object.token = &token;
    put.object = &object;
    fix_command(&command);
    fix_as(&command, "bob", RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.message.object_put = &put;
    assert_int_equal(fix_apply(&fix, &command), RAY_EDENIED);
    (void)snprintf(name, sizeof name, "op-%llu", (unsigned long long)fix.index);
    answer = query(&fix, name);
    assert_int_equal(answer->n_entries, 1);
    shown =
        rayos__registry__command__unpack(NULL, answer->entries[0]->object->operation->command.len,
                                         answer->entries[0]->object->operation->command.data);
    assert_non_null(shown);
    assert_string_equal(shown->header->principal, "bob");
    assert_int_equal(shown->object_put->object->token->uses_left, 3);
    assert_int_equal(shown->object_put->object->token->hash.len, 0);
    rayos__registry__command__free_unpacked(shown, NULL);
    rayos__registry__answer__free_unpacked(answer, NULL);
    answer = query(&fix, "");
    assert_int_equal(answer->entries[0]->object->operation->command.len, 0); /* not in lists */
    rayos__registry__answer__free_unpacked(answer, NULL);
    assert_int_equal(fix_decide(&fix, "ann", fix.index, true), RAY_OK); /* it runs with its hash */
    fix_close(&fix);
}

static void test_an_approved_command_that_fails(void **state)
{
    struct fix fix;
    uint64_t operation;

    (void)state;
    rules_open(&fix);
    assert_int_equal(rules_set(&fix, twice, COUNT_OF(twice)), RAY_OK);
    assert_int_equal(rules_put_guest(&fix, "bob", "web-1", false, 300, 1), RAY_EDENIED);
    operation = fix.index;
    assert_int_equal(rules_put_guest(&fix, "ann", "web-1", false, 301, 1), RAY_OK);
    assert_int_equal(fix_decide(&fix, "eve", operation, true), RAY_EEXISTS);
    assert_string_equal(operation_of(&fix, operation)->state, "failed");
    assert_string_equal(operation_of(&fix, operation)->message, "the name 'web-1' is taken");
    rules_survive_a_dump(&fix);
    fix_close(&fix);
}

/* Who asks and takes back, again and again, pushes nobody's words out. */
static void test_asking_leaves_other_records(void **state)
{
    enum { TIMES = COORD_FSM_ASKER_DECIDED_MAX + 40 };
    struct fix fix;
    uint64_t first;
    size_t events;

    (void)state;
    open_asking(&fix);
    first = ask(&fix);
    assert_int_equal(fix_decide(&fix, "eve", first, true), RAY_OK);
    assert_int_equal(fix_label_as(&fix, "ann", GUEST, "x"), RAY_EDENIED);
    events = coord_fsm_count(fix.fsm, COORD_EVENT);
    for (int i = 0; i < TIMES; i++) {
        uint64_t operation = ask(&fix);

        assert_int_equal(fix_decide(&fix, "bob", operation, false), RAY_OK);
    }
    assert_in_range(coord_fsm_count(fix.fsm, COORD_EVENT), events, events + 8);
    assert_in_range(coord_fsm_count(fix.fsm, COORD_OPERATION), 1, COORD_FSM_ASKER_DECIDED_MAX + 2);
    rules_survive_a_dump(&fix);
    fix_close(&fix);
}

static void test_more_rules_than_can_be_kept(void **state)
{
    enum { RULES = COORD_OPERATION_RULES_MAX + 2 };
    struct policy_fix_rule rules[RULES];
    struct fix fix;
    struct fix_command command;
    Rayos__Registry__ConfirmOff off = RAYOS__REGISTRY__CONFIRM_OFF__INIT;
    ProtobufCBinaryData ids[RULES];
    struct ray_id nodes[RULES];
    char names[RULES][16];
    char objects[RULES][24];

    (void)state;
    rules_open(&fix);
    rules[0] = rules_admins;
    for (unsigned i = 1; i < RULES; i++) {
        (void)snprintf(names[i], sizeof names[i], "ask-%u", i);
        (void)snprintf(objects[i], sizeof objects[i], "node:n%u", 50 + i);
        rules[i] = (struct policy_fix_rule){
            .name = names[i], .effect = ASK, .who = "principal:bob", .object = objects[i]};
        assert_int_equal(fix_join_as(&fix, objects[i] + 5, 50 + i, 0, fix_incarnation(50 + i), 1),
                         RAY_OK);
        nodes[i] = fix_id(50 + i);
        ids[i] = ray_proto_id(&nodes[i]);
    }
    assert_int_equal(rules_set(&fix, rules, RULES), RAY_OK);
    off.nodes = ids + 1;
    off.n_nodes = RULES - 1;
    fix_command(&command);
    fix_as(&command, "bob", RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_CONFIRM_OFF;
    command.message.confirm_off = &off;
    assert_int_equal(fix_apply(&fix, &command), RAY_ETOOBIG);
    assert_string_equal(fix.outcome.result.text, "17 rules ask about it, at most 16");
    off.n_nodes--;
    assert_int_equal(fix_apply(&fix, &command), RAY_EDENIED);
    rules_survive_a_dump(&fix);
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
        cmocka_unit_test(test_what_is_asked_waits),
        cmocka_unit_test(test_the_command_is_not_told),
        cmocka_unit_test(test_an_approver_lets_it_run),
        cmocka_unit_test(test_who_asks_never_approves),
        cmocka_unit_test(test_denied_and_taken_back),
        cmocka_unit_test(test_nobody_decides_in_time),
        cmocka_unit_test(test_rules_changed_meanwhile),
        cmocka_unit_test(test_who_asked_is_gone),
        cmocka_unit_test(test_each_rule_that_asks_has_a_say),
        cmocka_unit_test(test_an_approval_is_for_what_was_seen),
        cmocka_unit_test(test_an_approval_is_for_the_rule_that_asked),
        cmocka_unit_test(test_reports_outdate_no_approval),
        cmocka_unit_test(test_a_change_behind_many_reports_counts),
        cmocka_unit_test(test_a_forced_removal_does_not_wait),
        cmocka_unit_test(test_another_name_is_nobody_else),
        cmocka_unit_test(test_the_command_is_shown_without_secrets),
        cmocka_unit_test(test_an_approved_command_that_fails),
        cmocka_unit_test(test_asking_leaves_other_records),
        cmocka_unit_test(test_more_rules_than_can_be_kept),
        cmocka_unit_test(test_what_waits_is_not_written),
        cmocka_unit_test(test_only_so_much_waits),
        cmocka_unit_test(test_what_clients_put_takes_no_place),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
