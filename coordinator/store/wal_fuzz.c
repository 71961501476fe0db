/* Any bytes as the files of a log: one byte says how they are shared out, the rest is laid over
 * a true log, block by block. Opening, reading all, resetting and appending must not crash. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/store/disk_fake.h"
#include "coordinator/store/wal.h"

enum { SEGMENT = 16 << 10, PATCH = 24 };

static void ignore_durable(void *arg, uint64_t index)
{
    (void)arg, (void)index;
}

static void ignore_failed(void *arg, int status)
{
    (void)arg, (void)status;
}

static void ignore_space(void *arg, enum coord_wal_space space)
{
    (void)arg, (void)space;
}

static const struct coord_wal_user user = {
    .on_durable = ignore_durable, .on_failed = ignore_failed, .on_space = ignore_space};

static struct coord_wal *log_open(struct coord_fake_disk *fake)
{
    const struct coord_wal_config config = {.segment_size = SEGMENT, .batch_size = 4096};
    struct coord_wal_recovery recovery;
    struct coord_wal *wal = NULL;

    if (coord_wal_open(&wal, &fake->disk, &config, &user, &recovery, NULL) != RAY_OK) {
        return NULL;
    }
    assert(recovery.last_index + 1 >= recovery.first_index);
    assert(recovery.durable_index <= recovery.last_index);
    return wal;
}

static void log_append(struct coord_fake_disk *fake, struct coord_wal *wal, uint64_t index,
                       uint32_t size)
{
    static const uint8_t data[8000] = {1};
    const struct coord_entry entry = {
        .term = 1, .index = index, .type = COORD_ENTRY_COMMAND, .size = size, .data = data};

    if (coord_wal_append(wal, &entry, 1, NULL) == RAY_OK) {
        coord_wal_flush(wal);
        coord_fake_disk_run(fake);
    }
}

static struct coord_fake_disk *true_log(void)
{
    struct coord_fake_disk *fake = coord_fake_disk_create();
    struct coord_wal *wal = log_open(fake);

    for (uint64_t index = 1; index <= 8; index++) {
        log_append(fake, wal, index, (uint32_t)(index * 900));
    }
    log_append(fake, wal, 6, 40);
    coord_wal_destroy(wal);
    return fake;
}

/* {file, 3 bytes of offset, PATCH - 4 bytes}; a file of 255 lays a whole file anew. */
static void damage(struct coord_fake_disk *fake, const uint8_t *data, size_t size)
{
    while (size >= PATCH) {
        struct coord_fake_file *file = &fake->files[data[0] % fake->file_count];
        size_t offset = (data[1] | (size_t)data[2] << 8) % (size_t)(SEGMENT - PATCH);

        if (data[0] == 255) {
            size_t part = size - 4 < SEGMENT ? size - 4 : SEGMENT;

            memcpy(fake->files[data[1] % fake->file_count].bytes, data + 4, part);
            return;
        }
        memcpy(file->bytes + offset, data + 4, PATCH - 4);
        data += PATCH;
        size -= PATCH;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct coord_fake_disk *fake = true_log();
    struct coord_wal *wal;

    damage(fake, data, size);
    wal = log_open(fake);
    if (wal != NULL) {
        uint64_t last = coord_wal_last_index(wal);

        for (uint64_t index = coord_wal_first_index(wal); index <= last; index++) {
            struct coord_wal_span span = {0};

            (void)coord_wal_read(wal, index, 3, 4096, &span, NULL);
            coord_wal_span_fini(&span);
        }
        if (last < UINT64_MAX - 10) {
            log_append(fake, wal, last + 1, 100);
            if (coord_wal_reset(wal, last + 5, NULL) == RAY_OK) {
                log_append(fake, wal, last + 6, 100);
            }
        }
        coord_wal_destroy(wal);
    }
    coord_fake_disk_destroy(fake);
    return 0;
}
