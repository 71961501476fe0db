#include "base/test.h"
#include "coordinator/mutant.h"
#include "coordinator/store/wal.h"
#include "coordinator/store/wal_fixture.h"

static void an_empty_log_takes_entries_and_has_them_after_a_restart(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, 32 << 10, 0);
    fixture_open(&fixture);
    assert_int_equal(fixture.recovery.outcome, COORD_WAL_CLEAN);
    assert_int_equal(fixture.recovery.last_index, 0);
    assert_int_equal(coord_wal_first_index(fixture.wal), 1);
    fixture_must_append(&fixture, 1, 1, 3, 100);
    fixture_check(&fixture); /* from memory */
    coord_wal_flush(fixture.wal);
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.durable_index, 3);
    assert_int_equal(coord_wal_queued_size(fixture.wal), 0);
    fixture_check(&fixture); /* from the disk */
    fixture_reopen(&fixture);
    assert_int_equal(fixture.recovery.outcome, COORD_WAL_CLEAN);
    assert_int_equal(fixture.recovery.last_index, 3);
    assert_int_equal(coord_wal_durable_index(fixture.wal), 3);
    fixture_check(&fixture);
    fixture_fini(&fixture);
}

static void nothing_is_durable_before_the_disk_says_so(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, 256 << 10, 4096);
    fixture_open(&fixture);
    coord_fake_disk_run(fixture.fake);
    fixture_must_append(&fixture, 1, 1, 1, 3000);
    fixture_must_append(&fixture, 1, 2, 1, 3000);
    fixture_must_append(&fixture, 1, 3, 1, 3000);
    coord_wal_flush(fixture.wal);
    assert_int_equal(fixture.fake->op_count, 2); /* never three */
    fixture_must_append(&fixture, 1, 4, 1, 10);
    coord_wal_flush(fixture.wal);
    assert_int_equal(fixture.fake->op_count, 2);
    assert_int_equal(fixture.durable_calls, 0);
    coord_fake_disk_complete(fixture.fake, 1); /* the second first */
    assert_int_equal(fixture.durable_calls, 0);
    coord_fake_disk_complete(fixture.fake, 0);
    assert_int_equal(fixture.durable_index, 2);
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.durable_index, 4);
    fixture_check(&fixture);
    fixture_fini(&fixture);
}

static void entries_taken_while_the_disk_works_go_out_together(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, 64 << 10, 0);
    fixture_open(&fixture);
    coord_fake_disk_run(fixture.fake);
    for (uint64_t i = 1; i <= 20; i++) {
        fixture_must_append(&fixture, 1, i, 1, 50);
        coord_wal_flush(fixture.wal);
    }
    assert_int_equal(fixture.fake->op_count, 1);
    coord_fake_disk_complete(fixture.fake, 0);
    assert_int_equal(fixture.durable_index, 1);
    coord_fake_disk_complete(fixture.fake, 0);
    assert_int_equal(fixture.durable_index, 20);
    fixture_fini(&fixture);
}

static void truncation_is_logged_and_lowers_what_is_durable(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, 32 << 10, 0);
    fixture_open(&fixture);
    fixture_must_append(&fixture, 1, 1, 10, 100);
    coord_wal_flush(fixture.wal);
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.durable_index, 10);
    fixture_must_append(&fixture, 2, 5, 2, 200);
    assert_int_equal(coord_wal_durable_index(fixture.wal), 4);
    assert_int_equal(coord_wal_last_index(fixture.wal), 6);
    fixture_check(&fixture);
    coord_wal_flush(fixture.wal);
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.durable_index, 6);
    fixture_reopen(&fixture);
    fixture_check(&fixture);
    fixture_fini(&fixture);
}

static void a_truncation_reaches_batches_under_way(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, 32 << 10, 0);
    fixture_open(&fixture);
    coord_fake_disk_run(fixture.fake);
    fixture_must_append(&fixture, 1, 1, 10, 100);
    coord_wal_flush(fixture.wal);
    fixture_must_append(&fixture, 2, 4, 5, 10);
    coord_wal_flush(fixture.wal);
    coord_fake_disk_complete(fixture.fake, 0);
    assert_int_equal(fixture.durable_index, 3); /* 4 to 10 of term 1 are nobody's business */
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.durable_index, 8);
    fixture_reopen(&fixture);
    fixture_check(&fixture);
    fixture_fini(&fixture);
}

static void the_log_runs_over_many_segments(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, 16 << 10, 0);
    fixture_open(&fixture);
    for (uint64_t i = 1; i <= 60; i++) {
        fixture_must_append(&fixture, 1, i, 1, (uint32_t)(i * 131 % 5000));
        coord_wal_flush(fixture.wal);
        if (i % 3 == 0) {
            coord_fake_disk_run(fixture.fake);
        }
    }
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.durable_index, 60);
    assert_true(fixture.fake->file_count > 8);
    fixture_check(&fixture);
    fixture_reopen(&fixture);
    assert_int_equal(fixture.recovery.outcome, COORD_WAL_CLEAN);
    fixture_check(&fixture);
    fixture_fini(&fixture);
}

/* A fresh log whose first segments are not made yet. */
static void entries_wait_for_segments_that_are_being_made(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, 16 << 10, 0);
    fixture_open(&fixture);
    for (uint64_t i = 1; i <= 10; i++) {
        fixture_must_append(&fixture, 1, i, 1, 9000);
        coord_wal_flush(fixture.wal);
    }
    assert_int_equal(fixture.durable_calls, 0);
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.durable_index, 10);
    fixture_reopen(&fixture);
    fixture_check(&fixture);
    fixture_fini(&fixture);
}

static void compaction_removes_whole_segments_and_keeps_what_is_needed(void **state)
{
    struct fixture fixture;
    size_t files;

    (void)state;
    fixture_init(&fixture, 16 << 10, 0);
    fixture_open(&fixture);
    for (uint64_t i = 1; i <= 40; i++) {
        fixture_must_append(&fixture, 1, i, 1, 3000);
        coord_wal_flush(fixture.wal);
        coord_fake_disk_run(fixture.fake);
    }
    files = fixture.fake->file_count;
    coord_wal_compact(fixture.wal, 30);
    coord_fake_disk_run(fixture.fake);
    assert_true(fixture.fake->file_count + 8 <= files);
    assert_true(coord_wal_first_index(fixture.wal) > 20);
    assert_true(coord_wal_first_index(fixture.wal) <= 31);
    fixture_reopen(&fixture);
    assert_int_equal(fixture.recovery.outcome, COORD_WAL_CLEAN);
    assert_int_equal(fixture.recovery.last_index, 40);
    assert_true(coord_wal_first_index(fixture.wal) <= 31);
    fixture_must_append(&fixture, 2, 31, 3, 50);
    coord_wal_flush(fixture.wal);
    fixture_reopen(&fixture);
    assert_int_equal(coord_wal_last_index(fixture.wal), 33);
    fixture_fini(&fixture);
}

static void a_reset_begins_anew_after_the_snapshot(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, 16 << 10, 0);
    fixture_open(&fixture);
    fixture_must_append(&fixture, 1, 1, 10, 1000);
    coord_wal_flush(fixture.wal);
    coord_fake_disk_run(fixture.fake);
    fixture_must_append(&fixture, 1, 11, 2, 1000);
    fixture_reset(&fixture, 500);
    fixture_must_append(&fixture, 7, 501, 2, 10);
    coord_wal_flush(fixture.wal);
    assert_int_equal(coord_wal_first_index(fixture.wal), 501);
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.durable_index, 502);
    assert_null(coord_fake_disk_find(fixture.fake, "wal-0000000000000001"));
    fixture_reopen(&fixture);
    assert_int_equal(fixture.recovery.outcome, COORD_WAL_CLEAN);
    fixture_check(&fixture);
    fixture_fini(&fixture);
}

static void an_empty_reset_says_when_it_is_durable(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, 16 << 10, 0);
    fixture_open(&fixture);
    fixture_reset(&fixture, 500);
    coord_wal_flush(fixture.wal);
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.durable_index, 500);
    fixture_reopen(&fixture);
    assert_int_equal(fixture.recovery.last_index, 500);
    assert_int_equal(fixture.recovery.first_index, 501);
    fixture_fini(&fixture);
}

static void a_failed_write_ends_the_log(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, 32 << 10, 0);
    fixture_open(&fixture);
    coord_fake_disk_run(fixture.fake);
    fixture_must_append(&fixture, 1, 1, 1, 100);
    coord_wal_flush(fixture.wal);
    fixture.fake->write_status = RAY_EIO;
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.failed_status, RAY_EIO);
    assert_int_equal(fixture.durable_calls, 0);
    assert_int_equal(fixture_append(&fixture, 1, 2, 1, 10), RAY_EIO);
    coord_wal_flush(fixture.wal);
    assert_int_equal(fixture.fake->op_count, 0); /* nothing is tried again */
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_int_equal(fixture.recovery.outcome, COORD_WAL_CLEAN);
    fixture_fini(&fixture);
}

static void the_second_of_two_does_not_count_when_the_first_fails(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, 32 << 10, 4096);
    fixture_open(&fixture);
    coord_fake_disk_run(fixture.fake);
    fixture_must_append(&fixture, 1, 1, 1, 3000);
    fixture_must_append(&fixture, 1, 2, 1, 3000);
    fixture_must_append(&fixture, 1, 3, 1, 3000);
    coord_wal_flush(fixture.wal);
    fixture.fake->write_status = RAY_EIO;
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.failed_status, RAY_EIO);
    assert_int_equal(fixture.durable_calls, 0);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_int_equal(fixture.recovery.outcome, COORD_WAL_TAIL);
    assert_int_equal(fixture.recovery.last_index, 0);
    fixture_fini(&fixture);
}

static void a_log_of_another_node_is_refused(void **state)
{
    struct fixture fixture;
    struct ray_err err = {0};

    (void)state;
    fixture_init(&fixture, 32 << 10, 0);
    fixture_open(&fixture);
    fixture_must_append(&fixture, 1, 1, 1, 100);
    coord_wal_flush(fixture.wal);
    coord_fake_disk_run(fixture.fake);
    fixture_close(&fixture);
    fixture.config.node_id.bytes[0] ^= 1;
    assert_int_equal(fixture_try_open(&fixture, &err), RAY_ECONFLICT);
    fixture_fini(&fixture);
}

static void limits_are_errors(void **state)
{
    struct fixture fixture;
    static uint8_t big[COORD_ENTRY_SIZE_MAX + 1];
    struct coord_entry entry = {
        .term = 1, .index = 1, .type = COORD_ENTRY_COMMAND, .size = sizeof big, .data = big};
    struct coord_entry got;

    (void)state;
    fixture_init(&fixture, 16 << 10, 0);
    fixture_open(&fixture);
    assert_int_equal(coord_wal_append(fixture.wal, &entry, 1, NULL), RAY_ETOOBIG);
    entry.size = 12 << 10; /* beyond the segment */
    assert_int_equal(coord_wal_append(fixture.wal, &entry, 1, NULL), RAY_ETOOBIG);
    assert_int_equal(coord_wal_info(fixture.wal, 1, &got), RAY_ENOTFOUND);
    fixture_must_append(&fixture, 3, 1, 1, 11 << 10);
    assert_int_equal(coord_wal_info(fixture.wal, 1, &got), RAY_OK);
    assert_int_equal(got.term, 3);
    assert_int_equal(got.size, 11 << 10);
    fixture_fini(&fixture);
}

static void a_full_queue_refuses_until_the_disk_has_caught_up(void **state)
{
    struct fixture fixture;
    static uint8_t data[COORD_ENTRY_SIZE_MAX];
    uint64_t index = 1;
    int rc = RAY_OK;

    (void)state;
    fixture_init(&fixture, 4 << 20, 0);
    fixture_open(&fixture);
    while (rc == RAY_OK && index < 1000) {
        struct coord_entry entry = {.term = 1,
                                    .index = index++,
                                    .type = COORD_ENTRY_COMMAND,
                                    .size = sizeof data,
                                    .data = data};

        rc = coord_wal_append(fixture.wal, &entry, 1, NULL);
    }
    assert_int_equal(rc, RAY_EAGAIN);
    assert_true(coord_wal_queued_size(fixture.wal) <= COORD_WAL_QUEUE_SIZE_MAX);
    coord_wal_flush(fixture.wal);
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(coord_wal_queued_size(fixture.wal), 0);
    assert_int_equal(fixture.durable_index, coord_wal_last_index(fixture.wal));
    fixture_fini(&fixture);
}

static void a_seal_is_written_once(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, 32 << 10, 0);
    fixture_open(&fixture);
    coord_fake_disk_run(fixture.fake);
    coord_wal_seal(fixture.wal); /* nothing to vouch for */
    coord_wal_flush(fixture.wal);
    assert_int_equal(fixture.fake->op_count, 0);
    fixture_must_append(&fixture, 1, 1, 1, 100);
    coord_wal_flush(fixture.wal);
    coord_wal_seal(fixture.wal); /* not idle */
    coord_fake_disk_run(fixture.fake);
    coord_wal_seal(fixture.wal);
    coord_wal_flush(fixture.wal);
    assert_int_equal(fixture.fake->op_count, 1);
    coord_fake_disk_run(fixture.fake);
    coord_wal_seal(fixture.wal);
    coord_wal_flush(fixture.wal);
    assert_int_equal(fixture.fake->op_count, 0);
    fixture_reopen(&fixture);
    fixture_check(&fixture);
    fixture_fini(&fixture);
}

static void a_log_and_a_disk_may_go_in_either_order(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fixture fixture;

        fixture_init(&fixture, 32 << 10, 0);
        fixture_open(&fixture);
        coord_fake_disk_run(fixture.fake);
        fixture_must_append(&fixture, 1, 1, 3, 100);
        coord_wal_flush(fixture.wal);
        assert_true(fixture.fake->op_count > 0);
        if (i == 0) {
            fixture_close(&fixture);
            coord_fake_disk_destroy(fixture.fake);
        } else {
            coord_fake_disk_destroy(fixture.fake);
            fixture_close(&fixture);
        }
        assert_int_equal(fixture.durable_calls, 0);
        assert_int_equal(fixture.failed_status, RAY_OK);
        free(fixture.states);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct fixture fixture;
        struct coord_wal_span span = {0};
        int rc;

        fixture_init(&fixture, 64 << 10, 0);
        ray_test_fault_arm("alloc", n);
        rc = fixture_try_open(&fixture, NULL);
        rc = rc == RAY_OK ? fixture_append(&fixture, 1, 1, 40, 700) : rc;
        if (rc == RAY_OK) {
            coord_wal_flush(fixture.wal);
            coord_fake_disk_run(fixture.fake);
            rc = fixture.failed_status;
        }
        rc = rc == RAY_OK ? coord_wal_read(fixture.wal, 1, 10, 5000, &span, NULL) : rc;
        coord_wal_span_fini(&span);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            fixture_fini(&fixture);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
        fixture_fini(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_log_takes_entries_and_has_them_after_a_restart),
        cmocka_unit_test(nothing_is_durable_before_the_disk_says_so),
        cmocka_unit_test(entries_taken_while_the_disk_works_go_out_together),
        cmocka_unit_test(truncation_is_logged_and_lowers_what_is_durable),
        cmocka_unit_test(a_truncation_reaches_batches_under_way),
        cmocka_unit_test(the_log_runs_over_many_segments),
        cmocka_unit_test(entries_wait_for_segments_that_are_being_made),
        cmocka_unit_test(compaction_removes_whole_segments_and_keeps_what_is_needed),
        cmocka_unit_test(a_reset_begins_anew_after_the_snapshot),
        cmocka_unit_test(an_empty_reset_says_when_it_is_durable),
        cmocka_unit_test(a_failed_write_ends_the_log),
        cmocka_unit_test(the_second_of_two_does_not_count_when_the_first_fails),
        cmocka_unit_test(a_log_of_another_node_is_refused),
        cmocka_unit_test(limits_are_errors),
        cmocka_unit_test(a_full_queue_refuses_until_the_disk_has_caught_up),
        cmocka_unit_test(a_seal_is_written_once),
        cmocka_unit_test(a_log_and_a_disk_may_go_in_either_order),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return ray_mutant_from_env(NULL) == RAY_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
