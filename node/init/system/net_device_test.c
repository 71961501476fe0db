/* net_device_test.c - sysfs trees as the kernel makes them, and as a hostile device could. */
#include "node/init/system/fake_link.h"
#include "node/init/system/net_device.h"

#define PCI0 "pci0000:00/"
#define CARD PCI0 "0000:00:02.0/virtio0"

static struct init_link link_of(const char *name, uint32_t index)
{
    struct init_link link = {
        .index = index, .has_permanent_mac = true, .permanent_mac = {0x52, 0x54, 0, 0x77, 0, 0x15}};

    (void)snprintf(link.name, sizeof link.name, "%s", name);
    return link;
}

static void put_virtio(const struct fake_root *root)
{
    fake_device(root, PCI0 "0000:00:02.0", "pci");
    fake_device(root, CARD, "virtio");
    fake_card(root, CARD, "eth0", 2, "");
    fake_put(root, "sys/devices/" CARD "/net/eth0/addr_assign_type", "0\n");
    fake_put(root, "sys/devices/" CARD "/net/eth0/dev_port", "0\n");
}

static void test_virtio(void **state)
{
    const struct fake_root *root = *state;
    const struct init_link link = link_of("eth0", 2);
    struct init_net_device device;
    struct ray_err err = {0};

    put_virtio(root);
    assert_int_equal(init_net_device_read(root->fd, &link, &device, &err), RAY_OK);
    assert_string_equal(device.type, "");
    assert_int_equal(device.parent_count, 2);
    assert_string_equal(device.parents[0].subsystem, "virtio");
    assert_string_equal(device.parents[0].name, "virtio0");
    assert_string_equal(device.parents[1].subsystem, "pci");
    assert_string_equal(device.parents[1].name, "0000:00:02.0");
    assert_false(device.is_multi_function);
    assert_int_equal(device.port_index, 0);
    assert_string_equal(device.port_name, "");
    assert_true(device.has_permanent_mac);
    assert_memory_equal(device.permanent_mac, link.permanent_mac, INIT_MAC_SIZE);
}

static void test_permanent_mac(void **state)
{
    static const char *const types[] = {"1", "2", "3", "", "x", "-1", "99999999999"};
    const struct fake_root *root = *state;
    struct init_link link = link_of("eth0", 2);
    struct init_net_device device;

    put_virtio(root);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        fake_put(root, "sys/devices/" CARD "/net/eth0/addr_assign_type", types[i]);
        assert_int_equal(init_net_device_read(root->fd, &link, &device, NULL), RAY_OK);
        assert_false(device.has_permanent_mac); /* random, stolen, set, or not told */
    }
    fake_put(root, "sys/devices/" CARD "/net/eth0/addr_assign_type", "0\n");
    link.has_permanent_mac = false;
    assert_int_equal(init_net_device_read(root->fd, &link, &device, NULL), RAY_OK);
    assert_false(device.has_permanent_mac);
}

static void test_pci(void **state)
{
    const struct fake_root *root = *state;
    const struct init_link link = link_of("eth1", 3);
    struct init_net_device device;
    uint8_t config[64] = {[14] = 0x80};

    fake_device(root, PCI0 "0000:01:00.0", "pci");
    fake_card(root, PCI0 "0000:01:00.0", "eth1", 3, "");
    fake_put(root, "sys/devices/" PCI0 "0000:01:00.0/net/eth1/dev_port", "1\n");
    fake_put(root, "sys/devices/" PCI0 "0000:01:00.0/net/eth1/phys_port_name", "p1\n");
    fake_put_bytes(root, "sys/devices/" PCI0 "0000:01:00.0/config", config, sizeof config);
    assert_int_equal(init_net_device_read(root->fd, &link, &device, NULL), RAY_OK);
    assert_int_equal(device.parent_count, 1);
    assert_true(device.is_multi_function);
    assert_int_equal(device.port_index, 1);
    assert_string_equal(device.port_name, "p1");
    config[14] = 0x7f;
    fake_put_bytes(root, "sys/devices/" PCI0 "0000:01:00.0/config", config, sizeof config);
    assert_int_equal(init_net_device_read(root->fd, &link, &device, NULL), RAY_OK);
    assert_false(device.is_multi_function);
    config[14] = 0x80; /* as an ordinary user sees it when too little may be read */
    fake_put_bytes(root, "sys/devices/" PCI0 "0000:01:00.0/config", config, 14);
    assert_int_equal(init_net_device_read(root->fd, &link, &device, NULL), RAY_OK);
    assert_false(device.is_multi_function);
}

static void test_virtual_function(void **state)
{
    const struct fake_root *root = *state;
    const struct init_link link = link_of("eth2", 4);
    struct init_net_device device;
    uint8_t config[64] = {[14] = 0x80};

    fake_device(root, PCI0 "0000:01:00.0", "pci");
    fake_put_bytes(root, "sys/devices/" PCI0 "0000:01:00.0/config", config, sizeof config);
    fake_device(root, PCI0 "0000:01:10.2", "pci");
    fake_card(root, PCI0 "0000:01:10.2", "eth2", 4, "");
    fake_symlink(root, "../0000:01:00.0", "sys/devices/" PCI0 "0000:01:10.2/physfn");
    fake_symlink(root, "../0000:01:10.0", "sys/devices/" PCI0 "0000:01:00.0/virtfn0");
    /* Not in the list of its physical function: it stands for itself. */
    assert_int_equal(init_net_device_read(root->fd, &link, &device, NULL), RAY_OK);
    assert_string_equal(device.physical_function, "");
    assert_false(device.is_multi_function);
    fake_symlink(root, "../0000:01:10.2", "sys/devices/" PCI0 "0000:01:00.0/virtfn1");
    assert_int_equal(init_net_device_read(root->fd, &link, &device, NULL), RAY_OK);
    assert_string_equal(device.physical_function, "0000:01:00.0");
    assert_int_equal(device.virtual_index, 1);
    assert_true(device.is_multi_function);
}

static void test_usb(void **state)
{
    const struct fake_root *root = *state;
    const struct init_link link = link_of("usb0", 5);
    struct init_net_device device;

    fake_device(root, PCI0 "0000:00:14.0", "pci");
    fake_device(root, PCI0 "0000:00:14.0/usb1", "usb");
    fake_device(root, PCI0 "0000:00:14.0/usb1/1-1", "usb");
    fake_device(root, PCI0 "0000:00:14.0/usb1/1-1/1-1:1.0", "usb");
    fake_card(root, PCI0 "0000:00:14.0/usb1/1-1/1-1:1.0", "usb0", 5, "wwan");
    assert_int_equal(init_net_device_read(root->fd, &link, &device, NULL), RAY_OK);
    assert_string_equal(device.type, "wwan");
    assert_int_equal(device.parent_count, 4);
    assert_string_equal(device.parents[0].name, "1-1:1.0");
    assert_string_equal(device.parents[3].name, "0000:00:14.0");
    assert_string_equal(device.parents[3].subsystem, "pci");
}

/* No PCI above it: the walk ends at the top, or at its limit. */
static void test_platform(void **state)
{
    const struct fake_root *root = *state;
    const struct init_link link = link_of("eth0", 2);
    struct init_net_device device;
    char path[128] = "platform";
    char text[160];

    fake_device(root, "platform/board", "platform");
    fake_card(root, "platform/board", "eth0", 2, "");
    assert_int_equal(init_net_device_read(root->fd, &link, &device, NULL), RAY_OK);
    assert_int_equal(device.parent_count, 3); /* board, platform, devices */
    assert_string_equal(device.parents[2].name, "devices");
    for (size_t i = 0; i < 20; i++) {
        size_t size = strlen(path);

        (void)snprintf(path + size, sizeof path - size, "/d%zu", i);
    }
    fake_card(root, path, "deep0", 9, "");
    (void)snprintf(text, sizeof text, "sys/devices/%s", path);
    assert_true(fake_has(root, text));
    assert_int_equal(init_net_device_read(
                         root->fd, &(struct init_link){.index = 9, .name = "deep0"}, &device, NULL),
                     RAY_OK);
    assert_int_equal(device.parent_count, INIT_NET_PARENT_COUNT_MAX);
}

static void test_no_card(void **state)
{
    const struct fake_root *root = *state;
    struct init_link link = link_of("bond0", 7);
    struct init_net_device device = {.port_index = 77};
    struct ray_err err = {0};

    assert_int_equal(init_net_device_read(root->fd, &link, &device, &err), RAY_ENOTFOUND);
    fake_card(root, "", "bond0", 7, "bond");
    assert_int_equal(init_net_device_read(root->fd, &link, &device, &err), RAY_ENOTFOUND);
    put_virtio(root);
    link = link_of("eth0", 3); /* it was 2: another one by now */
    assert_int_equal(init_net_device_read(root->fd, &link, &device, &err), RAY_ENOTFOUND);
    assert_non_null(strstr(err.text, "eth0"));
    link = link_of("../x", 2);
    assert_int_equal(init_net_device_read(root->fd, &link, &device, &err), RAY_EINVAL);
    link = link_of("..", 2);
    assert_int_equal(init_net_device_read(root->fd, &link, &device, &err), RAY_EINVAL);
    link = link_of("", 2);
    assert_int_equal(init_net_device_read(root->fd, &link, &device, &err), RAY_EINVAL);
    assert_int_equal(device.port_index, 77);
}

/* Each text just as long as it may be, one longer, and without an end. */
static void test_hostile(void **state)
{
    const struct fake_root *root = *state;
    const struct init_link link = link_of("eth0", 2);
    struct init_net_device device;
    char text[8192];

    put_virtio(root);
    memset(text, 'p', sizeof text);
    fake_put_bytes(root, "sys/devices/" CARD "/net/eth0/phys_port_name", text,
                   INIT_NET_PARENT_TEXT_SIZE - 1);
    assert_int_equal(init_net_device_read(root->fd, &link, &device, NULL), RAY_OK);
    assert_int_equal(strlen(device.port_name), INIT_NET_PARENT_TEXT_SIZE - 1);
    fake_put_bytes(root, "sys/devices/" CARD "/net/eth0/phys_port_name", text,
                   INIT_NET_PARENT_TEXT_SIZE);
    assert_int_equal(init_net_device_read(root->fd, &link, &device, NULL), RAY_OK);
    assert_string_equal(device.port_name, "");
    fake_put_bytes(root, "sys/devices/" CARD "/net/eth0/phys_port_name", "p\0q", 3);
    fake_put_bytes(root, "sys/devices/" CARD "/net/eth0/dev_port", text, sizeof text);
    assert_int_equal(init_net_device_read(root->fd, &link, &device, NULL), RAY_OK);
    assert_string_equal(device.port_name, "");
    assert_int_equal(device.port_index, 0);
    /* A bus with a name of 64 bytes is none that we know. */
    text[INIT_NET_PARENT_TEXT_SIZE] = '\0';
    assert_int_equal(unlinkat(root->fd, "sys/devices/" CARD "/subsystem", 0), 0);
    fake_symlink(root, text, "sys/devices/" CARD "/subsystem");
    assert_int_equal(init_net_device_read(root->fd, &link, &device, NULL), RAY_OK);
    assert_string_equal(device.parents[0].subsystem, "");
    fake_put_bytes(root, "sys/devices/" CARD "/net/eth0/uevent", text, sizeof text);
    assert_true(init_net_device_read(root->fd, &link, &device, NULL) != RAY_OK);
    fake_put(root, "sys/devices/" CARD "/net/eth0/uevent", "IFINDEX=x\n");
    assert_true(init_net_device_read(root->fd, &link, &device, NULL) != RAY_OK);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "read"};
    const struct fake_root *root = *state;
    const struct init_link link = link_of("eth0", 2);

    put_virtio(root);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            struct init_net_device device = {.parent_count = 0};
            struct ray_err err = {0};
            int rc;

            ray_test_fault_arm(points[i], n);
            rc = init_net_device_read(root->fd, &link, &device, &err);
            /* Never half a walk: all devices above the card, or a failure. */
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
            assert_true(rc == RAY_OK ? device.parent_count == 2 : err.text[0] != '\0');
        }
    }
}

#define TEST(function)                                                                             \
    cmocka_unit_test_setup_teardown(function, fake_root_setup, fake_root_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_virtio),           TEST(test_permanent_mac), TEST(test_pci),
        TEST(test_virtual_function), TEST(test_usb),           TEST(test_platform),
        TEST(test_no_card),          TEST(test_hostile),       TEST(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
