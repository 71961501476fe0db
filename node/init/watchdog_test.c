#include <string.h>

#include "node/init/system/fake_root.h"
#include "node/init/watchdog.h"

static void put_watchdog(const struct fake_root *root, unsigned number, const char *identity)
{
    char path[128];

    (void)snprintf(path, sizeof path, "sys/class/watchdog/watchdog%u/identity", number);
    fake_put(root, path, identity);
    (void)snprintf(path, sizeof path, "dev/watchdog%u", number);
    fake_put(root, path, "");
}

static void test_chooses_hardware(void **state)
{
    const struct fake_root *root = *state;
    struct watchdog_choice choice;

    assert_int_equal(watchdog_choose(root->path, &choice, NULL), RAY_ENOTFOUND);
    put_watchdog(root, 0, "Software Watchdog\n");
    fake_put(root, "sys/class/watchdog/watchdogx/identity", "noise");
    assert_int_equal(watchdog_choose(root->path, &choice, NULL), RAY_OK);
    assert_false(choice.is_hardware);
    put_watchdog(root, 10, "iTCO_wdt\n");
    put_watchdog(root, 2, "i6300ESB timer\n");
    assert_int_equal(watchdog_choose(root->path, &choice, NULL), RAY_OK);
    assert_string_equal(choice.device, "watchdog2");
    assert_string_equal(choice.driver, "i6300ESB timer");
    assert_true(choice.is_hardware);
}

struct fixture {
    const char *why;
    char said[WATCHDOG_WHY_SIZE_MAX];
    int said_count;
};

static const char *check(void *arg)
{
    const struct fixture *fixture = arg;

    return fixture->why;
}

static void on_withheld(void *arg, const char *why)
{
    struct fixture *fixture = arg;

    (void)snprintf(fixture->said, sizeof fixture->said, "%s", why);
    fixture->said_count++;
}

/* A plain file stands in for the device: its bytes are the feeds. */
static void test_feeds_while_healthy(void **state)
{
    const struct fake_root *root = *state;
    struct fixture fixture = {0};
    struct ray_loop loop;
    struct watchdog watchdog;
    char text[4096];
    uint64_t fed_count;

    put_watchdog(root, 0, "test\n");
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    assert_int_equal(watchdog_init(&watchdog, &loop, check, on_withheld, &fixture, NULL), RAY_OK);
    assert_int_equal(watchdog_adopt(&watchdog, root->path, 1, true, NULL), RAY_OK);
    assert_int_equal(watchdog.timeout_s, 1);
    assert_int_equal(watchdog.fed_count, 1);
    assert_int_equal(watchdog_adopt(&watchdog, root->path, 1, true, NULL), RAY_OK); /* again */
    ray_loop_once(&loop);
    assert_int_equal(watchdog.fed_count, 2);
    fixture.why = "log-writer-hangs";
    fed_count = watchdog.fed_count;
    ray_loop_once(&loop);
    ray_loop_once(&loop);
    assert_int_equal(watchdog.fed_count, fed_count);
    assert_int_equal(fixture.said_count, 1); /* once per reason */
    assert_string_equal(fixture.said, "log-writer-hangs");
    fixture.why = NULL;
    ray_loop_once(&loop);
    assert_int_equal(watchdog.fed_count, fed_count + 1);
    assert_string_equal(watchdog.withheld, "");
    assert_int_equal(watchdog_disarm(&watchdog, NULL), RAY_OK);
    assert_int_equal(watchdog_disarm(&watchdog, NULL), RAY_OK);
    assert_int_equal(fake_get(root, "dev/watchdog0", text)[fed_count + 1], 'V');
    watchdog_fini(&watchdog);
    ray_loop_fini(&loop);
}

static void test_waits_for_hardware(void **state)
{
    const struct fake_root *root = *state;
    struct fixture fixture = {0};
    struct ray_loop loop;
    struct watchdog watchdog;

    put_watchdog(root, 0, "Software Watchdog\n");
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    assert_int_equal(watchdog_init(&watchdog, &loop, check, on_withheld, &fixture, NULL), RAY_OK);
    assert_int_equal(watchdog_adopt(&watchdog, root->path, 30, true, NULL), RAY_ENOTFOUND);
    assert_int_equal(watchdog.fd, -1);
    assert_int_equal(watchdog_adopt(&watchdog, root->path, 30, false, NULL), RAY_OK);
    watchdog_last_feed(&watchdog);
    assert_int_equal(watchdog.fed_count, 2);
    watchdog_fini(&watchdog);
    ray_loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chooses_hardware, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_feeds_while_healthy, fake_root_setup,
                                        fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_waits_for_hardware, fake_root_setup,
                                        fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
