#include "base/test.h"
#include "coordinator/mutant.h"
#include "coordinator/store/wal_fixture.h"

enum { SEGMENT = 16 << 10 };

static void append_one(struct fixture *fixture, uint64_t index, int expected)
{
    assert_int_equal(fixture_append(fixture, 1, index, 1, 3000), expected);
    coord_wal_flush(fixture->wal);
    coord_fake_disk_run(fixture->fake);
}

static void a_full_disk_is_told_the_reserve_used_and_then_it_is_read_only(void **state)
{
    struct fixture fixture;
    uint64_t index = 1;

    (void)state;
    fixture_init(&fixture, SEGMENT, 0);
    fixture.fake->size_max = 4 * (uint64_t)SEGMENT; /* three segments and the reserve */
    fixture_open(&fixture);
    while (fixture.space == COORD_WAL_SPACE_OK && index < 100) {
        append_one(&fixture, index++, RAY_OK);
    }
    assert_int_equal(fixture.space, COORD_WAL_SPACE_FULL);
    assert_int_equal(coord_wal_space(fixture.wal), COORD_WAL_SPACE_FULL);
    assert_non_null(coord_fake_disk_find(fixture.fake, "wal-reserve"));
    while (fixture_append(&fixture, 1, index, 1, 3000) == RAY_OK) {
        coord_wal_flush(fixture.wal);
        coord_fake_disk_run(fixture.fake);
        assert_int_equal(fixture.durable_index, index); /* all that was taken is written */
        index++;
        assert_true(index < 100);
    }
    assert_null(coord_fake_disk_find(fixture.fake, "wal-reserve"));
    append_one(&fixture, index, RAY_ENOSPC);
    coord_wal_tick(fixture.wal);
    coord_fake_disk_run(fixture.fake);
    append_one(&fixture, index, RAY_ENOSPC);
    assert_int_equal(fixture.failed_status, RAY_OK);
    fixture_check(&fixture); /* reads go on */

    /* A start on a full disk. */
    fixture_reopen(&fixture);
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.recovery.outcome, COORD_WAL_CLEAN);
    assert_int_equal(fixture.space, COORD_WAL_SPACE_FULL);
    fixture_check(&fixture);

    /* There is room again. */
    fixture.fake->size_max = 0;
    append_one(&fixture, index, RAY_ENOSPC);
    coord_wal_tick(fixture.wal);
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.space, COORD_WAL_SPACE_OK);
    assert_non_null(coord_fake_disk_find(fixture.fake, "wal-reserve"));
    append_one(&fixture, index, RAY_OK);
    fixture_reopen(&fixture);
    fixture_check(&fixture);
    fixture_fini(&fixture);
}

static void compaction_makes_room(void **state)
{
    struct fixture fixture;
    uint64_t index = 1;

    (void)state;
    fixture_init(&fixture, SEGMENT, 0);
    fixture.fake->size_max = 5 * (uint64_t)SEGMENT;
    fixture_open(&fixture);
    while (fixture_append(&fixture, 1, index, 1, 3000) == RAY_OK) {
        coord_wal_flush(fixture.wal);
        coord_fake_disk_run(fixture.fake);
        index++;
        assert_true(index < 100);
    }
    assert_int_equal(fixture.space, COORD_WAL_SPACE_FULL);
    coord_wal_compact(fixture.wal, index - 2);
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.space, COORD_WAL_SPACE_OK);
    append_one(&fixture, index, RAY_OK);
    fixture_fini(&fixture);
}

static void for_long_in_little_room(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, SEGMENT, 0);
    fixture.fake->size_max = 5 * (uint64_t)SEGMENT;
    fixture_open(&fixture);
    for (uint64_t index = 1; index <= 200; index++) {
        struct coord_entry entry;

        append_one(&fixture, index, RAY_OK);
        coord_wal_compact(fixture.wal, fixture.durable_index);
        coord_fake_disk_run(fixture.fake);
        assert_int_equal(fixture.space, COORD_WAL_SPACE_OK);
        assert_int_equal(coord_wal_info(fixture.wal, index, &entry), RAY_OK);
    }
    assert_true(fixture.fake->file_count <= 4);
    fixture_fini(&fixture);
}

static void a_failing_task_ends_the_log(void **state)
{
    struct fixture fixture;
    struct coord_fake_file *file;

    (void)state;
    fixture_init(&fixture, SEGMENT, 0);
    fixture_open(&fixture);
    for (uint64_t index = 1; index <= 20; index++) {
        append_one(&fixture, index, RAY_OK);
    }
    /* Somebody took away the file that is to be removed. */
    file = coord_fake_disk_find(fixture.fake, "wal-0000000000000001");
    assert_non_null(file);
    file->name[4] = 'x';
    coord_wal_compact(fixture.wal, 19);
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.failed_status, RAY_ENOTFOUND);
    fixture_fini(&fixture);
}

static void a_log_keeps_its_segment_size(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture, SEGMENT, 0);
    fixture_open(&fixture);
    append_one(&fixture, 1, RAY_OK);
    fixture_close(&fixture);
    fixture.config.segment_size = 4 * SEGMENT;
    fixture_open(&fixture);
    assert_int_equal(fixture.recovery.outcome, COORD_WAL_CLEAN);
    for (uint64_t index = 2; index <= 30; index++) {
        append_one(&fixture, index, RAY_OK);
    }
    for (size_t i = 0; i < fixture.fake->file_count; i++) {
        assert_int_equal(fixture.fake->files[i].size, SEGMENT);
    }
    fixture_check(&fixture);
    fixture_fini(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_is_told_the_reserve_used_and_then_it_is_read_only),
        cmocka_unit_test(compaction_makes_room),
        cmocka_unit_test(for_long_in_little_room),
        cmocka_unit_test(a_failing_task_ends_the_log),
        cmocka_unit_test(a_log_keeps_its_segment_size),
    };

    return ray_mutant_from_env(NULL) == RAY_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
