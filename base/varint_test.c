#include "base/size.h"
#include "base/test.h"
#include "base/varint.h"

/* Both sides of every edge between two sizes. */
static uint64_t edge(unsigned bits, bool is_above)
{
    return (bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1) + (is_above ? 1 : 0);
}

static void check_number(uint64_t value, size_t size)
{
    uint8_t bytes[RAY_VARINT_SIZE_MAX + 1];
    uint64_t out = ~value;

    memset(bytes, 0xaa, sizeof bytes);
    assert_int_equal(ray_varint_size(value), size);
    assert_ptr_equal(ray_varint_put(bytes, value), bytes + size);
    assert_int_equal(bytes[size], 0xaa);
    assert_int_equal(ray_varint_take(bytes, sizeof bytes, &out), size);
    assert_true(out == value);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *exact = ray_test_copy(bytes, cut);

        out = 42;
        assert_int_equal(ray_varint_take(exact, cut, &out), 0);
        assert_true(out == 42);
        free(exact);
    }
}

static void test_every_size_there_and_back(void **state)
{
    (void)state;
    check_number(0, 1);
    for (unsigned size = 1; size < RAY_VARINT_SIZE_MAX; size++) {
        check_number(edge(7 * size, false), size);
        check_number(edge(7 * size, true), size + 1);
    }
    check_number(edge(64, false), RAY_VARINT_SIZE_MAX);
}

static void test_known_bytes(void **state)
{
    static const uint8_t wire[] = {0xac, 0x02}; /* the example of protobuf.dev */
    uint8_t bytes[RAY_VARINT_SIZE_MAX];
    uint64_t out = 0;

    (void)state;
    assert_ptr_equal(ray_varint_put(bytes, 300), bytes + 2);
    assert_memory_equal(bytes, wire, 2);
    assert_int_equal(ray_varint_take(wire, 2, &out), 2);
    assert_int_equal(out, 300);
}

static void check_padded(uint64_t value)
{
    for (size_t size = ray_varint_size(value); size <= RAY_VARINT_SIZE_MAX; size++) {
        uint8_t bytes[RAY_VARINT_SIZE_MAX + 1];
        uint64_t out = ~value;

        memset(bytes, 0xaa, sizeof bytes);
        assert_ptr_equal(ray_varint_put_padded(bytes, value, size), bytes + size);
        assert_int_equal(bytes[size], 0xaa);
        assert_int_equal(ray_varint_take(bytes, size, &out), size);
        assert_true(out == value);
        assert_int_equal(ray_varint_take(bytes, size - 1, &out), 0);
    }
}

static void test_padding_is_part_of_the_number(void **state)
{
    static const uint64_t values[] = {0, 1, 0x7f, 0x80, 300, UINT64_C(1) << 62, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(values); i++) {
        check_padded(values[i]);
    }
}

static void test_more_than_64_bits_is_refused(void **state)
{
    uint8_t bytes[RAY_VARINT_SIZE_MAX + 1];
    uint64_t out = 42;

    (void)state;
    memset(bytes, 0xff, sizeof bytes);
    for (unsigned last = 0; last <= UINT8_MAX; last++) {
        bytes[RAY_VARINT_SIZE_MAX - 1] = (uint8_t)last;
        bytes[RAY_VARINT_SIZE_MAX] = 0; /* an eleventh byte does not help */
        assert_int_equal(ray_varint_take(bytes, sizeof bytes, &out), last <= 1 ? 10 : 0);
    }
    assert_true(out == UINT64_MAX); /* of the last that fitted */
}

static void test_short_ones_have_a_limit_of_their_own(void **state)
{
    static const uint8_t padded[] = {0x81, 0x80, 0x80, 0x00, 0x55};
    uint64_t out = 42;

    (void)state;
    assert_int_equal(ray_varint_take_short(padded, 4, 3, &out), 0);
    assert_int_equal(ray_varint_take_short(padded, 3, 4, &out), 0);
    assert_true(out == 42);
    assert_int_equal(ray_varint_take_short(padded, sizeof padded, 4, &out), 4);
    assert_true(out == 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size_there_and_back),
        cmocka_unit_test(test_known_bytes),
        cmocka_unit_test(test_padding_is_part_of_the_number),
        cmocka_unit_test(test_more_than_64_bits_is_refused),
        cmocka_unit_test(test_short_ones_have_a_limit_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
