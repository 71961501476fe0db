/* succession_test.c - a node in another one's place: the leader looks, once more, whether that one
 * still runs, whatever the member saw that proposed it. */
#include "base/clock.h"
#include "base/test.h"
#include "coordinator/replica/house_fixture.h"
#include "coordinator/replica/impl.h"
#include "net/proto_codec.h"

enum {
    NEWCOMER = 9,
    WAIT_MS = 3600, /* W of the fixture's times is a little less */
    GLIMPSE_MS = 1000,
};

static void note_code(void *arg, int status, const struct coord_fsm_result *result)
{
    *(int *)arg = status == RAY_OK ? result->code : status;
    if (status == RAY_OK && result->code != RAY_OK) {
        print_message("refused: %s\n", result->text);
    }
}

static int propose(struct house *house, Rayos__Registry__Command *command)
{
    uint8_t bytes[REPLICA_FIX_COMMAND_SIZE_MAX];
    struct coord_replica_status status;
    int code = RAY_EAGAIN;
    size_t size;

    coord_replica_status(house->fix.replica, &status);
    size = replica_fix_pack(command, "test", &status.incarnation, bytes);
    assert_int_equal(coord_replica_propose(house->fix.replica, bytes, size, UINT64_MAX, note_code,
                                           &code, NULL, NULL),
                     RAY_OK);
    replica_fix_run(&house->fix, 0);
    return code;
}

/* The fixture's end alike, and so would the names that two of one name get. */
static struct ray_id id_of(unsigned number)
{
    struct ray_id id = replica_fix_id(number);

    id.bytes[RAY_ID_SIZE - 1] = number == NEWCOMER ? 1 : 0;
    return id;
}

static const struct coord_object *find(const struct house *house, unsigned number)
{
    struct ray_id id = id_of(number);

    return coord_fsm_find(coord_replica_fsm(house->fix.replica), COORD_NODE, &id);
}

/* For the observer's place. */
static void put_token(struct house *house, uint8_t hash[static COORD_KEY_SIZE])
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Token token = RAYOS__REGISTRY__TOKEN__INIT;
    struct ray_id replaced = replica_fix_id(HOUSE_OBSERVER);
    struct ray_id id;

    memset(hash, 7, COORD_KEY_SIZE);
    memcpy(id.bytes, hash, sizeof id.bytes);
    token.hash = ray_proto_bytes(hash, COORD_KEY_SIZE);
    token.uses_left = 1;
    token.node_name = (char *)"node-2";
    token.replaces = ray_proto_id(&replaced);
    object.kind = RAYOS__REGISTRY__KIND__KIND_TOKEN;
    object.id = ray_proto_id(&id);
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_TOKEN;
    object.token = &token;
    put.object = &object;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.object_put = &put;
    assert_int_equal(propose(house, &command), RAY_OK);
}

/* `hash` NULL: without a token. */
static int join(struct house *house, const char *name, uint8_t *hash)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeJoin body = RAYOS__REGISTRY__NODE_JOIN__INIT;
    struct ray_id incarnation = replica_fix_boot(NEWCOMER);
    struct ray_id replaced = replica_fix_id(HOUSE_OBSERVER);
    struct replica_fix_node node;

    replica_fix_describe(&node, NEWCOMER);
    node.object.name = (char *)(uintptr_t)name;
    node.id = id_of(NEWCOMER);
    body.node = &node.object;
    body.incarnation = ray_proto_id(&incarnation);
    body.boot_counter = 1;
    if (hash != NULL) {
        body.token_hash = ray_proto_bytes(hash, COORD_KEY_SIZE);
        body.replaces = ray_proto_id(&replaced);
    }
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_JOIN;
    command.node_join = &body;
    return propose(house, &command);
}

static int approve(struct house *house, unsigned replaced)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeApprove body = RAYOS__REGISTRY__NODE_APPROVE__INIT;
    struct ray_id id = id_of(NEWCOMER);
    struct ray_id other = replica_fix_id(replaced);

    body.node = ray_proto_id(&id);
    body.replaces = ray_proto_id(&other);
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_APPROVE;
    command.node_approve = &body;
    return propose(house, &command);
}

/* By a token: not while it is linked, and not before it was silent for W. */
static void test_no_token_replaces_a_node_that_is_heard(void **state)
{
    struct house house;
    uint8_t hash[COORD_KEY_SIZE];

    (void)state;
    house_move_in(&house);
    put_token(&house, hash);
    replica_fix_run(&house.fix, WAIT_MS);
    house_greet(&house, HOUSE_OBSERVER);
    assert_int_equal(join(&house, "node-2", hash), RAY_ECONFLICT);
    replica_fix_down(&house.fix, HOUSE_OBSERVER); /* it dials again, maybe */
    replica_fix_run(&house.fix, GLIMPSE_MS);
    assert_int_equal(join(&house, "node-2", hash), RAY_ECONFLICT);
    assert_int_equal(find(&house, HOUSE_OBSERVER)->node.state, COORD_NODE_MEMBER);
    assert_null(find(&house, NEWCOMER));
    replica_fix_run(&house.fix, WAIT_MS);
    assert_int_equal(join(&house, "node-2", hash), RAY_OK);
    assert_null(find(&house, HOUSE_OBSERVER));
    assert_string_equal(find(&house, NEWCOMER)->name, "node-2");
    house_move_out(&house);
}

/* One that has said what makes it unfit as a member runs nevertheless. */
static void test_a_quarantined_node_runs(void **state)
{
    struct house house;

    (void)state;
    house_move_in(&house);
    replica_peer_find(house.fix.replica, &find(&house, HOUSE_OBSERVER)->id)->said.is_quarantined =
        true;
    assert_false(coord_replica_hears(house.fix.replica, find(&house, HOUSE_OBSERVER)));
    assert_true(coord_replica_may_run(house.fix.replica, find(&house, HOUSE_OBSERVER)));
    replica_fix_down(&house.fix, HOUSE_OBSERVER);
    assert_false(coord_replica_may_run(house.fix.replica, find(&house, HOUSE_OBSERVER)));
    house_move_out(&house);
}

/* Who approves has seen that it is off; the leader may see more. */
static void test_no_approval_replaces_a_node_that_is_heard(void **state)
{
    struct house house;

    (void)state;
    house_move_in(&house);
    assert_int_equal(join(&house, "node-2", NULL), RAY_OK);
    assert_int_equal(find(&house, NEWCOMER)->node.state, COORD_NODE_PENDING);
    assert_int_equal(approve(&house, HOUSE_OBSERVER), RAY_ECONFLICT);
    assert_int_equal(find(&house, HOUSE_OBSERVER)->node.state, COORD_NODE_MEMBER);
    replica_fix_down(&house.fix, HOUSE_OBSERVER);
    assert_int_equal(approve(&house, HOUSE_OBSERVER), RAY_OK);
    assert_null(find(&house, HOUSE_OBSERVER));
    house_move_out(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_token_replaces_a_node_that_is_heard),
        cmocka_unit_test(test_a_quarantined_node_runs),
        cmocka_unit_test(test_no_approval_replaces_a_node_that_is_heard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
