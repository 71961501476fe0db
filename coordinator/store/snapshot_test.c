#include "base/test.h"
#include "coordinator/store/disk_fake.h"
#include "coordinator/store/snapshot.h"

enum { PIECE = 50000 };

static const struct ray_id cluster = {{7}};

static uint8_t byte_at(uint64_t index, uint64_t at)
{
    return (uint8_t)(at * 31 + at / 255 + index);
}

static void ignore(void *arg)
{
    (void)arg;
}

static void on_done(void *arg, int status)
{
    *(int *)arg = status;
}

static struct coord_snapshot_info info_of(uint64_t index)
{
    return (struct coord_snapshot_info){
        .cluster_id = cluster,
        .index = index,
        .term = 3,
        .config = {.servers = {{.id = 2, .role = COORD_VOTER}, {.id = 9, .role = COORD_STANDBY}},
                   .count = 2},
        .config_index = index - 1,
    };
}

/* Puts `size` bytes; the disk runs only when the writer asks for it. */
static int put_all(struct coord_fake_disk *fake, struct coord_snapshot_writer *writer,
                   uint64_t index, uint64_t size)
{
    uint8_t piece[PIECE];
    uint64_t at = 0;

    while (at < size) {
        size_t part = size - at < PIECE ? (size_t)(size - at) : (size_t)PIECE;
        size_t taken = 0;
        int rc;

        for (size_t i = 0; i < part; i++) {
            piece[i] = byte_at(index, at + i);
        }
        rc = coord_snapshot_writer_put(writer, piece, part, &taken);
        if (rc == RAY_EAGAIN) {
            assert_true(fake->op_count > 0);
            coord_fake_disk_complete(fake, 0);
        } else if (rc != RAY_OK) {
            return rc;
        }
        at += taken;
    }
    return RAY_OK;
}

static void make(struct coord_fake_disk *fake, uint64_t index, uint64_t size)
{
    struct coord_snapshot_info info = info_of(index);
    struct coord_snapshot_writer *writer;
    int status = 1;

    assert_int_equal(
        coord_snapshot_writer_create(&writer, &fake->disk, &info, size + 100, ignore, NULL, NULL),
        RAY_OK);
    assert_int_equal(put_all(fake, writer, index, size), RAY_OK);
    coord_snapshot_writer_finish(writer, on_done, &status);
    assert_int_equal(status, 1);
    coord_fake_disk_run(fake);
    assert_int_equal(status, RAY_OK);
    assert_int_equal(coord_snapshot_writer_info(writer)->size, size);
    coord_snapshot_writer_destroy(writer);
}

static void check(struct coord_fake_disk *fake, uint64_t index, uint64_t size)
{
    struct coord_snapshot_reader *reader;
    const struct coord_snapshot_info *info;
    uint64_t at = 0;

    assert_int_equal(coord_snapshot_reader_create(&reader, &fake->disk, index, 3, NULL), RAY_OK);
    info = coord_snapshot_reader_info(reader);
    assert_int_equal(info->size, size);
    assert_int_equal(info->config.count, 2);
    assert_int_equal(info->config.servers[1].id, 9);
    assert_int_equal(info->config_index, index - 1);
    for (uint32_t i = 0; i < info->chunk_count; i++) {
        const uint8_t *chunk;
        size_t part;

        assert_int_equal(coord_snapshot_reader_read(reader, i, &chunk, &part, NULL), RAY_OK);
        for (size_t j = 0; j < part; j++) {
            assert_int_equal(chunk[j], byte_at(index, at + j));
        }
        at += part;
    }
    assert_int_equal(at, size);
    coord_snapshot_reader_destroy(reader);
}

static void what_is_written_is_read(void **state)
{
    static const uint64_t sizes[] = {1, 4096, 262143, 262144, 262145, 900000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct coord_fake_disk *fake = coord_fake_disk_create();

        make(fake, 10 + i, sizes[i]);
        check(fake, 10 + i, sizes[i]);
        assert_int_equal(fake->file_count, 1);
        coord_fake_disk_destroy(fake);
    }
}

static void two_generations_are_kept(void **state)
{
    struct coord_fake_disk *fake = coord_fake_disk_create();
    struct coord_snapshot_info infos[COORD_SNAPSHOTS_MAX];
    size_t count;

    (void)state;
    for (uint64_t index = 10; index <= 16; index++) {
        make(fake, index, 3000);
    }
    assert_int_equal(fake->file_count, 2);
    assert_int_equal(coord_snapshot_list(&fake->disk, infos, COORD_SNAPSHOTS_MAX, &count, NULL),
                     RAY_OK);
    assert_int_equal(count, 2);
    assert_int_equal(infos[0].index, 16);
    assert_int_equal(infos[1].index, 15);
    check(fake, 15, 3000);
    coord_fake_disk_destroy(fake);
}

/* At every operation: lost, whole, or torn; the older snapshot stands, the new one is whole or
 * not there, and the next one works and clears up. */
static void a_cut_leaves_the_old_and_perhaps_the_new(void **state)
{
    (void)state;
    for (size_t steps = 0; steps < 12; steps++) {
        for (int fate = COORD_FAKE_LOST; fate <= COORD_FAKE_TAIL; fate++) {
            struct coord_fake_disk *fake = coord_fake_disk_create();
            struct coord_fake_disk *after;
            struct coord_fake_cut cuts[COORD_FAKE_OPS_MAX];
            struct coord_snapshot_info info = info_of(20);
            struct coord_snapshot_info found[COORD_SNAPSHOTS_MAX];
            struct coord_snapshot_writer *writer;
            size_t count;
            int status = 1;

            make(fake, 10, 5000);
            make(fake, 11, 5000);
            assert_int_equal(coord_snapshot_writer_create(&writer, &fake->disk, &info, 300000,
                                                          ignore, NULL, NULL),
                             RAY_OK);
            coord_fake_disk_complete(fake, 0);
            assert_int_equal(put_all(fake, writer, 20, 270000), RAY_OK);
            coord_snapshot_writer_finish(writer, on_done, &status);
            for (size_t i = 0; i < steps && fake->op_count > 0; i++) {
                coord_fake_disk_complete(fake, 0);
            }
            for (size_t i = 0; i < COORD_FAKE_OPS_MAX; i++) {
                cuts[i] = (struct coord_fake_cut){.fate = (enum coord_fake_fate)fate, .sectors = 3};
            }
            after = coord_fake_disk_copy(fake);
            coord_fake_disk_cut(after, cuts);
            assert_int_equal(
                coord_snapshot_list(&after->disk, found, COORD_SNAPSHOTS_MAX, &count, NULL),
                RAY_OK);
            assert_true(count >= 2);
            for (size_t i = 0; i < count; i++) {
                check(after, found[i].index, found[i].index == 20 ? 270000 : 5000);
            }
            make(after, 30, 1000);
            make(after, 31, 1000);
            assert_int_equal(after->file_count, 2);
            coord_fake_disk_destroy(after);
            coord_snapshot_writer_destroy(writer);
            coord_fake_disk_destroy(fake);
        }
    }
}

static void rot_is_found_wherever_it_is(void **state)
{
    struct coord_fake_disk *fake = coord_fake_disk_create();

    (void)state;
    make(fake, 10, 9000);
    for (uint64_t at = 0; at < fake->files[0].size; at += at < 4600 ? 1 : 37) {
        struct coord_snapshot_reader *reader = NULL;
        const uint8_t *chunk;
        size_t size;
        int rc;

        fake->files[0].bytes[at] ^= 4;
        rc = coord_snapshot_reader_create(&reader, &fake->disk, 10, 3, NULL);
        if (rc == RAY_OK) {
            rc = coord_snapshot_reader_read(reader, 0, &chunk, &size, NULL);
        }
        coord_snapshot_reader_destroy(reader);
        /* Zeros between manifest and data, and behind the data, are nobody's. */
        assert_true(rc == RAY_EMALFORMED || (at >= 4488 && at < 8192) || at >= 8192 + 9000);
        fake->files[0].bytes[at] ^= 4;
    }
    coord_fake_disk_destroy(fake);
}

static void a_full_disk_or_a_failed_write_is_told(void **state)
{
    struct coord_fake_disk *fake = coord_fake_disk_create();
    struct coord_snapshot_info info = info_of(20);
    struct coord_snapshot_writer *writer;
    uint8_t byte = 1;
    size_t taken;
    int status = 1;

    (void)state;
    fake->size_max = 100000;
    assert_int_equal(
        coord_snapshot_writer_create(&writer, &fake->disk, &info, 300000, ignore, NULL, NULL),
        RAY_OK);
    coord_fake_disk_run(fake);
    assert_int_equal(coord_snapshot_writer_put(writer, &byte, 1, &taken), RAY_ENOSPC);
    coord_snapshot_writer_destroy(writer);
    assert_int_equal(fake->op_count, 0);
    fake->size_max = 0;
    assert_int_equal(
        coord_snapshot_writer_create(&writer, &fake->disk, &info, 300000, ignore, NULL, NULL),
        RAY_OK);
    coord_fake_disk_run(fake);
    fake->write_status = RAY_EIO;
    assert_int_equal(put_all(fake, writer, 20, 300000), RAY_OK);
    assert_int_equal(coord_snapshot_writer_put(writer, &byte, 1, &taken), RAY_ETOOBIG);
    coord_snapshot_writer_finish(writer, on_done, &status);
    coord_fake_disk_run(fake);
    assert_int_equal(status, RAY_EIO);
    coord_snapshot_writer_destroy(writer);
    make(fake, 21, 100);
    assert_int_equal(fake->file_count, 1);
    coord_fake_disk_destroy(fake);
}

static void a_writer_may_go_at_any_time(void **state)
{
    (void)state;
    for (int is_disk_first = 0; is_disk_first < 2; is_disk_first++) {
        for (size_t steps = 0; steps < 6; steps++) {
            struct coord_fake_disk *fake = coord_fake_disk_create();
            struct coord_snapshot_info info = info_of(20);
            struct coord_snapshot_writer *writer;

            assert_int_equal(coord_snapshot_writer_create(&writer, &fake->disk, &info, 900000,
                                                          ignore, NULL, NULL),
                             RAY_OK);
            if (steps > 0) {
                coord_fake_disk_complete(fake, 0);
                assert_int_equal(put_all(fake, writer, 20, steps * 150000), RAY_OK);
            }
            if (is_disk_first) {
                coord_fake_disk_destroy(fake);
                coord_snapshot_writer_destroy(writer);
                continue;
            }
            coord_snapshot_writer_destroy(writer);
            coord_fake_disk_run(fake);
            make(fake, 21, 100);
            assert_int_equal(fake->file_count, 1);
            coord_fake_disk_destroy(fake);
        }
    }
}

/* --- receiving --- */

struct source {
    struct coord_fake_disk *fake;
    struct coord_snapshot_reader *reader;
    const uint8_t *manifest;
    size_t manifest_size;
    uint8_t *chunk;
};

static void source_init(struct source *source, uint64_t index, uint64_t size)
{
    source->fake = coord_fake_disk_create();
    make(source->fake, index, size);
    assert_int_equal(
        coord_snapshot_reader_create(&source->reader, &source->fake->disk, index, 3, NULL), RAY_OK);
    source->manifest = coord_snapshot_reader_manifest(source->reader, &source->manifest_size);
    source->chunk = malloc(COORD_SNAPSHOT_CHUNK_SIZE);
    assert_non_null(source->chunk);
}

static void source_fini(struct source *source)
{
    coord_snapshot_reader_destroy(source->reader);
    coord_fake_disk_destroy(source->fake);
    free(source->chunk);
}

static struct coord_snapshot_receiver *receive(struct source *source, struct coord_fake_disk *fake)
{
    struct coord_snapshot_receiver *receiver;

    assert_int_equal(coord_snapshot_receiver_create(&receiver, &fake->disk, &cluster,
                                                    source->manifest, source->manifest_size, ignore,
                                                    NULL, NULL),
                     RAY_OK);
    return receiver;
}

/* Into source->chunk, where it may be changed. */
static size_t take(struct source *source, uint32_t chunk)
{
    const uint8_t *bytes;
    size_t size;

    assert_int_equal(coord_snapshot_reader_read(source->reader, chunk, &bytes, &size, NULL),
                     RAY_OK);
    memcpy(source->chunk, bytes, size);
    return size;
}

static int send(struct source *source, struct coord_snapshot_receiver *receiver, uint32_t chunk)
{
    size_t size = take(source, chunk);

    return coord_snapshot_receiver_put(receiver, chunk, source->chunk, size, NULL);
}

static int finish(struct coord_fake_disk *fake, struct coord_snapshot_receiver *receiver)
{
    int status = 1;

    coord_snapshot_receiver_finish(receiver, on_done, &status);
    assert_int_equal(status, 1);
    coord_fake_disk_run(fake);
    return status;
}

static void a_snapshot_travels_in_any_order(void **state)
{
    static const uint32_t order[] = {3, 0, 2, 1};
    struct source source;
    struct coord_fake_disk *fake = coord_fake_disk_create();
    struct coord_snapshot_receiver *receiver;

    (void)state;
    source_init(&source, 40, 900000);
    make(fake, 5, 100);
    receiver = receive(&source, fake);
    assert_int_equal(send(&source, receiver, 0), RAY_EAGAIN); /* the file is being made */
    coord_fake_disk_run(fake);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(send(&source, receiver, order[i]), RAY_OK);
        assert_int_equal(send(&source, receiver, order[(i + 1) % 4]), i == 3 ? RAY_OK : RAY_EAGAIN);
        coord_fake_disk_run(fake);
    }
    assert_int_equal(coord_snapshot_receiver_missing(receiver, 0), 4);
    assert_int_equal(finish(fake, receiver), RAY_OK);
    coord_snapshot_receiver_destroy(receiver);
    check(fake, 40, 900000);
    check(fake, 5, 100);
    assert_int_equal(fake->file_count, 2);
    source_fini(&source);
    coord_fake_disk_destroy(fake);
}

static void wrong_chunks_are_refused(void **state)
{
    struct source source;
    struct coord_fake_disk *fake = coord_fake_disk_create();
    struct coord_snapshot_receiver *receiver;
    size_t size;

    (void)state;
    source_init(&source, 40, 300000);
    receiver = receive(&source, fake);
    coord_fake_disk_run(fake);
    size = take(&source, 0);
    source.chunk[1234] ^= 1;
    assert_int_equal(coord_snapshot_receiver_put(receiver, 0, source.chunk, size, NULL),
                     RAY_EMALFORMED);
    source.chunk[1234] ^= 1;
    assert_int_equal(coord_snapshot_receiver_put(receiver, 1, source.chunk, size, NULL),
                     RAY_EMALFORMED);
    assert_int_equal(coord_snapshot_receiver_put(receiver, 0, source.chunk, size - 1, NULL),
                     RAY_EMALFORMED);
    assert_int_equal(coord_snapshot_receiver_put(receiver, 2, source.chunk, size, NULL),
                     RAY_EMALFORMED);
    assert_int_equal(coord_snapshot_receiver_put(receiver, 0, source.chunk, size, NULL), RAY_OK);
    assert_int_equal(finish(fake, receiver), RAY_EAGAIN); /* one is missing */
    coord_snapshot_receiver_destroy(receiver);
    assert_int_equal(fake->file_count, 1);
    source_fini(&source);
    coord_fake_disk_destroy(fake);
}

static void it_is_taken_up_after_a_cut(void **state)
{
    (void)state;
    for (int fate = COORD_FAKE_LOST; fate <= COORD_FAKE_MASK; fate++) {
        struct source source;
        struct coord_fake_disk *fake = coord_fake_disk_create();
        struct coord_fake_disk *after;
        struct coord_snapshot_receiver *receiver;
        struct coord_fake_cut cuts[COORD_FAKE_OPS_MAX];

        source_init(&source, 40, 900000);
        receiver = receive(&source, fake);
        coord_fake_disk_run(fake);
        assert_int_equal(send(&source, receiver, 0), RAY_OK);
        coord_fake_disk_run(fake);
        assert_int_equal(send(&source, receiver, 2), RAY_OK);
        for (size_t i = 0; i < COORD_FAKE_OPS_MAX; i++) {
            cuts[i] = (struct coord_fake_cut){
                .fate = (enum coord_fake_fate)fate, .sectors = 100, .mask = 0xaaaaaaaaU};
        }
        after = coord_fake_disk_copy(fake);
        coord_fake_disk_cut(after, cuts);
        coord_snapshot_receiver_destroy(receiver);
        coord_fake_disk_destroy(fake);

        receiver = receive(&source, after);
        coord_fake_disk_run(after);
        assert_int_equal(coord_snapshot_receiver_missing(receiver, 0), 1);
        assert_int_equal(coord_snapshot_receiver_missing(receiver, 2),
                         fate == COORD_FAKE_WHOLE ? 3 : 2);
        for (uint32_t i = 1; i < 4; i++) {
            assert_int_equal(send(&source, receiver, i), RAY_OK);
            coord_fake_disk_run(after);
        }
        assert_int_equal(finish(after, receiver), RAY_OK);
        coord_snapshot_receiver_destroy(receiver);
        check(after, 40, 900000);
        source_fini(&source);
        coord_fake_disk_destroy(after);
    }
}

static void another_snapshot_replaces_an_unfinished_one(void **state)
{
    struct source first;
    struct source second;
    struct coord_fake_disk *fake = coord_fake_disk_create();
    struct coord_snapshot_receiver *receiver;

    (void)state;
    source_init(&first, 40, 300000);
    source_init(&second, 50, 1000);
    receiver = receive(&first, fake);
    coord_fake_disk_run(fake);
    coord_snapshot_receiver_destroy(receiver);
    receiver = receive(&second, fake);
    coord_fake_disk_run(fake);
    assert_int_equal(fake->file_count, 1);
    assert_int_equal(send(&second, receiver, 0), RAY_OK);
    assert_int_equal(finish(fake, receiver), RAY_OK); /* with its last chunk under way */
    coord_snapshot_receiver_destroy(receiver);
    check(fake, 50, 1000);
    source_fini(&first);
    source_fini(&second);
    coord_fake_disk_destroy(fake);
}

static void every_changed_byte_of_a_manifest_is_refused(void **state)
{
    struct source source;
    struct coord_fake_disk *fake = coord_fake_disk_create();
    struct coord_snapshot_receiver *receiver = NULL;
    const struct ray_id other = {{8}};
    uint8_t *copy;

    (void)state;
    source_init(&source, 40, 300000);
    copy = ray_test_copy(source.manifest, source.manifest_size);
    for (size_t at = 0; at < source.manifest_size; at++) {
        int rc;

        copy[at] ^= 1;
        rc = coord_snapshot_receiver_create(&receiver, &fake->disk, &cluster, copy,
                                            source.manifest_size, ignore, NULL, NULL);
        assert_int_equal(rc, RAY_EMALFORMED);
        copy[at] ^= 1;
    }
    for (size_t size = 0; size < source.manifest_size; size++) {
        uint8_t *exact = ray_test_copy(source.manifest, size);

        assert_int_equal(coord_snapshot_receiver_create(&receiver, &fake->disk, &cluster, exact,
                                                        size, ignore, NULL, NULL),
                         RAY_EMALFORMED);
        free(exact);
    }
    assert_int_equal(coord_snapshot_receiver_create(&receiver, &fake->disk, &other, copy,
                                                    source.manifest_size, ignore, NULL, NULL),
                     RAY_ECONFLICT);
    assert_int_equal(fake->op_count, 0);
    free(copy);
    source_fini(&source);
    coord_fake_disk_destroy(fake);
}

static void every_allocation_may_fail(void **state)
{
    struct source source;

    (void)state;
    source_init(&source, 40, 3000);
    for (unsigned n = 1;; n++) {
        struct coord_fake_disk *fake = coord_fake_disk_create();
        struct coord_snapshot_info info = info_of(41);
        struct coord_snapshot_writer *writer = NULL;
        struct coord_snapshot_receiver *receiver = NULL;
        struct coord_snapshot_reader *reader = NULL;
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = coord_snapshot_writer_create(&writer, &fake->disk, &info, 1000, ignore, NULL, NULL);
        if (rc == RAY_OK) {
            rc = coord_snapshot_receiver_create(&receiver, &fake->disk, &cluster, source.manifest,
                                                source.manifest_size, ignore, NULL, NULL);
        }
        if (rc == RAY_OK) {
            rc = coord_snapshot_reader_create(&reader, &source.fake->disk, 40, 3, NULL);
        }
        coord_snapshot_writer_destroy(writer);
        coord_snapshot_receiver_destroy(receiver);
        coord_snapshot_reader_destroy(reader);
        coord_fake_disk_destroy(fake);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
    }
    source_fini(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(two_generations_are_kept),
        cmocka_unit_test(a_cut_leaves_the_old_and_perhaps_the_new),
        cmocka_unit_test(rot_is_found_wherever_it_is),
        cmocka_unit_test(a_full_disk_or_a_failed_write_is_told),
        cmocka_unit_test(a_writer_may_go_at_any_time),
        cmocka_unit_test(a_snapshot_travels_in_any_order),
        cmocka_unit_test(wrong_chunks_are_refused),
        cmocka_unit_test(it_is_taken_up_after_a_cut),
        cmocka_unit_test(another_snapshot_replaces_an_unfinished_one),
        cmocka_unit_test(every_changed_byte_of_a_manifest_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
