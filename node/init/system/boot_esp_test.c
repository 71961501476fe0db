/* Which partition, what may be opened on it, and that the mount is nobody else's. */
#include <sys/statvfs.h>

#include "base/fault.h"
#include "base/size.h"
#include "node/init/system/boot_esp.h"
#include "node/init/system/fake_root.h"

static void test_choose(void **state)
{
    struct init_data_found found = {.esp_count = 1, .esp_device = "vda1"};
    const char *device = NULL;
    struct ray_err err = {0};

    (void)state;
    assert_int_equal(init_boot_esp_choose(INIT_BOOT_PATH_PXE, &found, &device, &err),
                     RAY_ENOTFOUND);
    assert_non_null(strstr(err.text, "not started from a disk"));
    assert_non_null(strstr(err.next_step, "image-release add"));
    assert_int_equal(init_boot_esp_choose(INIT_BOOT_PATH_UNKNOWN, &found, &device, &err),
                     RAY_ENOTFOUND);
    found.esp_count = 0;
    assert_int_equal(init_boot_esp_choose(INIT_BOOT_PATH_DISK, &found, &device, &err),
                     RAY_ENOTFOUND);
    assert_non_null(strstr(err.text, "RAYOS_ESP"));
    assert_non_null(strstr(err.next_step, "image-release add"));
    found.esp_count = 2;
    assert_int_equal(init_boot_esp_choose(INIT_BOOT_PATH_DISK, &found, &device, &err),
                     RAY_ECONFLICT);
    assert_non_null(strstr(err.text, "2 partitions"));
    assert_non_null(strstr(err.next_step, "image-release add"));
    assert_null(device);
    found.esp_count = 1;
    assert_int_equal(init_boot_esp_choose(INIT_BOOT_PATH_DISK, &found, &device, &err), RAY_OK);
    assert_string_equal(device, "vda1");
}

static void put_good(const struct fake_root *root)
{
    fake_put(root, "EFI/RAYOS/manifest.json", "{}");
    fake_put(root, "EFI/BOOT/BOOTX64.EFI", "MZ");
}

static void cut_to(const struct fake_root *root, const char *path, off_t size)
{
    int fd = openat(root->fd, path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(close(fd), 0);
}

static int open_files(const struct fake_root *root, struct ray_err *err)
{
    int fds[INIT_BOOT_ESP_FILE_COUNT] = {-7, -7};
    int before = dup(STDERR_FILENO);
    int after;
    int rc;

    assert_int_equal(close(before), 0);
    rc = init_boot_esp_open_files(root->fd, fds, err);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(fds); i++) {
        if (rc == RAY_OK) {
            assert_int_equal(fcntl(fds[i], F_GETFL) & O_ACCMODE, O_RDONLY);
            assert_int_equal(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
            assert_int_equal(close(fds[i]), 0);
        } else {
            assert_int_equal(fds[i], -7); /* untouched on failure */
        }
    }
    after = dup(STDERR_FILENO);
    assert_int_equal(after, before); /* nothing stays open */
    assert_int_equal(close(after), 0);
    return rc;
}

static void test_files(void **state)
{
    struct fake_root *root = *state;
    struct ray_err err = {0};

    assert_int_equal(open_files(root, &err), RAY_ENOTFOUND);
    assert_non_null(strstr(err.next_step, "older RayOS"));
    put_good(root);
    assert_int_equal(open_files(root, &err), RAY_OK);
    assert_string_equal(init_boot_esp_name(INIT_BOOT_ESP_MANIFEST), "manifest.json");
    assert_string_equal(init_boot_esp_name(INIT_BOOT_ESP_UKI), "rayos.efi");
    cut_to(root, "EFI/RAYOS/manifest.json", 64 << 10);
    cut_to(root, "EFI/BOOT/BOOTX64.EFI", 512 << 20); /* a hole */
    assert_int_equal(open_files(root, &err), RAY_OK);
    cut_to(root, "EFI/RAYOS/manifest.json", (64 << 10) + 1);
    assert_int_equal(open_files(root, &err), RAY_ETOOBIG);
    put_good(root);
    cut_to(root, "EFI/BOOT/BOOTX64.EFI", (512 << 20) + 1);
    assert_int_equal(open_files(root, &err), RAY_ETOOBIG);
    cut_to(root, "EFI/BOOT/BOOTX64.EFI", 0);
    assert_int_equal(open_files(root, &err), RAY_ECONFLICT);
    assert_non_null(strstr(err.text, "empty"));
    assert_int_equal(unlinkat(root->fd, "EFI/BOOT/BOOTX64.EFI", 0), 0);
    assert_int_equal(open_files(root, &err), RAY_ENOTFOUND);
}

/* FAT has none of these; the kernel's driver for it is not what we rely on. */
static void test_what_is_no_file(void **state)
{
    struct fake_root *root = *state;
    struct ray_err err = {0};

    put_good(root);
    fake_put(root, "other", "MZ");
    assert_int_equal(unlinkat(root->fd, "EFI/BOOT/BOOTX64.EFI", 0), 0);
    assert_int_equal(symlinkat("../../other", root->fd, "EFI/BOOT/BOOTX64.EFI"), 0);
    assert_true(open_files(root, &err) != RAY_OK);
    assert_int_equal(unlinkat(root->fd, "EFI/BOOT/BOOTX64.EFI", 0), 0);
    assert_int_equal(mkfifoat(root->fd, "EFI/BOOT/BOOTX64.EFI", 0600), 0);
    assert_int_equal(open_files(root, &err), RAY_ECONFLICT); /* and does not wait */
    assert_non_null(strstr(err.text, "no regular file"));
    assert_int_equal(unlinkat(root->fd, "EFI/BOOT/BOOTX64.EFI", 0), 0);
    assert_int_equal(mkdirat(root->fd, "EFI/BOOT/BOOTX64.EFI", 0700), 0);
    assert_int_equal(open_files(root, &err), RAY_ECONFLICT);
    assert_int_equal(unlinkat(root->fd, "EFI/BOOT/BOOTX64.EFI", AT_REMOVEDIR), 0);
    /* A folder on the way that leads elsewhere. */
    fake_put(root, "elsewhere/BOOTX64.EFI", "MZ");
    assert_int_equal(unlinkat(root->fd, "EFI/BOOT", AT_REMOVEDIR), 0);
    assert_int_equal(symlinkat("../elsewhere", root->fd, "EFI/BOOT"), 0);
    assert_true(open_files(root, &err) != RAY_OK);
}

static bool is_in_tree(void)
{
    char line[1024];
    FILE *file = fopen("/proc/self/mountinfo", "re");
    bool has_found = file == NULL;

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        has_found = has_found || strstr(line, "esp-of-the-test") != NULL;
    }
    if (file != NULL) {
        (void)fclose(file); /* read only */
    }
    return has_found;
}

static int mount_in_namespace(void *arg)
{
    struct statvfs facts;
    int fds[INIT_BOOT_ESP_FILE_COUNT];
    int fd = -1;

    (void)arg;
    FAKE_CHECK(init_boot_esp_mount("tmpfs", "esp-of-the-test", &fd, NULL) == RAY_OK);
    FAKE_CHECK(fstatvfs(fd, &facts) == 0);
    FAKE_CHECK((facts.f_flag & ST_RDONLY) != 0 && (facts.f_flag & ST_NOSUID) != 0);
    FAKE_CHECK((facts.f_flag & ST_NODEV) != 0 && (facts.f_flag & ST_NOEXEC) != 0);
    FAKE_CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    FAKE_CHECK(mkdirat(fd, "new", 0700) != 0 && errno == EROFS);
    FAKE_CHECK(!is_in_tree());
    FAKE_CHECK(init_boot_esp_open_files(fd, fds, NULL) == RAY_ENOTFOUND);
    FAKE_CHECK(close(fd) == 0);
    FAKE_CHECK(init_boot_esp_mount("no-such-type", "x", &fd, NULL) != RAY_OK);
    return 0;
}

static void test_mount(void **state)
{
    (void)state;
    fake_in_namespaces(CLONE_NEWNS, mount_in_namespace, NULL);
}

static void put_partition(const struct fake_root *root, const char *name)
{
    char path[64];
    char text[128];

    (void)snprintf(path, sizeof path, "sys/class/block/%s/uevent", name);
    (void)snprintf(text, sizeof text, "DEVNAME=%s\nDEVTYPE=partition\nPARTNAME=RAYOS_ESP\n", name);
    fake_put(root, path, text);
}

/* As far as it goes without a disk. */
static void test_all(void **state)
{
    struct fake_root *root = *state;
    char device[INIT_DATA_DEVICE_SIZE_MAX] = "as before";
    int fds[INIT_BOOT_ESP_FILE_COUNT];
    struct ray_err err = {0};

    assert_int_equal(ray_make_dirs(root->fd, "sys/class/block", 0755, NULL), RAY_OK);
    assert_int_equal(
        init_boot_esp_open(root->fd, root->path, INIT_BOOT_PATH_DISK, device, fds, &err),
        RAY_ENOTFOUND);
    put_partition(root, "vda1");
    assert_true(init_boot_esp_open(root->fd, root->path, INIT_BOOT_PATH_DISK, device, fds, &err) !=
                RAY_OK);
    assert_non_null(strstr(err.text, "/dev/vda1")); /* there is none */
    put_partition(root, "sdb1");
    assert_int_equal(
        init_boot_esp_open(root->fd, root->path, INIT_BOOT_PATH_DISK, device, fds, &err),
        RAY_ECONFLICT);
    assert_string_equal(device, "as before");
}

static void test_faults(void **state)
{
    struct fake_root *root = *state;
    bool has_fired = true;

    put_good(root);
    for (int n = 1; has_fired; n++) {
        char faults[32];
        int rc;

        assert_true(n < 10);
        (void)snprintf(faults, sizeof faults, "open:%d", n);
        assert_true(ray_fault_set(faults));
        rc = open_files(root, NULL);
        has_fired = ray_fault_has_fired();
        assert_true(ray_fault_set(NULL));
        assert_true(has_fired == (rc != RAY_OK));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choose),
        cmocka_unit_test_setup_teardown(test_files, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_file, fake_root_setup, fake_root_teardown),
        cmocka_unit_test(test_mount),
        cmocka_unit_test_setup_teardown(test_all, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_faults, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
