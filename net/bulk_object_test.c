/* bulk_object_test.c - a sender and a receiver with two limited queues of messages between them;
 * then each alone against messages that are none. */
#include "base/size.h"
#include "base/test.h"
#include "net/bulk_object.h"
#include "net/bulk_object_impl.h"

enum { MESSAGES_MAX = 4 };

#define CHUNK ((size_t)RAY_BULK_CHUNK_SIZE_MIN)

struct message {
    size_t size;
    uint8_t *bytes;
};

struct queue {
    struct message messages[MESSAGES_MAX];
    size_t count;
    size_t count_max;
    size_t refused_count;
};

struct world {
    uint8_t *data;
    uint8_t *hashes;
    struct ray_bulk_source source;
    struct ray_bulk_wish wish;
    uint8_t *copy;
    uint32_t written_count;
    uint32_t begin_count;
    unsigned read_count;
    int sink_code; /* what the sink answers to chunk `sink_fails_at` */
    uint32_t sink_fails_at;
    int begin_code;
    struct queue to_sender;
    struct queue to_receiver;
    struct ray_bulk_sender *sender;
    struct ray_bulk_receiver *receiver;
    int sender_rc;
    int receiver_rc;
    uint32_t under_way_max;
};

/* ---- both ends' environment ---- */

static int queue_send(void *arg, const void *bytes, size_t size)
{
    struct queue *queue = arg;

    if (queue->count >= queue->count_max) {
        queue->refused_count++;
        return RAY_EAGAIN;
    }
    queue->messages[queue->count++] =
        (struct message){.size = size, .bytes = ray_test_copy(bytes, size)};
    return RAY_OK;
}

static int source_read(void *arg, uint32_t index, void *out, size_t size, struct ray_err *err)
{
    struct world *world = arg;

    (void)err;
    world->read_count++;
    memcpy(out, world->data + (size_t)index * world->source.object.chunk_size, size);
    return RAY_OK;
}

static int sink_begin(void *arg, const struct ray_bulk_object *object, const uint8_t *hashes,
                      struct ray_err *err)
{
    struct world *world = arg;

    assert_int_equal(object->size_bytes, world->source.object.size_bytes);
    if (object->size_bytes > 0) {
        assert_memory_equal(hashes, world->hashes, RAY_BULK_HASH_SIZE);
    }
    world->begin_count++;
    return world->begin_code == RAY_OK ? RAY_OK : ray_fail(err, world->begin_code, "no room");
}

static int sink_write(void *arg, uint32_t index, const void *bytes, size_t size,
                      struct ray_err *err)
{
    struct world *world = arg;

    if (world->sink_code != RAY_OK && index == world->sink_fails_at) {
        return ray_fail(err, world->sink_code, "disk");
    }
    memcpy(world->copy + (size_t)index * world->source.object.chunk_size, bytes, size);
    world->written_count++;
    return RAY_OK;
}

static void world_init(struct world *world, size_t size)
{
    uint32_t count = 0;

    *world = (struct world){0};
    world->data = malloc(size + 1);
    world->copy = calloc(1, size + 1);
    assert_true(world->data != NULL && world->copy != NULL);
    for (size_t i = 0; i < size; i++) {
        world->data[i] = (uint8_t)(i * 7 + i / CHUNK);
    }
    world->source.object.size_bytes = size;
    world->source.object.chunk_size = CHUNK;
    assert_int_equal(ray_bulk_chunk_count(size, CHUNK, &count, NULL), RAY_OK);
    world->hashes = calloc(count + 1, RAY_BULK_HASH_SIZE);
    assert_non_null(world->hashes);
    for (uint32_t i = 0; i < count; i++) {
        ray_bulk_chunk_hash(world->data + (size_t)i * CHUNK,
                            ray_bulk_chunk_size(&world->source.object, count, i),
                            world->hashes + (size_t)i * RAY_BULK_HASH_SIZE);
    }
    assert_int_equal(ray_bulk_root(size, CHUNK, world->hashes, world->source.object.root, NULL),
                     RAY_OK);
    world->source.hashes = world->hashes;
    world->source.read = source_read;
    world->source.arg = world;
    world->wish = (struct ray_bulk_wish){.window = 4, .size_max = 1 << 30};
    world->to_sender.count_max = 2;
    world->to_receiver.count_max = 2;
}

static void queue_clear(struct queue *queue)
{
    for (size_t i = 0; i < queue->count; i++) {
        free(queue->messages[i].bytes);
    }
    queue->count = 0;
}

static void world_stop(struct world *world)
{
    ray_bulk_sender_destroy(world->sender);
    ray_bulk_receiver_destroy(world->receiver);
    world->sender = NULL;
    world->receiver = NULL;
    queue_clear(&world->to_sender);
    queue_clear(&world->to_receiver);
}

static void world_fini(struct world *world)
{
    world_stop(world);
    free(world->data);
    free(world->copy);
    free(world->hashes);
}

static void create_sender(struct world *world)
{
    assert_int_equal(ray_bulk_sender_create(&world->sender, &world->source, queue_send,
                                            &world->to_receiver, NULL),
                     RAY_OK);
}

static void create_receiver(struct world *world)
{
    struct ray_bulk_sink sink = {.begin = sink_begin, .write = sink_write, .arg = world};

    assert_int_equal(ray_bulk_receiver_create(&world->receiver, &world->wish, &sink, queue_send,
                                              &world->to_sender, NULL),
                     RAY_OK);
}

static bool queue_take(struct queue *queue, struct message *out)
{
    if (queue->count == 0) {
        return false;
    }
    *out = queue->messages[0];
    queue->count--;
    memmove(queue->messages, queue->messages + 1, queue->count * sizeof queue->messages[0]);
    return true;
}

/* One turn; false when nothing moves any more. */
static bool turn(struct world *world)
{
    struct message message;
    bool has_moved = false;

    if (world->sender_rc == RAY_OK && queue_take(&world->to_sender, &message)) {
        world->sender_rc =
            ray_bulk_sender_receive(world->sender, message.bytes, message.size, NULL);
        free(message.bytes);
        has_moved = true;
    }
    if (world->sender_rc == RAY_OK && ray_bulk_sender_is_ready(world->sender)) {
        size_t refused_count = world->to_receiver.refused_count;

        world->sender_rc = ray_bulk_sender_pump(world->sender, NULL);
        has_moved = has_moved || world->to_receiver.refused_count == refused_count;
    }
    if (world->receiver_rc == RAY_OK && queue_take(&world->to_receiver, &message)) {
        world->receiver_rc =
            ray_bulk_receiver_receive(world->receiver, message.bytes, message.size, NULL);
        free(message.bytes);
        has_moved = true;
    }
    if (world->receiver_rc == RAY_OK) {
        size_t count = world->to_sender.count;

        world->receiver_rc = ray_bulk_receiver_pump(world->receiver, NULL);
        has_moved = has_moved || world->to_sender.count != count;
    }
    return has_moved;
}

static void run(struct world *world)
{
    create_sender(world);
    create_receiver(world);
    while (turn(world)) {
    }
}

/* ---- honest ---- */

static void test_sizes(void **state)
{
    static const size_t sizes[] = {0,         1,         CHUNK - 1,      CHUNK,
                                   CHUNK + 1, 2 * CHUNK, 40 * CHUNK + 5, 100 * CHUNK};

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(sizes); i++) {
        for (uint32_t window = 1; window <= 5; window++) {
            struct world world;

            world_init(&world, sizes[i]);
            world.wish.window = window;
            run(&world);
            assert_int_equal(world.sender_rc, RAY_OK);
            assert_int_equal(world.receiver_rc, RAY_OK);
            assert_true(ray_bulk_sender_is_done(world.sender));
            assert_true(ray_bulk_receiver_is_done(world.receiver));
            assert_memory_equal(world.data, world.copy, sizes[i]);
            assert_int_equal(world.begin_count, 1);
            /* A message that had to wait was not read a second time. */
            assert_int_equal(world.read_count, world.written_count);
            world_fini(&world);
        }
    }
}

static void test_a_list_in_parts(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, (RAY_BULK_LIST_COUNT_MAX + 3) * CHUNK);
    world.wish.window = RAY_BULK_WINDOW_MAX;
    run(&world);
    assert_true(ray_bulk_sender_is_done(world.sender));
    assert_true(ray_bulk_receiver_is_done(world.receiver));
    assert_memory_equal(world.data, world.copy, (RAY_BULK_LIST_COUNT_MAX + 3) * CHUNK);
    world_fini(&world);
}

/* Cut after each chunk; the next attempt gets only what is missing. */
static void test_resume_after_every_chunk(void **state)
{
    enum { COUNT = 7 };

    (void)state;
    for (uint32_t cut = 0; cut <= COUNT; cut++) {
        struct world world;

        world_init(&world, COUNT * CHUNK - 100);
        create_sender(&world);
        create_receiver(&world);
        while (world.written_count < cut) {
            assert_true(turn(&world));
        }
        assert_int_equal(ray_bulk_receiver_taken(world.receiver), cut);
        world_stop(&world);

        world.wish.first_chunk = cut;
        world.wish.has_root = true;
        memcpy(world.wish.root, world.source.object.root, RAY_BULK_HASH_SIZE);
        world.read_count = 0;
        run(&world);
        assert_true(ray_bulk_sender_is_done(world.sender));
        assert_true(ray_bulk_receiver_is_done(world.receiver));
        assert_int_equal(world.read_count, COUNT - cut);
        assert_memory_equal(world.data, world.copy, COUNT * CHUNK - 100);
        world_fini(&world);
    }
}

/* Without GIVE there is never more under way than the window. */
static void test_window(void **state)
{
    struct world world;
    struct message message = {0};
    uint32_t chunk_count = 0;

    (void)state;
    world_init(&world, 50 * CHUNK);
    world.wish.window = 5;
    create_sender(&world);
    create_receiver(&world);
    assert_true(queue_take(&world.to_sender, &message));
    assert_int_equal(ray_bulk_sender_receive(world.sender, message.bytes, message.size, NULL),
                     RAY_OK);
    free(message.bytes);
    while (ray_bulk_sender_is_ready(world.sender)) {
        assert_int_equal(ray_bulk_sender_pump(world.sender, NULL), RAY_OK);
        while (queue_take(&world.to_receiver, &message)) {
            chunk_count += message.bytes[0] == RAY_BULK_CHUNK ? 1 : 0;
            free(message.bytes);
        }
    }
    assert_int_equal(chunk_count, 5);
    world_fini(&world);
}

/* ---- what goes wrong ---- */

static void test_another_object(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 3 * CHUNK);
    world.wish.first_chunk = 1;
    world.wish.has_root = true;
    run(&world);
    assert_int_equal(world.receiver_rc, RAY_ECONFLICT);
    assert_int_equal(world.written_count, 0);
    assert_int_equal(world.read_count, 0);
    assert_false(ray_bulk_sender_is_done(world.sender));
    world_fini(&world);

    world_init(&world, 3 * CHUNK);
    world.wish.first_chunk = 4; /* more than there are */
    world.wish.has_root = true;
    memcpy(world.wish.root, world.source.object.root, RAY_BULK_HASH_SIZE);
    run(&world);
    assert_int_equal(world.receiver_rc, RAY_ECONFLICT);
    world_fini(&world);
}

static void test_rotten_source(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 3 * CHUNK);
    world.data[CHUNK + 17] ^= 1;
    run(&world);
    assert_int_equal(world.sender_rc, RAY_EIO);
    assert_int_equal(world.written_count, 1);
    assert_false(ray_bulk_receiver_is_done(world.receiver));
    world_fini(&world);

    world_init(&world, 3 * CHUNK);
    world.hashes[40] ^= 1;
    assert_int_equal(
        ray_bulk_sender_create(&world.sender, &world.source, queue_send, &world.to_receiver, NULL),
        RAY_EMALFORMED);
    world_fini(&world);
}

static void test_sink_refuses(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 3 * CHUNK);
    world.sink_code = RAY_ENOSPC;
    world.sink_fails_at = 1;
    run(&world);
    assert_int_equal(world.receiver_rc, RAY_ENOSPC);
    assert_int_equal(ray_bulk_receiver_taken(world.receiver), 1);
    world_fini(&world);

    world_init(&world, 3 * CHUNK);
    world.begin_code = RAY_EDENIED;
    run(&world);
    assert_int_equal(world.receiver_rc, RAY_EDENIED);
    assert_int_equal(world.written_count, 0);
    world_fini(&world);

    world_init(&world, 3 * CHUNK);
    world.wish.size_max = 3 * CHUNK - 1;
    run(&world);
    assert_int_equal(world.receiver_rc, RAY_ETOOBIG);
    assert_int_equal(world.begin_count, 0);
    world_fini(&world);
}

/* Each byte of each message to the receiver, changed. Nothing wrong is ever written. */
static void test_changed_messages(void **state)
{
    enum { SIZE = CHUNK + 10 };
    size_t message_index = 0;
    bool has_more = true;

    (void)state;
    for (; has_more; message_index++) {
        size_t size = 1;

        has_more = false;
        for (size_t at = 0; at < size; at += at < 120 ? 1 : 501) {
            struct world world;
            struct message message;
            size_t index = 0;

            world_init(&world, SIZE);
            create_sender(&world);
            create_receiver(&world);
            while (world.receiver_rc == RAY_OK) {
                if (queue_take(&world.to_sender, &message)) {
                    assert_int_equal(
                        ray_bulk_sender_receive(world.sender, message.bytes, message.size, NULL),
                        RAY_OK);
                    free(message.bytes);
                }
                assert_int_equal(ray_bulk_sender_pump(world.sender, NULL), RAY_OK);
                if (!queue_take(&world.to_receiver, &message)) {
                    break;
                }
                if (index++ == message_index) {
                    has_more = true;
                    size = message.size;
                    message.bytes[at] ^= (uint8_t)(1U << (at % 8));
                }
                world.receiver_rc =
                    ray_bulk_receiver_receive(world.receiver, message.bytes, message.size, NULL);
                free(message.bytes);
            }
            if (has_more) {
                assert_true(world.receiver_rc == RAY_EMALFORMED ||
                            world.receiver_rc == RAY_ETOOBIG);
                assert_false(ray_bulk_receiver_is_done(world.receiver));
            }
            for (uint32_t i = 0; i < world.written_count; i++) {
                assert_memory_equal(world.copy + (size_t)i * CHUNK, world.data + (size_t)i * CHUNK,
                                    i == 0 ? CHUNK : 10);
            }
            world_fini(&world);
        }
    }
    assert_int_equal(message_index, 5); /* head, list, two chunks, and none */
}

static void test_messages_out_of_turn(void **state)
{
    static const uint8_t messages[][RAY_BULK_PART_HEAD_SIZE] = {
        {RAY_BULK_LIST}, {RAY_BULK_CHUNK}, {RAY_BULK_GIVE}, {RAY_BULK_WANT}, {0}, {6}};
    uint8_t *exact;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(messages); i++) {
        struct world world;

        world_init(&world, CHUNK);
        create_receiver(&world);
        exact = ray_test_copy(messages[i], sizeof messages[i]);
        assert_int_equal(ray_bulk_receiver_receive(world.receiver, exact, sizeof messages[i], NULL),
                         RAY_EMALFORMED);
        free(exact);
        exact = ray_test_copy("", 0);
        assert_int_equal(ray_bulk_receiver_receive(world.receiver, exact, 0, NULL), RAY_EMALFORMED);
        free(exact);
        world_fini(&world);
    }
}

static int sender_gets(struct world *world, const uint8_t *bytes, size_t size)
{
    uint8_t *exact = ray_test_copy(bytes, size);
    int rc = ray_bulk_sender_receive(world->sender, exact, size, NULL);

    free(exact);
    return rc;
}

static void test_hostile_receiver(void **state)
{
    uint8_t want[RAY_BULK_WANT_SIZE] = {RAY_BULK_WANT, RAY_BULK_OBJECT_VERSION};
    uint8_t give[RAY_BULK_PART_HEAD_SIZE] = {RAY_BULK_GIVE};
    struct world world;

    (void)state;
    world_init(&world, 9 * CHUNK);
    world.to_receiver.count_max = MESSAGES_MAX;
    create_sender(&world);
    /* Nothing was sent: nothing can have been taken. */
    assert_int_equal(sender_gets(&world, give, sizeof give), RAY_EMALFORMED);
    for (size_t size = 0; size < sizeof want; size++) {
        assert_int_equal(sender_gets(&world, want, size), RAY_EMALFORMED);
    }
    assert_int_equal(sender_gets(&world, want, sizeof want), RAY_EMALFORMED); /* no window */
    want[8] = RAY_BULK_WINDOW_MAX + 1;
    assert_int_equal(sender_gets(&world, want, sizeof want), RAY_EMALFORMED);
    want[8] = 2;
    want[4] = 1; /* resumes, but says not what */
    assert_int_equal(sender_gets(&world, want, sizeof want), RAY_EMALFORMED);
    want[4] = 0;
    want[1] = 2;
    assert_int_equal(sender_gets(&world, want, sizeof want), RAY_EUNSUPPORTED);
    want[1] = RAY_BULK_OBJECT_VERSION;
    assert_int_equal(sender_gets(&world, want, sizeof want), RAY_OK);
    assert_int_equal(sender_gets(&world, want, sizeof want), RAY_EMALFORMED); /* twice */
    assert_int_equal(ray_bulk_sender_pump(world.sender, NULL), RAY_OK);
    give[4] = 3; /* two were sent */
    assert_int_equal(sender_gets(&world, give, sizeof give), RAY_EMALFORMED);
    give[4] = 2;
    assert_int_equal(sender_gets(&world, give, sizeof give), RAY_OK);
    give[4] = 1;
    assert_int_equal(sender_gets(&world, give, sizeof give), RAY_EMALFORMED); /* back again */
    assert_int_equal(sender_gets(&world, give, sizeof give - 1), RAY_EMALFORMED);
    world_fini(&world);
}

static void test_limits(void **state)
{
    uint32_t count = 0;

    (void)state;
    assert_int_equal(ray_bulk_chunk_count(0, RAY_BULK_CHUNK_SIZE_MIN, &count, NULL), RAY_OK);
    assert_int_equal(count, 0);
    assert_int_equal(ray_bulk_chunk_count(1, RAY_BULK_CHUNK_SIZE_MIN - 1, &count, NULL),
                     RAY_EINVAL);
    assert_int_equal(ray_bulk_chunk_count(1, RAY_BULK_CHUNK_SIZE_MAX + 1, &count, NULL),
                     RAY_EINVAL);
    assert_int_equal(
        ray_bulk_chunk_count((uint64_t)RAY_BULK_CHUNK_COUNT_MAX * RAY_BULK_CHUNK_SIZE_MAX,
                             RAY_BULK_CHUNK_SIZE_MAX, &count, NULL),
        RAY_OK);
    assert_int_equal(count, RAY_BULK_CHUNK_COUNT_MAX);
    assert_int_equal(
        ray_bulk_chunk_count((uint64_t)RAY_BULK_CHUNK_COUNT_MAX * RAY_BULK_CHUNK_SIZE_MAX + 1,
                             RAY_BULK_CHUNK_SIZE_MAX, &count, NULL),
        RAY_EINVAL);
    assert_int_equal(ray_bulk_chunk_count(UINT64_MAX, RAY_BULK_CHUNK_SIZE_MIN, &count, NULL),
                     RAY_EINVAL);
}

static void test_no_memory(void **state)
{
    struct ray_bulk_sink sink = {.write = sink_write};

    (void)state;
    for (unsigned n = 1;; n++) {
        struct world world;
        int rc;

        world_init(&world, CHUNK);
        sink.arg = &world;
        ray_test_fault_arm("alloc", n);
        rc = ray_bulk_sender_create(&world.sender, &world.source, queue_send, &world.to_receiver,
                                    NULL);
        if (rc == RAY_OK) {
            rc = ray_bulk_receiver_create(&world.receiver, &world.wish, &sink, queue_send,
                                          &world.to_sender, NULL);
        }
        while (rc == RAY_OK && turn(&world)) {
        }
        if (!ray_test_fault_disarm()) {
            assert_true(ray_bulk_receiver_is_done(world.receiver));
            world_fini(&world);
            break;
        }
        assert_true(rc == RAY_ENOMEM || world.receiver_rc == RAY_ENOMEM);
        world_fini(&world);
    }
    ray_bulk_sender_destroy(NULL);
    ray_bulk_receiver_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_a_list_in_parts),
        cmocka_unit_test(test_resume_after_every_chunk),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_another_object),
        cmocka_unit_test(test_rotten_source),
        cmocka_unit_test(test_sink_refuses),
        cmocka_unit_test(test_changed_messages),
        cmocka_unit_test(test_messages_out_of_turn),
        cmocka_unit_test(test_hostile_receiver),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
