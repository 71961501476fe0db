/* net_name_test.c - names from facts, as a table; and what no name is made of. */
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "node/init/system/net_name.h"

static struct init_net_device device_at(const char *bus, const char *name)
{
    struct init_net_device device = {.parent_count = 1};

    (void)snprintf(device.parents[0].subsystem, INIT_NET_PARENT_TEXT_SIZE, "%s", bus);
    (void)snprintf(device.parents[0].name, INIT_NET_PARENT_TEXT_SIZE, "%s", name);
    return device;
}

static void add_parent(struct init_net_device *device, const char *bus, const char *name)
{
    struct init_net_device above = device_at(bus, name);

    assert_true(device->parent_count < INIT_NET_PARENT_COUNT_MAX);
    device->parents[device->parent_count++] = above.parents[0];
}

static void set_mac(struct init_net_device *device)
{
    static const uint8_t mac[INIT_MAC_SIZE] = {0x52, 0x54, 0x00, 0x77, 0x00, 0x15};

    device->has_permanent_mac = true;
    memcpy(device->permanent_mac, mac, sizeof mac);
}

static void expect(const struct init_net_device *device, const char *first, const char *second)
{
    struct init_net_names names;
    size_t count = first == NULL ? 0 : second == NULL ? 1 : 2;

    init_net_names_make(device, &names);
    assert_int_equal(names.count, count);
    if (count > 0) {
        assert_string_equal(names.names[0], first);
    }
    if (count > 1) {
        assert_string_equal(names.names[1], second);
    }
}

static void test_pci(void **state)
{
    static const struct {
        const char *address;
        const char *name; /* NULL: none */
    } rows[] = {
        {"0000:00:02.0", "enp0s2"},
        {"0000:00:1f.6", "enp0s31f6"}, /* decimal, as everywhere in Linux */
        {"0000:0a:00.1", "enp10s0f1"},
        {"0001:02:00.0", "enP1p2s0"},
        {"10000:e1:00.0", "enP65536p225s0"}, /* behind VMD; 14 bytes */
        {"10000:e1:1f.7", NULL},             /* 16 bytes */
        {"0000:ff:1f.7", "enp255s31f7"},
        {"0000:00:02", NULL},
        {"0000:00:02.0x", NULL},
        {"000:00:02.0", NULL},
        {"123456789:00:02.0", NULL},
        {"0000:0:02.0", NULL},
        {"0000:00:002.0", NULL},
        {"0000:00:0G.0", NULL},
        {"0000-00:02.0", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(rows); i++) {
        struct init_net_device device = device_at("pci", rows[i].address);

        expect(&device, rows[i].name, NULL);
        set_mac(&device);
        if (rows[i].name != NULL) {
            expect(&device, rows[i].name, "enx525400770015");
        } else {
            expect(&device, "enx525400770015", NULL);
        }
    }
}

static void test_kinds(void **state)
{
    struct init_net_device device = device_at("pci", "0000:03:00.0");

    (void)state;
    set_mac(&device);
    (void)snprintf(device.type, sizeof device.type, "wlan");
    expect(&device, "wlp3s0", "wlx525400770015");
    (void)snprintf(device.type, sizeof device.type, "wwan");
    expect(&device, "wwp3s0", "wwx525400770015");
    (void)snprintf(device.type, sizeof device.type, "bond");
    expect(&device, NULL, NULL);
    (void)snprintf(device.type, sizeof device.type, "wlan0");
    expect(&device, NULL, NULL);
}

static void test_ports(void **state)
{
    struct init_net_device device = device_at("pci", "0000:01:00.0");

    (void)state;
    device.is_multi_function = true;
    expect(&device, "enp1s0f0", NULL);
    device.port_index = 1;
    expect(&device, "enp1s0f0d1", NULL);
    (void)snprintf(device.port_name, sizeof device.port_name, "p0");
    expect(&device, "enp1s0f0np0", NULL);
    device.is_multi_function = false;
    expect(&device, "enp1s0np0", NULL);
    /* The standby of a virtual machine's passed-through card (net_failover). */
    (void)snprintf(device.port_name, sizeof device.port_name, "sby");
    expect(&device, "enp1s0nsby", NULL);
    /* 15 bytes and 16. */
    (void)snprintf(device.port_name, sizeof device.port_name, "12345678");
    expect(&device, "enp1s0n12345678", NULL);
    (void)snprintf(device.port_name, sizeof device.port_name, "123456789");
    expect(&device, NULL, NULL);
    /* A text that is no name is no port's name. */
    (void)snprintf(device.port_name, sizeof device.port_name, "p%%d");
    expect(&device, "enp1s0d1", NULL);
    (void)snprintf(device.port_name, sizeof device.port_name, "../x");
    expect(&device, "enp1s0d1", NULL);
    device.port_index = UINT32_MAX; /* 17 bytes */
    expect(&device, NULL, NULL);
}

static void test_virtual_functions(void **state)
{
    struct init_net_device device = device_at("pci", "0000:01:10.2");

    (void)state;
    (void)snprintf(device.physical_function, sizeof device.physical_function, "0000:01:00.0");
    device.virtual_index = 3;
    expect(&device, "enp1s0v3", NULL);
    device.is_multi_function = true;
    expect(&device, "enp1s0f0v3", NULL);
    (void)snprintf(device.physical_function, sizeof device.physical_function, "odd");
    expect(&device, NULL, NULL);
}

static void test_virtio(void **state)
{
    struct init_net_device device = device_at("virtio", "virtio0");

    (void)state;
    add_parent(&device, "pci", "0000:00:02.0");
    expect(&device, "enp0s2", NULL);
    /* virtio without PCI: only the MAC tells. */
    device = device_at("virtio", "virtio0");
    add_parent(&device, "platform", "a000000.virtio_mmio");
    add_parent(&device, "pci", "0000:00:02.0");
    expect(&device, NULL, NULL);
    set_mac(&device);
    expect(&device, "enx525400770015", NULL);
    device.parent_count = 0;
    expect(&device, "enx525400770015", NULL);
    for (size_t i = 0; i < INIT_NET_PARENT_COUNT_MAX; i++) {
        add_parent(&device, "virtio", "virtio0");
    }
    expect(&device, "enx525400770015", NULL);
}

static void test_usb(void **state)
{
    static const struct {
        const char *interface;
        const char *name; /* NULL: none */
    } rows[] = {
        {"1-1:1.0", "enp0s20u1"},
        {"3-1.4:1.0", "enp0s20u1u4"},
        {"1-1:2.0", "enp0s20u1c2"},
        {"1-1:1.3", "enp0s20u1i3"},
        {"1-1.2:2.3", "enp0s20u1u2c2i3"}, /* 15 bytes */
        {"1-1.2.3.4:1.1", NULL},          /* 19 bytes */
        {"1-1", NULL},
        {"1-1:1", NULL},
        {"1-:1.0", NULL},
        {"-1:1.0", NULL},
        {"1-1.:1.0", NULL},
        {"1-1:1.0x", NULL},
        {"1-99999:1.0", NULL},
        {"1-1.1.1.1.1.1.1.1:1.0", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(rows); i++) {
        struct init_net_device device = device_at("usb", rows[i].interface);

        add_parent(&device, "usb", "1-1");
        add_parent(&device, "usb", "usb1");
        add_parent(&device, "pci", "0000:00:14.0");
        expect(&device, rows[i].name, NULL);
        /* An adapter keeps its name in another socket. */
        set_mac(&device);
        expect(&device, "enx525400770015", rows[i].name);
    }
}

static void test_macs(void **state)
{
    struct init_net_device device = device_at("platform", "board");

    (void)state;
    expect(&device, NULL, NULL); /* a random MAC is not given in */
    set_mac(&device);
    device.permanent_mac[0] |= 1; /* a group's */
    expect(&device, NULL, NULL);
    memset(device.permanent_mac, 0, sizeof device.permanent_mac);
    expect(&device, NULL, NULL);
    device.permanent_mac[5] = 1;
    expect(&device, "enx000000000001", NULL);
}

static void test_representors(void **state)
{
    static const char *const yes[] = {"pf0", "pf0vf3", "pf1sf88", "c1pf0vf0", "c2pf1"};
    static const char *const no[] = {"",        "p0",   "sby",  "pf",    "pfx", "pf0v",   "pf0xf1",
                                     "pf0vf1x", "cpf0", "c1p0", "pf0vf", "c1",  "pf99999"};
    struct init_net_device device = device_at("pci", "0000:01:00.0");

    (void)state;
    set_mac(&device);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(yes); i++) {
        assert_true(init_net_is_representor(yes[i]));
        (void)snprintf(device.port_name, sizeof device.port_name, "%s", yes[i]);
        expect(&device, NULL, NULL);
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(no); i++) {
        assert_false(init_net_is_representor(no[i]));
    }
}

static void test_valid(void **state)
{
    static const char *const bad[] = {"",    ".",   "..",  "a b",      "a/b",
                                      "a:b", "a%d", "a.1", "\xc3\xa4", "sixteen-letters-"};

    (void)state;
    assert_true(init_net_name_is_valid("fifteen-letters"));
    assert_true(init_net_name_is_valid("e_0"));
    for (size_t i = 0; i < RAY_ARRAY_COUNT(bad); i++) {
        assert_false(init_net_name_is_valid(bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pci),    cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_ports),  cmocka_unit_test(test_virtual_functions),
        cmocka_unit_test(test_virtio), cmocka_unit_test(test_usb),
        cmocka_unit_test(test_macs),   cmocka_unit_test(test_representors),
        cmocka_unit_test(test_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
