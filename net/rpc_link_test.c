/* rpc_link_test.c - calls between two nodes over links, and of an operator over a bulk channel. */
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"
#include "net/link_fixture.h"
#include "net/link_uv.h"
#include "net/proto_codec.h"
#include "net/rpc_bulk.h"
#include "net/rpc_fixture.h"
#include "net/rpc_link.h"

/* Node 0 calls, node 1 serves. Everybody else's channels go through `rest`. */
struct pair {
    struct world *world;
    struct ray_rpc_link *rpc[2];
    struct fixture fixture; /* of the methods, and of the calling client */
};

static bool is_set(void *arg)
{
    return *(const bool *)arg;
}

static void run_until(struct pair *pair, const bool *flag)
{
    assert_true(world_run_until(pair->world, is_set, (void *)flag));
}

/* Puts rpc between the link and the world's checks. */
static void insert_rpc(struct pair *pair, unsigned index, const struct ray_rpc_method *methods)
{
    struct world_node *node = &pair->world->nodes[index];
    struct ray_link_user user = node->link->user;

    assert_int_equal(ray_rpc_link_create(&pair->rpc[index], &pair->world->loop, node->link, methods,
                                         &pair->fixture, NULL),
                     RAY_OK);
    ray_rpc_link_rest(pair->rpc[index])->user = user;
}

static int setup(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);

    assert_non_null(pair);
    pair->world = world_make(ray_link_uv_create, 2);
    pair->fixture.received_fd = -1;
    insert_rpc(pair, 0, NULL);
    insert_rpc(pair, 1, fixture_methods());
    world_add(&pair->world->nodes[0], &pair->world->nodes[1]);
    assert_true(world_run_until_linked(&pair->world->nodes[0], &pair->world->nodes[1]));
    assert_int_equal(ray_rpc_client_create_link(&pair->fixture.client, pair->rpc[0],
                                                &pair->world->nodes[1].id, NULL),
                     RAY_OK);
    *state = pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;

    ray_rpc_client_destroy(pair->fixture.client);
    ray_rpc_link_destroy(pair->rpc[0]);
    ray_rpc_link_destroy(pair->rpc[1]);
    fixture_release_held(&pair->fixture);
    world_drop(pair->world);
    free(pair);
    return 0;
}

static const ProtobufCMessage *empty(void)
{
    static const Rayos__Rpc__Empty message = RAYOS__RPC__EMPTY__INIT;

    return &message.base;
}

static void call(struct pair *pair, const char *method, const ProtobufCMessage *input,
                 struct fixture_outcome *outcome)
{
    assert_int_equal(fixture_call(&pair->fixture, method, input, 0, outcome, NULL), RAY_OK);
    assert_false(outcome->has_ended);
    run_until(pair, &outcome->has_ended);
    assert_int_equal(outcome->end_count, 1);
}

static void test_calls(void **state)
{
    struct pair *pair = *state;
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    struct fixture_outcome outcome;
    uint8_t bytes[50000] = {1};

    item.id = 77;
    item.body = ray_proto_bytes(bytes, sizeof bytes);
    for (int i = 0; i < 20; i++) {
        call(pair, "test.echo", &item.base, &outcome);
        assert_int_equal(outcome.code, RAY_OK);
        assert_int_equal(outcome.id, 77);
        assert_int_equal(outcome.body_size, sizeof bytes);
    }
    call(pair, "test.fail", empty(), &outcome);
    assert_int_equal(outcome.code, RAY_ENOTFOUND);
    assert_string_equal(outcome.next_step, "make one");
    call(pair, "test.none", empty(), &outcome);
    assert_int_equal(outcome.code, RAY_ENOTFOUND);
    /* Descriptors stay at home. */
    assert_int_equal(ray_rpc_call_start(pair->fixture.client, "test.fd", empty(), (int[]){0}, 1,
                                        &rayos__rpc__empty__descriptor, 0, NULL, fixture_on_end,
                                        &outcome, NULL, NULL),
                     RAY_EUNSUPPORTED);
}

static void test_peer(void **state)
{
    struct pair *pair = *state;
    struct fixture_outcome outcome;
    uint64_t id = 0;

    assert_int_equal(fixture_call(&pair->fixture, "test.hold", empty(), 0, &outcome, &id), RAY_OK);
    while (pair->fixture.held_count == 0) {
        world_turns(pair->world, 1, 5);
    }
    assert_true(pair->fixture.peer.is_remote);
    assert_true(ray_id_equal(&pair->fixture.peer.node, &pair->world->nodes[0].id));
    assert_int_equal(pair->fixture.peer.uid, RAY_RPC_NO_UID); /* never root */
    ray_rpc_call_cancel(pair->fixture.client, id);
    run_until(pair, &outcome.has_ended);
    while (pair->fixture.held[0] != NULL) { /* the server hears of it, too */
        world_turns(pair->world, 1, 5);
    }
}

static void start_stream(struct pair *pair, uint64_t count, uint32_t size,
                         struct fixture_outcome *outcome)
{
    Rayos__Rpc__Credit credit = RAYOS__RPC__CREDIT__INIT;

    credit.id = count;
    credit.count = size;
    assert_int_equal(fixture_call(&pair->fixture, "test.stream", &credit.base, 0, outcome, NULL),
                     RAY_OK);
}

static void test_stream(void **state)
{
    struct pair *pair = *state;
    struct fixture_outcome outcome;

    start_stream(pair, 3000, 1000, &outcome);
    run_until(pair, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(outcome.item_count, 3000);
    assert_int_equal(outcome.item_sum, 3000u * 2999 / 2);
}

/* Other channels fill the queue: items wait, and go on by themselves when it has emptied. */
static void test_stream_waits(void **state)
{
    struct pair *pair = *state;
    struct world_node *server = &pair->world->nodes[1], *client = &pair->world->nodes[0];
    struct fixture_outcome outcome;

    start_stream(pair, 200, 1000, &outcome);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(world_send(server, client, 100000), RAY_OK);
    }
    run_until(pair, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(outcome.item_count, 200);
    assert_true(pair->fixture.stream.blocked_count > 0);
}

static void test_link_ends(void **state)
{
    struct pair *pair = *state;
    struct world_node *a = &pair->world->nodes[0], *b = &pair->world->nodes[1];
    struct fixture_outcome outcomes[3];
    struct ray_rpc_client *client = NULL;

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fixture_call(&pair->fixture, "test.hold", empty(), 0, &outcomes[i], NULL),
                         RAY_OK);
    }
    while (pair->fixture.held_count < 3) {
        world_turns(pair->world, 1, 5);
    }
    a->link->ops->remove_peer(a->link, &b->id);
    for (size_t i = 0; i < 3; i++) {
        run_until(pair, &outcomes[i].has_ended);
        assert_int_equal(outcomes[i].code, RAY_ECLOSED);
    }
    assert_int_equal(ray_rpc_client_create_link(&client, pair->rpc[0], &b->id, NULL),
                     RAY_EUNAVAILABLE);
    while (pair->fixture.held[0] != NULL || pair->fixture.held[2] != NULL) {
        world_turns(pair->world, 1, 5);
    }
    world_add(a, b); /* a client is of one epoch; the next needs a new one */
    assert_true(world_run_until_linked(a, b));
    assert_int_equal(fixture_call(&pair->fixture, "test.fail", empty(), 0, &outcomes[0], NULL),
                     RAY_ECLOSED);
    ray_rpc_client_destroy(pair->fixture.client);
    assert_int_equal(ray_rpc_client_create_link(&pair->fixture.client, pair->rpc[0], &b->id, NULL),
                     RAY_OK);
    call(pair, "test.fail", empty(), &outcomes[0]);
    assert_int_equal(outcomes[0].code, RAY_ENOTFOUND);
}

static void test_limits(void **state)
{
    struct pair *pair = *state;
    struct ray_rpc_client *own = pair->fixture.client;
    struct ray_rpc_client *clients[RAY_RPC_LINK_CONNS_PER_PEER_MAX + 1];
    struct fixture_outcome outcome;

    for (size_t i = 0; i <= RAY_RPC_LINK_CONNS_PER_PEER_MAX; i++) {
        assert_int_equal(
            ray_rpc_client_create_link(&clients[i], pair->rpc[0], &pair->world->nodes[1].id, NULL),
            RAY_OK);
        pair->fixture.client = clients[i];
        call(pair, "test.fail", empty(), &outcome);
        if (i < RAY_RPC_LINK_CONNS_PER_PEER_MAX) {
            assert_int_equal(outcome.code, RAY_ENOTFOUND);
        } else {
            assert_int_equal(outcome.code, RAY_ECLOSED);
            assert_non_null(strstr(outcome.text, "at most 16"));
        }
    }
    ray_rpc_client_destroy(clients[3]); /* makes a place */
    clients[3] = NULL;
    pair->fixture.client = own;
    call(pair, "test.fail", empty(), &outcome);
    assert_int_equal(outcome.code, RAY_ENOTFOUND);
    for (size_t i = 0; i <= RAY_RPC_LINK_CONNS_PER_PEER_MAX; i++) {
        ray_rpc_client_destroy(clients[i]);
    }
}

/* Who leaves while the link is full is let go later. */
static void test_leaves_full_link(void **state)
{
    struct pair *pair = *state;
    struct world_node *a = &pair->world->nodes[0], *b = &pair->world->nodes[1];
    struct fixture_outcome outcome;

    assert_int_equal(fixture_call(&pair->fixture, "test.hold", empty(), 0, &outcome, NULL), RAY_OK);
    while (pair->fixture.held_count == 0) {
        world_turns(pair->world, 1, 5);
    }
    while (world_send(a, b, 50) == RAY_OK || world_send(a, b, WORLD_MESSAGE_SIZE_MIN) == RAY_OK) {
    }
    ray_rpc_client_destroy(pair->fixture.client);
    pair->fixture.client = NULL;
    assert_int_equal(outcome.code, RAY_ECANCELED);
    while (pair->fixture.held[0] != NULL) {
        world_turns(pair->world, 1, 5);
    }
}

static void test_no_service(void **state)
{
    struct pair *pair = *state;
    struct fixture_outcome outcome;

    ray_rpc_client_destroy(pair->fixture.client);
    assert_int_equal(ray_rpc_client_create_link(&pair->fixture.client, pair->rpc[1],
                                                &pair->world->nodes[0].id, NULL),
                     RAY_OK);
    call(pair, "test.fail", empty(), &outcome);
    assert_int_equal(outcome.code, RAY_ECLOSED);
    assert_non_null(strstr(outcome.text, "serves no methods"));
}

/* What a proven but hostile peer may say on the channel. */
static void test_hostile(void **state)
{
    struct pair *pair = *state;
    struct world_node *a = &pair->world->nodes[0], *b = &pair->world->nodes[1];
    struct fixture_outcome outcome;

    for (unsigned i = 0; i < 3000; i++) {
        uint8_t bytes[64];
        size_t size = i % sizeof bytes;

        randombytes_buf(bytes, sizeof bytes);
        bytes[0] = (uint8_t)(i % 7);
        bytes[1] = (uint8_t)(i % 40);
        memset(bytes + 2, 0, 3);
        assert_int_equal(a->link->ops->send(a->link, &b->id, RAY_LINK_RPC, bytes, size), RAY_OK);
        assert_int_equal(b->link->ops->send(b->link, &a->id, RAY_LINK_RPC, bytes, size), RAY_OK);
        if (i % 50 == 0) {
            world_turns(pair->world, 1, 1);
        }
    }
    world_turns(pair->world, 20, 2);
    assert_true(world_is_linked(a, b)); /* other channels do not suffer */
    ray_rpc_client_destroy(pair->fixture.client);
    a->link->ops->remove_peer(a->link, &b->id); /* numbers begin anew */
    world_turns(pair->world, 5, 2);
    world_add(a, b);
    assert_true(world_run_until_linked(a, b));
    assert_int_equal(ray_rpc_client_create_link(&pair->fixture.client, pair->rpc[0], &b->id, NULL),
                     RAY_OK);
    call(pair, "test.fail", empty(), &outcome);
    assert_int_equal(outcome.code, RAY_ENOTFOUND);
}

static void test_rest(void **state)
{
    struct pair *pair = *state;
    struct world_node *a = &pair->world->nodes[0], *b = &pair->world->nodes[1];
    struct ray_link *rest = ray_rpc_link_rest(pair->rpc[0]);

    assert_int_equal(rest->ops->send(rest, &b->id, RAY_LINK_WATCH, (const uint8_t *)"x", 1),
                     RAY_OK);
    assert_true(rest->ops->queued_size(rest, &b->id) > 0);
    rest->ops->flush(rest);
    while (b->peers[0].total == 0) {
        world_turns(pair->world, 1, 5);
    }
    assert_int_equal(b->peers[0].last_size, 1);
    rest->ops->remove_peer(rest, &b->id);
    world_turns(pair->world, 3, 2);
    assert_int_equal(a->peers[1].down_count, 1);
    assert_int_equal(rest->ops->add_peer(rest, &b->id, "127.0.0.1:1", NULL), RAY_OK);
}

/* ---- over bulk ---- */

/* Two ends of a socket, with the seals of a handshake that has gone well. */
static void make_sealed_pair(int fds[2], struct ray_seal *seals[2])
{
    uint8_t keys[2][RAY_SEAL_KEY_SIZE] = {{1}, {2}};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(ray_seal_create(&seals[0], keys[0], keys[1], 0, NULL), RAY_OK);
    assert_int_equal(ray_seal_create(&seals[1], keys[1], keys[0], 0, NULL), RAY_OK);
}

static bool has_identity(void *arg, const struct ray_rpc_peer *peer)
{
    return memcmp(peer->identity, arg, RAY_KEY_SIZE) == 0;
}

static void test_bulk(void **state)
{
    struct pair *pair = *state;
    struct ray_rpc_bulk_server *server = NULL;
    struct ray_peer peer = {.identity = {9, 9}};
    struct fixture_outcome outcome;
    struct ray_seal *seals[2];
    uint64_t id = 0;
    int fds[2];

    make_sealed_pair(fds, seals);
    ray_rpc_client_destroy(pair->fixture.client);
    assert_int_equal(ray_rpc_bulk_server_create(&server, &pair->world->loop, fixture_methods(),
                                                &pair->fixture, NULL),
                     RAY_OK);
    assert_int_equal(ray_rpc_bulk_server_take(server, fds[0], seals[0], &peer, NULL), RAY_OK);
    assert_int_equal(ray_rpc_client_create_bulk(&pair->fixture.client, &pair->world->loop, fds[1],
                                                seals[1], NULL),
                     RAY_OK);
    call(pair, "test.fail", empty(), &outcome);
    assert_int_equal(outcome.code, RAY_ENOTFOUND);
    start_stream(pair, 3000, 1000, &outcome);
    run_until(pair, &outcome.has_ended);
    assert_int_equal(outcome.item_sum, 3000u * 2999 / 2);
    assert_int_equal(fixture_call(&pair->fixture, "test.hold", empty(), 0, &outcome, &id), RAY_OK);
    while (pair->fixture.held_count == 0) {
        world_turns(pair->world, 1, 5);
    }
    assert_true(pair->fixture.peer.is_remote);
    assert_int_equal(pair->fixture.peer.identity[0], 9);
    assert_int_equal(pair->fixture.peer.uid, RAY_RPC_NO_UID);
    peer.identity[1] = 8;
    ray_rpc_bulk_server_recheck(server, has_identity, (uint8_t[RAY_KEY_SIZE]){9, 9});
    world_turns(pair->world, 1, 5);
    assert_false(outcome.has_ended);
    ray_rpc_bulk_server_recheck(server, has_identity, peer.identity); /* the client hears of it */
    run_until(pair, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_ECLOSED);
    ray_rpc_bulk_server_destroy(server);
}

static void test_bulk_garbage(void **state)
{
    struct pair *pair = *state;
    struct ray_rpc_bulk_server *server = NULL;
    struct ray_peer peer = {0};
    struct ray_seal *seals[2];
    int fds[2];
    char byte;

    for (int round = 0; round < 2; round++) {
        uint8_t record[RAY_SEAL_OVERHEAD_SIZE + 9] = {0};
        size_t heard_size = 0;
        ssize_t got;

        make_sealed_pair(fds, seals);
        assert_int_equal(ray_rpc_bulk_server_create(&server, &pair->world->loop, fixture_methods(),
                                                    &pair->fixture, NULL),
                         RAY_OK);
        assert_int_equal(ray_rpc_bulk_server_take(server, fds[0], seals[0], &peer, NULL), RAY_OK);
        memset(record, 0xff, sizeof record);
        record[RAY_SEAL_HEAD_SIZE] = 0; /* a bulk message that is no envelope */
        if (round == 0) {
            assert_int_equal(ray_seal_encrypt(seals[1], 0, record, 9), RAY_OK);
        }
        assert_int_equal(send(fds[1], record, sizeof record, MSG_NOSIGNAL), sizeof record);
        while ((got = recv(fds[1], &byte, 1, MSG_DONTWAIT)) != 0) { /* until it is cut */
            heard_size += got > 0 ? (size_t)got : 0;
            if (got < 0) {
                world_turns(pair->world, 1, 5);
            }
        }
        assert_int_equal(heard_size > 0, round == 0); /* who is known is told why */
        (void)close(fds[1]);
        ray_seal_destroy(seals[1]);
        ray_rpc_bulk_server_destroy(server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_link_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leaves_full_link, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_service, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bulk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bulk_garbage, setup, teardown),
    };

    if (sodium_init() < 0) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
