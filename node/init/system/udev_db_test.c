/* udev_db_test.c - devices as QEMU and ordinary machines show them. */
#include "node/init/system/fake_root.h"
#include "node/init/system/udev_db.h"

/* The texts are from /sys/class/input of real machines. */
static const struct {
    const char *name;
    struct init_input_caps caps;
    struct init_input_class expected;
} devices[] = {
    {"AT keyboard",
     {.ev = "120013", .key = "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe"},
     {.is_keyboard = true, .is_key = true}},
    {"power button", {.ev = "3", .key = "10000000000000 0"}, {.is_key = true}},
    {"PS/2 mouse",
     {.ev = "7", .key = "1f0000 0 0 0 0", .rel = "103", .properties = "1"},
     {.is_mouse = true}},
    {"QEMU USB tablet",
     {.ev = "1f", .key = "70000 0 0 0 0", .rel = "900", .abs = "3"},
     {.is_mouse = true}},
    {"QEMU virtio tablet",
     {.ev = "f", .key = "70000 0 0 0 0", .rel = "100", .abs = "3"},
     {.is_mouse = true}},
    {"touchpad",
     {.ev = "b", .key = "e520 10000 0 0 0 0", .abs = "2e0800000000003", .properties = "5"},
     {.is_touchpad = true}},
    {"touchscreen",
     {.ev = "b", .key = "400 0 0 0 0 0", .abs = "265800000000003", .properties = "2"},
     {.is_touchscreen = true}},
    {"pen tablet",
     {.ev = "1f", .key = "1c03 0 0 0 0 0", .abs = "1000003", .properties = "1"},
     {.is_tablet = true}},
    {"trackpoint",
     {.ev = "7", .key = "70000 0 0 0 0", .rel = "3", .properties = "21"},
     {.is_mouse = true, .is_pointing_stick = true}},
    {"game pad",
     {.ev = "1b", .key = "7cdb000000000000 0 0 0 0", .abs = "3003f"},
     {.is_joystick = true}},
    {"accelerometer", {.ev = "9", .abs = "7", .properties = "40"}, {.is_accelerometer = true}},
    {"lid switch", {.ev = "21", .sw = "1"}, {.is_switch = true}},
    {"nothing", {.ev = NULL}, {.is_key = false}},
};

static void test_classify(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        struct init_input_class found;
        struct ray_err err = {0};

        assert_int_equal(init_input_classify(&devices[i].caps, &found, &err), RAY_OK);
        if (memcmp(&found, &devices[i].expected, sizeof found) != 0) {
            fail_msg("%s", devices[i].name);
        }
    }
}

static void test_malformed(void **state)
{
    static const char *const bad[] = {"x", "1,2", "11111111111111111", "1\n",
                                      "1 1 1 1 1 1 1 1 1 1 1 1 1"};
    struct init_input_class found = {.is_mouse = true};
    struct ray_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct init_input_caps caps = {.key = bad[i]};

        assert_int_equal(init_input_classify(&caps, &found, &err), RAY_EMALFORMED);
        assert_true(found.is_mouse);
    }
    assert_int_equal(init_input_classify(
                         &(struct init_input_caps){.key = "1 1 1 1 1 1 1 1 1 1 1 1"}, &found, &err),
                     RAY_OK);
}

static void put_keyboard(const struct fake_root *root, const char *folder)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/dev", folder);
    fake_put(root, path, "13:64\n");
    (void)snprintf(path, sizeof path, "%s/device/capabilities/ev", folder);
    fake_put(root, path, "120013\n");
    (void)snprintf(path, sizeof path, "%s/device/capabilities/key", folder);
    fake_put(root, path, "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe\n");
}

static void test_handle(void **state)
{
    struct init_uevent event = {.action = "add",
                                .devpath = "/devices/platform/i8042/input/input0/event0",
                                .subsystem = "input",
                                .major = 13,
                                .minor = 64};
    struct fake_root *root = *state;
    struct ray_err err = {0};
    char text[4096];

    put_keyboard(root, "sys/devices/platform/i8042/input/input0/event0");
    assert_int_equal(init_udev_db_handle(root->fd, &event, &err), RAY_OK);
    (void)fake_get(root, "run/udev/data/c13:64", text);
    assert_memory_equal(text, "I:", 2);
    assert_non_null(strstr(text, "\nE:ID_INPUT=1\n"));
    assert_non_null(strstr(text, "\nE:ID_INPUT_KEYBOARD=1\n"));
    assert_null(strstr(text, "MOUSE"));
    event.action = "remove";
    assert_int_equal(init_udev_db_handle(root->fd, &event, &err), RAY_OK);
    assert_false(fake_has(root, "run/udev/data/c13:64"));
    assert_int_equal(init_udev_db_handle(root->fd, &event, &err), RAY_OK);
    /* Others are not ours. */
    event.action = "add";
    event.subsystem = "block";
    assert_int_equal(init_udev_db_handle(root->fd, &event, &err), RAY_OK);
    event.subsystem = "input";
    event.devpath = "/devices/platform/i8042/input/input0"; /* the device, not its event node */
    assert_int_equal(init_udev_db_handle(root->fd, &event, &err), RAY_OK);
    assert_false(fake_has(root, "run/udev/data/c13:64"));
    event.devpath = "/devices/../../etc/event0";
    assert_int_equal(init_udev_db_handle(root->fd, &event, &err), RAY_EMALFORMED);
    event.devpath = "/devices/gone/event7";
    assert_int_equal(init_udev_db_handle(root->fd, &event, &err), RAY_ENOTFOUND);
}

static void test_scan(void **state)
{
    struct fake_root *root = *state;
    struct ray_err err = {0};
    size_t count = 9;

    assert_int_equal(init_udev_db_scan(root->fd, NULL, &count, &err), RAY_OK);
    assert_int_equal(count, 0);
    put_keyboard(root, "sys/class/input/event0");
    fake_put(root, "sys/class/input/event1/dev", "nonsense\n");
    fake_put(root, "sys/class/input/input0/dev", "13:1\n");
    assert_int_equal(init_udev_db_scan(root->fd, NULL, &count, &err), RAY_OK);
    assert_int_equal(count, 1);
    assert_true(fake_has(root, "run/udev/data/c13:64"));
}

static void test_faults(void **state)
{
    static const char *const points[] = {"open", "alloc", "write", "read"};
    struct fake_root *root = *state;

    put_keyboard(root, "sys/class/input/event0");
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            struct ray_err err = {0};
            size_t count = 0;
            int rc;

            ray_test_fault_arm(points[i], n);
            rc = init_udev_db_scan(root->fd, NULL, &count, &err);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                assert_int_equal(count, 1);
                break;
            }
            assert_true(rc == RAY_OK || err.text[0] != '\0');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classify),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test_setup_teardown(test_handle, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_scan, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_faults, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
