/* How much of requests in parts a server holds, of whom and for how long: over carriers of memory,
 * whose peers are whoever the test says. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/test.h"
#include "net/proto/rpc.pb-c.h"
#include "net/rpc_envelope.h"
#include "net/rpc_large.h"
#include "net/rpc_session_impl.h"

enum {
    SESSION_COUNT_MAX = 100,
    LARGE_SIZE = 512 << 10,
    ALL_COUNT = RAY_RPC_LARGE_HELD_MAX / LARGE_SIZE,
    NOT_ROOT_COUNT = (RAY_RPC_LARGE_HELD_MAX - RAY_RPC_LARGE_ROOT_SIZE) / LARGE_SIZE,
    USER_COUNT = RAY_RPC_LARGE_PER_UID_MAX / LARGE_SIZE,
    USER = 1000,
};

#define TIME_MAX_NS (RAY_RPC_LARGE_TIME_MS_MAX * RAY_NS_PER_MS)

struct memory {
    struct ray_rpc_carrier base; /* first */
    struct ray_rpc_peer peer;
    struct ray_rpc_session *session;
    uint64_t last_id;
    uint64_t ended_id; /* 0: no end was heard */
    int ended_code;
};

struct fixture {
    struct ray_rpc_service service;
    struct memory memories[SESSION_COUNT_MAX];
    size_t count;
    size_t run_count;
};

static int memory_send(struct ray_rpc_carrier *carrier, const uint8_t *bytes, size_t size,
                       const int *fds, size_t fd_count)
{
    struct memory *memory = (struct memory *)carrier;
    struct ray_rpc_message message;
    struct ray_arena arena;

    (void)fds;
    (void)fd_count;
    ray_arena_init(&arena, RAY_RPC_ARENA_SIZE_MAX);
    assert_int_equal(ray_rpc_envelope_decode(bytes, size, &arena, &message, NULL), RAY_OK);
    assert_int_equal(message.kind, RAY_RPC_END);
    memory->ended_id = message.id;
    memory->ended_code = message.code;
    assert_true(message.code == RAY_OK || message.next_step[0] != '\0');
    ray_arena_fini(&arena);
    return RAY_OK;
}

static size_t memory_queued_size(const struct ray_rpc_carrier *carrier)
{
    (void)carrier;
    return 0;
}

static const struct ray_rpc_peer *memory_peer(const struct ray_rpc_carrier *carrier)
{
    return &((const struct memory *)carrier)->peer;
}

static void memory_abort(struct ray_rpc_carrier *carrier, const struct ray_err *why)
{
    (void)carrier;
    fail_msg("the session ends: %s", why->text);
}

static void memory_destroy(struct ray_rpc_carrier *carrier)
{
    (void)carrier;
}

static const struct ray_rpc_carrier_ops memory_ops = {.send = memory_send,
                                                      .queued_size = memory_queued_size,
                                                      .peer = memory_peer,
                                                      .abort = memory_abort,
                                                      .destroy = memory_destroy};

static void run_count(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    static const Rayos__Rpc__Empty empty = RAYOS__RPC__EMPTY__INIT;
    struct fixture *fixture = arg;

    (void)input;
    fixture->run_count++;
    assert_int_equal(ray_rpc_reply(call, &empty.base), RAY_OK);
}

static const struct ray_rpc_method methods[] = {
    {"test.count", &rayos__rpc__item__descriptor, run_count},
    {NULL, NULL, NULL},
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    ray_rpc_service_init(&fixture->service, methods, fixture);
    fixture->service.takes_large = true;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    ray_rpc_service_fini(&fixture->service);
    assert_int_equal(fixture->service.large_size, 0);
    free(fixture);
    return 0;
}

static struct memory *add(struct fixture *fixture, const struct ray_rpc_peer *peer)
{
    struct memory *memory = &fixture->memories[fixture->count++];

    assert_true(fixture->count <= SESSION_COUNT_MAX);
    *memory = (struct memory){.base = {.ops = &memory_ops}, .peer = *peer};
    assert_int_equal(
        ray_rpc_session_create(&fixture->service, &memory->session, &memory->base.user, NULL),
        RAY_OK);
    ray_rpc_session_open(memory->session, &memory->base);
    return memory;
}

static int begin(struct memory *memory, uint64_t now_ns)
{
    struct ray_rpc_message message = {.kind = RAY_RPC_LARGE,
                                      .id = ++memory->last_id,
                                      .method = "test.count",
                                      .large_size = LARGE_SIZE};

    return ray_rpc_large_begin(memory->session, &message, now_ns, NULL);
}

/* How many such requests the peer's sessions, one each, may begin at `now_ns`. */
static size_t begin_all(struct fixture *fixture, const struct ray_rpc_peer *peer, uint64_t now_ns)
{
    size_t count = 0;

    while (begin(add(fixture, peer), now_ns) == RAY_OK) {
        count++;
    }
    return count;
}

static struct ray_rpc_peer user(uid_t uid)
{
    return (struct ray_rpc_peer){.uid = uid};
}

static struct ray_rpc_peer remote(uint8_t identity, uint8_t node)
{
    return (struct ray_rpc_peer){.uid = RAY_RPC_NO_UID,
                                 .is_remote = true,
                                 .identity = {identity},
                                 .node = {.bytes = {node}}};
}

static void test_root_has_a_reserve(void **state)
{
    struct fixture *fixture = *state;
    struct ray_rpc_peer peer;
    size_t left = NOT_ROOT_COUNT;

    for (uid_t uid = USER; left > 0; uid++) {
        size_t count = left < USER_COUNT ? left : USER_COUNT;

        peer = user(uid);
        assert_int_equal(begin_all(fixture, &peer, 0), count);
        left -= count;
    }
    peer = user(USER - 1);
    assert_int_equal(begin_all(fixture, &peer, 0), 0);
    peer = user(0);
    assert_int_equal(begin_all(fixture, &peer, 0), ALL_COUNT - NOT_ROOT_COUNT);
}

static void test_remote_peers_have_shares(void **state)
{
    struct fixture *fixture = *state;
    struct ray_rpc_peer peer = remote(1, 0);

    assert_int_equal(begin_all(fixture, &peer, 0), USER_COUNT);
    peer = remote(1, 1); /* one and the same, whatever node it says to be */
    assert_int_equal(begin_all(fixture, &peer, 0), 0);
    peer = remote(2, 0);
    assert_int_equal(begin_all(fixture, &peer, 0), USER_COUNT);
    peer = remote(0, 1); /* members have nodes */
    assert_int_equal(begin_all(fixture, &peer, 0), USER_COUNT);
    peer = remote(0, 1);
    assert_int_equal(begin_all(fixture, &peer, 0), 0);
    peer = remote(0, 2);
    assert_int_equal(begin_all(fixture, &peer, 0), NOT_ROOT_COUNT - 3 * USER_COUNT);
}

static void test_slow_ones_end(void **state)
{
    struct fixture *fixture = *state;
    struct ray_rpc_peer peer = user(USER);
    struct memory *slow = add(fixture, &peer);
    struct memory *late = &fixture->memories[1];

    assert_int_equal(begin(slow, 1), RAY_OK);
    assert_int_equal(begin_all(fixture, &peer, TIME_MAX_NS), USER_COUNT - 1);
    assert_int_equal(begin(add(fixture, &peer), TIME_MAX_NS), RAY_EUNAVAILABLE);
    assert_int_equal(slow->ended_id, 0);

    assert_int_equal(begin(add(fixture, &peer), TIME_MAX_NS + 1), RAY_OK); /* in its place */
    assert_int_equal(slow->ended_id, 1);
    assert_int_equal(slow->ended_code, RAY_ETIMEOUT);
    assert_int_equal(late->ended_id, 0);
    assert_int_equal(begin(slow, TIME_MAX_NS + 2), RAY_EUNAVAILABLE);
    assert_int_equal(begin(slow, 2 * TIME_MAX_NS), RAY_OK); /* the connection goes on */
    assert_int_equal(late->ended_id, 1);
    assert_int_equal(late->ended_code, RAY_ETIMEOUT);
}

/* Nobody who is in nobody's way ends. */
static void test_slow_ones_with_room(void **state)
{
    struct fixture *fixture = *state;
    struct ray_rpc_peer peer = user(USER);
    struct memory *slow = add(fixture, &peer);

    assert_int_equal(begin(slow, 0), RAY_OK);
    assert_int_equal(begin(add(fixture, &peer), 100 * TIME_MAX_NS), RAY_OK);
    assert_int_equal(slow->ended_id, 0);
}

static void hear(struct memory *memory, const struct ray_rpc_message *message)
{
    const struct ray_rpc_carrier_user *user = &memory->base.user;
    struct ray_arena arena;
    const uint8_t *bytes = NULL;
    size_t size = 0;

    ray_arena_init(&arena, RAY_RPC_SEND_ARENA_SIZE_MAX);
    assert_int_equal(ray_rpc_envelope_encode(message, &arena, &bytes, &size, NULL), RAY_OK);
    user->on_message(user->arg, bytes, size, NULL, 0);
    ray_arena_fini(&arena);
}

/* A connection keeps no memory of the largest request that it has seen. */
static void test_memory_is_given_back(void **state)
{
    enum { HEAD_SIZE = 4 };
    struct fixture *fixture = *state;
    struct ray_rpc_peer peer = user(USER);
    struct memory *memory = add(fixture, &peer);
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    struct ray_rpc_message message = {
        .kind = RAY_RPC_LARGE, .id = 1, .method = "test.count", .large_size = LARGE_SIZE};
    uint8_t *body = calloc(1, LARGE_SIZE);

    item.body.data = calloc(1, LARGE_SIZE);
    item.body.len = LARGE_SIZE - HEAD_SIZE;
    assert_int_equal(rayos__rpc__item__get_packed_size(&item), LARGE_SIZE);
    assert_int_equal(rayos__rpc__item__pack(&item, body), LARGE_SIZE);
    hear(memory, &message);
    message = (struct ray_rpc_message){.kind = RAY_RPC_PART, .id = 1};
    for (size_t at = 0; at < LARGE_SIZE; at += message.body_size) {
        size_t left = LARGE_SIZE - at;

        message.body = body + at;
        message.body_size = left < RAY_RPC_BODY_SIZE_MAX ? left : RAY_RPC_BODY_SIZE_MAX;
        hear(memory, &message);
    }
    assert_int_equal(memory->ended_id, 1);
    assert_int_equal(memory->ended_code, RAY_OK);
    assert_int_equal(fixture->run_count, 1);
    assert_null(memory->session->receive_arena.blocks);
    free(item.body.data);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_root_has_a_reserve, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remote_peers_have_shares, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_ones_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_ones_with_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_is_given_back, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
