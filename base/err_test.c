#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/err.h"
#include "base/size.h"
#include "base/test.h"

static void test_fail(void **state)
{
    struct ray_err err = {0};

    (void)state;
    (void)strcpy(err.next_step, "old");
    assert_int_equal(ray_fail(&err, RAY_EINVAL, "node '%s'", "a\nb"), RAY_EINVAL);
    assert_int_equal(err.code, RAY_EINVAL);
    assert_string_equal(err.text, "node 'a\\x0ab'");
    assert_string_equal(err.next_step, "");
    assert_int_equal(ray_fail(NULL, RAY_EIO, "nobody reads this"), RAY_EIO);
}

static void test_fail_errno(void **state)
{
    struct ray_err err = {0};

    (void)state;
    assert_int_equal(ray_fail_errno(&err, ENOENT, "open '%s'", "x"), RAY_ENOTFOUND);
    assert_string_equal(err.text, "open 'x': No such file or directory");
    assert_int_equal(ray_fail_uv(&err, UV_ECONNREFUSED, "connect"), RAY_EUNAVAILABLE);
    assert_string_equal(err.text, "connect: connection refused");
    assert_int_equal(ray_fail_uv(&err, UV_EOF, "read"), RAY_ECLOSED);
    assert_int_equal(ray_fail_errno(&err, 0, "odd"), RAY_EINTERNAL);
    assert_int_equal(ray_fail_errno(NULL, EPERM, "nobody"), RAY_EDENIED);
    assert_int_equal(ray_fail_uv(NULL, UV_EPERM, "nobody"), RAY_EDENIED);
}

static void test_wrap(void **state)
{
    struct ray_err err = {0};
    int rc = ray_fail(&err, RAY_ENOSPC, "byte %d", 7);

    (void)state;
    assert_int_equal(ray_wrap(&err, rc, "file '%s'", "y"), RAY_ENOSPC);
    assert_string_equal(err.text, "file 'y': byte 7");
    assert_int_equal(ray_next(&err, "run '%s'", "df"), RAY_ENOSPC);
    assert_string_equal(err.next_step, "run 'df'");
    assert_int_equal(ray_wrap(NULL, RAY_EIO, "x"), RAY_EIO);
    assert_int_equal(ray_next(NULL, "x"), RAY_EINTERNAL);
    /* An argument may be the error's own text. */
    (void)ray_fail(&err, RAY_EIO, "again: %s", err.text);
    assert_string_equal(err.text, "again: file 'y': byte 7");
}

static void test_long_texts_are_cut(void **state)
{
    char text[2 * RAY_ERR_TEXT_SIZE];
    struct ray_err err = {0};

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)ray_fail(&err, RAY_EIO, "%s", text);
    assert_int_equal(strlen(err.text), RAY_ERR_TEXT_SIZE - 1);
    (void)ray_wrap(&err, RAY_EIO, "%s", text);
    assert_int_equal(strlen(err.text), RAY_ERR_TEXT_SIZE - 1);
    (void)ray_fail_errno(&err, EIO, "%s", text);
    assert_int_equal(strlen(err.text), RAY_ERR_TEXT_SIZE - 1);
    (void)ray_next(&err, "%s", text);
    assert_int_equal(strlen(err.next_step), sizeof err.next_step - 1);
}

static void test_table(void **state)
{
    (void)state;
    assert_string_equal(ray_err_name(RAY_OK), "RAY_OK");
    assert_string_equal(ray_err_name(RAY_ENOQUORUM), "RAY_ENOQUORUM");
    assert_string_equal(ray_err_name(-9999), "RAY_E?");
    assert_string_equal(ray_err_text(RAY_ETIMEOUT), "timed out");
    assert_string_equal(ray_err_text(1), "unknown error");
    assert_string_equal(ray_err_api_code(RAY_OK), "ok");
    assert_string_equal(ray_err_api_code(1), "internal");
    assert_true(ray_err_is_retryable(RAY_EUNAVAILABLE));
    assert_false(ray_err_is_retryable(RAY_EINVAL));
    assert_false(ray_err_is_retryable(1));
}

#define CHECK_CODE(name, value, api, text, retryable)                                              \
    assert_int_equal(RAY_##name, (value));                                                         \
    assert_string_equal(ray_err_api_code(RAY_##name), (api));                                      \
    assert_string_equal(ray_err_api_code(ray_err_from_api_code(api)), (api));

static void test_api_codes_survive_a_round_trip(void **state)
{
    (void)state;
    RAY_ERR_MAP(CHECK_CODE)
    assert_int_equal(ray_err_from_api_code("ok"), RAY_OK);
    assert_int_equal(ray_err_from_api_code("invalid"), RAY_EINVAL);
    assert_int_equal(ray_err_from_api_code("unavailable"), RAY_EUNAVAILABLE);
    assert_int_equal(ray_err_from_api_code("nonsense"), RAY_EINTERNAL);
    /* What a program says of its own acts nobody can say for it. */
    assert_int_not_equal(ray_err_from_api_code(ray_err_api_code(RAY_ECANCELED)), RAY_ECANCELED);
}

static void test_exit_status(void **state)
{
    static const int expected[][2] = {
        {RAY_OK, 0},        {RAY_EINVAL, 1},    {RAY_EUSAGE, 2},
        {RAY_ENOTFOUND, 3}, {RAY_ETIMEOUT, 4},  {RAY_ENOQUORUM, 5},
        {RAY_EDENIED, 6},   {RAY_ECONFLICT, 7}, {RAY_EINTERNAL, 1},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(expected); i++) {
        assert_int_equal(ray_err_exit_status(expected[i][0]), expected[i][1]);
    }
}

/* Every size of output, so that no escape is ever cut in the middle. */
static void test_escape_at_every_size(void **state)
{
    static const char bytes[] = "a\n\xff\\";
    static const char full[] = "a\\x0a\\xff\\";

    (void)state;
    assert_int_equal(ray_escape(NULL, 0, bytes, 4), 0);
    for (size_t size = 1; size <= sizeof full + 1; size++) {
        char *out = malloc(size); /* exact, for ASan */
        size_t length;

        assert_non_null(out);
        length = ray_escape(out, size, bytes, 4);
        assert_int_equal(strlen(out), length);
        assert_true(length < size);
        assert_memory_equal(out, full, length);
        assert_true(length == 0 || length == 1 || length == 5 || length == 9 || length == 10);
        free(out);
    }
}

static void test_codes_of_others(void **state)
{
    (void)state;
    assert_int_equal(ray_err_checked(RAY_OK), RAY_OK);
    assert_int_equal(ray_err_checked(RAY_EINVAL), RAY_EINVAL);
    assert_int_equal(ray_err_checked(RAY_EUNSUPPORTED), RAY_EUNSUPPORTED);
    assert_int_equal(ray_err_checked(1), RAY_EMALFORMED);
    assert_int_equal(ray_err_checked(INT_MAX), RAY_EMALFORMED);
    assert_int_equal(ray_err_checked(INT_MIN), RAY_EMALFORMED);
    assert_int_equal(ray_err_checked(RAY_EUNSUPPORTED - 1), RAY_EMALFORMED);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail),
        cmocka_unit_test(test_fail_errno),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_api_codes_survive_a_round_trip),
        cmocka_unit_test(test_exit_status),
        cmocka_unit_test(test_escape_at_every_size),
        cmocka_unit_test(test_codes_of_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
