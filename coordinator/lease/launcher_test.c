#include "base/test.h"
#include "coordinator/lease/launcher.h"

static const struct ray_id guest = {{7}};
static const struct ray_id other = {{8}};

static struct ray_epoch e(uint64_t index)
{
    return (struct ray_epoch){1, index};
}

static struct coord_launcher *begin(void)
{
    struct coord_launcher *launcher = malloc(sizeof *launcher);

    assert_non_null(launcher);
    coord_launcher_init(launcher);
    assert_int_equal(coord_launcher_check(launcher, NULL), RAY_OK);
    return launcher;
}

static void test_one_epoch_one_run(void **state)
{
    struct coord_launcher *launcher = begin();
    bool has_monitor = false;

    (void)state;
    assert_int_equal(coord_launcher_fork(launcher, &guest, e(5), NULL), RAY_OK);
    assert_int_equal(coord_launcher_fork(launcher, &guest, e(6), NULL), RAY_EEXISTS);
    coord_launcher_reaped(launcher, &guest); /* it died by itself */
    assert_int_equal(coord_launcher_fork(launcher, &guest, e(5), NULL), RAY_ECONFLICT);
    assert_int_equal(coord_launcher_fork(launcher, &guest, e(4), NULL), RAY_ECONFLICT);
    assert_int_equal(coord_launcher_fork(launcher, &guest, e(6), NULL), RAY_OK);
    assert_int_equal(coord_launcher_end(launcher, &guest, e(5), &has_monitor, NULL), RAY_ECONFLICT);
    assert_int_equal(coord_launcher_end(launcher, &guest, e(6), &has_monitor, NULL), RAY_OK);
    assert_true(has_monitor);
    coord_launcher_reaped(launcher, &guest);
    /* Never forked, and never will be: burned by its end. */
    assert_int_equal(coord_launcher_end(launcher, &guest, e(9), &has_monitor, NULL), RAY_OK);
    assert_false(has_monitor);
    assert_int_equal(coord_launcher_fork(launcher, &guest, e(9), NULL), RAY_ECONFLICT);
    assert_int_equal(coord_launcher_fork(launcher, &guest, (struct ray_epoch){2, 1}, NULL), RAY_OK);
    free(launcher);
}

static void test_frozen_and_canceled(void **state)
{
    struct coord_launcher *launcher = begin();

    (void)state;
    assert_int_equal(coord_launcher_freeze(launcher, &guest, e(5), NULL), RAY_ECONFLICT);
    assert_int_equal(coord_launcher_fork(launcher, &guest, e(5), NULL), RAY_OK);
    assert_int_equal(coord_launcher_freeze(launcher, &guest, e(4), NULL), RAY_ECONFLICT);
    assert_int_equal(coord_launcher_freeze(launcher, &guest, e(5), NULL), RAY_OK);
    assert_int_equal(coord_launcher_freeze(launcher, &guest, e(5), NULL), RAY_ECONFLICT);
    assert_int_equal(coord_launcher_adopt(launcher, &guest, e(6), RAY_EPOCH_MIGRATION, e(5), NULL),
                     RAY_ECONFLICT);
    assert_int_equal(coord_launcher_adopt(launcher, &guest, e(6), RAY_EPOCH_CANCEL, e(4), NULL),
                     RAY_ECONFLICT);
    assert_int_equal(coord_launcher_adopt(launcher, &guest, e(6), RAY_EPOCH_CANCEL, e(5), NULL),
                     RAY_OK);
    assert_int_equal(coord_launcher_burned(launcher, &guest).index, 6);
    coord_launcher_reaped(launcher, &guest);
    assert_int_equal(coord_launcher_fork(launcher, &guest, e(6), NULL), RAY_ECONFLICT);
    free(launcher);
}

static void test_loaded(void **state)
{
    struct coord_launcher *launcher = begin();
    bool has_monitor = false;

    (void)state;
    assert_int_equal(coord_launcher_adopt(launcher, &guest, e(6), RAY_EPOCH_MIGRATION, e(5), NULL),
                     RAY_ENOTFOUND);
    assert_int_equal(coord_launcher_load(launcher, &guest, e(5), NULL), RAY_OK);
    assert_int_equal(coord_launcher_load(launcher, &guest, e(5), NULL), RAY_EEXISTS);
    assert_int_equal(coord_launcher_freeze(launcher, &guest, e(5), NULL), RAY_ECONFLICT);
    assert_int_equal(coord_launcher_adopt(launcher, &guest, e(6), RAY_EPOCH_CANCEL, e(5), NULL),
                     RAY_ECONFLICT);
    /* Ended beyond its take-over: too late for it. */
    assert_int_equal(coord_launcher_end(launcher, &guest, e(6), &has_monitor, NULL), RAY_OK);
    assert_true(has_monitor);
    assert_int_equal(coord_launcher_adopt(launcher, &guest, e(6), RAY_EPOCH_MIGRATION, e(5), NULL),
                     RAY_ECONFLICT);
    coord_launcher_reaped(launcher, &guest);
    assert_int_equal(coord_launcher_load(launcher, &guest, e(7), NULL), RAY_OK);
    assert_int_equal(coord_launcher_adopt(launcher, &guest, e(8), RAY_EPOCH_MIGRATION, e(7), NULL),
                     RAY_OK);
    free(launcher);
}

static void test_forgotten_and_full(void **state)
{
    static const struct ray_id none;
    struct coord_launcher *launcher = begin();

    (void)state;
    assert_int_equal(coord_launcher_fork(launcher, &none, e(1), NULL), RAY_EINVAL);
    for (uint32_t n = 0; n < COORD_LAUNCHER_GUESTS_MAX; n++) {
        struct ray_id id = {{1}};

        memcpy(id.bytes + 4, &n, sizeof n);
        assert_int_equal(coord_launcher_fork(launcher, &id, e(100 + n), NULL), RAY_OK);
    }
    assert_int_equal(coord_launcher_fork(launcher, &guest, e(9000), NULL), RAY_ETOOBIG);
    assert_int_equal(coord_launcher_forget(launcher, &launcher->guests[5].id, NULL), RAY_EEXISTS);
    coord_launcher_reaped(launcher, &launcher->guests[5].id);
    assert_int_equal(coord_launcher_forget(launcher, &launcher->guests[5].id, NULL), RAY_OK);
    /* What is not known may have been that one. */
    assert_int_equal(coord_launcher_fork(launcher, &guest, e(105), NULL), RAY_ECONFLICT);
    coord_launcher_reaped(launcher, &launcher->guests[6].id);
    assert_int_equal(coord_launcher_forget(launcher, &launcher->guests[6].id, NULL), RAY_OK);
    assert_int_equal(coord_launcher_fork(launcher, &other, e(106), NULL), RAY_ECONFLICT);
    free(launcher);
}

static void test_other_layout(void **state)
{
    struct coord_launcher *launcher = begin();

    (void)state;
    launcher->version++;
    assert_int_equal(coord_launcher_check(launcher, NULL), RAY_EUNSUPPORTED);
    free(launcher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_epoch_one_run),
        cmocka_unit_test(test_frozen_and_canceled),
        cmocka_unit_test(test_loaded),
        cmocka_unit_test(test_forgotten_and_full),
        cmocka_unit_test(test_other_layout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
