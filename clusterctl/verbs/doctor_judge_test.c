#include "base/test.h"
#include "clusterctl/verbs/doctor_judge.h"
#include "net/proto_codec.h"

enum { NODE_COUNT = 3 };

struct fixture {
    Rayos__Cluster__Status status;
    Rayos__Cluster__Nodes nodes;
    Rayos__Cluster__NodeStatus node[NODE_COUNT];
    Rayos__Cluster__NodeStatus *node_pointers[NODE_COUNT];
    struct doctor_input input;
    struct doctor_report report;
};

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

static void begin(struct fixture *f)
{
    static const char *const names[NODE_COUNT] = {"a", "b", "c"};

    *f = (struct fixture){.report = {.count = 0}};
    rayos__cluster__status__init(&f->status);
    rayos__cluster__nodes__init(&f->nodes);
    f->status.quorate = true;
    f->status.leader = text("a");
    f->status.node = text("a");
    for (size_t i = 0; i < NODE_COUNT; i++) {
        rayos__cluster__node_status__init(&f->node[i]);
        f->node[i].name = text(names[i]);
        f->node[i].role = text("voter");
        f->node[i].state = text("member");
        f->node[i].health = text("ok");
        f->node[i].is_up = true;
        f->node_pointers[i] = &f->node[i];
    }
    f->nodes.nodes = f->node_pointers;
    f->nodes.n_nodes = NODE_COUNT;
    f->nodes.node_count = NODE_COUNT;
    f->input.status = &f->status;
    f->input.nodes = &f->nodes;
}

static const struct doctor_check *judge(struct fixture *f, const char *name)
{
    f->report = (struct doctor_report){.count = 0};
    doctor_judge(&f->input, &f->report);
    for (size_t i = 0; i < f->report.count; i++) {
        if (strcmp(f->report.list[i].name, name) == 0) {
            return &f->report.list[i];
        }
    }
    return NULL;
}

static void expect(struct fixture *f, const char *name, enum doctor_state state,
                   const char *message, const char *next_step)
{
    const struct doctor_check *check = judge(f, name);

    assert_non_null(check);
    assert_int_equal(check->state, state);
    assert_non_null(strstr(check->message, message));
    assert_non_null(strstr(check->next_step, next_step));
    assert_true(state <= DOCTOR_NOTE || check->next_step[0] != '\0');
    assert_true(f->report.state >= state);
}

static void test_all_is_well(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    expect(&f, "quorum", DOCTOR_OK, "a leads, 3 voters", "");
    expect(&f, "nodes", DOCTOR_OK, "3, all heard and well", "");
    assert_int_equal(f.report.count, 3); /* and no standby */
    assert_int_equal(f.report.state, DOCTOR_NOTE);
}

static void test_quorum(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    f.status.quorate = false;
    f.node[1].is_up = false;
    f.node[2].is_up = false;
    f.node[1].trouble = text("refused");
    expect(&f, "quorum", DOCTOR_FAILED, "of 3 voters a hears 1", "cluster recover");
    expect(&f, "node b", DOCTOR_FAILED, "not heard: refused", "cable");
    f.status.quorate = true;
    f.status.age_ms = 20000;
    expect(&f, "quorum", DOCTOR_DEGRADED, "20 s", "another member");
}

static void test_nodes(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    f.node[0].state = text("pending");
    expect(&f, "node a", DOCTOR_NOTE, "approval", "node approve a");
    assert_int_equal(f.report.state, DOCTOR_NOTE);
    f.node[0].state = text("drained");
    expect(&f, "node a", DOCTOR_NOTE, "drained", "undrain a");
    f.node[0].state = text("quarantined");
    f.node[0].message = text("rot\x1b");
    expect(&f, "node a", DOCTOR_DEGRADED, "rot\\x1b", "why node a");
    f.node[0].state = text("member");
    f.node[0].health = text("failed");
    expect(&f, "node a", DOCTOR_FAILED, "failed: rot", "why node a");
    f.node[0].health = text(""); /* it has not said yet */
    assert_null(judge(&f, "node a"));
}

static void test_voters(void **state)
{
    Rayos__Registry__Answer answer = RAYOS__REGISTRY__ANSWER__INIT;
    Rayos__Registry__Entry entry = RAYOS__REGISTRY__ENTRY__INIT;
    Rayos__Registry__Entry *entries = &entry;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Cluster cluster = RAYOS__REGISTRY__CLUSTER__INIT;
    struct fixture f;

    (void)state;
    begin(&f);
    entry.object = &object;
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_CLUSTER;
    object.cluster = &cluster;
    answer.n_entries = 1;
    answer.entries = &entries;
    f.input.cluster = &answer;
    cluster.wanted_voters = 3;
    assert_null(judge(&f, "voters"));
    cluster.wanted_voters = 5;
    expect(&f, "voters", DOCTOR_DEGRADED, "5 voters are wanted, 3", "token create");
    cluster.wanted_voters = 1;
    f.node[1].role = text("observer");
    f.node[2].role = text("observer");
    expect(&f, "voters", DOCTOR_NOTE, "one voter of 3", "voters 3");
    cluster.n_unknown_nodes = 2;
    expect(&f, "recovery", DOCTOR_DEGRADED, "2 nodes", "off");
    cluster.n_unknown_nodes = 0;
}

static void test_clocks_and_versions(void **state)
{
    Rayos__Registry__Answer answer = RAYOS__REGISTRY__ANSWER__INIT;
    Rayos__Registry__Entry entry[2] = {RAYOS__REGISTRY__ENTRY__INIT, RAYOS__REGISTRY__ENTRY__INIT};
    Rayos__Registry__Entry *entries[2] = {&entry[0], &entry[1]};
    Rayos__Registry__Object object[2] = {RAYOS__REGISTRY__OBJECT__INIT,
                                         RAYOS__REGISTRY__OBJECT__INIT};
    Rayos__Registry__Node node[2] = {RAYOS__REGISTRY__NODE__INIT, RAYOS__REGISTRY__NODE__INIT};
    Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;
    uint8_t packed[2][64];
    static const char *const names[2] = {"a", "b"};
    struct fixture f;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < 2; i++) {
        facts.image_version = text(i == 0 ? "0.1.0" : "0.2.0");
        node[i].facts = ray_proto_bytes(packed[i], rayos__node__facts__pack(&facts, packed[i]));
        node[i].is_fit_for_leases = true;
        object[i].name = text(names[i]);
        object[i].body_case = RAYOS__REGISTRY__OBJECT__BODY_NODE;
        object[i].node = &node[i];
        entry[i].object = &object[i];
    }
    answer.n_entries = 2;
    answer.entries = entries;
    f.input.node_objects = &answer;
    expect(&f, "versions", DOCTOR_DEGRADED, "not all nodes run 0.1.0: others are b", "same image");
    expect(&f, "clocks", DOCTOR_OK, "all", "");
    node[1].is_fit_for_leases = false;
    node[1].facts.len = 1; /* of something else */
    expect(&f, "clocks", DOCTOR_DEGRADED, "source of b is not", "node facts");
    assert_null(judge(&f, "versions"));
}

static void test_tokens_and_the_node_itself(void **state)
{
    Rayos__Cluster__Tokens tokens = RAYOS__CLUSTER__TOKENS__INIT;
    Rayos__Cluster__TokenStatus token = RAYOS__CLUSTER__TOKEN_STATUS__INIT;
    Rayos__Cluster__TokenStatus *token_pointer = &token;
    Rayos__Node__Health health = RAYOS__NODE__HEALTH__INIT;
    Rayos__Node__Check check = RAYOS__NODE__CHECK__INIT;
    Rayos__Node__Check *check_pointer = &check;
    struct fixture f;

    (void)state;
    begin(&f);
    token.id = text("0011");
    tokens.n_tokens = 1;
    tokens.tokens = &token_pointer;
    f.input.tokens = &tokens;
    expect(&f, "token 0011", DOCTOR_NOTE, "never expires", "token remove 0011");
    token.expires_in_s = DOCTOR_TOKEN_SOON_S - 1;
    expect(&f, "token 0011", DOCTOR_NOTE, "3599 s", "token create");
    token.expires_in_s = DOCTOR_TOKEN_SOON_S;
    assert_null(judge(&f, "token 0011"));

    check.name = text("data");
    check.state = text("degraded");
    check.message = text("1 % free");
    check.next_step = text("remove something");
    health.n_checks = 1;
    health.checks = &check_pointer;
    f.input.health = &health;
    expect(&f, "here: data", DOCTOR_DEGRADED, "1 % free", "remove something");
}

static void test_more_than_fit_still_count(void **state)
{
    struct doctor_report report = {.count = 0};

    (void)state;
    for (int i = 0; i < DOCTOR_CHECKS_MAX; i++) {
        doctor_add(&report, "x", DOCTOR_OK, "", "");
    }
    doctor_add(&report, "y", DOCTOR_FAILED, "", "");
    assert_int_equal(report.count, DOCTOR_CHECKS_MAX);
    assert_int_equal(report.left_out, 1);
    assert_int_equal(report.state, DOCTOR_FAILED);
}

static void test_domains_and_standbys(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    expect(&f, "standbys", DOCTOR_NOTE, "not replaced", "token create");
    assert_null(judge(&f, "domains"));
    f.node[0].domain = text("rack1");
    f.node[1].domain = text("rack1");
    f.node[2].domain = text("rack2");
    expect(&f, "domains", DOCTOR_NOTE, "2 of 3 voters are in the failure domain rack1", "--domain");
    f.node[1].role = text("standby");
    assert_null(judge(&f, "standbys"));
    f.node[1].domain = text("rack3");
    f.node[1].role = text("voter");
    assert_null(judge(&f, "domains"));
}

static void test_feature_level(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_null(judge(&f, "feature level"));
    f.status.feature_level = 3;
    f.status.level_waits_for = text("node b (version 0.1) has feature level 3");
    expect(&f, "feature level", DOCTOR_NOTE, "3, held back: node b", "image");
}

/* Only the newest counts, wherever it stands. */
static void test_policy(void **state)
{
    Rayos__Registry__Answer answer = RAYOS__REGISTRY__ANSWER__INIT;
    Rayos__Registry__Entry entry[2] = {RAYOS__REGISTRY__ENTRY__INIT, RAYOS__REGISTRY__ENTRY__INIT};
    Rayos__Registry__Entry *entries[] = {&entry[0], &entry[1]};
    Rayos__Registry__Object object[2] = {RAYOS__REGISTRY__OBJECT__INIT,
                                         RAYOS__REGISTRY__OBJECT__INIT};
    Rayos__Registry__PolicyVersion version[2] = {RAYOS__REGISTRY__POLICY_VERSION__INIT,
                                                 RAYOS__REGISTRY__POLICY_VERSION__INIT};
    struct fixture f;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < 2; i++) {
        entry[i].object = &object[i];
        object[i].body_case = RAYOS__REGISTRY__OBJECT__BODY_POLICY;
        object[i].policy = &version[i];
        version[i].version = 6 - i;
    }
    answer.entries = entries;
    answer.n_entries = 2;
    f.input.policies = &answer;
    version[1].confirm_by_us = 1;
    assert_null(judge(&f, "policy"));
    version[0].confirm_by_us = 1;
    version[0].restores = 5;
    expect(&f, "policy", DOCTOR_DEGRADED, "version 6 is not confirmed: version 5 comes back",
           "policy confirm 6");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_well),
        cmocka_unit_test(test_domains_and_standbys),
        cmocka_unit_test(test_feature_level),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_quorum),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_voters),
        cmocka_unit_test(test_clocks_and_versions),
        cmocka_unit_test(test_tokens_and_the_node_itself),
        cmocka_unit_test(test_more_than_fit_still_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
