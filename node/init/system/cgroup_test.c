/* cgroup_test.c - on a made-up tree: which files are written, in which groups, and that
 * names and missing controllers are handled. A real tree is there when a node boots. */
#include "node/init/system/cgroup.h"
#include "node/init/system/fake_root.h"

static const char *const groups[] = {".", "init.scope", "rayos.slice", "guests",
                                     "rayos.slice/rayosd"};
static const char *const files[] = {
    "cgroup.subtree_control", "cgroup.procs", "cgroup.kill", "memory.max",
    "memory.oom.group",       "pids.max",     "cpu.weight"};

static void make_tree(const struct fake_root *root)
{
    char path[128];

    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        for (size_t j = 0; j < sizeof files / sizeof files[0]; j++) {
            (void)snprintf(path, sizeof path, "%s/%s", groups[i], files[j]);
            fake_put(root, path, "");
        }
    }
}

static void test_setup(void **state)
{
    struct fake_root *root = *state;
    struct init_cgroup cgroup;
    struct ray_err err = {0};
    char text[4096];

    make_tree(root);
    init_cgroup_init(&cgroup);
    assert_int_equal(init_cgroup_setup(&cgroup, root->path, NULL, &err), RAY_OK);
    assert_string_equal(fake_get(root, "init.scope/cgroup.procs", text), "0");
    /* Each controller in a write of its own; a plain file keeps the last, over the first. */
    assert_non_null(strstr(fake_get(root, "cgroup.subtree_control", text), "+io"));
    assert_non_null(strstr(fake_get(root, "rayos.slice/cgroup.subtree_control", text), "+io"));
    assert_non_null(strstr(fake_get(root, "guests/cgroup.subtree_control", text), "+io"));
    init_cgroup_fini(&cgroup);
    init_cgroup_fini(&cgroup);
}

/* memory.low of a child is bounded by that of its parents. */
static void test_protect(void **state)
{
    struct fake_root *root = *state;
    struct init_cgroup cgroup;
    struct ray_err err = {0};
    char text[4096];

    make_tree(root);
    init_cgroup_init(&cgroup);
    assert_int_equal(init_cgroup_protect(&cgroup, INIT_CGROUP_SERVICES, 4096, &err),
                     RAY_EUNAVAILABLE);
    assert_int_equal(init_cgroup_setup(&cgroup, root->path, NULL, &err), RAY_OK);
    assert_int_equal(init_cgroup_protect(&cgroup, INIT_CGROUP_SERVICES, 4096, &err), RAY_OK);
    assert_false(fake_has(root, "rayos.slice/memory.low")); /* no controller: left out */
    fake_put(root, "rayos.slice/memory.low", "");
    assert_int_equal(init_cgroup_protect(&cgroup, INIT_CGROUP_SERVICES, 0, &err), RAY_OK);
    assert_string_equal(fake_get(root, "rayos.slice/memory.low", text), "");
    assert_int_equal(init_cgroup_protect(&cgroup, INIT_CGROUP_SERVICES, 4096, &err), RAY_OK);
    assert_string_equal(fake_get(root, "rayos.slice/memory.low", text), "4096");
    assert_int_equal(init_cgroup_protect(&cgroup, "nosuch", 4096, &err), RAY_ENOTFOUND);
    assert_int_equal(init_cgroup_protect(&cgroup, "../x", 4096, &err), RAY_EINVAL);
    init_cgroup_fini(&cgroup);
}

static void test_setup_without(void **state)
{
    struct fake_root *root = *state;
    struct init_cgroup cgroup;
    struct ray_err err = {0};

    init_cgroup_init(&cgroup);
    assert_int_equal(init_cgroup_setup(&cgroup, "/nowhere", NULL, &err), RAY_ENOTFOUND);
    assert_int_equal(cgroup.fd, -1);
    /* A folder that is no control group has no cgroup.procs. */
    assert_int_equal(init_cgroup_setup(&cgroup, root->path, NULL, &err), RAY_ENOTFOUND);
    assert_int_equal(cgroup.fd, -1);
}

static void test_make(void **state)
{
    const struct init_cgroup_limits limits = {.memory_max_bytes = UINT64_C(1) << 40,
                                              .memory_low_bytes = 5, /* file is missing */
                                              .pids_max = 64,
                                              .cpu_weight = 200,
                                              .kills_whole_group = true};
    struct fake_root *root = *state;
    struct init_cgroup cgroup;
    struct ray_err err = {0};
    char text[4096];
    int fd = -1;

    make_tree(root);
    init_cgroup_init(&cgroup);
    assert_int_equal(init_cgroup_make(&cgroup, INIT_CGROUP_SERVICES, "rayosd", &limits, &fd, &err),
                     RAY_EUNAVAILABLE);
    assert_int_equal(init_cgroup_setup(&cgroup, root->path, NULL, &err), RAY_OK);
    assert_int_equal(init_cgroup_make(&cgroup, INIT_CGROUP_SERVICES, "rayosd", &limits, &fd, &err),
                     RAY_OK);
    assert_string_equal(fake_get(root, "rayos.slice/rayosd/memory.max", text), "1099511627776");
    assert_string_equal(fake_get(root, "rayos.slice/rayosd/memory.oom.group", text), "1");
    assert_string_equal(fake_get(root, "rayos.slice/rayosd/pids.max", text), "64");
    assert_string_equal(fake_get(root, "rayos.slice/rayosd/cpu.weight", text), "200");
    assert_int_equal(init_cgroup_kill(fd, &err), RAY_OK);
    assert_string_equal(fake_get(root, "rayos.slice/rayosd/cgroup.kill", text), "1");
    (void)close(fd);
    init_cgroup_fini(&cgroup);
}

static void test_names(void **state)
{
    static const char *const bad[] = {"", ".", "..", ".x", "a/b", "../up"};
    const struct init_cgroup_limits none = {0};
    struct fake_root *root = *state;
    struct init_cgroup cgroup;
    struct ray_err err = {0};
    char longest[160];
    int fd = -7;

    make_tree(root);
    init_cgroup_init(&cgroup);
    assert_int_equal(init_cgroup_setup(&cgroup, root->path, NULL, &err), RAY_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(init_cgroup_make(&cgroup, INIT_CGROUP_SERVICES, bad[i], &none, &fd, &err),
                         RAY_EINVAL);
        assert_int_equal(init_cgroup_make(&cgroup, bad[i], "x", &none, &fd, &err), RAY_EINVAL);
        assert_int_equal(init_cgroup_remove(&cgroup, INIT_CGROUP_GUESTS, bad[i], &err), RAY_EINVAL);
    }
    memset(longest, 'n', sizeof longest);
    longest[128] = '\0';
    assert_int_equal(init_cgroup_make(&cgroup, INIT_CGROUP_GUESTS, longest, &none, &fd, &err),
                     RAY_EINVAL);
    longest[127] = '\0';
    assert_int_equal(init_cgroup_make(&cgroup, INIT_CGROUP_GUESTS, longest, &none, &fd, &err),
                     RAY_OK);
    (void)close(fd);
    assert_int_equal(init_cgroup_remove(&cgroup, INIT_CGROUP_GUESTS, longest, &err), RAY_OK);
    assert_int_equal(init_cgroup_remove(&cgroup, INIT_CGROUP_GUESTS, longest, &err), RAY_ENOTFOUND);
    init_cgroup_fini(&cgroup);
}

static void test_reading(void **state)
{
    struct fake_root *root = *state;
    struct ray_err err = {0};
    bool is_populated = false;
    uint64_t bytes = 0;

    assert_int_equal(init_cgroup_memory_bytes(root->fd, &bytes, &err), RAY_EUNSUPPORTED);
    fake_put(root, "memory.current", "max\n");
    assert_int_equal(init_cgroup_memory_bytes(root->fd, &bytes, &err), RAY_EMALFORMED);
    fake_put(root, "memory.current", "12345678\n");
    assert_int_equal(init_cgroup_memory_bytes(root->fd, &bytes, &err), RAY_OK);
    assert_int_equal(bytes, 12345678);
    assert_int_equal(init_cgroup_is_populated(root->fd, &is_populated, &err), RAY_ENOTFOUND);
    fake_put(root, "cgroup.events", "populated 1\nfrozen 0\n");
    assert_int_equal(init_cgroup_is_populated(root->fd, &is_populated, &err), RAY_OK);
    assert_true(is_populated);
    fake_put(root, "cgroup.events", "populated 0\nfrozen 1\n");
    assert_int_equal(init_cgroup_is_populated(root->fd, &is_populated, &err), RAY_OK);
    assert_false(is_populated);
}

static void check_faults(const struct fake_root *root, const char *point)
{
    const struct init_cgroup_limits limits = {.memory_max_bytes = 1, .pids_max = 2};

    for (unsigned n = 1;; n++) {
        struct init_cgroup cgroup;
        struct ray_err err = {0};
        int fd = -1;
        int rc;

        init_cgroup_init(&cgroup);
        ray_test_fault_arm(point, n);
        rc = init_cgroup_setup(&cgroup, root->path, NULL, &err);
        if (rc == RAY_OK) {
            rc = init_cgroup_make(&cgroup, INIT_CGROUP_SERVICES, "rayosd", &limits, &fd, &err);
        }
        if (fd >= 0) {
            (void)close(fd);
        }
        init_cgroup_fini(&cgroup);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            return;
        }
        /* A controller that cannot be enabled is only logged; the rest says why. */
        assert_true(rc == RAY_OK || err.text[0] != '\0');
        assert_true(rc == RAY_OK || fd == -1);
    }
}

static void test_faults(void **state)
{
    make_tree(*state);
    check_faults(*state, "open");
    check_faults(*state, "write");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_setup, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_protect, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_setup_without, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_make, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_names, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_reading, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_faults, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
