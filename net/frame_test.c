/* frame_test.c - every cut of a stream, every wrong size, sessions that begin anew. */
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "net/frame.h"

static size_t encode(uint8_t *out, const void *payload, size_t size)
{
    assert_int_equal(ray_frame_encode_header(size, out, NULL), RAY_OK);
    memcpy(out + RAY_FRAME_HEADER_SIZE, payload, size);
    return RAY_FRAME_HEADER_SIZE + size;
}

static void test_every_cut(void **state)
{
    uint8_t stream[128];
    size_t size = 0;

    (void)state;
    ray_frame_encode_sync(0x1122334455667788u, stream);
    size += RAY_FRAME_SYNC_SIZE;
    size += encode(stream + size, "hello", 5);
    size += encode(stream + size, "", 0);
    size += encode(stream + size, "world!", 6);
    for (size_t cut = 0; cut <= size; cut++) {
        struct ray_frame_reader reader;
        struct ray_frame frame;
        size_t payload_count = 0;
        size_t payload_bytes = 0;
        bool saw_sync = false;

        ray_frame_reader_init(&reader, true);
        for (int part = 0; part < 2; part++) {
            const uint8_t *begin = part == 0 ? stream : stream + cut;
            size_t part_size = part == 0 ? cut : size - cut;

            assert_int_equal(ray_frame_reader_push(&reader, begin, part_size, NULL), RAY_OK);
            while (ray_frame_reader_next(&reader, &frame, NULL) == RAY_OK) {
                if (frame.kind == RAY_FRAME_SYNC) {
                    assert_true(frame.nonce == 0x1122334455667788u);
                    saw_sync = true;
                } else {
                    payload_count++;
                    payload_bytes += frame.payload_size;
                }
            }
        }
        assert_true(saw_sync);
        assert_int_equal(payload_count, 3);
        assert_int_equal(payload_bytes, 11);
        ray_frame_reader_fini(&reader);
    }
}

static void test_garbage_before_sync_is_dropped(void **state)
{
    struct ray_frame_reader reader;
    struct ray_frame frame;
    uint8_t sync[RAY_FRAME_SYNC_SIZE];
    uint8_t junk[4096];

    (void)state;
    /* The worst junk: beginnings of a sync block. */
    memset(junk, 0xff, sizeof junk);
    ray_frame_encode_sync(7, sync);
    memcpy(junk + 100, sync, RAY_FRAME_SYNC_SIZE - 9);
    ray_frame_reader_init(&reader, true);
    assert_int_equal(ray_frame_reader_push(&reader, junk, sizeof junk, NULL), RAY_OK);
    assert_int_equal(ray_frame_reader_next(&reader, &frame, NULL), RAY_EAGAIN);
    assert_int_equal(ray_frame_reader_push(&reader, sync, sizeof sync, NULL), RAY_OK);
    assert_int_equal(ray_frame_reader_next(&reader, &frame, NULL), RAY_OK);
    assert_int_equal(frame.kind, RAY_FRAME_SYNC);
    assert_true(frame.nonce == 7);
    ray_frame_reader_fini(&reader);
}

static void test_size_limit(void **state)
{
    struct ray_frame_reader reader;
    struct ray_frame frame;
    struct ray_err err = {0};
    const uint32_t too_big = RAY_FRAME_PAYLOAD_SIZE_MAX + 1;
    uint8_t header[4] = {(uint8_t)too_big, (uint8_t)(too_big >> 8), (uint8_t)(too_big >> 16),
                         (uint8_t)(too_big >> 24)};
    uint8_t *payload = calloc(1, RAY_FRAME_PAYLOAD_SIZE_MAX);

    (void)state;
    assert_non_null(payload);
    assert_int_equal(ray_frame_encode_header(too_big, header, &err), RAY_ETOOBIG);
    ray_frame_reader_init(&reader, false);
    assert_int_equal(ray_frame_reader_push(&reader, header, sizeof header, NULL), RAY_OK);
    assert_int_equal(ray_frame_reader_next(&reader, &frame, &err), RAY_EMALFORMED);
    ray_frame_reader_fini(&reader);

    assert_int_equal(ray_frame_encode_header(RAY_FRAME_PAYLOAD_SIZE_MAX, header, &err), RAY_OK);
    ray_frame_reader_init(&reader, false);
    assert_int_equal(ray_frame_reader_push(&reader, header, sizeof header, NULL), RAY_OK);
    assert_int_equal(ray_frame_reader_push(&reader, payload, RAY_FRAME_PAYLOAD_SIZE_MAX, NULL),
                     RAY_OK);
    assert_int_equal(ray_frame_reader_next(&reader, &frame, &err), RAY_OK);
    assert_int_equal(frame.payload_size, RAY_FRAME_PAYLOAD_SIZE_MAX);
    ray_frame_reader_fini(&reader);
    free(payload);
}

static void test_reader_is_bounded(void **state)
{
    struct ray_frame_reader reader;
    uint8_t *bytes = malloc(RAY_FRAME_PAYLOAD_SIZE_MAX);

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 1, RAY_FRAME_PAYLOAD_SIZE_MAX);
    ray_frame_reader_init(&reader, false);
    assert_int_equal(ray_frame_reader_push(&reader, bytes, RAY_FRAME_PAYLOAD_SIZE_MAX, NULL), 0);
    assert_int_equal(ray_frame_reader_push(&reader, bytes, RAY_FRAME_PAYLOAD_SIZE_MAX, NULL), 0);
    assert_int_equal(ray_frame_reader_push(&reader, bytes, 1, NULL), RAY_ETOOBIG);
    ray_frame_reader_fini(&reader);
    free(bytes);
}

static void test_new_session_inside_the_stream(void **state)
{
    struct ray_frame_reader reader;
    struct ray_frame frame;
    uint8_t stream[64];
    size_t size = encode(stream, "a", 1);

    (void)state;
    ray_frame_encode_sync(9, stream + size);
    ray_frame_reader_init(&reader, false);
    assert_int_equal(ray_frame_reader_push(&reader, stream, size + RAY_FRAME_SYNC_SIZE, NULL), 0);
    assert_int_equal(ray_frame_reader_next(&reader, &frame, NULL), RAY_OK);
    assert_int_equal(frame.kind, RAY_FRAME_PAYLOAD);
    assert_int_equal(ray_frame_reader_next(&reader, &frame, NULL), RAY_OK);
    assert_int_equal(frame.kind, RAY_FRAME_SYNC);
    ray_frame_reader_reset(&reader);
    assert_int_equal(ray_frame_reader_push(&reader, stream, size, NULL), RAY_OK);
    assert_int_equal(ray_frame_reader_next(&reader, &frame, NULL), RAY_EAGAIN);
    ray_frame_reader_fini(&reader);
}

/* What follows a malformed frame is searched, not dropped: the host may not say it again. */
static void test_resync_keeps_what_was_read(void **state)
{
    static const uint8_t too_big[RAY_FRAME_HEADER_SIZE] = {0xff, 0xff, 0xff, 0x7f};
    struct ray_frame_reader reader;
    struct ray_frame frame;
    uint8_t sync[RAY_FRAME_SYNC_SIZE];
    uint8_t stream[64];
    size_t size = encode(stream, "bad", 3);

    (void)state;
    ray_frame_encode_sync(11, sync);
    ray_frame_reader_init(&reader, false);
    assert_int_equal(ray_frame_reader_push(&reader, stream, size, NULL), RAY_OK);
    assert_int_equal(ray_frame_reader_push(&reader, stream, size, NULL), RAY_OK);
    assert_int_equal(ray_frame_reader_push(&reader, sync, sizeof sync, NULL), RAY_OK);
    assert_int_equal(ray_frame_reader_next(&reader, &frame, NULL), RAY_OK);
    ray_frame_reader_resync(&reader); /* the payload made no sense */
    assert_int_equal(ray_frame_reader_next(&reader, &frame, NULL), RAY_OK);
    assert_int_equal(frame.kind, RAY_FRAME_SYNC);
    assert_int_equal(ray_frame_reader_push(&reader, too_big, sizeof too_big, NULL), RAY_OK);
    assert_int_equal(ray_frame_reader_push(&reader, sync, sizeof sync, NULL), RAY_OK);
    assert_int_equal(ray_frame_reader_next(&reader, &frame, NULL), RAY_EMALFORMED);
    ray_frame_reader_resync(&reader);
    assert_int_equal(ray_frame_reader_next(&reader, &frame, NULL), RAY_OK);
    assert_int_equal(frame.kind, RAY_FRAME_SYNC);
    ray_frame_reader_fini(&reader);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct ray_frame_reader reader;
        uint8_t bytes[1000] = {0};
        int rc = RAY_OK;

        ray_frame_reader_init(&reader, true);
        ray_test_fault_arm("alloc", n);
        for (int i = 0; i < 5 && rc == RAY_OK; i++) {
            rc = ray_frame_reader_push(&reader, bytes, sizeof bytes, NULL);
        }
        ray_frame_reader_fini(&reader);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_garbage_before_sync_is_dropped),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_reader_is_bounded),
        cmocka_unit_test(test_new_session_inside_the_stream),
        cmocka_unit_test(test_resync_keeps_what_was_read),
        cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
