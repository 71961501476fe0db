/* kmodule_test.c - the scan of aliases and the set of names; loading itself is proven by
 * booting, because a test must not put modules into the machine it runs on. */
#include "node/init/system/fake_root.h"
#include "node/init/system/kmodule.h"
#include "node/init/system/kmodule_scan.h"

static void test_names(void **state)
{
    struct init_kmodule_names names;
    char name[16];

    (void)state;
    init_kmodule_names_init(&names, 300);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 300; i++) {
            (void)snprintf(name, sizeof name, "m%d", i);
            assert_int_equal(init_kmodule_names_add(&names, name), RAY_OK);
        }
    }
    assert_int_equal(names.count, 300);
    assert_string_equal(names.items[0], "m0");
    assert_string_equal(names.items[299], "m299");
    assert_int_equal(init_kmodule_names_add(&names, "m300"), RAY_ETOOBIG);
    assert_int_equal(init_kmodule_names_add(&names, "m7"), RAY_OK);
    init_kmodule_names_fini(&names);
    assert_int_equal(names.count, 0);
}

static void make_devices(const struct fake_root *root)
{
    fake_put(root, "sys/devices/pci0/a/modalias", "pci:v1\n");
    fake_put(root, "sys/devices/pci0/a/b/modalias", "virtio:d1\n");
    fake_put(root, "sys/devices/pci0/c/modalias", "pci:v1\n"); /* twice the same */
    fake_put(root, "sys/devices/cpu/modalias", "cpu:type:x86\n");
    fake_put(root, "sys/devices/platform/empty/modalias", "\n");
    fake_put(root, "sys/devices/platform/none/uevent", "MODALIAS=not-this\n");
    fake_put(root, "elsewhere/modalias", "pci:followed\n");
    assert_int_equal(symlinkat("../../elsewhere", root->fd, "sys/devices/link"), 0);
}

static void test_scan(void **state)
{
    struct fake_root *root = *state;
    struct init_kmodule_names aliases;
    struct ray_err err = {0};
    char path[256] = "sys/devices/deep";

    init_kmodule_names_init(&aliases, INIT_KMODULE_ALIAS_COUNT_MAX);
    assert_int_equal(init_kmodule_scan_aliases(root->fd, "sys/devices", &aliases, &err),
                     RAY_ENOTFOUND);
    make_devices(root);
    assert_int_equal(init_kmodule_scan_aliases(root->fd, "sys/devices", &aliases, &err), RAY_OK);
    assert_int_equal(aliases.count, 3);
    init_kmodule_names_fini(&aliases);
    /* Deeper than the limit is passed by, not followed for ever. */
    for (int i = 0; i < INIT_KMODULE_SCAN_DEPTH_MAX + 4; i++) {
        size_t size = strlen(path);

        (void)snprintf(path + size, sizeof path - size, "/d");
    }
    (void)snprintf(path + strlen(path), sizeof path - strlen(path), "/modalias");
    fake_put(root, path, "pci:deep\n");
    assert_int_equal(init_kmodule_scan_aliases(root->fd, "sys/devices", &aliases, &err), RAY_OK);
    assert_int_equal(aliases.count, 3);
    init_kmodule_names_fini(&aliases);
}

static void test_scan_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "read"};
    struct fake_root *root = *state;

    make_devices(root);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            struct init_kmodule_names aliases;
            struct ray_err err = {0};
            int rc;

            init_kmodule_names_init(&aliases, INIT_KMODULE_ALIAS_COUNT_MAX);
            ray_test_fault_arm(points[i], n);
            rc = init_kmodule_scan_aliases(root->fd, "sys/devices", &aliases, &err);
            init_kmodule_names_fini(&aliases);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
            assert_true(rc == RAY_OK || err.text[0] != '\0');
        }
    }
}

/* With a folder of modules that has none, everything runs but no module is found. */
static void test_coldplug_without_modules(void **state)
{
    struct fake_root *root = *state;
    struct init_kmodule_summary summary = {.module_count = 9};
    struct init_kmodule *kmodule = NULL;
    struct ray_err err = {0};

    make_devices(root);
    assert_int_equal(init_kmodule_create(root->path, &kmodule, &err), RAY_OK);
    assert_int_equal(init_kmodule_coldplug(kmodule, root->fd, 0, NULL, &summary, &err), RAY_OK);
    assert_int_equal(summary.alias_count, 3);
    assert_int_equal(summary.module_count, 0);
    assert_int_equal(init_kmodule_load(kmodule, "nosuchmodule", &err), RAY_ENOTFOUND);
    assert_int_equal(init_kmodule_load_listed(kmodule, root->fd, NULL, &summary, &err), RAY_OK);
    assert_int_equal(summary.module_count, 7);
    assert_int_equal(summary.failed_count, 7);
    assert_int_equal(ray_make_dirs(root->fd, "sys/firmware/efi", 0755, NULL), RAY_OK);
    assert_int_equal(init_kmodule_load_listed(kmodule, root->fd, NULL, &summary, &err), RAY_OK);
    assert_int_equal(summary.module_count, 9);
    assert_int_equal(init_kmodule_coldplug_rest(kmodule, root->fd, NULL, &summary, &err), RAY_OK);
    assert_int_equal(summary.alias_count, 3);
    assert_int_equal(summary.module_count, 4);
    init_kmodule_destroy(kmodule);
    init_kmodule_destroy(NULL);
}

static void test_early(void **state)
{
    (void)state;
    assert_true(init_kmodule_is_wanted_early("kernel/drivers/block/virtio_blk.ko.xz"));
    assert_true(
        init_kmodule_is_wanted_early("kernel/drivers/net/ethernet/intel/e1000/e1000.ko.xz"));
    assert_true(init_kmodule_is_wanted_early("kernel/drivers/usb/storage/uas.ko.xz"));
    assert_false(init_kmodule_is_wanted_early("kernel/drivers/usb/serial/x.ko.xz"));
    assert_false(init_kmodule_is_wanted_early("kernel/drivers/gpu/drm/tiny/bochs.ko.xz"));
    assert_false(init_kmodule_is_wanted_early("kernel/arch/x86/kvm/kvm-amd.ko.xz"));
    assert_false(init_kmodule_is_wanted_early("kernel/drivers/network"));
    assert_false(init_kmodule_is_wanted_early(""));
}

/* Whoever fails to start, the list is walked to its end or the caller is told. */
static void test_thread_faults(void **state)
{
    static const char *const points[] = {"fork", "alloc"};
    struct fake_root *root = *state;
    struct init_kmodule *kmodule = NULL;
    struct init_kmodule_names names;

    assert_int_equal(init_kmodule_create(root->path, &kmodule, NULL), RAY_OK);
    init_kmodule_names_init(&names, 8);
    assert_int_equal(init_kmodule_names_add(&names, "one"), RAY_OK);
    assert_int_equal(init_kmodule_names_add(&names, "two"), RAY_OK);
    assert_int_equal(init_kmodule_names_add(&names, "three"), RAY_OK);
    for (size_t i = 0; i < 2; i++) {
        for (unsigned n = 1;; n++) {
            struct ray_err err = {0};
            size_t failed_count = 0;
            int rc;

            ray_test_fault_arm(points[i], n);
            rc = init_kmodule_load_names(kmodule, &names, 4, RAY_LOG_DEBUG, NULL, &failed_count,
                                         &err);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
            assert_true(rc == RAY_OK ? failed_count == 3 : rc == RAY_ENOMEM);
        }
    }
    init_kmodule_names_fini(&names);
    init_kmodule_destroy(kmodule);
}

static void test_create_faults(void **state)
{
    struct fake_root *root = *state;

    for (unsigned n = 1;; n++) {
        struct init_kmodule *kmodule = NULL;
        struct ray_err err = {0};
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = init_kmodule_create(root->path, &kmodule, &err);
        init_kmodule_destroy(kmodule);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_true(rc != RAY_OK && err.text[0] != '\0');
    }
}

static void test_helper(void **state)
{
    struct fake_root *root = *state;
    struct ray_err err = {0};
    char text[4096];
    ssize_t size;

    assert_int_equal(init_kmodule_install_helper(root->fd, "/usr/lib/rayos/rayos-init", &err),
                     RAY_ENOTFOUND);
    fake_put(root, "proc/sys/kernel/modprobe", "");
    assert_int_equal(ray_make_dirs(root->fd, "usr/lib/rayos", 0755, NULL), RAY_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(init_kmodule_install_helper(root->fd, "/usr/lib/rayos/rayos-init", &err),
                         RAY_OK);
    }
    assert_string_equal(fake_get(root, "proc/sys/kernel/modprobe", text),
                        "/usr/lib/rayos/modprobe");
    size = readlinkat(root->fd, "usr/lib/rayos/modprobe", text, sizeof text - 1);
    assert_int_equal(size, strlen("/usr/lib/rayos/rayos-init"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_scan, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_scan_faults, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_coldplug_without_modules, fake_root_setup,
                                        fake_root_teardown),
        cmocka_unit_test(test_early),
        cmocka_unit_test_setup_teardown(test_thread_faults, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_create_faults, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_helper, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
