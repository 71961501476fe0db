/* parts_test.c - finding the port and the disk, in trees that look like sysfs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/test.h"
#include "tests/agent/port.h"
#include "tests/agent/tools.h"
#include "tests/agent/watch.h"

struct tree {
    char path[64];
    int fd;
};

static int setup(void **state)
{
    struct tree *tree = calloc(1, sizeof *tree);

    if (tree == NULL) {
        return -1;
    }
    (void)snprintf(tree->path, sizeof tree->path, "/tmp/ray-agent-parts-XXXXXX");
    if (mkdtemp(tree->path) == NULL) {
        free(tree);
        return -1;
    }
    tree->fd = open(tree->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = tree;
    return tree->fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    struct tree *tree = *state;
    char command[128];
    int rc;

    (void)close(tree->fd);
    (void)snprintf(command, sizeof command, "rm -rf %s", tree->path);
    rc = system(command); /* NOLINT(bugprone-command-processor): our own mkdtemp name */
    free(tree);
    return rc;
}

static void add(const struct tree *tree, const char *device, const char *file, const char *text)
{
    char path[128];

    assert_int_equal(ray_make_dirs(tree->fd, device, 0755, NULL), RAY_OK);
    (void)snprintf(path, sizeof path, "%s/%s", device, file);
    assert_int_equal(ray_atomic_write(tree->fd, path, text, strlen(text), 0644, NULL), RAY_OK);
}

static void test_tools_by_serial(void **state)
{
    struct tree *tree = *state;
    char name[16] = "kept";

    add(tree, "vda", "serial", "RAYOS_DATA");
    add(tree, "vdb", "serial", "RAYOS_TOOLS2\n");
    add(tree, "vdb", "uevent", "MAJOR=254\nPARTNAME=RAYOS_TOOLS2\n");
    add(tree, "loop0", "uevent", "MAJOR=7\n");
    assert_int_equal(tools_find(tree->fd, name, sizeof name, NULL), RAY_ENOTFOUND);
    assert_string_equal(name, "kept");
    add(tree, "vdc", "serial", "RAYOS_TOOLS\n");
    assert_int_equal(tools_find(tree->fd, name, sizeof name, NULL), RAY_OK);
    assert_string_equal(name, "vdc");
}

static void test_tools_by_partition(void **state)
{
    struct tree *tree = *state;
    char name[16];

    add(tree, "vda1", "uevent", "MAJOR=254\nXPARTNAME=RAYOS_TOOLS\n");
    add(tree, "vda2", "uevent", "DEVTYPE=partition\nPARTNAME=RAYOS_TOOLS");
    assert_int_equal(tools_find(tree->fd, name, sizeof name, NULL), RAY_OK);
    assert_string_equal(name, "vda2");
}

static void test_tools_that_cannot_be_mounted(void **state)
{
    struct tree *tree = *state;
    struct ray_err err = {0};

    assert_int_equal(tools_mount(tree->fd, &err), RAY_ENOTFOUND);
    add(tree, "ray-no-such-disk", "serial", "RAYOS_TOOLS");
    assert_true(tools_mount(tree->fd, &err) < 0);
    assert_non_null(strstr(err.text, "/dev/ray-no-such-disk"));
}

static void test_port_by_name(void **state)
{
    struct tree *tree = *state;
    struct ray_err err = {0};
    int fd = -1;

    add(tree, "vport1p1", "name", "rayos.marker\n");
    assert_int_equal(port_open_virtio(tree->fd, "rayos.test", &fd, &err), RAY_ENOTFOUND);
    /* A folder's name becomes the device's: /dev/null stands for a port. */
    add(tree, "null", "name", "rayos.test\n");
    assert_int_equal(port_open_virtio(tree->fd, "rayos.test", &fd, &err), RAY_OK);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    (void)close(fd);
    add(tree, "vport1p2", "name", "rayos.other\n");
    assert_int_equal(port_open_virtio(tree->fd, "rayos.other", &fd, &err), RAY_ENOTFOUND);
    assert_non_null(strstr(err.text, "/dev/vport1p2"));
}

static void on_change(void *arg)
{
    (void)arg;
}

static void test_watch_fini(void **state)
{
    struct watch watch = {.fd = -1};
    struct ray_loop loop;

    (void)state;
    watch_fini(&watch);
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    assert_int_equal(watch_init(&watch, &loop, on_change, NULL, NULL), RAY_OK);
    watch_fini(&watch);
    assert_int_equal(watch.fd, -1);
    for (unsigned n = 1;; n++) {
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = watch_init(&watch, &loop, on_change, NULL, NULL);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
        assert_int_equal(watch.fd, -1);
    }
    watch_fini(&watch);
    ray_loop_fini(&loop);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest tests[] = {
        CASE(test_tools_by_serial),
        CASE(test_tools_by_partition),
        CASE(test_tools_that_cannot_be_mounted),
        CASE(test_port_by_name),
        cmocka_unit_test(test_watch_fini),
    };
#undef CASE

    return cmocka_run_group_tests(tests, NULL, NULL);
}
