#include "base/test.h"
#include "coordinator/store/disk_fake.h"
#include "coordinator/store/meta.h"

static const struct coord_meta first = {
    .cluster_id = {{1}},
    .node_id = {{2}},
    .incarnation = {{3}},
    .boot_counter = 1,
    .cluster_epoch = 4,
    .server_id = 7,
    .term = 5,
    .vote = 7,
    .flags = COORD_META_QUARANTINED,
    .log_salt = {9, 8, 7},
};

static void on_created(void *arg, int status)
{
    *(int *)arg = status;
}

static struct coord_fake_disk *made(struct coord_meta_store *store)
{
    struct coord_fake_disk *fake = coord_fake_disk_create();
    int status = 1;

    coord_meta_create(store, &fake->disk, &first, on_created, &status);
    assert_int_equal(status, 1);
    coord_fake_disk_run(fake);
    assert_int_equal(status, RAY_OK);
    return fake;
}

static bool is_same(const struct coord_meta *a, const struct coord_meta *b)
{
    return ray_id_equal(&a->cluster_id, &b->cluster_id) && ray_id_equal(&a->node_id, &b->node_id) &&
           ray_id_equal(&a->incarnation, &b->incarnation) && a->boot_counter == b->boot_counter &&
           a->cluster_epoch == b->cluster_epoch && a->server_id == b->server_id &&
           a->term == b->term && a->vote == b->vote && a->flags == b->flags &&
           memcmp(a->log_salt, b->log_salt, sizeof a->log_salt) == 0 &&
           a->boot_count == b->boot_count && memcmp(a->boots, b->boots, sizeof a->boots) == 0;
}

/* ---- boots ---- */

static struct ray_id boot_id(unsigned number)
{
    return (struct ray_id){{(uint8_t)number, (uint8_t)(number >> 8), 0xb0}};
}

/* Starts `count` times in each of the boots `from` to `to`. */
static void count_boots(struct coord_meta *meta, unsigned from, unsigned to, unsigned count)
{
    for (unsigned i = from; i <= to; i++) {
        struct ray_id id = boot_id(i);

        for (unsigned n = 0; n < count; n++) {
            coord_meta_count_boot(meta, &id);
        }
    }
}

static bool differs(const struct coord_meta *meta, uint64_t counter, unsigned boot)
{
    struct ray_id id = boot_id(boot);

    return coord_meta_boots_differ(meta->boots, meta->boot_count, counter, &id);
}

/* A copy that counts as far as the original has seen other boots. */
static void boots_tell_a_copy(void **state)
{
    struct coord_meta original = first;
    struct coord_meta copy;

    (void)state;
    assert_false(differs(&original, 1, 1)); /* of a time before boots were kept */
    count_boots(&original, 1, 3, 2);
    copy = original;
    count_boots(&original, 4, 5, 2);
    count_boots(&copy, 104, 109, 2);
    assert_int_equal(original.boot_counter, 1 + 10);
    assert_int_equal(original.boot_count, 5);
    assert_false(differs(&original, 11, 5) || differs(&original, 10, 5) ||
                 differs(&original, 9, 4) || differs(&original, 2, 1));
    assert_true(differs(&original, 11, 4) && differs(&original, 9, 5));
    assert_true(differs(&copy, 11, 5) && differs(&copy, 8, 4));
    assert_false(differs(&copy, 7, 3)); /* as they were one */
}

/* Only the last are kept: of what was before nothing is said. */
static void boots_are_few(void **state)
{
    struct coord_meta meta = first;
    struct coord_meta read;
    uint8_t block[COORD_DISK_BLOCK_SIZE];
    uint64_t generation;

    (void)state;
    count_boots(&meta, 1, 2 * COORD_META_BOOTS_MAX, 1);
    assert_int_equal(meta.boot_count, COORD_META_BOOTS_MAX);
    assert_false(differs(&meta, 1 + COORD_META_BOOTS_MAX, 999));
    assert_true(differs(&meta, 2 + COORD_META_BOOTS_MAX, 999));
    assert_false(differs(&meta, 2 + COORD_META_BOOTS_MAX, 1 + COORD_META_BOOTS_MAX));
    coord_meta_encode(&meta, 3, block);
    assert_int_equal(coord_meta_decode(block, &read, &generation, NULL), RAY_OK);
    assert_true(is_same(&meta, &read));
}

static void what_is_written_is_read(void **state)
{
    struct coord_meta_store store;
    struct coord_meta_store again;
    struct coord_fake_disk *fake;
    struct coord_meta next;
    int status = 1;

    (void)state;
    fake = coord_fake_disk_create();
    assert_int_equal(coord_meta_open(&store, &fake->disk, NULL), RAY_ENOTFOUND);
    coord_fake_disk_destroy(fake);
    fake = made(&store);
    assert_int_equal(coord_meta_open(&again, &fake->disk, NULL), RAY_OK);
    assert_true(is_same(&again.now, &first));
    next = first;
    next.term = 6;
    next.vote = 0;
    assert_int_equal(coord_meta_write(&again, &next, NULL), RAY_OK);
    assert_int_equal(coord_meta_open(&store, &fake->disk, NULL), RAY_OK);
    assert_true(is_same(&store.now, &next));
    coord_meta_create(&again, &fake->disk, &first, on_created, &status);
    coord_fake_disk_run(fake);
    assert_int_equal(status, RAY_EEXISTS);
    assert_int_equal(coord_meta_open(&store, &fake->disk, NULL), RAY_OK);
    assert_true(is_same(&store.now, &next));
    coord_fake_disk_destroy(fake);
}

/* Cut in either copy's write, at each sector; then once more while it is repaired. */
static void a_cut_leaves_the_old_or_the_new(void **state)
{
    (void)state;
    for (int copy = 0; copy < 2; copy++) {
        for (size_t sectors = 0; sectors <= 8; sectors++) {
            for (int repair = 0; repair < 3; repair++) {
                struct coord_meta_store store;
                struct coord_fake_disk *fake = made(&store);
                struct coord_meta next = first;

                next.term = 6;
                next.vote = 3;
                fake->now_until_cut = copy;
                fake->now_sectors = sectors;
                assert_int_equal(coord_meta_write(&store, &next, NULL), RAY_EIO);
                assert_int_equal(coord_meta_write(&store, &next, NULL), RAY_EIO); /* no more */
                fake->is_off = false;
                fake->now_until_cut = repair < 2 ? repair : -1;
                fake->now_sectors = sectors / 2;
                (void)coord_meta_open(&store, &fake->disk, NULL);
                fake->is_off = false;
                fake->now_until_cut = -1;
                assert_int_equal(coord_meta_open(&store, &fake->disk, NULL), RAY_OK);
                assert_true(is_same(&store.now, &next) ||
                            (copy == 0 && is_same(&store.now, &first)));
                coord_fake_disk_destroy(fake);
            }
        }
    }
}

/* Rot of one copy, anywhere, never brings an older vote back. */
static void rot_of_one_copy_is_repaired(void **state)
{
    struct coord_meta_store store;
    struct coord_fake_disk *fake = made(&store);
    struct coord_meta next = first;
    struct coord_fake_file *file = coord_fake_disk_find(fake, COORD_META_NAME);

    (void)state;
    assert_non_null(file);
    next.term = 6;
    next.vote = 3;
    assert_int_equal(coord_meta_write(&store, &next, NULL), RAY_OK);
    for (size_t at = 0; at < file->size; at++) {
        struct coord_meta looked;

        file->bytes[at] ^= 0x10;
        fake->now_until_cut = 0; /* looking writes nothing */
        assert_int_equal(coord_meta_look(&fake->disk, &looked, NULL), RAY_OK);
        assert_true(is_same(&looked, &next) && fake->now_until_cut == 0);
        fake->now_until_cut = -1;
        assert_int_equal(coord_meta_open(&store, &fake->disk, NULL), RAY_OK);
        assert_true(is_same(&store.now, &next));
        assert_memory_equal(file->bytes, file->bytes + COORD_DISK_BLOCK_SIZE,
                            COORD_DISK_BLOCK_SIZE);
    }
    /* The good copy is not touched before there is another. */
    for (size_t rotten = 0; rotten < file->size; rotten += COORD_DISK_BLOCK_SIZE) {
        file->bytes[rotten] ^= 0x10;
        fake->now_until_cut = 0;
        fake->now_sectors = 8;
        assert_int_equal(coord_meta_open(&store, &fake->disk, NULL), RAY_EIO);
        assert_memory_equal(file->bytes, file->bytes + COORD_DISK_BLOCK_SIZE,
                            COORD_DISK_BLOCK_SIZE);
        fake->is_off = false;
        fake->now_until_cut = -1;
    }
    file->bytes[1] ^= 1;
    file->bytes[5000] ^= 1;
    assert_int_equal(coord_meta_open(&store, &fake->disk, NULL), RAY_EMALFORMED);
    coord_fake_disk_destroy(fake);
}

/* Cut before, within and behind the first write of either copy. */
static void a_cut_while_it_is_made_leaves_none_or_all(void **state)
{
    (void)state;
    for (int copy = 0; copy < 2; copy++) {
        for (size_t sectors = 0; sectors <= 8; sectors++) {
            bool is_whole = copy == 1 || sectors == 8;
            struct coord_meta_store store;
            struct coord_fake_disk *fake = coord_fake_disk_create();
            struct coord_meta other = first;
            int status = 1;

            other.term = 9;
            fake->now_until_cut = copy;
            fake->now_sectors = sectors;
            coord_meta_create(&store, &fake->disk, &first, on_created, &status);
            coord_fake_disk_run(fake);
            assert_int_equal(status, RAY_EIO);
            fake->is_off = false;
            fake->now_until_cut = -1;
            assert_int_equal(coord_meta_open(&store, &fake->disk, NULL),
                             is_whole ? RAY_OK : RAY_ENOTFOUND);
            /* What was never a membership may be made anew, a membership may not. */
            coord_meta_create(&store, &fake->disk, &other, on_created, &status);
            coord_fake_disk_run(fake);
            assert_int_equal(status, is_whole ? RAY_EEXISTS : RAY_OK);
            assert_int_equal(coord_meta_open(&store, &fake->disk, NULL), RAY_OK);
            assert_true(is_same(&store.now, is_whole ? &first : &other));
            coord_fake_disk_destroy(fake);
        }
    }
}

/* A first copy that rots is not a file that was never written. */
static void only_a_blank_second_copy_means_never_written(void **state)
{
    struct coord_meta_store store;
    struct coord_fake_disk *fake = made(&store);
    struct coord_fake_file *file = coord_fake_disk_find(fake, COORD_META_NAME);
    int status = 1;

    (void)state;
    assert_non_null(file);
    memset(file->bytes, 0, COORD_DISK_BLOCK_SIZE);
    assert_int_equal(coord_meta_open(&store, &fake->disk, NULL), RAY_OK); /* and repairs it */
    memset(file->bytes, 0, COORD_DISK_BLOCK_SIZE);
    file->bytes[COORD_DISK_BLOCK_SIZE] ^= 1;
    assert_int_equal(coord_meta_open(&store, &fake->disk, NULL), RAY_EMALFORMED);
    coord_meta_create(&store, &fake->disk, &first, on_created, &status);
    coord_fake_disk_run(fake);
    assert_int_equal(status, RAY_EEXISTS);
    coord_fake_disk_destroy(fake);
}

static void any_changed_byte_is_refused(void **state)
{
    struct coord_meta_store store;
    struct coord_fake_disk *fake = made(&store);
    uint8_t block[COORD_DISK_BLOCK_SIZE];
    struct coord_meta meta;
    uint64_t generation;

    (void)state;
    coord_meta_encode(&first, 3, block);
    assert_int_equal(coord_meta_decode(block, &meta, &generation, NULL), RAY_OK);
    assert_int_equal(generation, 3);
    for (size_t at = 0; at < sizeof block; at++) {
        block[at] ^= 1;
        assert_int_equal(coord_meta_decode(block, &meta, &generation, NULL), RAY_EMALFORMED);
        block[at] ^= 1;
    }
    coord_fake_disk_destroy(fake);
}

static void a_disk_that_goes_away_answers(void **state)
{
    struct coord_meta_store store;
    struct coord_fake_disk *fake = coord_fake_disk_create();
    int status = 1;

    (void)state;
    coord_meta_create(&store, &fake->disk, &first, on_created, &status);
    coord_fake_disk_destroy(fake);
    assert_int_equal(status, RAY_ECANCELED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boots_tell_a_copy),
        cmocka_unit_test(boots_are_few),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_cut_leaves_the_old_or_the_new),
        cmocka_unit_test(rot_of_one_copy_is_repaired),
        cmocka_unit_test(a_cut_while_it_is_made_leaves_none_or_all),
        cmocka_unit_test(only_a_blank_second_copy_means_never_written),
        cmocka_unit_test(any_changed_byte_is_refused),
        cmocka_unit_test(a_disk_that_goes_away_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
