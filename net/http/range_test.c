
#include "base/size.h"
#include "base/test.h"
#include "net/http/range.h"

static void test_ranges(void **state)
{
    static const struct {
        const char *value;
        uint64_t size;
        enum ray_http_range range;
        uint64_t first;
        uint64_t count;
    } cases[] = {
        {NULL, 10, RAY_HTTP_RANGE_WHOLE, 0, 10},
        {"", 10, RAY_HTTP_RANGE_WHOLE, 0, 10},
        {"bytes=0-0", 10, RAY_HTTP_RANGE_PART, 0, 1},
        {"bytes=0-9", 10, RAY_HTTP_RANGE_PART, 0, 10},
        {"bytes=0-10", 10, RAY_HTTP_RANGE_PART, 0, 10},
        {"bytes=9-", 10, RAY_HTTP_RANGE_PART, 9, 1},
        {"bytes=10-", 10, RAY_HTTP_RANGE_UNSATISFIABLE, 0, 10},
        {"bytes=3-5", 10, RAY_HTTP_RANGE_PART, 3, 3},
        {"Bytes= 3-5 ", 10, RAY_HTTP_RANGE_PART, 3, 3},
        {"bytes=-1", 10, RAY_HTTP_RANGE_PART, 9, 1},
        {"bytes=-10", 10, RAY_HTTP_RANGE_PART, 0, 10},
        {"bytes=-11", 10, RAY_HTTP_RANGE_PART, 0, 10},
        {"bytes=-0", 10, RAY_HTTP_RANGE_UNSATISFIABLE, 0, 10},
        {"bytes=0-", 0, RAY_HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-5", 0, RAY_HTTP_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=5-3", 10, RAY_HTTP_RANGE_WHOLE, 0, 10},
        {"bytes=-", 10, RAY_HTTP_RANGE_WHOLE, 0, 10},
        {"bytes=", 10, RAY_HTTP_RANGE_WHOLE, 0, 10},
        {"bytes=1", 10, RAY_HTTP_RANGE_WHOLE, 0, 10},
        {"bytes=1-2,4-5", 10, RAY_HTTP_RANGE_WHOLE, 0, 10},
        {"bytes=+1-2", 10, RAY_HTTP_RANGE_WHOLE, 0, 10},
        {"bytes=1-2x", 10, RAY_HTTP_RANGE_WHOLE, 0, 10},
        {"bytes=1 - 2", 10, RAY_HTTP_RANGE_WHOLE, 0, 10},
        {"lines=1-2", 10, RAY_HTTP_RANGE_WHOLE, 0, 10},
        {"bytes=0-18446744073709551615", 10, RAY_HTTP_RANGE_PART, 0, 10},
        {"bytes=2-99999999999999999999999", 10, RAY_HTTP_RANGE_PART, 2, 8},
        {"bytes=99999999999999999999999-", 10, RAY_HTTP_RANGE_UNSATISFIABLE, 0, 10},
        {"bytes=-99999999999999999999999", 10, RAY_HTTP_RANGE_PART, 0, 10},
        {"bytes=18446744073709551614-", UINT64_MAX, RAY_HTTP_RANGE_PART, UINT64_MAX - 1, 1},
        {"bytes=0-", UINT64_MAX, RAY_HTTP_RANGE_PART, 0, UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        uint64_t first = 77;
        uint64_t count = 77;
        enum ray_http_range range =
            ray_http_range_parse(cases[i].value, cases[i].size, &first, &count);
        if (range != cases[i].range || first != cases[i].first || count != cases[i].count) {
            fail_msg("'%s' of %ju: %d, %ju+%ju", cases[i].value, (uintmax_t)cases[i].size, range,
                     (uintmax_t)first, (uintmax_t)count);
        }
    }
}

static void test_etags(void **state)
{
    (void)state;
    assert_true(ray_http_etag_matches("*", "\"a\""));
    assert_true(ray_http_etag_matches("\"a\"", "\"a\""));
    assert_true(ray_http_etag_matches(" W/\"a\"", "\"a\""));
    assert_true(ray_http_etag_matches("\"b\" ,\"x,y\",\"a\"", "\"a\""));
    assert_false(ray_http_etag_matches("", "\"a\""));
    assert_false(ray_http_etag_matches("\"b\"", "\"a\""));
    assert_false(ray_http_etag_matches("\"ab\"", "\"a\""));
    assert_false(ray_http_etag_matches("a", "\"a\""));
    assert_false(ray_http_etag_matches("\"a", "\"a\""));
    assert_false(ray_http_etag_matches("\"", "\"a\""));
    assert_false(ray_http_etag_matches(",,,", "\"a\""));
    assert_false(ray_http_etag_matches("junk \"a\"", "\"a\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_etags),
    };
    return cmocka_run_group_tests_name("net/http/range", tests, NULL, NULL);
}
