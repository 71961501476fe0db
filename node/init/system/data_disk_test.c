/* data_disk_test.c - scans of made-up device trees, a real XFS superblock with each field
 * spoiled, the layout under every fault, the search on a loop, and the fall back to RAM in a
 * mount namespace of its own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/test.h"
#include "node/init/system/data_disk.h"

struct place {
    char path[64];
    int fd;
};

static void put(int dir_fd, const char *name, const char *text)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void add_device(const struct place *place, const char *name, const char *partname,
                       const char *readonly)
{
    char path[128];
    char text[256];

    (void)snprintf(path, sizeof path, "sys/class/block/%s", name);
    assert_int_equal(ray_make_dirs(place->fd, path, 0755, NULL), RAY_OK);
    (void)snprintf(path, sizeof path, "sys/class/block/%s/uevent", name);
    (void)snprintf(text, sizeof text, "MAJOR=252\nMINOR=1\nDEVNAME=%s\nDEVTYPE=partition\n%s%s\n",
                   name, partname == NULL ? "" : "PARTNAME=", partname == NULL ? "" : partname);
    put(place->fd, path, text);
    (void)snprintf(path, sizeof path, "sys/class/block/%s/ro", name);
    put(place->fd, path, readonly);
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    assert_non_null(place);
    (void)snprintf(place->path, sizeof place->path, "/tmp/data_test.XXXXXX");
    assert_non_null(mkdtemp(place->path));
    place->fd = open(place->path, O_RDONLY | O_DIRECTORY);
    assert_true(place->fd >= 0);
    assert_int_equal(ray_make_dirs(place->fd, "sys/class/block", 0755, NULL), RAY_OK);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    char command[128];

    (void)close(place->fd);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", place->path);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static void test_scan(void **state)
{
    struct place *place = *state;
    struct init_data_found found;

    assert_int_equal(init_data_scan(place->fd, &found, NULL), RAY_OK);
    assert_int_equal(found.count, 0);
    add_device(place, "vda", NULL, "0\n");
    add_device(place, "vda1", "RAYOS_DATA2", "0\n");
    add_device(place, "vda2", "rayos_data", "0\n");
    assert_int_equal(init_data_scan(place->fd, &found, NULL), RAY_OK);
    assert_int_equal(found.count, 0);
    add_device(place, "nvme0n1p3", "RAYOS_DATA", "1\n");
    assert_int_equal(init_data_scan(place->fd, &found, NULL), RAY_OK);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.device, "nvme0n1p3");
    assert_true(found.is_readonly);
    add_device(place, "sda1", "RAYOS_DATA", "0\n");
    assert_int_equal(init_data_scan(place->fd, &found, NULL), RAY_OK);
    assert_int_equal(found.count, 2);
}

static void test_scan_of_hostile_names(void **state)
{
    struct place *place = *state;
    struct init_data_found found;

    add_device(place, "sda1", NULL, "0\n");
    put(place->fd, "sys/class/block/sda1/uevent", "DEVNAME=../../etc/x\nPARTNAME=RAYOS_DATA\n");
    assert_int_equal(init_data_scan(place->fd, &found, NULL), RAY_OK);
    assert_int_equal(found.count, 0);
    put(place->fd, "sys/class/block/sda1/uevent", "PARTNAME=RAYOS_DATA\n");
    assert_int_equal(init_data_scan(place->fd, &found, NULL), RAY_OK);
    assert_int_equal(found.count, 0);
}

/* ---- superblock ---- */

enum { IMAGE_SIZE = 320 * 1024 * 1024 };

static void make_superblock(const struct place *place, uint8_t block[static INIT_XFS_BLOCK_SIZE])
{
    char command[200];
    char path[96];
    int fd;

    (void)snprintf(path, sizeof path, "%s/image", place->path);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, IMAGE_SIZE), 0);
    (void)snprintf(command, sizeof command, "mkfs.xfs -q -f '%s'", path);
    assert_int_equal(system(command), 0);
    assert_int_equal(pread(fd, block, INIT_XFS_BLOCK_SIZE, 0), INIT_XFS_BLOCK_SIZE);
    (void)close(fd);
}

static void test_superblock(void **state)
{
    static const struct {
        size_t offset;
        uint8_t value;
        enum init_data_reason reason;
    } spoiled[] = {
        {0, 'Y', INIT_DATA_REASON_NOT_XFS},    {4, 0xff, INIT_DATA_REASON_DAMAGED},
        {7, 1, INIT_DATA_REASON_DAMAGED},      {8, 0x7f, INIT_DATA_REASON_DAMAGED},
        {15, 0, INIT_DATA_REASON_NONE},        {84, 0xff, INIT_DATA_REASON_DAMAGED},
        {88, 0xff, INIT_DATA_REASON_DAMAGED},  {91, 0, INIT_DATA_REASON_DAMAGED},
        {101, 0x04, INIT_DATA_REASON_DAMAGED}, {102, 0xff, INIT_DATA_REASON_DAMAGED},
        {120, 200, INIT_DATA_REASON_DAMAGED},  {126, 1, INIT_DATA_REASON_DAMAGED},
    };
    struct place *place = *state;
    uint8_t good[INIT_XFS_BLOCK_SIZE];
    char detail[200];

    make_superblock(place, good);
    assert_int_equal(init_data_check_xfs(good, sizeof good, IMAGE_SIZE, detail, sizeof detail),
                     INIT_DATA_REASON_NONE);
    assert_int_equal(init_data_check_xfs(good, sizeof good, IMAGE_SIZE / 2, detail, sizeof detail),
                     INIT_DATA_REASON_DAMAGED);
    for (size_t i = 0; i < sizeof spoiled / sizeof spoiled[0]; i++) {
        uint8_t bad[INIT_XFS_BLOCK_SIZE];
        enum init_data_reason reason;

        memcpy(bad, good, sizeof bad);
        bad[spoiled[i].offset] = spoiled[i].value;
        reason = init_data_check_xfs(bad, sizeof bad, IMAGE_SIZE, detail, sizeof detail);
        if (memcmp(bad, good, sizeof bad) != 0 && spoiled[i].reason != INIT_DATA_REASON_NONE) {
            assert_int_equal(reason, spoiled[i].reason);
            assert_true(detail[0] != '\0');
        }
    }
    for (size_t size = 0; size < INIT_XFS_BLOCK_SIZE; size++) {
        uint8_t *exact = malloc(size > 0 ? size : 1);

        assert_non_null(exact);
        memcpy(exact, good, size);
        assert_int_equal(init_data_check_xfs(exact, size, IMAGE_SIZE, detail, sizeof detail),
                         INIT_DATA_REASON_NOT_XFS);
        free(exact);
    }
    memset(good + 48, 0, 8); /* its log on another device */
    assert_int_equal(init_data_check_xfs(good, sizeof good, IMAGE_SIZE, detail, sizeof detail),
                     INIT_DATA_REASON_DAMAGED);
}

/* ---- layout ---- */

static void expect_layout(int data_fd)
{
    static const char *const folders[] = {"identity", "raft",  "checkpoint", "facts",
                                          "policy",   "vm",    "images",     "volume",
                                          "log",      "crash", "crash/cores"};
    struct stat info;

    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        assert_int_equal(fstatat(data_fd, folders[i], &info, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISDIR(info.st_mode));
    }
    assert_int_equal(fstatat(data_fd, "identity", &info, 0), 0);
    assert_int_equal(info.st_mode & 07777, 0750);
}

static void test_layout_under_faults(void **state)
{
    static const char *const points[] = {"open", "write", "fsync", "rename"};
    struct place *place = *state;

    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        for (unsigned n = 1;; n++) {
            bool fired;
            int fd;
            int rc;

            assert_int_equal(ray_make_dirs(place->fd, "data", 0755, NULL), RAY_OK);
            fd = openat(place->fd, "data", O_RDONLY | O_DIRECTORY);
            assert_true(fd >= 0);
            ray_test_fault_arm(points[p], n);
            rc = init_data_layout(fd, false, NULL);
            fired = ray_test_fault_disarm();
            assert_true(fired || rc == RAY_OK);
            /* Whatever was half made, the next boot completes it. */
            assert_int_equal(init_data_layout(fd, false, NULL), RAY_OK);
            expect_layout(fd);
            (void)close(fd);
            (void)teardown(state);
            (void)setup(state);
            place = *state;
            if (!fired) {
                break;
            }
        }
    }
}

static void test_layout_versions(void **state)
{
    struct place *place = *state;

    assert_int_equal(init_data_layout(place->fd, false, NULL), RAY_OK);
    put(place->fd, ".tmp-left", "over");
    assert_int_equal(init_data_layout(place->fd, false, NULL), RAY_OK);
    assert_int_equal(faccessat(place->fd, ".tmp-left", F_OK, 0), -1);
    put(place->fd, "layout", "{\"version\":2}");
    assert_int_equal(init_data_layout(place->fd, false, NULL), RAY_ECONFLICT);
    put(place->fd, "layout", "{\"version\":-1}");
    assert_int_equal(init_data_layout(place->fd, false, NULL), RAY_EMALFORMED);
    put(place->fd, "layout", "");
    assert_int_equal(init_data_layout(place->fd, false, NULL), RAY_EMALFORMED);
}

static void test_layout_does_not_follow_links(void **state)
{
    struct place *place = *state;

    assert_int_equal(symlinkat("/tmp", place->fd, "identity"), 0);
    assert_true(init_data_layout(place->fd, false, NULL) != RAY_OK);
}

/* ---- search ---- */

struct outcome {
    struct init_data_found found;
    int count;
    struct ray_loop *loop;
};

static void on_done(void *arg, const struct init_data_found *found)
{
    struct outcome *outcome = arg;

    outcome->found = *found;
    outcome->count++;
    ray_loop_stop(outcome->loop);
}

struct late {
    struct place *place;
    struct init_data_search *search;
    struct ray_timer timer;
};

static void on_late(void *arg)
{
    struct late *late = arg;
    const struct init_uevent event = {.action = "add", .devpath = "/x", .subsystem = "block"};
    const struct init_uevent other = {.action = "add", .devpath = "/x", .subsystem = "net"};

    add_device(late->place, "sdb1", "RAYOS_DATA", "0\n");
    init_data_search_event(late->search, &other);
    init_data_search_event(late->search, &event);
}

static void test_search(void **state)
{
    struct place *place = *state;
    struct init_data_search_options options = {
        .root_fd = place->fd, .settle_ms = 60, .none_settle_ms = 60, .deadline_ms = 60000};
    struct outcome outcome = {0};
    struct late late = {.place = place};
    struct ray_loop loop;

    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    outcome.loop = &loop;
    assert_int_equal(init_data_search_start(&loop, &options, on_done, &outcome, &late.search, NULL),
                     RAY_OK);
    ray_loop_run(&loop);
    assert_int_equal(outcome.count, 1);
    assert_int_equal(outcome.found.count, 0);
    init_data_search_destroy(late.search);

    /* A disk that comes while the search settles is found. */
    options.none_settle_ms = 60000;
    assert_int_equal(init_data_search_start(&loop, &options, on_done, &outcome, &late.search, NULL),
                     RAY_OK);
    assert_int_equal(ray_timer_init(&late.timer, &loop, on_late, &late, NULL), RAY_OK);
    ray_timer_start(&late.timer, 10, 0);
    ray_loop_run(&loop);
    assert_int_equal(outcome.count, 2);
    assert_int_equal(outcome.found.count, 1);
    assert_string_equal(outcome.found.device, "sdb1");
    init_data_search_destroy(late.search);
    ray_timer_fini(&late.timer);
    ray_loop_fini(&loop);
}

/* Started from a disk: the search goes on until that disk shows, however long that takes. */
static void test_search_for_the_boot_disk(void **state)
{
    struct place *place = *state;
    const struct init_data_search_options options = {.root_fd = place->fd,
                                                     .settle_ms = 1,
                                                     .none_settle_ms = 1,
                                                     .deadline_ms = 60000,
                                                     .waits_for_esp = true};
    struct outcome outcome = {0};
    struct late late = {.place = place};
    struct ray_loop loop;
    uint64_t begin_ns;

    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    outcome.loop = &loop;
    assert_int_equal(init_data_search_start(&loop, &options, on_done, &outcome, &late.search, NULL),
                     RAY_OK);
    assert_int_equal(ray_timer_init(&late.timer, &loop, on_late, &late, NULL), RAY_OK);
    ray_timer_start(&late.timer, 50, 0); /* far beyond none_settle_ms */
    ray_loop_run(&loop);
    assert_int_equal(outcome.found.count, 1);
    init_data_search_destroy(late.search);
    ray_timer_fini(&late.timer);
    ray_loop_fini(&loop);

    /* A disk with the image and without data: not waited for any longer. */
    add_device(place, "sdb1", "RAYOS_ESP", "0\n");
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    begin_ns = ray_clock_monotonic_ns();
    assert_int_equal(init_data_search_start(&loop, &options, on_done, &outcome, &late.search, NULL),
                     RAY_OK);
    ray_loop_run(&loop);
    assert_int_equal(outcome.found.count, 0);
    assert_int_equal(outcome.found.esp_count, 1);
    assert_string_equal(outcome.found.esp_device, "sdb1");
    assert_true(ray_clock_monotonic_ns() - begin_ns < 60000 * RAY_NS_PER_MS);
    init_data_search_destroy(late.search);
    ray_loop_fini(&loop);
}

/* ---- mounting ---- */

static int in_namespace(struct place *place, const struct init_data_found *found,
                        enum init_data_reason reason)
{
    struct init_data data;
    struct ray_err err = {0};

    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return 77;
    }
    if (init_data_mount(place->path, found, NULL, &data, &err) != RAY_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    if (data.is_disk || data.reason != reason || data.fd < 0) {
        (void)fprintf(stderr, "reason %s: %s\n", init_data_reason_word(data.reason), data.detail);
        return 2;
    }
    if (faccessat(data.fd, "identity", F_OK, 0) != 0) {
        return 3;
    }
    init_data_fini(&data);
    return 0;
}

static void expect_ram(struct place *place, const struct init_data_found *found,
                       enum init_data_reason reason)
{
    pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(in_namespace(place, found, reason));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        skip(); /* no namespaces here */
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_ram_and_reasons(void **state)
{
    struct place *place = *state;
    struct init_data_found found = {0};
    uint8_t block[INIT_XFS_BLOCK_SIZE];

    expect_ram(place, &found, INIT_DATA_REASON_ABSENT);
    found = (struct init_data_found){.count = 2, .device = "vda1"};
    expect_ram(place, &found, INIT_DATA_REASON_SEVERAL);
    found = (struct init_data_found){.count = 1, .device = "vda1", .is_readonly = true};
    expect_ram(place, &found, INIT_DATA_REASON_READONLY);
    found.is_readonly = false;
    expect_ram(place, &found, INIT_DATA_REASON_DAMAGED); /* the device is gone */
    assert_int_equal(ray_make_dirs(place->fd, "dev", 0755, NULL), RAY_OK);
    put(place->fd, "dev/vda1", "not a file system");
    expect_ram(place, &found, INIT_DATA_REASON_NOT_XFS);
    /* A superblock that passes, but no block device behind it: mount refuses. */
    make_superblock(place, block);
    assert_int_equal(renameat(place->fd, "image", place->fd, "dev/vda1"), 0);
    expect_ram(place, &found, INIT_DATA_REASON_DAMAGED);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_scan),
        CASE(test_scan_of_hostile_names),
        CASE(test_superblock),
        CASE(test_layout_under_faults),
        CASE(test_layout_versions),
        CASE(test_layout_does_not_follow_links),
        CASE(test_search),
        CASE(test_search_for_the_boot_disk),
        CASE(test_ram_and_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
