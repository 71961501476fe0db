#include "node/init/system/fake_root.h"
#include "node/init/system/sysctl.h"

static void test_apply(void **state)
{
    static const struct init_sysctl_entry table[] = {
        {"proc/sys/kernel/panic", "10", "test"},
        {"proc/sys/kernel/absent", "1", "test"},
        {"sys/kernel/mm/shmem", "advise", "test"},
    };
    struct fake_root *root = *state;
    size_t skipped_count = 0;
    char text[4096];

    fake_put(root, "proc/sys/kernel/panic", "");
    fake_put(root, "sys/kernel/mm/shmem", "");
    init_sysctl_apply(root->fd, table, 3, NULL, &skipped_count);
    assert_int_equal(skipped_count, 1);
    assert_string_equal(fake_get(root, "proc/sys/kernel/panic", text), "10");
    assert_string_equal(fake_get(root, "sys/kernel/mm/shmem", text), "advise");
    assert_false(fake_has(root, "proc/sys/kernel/absent"));
}

static void test_faults(void **state)
{
    static const struct init_sysctl_entry table[] = {{"a", "1", "test"}, {"b", "2", "test"}};
    struct fake_root *root = *state;

    fake_put(root, "a", "");
    fake_put(root, "b", "");
    for (unsigned n = 1;; n++) {
        size_t skipped_count = 0;

        ray_test_fault_arm("write", n);
        init_sysctl_apply(root->fd, table, 2, NULL, &skipped_count);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(skipped_count, 0);
            break;
        }
        assert_int_equal(skipped_count, 1);
    }
}

static void test_table(void **state)
{
    const struct init_sysctl_entry *table;
    size_t count;

    (void)state;
    table = init_sysctl_table(&count);
    for (size_t i = 0; i < count; i++) {
        assert_true(strncmp(table[i].path, "proc/sys/", 9) == 0 ||
                    strncmp(table[i].path, "sys/", 4) == 0);
        assert_int_not_equal(table[i].why[0], '\0');
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(table[i].path, table[j].path);
        }
    }
}

static void test_console_level(void **state)
{
    struct fake_root *root = *state;
    struct ray_err err = {0};
    char text[4096];

    assert_int_equal(init_sysctl_console_level(root->fd, 1, &err), RAY_ENOTFOUND);
    fake_put(root, "proc/sys/kernel/printk", "");
    assert_int_equal(init_sysctl_console_level(root->fd, 8, &err), RAY_EINVAL);
    assert_int_equal(init_sysctl_console_level(root->fd, -1, &err), RAY_EINVAL);
    assert_int_equal(init_sysctl_console_level(root->fd, 7, &err), RAY_OK);
    assert_string_equal(fake_get(root, "proc/sys/kernel/printk", text), "7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_apply, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_faults, fake_root_setup, fake_root_teardown),
        cmocka_unit_test(test_table),
        cmocka_unit_test_setup_teardown(test_console_level, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
