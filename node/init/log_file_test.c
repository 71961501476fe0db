#include <string.h>

#include "node/init/log_file.h"
#include "node/init/system/fake_root.h"

static struct log_file opened(const struct fake_root *root, uint64_t size_max, unsigned ancestors)
{
    struct log_file file;
    struct ray_err err = {0};

    assert_int_equal(log_file_open(&file, root->path, size_max, ancestors, &err), RAY_OK);
    return file;
}

static int append(struct log_file *file, const char *text)
{
    return log_file_append(file, text, strlen(text), NULL);
}

static bool exists(const struct fake_root *root, const char *name)
{
    return faccessat(root->fd, name, F_OK, 0) == 0;
}

static void test_appends_over_reopening(void **state)
{
    const struct fake_root *root = *state;
    struct log_file file = opened(root, 1000, 2);
    char text[4096];

    assert_int_equal(append(&file, "one\n"), RAY_OK);
    assert_true(file.is_dirty);
    assert_int_equal(log_file_sync(&file, NULL), RAY_OK);
    assert_false(file.is_dirty);
    log_file_close(&file);
    log_file_close(&file);
    file = opened(root, 1000, 2);
    assert_int_equal(file.size_bytes, 4);
    assert_int_equal(append(&file, "two\n"), RAY_OK);
    assert_string_equal(fake_get(root, LOG_FILE_NAME, text), "one\ntwo\n");
    log_file_close(&file);
}

/* At the limit nothing rotates; one byte beyond it does. The oldest falls out. */
static void test_rotates(void **state)
{
    const struct fake_root *root = *state;
    struct log_file file = opened(root, 8, 2);
    char text[4096];

    assert_int_equal(append(&file, "aaa\n"), RAY_OK);
    assert_int_equal(append(&file, "bbb\n"), RAY_OK);
    assert_int_equal(file.rotation_count, 0);
    assert_int_equal(append(&file, "c\n"), RAY_OK);
    assert_int_equal(file.rotation_count, 1);
    assert_string_equal(fake_get(root, LOG_FILE_NAME, text), "c\n");
    assert_string_equal(fake_get(root, LOG_FILE_NAME ".1", text), "aaa\nbbb\n");
    assert_int_equal(append(&file, "much more than fits\n"), RAY_OK); /* alone in its file */
    assert_string_equal(fake_get(root, LOG_FILE_NAME ".1", text), "c\n");
    assert_int_equal(append(&file, "d\n"), RAY_OK);
    assert_string_equal(fake_get(root, LOG_FILE_NAME ".2", text), "c\n");
    assert_false(exists(root, LOG_FILE_NAME ".3"));
    log_file_close(&file);
}

static void test_without_ancestors(void **state)
{
    const struct fake_root *root = *state;
    struct log_file file = opened(root, 4, 0);
    char text[4096];

    assert_int_equal(append(&file, "aaa\n"), RAY_OK);
    assert_int_equal(append(&file, "b\n"), RAY_OK);
    assert_string_equal(fake_get(root, LOG_FILE_NAME, text), "b\n");
    assert_false(exists(root, LOG_FILE_NAME ".1"));
    log_file_close(&file);
}

/* A write that fails leaves no part of its line; the disk is "full" by the injected fault, so
 * the ancestors go first. */
static void test_full_disk_drops_oldest(void **state)
{
    const struct fake_root *root = *state;
    struct log_file file = opened(root, 4, 3);
    char text[4096];

    assert_int_equal(append(&file, "aaa\n"), RAY_OK);
    assert_int_equal(append(&file, "bbb\n"), RAY_OK);
    assert_int_equal(append(&file, "ccc\n"), RAY_OK);
    assert_true(exists(root, LOG_FILE_NAME ".2"));
    file.size_max = 100;
    if (!ray_fault_set("write:1")) {
        skip(); /* a build without faults */
    }
    assert_int_equal(append(&file, "ddd\n"), RAY_OK);
    assert_true(ray_fault_has_fired());
    assert_int_equal(file.dropped_file_count, 1);
    assert_false(exists(root, LOG_FILE_NAME ".2"));
    assert_true(exists(root, LOG_FILE_NAME ".1"));
    (void)ray_fault_set("write:1+");
    assert_int_equal(append(&file, "eee\n"), RAY_ENOSPC);
    (void)ray_fault_set(NULL);
    assert_false(exists(root, LOG_FILE_NAME ".1"));
    assert_string_equal(fake_get(root, LOG_FILE_NAME, text), "ccc\nddd\n");
    assert_int_equal(append(&file, "fff\n"), RAY_OK); /* space is back */
    assert_string_equal(fake_get(root, LOG_FILE_NAME, text), "ccc\nddd\nfff\n");
    log_file_close(&file);
}

/* Every step of a rotation fails once; afterwards the log goes on and keeps whole lines. */
static void test_every_fault_in_rotation(void **state)
{
    static const char *const points[] = {"open", "write", "fsync", "rename"};
    const struct fake_root *root = *state;

    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        for (unsigned n = 1;; n++) {
            struct log_file file = opened(root, 4, 2);
            char text[4096];
            int rc;
            (void)append(&file, "aaa\n");
            ray_test_fault_arm(points[p], n);
            rc = append(&file, "bbb\n");
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                log_file_close(&file);
                break;
            }
            assert_int_equal(append(&file, "ccc\n"), RAY_OK);
            assert_int_equal(strlen(fake_get(root, LOG_FILE_NAME, text)) % 4, 0);
            log_file_close(&file);
        }
    }
}

static void test_no_folder(void **state)
{
    struct log_file file;
    struct ray_err err = {0};

    (void)state;
    assert_int_equal(log_file_open(&file, "/nonexistent/folder", 10, 1, &err), RAY_ENOTFOUND);
    assert_int_equal(file.fd, -1);
    log_file_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_appends_over_reopening, fake_root_setup,
                                        fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_rotates, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_without_ancestors, fake_root_setup,
                                        fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_full_disk_drops_oldest, fake_root_setup,
                                        fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_every_fault_in_rotation, fake_root_setup,
                                        fake_root_teardown),
        cmocka_unit_test(test_no_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
