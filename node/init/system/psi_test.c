/* Pressure files as kernels write them, and which groups are named first. */
#include "node/init/system/fake_root.h"
#include "node/init/system/psi.h"

static void test_parse(void **state)
{
    struct init_psi psi = {.some_percent = 7, .full_percent = 7};
    struct ray_err err = {0};

    (void)state;
    assert_int_equal(init_psi_parse("some avg10=12.34 avg60=0.00 avg300=0.00 total=1\n"
                                    "full avg10=100.00 avg60=0.00 avg300=0.00 total=1",
                                    &psi, &err),
                     RAY_OK);
    assert_int_equal(psi.some_percent, 12);
    assert_int_equal(psi.full_percent, 100);
    assert_int_equal(init_psi_parse("some avg10=0.99 avg60=0.00", &psi, &err), RAY_OK);
    assert_int_equal(psi.some_percent, 0);
    assert_int_equal(psi.full_percent, 0);
}

static void test_malformed(void **state)
{
    static const char *const texts[] = {
        "",
        "some",
        "some avg10=",
        "some avg10=-1.00",
        "some avg10=101.00",
        "some avg10=5",
        "some avg10=99999999999999999999.00",
        "full avg10=1.00",
        "some avg10=1.00 avg60=0.00\nfull avg10=x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct init_psi psi = {.some_percent = 7, .full_percent = 7};
        struct ray_err err = {0};
        assert_int_equal(init_psi_parse(texts[i], &psi, &err), RAY_EMALFORMED);
        assert_int_equal(psi.some_percent, 7); /* untouched */
    }
}

static void put_group(const struct fake_root *root, const char *name, unsigned some, unsigned full,
                      unsigned bytes)
{
    char path[128];
    char text[128];

    (void)snprintf(path, sizeof path, "%s/memory.pressure", name);
    (void)snprintf(text, sizeof text, "some avg10=%u.00 x\nfull avg10=%u.00 x\n", some, full);
    fake_put(root, path, text);
    (void)snprintf(path, sizeof path, "%s/memory.current", name);
    (void)snprintf(text, sizeof text, "%u\n", bytes);
    fake_put(root, path, text);
}

static void test_top(void **state)
{
    struct fake_root *root = *state;
    struct init_cgroup cgroup = {.fd = root->fd};
    struct init_psi_group groups[3];
    size_t count;

    assert_int_equal(init_psi_top(&cgroup, "memory", groups, 3), 0); /* no branch */
    put_group(root, "rayos.slice/calm", 0, 0, 9000);
    put_group(root, "rayos.slice/full", 30, 20, 10);
    put_group(root, "rayos.slice/some", 40, 0, 10);
    put_group(root, "rayos.slice/small", 0, 0, 1);
    put_group(root, "guests/worst", 30, 21, 10);
    fake_put(root, "rayos.slice/memory.pressure", "some avg10=99.00 x\n"); /* no group */
    fake_put(root, "rayos.slice/bare/cgroup.procs", "");                   /* measures nothing */
    count = init_psi_top(&cgroup, "memory", groups, 3);
    assert_int_equal(count, 3);
    assert_string_equal(groups[0].name, "worst");
    assert_string_equal(groups[1].name, "full");
    assert_int_equal(groups[1].memory_bytes, 10);
    assert_string_equal(groups[2].name, "some");
    count = init_psi_top(&cgroup, "memory", groups, 1);
    assert_int_equal(count, 1);
    assert_string_equal(groups[0].name, "worst");
    assert_int_equal(init_psi_top(&cgroup, "io", groups, 3), 0);
    cgroup.fd = -1;
    assert_int_equal(init_psi_top(&cgroup, "memory", groups, 3), 0);
}

static void test_top_names_and_count(void **state)
{
    struct fake_root *root = *state;
    struct init_cgroup cgroup = {.fd = root->fd};
    struct init_psi_group groups[INIT_PSI_GROUP_COUNT_MAX + 8];
    char name[64];

    put_group(root, "guests/a\033b", 1, 1, 1);
    assert_int_equal(init_psi_top(&cgroup, "memory", groups, 2), 1);
    assert_string_equal(groups[0].name, "a\\x1bb");
    for (unsigned i = 0; i < INIT_PSI_GROUP_COUNT_MAX + 4; i++) {
        (void)snprintf(name, sizeof name, "rayos.slice/s%u", i);
        put_group(root, name, i % 100, 0, i);
    }
    /* One branch cannot keep us busy without end. */
    assert_int_equal(init_psi_top(&cgroup, "memory", groups, sizeof groups / sizeof groups[0]),
                     INIT_PSI_GROUP_COUNT_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test_setup_teardown(test_top, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_top_names_and_count, fake_root_setup,
                                        fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
