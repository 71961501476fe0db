/* The lab's configuration: identities, ranges, and its JSON form there and back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "clusterctl/lab/config.h"

static const struct lab_config sample = {
    .node_count = 3,
    .boot = LAB_BOOT_DIRECT_UEFI,
    .disk_bus = LAB_DISK_NVME,
    .dhcp = LAB_DHCP_FOREIGN,
    .accel = RAY_ACCEL_TCG,
    .image_dir = "/x/build/image",
    .memory_mib = 1024,
    .cpu_count = 1,
    .data_disk_size_bytes = UINT64_C(1) << 30,
    .seed = UINT64_MAX,
    .timeout_s = 300,
    .captures = true,
    .makes_cluster = true,
    .machine_arg_count = 2,
    .machine_args = {"-device", "virtio-rng-pci,\"quoted\""},
};

static void test_identities(void **state)
{
    struct lab_identity who;

    (void)state;
    lab_identity(0, &who);
    assert_string_equal(who.name, "node1");
    assert_string_equal(who.mac, "52:54:00:77:00:15");
    assert_string_equal(who.address, "10.77.0.21");
    assert_string_equal(who.uuid, "52415953-0077-4000-8000-000000000001");
    lab_identity(LAB_NODE_COUNT_MAX - 1, &who);
    assert_string_equal(who.name, "node16");
    assert_string_equal(who.mac, "52:54:00:77:00:24");
    assert_string_equal(who.address, "10.77.0.36");
    assert_string_equal(who.uuid, "52415953-0077-4000-8000-000000000010");
}

static void test_node_find(void **state)
{
    struct ray_err err = {0};
    size_t index = 99;

    (void)state;
    assert_int_equal(lab_node_find(&sample, "node3", &index, &err), RAY_OK);
    assert_int_equal(index, 2);
    index = 99;
    assert_int_equal(lab_node_find(&sample, "node4", &index, &err), RAY_ENOTFOUND);
    assert_int_equal(index, 99);
    assert_non_null(strstr(err.text, "node1 to node3"));
}

static void test_json_there_and_back(void **state)
{
    struct lab_config read = {0};
    char *text = NULL;

    (void)state;
    assert_int_equal(lab_config_write(&sample, &text, NULL), RAY_OK);
    assert_int_equal(lab_config_read(text, strlen(text), &read, NULL), RAY_OK);
    assert_memory_equal(&read, &sample, sizeof read);
    free(text);
}

/* Each key, renamed: the error names it. */
static void test_json_missing_key(void **state)
{
    static const char *const keys[] = {
        "nodes",     "boot",     "accel",        "image_dir",       "memory_mib",
        "cpus",      "capture",  "machine_args", "data_disk_bytes", "seed",
        "timeout_s", "disk_bus", "dhcp",         "disks_boot",      "cluster"};
    char *text = NULL;

    (void)state;
    assert_int_equal(lab_config_write(&sample, &text, NULL), RAY_OK);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(keys); i++) {
        struct lab_config read = {.node_count = 77};
        struct ray_err err = {0};
        char quoted[32];
        char *found;

        (void)snprintf(quoted, sizeof quoted, "\"%s\"", keys[i]);
        found = strstr(text, quoted);
        assert_non_null(found);
        found[1] = 'X';
        assert_int_equal(lab_config_read(text, strlen(text), &read, &err), RAY_EMALFORMED);
        assert_non_null(strstr(err.text, keys[i]));
        assert_int_equal(read.node_count, 77);
        found[1] = keys[i][0];
    }
    free(text);
}

static void test_json_malformed(void **state)
{
    static const char *const texts[] = {"", "[]", "{", "null", "{\"nodes\": -1}"};
    struct lab_config read;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(texts); i++) {
        assert_int_equal(lab_config_read(texts[i], strlen(texts[i]), &read, NULL), RAY_EMALFORMED);
    }
}

static void test_ranges(void **state)
{
    struct lab_config config = sample;

    (void)state;
    assert_int_equal(lab_config_check(&config, NULL), RAY_OK);
    config.node_count = 0;
    assert_int_equal(lab_config_check(&config, NULL), RAY_EUSAGE);
    config.node_count = LAB_NODE_COUNT_MAX;
    assert_int_equal(lab_config_check(&config, NULL), RAY_OK);
    config.node_count = LAB_NODE_COUNT_MAX + 1;
    assert_int_equal(lab_config_check(&config, NULL), RAY_EUSAGE);
    config = sample;
    config.memory_mib = LAB_MEMORY_MIB_MIN - 1;
    assert_int_equal(lab_config_check(&config, NULL), RAY_EUSAGE);
    config = sample;
    config.cpu_count = 0;
    assert_int_equal(lab_config_check(&config, NULL), RAY_EUSAGE);
    config = sample;
    config.data_disk_size_bytes = 0;
    assert_int_equal(lab_config_check(&config, NULL), RAY_EUSAGE); /* a cluster in RAM */
    config.makes_cluster = false;
    assert_int_equal(lab_config_check(&config, NULL), RAY_OK);
    config.data_disk_size_bytes = LAB_DATA_DISK_SIZE_MIN - 1;
    assert_int_equal(lab_config_check(&config, NULL), RAY_EUSAGE);
    config.data_disk_size_bytes = 0;
    config.disks_boot = true; /* which? */
    assert_int_equal(lab_config_check(&config, NULL), RAY_EUSAGE);
    config = sample;
    config.boot = LAB_BOOT_DISK; /* and no image there */
    assert_int_equal(lab_config_check(&config, NULL), RAY_EUSAGE);
    config.disks_boot = true;
    assert_int_equal(lab_config_check(&config, NULL), RAY_OK);
    config = sample;
    config.timeout_s = 0;
    assert_int_equal(lab_config_check(&config, NULL), RAY_EUSAGE);
    config = sample;
    (void)snprintf(config.image_dir, sizeof config.image_dir, "relative");
    assert_int_equal(lab_config_check(&config, NULL), RAY_EUSAGE);
}

/* Who gives addresses in each kind of lab. */
static void test_dhcp_servers(void **state)
{
    (void)state;
    assert_false(lab_dhcp_has_foreign(LAB_DHCP_OWN));
    assert_true(lab_dhcp_has_provision(LAB_DHCP_OWN));
    assert_true(lab_dhcp_has_foreign(LAB_DHCP_FOREIGN));
    assert_true(lab_dhcp_has_provision(LAB_DHCP_FOREIGN));
    assert_true(lab_dhcp_has_foreign(LAB_DHCP_BARE));
    assert_false(lab_dhcp_has_provision(LAB_DHCP_BARE));
    assert_int_equal(LAB_DHCP_COUNT, 3); /* a new kind wants its lines here */
}

static void test_names(void **state)
{
    enum lab_boot boot = LAB_BOOT_COUNT;
    enum lab_disk_bus bus = LAB_DISK_BUS_COUNT;
    enum lab_dhcp dhcp = LAB_DHCP_COUNT;
    enum ray_accel_choice choice = RAY_ACCEL_AUTO;

    (void)state;
    for (int i = 0; i < LAB_BOOT_COUNT; i++) {
        assert_int_equal(lab_boot_parse(lab_boot_name((enum lab_boot)i), &boot, NULL), RAY_OK);
        assert_int_equal(boot, i);
    }
    assert_int_equal(lab_boot_parse("floppy", &boot, NULL), RAY_EUSAGE);
    for (int i = 0; i < LAB_DISK_BUS_COUNT; i++) {
        assert_int_equal(lab_disk_bus_parse(lab_disk_bus_name((enum lab_disk_bus)i), &bus, NULL),
                         RAY_OK);
        assert_int_equal(bus, i);
    }
    assert_int_equal(lab_disk_bus_parse("scsi", &bus, NULL), RAY_EUSAGE);
    for (int i = 0; i < LAB_DHCP_COUNT; i++) {
        assert_int_equal(lab_dhcp_parse(lab_dhcp_name((enum lab_dhcp)i), &dhcp, NULL), RAY_OK);
        assert_int_equal(dhcp, i);
    }
    assert_int_equal(lab_dhcp_parse("", &dhcp, NULL), RAY_EUSAGE);
    for (int i = 0; i <= RAY_ACCEL_KVM; i++) {
        const char *name = lab_accel_name((enum ray_accel_choice)i);

        assert_int_equal(lab_accel_parse(name, &choice, NULL), RAY_OK);
        assert_int_equal(choice, i);
    }
    assert_int_equal(lab_accel_parse("", &choice, NULL), RAY_EUSAGE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identities),          cmocka_unit_test(test_node_find),
        cmocka_unit_test(test_json_there_and_back), cmocka_unit_test(test_json_missing_key),
        cmocka_unit_test(test_json_malformed),      cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_dhcp_servers),        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
