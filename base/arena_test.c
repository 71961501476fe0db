#include <stdalign.h>
#include <string.h>

#include "base/arena.h"
#include "base/test.h"

static void test_arena_limit(void **state)
{
    struct ray_arena arena;
    char *text;
    uint8_t *bytes;

    (void)state;
    ray_arena_init(&arena, 10000);
    bytes = ray_arena_alloc(&arena, 0);
    assert_non_null(bytes);
    assert_int_equal((uintptr_t)bytes % alignof(max_align_t), 0);
    assert_int_equal(arena.used_size, alignof(max_align_t));
    text = ray_arena_printf(&arena, "%s-%d", "node", 7);
    assert_string_equal(text, "node-7");
    assert_string_equal(ray_arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(ray_arena_strndup(&arena, "ab", 3), "ab");
    bytes = ray_arena_alloc(&arena, 9000); /* more than a block */
    assert_non_null(bytes);
    for (size_t i = 0; i < 9000; i++) {
        assert_int_equal(bytes[i], 0);
        bytes[i] = 0xaa;
    }
    assert_string_equal(text, "node-7");
    assert_null(ray_arena_alloc(&arena, 1000));
    assert_null(ray_arena_alloc(&arena, SIZE_MAX));
    assert_null(ray_arena_alloc(&arena, SIZE_MAX - 8));
    assert_non_null(ray_arena_alloc(&arena, 10000 - arena.used_size - alignof(max_align_t)));
    ray_arena_fini(&arena);
    ray_arena_fini(&arena);
    ray_arena_fini(NULL);
}

static void test_arena_reset_zeroes_again(void **state)
{
    struct ray_arena arena;
    uint8_t *bytes;

    (void)state;
    ray_arena_init(&arena, 1 << 20);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            bytes = ray_arena_alloc(&arena, 1000);
            assert_non_null(bytes);
            for (size_t j = 0; j < 1000; j++) {
                assert_int_equal(bytes[j], 0);
            }
            memset(bytes, 0xff, 1000);
        }
        ray_arena_reset(&arena);
        assert_int_equal(arena.used_size, 0);
    }
    ray_arena_fini(&arena);
}

static void test_arena_trim(void **state)
{
    struct ray_arena arena;

    (void)state;
    ray_arena_init(&arena, 1 << 20);
    ray_arena_trim(&arena, 0);
    for (size_t size = 9984; size <= 10016; size += 16) {
        assert_non_null(ray_arena_alloc(&arena, 1));
        assert_non_null(ray_arena_alloc(&arena, size));
        ray_arena_reset(&arena);
        ray_arena_trim(&arena, 10000);
        assert_int_equal(arena.blocks != NULL, size <= 10000);
        assert_int_equal(arena.size_max, 1 << 20);
    }
    ray_arena_fini(&arena);
}

static void test_arena_alloc_faults(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct ray_arena arena;
        bool ok = true;

        ray_arena_init(&arena, 1 << 20);
        ray_test_fault_arm("alloc", n);
        for (int i = 0; i < 20; i++) {
            ok = ray_arena_alloc(&arena, 3000) != NULL && ok;
            ok = ray_arena_printf(&arena, "%d", i) != NULL && ok;
        }
        ray_arena_fini(&arena);
        if (!ray_test_fault_disarm()) {
            assert_true(ok);
            break;
        }
        assert_false(ok);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_limit),
        cmocka_unit_test(test_arena_reset_zeroes_again),
        cmocka_unit_test(test_arena_trim),
        cmocka_unit_test(test_arena_alloc_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
