#include "base/grant_monitor.h"
#include "base/test.h"

static const struct ray_id guest = {{7}};
static const struct ray_epoch epoch_1 = {1, 10};
static const struct ray_epoch epoch_2 = {1, 20};
static const struct ray_epoch epoch_3 = {1, 30};

enum { VCPUS = 2 };

struct fixture {
    struct ray_grant_page *page;
    struct ray_grant_monitor monitor;
    struct ray_grant_vcpu vcpus[VCPUS];
};

static struct fixture begin(void)
{
    struct fixture f = {.page = aligned_alloc(64, RAY_GRANT_PAGE_SIZE)};

    assert_non_null(f.page);
    ray_grant_page_init(f.page);
    ray_grant_monitor_init(&f.monitor, f.page, 3, &guest, epoch_1);
    return f;
}

static bool runs(const struct fixture *f, uint64_t now_ns)
{
    bool first = ray_grant_vcpu_may_run(&f->vcpus[0], now_ns);

    assert_int_equal(ray_grant_vcpu_may_run(&f->vcpus[1], now_ns), first);
    return first;
}

static void test_runs_until_its_deadline(void **state)
{
    struct fixture f = begin();

    (void)state;
    assert_false(runs(&f, 1)); /* before the first refresh */
    assert_int_equal(ray_grant_monitor_refresh(&f.monitor, f.vcpus, VCPUS), 0);
    ray_grant_page_set(f.page, 3, &guest, epoch_1, 100);
    assert_false(runs(&f, 50)); /* nobody told the vCPUs */
    assert_int_equal(ray_grant_monitor_refresh(&f.monitor, f.vcpus, VCPUS), 100);
    assert_true(runs(&f, 99));
    assert_false(runs(&f, 100));
    /* Frozen by deadline: the same epoch again thaws it. */
    ray_grant_page_set(f.page, 3, &guest, epoch_1, 300);
    (void)ray_grant_monitor_refresh(&f.monitor, f.vcpus, VCPUS);
    assert_true(runs(&f, 200));
    /* Another epoch in its slot stops it at once. */
    ray_grant_page_set(f.page, 3, &guest, epoch_2, 400);
    assert_int_equal(ray_grant_monitor_refresh(&f.monitor, f.vcpus, VCPUS), 0);
    assert_false(runs(&f, 200));
    free(f.page);
}

static void test_frozen_for_migration(void **state)
{
    struct fixture f = begin();

    (void)state;
    ray_grant_page_set(f.page, 3, &guest, epoch_1, 100);
    (void)ray_grant_monitor_refresh(&f.monitor, f.vcpus, VCPUS);
    assert_int_equal(ray_grant_monitor_freeze(&f.monitor, f.vcpus, VCPUS, NULL), RAY_OK);
    assert_false(runs(&f, 1));
    assert_int_equal(ray_grant_monitor_refresh(&f.monitor, f.vcpus, VCPUS), 0);
    assert_int_equal(ray_grant_monitor_freeze(&f.monitor, f.vcpus, VCPUS, NULL), RAY_ECONFLICT);
    /* Only the cancel of its own epoch. */
    assert_int_equal(ray_grant_monitor_adopt(&f.monitor, epoch_2, RAY_EPOCH_START, epoch_1, NULL),
                     RAY_ECONFLICT);
    assert_int_equal(
        ray_grant_monitor_adopt(&f.monitor, epoch_2, RAY_EPOCH_MIGRATION, epoch_1, NULL),
        RAY_ECONFLICT);
    assert_int_equal(ray_grant_monitor_adopt(&f.monitor, epoch_3, RAY_EPOCH_CANCEL, epoch_2, NULL),
                     RAY_ECONFLICT);
    assert_int_equal(ray_grant_monitor_adopt(&f.monitor, epoch_1, RAY_EPOCH_CANCEL, epoch_1, NULL),
                     RAY_ECONFLICT);
    assert_int_equal(ray_grant_monitor_adopt(&f.monitor, epoch_2, RAY_EPOCH_CANCEL, epoch_1, NULL),
                     RAY_OK);
    ray_grant_page_set(f.page, 3, &guest, epoch_2, 100);
    assert_int_equal(ray_grant_monitor_refresh(&f.monitor, f.vcpus, VCPUS), 100);
    free(f.page);
}

static void test_loaded(void **state)
{
    struct fixture f = begin();

    (void)state;
    ray_grant_monitor_init_loaded(&f.monitor, f.page, 3, &guest, epoch_1);
    ray_grant_page_set(f.page, 3, &guest, epoch_1, 100);
    assert_int_equal(ray_grant_monitor_refresh(&f.monitor, f.vcpus, VCPUS), 0);
    assert_int_equal(ray_grant_monitor_freeze(&f.monitor, f.vcpus, VCPUS, NULL), RAY_ECONFLICT);
    assert_int_equal(ray_grant_monitor_adopt(&f.monitor, epoch_2, RAY_EPOCH_CANCEL, epoch_1, NULL),
                     RAY_ECONFLICT);
    assert_int_equal(
        ray_grant_monitor_adopt(&f.monitor, epoch_3, RAY_EPOCH_MIGRATION, epoch_2, NULL),
        RAY_ECONFLICT);
    assert_int_equal(
        ray_grant_monitor_adopt(&f.monitor, epoch_2, RAY_EPOCH_MIGRATION, epoch_1, NULL), RAY_OK);
    assert_int_equal(
        ray_grant_monitor_adopt(&f.monitor, epoch_3, RAY_EPOCH_MIGRATION, epoch_2, NULL),
        RAY_ECONFLICT);
    free(f.page);
}

static void test_after_its_end(void **state)
{
    struct fixture f = begin();

    (void)state;
    ray_grant_page_set(f.page, 3, &guest, epoch_1, 100);
    (void)ray_grant_monitor_refresh(&f.monitor, f.vcpus, VCPUS);
    ray_grant_monitor_end(&f.monitor, f.vcpus, VCPUS);
    assert_false(runs(&f, 1));
    assert_int_equal(ray_grant_monitor_refresh(&f.monitor, f.vcpus, VCPUS), 0);
    assert_int_equal(ray_grant_monitor_adopt(&f.monitor, epoch_2, RAY_EPOCH_CANCEL, epoch_1, NULL),
                     RAY_ECONFLICT);
    free(f.page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_until_its_deadline),
        cmocka_unit_test(test_frozen_for_migration),
        cmocka_unit_test(test_loaded),
        cmocka_unit_test(test_after_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
