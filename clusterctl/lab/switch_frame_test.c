/* switch_frame_test.c - every split of a stream gives the same frames; limits at and beyond. */
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "clusterctl/lab/switch_frame.h"

enum { CAPACITY = RAY_SWITCH_READER_SIZE_MIN + 1000 };

static void feed(struct ray_switch_reader *reader, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t space_size;
        uint8_t *space = ray_switch_reader_space(reader, &space_size);
        size_t now_size = size < space_size ? size : space_size;

        assert_true(space_size > 0);
        memcpy(space, bytes, now_size);
        ray_switch_reader_filled(reader, now_size);
        bytes += now_size;
        size -= now_size;
    }
}

static size_t put(uint8_t *out, size_t size, uint8_t fill)
{
    ray_switch_frame_put_header(out, size);
    memset(out + 4, fill, size);
    return size + 4;
}

static void test_every_split(void **state)
{
    uint8_t *memory = malloc(CAPACITY);
    uint8_t wire[128];
    size_t wire_size = 0;
    (void)state;

    wire_size += put(wire, 14, 1);
    wire_size += put(wire + wire_size, 0, 2);
    wire_size += put(wire + wire_size, 60, 3);
    for (size_t split = 0; split <= wire_size; split++) {
        static const size_t want[] = {14, 0, 60};
        struct ray_switch_reader reader;
        size_t count = 0;

        ray_switch_reader_init(&reader, memory, CAPACITY);
        for (size_t part = 0; part < 2; part++) {
            const uint8_t *frame;
            size_t size;

            feed(&reader, part == 0 ? wire : wire + split, part == 0 ? split : wire_size - split);
            while (ray_switch_reader_next(&reader, &frame, &size, NULL) == RAY_OK) {
                assert_true(count < 3);
                assert_int_equal(size, want[count]);
                assert_true(size == 0 || frame[size - 1] == count + 1);
                count++;
            }
        }
        assert_int_equal(count, 3);
        assert_int_equal(reader.begin, reader.end);
    }
    free(memory);
}

static void test_bytewise(void **state)
{
    uint8_t *memory = malloc(RAY_SWITCH_READER_SIZE_MIN);
    uint8_t *wire = malloc(RAY_SWITCH_READER_SIZE_MIN);
    struct ray_switch_reader reader;
    size_t wire_size;
    const uint8_t *frame = NULL;
    size_t size = 0;
    (void)state;

    assert_non_null(memory);
    assert_non_null(wire);
    wire_size = put(wire, RAY_SWITCH_FRAME_SIZE_MAX, 7);
    ray_switch_reader_init(&reader, memory, RAY_SWITCH_READER_SIZE_MIN);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < wire_size; i++) {
            assert_int_equal(ray_switch_reader_next(&reader, &frame, &size, NULL), RAY_EAGAIN);
            feed(&reader, wire + i, 1);
        }
        assert_int_equal(ray_switch_reader_next(&reader, &frame, &size, NULL), RAY_OK);
        assert_int_equal(size, RAY_SWITCH_FRAME_SIZE_MAX);
        assert_memory_equal(frame, wire + 4, size);
    }
    free(wire);
    free(memory);
}

static void test_limit(void **state)
{
    static const uint8_t too_big[][4] = {
        {0, 1, 0x10, 1}, {0xff, 0xff, 0xff, 0xff}, {0x80, 0, 0, 0}};
    static const uint8_t largest[4] = {0, 1, 0x10, 0};
    uint8_t *memory = malloc(CAPACITY);
    struct ray_switch_reader reader;
    struct ray_err err = {0};
    const uint8_t *frame;
    size_t size;
    (void)state;

    for (size_t i = 0; i < sizeof too_big / sizeof too_big[0]; i++) {
        ray_switch_reader_init(&reader, memory, CAPACITY);
        feed(&reader, too_big[i], 4);
        assert_int_equal(ray_switch_reader_next(&reader, &frame, &size, &err), RAY_EMALFORMED);
        assert_non_null(strstr(err.text, "at most 69632"));
    }
    ray_switch_reader_reset(&reader);
    feed(&reader, largest, sizeof largest); /* exactly 69632: only incomplete */
    assert_int_equal(ray_switch_reader_next(&reader, &frame, &size, &err), RAY_EAGAIN);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_bytewise),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
