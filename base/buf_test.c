#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/test.h"

static void test_append_to_the_limit(void **state)
{
    struct ray_buf buf;

    (void)state;
    ray_buf_init(&buf, 5);
    assert_string_equal(ray_buf_text(&buf), "");
    assert_int_equal(ray_buf_append(&buf, "abc", 3), RAY_OK);
    assert_int_equal(ray_buf_appendf(&buf, "%d", 42), RAY_OK);
    assert_string_equal(ray_buf_text(&buf), "abc42");
    assert_int_equal(ray_buf_append(&buf, "x", 1), RAY_ETOOBIG);
    assert_int_equal(ray_buf_appendf(&buf, "%s", "x"), RAY_ETOOBIG);
    assert_int_equal(ray_buf_append(&buf, NULL, 0), RAY_OK);
    assert_int_equal(ray_buf_reserve(&buf, SIZE_MAX), RAY_ETOOBIG);
    assert_string_equal(ray_buf_text(&buf), "abc42");
    ray_buf_consume(&buf, 0);
    ray_buf_consume(&buf, 3);
    assert_string_equal(ray_buf_text(&buf), "42");
    ray_buf_consume(&buf, 2);
    assert_string_equal(ray_buf_text(&buf), "");
    assert_int_equal(ray_buf_append(&buf, "12345", 5), RAY_OK);
    ray_buf_clear(&buf);
    assert_int_equal(buf.size, 0);
    assert_string_equal(ray_buf_text(&buf), "");
    ray_buf_fini(&buf);
    ray_buf_fini(&buf);
    ray_buf_fini(NULL);
    assert_int_equal(buf.size_max, 5);
}

static void test_zeroed_is_empty(void **state)
{
    struct ray_buf buf = {0};

    (void)state;
    assert_int_equal(ray_buf_append(&buf, "x", 1), RAY_ETOOBIG);
    ray_buf_clear(&buf);
    ray_buf_fini(&buf);
}

static void test_growth_keeps_content(void **state)
{
    struct ray_buf buf;

    (void)state;
    ray_buf_init(&buf, 100000);
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t byte = (uint8_t)(i * 7);

        assert_int_equal(ray_buf_append(&buf, &byte, 1), RAY_OK);
    }
    for (unsigned i = 0; i < 100000; i++) {
        assert_int_equal(buf.data[i], (uint8_t)(i * 7));
    }
    assert_int_equal(buf.data[100000], 0);
    assert_int_equal(ray_buf_append(&buf, "x", 1), RAY_ETOOBIG);
    ray_buf_fini(&buf);
}

static void test_alloc_faults(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct ray_buf buf;
        int rc = RAY_OK;

        ray_buf_init(&buf, 4096);
        ray_test_fault_arm("alloc", n);
        for (int i = 0; i < 1000 && rc == RAY_OK; i++) {
            size_t before = buf.size;

            rc = ray_buf_append(&buf, "abcd", 4);
            assert_int_equal(buf.size, rc == RAY_OK ? before + 4 : before);
        }
        ray_buf_fini(&buf);
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
        cmocka_unit_test(test_append_to_the_limit),
        cmocka_unit_test(test_zeroed_is_empty),
        cmocka_unit_test(test_growth_keeps_content),
        cmocka_unit_test(test_alloc_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
