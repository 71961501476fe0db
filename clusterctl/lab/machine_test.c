/* The QEMU command line, checked piece by piece for each boot path. */
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/size.h"
#include "base/test.h"
#include "clusterctl/lab/machine.h"

static const char *const tcg_args[] = {"-accel", "tcg,thread=multi", "-cpu", "max", NULL};

static struct lab_config sample_config(enum lab_boot boot)
{
    return (struct lab_config){
        .node_count = 3,
        .boot = boot,
        .image_dir = "/x, y/image",
        .memory_mib = 768,
        .cpu_count = 2,
        .data_disk_size_bytes = LAB_DATA_DISK_SIZE_MIN,
    };
}

/* The value after the first `flag` whose value holds `part`; NULL: none. */
static const char *value_with(const struct lab_argv *argv, const char *flag, const char *part)
{
    for (size_t i = 0; i + 1 < argv->count; i++) {
        if (strcmp(argv->items[i], flag) == 0 && strstr(argv->items[i + 1], part) != NULL) {
            return argv->items[i + 1];
        }
    }
    return NULL;
}

/* The device with `part` is `what`, too. */
static void expect_device(const struct lab_argv *argv, const char *part, const char *what)
{
    const char *device = value_with(argv, "-device", part);

    assert_non_null(device);
    assert_non_null(strstr(device, what));
}

static void test_pxe(void **state)
{
    static const char *const credentials[] = {"rayos.name", "with,comma"};
    struct lab_config config = sample_config(LAB_BOOT_PXE_UEFI);
    struct lab_machine_spec spec = {
        .config = &config,
        .index = 1,
        .accel_args = tcg_args,
        .credentials = credentials,
        .credential_count = RAY_ARRAY_COUNT(credentials),
    };
    struct lab_argv argv;

    (void)state;
    lab_argv_init(&argv);
    assert_int_equal(lab_machine_argv(&spec, &argv, NULL), RAY_OK);
    assert_string_equal(argv.items[0], LAB_QEMU_PATH);
    assert_null(argv.items[argv.count]);
    assert_string_equal(value_with(&argv, "-name", ""), "node2");
    assert_non_null(value_with(&argv, "-machine", "pflash0=code,pflash1=vars"));
    assert_string_equal(value_with(&argv, "-accel", ""), "tcg,thread=multi");
    assert_string_equal(value_with(&argv, "-cpu", ""), "max");
    assert_string_equal(value_with(&argv, "-m", ""), "768");
    assert_string_equal(value_with(&argv, "-smp", ""), "2");
    assert_non_null(value_with(&argv, "-netdev", "path=../../ports/node2.sock,reconnect-ms=300"));
    assert_non_null(value_with(&argv, "-device", "mac=52:54:00:77:00:16"));
    assert_non_null(value_with(&argv, "-device", "bootindex=1"));
    assert_non_null(value_with(&argv, "-device", "i6300esb"));
    assert_non_null(value_with(&argv, "-device", "name=rayos.marker"));
    assert_non_null(value_with(&argv, "-device", "name=rayos.test"));
    assert_non_null(value_with(&argv, "-blockdev", "filename=data.img"));
    assert_non_null(value_with(&argv, "-smbios", "type=11,path=smbios/rayos.name"));
    assert_non_null(value_with(&argv, "-smbios", "type=11,path=smbios/with,,comma"));
    assert_null(value_with(&argv, "-kernel", ""));
    lab_argv_fini(&argv);
}

static void test_direct(void **state)
{
    struct lab_config config = sample_config(LAB_BOOT_DIRECT);
    struct lab_machine_spec spec = {
        .config = &config,
        .accel_args = tcg_args,
        .kernel_cmdline = "console=ttyS0 a=b,c",
    };
    struct lab_argv argv;

    (void)state;
    config.data_disk_size_bytes = 0;
    lab_argv_init(&argv);
    assert_int_equal(lab_machine_argv(&spec, &argv, NULL), RAY_OK);
    assert_string_equal(value_with(&argv, "-kernel", ""), "/x, y/image/vmlinuz");
    assert_string_equal(value_with(&argv, "-initrd", ""), "/x, y/image/initrd");
    assert_string_equal(value_with(&argv, "-append", ""), "console=ttyS0 a=b,c");
    assert_null(value_with(&argv, "-machine", "pflash"));
    assert_null(value_with(&argv, "-device", "bootindex"));
    assert_null(value_with(&argv, "-device", "virtio-blk-pci"));
    assert_null(value_with(&argv, "-smbios", ""));
    lab_argv_fini(&argv);
}

static void test_direct_uefi(void **state)
{
    struct lab_config config = sample_config(LAB_BOOT_DIRECT_UEFI);
    struct lab_machine_spec spec = {
        .config = &config, .accel_args = tcg_args, .kernel_cmdline = ""};
    struct lab_argv argv;

    (void)state;
    lab_argv_init(&argv);
    assert_int_equal(lab_machine_argv(&spec, &argv, NULL), RAY_OK);
    assert_non_null(value_with(&argv, "-machine", "pflash0=code"));
    assert_non_null(value_with(&argv, "-kernel", "vmlinuz"));
    lab_argv_fini(&argv);
}

/* Each way from power-on to the kernel names the device to start from, and at most one that
 * the firmware goes on with. */
static void test_boot_devices(void **state)
{
    static const struct {
        enum lab_boot boot;
        enum lab_disk_bus bus;
        bool disks_boot;
        const char *first;  /* part of the device with bootindex=1 */
        const char *second; /* NULL: none */
    } cases[] = {
        {LAB_BOOT_PXE_UEFI, LAB_DISK_NVME, false, "virtio-net-pci", NULL},
        {LAB_BOOT_PXE_UEFI, LAB_DISK_NVME, true, "virtio-net-pci", "nvme,"},
        {LAB_BOOT_PXE_BIOS, LAB_DISK_VIRTIO, false, "virtio-net-pci", NULL},
        {LAB_BOOT_HTTP_UEFI, LAB_DISK_VIRTIO, false, "virtio-net-pci", NULL},
        {LAB_BOOT_DISK, LAB_DISK_VIRTIO, true, "virtio-blk-pci", "virtio-net-pci"},
        {LAB_BOOT_DISK, LAB_DISK_NVME, true, "nvme,", "virtio-net-pci"},
        {LAB_BOOT_DISK, LAB_DISK_AHCI, true, "ide-hd,", "virtio-net-pci"},
        {LAB_BOOT_DISK, LAB_DISK_USB, true, "usb-storage,", "virtio-net-pci"},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        struct lab_config config = sample_config(cases[i].boot);
        struct lab_machine_spec spec = {.config = &config, .accel_args = tcg_args};
        struct lab_argv argv;
        size_t boot_count = 0;
        const char *nic;

        config.disk_bus = cases[i].bus;
        config.disks_boot = cases[i].disks_boot;
        lab_argv_init(&argv);
        assert_int_equal(lab_machine_argv(&spec, &argv, NULL), RAY_OK);
        for (size_t j = 0; j < argv.count; j++) {
            boot_count += strstr(argv.items[j], "bootindex=") != NULL ? 1 : 0;
        }
        assert_int_equal(boot_count, cases[i].second != NULL ? 2 : 1);
        expect_device(&argv, "bootindex=1", cases[i].first);
        if (cases[i].second != NULL) {
            expect_device(&argv, "bootindex=2", cases[i].second);
        }
        assert_null(value_with(&argv, "-kernel", ""));
        nic = value_with(&argv, "-device", "virtio-net-pci");
        assert_non_null(nic);
        assert_int_equal(strstr(nic, "romfile=") == NULL, cases[i].boot == LAB_BOOT_PXE_BIOS);
        assert_int_equal(value_with(&argv, "-machine", "pflash") == NULL,
                         cases[i].boot == LAB_BOOT_PXE_BIOS);
        assert_int_equal(value_with(&argv, "-fw_cfg", "IPv4PXESupport") != NULL,
                         cases[i].boot == LAB_BOOT_HTTP_UEFI);
        lab_argv_fini(&argv);
    }
}

/* Machine arguments come last, so that they win; and they do not move the other devices. */
static void test_machine_args(void **state)
{
    struct lab_config config = sample_config(LAB_BOOT_PXE_UEFI);
    struct lab_machine_spec spec = {.config = &config, .accel_args = tcg_args};
    struct lab_argv argv;

    (void)state;
    config.machine_arg_count = LAB_MACHINE_ARG_COUNT_MAX;
    for (size_t i = 0; i < LAB_MACHINE_ARG_COUNT_MAX; i++) {
        (void)snprintf(config.machine_args[i], LAB_MACHINE_ARG_SIZE, "arg %zu %%s", i);
    }
    lab_argv_init(&argv);
    assert_int_equal(lab_machine_argv(&spec, &argv, NULL), RAY_OK);
    assert_string_equal(argv.items[argv.count - 1], "arg 15 %s");
    lab_argv_fini(&argv);
}

/* Each allocation fails once; the failure is told, and nothing leaks. */
static void test_argv_no_memory(void **state)
{
    struct lab_config config = sample_config(LAB_BOOT_DIRECT);
    struct lab_machine_spec spec = {
        .config = &config, .accel_args = tcg_args, .kernel_cmdline = "a=b"};
    bool has_fired = true;

    (void)state;
    for (int countdown = 1; has_fired; countdown++) {
        struct lab_argv argv;
        char fault[32];
        int rc;

        (void)snprintf(fault, sizeof fault, "alloc:%d", countdown);
        lab_argv_init(&argv);
        assert_true(ray_fault_set(fault));
        rc = lab_machine_argv(&spec, &argv, NULL);
        has_fired = ray_fault_has_fired();
        assert_true(ray_fault_set(NULL));
        assert_int_equal(rc, has_fired ? RAY_ENOMEM : RAY_OK);
        lab_argv_fini(&argv);
    }
}

static void test_argv_limits(void **state)
{
    struct lab_argv argv;

    (void)state;
    lab_argv_init(&argv);
    for (int i = 0; i < LAB_ARGV_COUNT_MAX - 1; i++) {
        lab_argv_push(&argv, "%d", i);
    }
    assert_int_equal(lab_argv_check(&argv, NULL), RAY_OK);
    lab_argv_push(&argv, "one more");
    assert_int_equal(lab_argv_check(&argv, NULL), RAY_ETOOBIG);
    lab_argv_push(&argv, "and more");
    assert_null(argv.items[LAB_ARGV_COUNT_MAX]);
    lab_argv_fini(&argv);

    lab_argv_init(&argv);
    lab_argv_push(&argv, "%*d", LAB_ARGV_SIZE_MAX, 1);
    assert_int_equal(lab_argv_check(&argv, NULL), RAY_ENOMEM);
    lab_argv_fini(&argv);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pxe),
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_direct_uefi),
        cmocka_unit_test(test_boot_devices),
        cmocka_unit_test(test_machine_args),
        cmocka_unit_test(test_argv_limits),
        cmocka_unit_test(test_argv_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
