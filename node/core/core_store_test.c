/* A folder of cores in a temporary folder: what is kept, what goes, and each fault. */
#include <assert.h>
#include <string.h>
#include <sys/file.h>

#include "node/core/core_store.h"
#include "node/init/system/fake_root.h"

#define BLOCK INT64_C(4096) /* CORE_BLOCK_SIZE, for sums of files */

static_assert(BLOCK == CORE_BLOCK_SIZE, "a block");

static const struct core_limits small = {
    .disk_bytes_max = 4 * BLOCK,
    .size_bytes_max = 64 * BLOCK,
    .total_bytes_max = 8 * BLOCK,
    .folder_count_max = 4,
};

static const char report[] = "{}";

static int put_core(const struct fake_root *root, const struct core_limits *limits,
                    const char *name, size_t block_count)
{
    uint8_t block[CORE_BLOCK_SIZE];
    struct core_store store;
    int rc = core_store_begin(&store, root->fd, limits, block_count > 0, NULL);

    memset(block, 'x', sizeof block);
    for (size_t i = 0; i < block_count && rc == RAY_OK; i++) {
        rc = core_store_write(&store, block, sizeof block, NULL);
    }
    rc = rc == RAY_OK ? core_store_end_core(&store, NULL) : rc;
    rc = rc == RAY_OK ? core_store_commit(&store, name, report, 2, NULL) : rc;
    core_store_fini(&store);
    return rc;
}

static int count_cores(const struct fake_root *root)
{
    char names[CORE_LIST_COUNT_MAX][CORE_NAME_SIZE_MAX];

    return core_store_list(root->fd, names, NULL);
}

static void test_modes_and_content(void **state)
{
    struct fake_root *root = *state;
    struct stat info;

    assert_int_equal(put_core(root, &small, "1-a-1", 2), RAY_OK);
    assert_int_equal(fstatat(root->fd, "1-a-1", &info, 0), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    assert_int_equal(fstatat(root->fd, "1-a-1/core", &info, 0), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(info.st_size, 2 * BLOCK);
    assert_int_equal(fstatat(root->fd, "1-a-1/core.json", &info, 0), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    /* Without memory there is no file for it. */
    assert_int_equal(put_core(root, &small, "2-a-1", 0), RAY_OK);
    assert_int_not_equal(fstatat(root->fd, "2-a-1/core", &info, 0), 0);
}

static void test_oldest_go(void **state)
{
    struct fake_root *root = *state;
    char names[CORE_LIST_COUNT_MAX][CORE_NAME_SIZE_MAX];

    fake_put(root, "not-ours/file", "stays");
    for (int i = 1; i <= 9; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "%d-a-1", i);
        assert_int_equal(put_core(root, &small, name, 0), RAY_OK);
        assert_int_equal(count_cores(root), i < 4 ? i : 4);
    }
    assert_int_equal(core_store_list(root->fd, names, NULL), 4);
    assert_string_equal(names[0], "9-a-1");
    assert_string_equal(names[3], "6-a-1");
    assert_true(fake_has(root, "not-ours/file"));
}

static void test_total_size(void **state)
{
    struct fake_root *root = *state;

    assert_int_equal(put_core(root, &small, "1-a-1", 4), RAY_OK);
    assert_int_equal(put_core(root, &small, "2-a-1", 4), RAY_OK);
    assert_int_equal(count_cores(root), 2);
    assert_int_equal(put_core(root, &small, "3-a-1", 4), RAY_OK);
    assert_int_equal(count_cores(root), 2);
    assert_false(fake_has(root, "1-a-1"));
    assert_true(fake_has(root, "3-a-1"));
}

static void test_holes_and_limits(void **state)
{
    struct fake_root *root = *state;
    uint8_t block[CORE_BLOCK_SIZE] = {0};
    struct core_store store;
    struct stat info;

    assert_int_equal(core_store_begin(&store, root->fd, &small, true, NULL), RAY_OK);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(core_store_write(&store, block, sizeof block, NULL), RAY_OK);
    }
    assert_int_equal(store.disk_bytes, 0);
    block[CORE_BLOCK_SIZE - 1] = 1;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(core_store_write(&store, block, sizeof block, NULL), RAY_OK);
    }
    assert_int_equal(core_store_write(&store, block, sizeof block, NULL), RAY_ETOOBIG);
    assert_int_equal(store.size_bytes, 14 * BLOCK);
    memset(block, 0, sizeof block);
    for (int i = 14; i < 64; i++) {
        assert_int_equal(core_store_write(&store, block, sizeof block, NULL), RAY_OK);
    }
    assert_int_equal(core_store_write(&store, block, 1, NULL), RAY_ETOOBIG);
    assert_int_equal(core_store_end_core(&store, NULL), RAY_OK);
    assert_int_equal(core_store_commit(&store, "1-a-1", report, 2, NULL), RAY_OK);
    core_store_fini(&store);
    core_store_fini(&store);
    assert_int_equal(fstatat(root->fd, "1-a-1/core", &info, 0), 0);
    assert_int_equal(info.st_size, 64 * BLOCK);
    assert_true(info.st_blocks * 512 <= 8 * BLOCK);
}

static void test_a_last_piece_may_be_short(void **state)
{
    struct fake_root *root = *state;
    const uint8_t bytes[5] = {1, 2, 3, 4, 5};
    struct core_store store;
    char text[4096];

    assert_int_equal(core_store_begin(&store, root->fd, &small, true, NULL), RAY_OK);
    assert_int_equal(core_store_write(&store, bytes, sizeof bytes, NULL), RAY_OK);
    assert_int_equal(core_store_end_core(&store, NULL), RAY_OK);
    assert_int_equal(core_store_commit(&store, "1-a-1", report, 2, NULL), RAY_OK);
    core_store_fini(&store);
    assert_memory_equal(fake_get(root, "1-a-1/core", text), bytes, sizeof bytes);
}

/* What a dead collector left goes; the lock of a living one is waited for, not passed. */
static void test_leftovers_and_lock(void **state)
{
    struct fake_root *root = *state;
    int other_fd = open(root->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    fake_put(root, ".tmp-core-77/core", "half");
    fake_put(root, ".tmp-core-77/.tmp-0123", "half");
    assert_int_equal(put_core(root, &small, "1-a-1", 1), RAY_OK);
    assert_false(fake_has(root, ".tmp-core-77"));
    assert_int_equal(flock(other_fd, LOCK_EX | LOCK_NB), 0); /* given back */
    (void)close(other_fd);
}

static void test_no_room(void **state)
{
    struct fake_root *root = *state;
    struct core_limits limits = small;
    struct core_store store;

    /* No file system is empty to the last byte: all must stay free, so nothing may be kept. */
    limits.free_percent_min = 250;
    assert_int_equal(core_store_begin(&store, root->fd, &limits, true, NULL), RAY_ENOSPC);
    core_store_fini(&store);
    assert_int_equal(count_cores(root), 0);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"open", "read", "write", "fsync", "rename"};
    struct fake_root *root = *state;
    char left_over[32];

    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        for (unsigned n = 1;; n++) {
            char name[16];
            int rc;

            (void)snprintf(name, sizeof name, "%zu%02u-a-1", p, n);
            ray_test_fault_arm(points[p], n);
            rc = put_core(root, &small, name, 2);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
            /* Whole or not at all; only the last fsync fails with the folder in place. The list
             * for the sweep may fail: then it is swept the next time. */
            assert_true(!fake_has(root, name) || rc == RAY_OK || strcmp(points[p], "fsync") == 0);
            assert_true(rc == RAY_OK || rc < 0);
        }
    }
    assert_int_equal(put_core(root, &small, "9-a-1", 1), RAY_OK);
    (void)snprintf(left_over, sizeof left_over, ".tmp-core-%d", (int)getpid());
    assert_false(fake_has(root, left_over));
}

static void test_names(void **state)
{
    struct core_process process = {.time_s = 1700000000, .pid = 301};
    char name[CORE_NAME_SIZE_MAX];

    (void)state;
    (void)snprintf(process.comm, sizeof process.comm, "my prog/../x");
    core_store_name(&process, name);
    assert_string_equal(name, "20231114T221320Z-my_prog_.._x-301");
    process.time_s = UINT32_MAX;
    process.pid = UINT64_MAX;
    memset(process.comm, 'c', sizeof process.comm - 1);
    core_store_name(&process, name);
    assert_int_equal(strncmp(name, "21060207T062815Z-cccc", 21), 0);
}

static void test_limits_fit(void **state)
{
    (void)state;
    for (int is_in_ram = 0; is_in_ram < 2; is_in_ram++) {
        const struct core_limits *limits = core_limits_of(is_in_ram != 0);

        assert_true(limits->total_bytes_max >= 2 * limits->disk_bytes_max);
        assert_true(limits->folder_count_max < CORE_LIST_COUNT_MAX);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fake_root_setup, fake_root_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_modes_and_content),
        CASE(test_oldest_go),
        CASE(test_total_size),
        CASE(test_holes_and_limits),
        CASE(test_a_last_piece_may_be_short),
        CASE(test_leftovers_and_lock),
        CASE(test_no_room),
        CASE(test_faults),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_limits_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
