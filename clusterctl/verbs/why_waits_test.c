#include "base/test.h"
#include "clusterctl/verbs/why_waits.h"
#include "net/proto_codec.h"

struct fixture {
    Rayos__Registry__Object object;
    Rayos__Registry__Node node;
    Rayos__Registry__Guest guest;
    Rayos__Registry__Cluster cluster;
    Rayos__Cluster__Status status;
    struct why_waits waits;
};

static void begin(struct fixture *f)
{
    static uint8_t incarnation[16] = {1};

    f->waits.count = 0;
    rayos__registry__object__init(&f->object);
    rayos__registry__node__init(&f->node);
    rayos__registry__guest__init(&f->guest);
    rayos__registry__cluster__init(&f->cluster);
    rayos__cluster__status__init(&f->status);
    f->object.name = (char *)(uintptr_t)"a";
    f->node.state = RAYOS__REGISTRY__NODE_STATE__NODE_MEMBER;
    f->node.incarnation = ray_proto_bytes(incarnation, sizeof incarnation);
    f->status.quorate = true;
    f->cluster.is_settled = true;
}

static void be_node(struct fixture *f)
{
    f->object.body_case = RAYOS__REGISTRY__OBJECT__BODY_NODE;
    f->object.node = &f->node;
}

/* The only thing that is waited for says that; NULL: nothing is. */
static void check(struct fixture *f, const char *what, const char *next_step)
{
    why_waits_find(&f->object, &f->status, &f->waits);
    assert_int_equal(f->waits.count, what == NULL ? 0 : 1);
    if (what != NULL) {
        assert_non_null(strstr(f->waits.list[0].what, what));
        assert_non_null(strstr(f->waits.list[0].next_step, next_step));
    }
}

static void test_nodes(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    be_node(&f);
    check(&f, NULL, NULL);
    f.node.state = RAYOS__REGISTRY__NODE_STATE__NODE_PENDING;
    check(&f, "approval", "clusterctl node approve a");
    f.node.state = RAYOS__REGISTRY__NODE_STATE__NODE_REMOVED;
    check(&f, "guests", "");
    f.node.state = RAYOS__REGISTRY__NODE_STATE__NODE_MEMBER;
    f.node.is_quarantined = true;
    f.node.message = (char *)(uintptr_t)"rot\n";
    check(&f, "rot\\x0a", "");
    f.node.is_quarantined = false;
    f.node.incarnation.len = 0;
    check(&f, "begin", "");
    f.node.state = RAYOS__REGISTRY__NODE_STATE__NODE_PENDING;
    f.status.quorate = false;
    why_waits_find(&f.object, &f.status, &f.waits);
    assert_int_equal(f.waits.count, 2);
    assert_non_null(strstr(f.waits.list[0].what, "quorum"));
}

static void test_guests(void **state)
{
    Rayos__Registry__Home home = RAYOS__REGISTRY__HOME__INIT;
    struct fixture f;

    (void)state;
    begin(&f);
    f.object.body_case = RAYOS__REGISTRY__OBJECT__BODY_GUEST;
    f.object.guest = &f.guest;
    check(&f, NULL, NULL);
    f.guest.wanted = RAYOS__REGISTRY__WANTED__WANTED_RUNNING;
    check(&f, "a node to run on", "");
    f.guest.home = &home;
    check(&f, "that it runs", "");
    f.guest.state = RAYOS__REGISTRY__GUEST_STATE__GUEST_RUNNING;
    check(&f, NULL, NULL);
    f.object.is_gone = true;
    check(&f, "have ended", "");
}

static void test_cluster(void **state)
{
    ProtobufCBinaryData unknown[2] = {{0}};
    struct fixture f;

    (void)state;
    begin(&f);
    f.object.body_case = RAYOS__REGISTRY__OBJECT__BODY_CLUSTER;
    f.object.cluster = &f.cluster;
    check(&f, NULL, NULL);
    f.cluster.wanted_voters = 3;
    check(&f, "3 voters are wanted, 0", "token create");
    f.status.node_count = 1; /* not all of them are in the page */
    check(&f, NULL, NULL);
    f.cluster.unknown_nodes = unknown;
    f.cluster.n_unknown_nodes = 2;
    check(&f, "2 nodes", "node list");
    f.cluster.n_unknown_nodes = 0;
    f.cluster.is_settled = false;
    f.cluster.timing_revision = 9;
    check(&f, "revision 9", "");
}

static void test_operations(void **state)
{
    static uint8_t id[16] = {0xab};
    Rayos__Registry__Answer answer = RAYOS__REGISTRY__ANSWER__INIT;
    Rayos__Registry__Entry entry = RAYOS__REGISTRY__ENTRY__INIT;
    Rayos__Registry__Entry *entries = &entry;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Operation operation = RAYOS__REGISTRY__OPERATION__INIT;
    struct fixture f;

    (void)state;
    begin(&f);
    be_node(&f);
    f.object.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    entry.object = &object;
    object.id = ray_proto_bytes(id, sizeof id);
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_OPERATION;
    object.operation = &operation;
    answer.n_entries = 1;
    answer.entries = &entries;
    operation.state = (char *)(uintptr_t)"needs-approval";
    operation.asker = (char *)(uintptr_t)"ann";
    operation.action = (char *)(uintptr_t)"node.remove node:a";
    why_waits_add_operations(&f.object, &answer, &f.waits);
    assert_int_equal(f.waits.count, 1);
    assert_string_equal(f.waits.list[0].what,
                        "approval of node.remove node:a, which ann asked for");
    assert_non_null(strstr(f.waits.list[0].next_step, "op approve ab00"));
    object.name = (char *)(uintptr_t)"op-7";
    why_waits_add_operations(&f.object, &answer, &f.waits);
    assert_string_equal(f.waits.list[1].next_step, "clusterctl op approve op-7");
    operation.action = (char *)(uintptr_t)"node.remove node:aa";
    why_waits_add_operations(&f.object, &answer, &f.waits);
    operation.action = (char *)(uintptr_t)"node.remove node:a";
    operation.state = (char *)(uintptr_t)"done";
    why_waits_add_operations(&f.object, &answer, &f.waits);
    assert_int_equal(f.waits.count, 2);
}

static void test_states(void **state)
{
    char text[WHY_TEXT_SIZE];
    struct fixture f;

    (void)state;
    begin(&f);
    be_node(&f);
    f.node.role = RAYOS__REGISTRY__ROLE__ROLE_VOTER;
    f.node.health = (char *)(uintptr_t)"degraded";
    f.node.message = (char *)(uintptr_t)"disk";
    why_state(&f.object, text);
    assert_string_equal(text, "member, voter, degraded: disk");
    f.node.role = RAYOS__REGISTRY__ROLE__ROLE_OBSERVER;
    f.node.health = (char *)(uintptr_t)"";
    f.node.message = (char *)(uintptr_t)"";
    why_state(&f.object, text);
    assert_string_equal(text, "member, observer, has not said how it is");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes),   cmocka_unit_test(test_guests),
        cmocka_unit_test(test_cluster), cmocka_unit_test(test_operations),
        cmocka_unit_test(test_states),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
