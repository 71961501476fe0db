/* folder_test.c - paths, lock, record and tidying up of a lab's folder, on a real disk. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "base/size.h"
#include "clusterctl/lab/record.h"
#include "clusterctl/lab/tidy.h"

/* A lab in a folder of its own. */
struct place {
    char root[64];
    struct lab_paths paths;
};

static void place_make(struct place *place)
{
    *place = (struct place){.root = "/tmp/lab-folder-XXXXXX"};
    assert_non_null(mkdtemp(place->root));
    assert_int_equal(setenv("RAYOS_LAB_DIR", place->root, 1), 0);
    assert_int_equal(lab_paths_find(&place->paths, "one", NULL), RAY_OK);
    assert_int_equal(unsetenv("RAYOS_LAB_DIR"), 0);
    assert_int_equal(mkdir(place->paths.dir, 0755), 0);
}

static void place_remove(struct place *place)
{
    assert_int_equal(lab_wipe(AT_FDCWD, place->root, NULL), RAY_OK);
    assert_int_equal(rmdir(place->root), 0);
}

/* ---- paths ---- */

static void test_names(void **state)
{
    static const char *const good[] = {"default", "a",       "0",
                                       "t1a2b3",  "x-y_z.1", "abcdefghijklmnopqrstuvwxyz012345"};
    static const char *const bad[] = {
        "", "-x", ".x", "_x", "A", "a/b", "a b", "..", "abcdefghijklmnopqrstuvwxyz0123456"};

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(good); i++) {
        assert_true(lab_name_is_valid(good[i]));
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(bad); i++) {
        struct lab_paths paths;

        assert_false(lab_name_is_valid(bad[i]));
        assert_int_equal(lab_paths_find(&paths, bad[i], NULL), RAY_EUSAGE);
    }
}

static void test_join(void **state)
{
    char out[8] = "before";

    (void)state;
    assert_int_equal(lab_path_join(out, sizeof out, "abc", "def", NULL), RAY_OK);
    assert_string_equal(out, "abc/def");
    assert_int_equal(lab_path_join(out, sizeof out, "abc", "defg", NULL), RAY_ETOOBIG);
    assert_string_equal(out, "abc/def");
}

static void test_socket_path_is_short(void **state)
{
    char path[LAB_SOCKET_PATH_SIZE];
    char name[LAB_SOCKET_PATH_SIZE];

    (void)state;
    assert_int_equal(lab_socket_path(7, "control.sock", path, NULL), RAY_OK);
    assert_string_equal(path, "/proc/self/fd/7/control.sock");
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(lab_socket_path(7, name, path, NULL), RAY_ETOOBIG);
}

/* ---- lock ---- */

static void test_lock_excludes_and_is_inherited(void **state)
{
    struct place place;
    int first = -1;
    int second = -1;
    int copy;

    (void)state;
    place_make(&place);
    assert_false(lab_lock_is_held(&place.paths));
    assert_int_equal(lab_lock_take(&place.paths, &first, NULL), RAY_OK);
    assert_true(lab_lock_is_held(&place.paths));
    assert_int_equal(lab_lock_take(&place.paths, &second, NULL), RAY_EEXISTS);
    assert_int_equal(second, -1);
    /* As `lab up` hands it to the supervisor: the copy holds it on. */
    copy = dup(first);
    assert_int_equal(close(first), 0);
    assert_true(lab_lock_is_held(&place.paths));
    assert_int_equal(close(copy), 0);
    assert_false(lab_lock_is_held(&place.paths));
    place_remove(&place);
}

/* ---- record ---- */

static void test_start_ticks(void **state)
{
    static const char good[] = "12 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 99 20 21";
    static const char *const bad[] = {"", "12 (x) S 1 2",
                                      "12 x S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15"};
    uint64_t ticks = 0;

    (void)state;
    assert_int_equal(lab_parse_start_ticks(good, &ticks), RAY_OK);
    assert_int_equal(ticks, 99);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(bad); i++) {
        assert_int_equal(lab_parse_start_ticks(bad[i], &ticks), RAY_EMALFORMED);
    }
}

static pid_t sleeper(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        for (;;) {
            (void)pause();
        }
    }
    assert_true(pid > 0);
    return pid;
}

static void test_record_finds_and_kills_the_very_process(void **state)
{
    struct place place;
    pid_t child = sleeper();
    pid_t pid = 0;
    uint64_t ticks;
    int pidfd = -1;

    (void)state;
    place_make(&place);
    assert_int_equal(lab_record_open(&place.paths, &pid, &pidfd, NULL), RAY_ENOTFOUND);
    assert_int_equal(lab_process_start_ticks(child, &ticks, NULL), RAY_OK);

    /* Another process has that number now. */
    assert_int_equal(lab_record_write(&place.paths, child, ticks + 1, NULL), RAY_OK);
    assert_int_equal(lab_record_open(&place.paths, &pid, &pidfd, NULL), RAY_ENOTFOUND);

    assert_int_equal(lab_record_write(&place.paths, child, ticks, NULL), RAY_OK);
    assert_int_equal(lab_record_open(&place.paths, &pid, &pidfd, NULL), RAY_OK);
    assert_int_equal(pid, child);
    assert_int_equal(lab_pidfd_wait(pidfd, 1, NULL), RAY_ETIMEOUT);
    assert_int_equal(lab_pidfd_kill(pidfd, NULL), RAY_OK);
    assert_int_equal(lab_pidfd_wait(pidfd, 10000, NULL), RAY_OK);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(lab_pidfd_kill(pidfd, NULL), RAY_OK); /* gone is as good */
    assert_int_equal(close(pidfd), 0);
    assert_int_equal(lab_record_open(&place.paths, &pid, &pidfd, NULL), RAY_ENOTFOUND);
    place_remove(&place);
}

/* Whatever fails while the record is replaced, the old or the new one is there. */
static void test_record_faults(void **state)
{
    static const char *const points[] = {"open", "write", "fsync", "rename"};
    struct place place;
    pid_t self = getpid();
    uint64_t ticks;

    (void)state;
    place_make(&place);
    assert_int_equal(lab_process_start_ticks(0, &ticks, NULL), RAY_OK);
    assert_int_equal(lab_record_write(&place.paths, self, ticks, NULL), RAY_OK);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        bool has_fired = true;

        for (int countdown = 1; has_fired; countdown++) {
            char fault[32];
            pid_t pid = 0;
            int pidfd = -1;
            int rc;

            (void)snprintf(fault, sizeof fault, "%s:%d", points[i], countdown);
            assert_true(ray_fault_set(fault));
            rc = lab_record_write(&place.paths, self, ticks, NULL);
            has_fired = ray_fault_has_fired();
            assert_true(ray_fault_set(NULL));
            assert_true(has_fired || rc == RAY_OK);
            assert_int_equal(lab_record_open(&place.paths, &pid, &pidfd, NULL), RAY_OK);
            assert_int_equal(pid, self);
            assert_int_equal(close(pidfd), 0);
        }
    }
    place_remove(&place);
}

static void test_record_malformed(void **state)
{
    static const char *const texts[] = {"",
                                        "{}",
                                        "{\"pid\": 1, \"start_ticks\": 5}",
                                        "{\"pid\": -5, \"start_ticks\": 5}",
                                        "{\"pid\": 5000000000, \"start_ticks\": 5}",
                                        "{\"pid\": 5}"};
    struct place place;
    char path[LAB_PATH_SIZE + 32];
    pid_t pid;
    int pidfd;

    (void)state;
    place_make(&place);
    (void)snprintf(path, sizeof path, "%s/supervisor.json", place.paths.dir);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(texts); i++) {
        assert_int_equal(ray_atomic_write(AT_FDCWD, path, texts[i], strlen(texts[i]), 0644, NULL),
                         RAY_OK);
        assert_int_equal(lab_record_open(&place.paths, &pid, &pidfd, NULL), RAY_EMALFORMED);
    }
    place_remove(&place);
}

/* ---- tidying up ---- */

static void put(const struct place *place, const char *name)
{
    char path[LAB_PATH_SIZE + 64];
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s", place->paths.dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static bool is_there(const struct place *place, const char *name)
{
    char path[LAB_PATH_SIZE + 64];
    struct stat info;

    (void)snprintf(path, sizeof path, "%s/%s", place->paths.dir, name);
    return lstat(path, &info) == 0;
}

static void make_dir(const struct place *place, const char *name)
{
    char path[LAB_PATH_SIZE + 64];

    (void)snprintf(path, sizeof path, "%s/%s", place->paths.dir, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void test_tidy_keeps_report_and_logs(void **state)
{
    static const char *const kept[] = {"report.json", "events.jsonl", "x.pcap",
                                       "machines/node1/console.log",
                                       "machines/node1/console.log.1"};
    static const char *const gone[] = {
        "lab.json", "control.sock", "machines/node1/data.img", "machines/node1/smbios",
        "ports",    "link"};
    struct place place;
    char link[LAB_PATH_SIZE + 64];
    int rc;

    (void)state;
    place_make(&place);
    make_dir(&place, "machines");
    make_dir(&place, "machines/node1");
    make_dir(&place, "machines/node1/smbios");
    make_dir(&place, "ports");
    put(&place, "machines/node1/smbios/rayos.name");
    put(&place, "lab.json");
    put(&place, "control.sock");
    put(&place, "machines/node1/data.img");
    for (size_t i = 0; i < RAY_ARRAY_COUNT(kept); i++) {
        put(&place, kept[i]);
    }
    /* A link is removed, what it points to is not ours. */
    (void)snprintf(link, sizeof link, "%s/link", place.paths.dir);
    assert_int_equal(symlink("/usr", link), 0);

    for (int round = 0; round < 2; round++) { /* once more is no error */
        rc = lab_tidy(AT_FDCWD, place.paths.dir, NULL);
        assert_int_equal(rc, RAY_OK);
        for (size_t i = 0; i < RAY_ARRAY_COUNT(kept); i++) {
            assert_true(is_there(&place, kept[i]));
        }
        for (size_t i = 0; i < RAY_ARRAY_COUNT(gone); i++) {
            assert_false(is_there(&place, gone[i]));
        }
    }
    assert_int_equal(access("/usr/bin", F_OK), 0);
    place_remove(&place);
    assert_true(lab_tidy(AT_FDCWD, place.paths.dir, NULL) < 0);
}

static void test_tidy_depth(void **state)
{
    struct place place;
    char name[128] = "d";
    size_t size;

    (void)state;
    place_make(&place);
    for (int depth = 0; depth < 20; depth++) {
        make_dir(&place, name);
        size = strlen(name);
        (void)snprintf(name + size, sizeof name - size, "/d");
    }
    assert_int_equal(lab_tidy(AT_FDCWD, place.paths.dir, NULL), RAY_ETOOBIG);
    while (strlen(name) > 1) { /* from the inside, for the clean-up */
        char path[LAB_PATH_SIZE + 160];

        name[strlen(name) - 2] = '\0';
        (void)snprintf(path, sizeof path, "%s/%s", place.paths.dir, name);
        assert_int_equal(rmdir(path), 0);
    }
    place_remove(&place);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_socket_path_is_short),
        cmocka_unit_test(test_lock_excludes_and_is_inherited),
        cmocka_unit_test(test_start_ticks),
        cmocka_unit_test(test_record_finds_and_kills_the_very_process),
        cmocka_unit_test(test_record_malformed),
        cmocka_unit_test(test_record_faults),
        cmocka_unit_test(test_tidy_keeps_report_and_logs),
        cmocka_unit_test(test_tidy_depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
