/* When records are written, and what is left of them when the writing is cut at any step. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"
#include "base/test.h"
#include "provisioning/machines/table_fixture.h"

static void on_sync(void *arg, const struct ray_err *err)
{
    struct table_fixture *fixture = arg;

    fixture->sync_count++;
    fixture->sync_err = *err;
}

static void on_timeout(void *arg)
{
    (void)arg;
    fail_msg("nothing was written");
}

/* Turns the loop until `count` syncs have been answered. */
static void wait_for_syncs(struct table_fixture *fixture, unsigned count)
{
    struct ray_timer timeout = {0};

    assert_int_equal(ray_timer_init(&timeout, &fixture->loop, on_timeout, NULL, NULL), RAY_OK);
    ray_timer_start(&timeout, 60000, 0);
    while (fixture->sync_count < count) {
        ray_loop_once(&fixture->loop);
    }
    ray_timer_fini(&timeout);
}

static void test_written_by_the_timer(void **state)
{
    struct table_fixture *fixture = *state;
    struct provision_table_stats stats;

    table_open(fixture, true);
    for (unsigned i = 0; i < 20; i++) { /* many changes, one write */
        assert_int_equal(table_note(fixture, 1, i % 2 == 0 ? "a" : "b"), RAY_OK);
    }
    do {
        ray_loop_once(&fixture->loop);
        provision_table_stats(fixture->table, &stats);
    } while (stats.dirty_count > 0 || stats.write_count == 0);
    assert_int_equal(stats.write_count, 1);
    assert_true(table_has_file(fixture, "52-54-00-00-00-01.json"));
}

/* What a batch does not hold follows at once. */
static void test_more_than_a_batch(void **state)
{
    struct table_fixture *fixture = *state;
    struct provision_table_stats stats;

    table_open(fixture, true);
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(table_note(fixture, i, ""), RAY_OK);
    }
    do {
        ray_loop_once(&fixture->loop);
        provision_table_stats(fixture->table, &stats);
    } while (stats.write_count < 300);
    assert_int_equal(table_count_files(fixture, ".json"), 300);
}

static void test_sync(void **state)
{
    struct table_fixture *fixture = *state;
    const struct provision_mac mac = table_mac(1);
    const struct provision_assignment hold = {.is_set = true, .wish = PROVISION_WISH_HOLD};
    struct provision_table_sync first = {.cb = on_sync, .arg = fixture};
    struct provision_table_sync second = {.cb = on_sync, .arg = fixture};
    struct provision_table_sync third = {.cb = on_sync, .arg = fixture};

    table_open(fixture, true);
    provision_table_sync(fixture->table, &first); /* nothing to wait for */
    assert_int_equal(fixture->sync_count, 1);
    assert_int_equal(table_note(fixture, 9, "no operator's"), RAY_OK);
    provision_table_sync(fixture->table, &first);
    assert_int_equal(fixture->sync_count, 2);
    assert_int_equal(table_set_name(fixture, 1, "one"), RAY_OK);
    provision_table_sync(fixture->table, &first);
    assert_int_equal(fixture->sync_count, 2);
    /* While that is being written: the same record again, a group, and one removed. */
    assert_int_equal(table_set_name(fixture, 1, "two"), RAY_OK);
    assert_int_equal(
        provision_table_group_assign(fixture->table, "lab", &hold, &fixture->now, NULL), RAY_OK);
    provision_table_sync(fixture->table, &second);
    provision_table_sync(fixture->table, &third);
    provision_table_sync_cancel(fixture->table, &third);
    wait_for_syncs(fixture, 4);
    assert_int_equal(fixture->sync_err.code, RAY_OK);
    assert_true(table_has_file(fixture, "52-54-00-00-00-01.json"));
    assert_true(table_has_file(fixture, "groups.json"));
    assert_int_equal(provision_table_forget(fixture->table, &mac, NULL), RAY_OK);
    provision_table_sync(fixture->table, &first);
    wait_for_syncs(fixture, 5);
    assert_false(table_has_file(fixture, "52-54-00-00-00-01.json"));
}

/* More than one batch of operators' changes: the answer comes after the last. */
static void test_sync_of_many(void **state)
{
    struct table_fixture *fixture = *state;
    const struct provision_assignment hold = {.is_set = true, .wish = PROVISION_WISH_HOLD};
    struct provision_table_sync sync = {.cb = on_sync, .arg = fixture};

    table_open(fixture, true);
    for (unsigned i = 0; i < 300; i++) {
        const struct provision_mac mac = table_mac(i);

        assert_int_equal(provision_table_assign(fixture->table, &mac, &hold, &fixture->now, NULL),
                         RAY_OK);
    }
    provision_table_sync(fixture->table, &sync);
    wait_for_syncs(fixture, 1);
    assert_int_equal(fixture->sync_err.code, RAY_OK);
    assert_int_equal(table_count_files(fixture, ".json"), 300);
}

/* A disk that refuses: said once, the change stays, and is written later. */
static void test_failing_disk(void **state)
{
    struct table_fixture *fixture = *state;
    struct provision_table_sync sync = {.cb = on_sync, .arg = fixture};
    struct provision_table_stats stats;

    table_open(fixture, true);
    assert_int_equal(table_set_name(fixture, 1, "one"), RAY_OK);
    assert_true(ray_fault_set("fsync:1+"));
    for (unsigned i = 1; i <= 3; i++) {
        provision_table_sync(fixture->table, &sync);
        wait_for_syncs(fixture, i);
        if (!ray_fault_has_fired()) { /* built without faults */
            return;
        }
        assert_int_equal(fixture->sync_err.code, RAY_EIO);
    }
    assert_int_equal(fixture->problem_count, 1);
    assert_false(table_has_file(fixture, "52-54-00-00-00-01.json"));
    assert_true(ray_fault_set(NULL));
    provision_table_sync(fixture->table, &sync);
    wait_for_syncs(fixture, 4);
    assert_int_equal(fixture->sync_err.code, RAY_OK);
    assert_int_equal(fixture->problem_count, 2); /* that it is over */
    provision_table_stats(fixture->table, &stats);
    assert_int_equal(stats.write_failure_count, 3);
    assert_int_equal(stats.write_count, 1);
    assert_true(table_has_file(fixture, "52-54-00-00-00-01.json"));
}

/* Destroyed while a batch is in the pool, with a sync that waits. */
static void test_destroy_in_mid_write(void **state)
{
    struct table_fixture *fixture = *state;
    struct provision_table_sync sync = {.cb = on_sync, .arg = fixture};

    table_open(fixture, true);
    assert_int_equal(table_set_name(fixture, 1, "one"), RAY_OK);
    provision_table_sync(fixture->table, &sync);
    assert_int_equal(table_set_name(fixture, 2, "two"), RAY_OK);
    table_close(fixture);
    assert_int_equal(fixture->sync_count, 1);
    assert_int_equal(fixture->sync_err.code, RAY_OK);
    table_open(fixture, false);
    assert_string_equal(table_record(fixture, 1)->name, "one");
    assert_string_equal(table_record(fixture, 2)->name, "two");
}

/* The machine is there again, or forgotten, while its file is on the way. */
static void test_changes_in_mid_write(void **state)
{
    struct table_fixture *fixture = *state;
    const struct provision_mac mac = table_mac(1);
    struct provision_table_sync sync = {.cb = on_sync, .arg = fixture};

    table_open(fixture, true);
    for (unsigned i = 0; i < 100; i++) {
        unsigned count = fixture->sync_count;

        assert_int_equal(table_set_name(fixture, 1, "one"), RAY_OK);
        provision_table_sync(fixture->table, &sync);
        assert_int_equal(provision_table_forget(fixture->table, &mac, NULL), RAY_OK);
        if (i % 2 == 0) {
            assert_int_equal(table_note(fixture, 1, "back"), RAY_OK);
        }
        wait_for_syncs(fixture, count + 1);
        provision_table_sync(fixture->table, &sync);
        wait_for_syncs(fixture, count + 2);
        assert_int_equal(fixture->sync_err.code, RAY_OK);
        assert_int_equal(provision_table_flush(fixture->table, NULL), RAY_OK);
        assert_int_equal(table_has_file(fixture, "52-54-00-00-00-01.json"), i % 2 == 0);
    }
}

/* ---- power cuts ---- */

static const char *const points[] = {"open", "write", "fsync", "rename", "alloc"};

/* From the nth step of one kind on, nothing of that kind happens any more: what is on the disk
 * then is what a power cut there would leave. */
static bool cut(struct table_fixture *fixture, const char *point, unsigned n)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%s:%u+", point, n);
    assert_true(ray_fault_set(text));
    (void)provision_table_flush(fixture->table, NULL);
    table_close(fixture); /* tries once more, in vain */
    return ray_test_fault_disarm();
}

static void check_old_or_new(struct table_fixture *fixture, unsigned machine, const char *old,
                             const char *new)
{
    const struct provision_record *record = table_record(fixture, machine);

    assert_non_null(record);
    if (strcmp(record->name, old) != 0 && strcmp(record->name, new) != 0) {
        fail_msg("machine %u has the name '%s'", machine, record->name);
    }
}

/* Five machines change at once; each is the old or the new one afterwards, none is lost, and
 * nothing is damaged. */
static void test_power_cut_at_each_step(void **state)
{
    struct table_fixture *fixture = *state;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        for (unsigned n = 1;; n++) {
            char old[16];
            char new[16];
            bool was_cut;

            table_open(fixture, false);
            for (unsigned m = 0; m < 5; m++) {
                (void)snprintf(old, sizeof(old), "old-%u", m);
                assert_int_equal(table_set_name(fixture, m, old), RAY_OK);
            }
            assert_int_equal(provision_table_flush(fixture->table, NULL), RAY_OK);
            for (unsigned m = 0; m < 5; m++) {
                (void)snprintf(new, sizeof(new), "new-%u", m);
                assert_int_equal(table_set_name(fixture, m, new), RAY_OK);
            }
            was_cut = cut(fixture, points[i], n);
            fixture->problem_count = 0;
            table_open(fixture, false);
            assert_int_equal(fixture->problem_count, 0);
            assert_int_equal(provision_table_count(fixture->table), 5);
            for (unsigned m = 0; m < 5; m++) {
                (void)snprintf(old, sizeof(old), "old-%u", m);
                (void)snprintf(new, sizeof(new), "new-%u", m);
                check_old_or_new(fixture, m, was_cut ? old : new, new);
            }
            table_close(fixture);
            if (!was_cut) {
                break;
            }
        }
    }
}

static void test_power_cut_of_groups_and_forget(void **state)
{
    struct table_fixture *fixture = *state;
    const struct provision_assignment hold = {.is_set = true, .wish = PROVISION_WISH_HOLD};
    const struct provision_assignment local = {.is_set = true, .wish = PROVISION_WISH_LOCAL_DISK};
    const struct provision_mac mac = table_mac(1);

    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        for (unsigned n = 1;; n++) {
            const struct provision_group *group;
            bool was_cut;

            table_open(fixture, false);
            assert_int_equal(table_set_name(fixture, 1, "one"), RAY_OK);
            assert_int_equal(
                provision_table_group_assign(fixture->table, "lab", &hold, &fixture->now, NULL),
                RAY_OK);
            assert_int_equal(provision_table_flush(fixture->table, NULL), RAY_OK);
            assert_int_equal(provision_table_forget(fixture->table, &mac, NULL), RAY_OK);
            assert_int_equal(
                provision_table_group_assign(fixture->table, "lab", &local, &fixture->now, NULL),
                RAY_OK);
            was_cut = cut(fixture, points[i], n);
            fixture->problem_count = 0;
            table_open(fixture, false);
            assert_int_equal(fixture->problem_count, 0);
            group = provision_table_group_find(fixture->table, "lab");
            assert_non_null(group);
            if (!was_cut) {
                assert_null(table_record(fixture, 1));
                assert_int_equal(group->assignment.wish, PROVISION_WISH_LOCAL_DISK);
            } else if (table_record(fixture, 1) != NULL) {
                assert_string_equal(table_record(fixture, 1)->name, "one");
            }
            table_close(fixture);
            if (!was_cut) {
                break;
            }
        }
    }
}

/* A single failure, then all is well: everything is written in the end. */
static void test_one_failure_heals(void **state)
{
    struct table_fixture *fixture = *state;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        for (unsigned n = 1;; n++) {
            bool has_fired;
            int rc;

            table_open(fixture, false);
            assert_int_equal(table_set_name(fixture, 1, n % 2 == 0 ? "even" : "odd"), RAY_OK);
            ray_test_fault_arm(points[i], n);
            rc = provision_table_flush(fixture->table, NULL);
            has_fired = ray_test_fault_disarm();
            assert_true((rc == RAY_OK) == !has_fired);
            table_close(fixture);
            table_open(fixture, false);
            assert_string_equal(table_record(fixture, 1)->name, n % 2 == 0 ? "even" : "odd");
            table_close(fixture);
            if (!has_fired) {
                break;
            }
        }
    }
}

/* Loading: what we lack ends the start, nothing is set aside for it, nothing leaks. */
static void test_load_faults(void **state)
{
    static const char *const load_points[] = {"open", "alloc", "read"};
    struct table_fixture *fixture = *state;

    table_open(fixture, true);
    assert_int_equal(table_set_name(fixture, 1, "one"), RAY_OK);
    table_close(fixture);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(load_points); i++) {
        for (unsigned n = 1;; n++) {
            const struct provision_table_config config = {.dir = fixture->path};
            bool has_fired;
            int rc;

            ray_test_fault_arm(load_points[i], n);
            rc = provision_table_create(&fixture->table, &fixture->loop, &config, NULL);
            has_fired = ray_test_fault_disarm();
            if (!has_fired) {
                assert_int_equal(rc, RAY_OK);
                assert_non_null(table_record(fixture, 1));
                table_close(fixture);
                break;
            }
            if (rc == RAY_OK) { /* a bad sector: the record is set aside, the service starts */
                char path[128];
                char aside[128];

                assert_string_equal(load_points[i], "read");
                table_close(fixture);
                (void)table_path(fixture, "52-54-00-00-00-01.json.damaged", aside);
                (void)table_path(fixture, "52-54-00-00-00-01.json", path);
                assert_int_equal(rename(aside, path), 0);
            }
            assert_int_equal(table_count_files(fixture, ".damaged"), 0);
        }
    }
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, table_fixture_setup, table_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_written_by_the_timer),
        TEST(test_more_than_a_batch),
        TEST(test_sync),
        TEST(test_sync_of_many),
        TEST(test_failing_disk),
        TEST(test_destroy_in_mid_write),
        TEST(test_changes_in_mid_write),
        TEST(test_power_cut_at_each_step),
        TEST(test_power_cut_of_groups_and_forget),
        TEST(test_one_failure_heals),
        TEST(test_load_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
