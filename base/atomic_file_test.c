#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/test.h"

struct folder {
    char path[64];
    int fd;
};

static int setup(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);

    if (folder == NULL) {
        return -1;
    }
    (void)snprintf(folder->path, sizeof folder->path, "/tmp/ray-atomic-XXXXXX");
    if (mkdtemp(folder->path) == NULL) {
        free(folder);
        return -1;
    }
    folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = folder;
    return folder->fd < 0 ? -1 : 0;
}

/* Tests leave only files and the folders they name here. */
static int teardown(void **state)
{
    struct folder *folder = *state;
    char command[128];
    int rc;

    (void)close(folder->fd);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder->path);
    rc = system(command); /* NOLINT(bugprone-command-processor): our own mkdtemp name */
    free(folder);
    return rc;
}

static int count_entries(const struct folder *folder)
{
    DIR *dir = opendir(folder->path);
    struct dirent *entry;
    int count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 ? 1 : 0;
    }
    (void)closedir(dir);
    return count;
}

static void check_content(const struct folder *folder, const char *name, const char *expected)
{
    uint8_t *data = NULL;
    size_t size = 0;

    assert_int_equal(ray_file_read(folder->fd, name, 1 << 20, &data, &size, NULL), RAY_OK);
    assert_int_equal(size, strlen(expected));
    assert_string_equal((char *)data, expected); /* the NUL beyond, too */
    free(data);
}

static void test_write_and_replace(void **state)
{
    struct folder *folder = *state;
    struct stat st;

    assert_int_equal(ray_atomic_write(folder->fd, "a", "old", 3, 0640, NULL), RAY_OK);
    check_content(folder, "a", "old");
    assert_int_equal(ray_atomic_write(folder->fd, "a", "newer", 5, 0666, NULL), RAY_OK);
    check_content(folder, "a", "newer");
    assert_int_equal(fstatat(folder->fd, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0666); /* whatever the umask is */
    assert_int_equal(ray_atomic_write(folder->fd, "empty", NULL, 0, 0600, NULL), RAY_OK);
    check_content(folder, "empty", "");
    assert_int_equal(count_entries(folder), 2);
}

static void test_names(void **state)
{
    struct folder *folder = *state;
    struct ray_err err = {0};
    char path[128];
    char *big;

    assert_int_equal(ray_make_dirs(folder->fd, "d/e", 0755, NULL), RAY_OK);
    assert_int_equal(ray_atomic_write(folder->fd, "d/e/f", "x", 1, 0600, NULL), RAY_OK);
    check_content(folder, "d/e/f", "x");
    (void)snprintf(path, sizeof path, "%s/abs", folder->path);
    assert_int_equal(ray_atomic_write(AT_FDCWD, path, "y", 1, 0600, NULL), RAY_OK);
    check_content(folder, "abs", "y");
    assert_int_equal(ray_atomic_write(folder->fd, "", "x", 1, 0600, &err), RAY_EINVAL);
    assert_int_equal(ray_atomic_write(folder->fd, "d/", "x", 1, 0600, &err), RAY_EINVAL);
    assert_int_equal(ray_atomic_write(folder->fd, "d/..", "x", 1, 0600, &err), RAY_EINVAL);
    assert_int_equal(ray_atomic_write(folder->fd, "none/f", "x", 1, 0600, &err), RAY_ENOTFOUND);
    assert_non_null(strstr(err.text, "none/f"));
    assert_int_equal(ray_atomic_write(folder->fd, "d", "x", 1, 0600, &err), RAY_EINVAL);
    big = malloc(5001);
    assert_non_null(big);
    memset(big, 'x', 5000);
    big[4000] = '/';
    big[5000] = '\0';
    assert_int_equal(ray_atomic_write(folder->fd, big, "x", 1, 0600, &err), RAY_ETOOBIG);
    big[4000] = 'x';
    big[4500] = '/';
    assert_int_equal(ray_atomic_write(folder->fd, big, "x", 1, 0600, &err), RAY_ETOOBIG);
    assert_int_equal(ray_make_dirs(folder->fd, big, 0755, &err), RAY_ETOOBIG);
    free(big);
    assert_int_equal(count_entries(folder), 2); /* no temporary file is left */
}

/* For each fault of each kind: the old file or, after a failed sync of the folder, the new;
 * never anything else, and no temporary file. */
static void test_write_faults(void **state)
{
    static const char *const points[] = {"open", "write", "fsync", "rename"};
    struct folder *folder = *state;

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            struct ray_err err = {0};
            uint8_t *data = NULL;
            size_t size = 0;
            bool has_fired;
            int rc;

            assert_int_equal(ray_atomic_write(folder->fd, "f", "old", 3, 0600, NULL), RAY_OK);
            ray_test_fault_arm(points[i], n);
            rc = ray_atomic_write(folder->fd, "f", "new", 3, 0600, &err);
            has_fired = ray_test_fault_disarm();
            assert_int_equal(count_entries(folder), 1);
            assert_int_equal(ray_file_read(folder->fd, "f", 10, &data, &size, NULL), RAY_OK);
            if (!has_fired) {
                assert_int_equal(rc, RAY_OK);
                assert_string_equal((char *)data, "new");
                free(data);
                break;
            }
            assert_true(rc < 0);
            assert_int_equal(err.code, rc);
            if (strcmp(points[i], "fsync") != 0 || n == 1) {
                assert_string_equal((char *)data, "old");
            }
            free(data);
        }
    }
}

static void test_read_limits(void **state)
{
    struct folder *folder = *state;
    uint8_t *data = NULL;
    size_t size = 7;

    assert_int_equal(ray_atomic_write(folder->fd, "f", "12345", 5, 0600, NULL), RAY_OK);
    assert_int_equal(ray_file_read(folder->fd, "f", 4, &data, &size, NULL), RAY_ETOOBIG);
    assert_int_equal(ray_file_read(folder->fd, "f", 0, &data, &size, NULL), RAY_ETOOBIG);
    assert_int_equal(ray_file_read(folder->fd, "g", 4, &data, &size, NULL), RAY_ENOTFOUND);
    assert_int_equal(ray_file_read(folder->fd, ".", 4, &data, &size, NULL), RAY_EINVAL);
    assert_null(data);
    assert_int_equal(size, 7);
    assert_int_equal(ray_file_read(folder->fd, "f", 5, &data, &size, NULL), RAY_OK);
    assert_int_equal(size, 5);
    free(data);
    assert_int_equal(ray_file_read(AT_FDCWD, "/proc/self/status", 1 << 16, &data, &size, NULL),
                     RAY_OK);
    assert_non_null(strstr((char *)data, "Pid:"));
    free(data);
}

static void test_read_faults(void **state)
{
    static const char *const points[] = {"open", "alloc", "read"};
    struct folder *folder = *state;
    char big[10000];

    memset(big, 'b', sizeof big);
    assert_int_equal(ray_atomic_write(folder->fd, "f", big, sizeof big, 0600, NULL), RAY_OK);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            uint8_t *data = NULL;
            size_t size = 0;
            int rc;

            ray_test_fault_arm(points[i], n);
            rc = ray_file_read(folder->fd, "f", sizeof big, &data, &size, NULL);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                assert_int_equal(size, sizeof big);
                assert_memory_equal(data, big, sizeof big);
                free(data);
                break;
            }
            assert_true(rc < 0);
            assert_null(data);
        }
    }
}

static void test_read_text(void **state)
{
    struct folder *folder = *state;
    char out[6] = "kept";

    assert_int_equal(ray_atomic_write(folder->fd, "f", "12345 \n", 7, 0600, NULL), RAY_OK);
    assert_int_equal(ray_file_read_text(folder->fd, "f", out, sizeof out, NULL), RAY_OK);
    assert_string_equal(out, "12345");
    assert_int_equal(ray_file_read_text(folder->fd, "f", out, 5, NULL), RAY_ETOOBIG);
    assert_int_equal(ray_atomic_write(folder->fd, "f", "1\0002\n", 4, 0600, NULL), RAY_OK);
    assert_int_equal(ray_file_read_text(folder->fd, "f", out, sizeof out, NULL), RAY_EMALFORMED);
    assert_int_equal(ray_atomic_write(folder->fd, "f", "dt\0", 3, 0600, NULL), RAY_OK);
    assert_int_equal(ray_file_read_text(folder->fd, "f", out, sizeof out, NULL), RAY_OK);
    assert_string_equal(out, "dt");
    assert_int_equal(ray_atomic_write(folder->fd, "f", " \n", 2, 0600, NULL), RAY_OK);
    assert_int_equal(ray_file_read_text(folder->fd, "f", out, sizeof out, NULL), RAY_OK);
    assert_string_equal(out, "");
    assert_int_equal(ray_file_read_text(folder->fd, "g", out, sizeof out, NULL), RAY_ENOTFOUND);
}

static void test_write_existing(void **state)
{
    struct folder *folder = *state;
    struct ray_err err = {0};

    assert_int_equal(ray_file_write_existing(folder->fd, "f", "1", &err), RAY_ENOTFOUND);
    assert_int_equal(ray_atomic_write(folder->fd, "f", "0", 1, 0600, NULL), RAY_OK);
    assert_int_equal(ray_file_write_existing(folder->fd, "f", "1", &err), RAY_OK);
    check_content(folder, "f", "1");
    assert_int_equal(ray_file_write_existing(AT_FDCWD, "/proc/self/oom_score_adj", "x", &err),
                     RAY_EINVAL);
    assert_non_null(strstr(err.text, "oom_score_adj"));
#ifdef RAY_FAULTS
    ray_test_fault_arm("write", 1);
    assert_int_equal(ray_file_write_existing(folder->fd, "f", "1", &err), RAY_ENOSPC);
    assert_true(ray_test_fault_disarm());
#endif
}

static void test_make_dirs(void **state)
{
    struct folder *folder = *state;
    char path[128];
    struct stat st;

    assert_int_equal(ray_make_dirs(folder->fd, "a//b/c/", 0750, NULL), RAY_OK);
    assert_int_equal(ray_make_dirs(folder->fd, "a/b/c", 0750, NULL), RAY_OK);
    assert_int_equal(fstatat(folder->fd, "a/b/c", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0750);
    assert_int_equal(ray_make_dirs(folder->fd, ".", 0750, NULL), RAY_OK);
    (void)snprintf(path, sizeof path, "%s/x/y", folder->path);
    assert_int_equal(ray_make_dirs(AT_FDCWD, path, 0755, NULL), RAY_OK);
    assert_int_equal(ray_atomic_write(folder->fd, "a/file", "", 0, 0600, NULL), RAY_OK);
    assert_int_equal(ray_make_dirs(folder->fd, "a/file/d", 0755, NULL), RAY_EINVAL);
    for (unsigned n = 1;; n++) {
        int rc;

        (void)snprintf(path, sizeof path, "new%u/sub", n);
        ray_test_fault_arm(n % 2 == 0 ? "open" : "fsync", n / 2 + 1);
        rc = ray_make_dirs(folder->fd, path, 0755, NULL);
        if (!ray_test_fault_disarm() && n % 2 == 0) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        /* Whatever was made, the next try completes it. */
        assert_int_equal(ray_make_dirs(folder->fd, path, 0755, NULL), RAY_OK);
    }
}

static void test_sweep(void **state)
{
    struct folder *folder = *state;

    assert_int_equal(ray_atomic_write(folder->fd, ".tmp-0123", "x", 1, 0600, NULL), RAY_OK);
    assert_int_equal(ray_atomic_write(folder->fd, ".tmp-", "x", 1, 0600, NULL), RAY_OK);
    assert_int_equal(ray_atomic_write(folder->fd, "keep", "x", 1, 0600, NULL), RAY_OK);
    assert_int_equal(ray_atomic_write(folder->fd, "x.tmp-", "x", 1, 0600, NULL), RAY_OK);
    assert_int_equal(ray_make_dirs(folder->fd, ".tmp-folder", 0755, NULL), RAY_OK);
    assert_int_equal(ray_atomic_sweep(folder->fd, ".", NULL), 2);
    assert_int_equal(ray_atomic_sweep(AT_FDCWD, folder->path, NULL), 0);
    assert_int_equal(count_entries(folder), 3);
    assert_int_equal(ray_atomic_sweep(folder->fd, "none", NULL), RAY_ENOTFOUND);
#ifdef RAY_FAULTS
    ray_test_fault_arm("alloc", 1);
    assert_int_equal(ray_atomic_sweep(folder->fd, ".", NULL), RAY_ENOMEM);
    assert_true(ray_test_fault_disarm());
#endif
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_and_replace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_existing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_make_dirs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
