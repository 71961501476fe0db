#include "node/core/core_process.h"
#include "node/init/system/fake_root.h"

enum { COUNT = 9 };

static int parse(const char *const *words, struct core_process *out)
{
    char *argv[COUNT + 1];
    int argc = 0;

    for (; argc < COUNT && words[argc] != NULL; argc++) {
        argv[argc] = (char *)(uintptr_t)words[argc];
    }
    argv[argc] = NULL;
    return core_process_args(argc, argv, out, NULL);
}

static void test_arguments(void **state)
{
    static const char *const good[] = {"rayos-core", "full", "301",        "302", "900",
                                       "901",        "11",   "1700000000", "1",   NULL};
    struct core_process process = {.pid = 5};

    (void)state;
    assert_int_equal(parse(good, &process), RAY_OK);
    assert_int_equal(process.wanted, CORE_KEEP_MEMORY);
    assert_int_equal(process.pid, 301);
    assert_int_equal(process.tid, 302);
    assert_int_equal(process.uid, 900);
    assert_int_equal(process.gid, 901);
    assert_int_equal(process.signal, 11);
    assert_int_equal(process.time_s, 1700000000);
    assert_int_equal(process.dump_mode, 1);
}

static void test_bad_arguments(void **state)
{
    static const char *const words[] = {"rayos-core", "info", "301",        "302", "900",
                                        "901",        "11",   "1700000000", "1",   NULL};
    static const struct {
        int at;
        const char *word;
    } bad[] = {{1, "off"},        {1, ""},   {2, "x"}, {2, "99999999"}, {2, "-1"},
               {4, "4294967296"}, {6, "65"}, {7, ""},  {8, "3"},        {8, NULL}};
    struct core_process process = {.pid = 5};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *changed[COUNT + 1];

        memcpy(changed, words, sizeof words);
        changed[bad[i].at] = bad[i].word;
        assert_int_equal(parse(changed, &process), RAY_EUSAGE);
        assert_int_equal(process.pid, 5);
    }
}

static void test_services(void **state)
{
    char service[CORE_SERVICE_SIZE_MAX];

    (void)state;
    core_service_of("0::/rayos.slice/rayosd", service);
    assert_string_equal(service, "rayosd");
    core_service_of("0::/rayos.slice/rayosd/child", service);
    assert_string_equal(service, "rayosd");
    core_service_of("0::/rayos.slice/", service);
    assert_string_equal(service, "");
    core_service_of("0::/guests/x", service);
    assert_string_equal(service, "");
    core_service_of("1:cpu:/rayos.slice/rayosd", service);
    assert_string_equal(service, "");
    core_service_of("0::/rayos.slice/"
                    "0123456789012345678901234567890123456789012345678901234567890123",
                    service);
    assert_string_equal(service, "");
}

static void test_reading(void **state)
{
    struct fake_root *root = *state;
    struct core_process process = {.pid = 301};

    core_process_read(root->fd, &process);
    assert_string_equal(process.comm, "");
    fake_put(root, "proc/301/comm", "my \n prog\n");
    fake_put(root, "proc/301/cgroup", "0::/rayos.slice/rayosd\n");
    assert_int_equal(symlinkat("/usr/bin/x (deleted)", root->fd, "proc/301/exe"), 0);
    fake_put(root, "proc/sys/kernel/random/boot_id", "c0ffee\n");
    fake_put(root, "usr/lib/rayos/image.json", "{\"version\": \"0.1\"}");
    core_process_read(root->fd, &process);
    assert_string_equal(process.comm, "my \n prog");
    assert_string_equal(process.exe, "/usr/bin/x (deleted)");
    assert_string_equal(process.service, "rayosd");
    assert_string_equal(process.boot_id, "c0ffee");
    assert_string_equal(process.image_version, "0.1");
    for (unsigned n = 1;; n++) {
        struct core_process faulty = {.pid = 301};

        ray_test_fault_arm("read", n);
        core_process_read(root->fd, &faulty);
        if (!ray_test_fault_disarm()) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_services),
        cmocka_unit_test_setup_teardown(test_reading, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
