/* One flipped bit, one unreadable block, one missing file, everywhere: what was vouched for is
 * never silently lost, and the entries before the damage can still be read. */
#include "base/size.h"
#include "base/test.h"
#include "coordinator/mutant.h"
#include "coordinator/store/wal_fixture.h"

/* Entries of every kind over three segments, the last batch not vouched for. */
static void history(struct fixture *fixture)
{
    static const uint32_t sizes[] = {100, 3000, 0, 5000, 700, 4000, 4000, 30, 2500};

    fixture_init(fixture, 16 << 10, 4096);
    fixture_open(fixture);
    coord_fake_disk_run(fixture->fake);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(sizes); i++) {
        fixture_must_append(fixture, 1, i + 1, 1, sizes[i]);
        coord_wal_flush(fixture->wal);
        coord_fake_disk_run(fixture->fake);
    }
    fixture_must_append(fixture, 2, 9, 2, 60);
    coord_wal_flush(fixture->wal);
    coord_fake_disk_run(fixture->fake);
    fixture_close(fixture);
}

struct tally {
    size_t rot;
    size_t tail;
    size_t clean;
    size_t lost_last; /* the batch that nothing vouched for, taken for a tail */
};

static void prefix_is_right(struct fixture *fixture)
{
    const struct fixture_state *now = fixture_now(fixture);
    struct fixture_state found;

    fixture_read(fixture->wal, &found);
    assert_int_equal(found.first, 1);
    assert_true(found.count <= 10);
    for (size_t i = 0; i < found.count; i++) {
        /* 9 may still be that of term 1 */
        assert_true(i == 8 || (found.entries[i].term == now->entries[i].term &&
                               found.entries[i].size == now->entries[i].size));
    }
}

static void judge(struct fixture *fixture, uint64_t vouched_index, struct tally *tally)
{
    struct coord_entry entry;
    uint64_t last = fixture->recovery.last_index;

    prefix_is_right(fixture);
    switch (fixture->recovery.outcome) {
    case COORD_WAL_ROT:
        tally->rot++;
        assert_int_equal(fixture->recovery.rot_index, last + 1);
        assert_true(fixture->recovery.text[0] != '\0');
        fixture->state_count = 1;
        assert_int_equal(fixture_append(fixture, 9, last + 1, 1, 10), RAY_EDENIED);
        break;
    case COORD_WAL_TAIL:
        tally->tail++;
        break;
    case COORD_WAL_CLEAN:
        tally->clean++;
        break;
    }
    if (fixture->recovery.outcome != COORD_WAL_ROT) {
        assert_true(last >= vouched_index);
        tally->lost_last += coord_wal_info(fixture->wal, 10, &entry) == RAY_OK ? 0 : 1;
    }
}

static void with_damage(const struct fixture *from, struct coord_fake_disk *disk,
                        uint64_t vouched_index, struct tally *tally)
{
    struct fixture fixture = *from;

    fixture.fake = disk;
    fixture.wal = NULL;
    fixture_open(&fixture);
    judge(&fixture, vouched_index, tally);
    fixture_close(&fixture);
    coord_fake_disk_destroy(disk);
}

static void flip_everywhere(struct fixture *fixture, uint64_t vouched_index, struct tally *tally)
{
    for (size_t i = 0; i < fixture->fake->file_count; i++) {
        for (uint64_t at = 0; at < fixture->fake->files[i].size; at += at % 4096 < 128 ? 1 : 61) {
            struct coord_fake_disk *disk = coord_fake_disk_copy(fixture->fake);

            disk->files[i].bytes[at] ^= (uint8_t)(1U << (at % 8));
            with_damage(fixture, disk, vouched_index, tally);
        }
    }
}

static void a_flipped_bit_anywhere(void **state)
{
    struct fixture fixture;
    struct tally tally = {0};

    (void)state;
    history(&fixture);
    flip_everywhere(&fixture, 9, &tally);
    print_message("%zu rot, %zu tail, %zu clean, %zu times the last batch was lost\n", tally.rot,
                  tally.tail, tally.clean, tally.lost_last);
    assert_true(tally.rot > 1000 && tally.tail > 500);
    assert_true(tally.lost_last > 0); /* the one thing that cannot be told: see the next */
    fixture_fini(&fixture);
}

static void a_seal_leaves_nothing_that_cannot_be_told(void **state)
{
    struct fixture fixture;
    struct tally tally = {0};

    (void)state;
    history(&fixture);
    fixture_open(&fixture);
    coord_wal_seal(fixture.wal);
    coord_wal_flush(fixture.wal);
    coord_fake_disk_run(fixture.fake);
    fixture_close(&fixture);
    flip_everywhere(&fixture, 10, &tally);
    assert_int_equal(tally.lost_last, 0);
    fixture_fini(&fixture);
}

static void a_known_index_vouches_too(void **state)
{
    struct fixture fixture;
    struct tally tally = {0};

    (void)state;
    history(&fixture);
    fixture.config.known_index = 10;
    flip_everywhere(&fixture, 10, &tally);
    assert_int_equal(tally.lost_last, 0);
    fixture_fini(&fixture);
}

static void an_unreadable_block_anywhere(void **state)
{
    struct fixture fixture;
    struct tally tally = {0};

    (void)state;
    history(&fixture);
    for (size_t i = 0; i < fixture.fake->file_count; i++) {
        for (uint64_t at = 0; at < fixture.fake->files[i].size; at += COORD_DISK_BLOCK_SIZE) {
            struct coord_fake_disk *disk = coord_fake_disk_copy(fixture.fake);

            memcpy(disk->bad_name, disk->files[i].name, sizeof disk->bad_name);
            disk->bad_offset = at;
            /* A block that stays bad cannot be cut either: then opening fails. */
            struct fixture after = fixture;

            after.fake = disk;
            after.wal = NULL;
            if (fixture_try_open(&after, NULL) == RAY_OK) {
                disk->bad_name[0] = '\0';
                judge(&after, 9, &tally);
            }
            fixture_close(&after);
            coord_fake_disk_destroy(disk);
        }
    }
    assert_true(tally.rot >= 8);
    fixture_fini(&fixture);
}

static void a_missing_or_shorter_segment(void **state)
{
    struct fixture fixture;

    (void)state;
    history(&fixture);
    assert_true(fixture.fake->file_count >= 4);
    for (size_t i = 0; i + 2 < fixture.fake->file_count; i++) {
        for (int is_short = 0; is_short < 2; is_short++) {
            struct coord_fake_disk *disk = coord_fake_disk_copy(fixture.fake);
            struct fixture after = fixture;

            if (is_short) {
                disk->files[i].size -= COORD_DISK_BLOCK_SIZE;
            } else {
                free(disk->files[i].bytes);
                disk->file_count--;
                memmove(&disk->files[i], &disk->files[i + 1],
                        (disk->file_count - i) * sizeof disk->files[0]);
            }
            after.fake = disk;
            after.wal = NULL;
            fixture_open(&after);
            /* The first one missing looks like a compacted log; whoever has no snapshot up to
             * first_index - 1 sees it. */
            if (i > 0 && strncmp(disk->files[i].name, "wal-0", 5) == 0 && !is_short) {
                assert_int_equal(after.recovery.outcome, COORD_WAL_ROT);
            } else if (!is_short) {
                assert_true(after.recovery.outcome == COORD_WAL_ROT ||
                            after.recovery.first_index > 1);
            } else {
                assert_true(after.recovery.last_index >= 9 ||
                            after.recovery.outcome == COORD_WAL_ROT);
            }
            fixture_close(&after);
            coord_fake_disk_destroy(disk);
        }
    }
    fixture_fini(&fixture);
}

static void rot_is_left_as_it_is_until_a_reset_which_ends_it(void **state)
{
    struct fixture fixture;
    struct coord_fake_disk *before;

    (void)state;
    history(&fixture);
    fixture.fake->files[1].bytes[5000] ^= 1;
    before = coord_fake_disk_copy(fixture.fake);
    fixture_open(&fixture);
    assert_int_equal(fixture.recovery.outcome, COORD_WAL_ROT);
    coord_wal_flush(fixture.wal);
    coord_wal_tick(fixture.wal);
    assert_int_equal(fixture.fake->op_count, 0);
    for (size_t i = 0; i < before->file_count; i++) {
        assert_memory_equal(before->files[i].bytes, fixture.fake->files[i].bytes,
                            before->files[i].size);
    }
    coord_fake_disk_destroy(before);
    fixture_reset(&fixture, 400);
    fixture_must_append(&fixture, 9, 401, 3, 100);
    coord_wal_flush(fixture.wal);
    coord_fake_disk_run(fixture.fake);
    assert_int_equal(fixture.durable_index, 403);
    fixture_reopen(&fixture);
    assert_int_equal(fixture.recovery.outcome, COORD_WAL_CLEAN);
    fixture_check(&fixture);
    fixture_fini(&fixture);
}

/* A client who writes what looks like a batch cannot make rot of a torn tail. */
static void data_that_looks_like_a_batch_proves_nothing(void **state)
{
    struct fixture fixture;
    struct coord_fake_file *file;
    uint8_t *data = calloc(1, 10 << 10);
    struct coord_entry entry = {
        .term = 1, .index = 1, .type = COORD_ENTRY_COMMAND, .size = 10 << 10, .data = data};

    (void)state;
    assert_non_null(data);
    fixture_init(&fixture, 64 << 10, 0);
    fixture_open(&fixture);
    coord_fake_disk_run(fixture.fake);
    for (uint64_t i = 1; i <= 3; i++) {
        fixture_must_append(&fixture, 1, i, 1, 50);
        coord_wal_flush(fixture.wal);
        coord_fake_disk_run(fixture.fake);
    }
    file = coord_fake_disk_find(fixture.fake, "wal-0000000000000001");
    assert_non_null(file);
    /* The newest true head, at a block boundary of the new batch's data. */
    memcpy(data + COORD_DISK_BLOCK_SIZE - 112, file->bytes + 12288, 128);
    entry.index = 4;
    assert_int_equal(coord_wal_append(fixture.wal, &entry, 1, NULL), RAY_OK);
    coord_wal_flush(fixture.wal);
    coord_fake_disk_run(fixture.fake);
    fixture_close(&fixture);
    memset(file->bytes + 16384, 0, 512); /* torn */
    fixture_open(&fixture);
    assert_int_equal(fixture.recovery.outcome, COORD_WAL_TAIL);
    assert_int_equal(fixture.recovery.last_index, 3);
    free(data);
    fixture_fini(&fixture);
}

static void rot_after_the_start_is_seen_when_it_is_read(void **state)
{
    struct fixture fixture;
    struct coord_wal_span span = {0};

    (void)state;
    history(&fixture);
    fixture_open(&fixture);
    fixture.fake->files[1].bytes[4096 + 80 + 40] ^= 1;
    assert_int_equal(coord_wal_read(fixture.wal, 1, 100, 1 << 20, &span, NULL), RAY_EMALFORMED);
    assert_null(span.memory);
    fixture_fini(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_bit_anywhere),
        cmocka_unit_test(a_seal_leaves_nothing_that_cannot_be_told),
        cmocka_unit_test(a_known_index_vouches_too),
        cmocka_unit_test(an_unreadable_block_anywhere),
        cmocka_unit_test(a_missing_or_shorter_segment),
        cmocka_unit_test(rot_is_left_as_it_is_until_a_reset_which_ends_it),
        cmocka_unit_test(data_that_looks_like_a_batch_proves_nothing),
        cmocka_unit_test(rot_after_the_start_is_seen_when_it_is_read),
    };

    return ray_mutant_from_env(NULL) == RAY_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
