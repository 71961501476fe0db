/* link_item_test.c - every length that a cut or a lie can give. */
#include "base/test.h"
#include "net/link_item.h"

static void test_round_trip(void **state)
{
    uint8_t bytes[3 * RAY_LINK_ITEM_HEAD_SIZE + 3] = {0};
    const uint8_t *at = bytes;
    size_t size = sizeof bytes;
    struct ray_link_item item;

    (void)state;
    ray_link_item_head(RAY_LINK_RAFT, 0, bytes);
    ray_link_item_head(RAY_LINK_MEMBER, 2, bytes + 4);
    bytes[8] = 'a';
    bytes[9] = 'b';
    ray_link_item_head(255, 1, bytes + 10);
    bytes[14] = 'c';
    assert_int_equal(ray_link_item_next(&at, &size, &item), RAY_OK);
    assert_int_equal(item.channel, RAY_LINK_RAFT);
    assert_int_equal(item.size, 0);
    assert_int_equal(ray_link_item_next(&at, &size, &item), RAY_OK);
    assert_int_equal(item.channel, RAY_LINK_MEMBER);
    assert_memory_equal(item.bytes, "ab", 2);
    assert_int_equal(item.size, 2);
    assert_int_equal(ray_link_item_next(&at, &size, &item), RAY_OK);
    assert_int_equal(item.channel, 255);
    assert_int_equal(ray_link_item_next(&at, &size, &item), RAY_ENOTFOUND);
    assert_int_equal(size, 0);
}

static void test_cut(void **state)
{
    (void)state;
    for (size_t n = 1; n < 9; n++) {
        uint8_t *bytes = malloc(n); /* exact: ASan sees one byte too far */
        uint8_t head[RAY_LINK_ITEM_HEAD_SIZE];
        const uint8_t *at = bytes;
        size_t size = n;
        struct ray_link_item item;

        assert_non_null(bytes);
        memset(bytes, 0, n);
        ray_link_item_head(RAY_LINK_RPC, 5, head);
        memcpy(bytes, head, n < sizeof head ? n : sizeof head);
        assert_int_equal(ray_link_item_next(&at, &size, &item), RAY_EMALFORMED);
        assert_ptr_equal(at, bytes);
        free(bytes);
    }
}

static void test_limits(void **state)
{
    size_t whole = RAY_LINK_ITEM_HEAD_SIZE + RAY_LINK_MESSAGE_SIZE_MAX + 1;
    uint8_t *bytes = calloc(1, whole);
    const uint8_t *at = bytes;
    size_t size = whole - 1;
    struct ray_link_item item;

    (void)state;
    assert_non_null(bytes);
    ray_link_item_head(RAY_LINK_WATCH, RAY_LINK_MESSAGE_SIZE_MAX, bytes);
    assert_int_equal(ray_link_item_next(&at, &size, &item), RAY_OK);
    assert_int_equal(item.size, RAY_LINK_MESSAGE_SIZE_MAX);
    at = bytes;
    size = whole;
    bytes[0] = 1; /* one byte more */
    assert_int_equal(ray_link_item_next(&at, &size, &item), RAY_EMALFORMED);
    bytes[0] = 0;
    bytes[3] = 0; /* no channel */
    assert_int_equal(ray_link_item_next(&at, &size, &item), RAY_EMALFORMED);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
