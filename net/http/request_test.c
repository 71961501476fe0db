#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "net/http/request.h"

/* From a copy of the exact size, so that one byte too far is seen. */
static int parse(const char *text, struct ray_http_target *out)
{
    size_t size = strlen(text);
    char *exact = malloc(size > 0 ? size : 1);
    struct ray_err err = {0};
    int rc;

    assert_non_null(exact);
    for (size_t i = 0; i < size; i++) {
        exact[i] = text[i];
    }
    rc = ray_http_target_parse(exact, size, out, &err);
    assert_int_equal(rc, err.code);
    free(exact);
    return rc;
}

static void test_paths(void **state)
{
    static const struct {
        const char *raw;
        const char *path;
    } cases[] = {
        {"/", "/"},
        {"/image/0123/rayos.efi", "/image/0123/rayos.efi"},
        {"/a%20b%2ec", "/a b.c"},
        {"/trailing/", "/trailing/"},
        {"/...", "/..."},
        {"/a?b", "/a"},
        {"/a?", "/a"},
        {"http://10.77.0.1:8080/boot", "/boot"},
        {"HTTP://x/boot?y=1", "/boot"},
        {"/plus+stays", "/plus+stays"},
        {"/\xc3\xa4", "/\xc3\xa4"},
    };
    struct ray_http_target target;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        assert_int_equal(parse(cases[i].raw, &target), RAY_OK);
        assert_string_equal(ray_http_target_path(&target), cases[i].path);
    }
}

static void test_refused(void **state)
{
    static const char *const cases[] = {
        "",        "x",         "*",      "http://", "http://host", "http://h?a",    "/..",
        "/../etc", "/a/../b",   "/a/.",   "/./a",    "/%2e%2e/a",   "/a/%2E",        "//a",
        "/a//b",   "/a%2fb",    "/a%5cb", "/a\\b",   "/a%00b",      "/a%0d%0aSet:x", "/a%7f",
        "/%",      "/%4",       "/%zz",   "/%4g",    "/a b",        "/a\tb",         "/a#b",
        "/?a=%0a", "/?a=1&a=2", "/?a&a",  "/?a=%",   "/?%00",       "host:80",       "/a/..?x",
    };
    struct ray_http_target target;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        if (parse(cases[i], &target) != RAY_EMALFORMED) {
            fail_msg("'%s' was accepted as '%s'", cases[i], ray_http_target_path(&target));
        }
        assert_string_equal(ray_http_target_path(&target), "");
        assert_int_equal(target.query_count, 0);
    }
}

static void test_query(void **state)
{
    struct ray_http_target target;

    (void)state;
    assert_int_equal(
        parse("/boot/script?mac=52-54-00-77-00-15&uuid=&flag&sum=a%2Bb+c&&%41=%3d", &target),
        RAY_OK);
    assert_string_equal(ray_http_target_query(&target, "mac"), "52-54-00-77-00-15");
    assert_string_equal(ray_http_target_query(&target, "uuid"), "");
    assert_string_equal(ray_http_target_query(&target, "flag"), "");
    assert_string_equal(ray_http_target_query(&target, "sum"), "a+b c");
    assert_string_equal(ray_http_target_query(&target, "A"), "=");
    assert_null(ray_http_target_query(&target, "platform"));
    assert_int_equal(target.query_count, 5);
    assert_int_equal(parse("/?a=b?c=d/e..", &target), RAY_OK);
    assert_string_equal(ray_http_target_query(&target, "a"), "b?c=d/e..");
}

static void test_limits(void **state)
{
    char text[RAY_HTTP_TARGET_SIZE_MAX + 2];
    struct ray_http_target target;

    (void)state;
    memset(text, 'a', sizeof(text));
    text[0] = '/';
    text[RAY_HTTP_TARGET_SIZE_MAX] = '\0';
    assert_int_equal(parse(text, &target), RAY_OK);
    assert_int_equal(strlen(ray_http_target_path(&target)), RAY_HTTP_TARGET_SIZE_MAX);
    text[RAY_HTTP_TARGET_SIZE_MAX] = 'a';
    text[RAY_HTTP_TARGET_SIZE_MAX + 1] = '\0';
    assert_int_equal(parse(text, &target), RAY_ETOOBIG);

    /* The fullest text: all of it parameters with empty values. */
    assert_int_equal(parse("/?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p", &target), RAY_OK);
    assert_int_equal(target.query_count, RAY_HTTP_QUERY_COUNT_MAX);
    assert_int_equal(parse("/?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q", &target), RAY_ETOOBIG);
    memset(text, 'a', sizeof(text));
    memcpy(text, "/?", 2);
    text[RAY_HTTP_TARGET_SIZE_MAX] = '\0';
    assert_int_equal(parse(text, &target), RAY_OK);
    memcpy(text + RAY_HTTP_TARGET_SIZE_MAX - 2, "=b", 2);
    assert_int_equal(parse(text, &target), RAY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("net/http/request", tests, NULL, NULL);
}
