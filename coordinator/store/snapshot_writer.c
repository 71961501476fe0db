/* One operation on the disk at a time: while a chunk is written, the next one fills. A chunk's
 * hash is taken from memory when its writing begins. Callbacks are the last thing that happens in
 * a step, so that their owner may end the writer in them. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/store/snapshot_file.h"

enum stage {
    STAGE_OTHERS, /* unfinished ones go */
    STAGE_CREATE,
    STAGE_DATA,
    STAGE_MANIFEST,
    STAGE_RENAME,
    STAGE_OLD_ONES,
    STAGE_END,
};

struct coord_snapshot_writer {
    struct coord_disk *disk;
    struct coord_snapshot_info info;
    uint64_t size_max;
    uint64_t data_offset;
    char name[COORD_DISK_NAME_SIZE];
    char target[COORD_DISK_NAME_SIZE];
    uint8_t *front; /* locator and manifest: the hashes are gathered in their place */
    uint8_t *chunks[2];
    size_t filled; /* of chunks[filling] */
    int filling;
    enum stage stage;
    int status;
    bool is_busy; /* an operation is under way */
    bool is_awaited;
    bool is_finishing;
    bool is_closing;
    struct coord_snapshot_removal removal;
    void (*on_writable)(void *arg);
    void *arg;
    coord_disk_done *done;
    void *done_arg;
};

static void on_done(void *arg, int status);

static void writer_free(struct coord_snapshot_writer *writer)
{
    free(writer->front);
    free(writer->chunks[0]);
    free(writer->chunks[1]);
    free(writer);
}

static uint8_t *manifest_of(const struct coord_snapshot_writer *writer)
{
    return writer->front + COORD_DISK_BLOCK_SIZE;
}

static void write_chunk(struct coord_snapshot_writer *writer)
{
    uint8_t *chunk = writer->chunks[writer->filling];
    uint64_t at = (uint64_t)writer->info.chunk_count * COORD_SNAPSHOT_CHUNK_SIZE;
    size_t blocks = (size_t)coord_snapshot_blocks(writer->filled);
    uint8_t *hashes = manifest_of(writer) + COORD_SNAPSHOT_MANIFEST_FIXED_SIZE;

    assert(!writer->is_busy && writer->filled > 0);
    coord_snapshot_hash(chunk, writer->filled,
                        hashes + (size_t)writer->info.chunk_count * COORD_SNAPSHOT_HASH_SIZE);
    memset(chunk + writer->filled, 0, blocks - writer->filled);
    writer->info.chunk_count++;
    writer->filling = 1 - writer->filling;
    writer->filled = 0;
    writer->is_busy = true;
    writer->disk->ops->write(writer->disk, writer->name, writer->data_offset + at, chunk, blocks,
                             on_done, writer);
}

static void write_manifest(struct coord_snapshot_writer *writer)
{
    uint8_t *manifest = manifest_of(writer);
    size_t size = coord_snapshot_manifest_encode(
        &writer->info, manifest + COORD_SNAPSHOT_MANIFEST_FIXED_SIZE, manifest);

    coord_snapshot_locator_encode(size, writer->data_offset, writer->front);
    writer->stage = STAGE_MANIFEST;
    writer->is_busy = true;
    writer->disk->ops->write(writer->disk, writer->name, 0, writer->front,
                             (size_t)writer->data_offset, on_done, writer);
}

static void remove_own(struct coord_snapshot_writer *writer)
{
    writer->is_busy = true;
    writer->disk->ops->remove(writer->disk, writer->name, on_done, writer);
}

static void end(struct coord_snapshot_writer *writer, int status)
{
    writer->stage = STAGE_END;
    writer->status = status;
    writer->done(writer->done_arg, status);
}

/* Old ones that cannot be removed now are met again by the next snapshot. */
static void remove_old_ones(struct coord_snapshot_writer *writer)
{
    int rc = coord_snapshot_removal_collect(&writer->removal, writer->disk,
                                            COORD_SNAPSHOT_NEW_PREFIX, NULL, true, NULL);

    if (rc != RAY_OK || writer->removal.count == 0) {
        end(writer, RAY_OK);
        return;
    }
    writer->stage = STAGE_OLD_ONES;
    writer->is_busy = true;
    coord_snapshot_removal_run(&writer->removal, on_done, writer);
}

static void step_finishing(struct coord_snapshot_writer *writer)
{
    switch (writer->stage) {
    case STAGE_DATA:
        if (writer->filled > 0) {
            write_chunk(writer);
        } else {
            write_manifest(writer);
        }
        break;
    case STAGE_MANIFEST:
        writer->stage = STAGE_RENAME;
        writer->is_busy = true;
        writer->disk->ops->rename(writer->disk, writer->name, writer->target, on_done, writer);
        break;
    case STAGE_RENAME:
        remove_old_ones(writer);
        break;
    case STAGE_OLD_ONES:
        end(writer, RAY_OK);
        break;
    case STAGE_OTHERS:
    case STAGE_CREATE:
    case STAGE_END:
    default:
        assert(false && "nothing to finish");
        break;
    }
}

static void step_open(struct coord_snapshot_writer *writer)
{
    if (writer->filled == COORD_SNAPSHOT_CHUNK_SIZE) {
        write_chunk(writer);
    }
    if (writer->is_awaited) {
        writer->is_awaited = false;
        writer->on_writable(writer->arg);
    }
}

static void step_failed(struct coord_snapshot_writer *writer)
{
    if (writer->is_finishing) {
        end(writer, writer->status);
    } else if (writer->is_awaited) {
        writer->is_awaited = false;
        writer->on_writable(writer->arg); /* put says what happened */
    }
}

static void begin_create(struct coord_snapshot_writer *writer)
{
    writer->stage = STAGE_CREATE;
    writer->is_busy = true;
    writer->disk->ops->create(writer->disk, writer->name,
                              writer->data_offset + coord_snapshot_blocks(writer->size_max),
                              on_done, writer);
}

static void on_done(void *arg, int status)
{
    struct coord_snapshot_writer *writer = arg;

    writer->is_busy = false;
    if (writer->is_closing) {
        writer_free(writer);
        return;
    }
    if (status != RAY_ECANCELED &&
        (writer->stage == STAGE_OTHERS || writer->stage == STAGE_OLD_ONES)) {
        status = RAY_OK; /* they may go another time */
    }
    if (writer->status == RAY_OK) {
        writer->status = status;
    }
    if (writer->status != RAY_OK) {
        step_failed(writer);
        return;
    }
    if (writer->stage == STAGE_OTHERS) {
        begin_create(writer);
        return;
    }
    if (writer->stage == STAGE_CREATE) {
        writer->stage = STAGE_DATA;
    }
    if (writer->is_finishing) {
        step_finishing(writer);
    } else {
        step_open(writer);
    }
}

static uint8_t *blocks_get(uint64_t size)
{
    return ray_fault(RAY_FAULT_ALLOC) ? NULL : aligned_alloc(COORD_DISK_BLOCK_SIZE, (size_t)size);
}

struct leftover {
    const char *name;
    bool is_there;
};

static void look_for(void *arg, const char *name, uint64_t size)
{
    struct leftover *leftover = arg;

    (void)size;
    leftover->is_there = leftover->is_there || strcmp(name, leftover->name) == 0;
}

/* A name that no file left by a crash has. */
static int choose_name(struct coord_snapshot_writer *writer, struct ray_err *err)
{
    for (unsigned n = 0; n < 256; n++) {
        struct leftover leftover = {.name = writer->name};
        int rc;

        (void)snprintf(writer->name, sizeof writer->name,
                       COORD_SNAPSHOT_NEW_PREFIX "%016" PRIx64 "-%016" PRIx64 "-%02x",
                       writer->info.index, writer->info.term, n);
        rc = writer->disk->ops->list(writer->disk, look_for, &leftover, err);
        if (rc != RAY_OK || !leftover.is_there) {
            return rc;
        }
    }
    return ray_fail(err, RAY_ETOOBIG, "too many unfinished snapshots");
}

int coord_snapshot_writer_create(struct coord_snapshot_writer **out, struct coord_disk *disk,
                                 const struct coord_snapshot_info *info, uint64_t size_max,
                                 void (*on_writable)(void *arg), void *arg, struct ray_err *err)
{
    struct coord_snapshot_writer *writer;
    int rc;

    assert(info->index > 0 && info->term > 0 && info->config_index <= info->index);
    if (size_max > (uint64_t)COORD_SNAPSHOT_CHUNKS_MAX * COORD_SNAPSHOT_CHUNK_SIZE) {
        return ray_fail(err, RAY_ETOOBIG, "a snapshot of %llu bytes", (unsigned long long)size_max);
    }
    writer = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *writer);
    if (writer == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a snapshot");
    }
    writer->disk = disk;
    writer->info = *info;
    writer->info.size = 0;
    writer->info.chunk_count = 0;
    writer->size_max = size_max;
    writer->data_offset = coord_snapshot_data_offset(coord_snapshot_chunks(size_max));
    writer->on_writable = on_writable;
    writer->arg = arg;
    writer->is_awaited = true;
    writer->front = blocks_get(writer->data_offset);
    writer->chunks[0] = blocks_get(COORD_SNAPSHOT_CHUNK_SIZE);
    writer->chunks[1] = blocks_get(COORD_SNAPSHOT_CHUNK_SIZE);
    if (writer->front == NULL || writer->chunks[0] == NULL || writer->chunks[1] == NULL) {
        writer_free(writer);
        return ray_fail(err, RAY_ENOMEM, "a snapshot");
    }
    memset(writer->front, 0, (size_t)writer->data_offset);
    coord_snapshot_name(info->index, info->term, writer->target);
    rc = choose_name(writer, err);
    if (rc == RAY_OK) {
        rc = coord_snapshot_removal_collect(&writer->removal, disk, COORD_SNAPSHOT_NEW_PREFIX, NULL,
                                            false, err);
    }
    if (rc != RAY_OK) {
        writer_free(writer);
        return rc;
    }
    if (writer->removal.count > 0) {
        writer->is_busy = true;
        coord_snapshot_removal_run(&writer->removal, on_done, writer);
    } else {
        begin_create(writer);
    }
    *out = writer;
    return RAY_OK;
}

int coord_snapshot_writer_put(struct coord_snapshot_writer *writer, const uint8_t *bytes,
                              size_t size, size_t *out_taken)
{
    size_t taken = 0;

    assert(!writer->is_finishing && !writer->is_closing && size > 0);
    if (writer->status != RAY_OK) {
        return writer->status;
    }
    if (size > writer->size_max - writer->info.size) {
        return RAY_ETOOBIG;
    }
    while (taken < size && writer->stage == STAGE_DATA) {
        size_t room = COORD_SNAPSHOT_CHUNK_SIZE - writer->filled;
        size_t part = size - taken < room ? size - taken : room;

        memcpy(writer->chunks[writer->filling] + writer->filled, bytes + taken, part);
        writer->filled += part;
        taken += part;
        if (writer->filled == COORD_SNAPSHOT_CHUNK_SIZE) {
            if (writer->is_busy) {
                break;
            }
            write_chunk(writer);
        }
    }
    writer->info.size += taken;
    if (taken == 0) {
        writer->is_awaited = true;
        return RAY_EAGAIN;
    }
    *out_taken = taken;
    return RAY_OK;
}

void coord_snapshot_writer_finish(struct coord_snapshot_writer *writer, coord_disk_done *done,
                                  void *arg)
{
    assert(!writer->is_finishing && !writer->is_closing);
    writer->is_finishing = true;
    writer->done = done;
    writer->done_arg = arg;
    if (writer->is_busy) {
        return;
    }
    if (writer->status != RAY_OK) {
        remove_own(writer); /* whose end is the way to tell */
    } else {
        step_finishing(writer);
    }
}

const struct coord_snapshot_info *
coord_snapshot_writer_info(const struct coord_snapshot_writer *writer)
{
    assert(writer->stage == STAGE_END && writer->status == RAY_OK);
    return &writer->info;
}

void coord_snapshot_writer_destroy(struct coord_snapshot_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    writer->is_closing = true;
    if (!writer->is_busy) {
        writer_free(writer);
    }
}
