/* The power is cut at every moment of a history, and of the operations that are under way each
 * subset reaches the medium, whole or torn at each sector. What was told durable is there after
 * each of them, what is there was written, and no plain cut is taken for rot. */
#include "base/test.h"
#include "coordinator/mutant.h"
#include "coordinator/store/wal_fixture.h"

enum { MASKS = 3, CUTS_MAX = 128 };

/* Every way that one operation may end. */
static size_t ways_of(const struct coord_fake_op *op, struct coord_fake_cut *out)
{
    size_t sectors = op->size / COORD_FAKE_SECTOR_SIZE;
    size_t step = sectors > 24 ? sectors / 12 : 1;
    size_t count = 0;

    out[count++] = (struct coord_fake_cut){.fate = COORD_FAKE_LOST};
    out[count++] = (struct coord_fake_cut){.fate = COORD_FAKE_WHOLE};
    if (op->kind != COORD_FAKE_WRITE) {
        return count;
    }
    for (size_t i = 1; i < sectors; i += step) {
        out[count++] = (struct coord_fake_cut){.fate = COORD_FAKE_HEAD, .sectors = i};
        out[count++] = (struct coord_fake_cut){.fate = COORD_FAKE_TAIL, .sectors = i};
    }
    for (size_t i = 0; i < MASKS; i++) {
        out[count++] = (struct coord_fake_cut){.fate = COORD_FAKE_MASK,
                                               .mask = 0x9e3779b97f4a7c15ULL * (i * 2 + 1)};
    }
    assert_true(count <= CUTS_MAX);
    return count;
}

struct survey {
    size_t cuts;
    size_t tails;
    size_t with_two_writes;
};

static bool has_entry(const struct fixture_state *found, const struct fixture_state *wanted,
                      uint64_t index)
{
    size_t i = (size_t)(index - found->first);
    size_t j = (size_t)(index - wanted->first);

    return index >= found->first && i < found->count &&
           found->entries[i].term == wanted->entries[j].term;
}

/* It is the log as it was after some record, with all that was durable. */
static void check_recovered(const struct fixture *before, struct fixture *after)
{
    const struct fixture_state *now = fixture_now(before);
    uint64_t durable_index = coord_wal_durable_index(before->wal);
    struct fixture_state found;
    bool is_known = false;

    if (after->recovery.outcome == COORD_WAL_ROT) {
        fail_msg("a plain cut was taken for rot: %s", after->recovery.text);
    }
    fixture_read(after->wal, &found);
    for (size_t i = 0; i < before->state_count && !is_known; i++) {
        is_known = fixture_is_same_end(&found, &before->states[i]);
    }
    assert_true(is_known);
    assert_true(coord_wal_last_index(after->wal) >= durable_index);
    for (uint64_t index = now->first; index <= durable_index; index++) {
        if (index > before->compact_index) {
            assert_true(has_entry(&found, now, index));
        }
    }
    assert_int_equal(coord_wal_durable_index(after->wal), coord_wal_last_index(after->wal));
}

/* A log that was cut goes on, and keeps what it takes then. */
static void check_goes_on(struct fixture *after)
{
    uint64_t last = coord_wal_last_index(after->wal);

    coord_fake_disk_run(after->fake);
    after->states[0] = (struct fixture_state){0};
    fixture_read(after->wal, &after->states[0]);
    after->state_count = 1;
    fixture_must_append(after, 90, last + 1, 2, 700);
    coord_wal_flush(after->wal);
    coord_fake_disk_run(after->fake);
    assert_int_equal(after->durable_index, last + 2);
    fixture_reopen(after);
    assert_int_equal(after->recovery.outcome, COORD_WAL_CLEAN);
    fixture_check(after);
}

/* A second cut, in the middle of the first's recovery. */
static void check_second_cut(const struct fixture *before, const struct coord_fake_disk *disk)
{
    for (int n = 0; n < 8; n++) {
        for (size_t sectors = 0; sectors < 4; sectors++) {
            struct fixture after = *before;
            int rc;

            after.fake = coord_fake_disk_copy(disk);
            after.fake->now_until_cut = n;
            after.fake->now_sectors = sectors * 3;
            after.wal = NULL;
            rc = fixture_try_open(&after, NULL);
            if (rc == RAY_OK) {
                fixture_close(&after);
                coord_fake_disk_destroy(after.fake);
                return; /* fewer than n writes */
            }
            assert_int_equal(rc, RAY_EIO);
            after.fake->is_off = false;
            after.fake->now_until_cut = -1;
            fixture_open(&after);
            check_recovered(before, &after);
            fixture_close(&after);
            coord_fake_disk_destroy(after.fake);
        }
    }
}

static void cut_once(const struct fixture *before, const struct coord_fake_cut *cuts, bool is_deep,
                     struct survey *survey)
{
    struct fixture after = *before;
    struct coord_fake_disk *disk = coord_fake_disk_copy(before->fake);

    coord_fake_disk_cut(disk, cuts);
    if (is_deep) {
        check_second_cut(before, disk);
    }
    after.fake = disk;
    after.wal = NULL;
    after.states = calloc(4, sizeof *after.states);
    assert_non_null(after.states);
    fixture_open(&after);
    check_recovered(before, &after);
    survey->cuts++;
    survey->tails += after.recovery.outcome == COORD_WAL_TAIL ? 1 : 0;
    if (is_deep) {
        check_goes_on(&after);
    }
    fixture_close(&after);
    coord_fake_disk_destroy(disk);
    free(after.states);
}

/* All combinations for the operations under way now. */
static void cut_here(const struct fixture *fixture, struct survey *survey)
{
    struct coord_fake_cut ways[COORD_FAKE_OPS_MAX][CUTS_MAX];
    size_t counts[COORD_FAKE_OPS_MAX];
    size_t at[COORD_FAKE_OPS_MAX] = {0};
    size_t op_count = fixture->fake->op_count;
    size_t writes = 0;
    size_t round = 0;

    for (size_t i = 0; i < op_count; i++) {
        counts[i] = ways_of(&fixture->fake->ops[i], ways[i]);
        writes += fixture->fake->ops[i].kind == COORD_FAKE_WRITE ? 1 : 0;
    }
    survey->with_two_writes += writes >= 2 ? 1 : 0;
    for (;; round++) {
        struct coord_fake_cut cuts[COORD_FAKE_OPS_MAX];
        size_t digit = 0;

        for (size_t i = 0; i < op_count; i++) {
            cuts[i] = ways[i][at[i]];
        }
        cut_once(fixture, cuts, round % 37 == 0, survey);
        while (digit < op_count && ++at[digit] == counts[digit]) {
            at[digit++] = 0;
        }
        if (digit == op_count) {
            return;
        }
    }
}

static void step(struct fixture *fixture, size_t at, struct survey *survey)
{
    coord_fake_disk_complete(fixture->fake, at);
    cut_here(fixture, survey);
}

/* `order` chooses which of the operations under way ends first. */
static void drain(struct fixture *fixture, size_t order, struct survey *survey)
{
    while (fixture->fake->op_count > 0) {
        step(fixture, order % fixture->fake->op_count, survey);
        order = order * 7 + 3;
    }
}

static void take(struct fixture *fixture, uint64_t term, uint64_t first, size_t count,
                 uint32_t size, struct survey *survey)
{
    fixture_must_append(fixture, term, first, count, size);
    coord_wal_flush(fixture->wal);
    cut_here(fixture, survey);
}

static void at_every_moment(void **state)
{
    struct survey survey = {0};

    (void)state;
    for (size_t order = 0; order < 3; order++) {
        struct fixture fixture;

        fixture_init(&fixture, 24 << 10, 2048);
        fixture_open(&fixture);
        cut_here(&fixture, &survey);
        drain(&fixture, order, &survey);
        take(&fixture, 1, 1, 1, 200, &survey);
        take(&fixture, 1, 2, 4, 900, &survey); /* two batches under way */
        drain(&fixture, order, &survey);
        take(&fixture, 1, 6, 3, 1500, &survey);
        take(&fixture, 2, 5, 3, 1200, &survey); /* truncates what is under way */
        drain(&fixture, order, &survey);
        take(&fixture, 3, 4, 1, 5000, &survey); /* truncates what is durable */
        drain(&fixture, order, &survey);
        coord_wal_seal(fixture.wal);
        coord_wal_flush(fixture.wal);
        cut_here(&fixture, &survey);
        drain(&fixture, order, &survey);
        take(&fixture, 3, 5, 6, 1900, &survey); /* into the next segment */
        drain(&fixture, order, &survey);
        fixture.compact_index = coord_wal_durable_index(fixture.wal) - 1;
        coord_wal_compact(fixture.wal, fixture.compact_index);
        cut_here(&fixture, &survey);
        drain(&fixture, order, &survey);
        take(&fixture, 4, 11, 8, 1900, &survey);
        drain(&fixture, order, &survey);
        fixture_fini(&fixture);
    }
    print_message("%zu cuts, %zu torn tails, %zu moments with two writes under way\n", survey.cuts,
                  survey.tails, survey.with_two_writes);
    assert_true(survey.with_two_writes > 10);
    assert_true(survey.tails > 1000);
}

static void while_a_snapshot_replaces_the_log(void **state)
{
    struct survey survey = {0};

    (void)state;
    for (size_t order = 0; order < 2; order++) {
        struct fixture fixture;

        fixture_init(&fixture, 16 << 10, 2048);
        fixture_open(&fixture);
        coord_fake_disk_run(fixture.fake);
        fixture_must_append(&fixture, 1, 1, 6, 1500);
        coord_wal_flush(fixture.wal);
        coord_fake_disk_run(fixture.fake);
        take(&fixture, 1, 7, 1, 100, &survey);
        fixture_reset(&fixture, 300);
        coord_wal_flush(fixture.wal);
        cut_here(&fixture, &survey);
        drain(&fixture, order, &survey);
        take(&fixture, 5, 301, 2, 1500, &survey);
        drain(&fixture, order, &survey);
        fixture_fini(&fixture);
    }
    print_message("%zu cuts, %zu torn tails\n", survey.cuts, survey.tails);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_every_moment),
        cmocka_unit_test(while_a_snapshot_replaces_the_log),
    };

    return ray_mutant_from_env(NULL) == RAY_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
