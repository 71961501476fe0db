#include "base/clock.h"
#include "base/err.h"
#include "base/size.h"
#include "base/test.h"

static void test_overflow_leaves_output(void **state)
{
    size_t out = 42;

    (void)state;
    assert_true(ray_add_size(SIZE_MAX - 1, 1, &out));
    assert_true(out == SIZE_MAX);
    out = 42;
    assert_false(ray_add_size(SIZE_MAX, 1, &out));
    assert_false(ray_mul_size(SIZE_MAX / 2 + 1, 2, &out));
    assert_false(ray_align_size(SIZE_MAX - 14, 16, &out));
    assert_int_equal(out, 42);
    assert_true(ray_mul_size(SIZE_MAX, 0, &out));
    assert_int_equal(out, 0);
    assert_true(ray_align_size(SIZE_MAX - 15, 16, &out));
    assert_true(out == SIZE_MAX - 15);
    assert_true(ray_align_size(1, 16, &out));
    assert_int_equal(out, 16);
    assert_true(ray_align_size(0, 16, &out));
    assert_int_equal(out, 0);
}

static void test_parse_size(void **state)
{
    static const struct {
        const char *text;
        int rc;
        uint64_t bytes;
    } cases[] = {
        {"0", RAY_OK, 0},
        {"512", RAY_OK, 512},
        {"1K", RAY_OK, 1024},
        {"512M", RAY_OK, UINT64_C(512) << 20},
        {"3G", RAY_OK, UINT64_C(3) << 30},
        {"2T", RAY_OK, UINT64_C(2) << 40},
        {"18446744073709551615", RAY_OK, UINT64_MAX},
        {"18446744073709551616", RAY_ETOOBIG, 0},
        {"16777215T", RAY_OK, UINT64_C(16777215) << 40},
        {"16777216T", RAY_ETOOBIG, 0},
        {"", RAY_EINVAL, 0},
        {"M", RAY_EINVAL, 0},
        {"-1", RAY_EINVAL, 0},
        {"+1", RAY_EINVAL, 0},
        {" 1", RAY_EINVAL, 0},
        {"1 ", RAY_EINVAL, 0},
        {"1m", RAY_EINVAL, 0},
        {"1KB", RAY_EINVAL, 0},
        {"1KiB", RAY_OK, 1024},
        {"2GiB", RAY_OK, UINT64_C(2) << 30},
        {"2Gi", RAY_EINVAL, 0},
        {"2GiBs", RAY_EINVAL, 0},
        {"2iB", RAY_EINVAL, 0},
        {"1.5G", RAY_EINVAL, 0},
        {"0x10", RAY_EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        uint64_t bytes = 77;

        assert_int_equal(ray_parse_size(cases[i].text, &bytes), cases[i].rc);
        assert_true(bytes == (cases[i].rc == RAY_OK ? cases[i].bytes : 77));
    }
}

static void test_parse_u64(void **state)
{
    uint64_t value = 5;

    (void)state;
    assert_int_equal(ray_parse_u64("10", 1, 10, &value), RAY_OK);
    assert_int_equal(value, 10);
    assert_int_equal(ray_parse_u64("11", 1, 10, &value), RAY_EINVAL);
    assert_int_equal(ray_parse_u64("0", 1, 10, &value), RAY_EINVAL);
    assert_int_equal(ray_parse_u64("2x", 1, 10, &value), RAY_EINVAL);
    assert_int_equal(ray_parse_u64("", 0, 10, &value), RAY_EINVAL);
    assert_int_equal(ray_parse_u64("99999999999999999999", 0, UINT64_MAX, &value), RAY_EINVAL);
    assert_int_equal(value, 10);
}

static void test_format_size(void **state)
{
    char out[16];

    (void)state;
    assert_string_equal(ray_format_size(0, out), "0 B");
    assert_string_equal(ray_format_size(1023, out), "1023 B");
    assert_string_equal(ray_format_size(1024, out), "1.0 KiB");
    assert_string_equal(ray_format_size((UINT64_C(3) << 30) / 2, out), "1.5 GiB");
    assert_string_equal(ray_format_size((1 << 20) - 1, out), "1.0 MiB");
    assert_string_equal(ray_format_size(UINT64_MAX, out), "16.0 EiB");
}

static void test_clocks(void **state)
{
    uint64_t before = ray_clock_monotonic_ns();
    char out[32];

    (void)state;
    assert_true(ray_clock_boottime_ns() > 0);
    assert_true(ray_clock_monotonic_ns() >= before);
    assert_true(ray_clock_realtime_ns() > UINT64_C(1600000000) * RAY_NS_PER_S);
    assert_string_equal(ray_clock_format_utc(0, out), "1970-01-01T00:00:00.000000Z");
    assert_string_equal(ray_clock_format_utc(UINT64_C(1795225067123456789), out),
                        "2026-11-21T01:37:47.123456Z");
    assert_string_equal(ray_clock_format_utc(UINT64_MAX, out), "2554-07-21T23:34:33.709551Z");
}

#ifdef RAY_FAULTS
static void test_fault_countdown(void **state)
{
    uint64_t now = ray_clock_realtime_ns();

    (void)state;
    assert_true(ray_fault_set("clock:2,read:1+"));
    assert_true(ray_clock_realtime_ns() < now + 3600 * RAY_NS_PER_S);
    assert_false(ray_fault_has_fired());
    assert_true(ray_clock_realtime_ns() >= now + 86400 * RAY_NS_PER_S);
    assert_true(ray_fault_has_fired());
    assert_true(ray_clock_realtime_ns() < now + 3600 * RAY_NS_PER_S);
    assert_int_equal(ray_fault(RAY_FAULT_READ), EIO);
    errno = 0;
    assert_int_equal(ray_fault(RAY_FAULT_READ), EIO);
    assert_int_equal(errno, EIO);
    assert_int_equal(ray_fault(RAY_FAULT_WRITE), 0);
    assert_true(ray_fault_set(NULL));
    assert_false(ray_fault_has_fired());
    assert_int_equal(ray_fault(RAY_FAULT_READ), 0);
}

static void test_fault_text(void **state)
{
    static const char *const wrong[] = {"alloc",
                                        "alloc:",
                                        "alloc:0",
                                        "nothing:1",
                                        "alloc:1x",
                                        "alloc:+",
                                        ",alloc:1",
                                        "alloc:1,x",
                                        "alloc:-1",
                                        ":1",
                                        "alloc:123456789012345678901234"};

    (void)state;
    assert_true(ray_fault_set(""));
    assert_true(ray_fault_set("alloc:17,write:3"));
    for (size_t i = 0; i < RAY_ARRAY_COUNT(wrong); i++) {
        assert_false(ray_fault_set(wrong[i]));
    }
    assert_true(ray_fault_set(NULL));
}
#endif

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overflow_leaves_output),
        cmocka_unit_test(test_parse_size),
        cmocka_unit_test(test_parse_u64),
        cmocka_unit_test(test_format_size),
        cmocka_unit_test(test_clocks),
#ifdef RAY_FAULTS
        cmocka_unit_test(test_fault_countdown),
        cmocka_unit_test(test_fault_text),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
