#include "node/init/system/fake_root.h"
#include "node/init/system/rtc_clock.h"

#define BUILD INT64_C(1780000000)
#define YEAR (INT64_C(366) * 24 * 3600)

static void check(int64_t system_s, int64_t rtc_s, int64_t build_s, int64_t last_seen_s,
                  enum init_clock_source source, int64_t time_s)
{
    struct init_clock_inputs inputs = {system_s, rtc_s, build_s, last_seen_s};
    struct init_clock_decision decision = init_clock_decide(&inputs);

    assert_int_equal(decision.source, source);
    assert_int_equal(decision.time_s, time_s);
}

static void test_decide(void **state)
{
    (void)state;
    /* The kernel has set the time from the hardware clock: sane, kept. */
    check(BUILD + 5, BUILD + 5, BUILD, 0, INIT_CLOCK_KEPT, BUILD + 5);
    check(BUILD, 0, BUILD, 0, INIT_CLOCK_KEPT, BUILD);
    /* One second before the floor is too early. */
    check(BUILD - 1, 0, BUILD, 0, INIT_CLOCK_FROM_FLOOR, BUILD);
    check(BUILD - 1, BUILD + 9, BUILD, 0, INIT_CLOCK_FROM_RTC, BUILD + 9);
    /* Flat battery: 1970, or 2000. */
    check(12, 12, BUILD, 0, INIT_CLOCK_FROM_FLOOR, BUILD);
    check(12, 946684800, BUILD, BUILD + 777, INIT_CLOCK_FROM_FLOOR, BUILD + 777);
    /* The last-seen time raises the floor, also for the hardware clock. */
    check(BUILD + 10, BUILD + 20, BUILD, BUILD + 30, INIT_CLOCK_FROM_FLOOR, BUILD + 30);
    check(BUILD + 10, BUILD + 40, BUILD, BUILD + 30, INIT_CLOCK_FROM_RTC, BUILD + 40);
    check(BUILD + 30, 0, BUILD, BUILD + 30, INIT_CLOCK_KEPT, BUILD + 30);
    /* The far future is as wrong as the past, from whichever source. */
    check(BUILD + 20 * YEAR, 0, BUILD, 0, INIT_CLOCK_KEPT, BUILD + 20 * YEAR);
    check(BUILD + 20 * YEAR + 1, 0, BUILD, 0, INIT_CLOCK_FROM_FLOOR, BUILD);
    check(INT64_MAX, INT64_MAX, BUILD, 0, INIT_CLOCK_FROM_FLOOR, BUILD);
    check(BUILD + 5, 0, BUILD, BUILD + 21 * YEAR, INIT_CLOCK_KEPT, BUILD + 5);
    check(BUILD + 5, 0, BUILD, INT64_MAX, INIT_CLOCK_KEPT, BUILD + 5);
    /* Without a build time there is still a floor. */
    check(0, 0, 0, 0, INIT_CLOCK_FROM_FLOOR, 1735689600);
    check(-5, -5, 0, -5, INIT_CLOCK_FROM_FLOOR, 1735689600);
}

static void test_setup(void **state)
{
    struct fake_root *root = *state;
    struct init_clock_decision decision;
    struct ray_err err = {0};
    char text[4096];
    int64_t rtc_s = 7;

    /* The machine's own time is sane, so nothing is set. */
    assert_int_equal(init_clock_setup("/nowhere", -1, 0, &decision, &err), RAY_OK);
    assert_int_equal(decision.source, INIT_CLOCK_KEPT);
    fake_put(root, INIT_CLOCK_LAST_SEEN_FILE, "1780000000 trailing");
    assert_int_equal(init_clock_setup("/nowhere", root->fd, -4, &decision, &err), RAY_OK);
    assert_int_equal(decision.source, INIT_CLOCK_KEPT);
    assert_int_equal(init_clock_save_seen(root->fd, &err), RAY_OK);
    assert_true(strtoll(fake_get(root, INIT_CLOCK_LAST_SEEN_FILE, text), NULL, 10) > 1735689600);
    assert_int_equal(init_clock_setup("/nowhere", root->fd, 0, &decision, &err), RAY_OK);
    assert_int_equal(decision.source, INIT_CLOCK_KEPT);
    assert_int_equal(init_clock_read_rtc("/nowhere", &rtc_s, &err), RAY_ENOTFOUND);
    assert_int_equal(init_clock_write_rtc("/nowhere", &err), RAY_ENOTFOUND);
    /* Something that opens, but is no hardware clock. */
    assert_true(init_clock_read_rtc("/dev/null", &rtc_s, &err) != RAY_OK);
    assert_true(init_clock_write_rtc("/dev/null", &err) != RAY_OK);
    assert_int_equal(rtc_s, 7);
}

static void test_clock_source(void **state)
{
    static const char path[] = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    struct fake_root *root = *state;
    bool is_fit = true;
    char name[32];

    init_clock_source_name(root->fd, name, &is_fit);
    assert_string_equal(name, "unknown");
    assert_false(is_fit);
    fake_put(root, path, "tsc\n");
    init_clock_source_name(root->fd, name, &is_fit);
    assert_string_equal(name, "tsc");
    assert_true(is_fit);
    fake_put(root, path, "acpi_pm\n");
    init_clock_source_name(root->fd, name, &is_fit);
    assert_string_equal(name, "acpi_pm");
    assert_false(is_fit);
    fake_put(root, path, "a-name-that-is-longer-than-any-that-there-could-be\n");
    init_clock_source_name(root->fd, name, &is_fit);
    assert_string_equal(name, "unknown");
    assert_false(is_fit);
}

static void test_save_faults(void **state)
{
    struct fake_root *root = *state;

    fake_put(root, INIT_CLOCK_LAST_SEEN_FILE, "1780000000\n");
    for (unsigned n = 1;; n++) {
        struct ray_err err = {0};
        char text[4096];
        int rc;

        ray_test_fault_arm("write", n);
        rc = init_clock_save_seen(root->fd, &err);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOSPC);
        assert_string_equal(fake_get(root, INIT_CLOCK_LAST_SEEN_FILE, text), "1780000000\n");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide),
        cmocka_unit_test_setup_teardown(test_setup, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_clock_source, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_save_faults, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
