/* mount_test.c - the walk over a table in a mount namespace, and that pivot_root works on
 * what init_mount_switch_root leaves. The whole table is proven by booting. */
#include <limits.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "node/init/system/fake_root.h"
#include "node/init/system/mount.h"

static const struct init_mount_entry small_table[] = {
    {"run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m", INIT_MOUNT_EARLY, true, true},
    {"a/b", "tmpfs", 0, "mode=0755", INIT_MOUNT_EARLY, false, true}, /* no parent folder */
    {"none", "nosuchfs", 0, NULL, INIT_MOUNT_EARLY, false, true},
    {"late", "tmpfs", 0, "mode=1777", INIT_MOUNT_LATE, true, true},
};
enum { SMALL_COUNT = sizeof small_table / sizeof small_table[0] };

static int stage_body(void *arg)
{
    const char *root = arg;
    struct ray_err err = {0};
    size_t skipped_count = 99;
    char path[PATH_MAX];
    struct stat st;

    FAKE_CHECK(init_mount_private(&err) == RAY_OK);
    FAKE_CHECK(init_mount_stage(root, small_table, SMALL_COUNT, INIT_MOUNT_EARLY, NULL,
                                &skipped_count, &err) == RAY_OK);
    FAKE_CHECK(skipped_count == 2);
    (void)snprintf(path, sizeof path, "%s/late", root);
    FAKE_CHECK(stat(path, &st) != 0 && errno == ENOENT);
    /* Again: what is mounted stays, with what is in it. */
    (void)snprintf(path, sizeof path, "%s/run/kept", root);
    FAKE_CHECK(mkdir(path, 0755) == 0);
    FAKE_CHECK(init_mount_stage(root, small_table, SMALL_COUNT, INIT_MOUNT_EARLY, NULL, NULL,
                                &err) == RAY_OK);
    FAKE_CHECK(stat(path, &st) == 0);
    FAKE_CHECK(init_mount_stage(root, small_table, SMALL_COUNT, INIT_MOUNT_LATE, NULL, NULL,
                                &err) == RAY_OK);
    (void)snprintf(path, sizeof path, "%s/late", root);
    FAKE_CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 01777);
    return 0;
}

static void test_stage(void **state)
{
    struct fake_root *root = *state;

    fake_in_namespaces(CLONE_NEWNS, stage_body, root->path);
}

static int fault_body(void *arg)
{
    const char *root = arg;

    FAKE_CHECK(init_mount_private(NULL) == RAY_OK);
    for (unsigned n = 1;; n++) {
        struct ray_err err = {0};
        size_t skipped_count = 0;
        int rc;

        ray_test_fault_arm("mount", n);
        rc = init_mount_stage(root, small_table, SMALL_COUNT, INIT_MOUNT_EARLY, NULL,
                              &skipped_count, &err);
        if (!ray_test_fault_disarm()) {
            FAKE_CHECK(rc == RAY_OK);
            return 0;
        }
        /* Only the first entry is required; what follows is tried all the same. */
        FAKE_CHECK((n == 1) == (rc != RAY_OK));
        FAKE_CHECK(rc == RAY_OK || strstr(err.text, "/run") != NULL);
        FAKE_CHECK(skipped_count == 2);
    }
}

static void test_mount_faults(void **state)
{
    struct fake_root *root = *state;

    fake_in_namespaces(CLONE_NEWNS, fault_body, root->path);
}

/* What a monitor's jail will do. */
static int pivot_body(void *arg)
{
    struct ray_err err = {0};
    char inner[PATH_MAX];

    FAKE_CHECK(init_mount_private(&err) == RAY_OK);
    FAKE_CHECK(init_mount_switch_root(&err) == RAY_OK);
    FAKE_CHECK(access(arg, F_OK) == 0); /* the same tree */
    (void)snprintf(inner, sizeof inner, "%s/jail", (const char *)arg);
    FAKE_CHECK(mkdir(inner, 0755) == 0);
    FAKE_CHECK(mount("jail", inner, "tmpfs", 0, NULL) == 0);
    FAKE_CHECK(chdir(inner) == 0);
    FAKE_CHECK(syscall(SYS_pivot_root, ".", ".") == 0);
    FAKE_CHECK(umount2(".", MNT_DETACH) == 0);
    FAKE_CHECK(access(arg, F_OK) != 0);
    /* Not taken for a chroot: user namespaces are allowed. */
    FAKE_CHECK(unshare(CLONE_NEWUSER) == 0);
    return 0;
}

static void test_switch_root(void **state)
{
    struct fake_root *root = *state;

    fake_in_namespaces(CLONE_NEWNS, pivot_body, root->path);
}

static int switch_fault_body(void *arg)
{
    struct ray_err err = {0};

    (void)arg;
    ray_test_fault_arm("mount", 1);
    FAKE_CHECK(init_mount_switch_root(&err) == RAY_EDENIED || !ray_fault_has_fired());
    ray_test_fault_arm("mount", 1);
    FAKE_CHECK(init_mount_private(&err) == RAY_EDENIED || !ray_fault_has_fired());
    ray_test_fault_arm("mount", 1);
    FAKE_CHECK(init_mount_efivars_writable("", true, &err) != RAY_OK);
    (void)ray_test_fault_disarm();
    FAKE_CHECK(init_mount_efivars_writable("/nowhere", true, &err) == RAY_ENOTFOUND);
    return 0;
}

static void test_switch_faults(void **state)
{
    (void)state;
    fake_in_namespaces(CLONE_NEWNS, switch_fault_body, NULL);
}

static void test_links(void **state)
{
    struct fake_root *root = *state;
    struct ray_err err = {0};
    char target[64];
    char path[128];
    ssize_t size;

    (void)snprintf(path, sizeof path, "%s/dev", root->path);
    assert_int_equal(init_mount_links(root->path, &err), RAY_ENOTFOUND);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(init_mount_links(root->path, &err), RAY_OK);
    assert_int_equal(init_mount_links(root->path, &err), RAY_OK); /* twice is well */
    size = readlinkat(root->fd, "dev/stderr", target, sizeof target - 1);
    assert_true(size > 0);
    target[size] = '\0';
    assert_string_equal(target, "/proc/self/fd/2");
}

/* The promises of the table that others rest on. */
static void test_table(void **state)
{
    const struct init_mount_entry *table;
    bool has_dev = false;
    size_t count;

    (void)state;
    table = init_mount_table(&count);
    assert_in_range(count, 10, 32);
    for (size_t i = 0; i < count; i++) {
        assert_int_not_equal(table[i].target[0], '/');
        assert_true((table[i].flags & MS_NOSUID) != 0);
        /* A mount point below another comes after it. */
        if (strcmp(table[i].target, "dev") == 0) {
            has_dev = true;
        }
        assert_true(strncmp(table[i].target, "dev/", 4) != 0 || has_dev);
        assert_null(strstr(table[i].target, "debug"));
        assert_null(strstr(table[i].target, "tracing"));
        if (strcmp(table[i].type, "efivarfs") == 0) {
            assert_true((table[i].flags & MS_RDONLY) != 0);
            assert_int_equal(table[i].stage, INIT_MOUNT_LATE);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test_setup_teardown(test_links, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_stage, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_mount_faults, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_switch_root, fake_root_setup, fake_root_teardown),
        cmocka_unit_test(test_switch_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
