/* crash_test.c - each way a boot can end, torn and foreign files, and a fault at each write. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/test.h"
#include "node/init/system/crash.h"

#define BOOT_A "11111111-1111-1111-1111-111111111111"
#define BOOT_B "22222222-2222-2222-2222-222222222222"

struct place {
    char path[64];
    int data_fd;
    int root_fd;
};

static void put(int dir_fd, const char *name, const char *text)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    assert_non_null(place);
    (void)snprintf(place->path, sizeof place->path, "/tmp/crash_test.XXXXXX");
    assert_non_null(mkdtemp(place->path));
    place->root_fd = open(place->path, O_RDONLY | O_DIRECTORY);
    assert_int_equal(ray_make_dirs(place->root_fd, "sys/fs/pstore", 0755, NULL), RAY_OK);
    assert_int_equal(ray_make_dirs(place->root_fd, "data/log", 0755, NULL), RAY_OK);
    place->data_fd = openat(place->root_fd, "data", O_RDONLY | O_DIRECTORY);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    char command[128];

    (void)close(place->data_fd);
    (void)close(place->root_fd);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", place->path);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static struct init_crash_report collect(const struct place *place, const char *boot_id,
                                        uint32_t bootstatus)
{
    const struct init_crash_inputs inputs = {.data_fd = place->data_fd,
                                             .root_fd = place->root_fd,
                                             .boot_id = boot_id,
                                             .watchdog_bootstatus = bootstatus,
                                             .log_name = "log/rayos.log"};
    struct init_crash_report report;
    struct ray_err err = {0};

    if (init_crash_collect(&inputs, NULL, &report, &err) != RAY_OK) {
        fail_msg("%s", err.text);
    }
    return report;
}

static void expect_file(const struct place *place, const char *name, const char *text)
{
    uint8_t *bytes = NULL;
    size_t size = 0;

    assert_int_equal(ray_file_read(place->data_fd, name, 1 << 20, &bytes, &size, NULL), RAY_OK);
    assert_string_equal((const char *)bytes, text);
    free(bytes);
}

static bool exists(int dir_fd, const char *name)
{
    struct stat info;

    return fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_first_boot_and_clean_end(void **state)
{
    struct place *place = *state;
    struct init_crash_report report = collect(place, BOOT_A, 0);

    assert_int_equal(report.end, INIT_END_FIRST_BOOT);
    assert_false(report.has_folder);
    assert_int_equal(init_crash_begin(place->data_fd, BOOT_A, NULL), RAY_OK);
    assert_int_equal(init_crash_end(place->data_fd, BOOT_A, NULL), RAY_OK);
    report = collect(place, BOOT_B, WDIOF_CARDRESET); /* an old bite is no news */
    assert_int_equal(report.end, INIT_END_CLEAN);
    assert_false(report.has_folder);
    assert_string_equal(report.previous_boot_id, BOOT_A);
    assert_false(exists(place->data_fd, "crash"));
}

static void test_power_cut(void **state)
{
    struct place *place = *state;
    struct init_crash_report report;

    assert_int_equal(init_crash_begin(place->data_fd, BOOT_A, NULL), RAY_OK);
    assert_int_equal(init_crash_mark(place->data_fd, BOOT_A, "RAYOS_NODE_READY:n\"1\\\n", NULL),
                     RAY_OK);
    put(place->data_fd, "log/rayos.log.1", "one\n");
    put(place->data_fd, "log/rayos.log", "two\n");
    report = collect(place, BOOT_B, 0);
    assert_int_equal(report.end, INIT_END_DIRTY);
    assert_true(report.has_folder);
    assert_string_equal(report.folder, BOOT_A);
    expect_file(place, "crash/" BOOT_A "/last_marker", "RAYOS_NODE_READY:n\"1\\\n");
    expect_file(place, "crash/" BOOT_A "/log_tail", "one\ntwo\n");
    expect_file(place, "crash/" BOOT_A "/bootstatus", "0\n");
    assert_true(exists(place->data_fd, "crash/" BOOT_A "/report.json"));
}

static void test_watchdog(void **state)
{
    struct place *place = *state;
    struct init_crash_report report;

    assert_int_equal(init_crash_begin(place->data_fd, BOOT_A, NULL), RAY_OK);
    report = collect(place, BOOT_B, WDIOF_CARDRESET);
    assert_int_equal(report.end, INIT_END_WATCHDOG);
    expect_file(place, "crash/" BOOT_A "/bootstatus", "32\n");
}

static void test_panic_records_move(void **state)
{
    struct place *place = *state;
    struct init_crash_report report;

    assert_int_equal(init_crash_begin(place->data_fd, BOOT_A, NULL), RAY_OK);
    put(place->root_fd, "sys/fs/pstore/dmesg-efi_pstore-1", "Panic#1 Part1\nboom\n");
    put(place->root_fd, "sys/fs/pstore/dmesg-efi_pstore-2", "Panic#1 Part2\nmore\n");
    report = collect(place, BOOT_B, 0);
    assert_int_equal(report.end, INIT_END_PANIC);
    assert_int_equal(report.pstore_count, 2);
    expect_file(place, "crash/" BOOT_A "/pstore/dmesg-efi_pstore-1", "Panic#1 Part1\nboom\n");
    assert_false(exists(place->root_fd, "sys/fs/pstore/dmesg-efi_pstore-1"));
    assert_false(exists(place->root_fd, "sys/fs/pstore/dmesg-efi_pstore-2"));
}

/* A node without a disk must not lose the only copy that survives its next reboot. */
static void test_records_stay_when_data_is_in_ram(void **state)
{
    struct place *place = *state;
    const struct init_crash_inputs inputs = {.data_fd = place->data_fd,
                                             .root_fd = place->root_fd,
                                             .boot_id = BOOT_B,
                                             .log_name = "log/rayos.log",
                                             .is_volatile = true};
    struct init_crash_report report;

    put(place->root_fd, "sys/fs/pstore/dmesg-efi_pstore-1", "Panic#1 Part1\n");
    assert_int_equal(init_crash_collect(&inputs, NULL, &report, NULL), RAY_OK);
    assert_int_equal(report.end, INIT_END_PANIC);
    assert_true(exists(place->root_fd, "sys/fs/pstore/dmesg-efi_pstore-1"));
    expect_file(place, "crash/" BOOT_B "/pstore/dmesg-efi_pstore-1", "Panic#1 Part1\n");
}

static void test_torn_and_hostile_state(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"boot_id\":7,\"state\":[]}",
        "{\"boot_id\":\"../../../../etc/aaaaaaaaaaaaaaaaaaaaaa\",\"state\":\"running\"}",
        ("{\"boot_id\":\"" BOOT_A "/\",\"state\":\"running\",\"marker\":\"\\u0001\"}")};
    struct place *place = *state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct init_crash_report report;

        put(place->data_fd, INIT_CRASH_STATE_FILE, texts[i]);
        report = collect(place, BOOT_B, 0);
        assert_int_equal(report.end, INIT_END_DIRTY);
        assert_string_equal(report.previous_boot_id, "");
        assert_string_equal(report.folder, BOOT_B); /* the id of this boot stands in */
        assert_int_equal(renameat(place->data_fd, "crash/" BOOT_B, place->root_fd, "done"), 0);
        assert_int_equal(unlinkat(place->root_fd, "done/report.json", 0), 0);
        assert_int_equal(unlinkat(place->root_fd, "done/last_marker", 0), 0);
        assert_int_equal(unlinkat(place->root_fd, "done/bootstatus", 0), 0);
        assert_int_equal(unlinkat(place->root_fd, "done/log_tail", 0), 0);
        assert_int_equal(unlinkat(place->root_fd, "done", AT_REMOVEDIR), 0);
    }
}

static void test_second_crash_of_one_boot_keeps_the_first(void **state)
{
    struct place *place = *state;

    assert_int_equal(init_crash_begin(place->data_fd, BOOT_A, NULL), RAY_OK);
    put(place->data_fd, "log/rayos.log", "first\n");
    (void)collect(place, BOOT_B, 0);
    put(place->data_fd, "log/rayos.log", "second\n");
    (void)collect(place, BOOT_B, 0); /* the state was not begun anew: the disk was full */
    expect_file(place, "crash/" BOOT_A "/log_tail", "first\n");
    expect_file(place, "crash/" BOOT_B "/log_tail", "second\n");
}

static void test_log_tail_is_bounded(void **state)
{
    struct place *place = *state;
    struct stat info;
    char *text = malloc(INIT_CRASH_LOG_TAIL_SIZE_MAX + 2);

    assert_non_null(text);
    memset(text, 'x', INIT_CRASH_LOG_TAIL_SIZE_MAX + 1);
    text[INIT_CRASH_LOG_TAIL_SIZE_MAX] = 'y';
    text[INIT_CRASH_LOG_TAIL_SIZE_MAX + 1] = '\0';
    assert_int_equal(init_crash_begin(place->data_fd, BOOT_A, NULL), RAY_OK);
    put(place->data_fd, "log/rayos.log", text);
    put(place->data_fd, "log/rayos.log.1", "older\n");
    (void)collect(place, BOOT_B, 0);
    assert_int_equal(fstatat(place->data_fd, "crash/" BOOT_A "/log_tail", &info, 0), 0);
    assert_int_equal(info.st_size, INIT_CRASH_LOG_TAIL_SIZE_MAX);
    free(text);
}

static void test_old_folders_are_pruned(void **state)
{
    struct place *place = *state;
    size_t count = 0;
    struct dirent *entry;
    DIR *dir;
    char path[96];

    for (int i = 0; i < INIT_CRASH_FOLDER_COUNT_MAX + 5; i++) {
        char previous[INIT_BOOT_ID_SIZE];

        (void)snprintf(previous, sizeof previous, "aaaaaaaa-0000-0000-0000-%012d", i);
        assert_int_equal(init_crash_begin(place->data_fd, previous, NULL), RAY_OK);
        (void)collect(place, BOOT_B, 0);
    }
    (void)snprintf(path, sizeof path, "%s/data/crash", place->path);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        count += entry->d_name[0] != '.' ? 1u : 0u;
    }
    (void)closedir(dir);
    assert_int_equal(count, INIT_CRASH_FOLDER_COUNT_MAX);
    assert_true(exists(place->data_fd, "crash/aaaaaaaa-0000-0000-0000-000000000020"));
    assert_false(exists(place->data_fd, "crash/aaaaaaaa-0000-0000-0000-000000000000"));
}

/* Whatever fails: no half folder under its final name, and no pstore record is lost. */
static void test_faults_lose_nothing(void **state)
{
    static const char *const points[] = {"alloc", "open", "read", "write", "fsync", "rename"};
    struct place *place = *state;

    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        for (unsigned n = 1;; n++) {
            const struct init_crash_inputs inputs = {.data_fd = place->data_fd,
                                                     .root_fd = place->root_fd,
                                                     .boot_id = BOOT_B,
                                                     .log_name = "log/rayos.log"};
            struct init_crash_report report;
            bool fired;
            int rc;

            assert_int_equal(init_crash_begin(place->data_fd, BOOT_A, NULL), RAY_OK);
            put(place->root_fd, "sys/fs/pstore/dmesg-1", "Panic#1 Part1\n");
            ray_test_fault_arm(points[p], n);
            rc = init_crash_collect(&inputs, NULL, &report, NULL);
            fired = ray_test_fault_disarm();
            if (rc == RAY_OK) {
                assert_true(report.has_folder);
                assert_false(exists(place->root_fd, "sys/fs/pstore/dmesg-1"));
            } else {
                assert_true(exists(place->root_fd, "sys/fs/pstore/dmesg-1"));
                assert_false(exists(place->data_fd, "crash/" BOOT_A));
                assert_false(exists(place->data_fd, "crash/" BOOT_B));
            }
            (void)teardown(state);
            (void)setup(state);
            place = *state;
            if (!fired) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
        }
    }
}

static void test_boot_id(void **state)
{
    (void)state;
    assert_true(init_crash_is_boot_id(BOOT_A));
    assert_false(init_crash_is_boot_id(""));
    assert_false(init_crash_is_boot_id("11111111-1111-1111-1111-11111111111"));
    assert_false(init_crash_is_boot_id(BOOT_A "1"));
    assert_false(init_crash_is_boot_id("1111111111111-1111-1111-111111111111"));
    assert_false(init_crash_is_boot_id("AAAAAAAA-1111-1111-1111-111111111111"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_first_boot_and_clean_end),
        CASE(test_power_cut),
        CASE(test_watchdog),
        CASE(test_panic_records_move),
        CASE(test_records_stay_when_data_is_in_ram),
        CASE(test_torn_and_hostile_state),
        CASE(test_second_crash_of_one_boot_keeps_the_first),
        CASE(test_log_tail_is_bounded),
        CASE(test_old_folders_are_pruned),
        CASE(test_faults_lose_nothing),
        cmocka_unit_test(test_boot_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
