#include <string.h>

#include "base/err.h"
#include "base/test.h"
#include "provisioning/machines/arguments.h"

static void test_allowed(void **state)
{
    static const char *const good[] = {
        "",
        "console=tty0",
        "console=tty0 console=ttyS1,115200n8 console=hvc0 console=ttyAMA0,9600",
        "console=ttyUSB3",
        "rayos.loglevel=debug",
        "rayos.watchdog=4",
        "rayos.watchdog=600",
        "rayos.mode=live",
        "rayos.mode=recovery",
        "rayos.cores=full",
        "net.ifnames=0 panic=0 loglevel=7",
        "panic=3600",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(provision_arguments_check(good[i], NULL), RAY_OK);
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        " ",
        " panic=1",
        "panic=1 ",
        "panic=1  loglevel=3",
        "panic=1\tloglevel=3",
        "panic=1\nloglevel=3",
        "panic",
        "panic=",
        "panic=-1",
        "panic=+1",
        "panic=010",
        "panic=0x10",
        "panic=3601",
        "panic=18446744073709551616",
        "panic=1 panic=2",
        "loglevel=8",
        "net.ifnames=2",
        "net.ifnames=00",
        "rayos.mode=install",
        "rayos.mode=Live",
        "rayos.watchdog=3",
        "rayos.watchdog=601",
        "rayos.loglevel=all",
        "rayos.cores=1",
        "console=tty1",
        "console=ttyS",
        "console=ttyS10",
        "console=ttyS0,",
        "console=ttyS0,115200x",
        "console=ttyS0,115200n8n8",
        "console=ttyS0,99999999",
        "console=ttyS0,115200 root=/dev/sda",
        "init=/bin/sh",
        "rayos.install=1",
        "rayos.token=abc",
        "PANIC=1",
        "panic=1;reboot",
        "console=${net0/mac}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ray_err err = {0};

        if (provision_arguments_check(bad[i], &err) != RAY_EINVAL) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_true(err.text[0] != '\0');
    }
}

static void test_limits(void **state)
{
    char text[PROVISION_ARGUMENTS_SIZE + 64] = "";

    (void)state;
    for (int i = 0; i < PROVISION_ARGUMENTS_COUNT_MAX; i++) {
        (void)snprintf(text + strlen(text), 32, "%sconsole=tty0", i > 0 ? " " : "");
    }
    assert_int_equal(provision_arguments_check(text, NULL), RAY_OK);
    (void)snprintf(text + strlen(text), 32, " console=tty0");
    assert_int_equal(provision_arguments_check(text, NULL), RAY_EINVAL);
    memset(text, 'x', 100); /* one word, too long for its own sake */
    text[100] = '\0';
    assert_int_equal(provision_arguments_check(text, NULL), RAY_EINVAL);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(provision_arguments_check(text, NULL), RAY_EINVAL);
}

/* The table is what help and reference are made from. */
static void test_table(void **state)
{
    size_t count = 0;

    (void)state;
    while (provision_arguments_key(count) != NULL) {
        const char *key = provision_arguments_key(count);

        assert_int_equal(key[strlen(key) - 1], '=');
        assert_non_null(provision_arguments_help(count));
        assert_null(strstr(provision_arguments_help(count), "install"));
        count++;
    }
    assert_int_equal(count, 8);
    assert_null(provision_arguments_help(count));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
