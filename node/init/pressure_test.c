/* What pressure makes of kernels that measure nothing, or not all. Alarms of a real kernel are
 * in tests/lab/test_node.py: only root may ask for them. */
#include "node/init/pressure.h"
#include "node/init/system/fake_root.h"

static void on_change(void *arg, enum pressure_kind kind)
{
    (void)arg;
    fail_msg("a change of %d out of nothing", (int)kind);
}

static void test_absent(void **state)
{
    struct fake_root *root = *state;
    struct pressure pressure = {0};
    struct init_psi psi;
    struct ray_loop loop;
    struct ray_err err = {0};

    pressure_fini(&pressure); /* zeroed: nothing to do */
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    assert_int_equal(pressure_init(&pressure, &loop, root->fd, on_change, NULL, &err),
                     RAY_EUNSUPPORTED);
    for (int kind = 0; kind < PRESSURE_KIND_COUNT; kind++) {
        assert_false(pressure_is_watched(&pressure, (enum pressure_kind)kind));
        assert_false(pressure_level(&pressure, (enum pressure_kind)kind)->is_high);
    }
    assert_int_equal(pressure_read(&pressure, PRESSURE_MEMORY, &psi, &err), RAY_ENOTFOUND);
    pressure_fini(&pressure);
    pressure_fini(&pressure);
    ray_loop_fini(&loop);
}

/* A FIFO takes the trigger and can be polled; a plain file cannot. */
static void make_files(struct fake_root *root)
{
    fake_put(root, "proc/pressure/memory", "some avg10=5.00 x\nfull avg10=3.00 x\n");
    assert_int_equal(mkfifoat(root->fd, "proc/pressure/io", 0600), 0);
}

static void test_some(void **state)
{
    struct fake_root *root = *state;
    struct pressure pressure;
    struct init_psi psi;
    struct ray_loop loop;
    struct ray_err err = {0};

    make_files(root);
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    assert_int_equal(pressure_init(&pressure, &loop, root->fd, on_change, NULL, &err), RAY_OK);
    assert_false(pressure_is_watched(&pressure, PRESSURE_MEMORY));
    assert_true(pressure_is_watched(&pressure, PRESSURE_IO));
    assert_false(pressure_is_watched(&pressure, PRESSURE_CPU));
    fake_put(root, "proc/pressure/memory", "some avg10=5.00 x\nfull avg10=3.00 x\n");
    assert_int_equal(pressure_read(&pressure, PRESSURE_MEMORY, &psi, &err), RAY_OK);
    assert_int_equal(psi.full_percent, 3);
    pressure_fini(&pressure);
    ray_loop_fini(&loop);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "write"};
    struct fake_root *root = *state;

    make_files(root);
    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        bool has_fired = true;
        for (unsigned n = 1; has_fired; n++) {
            struct pressure pressure;
            struct ray_loop loop;
            struct ray_err err = {0};
            int rc;

            assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
            ray_test_fault_arm(points[p], n);
            rc = pressure_init(&pressure, &loop, root->fd, on_change, NULL, &err);
            has_fired = ray_test_fault_disarm();
            assert_int_equal(rc == RAY_OK, pressure_is_watched(&pressure, PRESSURE_IO));
            pressure_fini(&pressure);
            ray_loop_fini(&loop);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_absent, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_some, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_faults, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
