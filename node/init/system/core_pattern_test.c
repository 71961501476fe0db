#include "node/init/system/core_pattern.h"
#include "node/init/system/fake_root.h"

#define PATTERN_FILE "proc/sys/kernel/core_pattern"

static void put_all(const struct fake_root *root)
{
    char path[128];

    fake_put(root, "proc/sys/kernel/core_pipe_limit", "");
    fake_put(root, PATTERN_FILE, "");
    fake_put(root, "proc/sys/fs/suid_dumpable", "");
    fake_put(root, INIT_CORES_PROGRAM, "#!/bin/sh\n");
    (void)snprintf(path, sizeof path, "%s/" INIT_CORES_PROGRAM, root->path);
    assert_int_equal(chmod(path, 0755), 0);
}

static void test_words(void **state)
{
    enum init_cores cores = INIT_CORES_FULL;

    (void)state;
    assert_int_equal(init_cores_parse("", &cores), RAY_EINVAL);
    assert_int_equal(init_cores_parse("yes", &cores), RAY_EINVAL);
    assert_int_equal(init_cores_parse("INFO", &cores), RAY_EINVAL);
    assert_int_equal(cores, INIT_CORES_FULL);
    for (int i = INIT_CORES_INFO; i <= INIT_CORES_OFF; i++) {
        assert_int_equal(init_cores_parse(init_cores_word((enum init_cores)i), &cores), RAY_OK);
        assert_int_equal(cores, i);
    }
}

static void test_setup(void **state)
{
    struct fake_root *root = *state;
    char text[4096];

    put_all(root);
    assert_int_equal(init_cores_setup(root->fd, INIT_CORES_FULL, NULL), RAY_OK);
    assert_string_equal(fake_get(root, PATTERN_FILE, text),
                        "|/usr/lib/rayos/rayos-core full %P %I %u %g %s %t %d");
    assert_string_equal(fake_get(root, "proc/sys/kernel/core_pipe_limit", text), "2");
    assert_string_equal(fake_get(root, "proc/sys/fs/suid_dumpable", text), "2");
}

static void test_off_and_without_collector(void **state)
{
    struct fake_root *root = *state;
    char text[4096];

    put_all(root);
    assert_int_equal(init_cores_setup(root->fd, INIT_CORES_OFF, NULL), RAY_ENOTFOUND);
    assert_int_equal(unlinkat(root->fd, INIT_CORES_PROGRAM, 0), 0);
    assert_int_equal(init_cores_setup(root->fd, INIT_CORES_INFO, NULL), RAY_ENOTFOUND);
    assert_string_equal(fake_get(root, PATTERN_FILE, text), "");
    assert_string_equal(fake_get(root, "proc/sys/fs/suid_dumpable", text), "");
}

/* A process that changed its user is never dumped unless the pattern is set. */
static void test_faults(void **state)
{
    struct fake_root *root = *state;
    char text[4096];

    for (unsigned n = 1;; n++) {
        int rc;

        put_all(root);
        ray_test_fault_arm("write", n);
        rc = init_cores_setup(root->fd, INIT_CORES_INFO, NULL);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOSPC);
        assert_string_equal(fake_get(root, "proc/sys/fs/suid_dumpable", text), "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test_setup_teardown(test_setup, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_off_and_without_collector, fake_root_setup,
                                        fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_faults, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
