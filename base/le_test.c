/* le_test.c - the order of the bytes, and that nothing beyond them is touched. */
#include <string.h>

#include "base/le.h"
#include "base/test.h"

static void test_order(void **state)
{
    static const uint8_t wanted[] = {0xee, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x81, 0xee};
    uint8_t bytes[sizeof wanted];

    (void)state;
    memset(bytes, 0xee, sizeof bytes);
    ray_store64le(bytes + 1, UINT64_C(0x8122334455667788));
    assert_memory_equal(bytes, wanted, sizeof wanted);
    assert_int_equal(ray_load64le(bytes + 1), UINT64_C(0x8122334455667788));
    assert_int_equal(ray_load32le(bytes + 1), 0x55667788);
    assert_int_equal(ray_load32le(bytes + 5), UINT32_C(0x81223344));

    memset(bytes, 0xee, sizeof bytes);
    ray_store32le(bytes + 5, UINT32_C(0x81223344));
    assert_memory_equal(bytes + 5, wanted + 5, 5);
    assert_int_equal(bytes[4], 0xee);
}

static void test_edges(void **state)
{
    static const uint64_t values[] = {0, 1, 0xff, 0x100, UINT32_MAX, UINT64_C(1) << 63, UINT64_MAX};
    uint8_t bytes[8];

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        ray_store64le(bytes, values[i]);
        assert_int_equal(ray_load64le(bytes), values[i]);
        ray_store32le(bytes, (uint32_t)values[i]);
        assert_int_equal(ray_load32le(bytes), (uint32_t)values[i]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_edges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
