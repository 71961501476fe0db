#include "base/test.h"
#include "clusterctl/verbs/since.h"

#define NOW_US UINT64_C(1795257003000000) /* 2026-11-21 10:30:03Z */

static void check(const char *text, uint64_t revision, uint64_t time_us)
{
    struct since since = {.revision = 99};

    assert_int_equal(since_parse(text, NOW_US, &since, NULL), RAY_OK);
    assert_int_equal(since.revision, revision);
    assert_int_equal(since.time_us, time_us);
}

static void test_revisions_and_times(void **state)
{
    (void)state;
    check("0", 0, 0);
    check("1234", 1234, 0);
    check("3s", 0, NOW_US - 3000000);
    check("10m", 0, NOW_US - 600000000);
    check("2h", 0, NOW_US - UINT64_C(7200000000));
    check("1d", 0, NOW_US - UINT64_C(86400000000));
    check("4000000000d", 0, 1); /* before everything */
    check("2026-11-21 10:30:03Z", 0, NOW_US);
    check("2026-11-21T10:30:03", 0, NOW_US);
    check("2026-11-21 10:30", 0, NOW_US - 3000000);
    check("2026-11-21", 0, NOW_US - UINT64_C(37803000000));
}

static void test_what_is_none(void **state)
{
    static const char *const texts[] = {"",
                                        "-1",
                                        "m",
                                        "10x",
                                        "10 m",
                                        "2026-13-01",
                                        "2026-11-21 10:30:03+01:00",
                                        "yesterday",
                                        "99999999999999999999",
                                        "4294967296s"};
    struct since since = {.revision = 99};
    struct ray_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(since_parse(texts[i], NOW_US, &since, &err), RAY_EUSAGE);
        assert_int_equal(since.revision, 99);
    }
}

static void test_takes(void **state)
{
    (void)state;
    assert_true(since_takes(&(struct since){.revision = 7}, 7, 0));
    assert_false(since_takes(&(struct since){.revision = 7}, 6, NOW_US));
    assert_true(since_takes(&(struct since){.time_us = 7}, 0, 7));
    assert_false(since_takes(&(struct since){.time_us = 7}, 9, 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_revisions_and_times),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
