#include <string.h>

#include "base/test.h"
#include "net/http/head.h"

static void add(struct ray_http_head *head, const char *name, const char *value)
{
    assert_int_equal(ray_http_head_append(head, name, strlen(name)), RAY_OK);
    assert_int_equal(ray_http_head_end_name(head), RAY_OK);
    assert_int_equal(ray_http_head_append(head, value, strlen(value)), RAY_OK);
    assert_int_equal(ray_http_head_end_value(head), RAY_OK);
}

static void test_texts(void **state)
{
    struct ray_http_head head;

    (void)state;
    ray_http_head_init(&head, 100);
    assert_string_equal(ray_http_head_target(&head), "");
    assert_null(ray_http_head_find(&head, "a"));
    assert_int_equal(ray_http_head_append(&head, "/a", 2), RAY_OK);
    assert_int_equal(ray_http_head_append(&head, "b", 1), RAY_OK);
    assert_int_equal(ray_http_head_end_target(&head), RAY_OK);
    add(&head, "Host", "x:80");
    add(&head, "Tab", "a\tb \t ");
    add(&head, "Empty", "");
    add(&head, "HOST", "y");
    assert_string_equal(ray_http_head_target(&head), "/ab");
    assert_string_equal(ray_http_head_find(&head, "host"), "x:80");
    assert_string_equal(ray_http_head_find(&head, "tab"), "a b");
    assert_string_equal(ray_http_head_find(&head, "empty"), "");
    assert_int_equal(ray_http_head_count(&head, "host"), 2);
    assert_int_equal(ray_http_head_count(&head, "hos"), 0);
    ray_http_head_clear(&head);
    assert_null(ray_http_head_find(&head, "host"));
    add(&head, "A", "b"); /* a head without a target */
    assert_string_equal(ray_http_head_find(&head, "a"), "b");
    ray_http_head_fini(&head);
}

static void test_control_bytes(void **state)
{
    static const char bad[] = {'\0', '\r', '\n', 0x1f, 0x7f};
    struct ray_http_head head;

    (void)state;
    for (size_t i = 0; i < sizeof bad; i++) {
        ray_http_head_init(&head, 100);
        assert_int_equal(ray_http_head_append(&head, "a", 1), RAY_OK);
        assert_int_equal(ray_http_head_end_name(&head), RAY_OK);
        assert_int_equal(ray_http_head_append(&head, &bad[i], 1), RAY_OK);
        assert_int_equal(ray_http_head_end_value(&head), RAY_EMALFORMED);
        assert_int_equal(head.count, 0);
        ray_http_head_fini(&head);
    }
}

static void test_limits(void **state)
{
    static const char many[1000] = {'x'};
    struct ray_http_head head;

    (void)state;
    ray_http_head_init(&head, (size_t)2 * RAY_HTTP_HEADER_COUNT_MAX);
    for (int i = 0; i < RAY_HTTP_HEADER_COUNT_MAX; i++) {
        add(&head, "n", "v");
    }
    assert_int_equal(ray_http_head_end_name(&head), RAY_ECONFLICT);
    ray_http_head_fini(&head);

    ray_http_head_init(&head, 8);
    assert_int_equal(ray_http_head_append(&head, "x", 1), RAY_OK);
    assert_true(head.text.size_max < sizeof many);
    assert_int_equal(ray_http_head_append(&head, many, head.text.size_max), RAY_ETOOBIG);
    ray_http_head_fini(&head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_control_bytes),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests_name("net/http/head", tests, NULL, NULL);
}
