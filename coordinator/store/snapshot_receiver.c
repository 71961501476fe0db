/* The file's name has the root of what it is to become: a file of that name holds chunks of that
 * snapshot and no other, whoever wrote them. Which are there is found by their hashes. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/store/snapshot_file.h"

enum stage {
    STAGE_OTHERS, /* unfinished ones of other snapshots go */
    STAGE_CREATE,
    STAGE_MANIFEST,
    STAGE_DATA,
    STAGE_RENAME,
    STAGE_OLD_ONES,
    STAGE_END,
};

struct coord_snapshot_receiver {
    struct coord_disk *disk;
    struct coord_snapshot_info info;
    uint64_t data_offset;
    uint64_t file_size;
    char name[COORD_DISK_NAME_SIZE];
    char target[COORD_DISK_NAME_SIZE];
    uint8_t *front; /* locator and manifest */
    const uint8_t *hashes;
    uint8_t *chunk;
    bool *has; /* by chunk */
    enum stage stage;
    int status;
    bool is_there; /* the file, when this began */
    bool is_busy;
    bool is_awaited;
    bool is_finishing;
    bool is_closing;
    uint32_t writing; /* the chunk whose write is under way */
    struct coord_snapshot_removal removal;
    void (*on_ready)(void *arg);
    void *arg;
    coord_disk_done *done;
    void *done_arg;
};

static void on_done(void *arg, int status);

static void receiver_free(struct coord_snapshot_receiver *receiver)
{
    free(receiver->front);
    free(receiver->chunk);
    free(receiver->has);
    free(receiver);
}

static size_t chunk_size(const struct coord_snapshot_receiver *receiver, uint32_t chunk)
{
    uint64_t left = receiver->info.size - (uint64_t)chunk * COORD_SNAPSHOT_CHUNK_SIZE;

    return left < COORD_SNAPSHOT_CHUNK_SIZE ? (size_t)left : (size_t)COORD_SNAPSHOT_CHUNK_SIZE;
}

static uint64_t chunk_offset(const struct coord_snapshot_receiver *receiver, uint32_t chunk)
{
    return receiver->data_offset + (uint64_t)chunk * COORD_SNAPSHOT_CHUNK_SIZE;
}

static bool is_right(const struct coord_snapshot_receiver *receiver, uint32_t chunk,
                     const uint8_t *bytes)
{
    uint8_t hash[COORD_SNAPSHOT_HASH_SIZE];

    coord_snapshot_hash(bytes, chunk_size(receiver, chunk), hash);
    return memcmp(hash, receiver->hashes + (size_t)chunk * COORD_SNAPSHOT_HASH_SIZE, sizeof hash) ==
           0;
}

/* --- what happens on the disk, one thing at a time --- */

static void begin_create(struct coord_snapshot_receiver *receiver)
{
    receiver->stage = STAGE_CREATE;
    receiver->is_busy = true;
    receiver->disk->ops->create(receiver->disk, receiver->name, receiver->file_size, on_done,
                                receiver);
}

static void begin_manifest(struct coord_snapshot_receiver *receiver)
{
    receiver->stage = STAGE_MANIFEST;
    receiver->is_busy = true;
    receiver->disk->ops->write(receiver->disk, receiver->name, 0, receiver->front,
                               (size_t)receiver->data_offset, on_done, receiver);
}

static void end(struct coord_snapshot_receiver *receiver, int status)
{
    receiver->stage = STAGE_END;
    receiver->status = status;
    receiver->done(receiver->done_arg, status);
}

static void begin_rename(struct coord_snapshot_receiver *receiver)
{
    receiver->stage = STAGE_RENAME;
    receiver->is_busy = true;
    receiver->disk->ops->rename(receiver->disk, receiver->name, receiver->target, on_done,
                                receiver);
}

static void begin_old_ones(struct coord_snapshot_receiver *receiver)
{
    int rc = coord_snapshot_removal_collect(&receiver->removal, receiver->disk,
                                            COORD_SNAPSHOT_RECEIVED_PREFIX, NULL, true, NULL);

    if (rc != RAY_OK || receiver->removal.count == 0) {
        end(receiver, RAY_OK);
        return;
    }
    receiver->stage = STAGE_OLD_ONES;
    receiver->is_busy = true;
    coord_snapshot_removal_run(&receiver->removal, on_done, receiver);
}

/* With every chunk there; without, the manifest is written again, so that the answer comes by
 * way of the disk. */
static void begin_finish(struct coord_snapshot_receiver *receiver)
{
    if (receiver->status == RAY_OK &&
        coord_snapshot_receiver_missing(receiver, 0) == receiver->info.chunk_count) {
        begin_rename(receiver);
    } else {
        begin_manifest(receiver);
    }
}

static void tell_ready(struct coord_snapshot_receiver *receiver)
{
    if (receiver->is_awaited) {
        receiver->is_awaited = false;
        receiver->on_ready(receiver->arg);
    }
}

static void step_data(struct coord_snapshot_receiver *receiver)
{
    if (receiver->is_finishing) {
        begin_finish(receiver);
    } else {
        tell_ready(receiver);
    }
}

static void step(struct coord_snapshot_receiver *receiver)
{
    switch (receiver->stage) {
    case STAGE_OTHERS:
        if (receiver->is_there) {
            begin_manifest(receiver);
        } else {
            begin_create(receiver);
        }
        break;
    case STAGE_CREATE:
        begin_manifest(receiver);
        break;
    case STAGE_MANIFEST:
        receiver->stage = STAGE_DATA;
        if (receiver->is_finishing) {
            end(receiver, RAY_EAGAIN);
        } else {
            tell_ready(receiver);
        }
        break;
    case STAGE_DATA:
        receiver->has[receiver->writing] = true;
        step_data(receiver);
        break;
    case STAGE_RENAME:
        begin_old_ones(receiver);
        break;
    case STAGE_OLD_ONES:
        end(receiver, RAY_OK);
        break;
    case STAGE_END:
    default:
        assert(false && "nothing is left to do");
        break;
    }
}

static void on_done(void *arg, int status)
{
    struct coord_snapshot_receiver *receiver = arg;

    receiver->is_busy = false;
    if (receiver->is_closing) {
        receiver_free(receiver);
        return;
    }
    if ((receiver->stage == STAGE_CREATE && status == RAY_EEXISTS) ||
        receiver->stage == STAGE_OLD_ONES || receiver->stage == STAGE_OTHERS) {
        /* A predecessor had just begun the same file; old ones may go another time. */
        status = status == RAY_ECANCELED ? status : RAY_OK;
    }
    if (receiver->status == RAY_OK) {
        receiver->status = status;
    }
    if (receiver->status == RAY_OK) {
        step(receiver);
    } else if (receiver->is_finishing) {
        end(receiver, receiver->status);
    } else {
        tell_ready(receiver); /* put says what happened */
    }
}

/* --- making one --- */

struct looking {
    struct coord_snapshot_receiver *receiver;
    bool is_odd; /* it is there, of a wrong size */
};

static void on_file(void *arg, const char *name, uint64_t size)
{
    struct looking *looking = arg;

    if (strcmp(name, looking->receiver->name) == 0) {
        looking->receiver->is_there = size == looking->receiver->file_size;
        looking->is_odd = !looking->receiver->is_there;
    }
}

/* What an earlier attempt has left: chunks that cannot be read are asked for again. */
static void verify_chunks(struct coord_snapshot_receiver *receiver)
{
    for (uint32_t i = 0; i < receiver->info.chunk_count; i++) {
        size_t blocks = (size_t)coord_snapshot_blocks(chunk_size(receiver, i));
        int rc =
            receiver->disk->ops->read(receiver->disk, receiver->name, chunk_offset(receiver, i),
                                      receiver->chunk, blocks, NULL);

        receiver->has[i] = rc == RAY_OK && is_right(receiver, i, receiver->chunk);
    }
}

static int look_around(struct coord_snapshot_receiver *receiver, struct ray_err *err)
{
    struct looking looking = {.receiver = receiver};
    int rc = receiver->disk->ops->list(receiver->disk, on_file, &looking, err);

    if (rc == RAY_OK) {
        rc = coord_snapshot_removal_collect(&receiver->removal, receiver->disk,
                                            COORD_SNAPSHOT_RECEIVED_PREFIX,
                                            looking.is_odd ? NULL : receiver->name, false, err);
    }
    if (rc == RAY_OK && receiver->is_there) {
        verify_chunks(receiver);
    }
    return rc;
}

static int memory_get(struct coord_snapshot_receiver *receiver, const uint8_t *manifest,
                      size_t manifest_size, struct ray_err *err)
{
    const uint8_t *hashes;

    receiver->data_offset = coord_snapshot_data_offset(receiver->info.chunk_count);
    receiver->file_size = receiver->data_offset + coord_snapshot_blocks(receiver->info.size);
    receiver->front = ray_fault(RAY_FAULT_ALLOC)
                          ? NULL
                          : aligned_alloc(COORD_DISK_BLOCK_SIZE, (size_t)receiver->data_offset);
    receiver->chunk = ray_fault(RAY_FAULT_ALLOC)
                          ? NULL
                          : aligned_alloc(COORD_DISK_BLOCK_SIZE, COORD_SNAPSHOT_CHUNK_SIZE);
    receiver->has = ray_fault(RAY_FAULT_ALLOC)
                        ? NULL
                        : calloc((size_t)receiver->info.chunk_count + 1, sizeof *receiver->has);
    if (receiver->front == NULL || receiver->chunk == NULL || receiver->has == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a snapshot");
    }
    memset(receiver->front, 0, (size_t)receiver->data_offset);
    coord_snapshot_locator_encode(manifest_size, receiver->data_offset, receiver->front);
    memcpy(receiver->front + COORD_DISK_BLOCK_SIZE, manifest, manifest_size);
    hashes = receiver->front + COORD_DISK_BLOCK_SIZE + COORD_SNAPSHOT_MANIFEST_FIXED_SIZE;
    receiver->hashes = hashes;
    return RAY_OK;
}

static void name_set(struct coord_snapshot_receiver *receiver)
{
    const uint8_t *root = receiver->info.root;

    coord_snapshot_name(receiver->info.index, receiver->info.term, receiver->target);
    (void)snprintf(receiver->name, sizeof receiver->name,
                   COORD_SNAPSHOT_RECEIVED_PREFIX "%016" PRIx64 "-%02x%02x%02x%02x%02x%02x%02x%02x",
                   receiver->info.index, root[0], root[1], root[2], root[3], root[4], root[5],
                   root[6], root[7]);
}

int coord_snapshot_receiver_create(struct coord_snapshot_receiver **out, struct coord_disk *disk,
                                   const struct ray_id *cluster_id, const uint8_t *manifest,
                                   size_t manifest_size, void (*on_ready)(void *arg), void *arg,
                                   struct ray_err *err)
{
    struct coord_snapshot_receiver *receiver;
    struct coord_snapshot_info info;
    const uint8_t *hashes;
    int rc = coord_snapshot_manifest_decode(manifest, manifest_size, &info, &hashes, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (!ray_id_equal(&info.cluster_id, cluster_id)) {
        return ray_fail(err, RAY_ECONFLICT, "a snapshot of another cluster");
    }
    receiver = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *receiver);
    if (receiver == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a snapshot");
    }
    receiver->disk = disk;
    receiver->info = info;
    receiver->on_ready = on_ready;
    receiver->arg = arg;
    receiver->is_awaited = true;
    name_set(receiver);
    rc = memory_get(receiver, manifest, manifest_size, err);
    rc = rc == RAY_OK ? look_around(receiver, err) : rc;
    if (rc != RAY_OK) {
        receiver_free(receiver);
        return rc;
    }
    if (receiver->removal.count > 0) {
        receiver->stage = STAGE_OTHERS;
        receiver->is_busy = true;
        coord_snapshot_removal_run(&receiver->removal, on_done, receiver);
    } else {
        step(receiver);
    }
    *out = receiver;
    return RAY_OK;
}

/* --- taking --- */

const struct coord_snapshot_info *
coord_snapshot_receiver_info(const struct coord_snapshot_receiver *receiver)
{
    return &receiver->info;
}

uint32_t coord_snapshot_receiver_missing(const struct coord_snapshot_receiver *receiver,
                                         uint32_t from)
{
    bool is_writing = receiver->is_busy && receiver->stage == STAGE_DATA;

    while (from < receiver->info.chunk_count &&
           (receiver->has[from] || (is_writing && receiver->writing == from))) {
        from++;
    }
    return from < receiver->info.chunk_count ? from : receiver->info.chunk_count;
}

int coord_snapshot_receiver_put(struct coord_snapshot_receiver *receiver, uint32_t chunk,
                                const uint8_t *bytes, size_t size, struct ray_err *err)
{
    size_t blocks;

    assert(!receiver->is_finishing && !receiver->is_closing);
    if (receiver->status != RAY_OK) {
        return ray_fail(err, receiver->status, "the snapshot cannot be written: %s",
                        ray_err_text(receiver->status));
    }
    if (chunk >= receiver->info.chunk_count || size != chunk_size(receiver, chunk)) {
        return ray_fail(err, RAY_EMALFORMED, "chunk %u of %u has %zu bytes", chunk,
                        receiver->info.chunk_count, size);
    }
    if (receiver->has[chunk]) {
        return RAY_OK;
    }
    if (receiver->is_busy) {
        receiver->is_awaited = true;
        return ray_fail(err, RAY_EAGAIN, "the disk is busy");
    }
    if (!is_right(receiver, chunk, bytes)) {
        return ray_fail(err, RAY_EMALFORMED, "chunk %u is not what the manifest says", chunk);
    }
    assert(receiver->stage == STAGE_DATA);
    blocks = (size_t)coord_snapshot_blocks(size);
    memcpy(receiver->chunk, bytes, size);
    memset(receiver->chunk + size, 0, blocks - size);
    receiver->writing = chunk;
    receiver->is_busy = true;
    receiver->disk->ops->write(receiver->disk, receiver->name, chunk_offset(receiver, chunk),
                               receiver->chunk, blocks, on_done, receiver);
    return RAY_OK;
}

void coord_snapshot_receiver_finish(struct coord_snapshot_receiver *receiver, coord_disk_done *done,
                                    void *arg)
{
    assert(!receiver->is_finishing && !receiver->is_closing);
    receiver->is_finishing = true;
    receiver->done = done;
    receiver->done_arg = arg;
    if (!receiver->is_busy) {
        begin_finish(receiver);
    }
}

void coord_snapshot_receiver_destroy(struct coord_snapshot_receiver *receiver)
{
    if (receiver == NULL) {
        return;
    }
    receiver->is_closing = true;
    if (!receiver->is_busy) {
        receiver_free(receiver);
    }
}
