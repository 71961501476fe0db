/* bulk_transfer_test.c - the whole way: handshake on loopback, channels, an object; the connection
 * is cut in the middle, again and again, and each attempt goes on where the last one stopped. */
#include <unistd.h>

#include "base/test.h"
#include "net/bulk.h"
#include "net/bulk_fixture.h"
#include "net/bulk_object.h"
#include "net/bulk_shake.h"

enum { CHUNK_SIZE = 64 << 10, CHUNK_COUNT = 64, OBJECT_SIZE = CHUNK_COUNT * CHUNK_SIZE - 1000 };

struct world;

struct end {
    struct world *world;
    struct ray_key *key;
    struct ray_bulk_shake *shake;
    struct ray_bulk *bulk;
    struct ray_timer turn;
    bool is_closed;
    int close_code;
    size_t queued_size_max;
};

struct world {
    struct ray_loop loop;
    struct end sending;
    struct end receiving;
    struct ray_bulk_sender *sender;
    struct ray_bulk_receiver *receiver;
    struct ray_bulk_source source;
    uint32_t written; /* chunks on the receiver's "disk" */
    uint32_t cut_at;  /* the receiver vanishes after so many */
    unsigned read_count;
};

static uint8_t data[CHUNK_COUNT * CHUNK_SIZE];
static uint8_t copy[CHUNK_COUNT * CHUNK_SIZE];
static uint8_t hashes[CHUNK_COUNT * RAY_BULK_HASH_SIZE];

/* ---- sending ---- */

static int read_chunk(void *arg, uint32_t index, void *out, size_t size, struct ray_err *err)
{
    struct world *world = arg;

    (void)err;
    world->read_count++;
    memcpy(out, data + (size_t)index * CHUNK_SIZE, size);
    return RAY_OK;
}

static int send_message(void *arg, const void *bytes, size_t size)
{
    struct end *end = arg;
    int rc = ray_bulk_send(end->bulk, bytes, size);
    size_t queued_size = ray_bulk_queued_size(end->bulk);

    end->queued_size_max = queued_size > end->queued_size_max ? queued_size : end->queued_size_max;
    return rc;
}

static void pump_sender(void *arg)
{
    struct world *world = ((struct end *)arg)->world;
    size_t before = ray_bulk_queued_size(world->sending.bulk);

    /* After a cut the channel refuses; on_close tells it. */
    if (ray_bulk_sender_pump(world->sender, NULL) == RAY_OK &&
        ray_bulk_sender_is_ready(world->sender) &&
        (before == 0 || ray_bulk_queued_size(world->sending.bulk) < RAY_BULK_QUEUE_LOW_SIZE)) {
        ray_timer_start(&world->sending.turn, 0, 0);
    }
}

static void on_sender_message(void *arg, const uint8_t *bytes, size_t size)
{
    struct end *end = arg;

    assert_int_equal(ray_bulk_sender_receive(end->world->sender, bytes, size, NULL), RAY_OK);
    pump_sender(arg);
}

/* ---- receiving ---- */

static int write_chunk(void *arg, uint32_t index, const void *bytes, size_t size,
                       struct ray_err *err)
{
    struct world *world = arg;

    (void)err;
    assert_int_equal(index, world->written);
    memcpy(copy + (size_t)index * CHUNK_SIZE, bytes, size);
    world->written++;
    return RAY_OK;
}

static void on_receiver_message(void *arg, const uint8_t *bytes, size_t size)
{
    struct world *world = ((struct end *)arg)->world;

    assert_int_equal(ray_bulk_receiver_receive(world->receiver, bytes, size, NULL), RAY_OK);
    if (world->written == world->cut_at) {
        ray_bulk_destroy(world->receiving.bulk);
        world->receiving.bulk = NULL;
        world->receiving.is_closed = true;
    } else if (ray_bulk_receiver_is_done(world->receiver)) {
        assert_int_equal(ray_bulk_finish(world->receiving.bulk), RAY_OK);
    }
}

/* ---- both ---- */

static void on_close(void *arg, const struct ray_err *why)
{
    struct end *end = arg;

    end->is_closed = true;
    end->close_code = why->code;
}

static void on_ready(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *peer)
{
    struct end *end = arg;
    bool is_sending = end == &end->world->sending;
    struct ray_bulk_user user = {
        .on_message = is_sending ? on_sender_message : on_receiver_message,
        .on_writable = is_sending ? pump_sender : NULL,
        .on_close = on_close,
        .arg = end,
    };

    (void)peer;
    assert_int_equal(ray_bulk_create(&end->bulk, &end->world->loop, fd, seal, &user, NULL), RAY_OK);
}

static void on_failed(void *arg, const struct ray_err *why)
{
    (void)arg;
    fail_msg("%s", why->text);
}

static int on_hello(void *arg, const struct ray_hello *hello, struct ray_peer_terms *out_terms,
                    struct ray_err *err)
{
    const struct world *world = arg;

    (void)hello;
    (void)err;
    memcpy(out_terms->peer_static, ray_key_static(world->receiving.key), RAY_KEY_SIZE);
    return RAY_OK;
}

static void shake_hands(struct world *world)
{
    struct ray_hello hello = {.kind = RAY_PEER_MEMBER, .cluster_epoch = 1};
    struct ray_peer_terms terms = {0};
    struct ray_peer_auth_guard guard = {.on_hello = on_hello, .arg = world};
    struct ray_peer_auth *opener = NULL;
    struct ray_peer_auth *answerer = NULL;
    struct ray_bulk_shake_user user = {.on_ready = on_ready, .on_failed = on_failed};
    int fds[2];

    bulk_fixture_tcp_pair(fds);
    hello.cluster.bytes[0] = hello.from.bytes[0] = hello.to.bytes[0] = 1;
    memcpy(terms.peer_static, ray_key_static(world->sending.key), RAY_KEY_SIZE);
    assert_int_equal(
        ray_peer_auth_open(&opener, world->receiving.key, &hello, &terms, NULL, 0, NULL), RAY_OK);
    assert_int_equal(ray_peer_auth_answer(&answerer, world->sending.key, &guard, NULL, 0, NULL),
                     RAY_OK);
    user.arg = &world->receiving;
    assert_int_equal(ray_bulk_shake_create(&world->receiving.shake, &world->loop, fds[0], opener,
                                           60000, &user, NULL),
                     RAY_OK);
    user.arg = &world->sending;
    assert_int_equal(ray_bulk_shake_create(&world->sending.shake, &world->loop, fds[1], answerer,
                                           60000, &user, NULL),
                     RAY_OK);
    while (world->sending.bulk == NULL || world->receiving.bulk == NULL) {
        ray_loop_once(&world->loop);
    }
}

static void end_attempt(struct end *end)
{
    ray_bulk_shake_destroy(end->shake);
    ray_bulk_destroy(end->bulk);
    end->shake = NULL;
    end->bulk = NULL;
    end->is_closed = false;
    ray_timer_stop(&end->turn);
}

/* One connection, until both ends know that it is over. */
static void attempt(struct world *world)
{
    struct ray_bulk_wish wish = {
        .first_chunk = world->written, .window = 8, .has_root = true, .size_max = OBJECT_SIZE};
    struct ray_bulk_sink sink = {.write = write_chunk, .arg = world};

    memcpy(wish.root, world->source.object.root, RAY_BULK_HASH_SIZE);
    shake_hands(world);
    assert_int_equal(
        ray_bulk_sender_create(&world->sender, &world->source, send_message, &world->sending, NULL),
        RAY_OK);
    assert_int_equal(ray_bulk_receiver_create(&world->receiver, &wish, &sink, send_message,
                                              &world->receiving, NULL),
                     RAY_OK);
    while (!world->sending.is_closed || !world->receiving.is_closed) {
        ray_loop_once(&world->loop);
    }
    if (world->cut_at == 0) {
        assert_int_equal(world->sending.close_code, RAY_OK);
        assert_int_equal(world->receiving.close_code, RAY_OK);
        assert_true(ray_bulk_sender_is_done(world->sender));
        assert_true(ray_bulk_receiver_is_done(world->receiver));
    } else {
        assert_int_not_equal(world->sending.close_code, RAY_OK);
    }
    end_attempt(&world->sending);
    end_attempt(&world->receiving);
    ray_bulk_sender_destroy(world->sender);
    ray_bulk_receiver_destroy(world->receiver);
}

static void world_init(struct world *world)
{
    *world = (struct world){.sending.world = world, .receiving.world = world};
    assert_int_equal(ray_loop_init(&world->loop, NULL), RAY_OK);
    assert_int_equal(ray_key_generate(&world->sending.key, NULL), RAY_OK);
    assert_int_equal(ray_key_generate(&world->receiving.key, NULL), RAY_OK);
    assert_int_equal(
        ray_timer_init(&world->sending.turn, &world->loop, pump_sender, &world->sending, NULL),
        RAY_OK);
    assert_int_equal(
        ray_timer_init(&world->receiving.turn, &world->loop, pump_sender, &world->receiving, NULL),
        RAY_OK);
    for (size_t i = 0; i < OBJECT_SIZE; i++) {
        data[i] = (uint8_t)(i * 31 + i / CHUNK_SIZE);
    }
    for (uint32_t i = 0; i < CHUNK_COUNT; i++) {
        size_t size = i + 1 < CHUNK_COUNT ? CHUNK_SIZE : CHUNK_SIZE - 1000;

        ray_bulk_chunk_hash(data + (size_t)i * CHUNK_SIZE, size,
                            hashes + (size_t)i * RAY_BULK_HASH_SIZE);
    }
    world->source = (struct ray_bulk_source){
        .object = {.size_bytes = OBJECT_SIZE, .chunk_size = CHUNK_SIZE},
        .hashes = hashes,
        .read = read_chunk,
        .arg = world,
    };
    assert_int_equal(
        ray_bulk_root(OBJECT_SIZE, CHUNK_SIZE, hashes, world->source.object.root, NULL), RAY_OK);
}

static void world_fini(struct world *world)
{
    ray_timer_fini(&world->sending.turn);
    ray_timer_fini(&world->receiving.turn);
    ray_key_destroy(world->sending.key);
    ray_key_destroy(world->receiving.key);
    ray_loop_fini(&world->loop);
}

static void test_cut_and_resumed(void **state)
{
    static const uint32_t cuts[] = {1, 2, 20, 63};
    struct world world;
    unsigned attempts = 0;

    (void)state;
    world_init(&world);
    memset(copy, 0, sizeof copy);
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        world.cut_at = cuts[i];
        attempt(&world);
        attempts++;
        assert_int_equal(world.written, cuts[i]);
    }
    world.cut_at = 0;
    attempt(&world);
    assert_int_equal(world.written, CHUNK_COUNT);
    assert_memory_equal(copy, data, OBJECT_SIZE);
    /* Nothing was sent twice but what was under way when a connection was cut. */
    assert_true(world.read_count <= CHUNK_COUNT + attempts * 8);
    assert_true(world.sending.queued_size_max <= RAY_BULK_QUEUE_SIZE_MAX);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut_and_resumed)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
