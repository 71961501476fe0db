/* Entries are laid out as records in the newest batch as they are taken, so that their place is
 * known at once; the head is filled when the batch is written. Batches are written in order, at
 * most two at a time, and count as durable only in order: the second may be on the disk before
 * the first, but nobody is told. */
#include "coordinator/store/wal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/mutant.h"
#include "coordinator/store/crc32c.h"
#include "coordinator/store/wal_impl.h"

bool coord_wal_is_busy(const struct coord_wal *wal)
{
    return wal->in_flight_count > 0 || wal->task != COORD_WAL_TASK_NONE;
}

void coord_wal_free(struct coord_wal *wal)
{
    assert(!coord_wal_is_busy(wal));
    coord_wal_batch_free_all(wal);
    coord_wal_index_fini(&wal->index);
    free(wal->segments);
    free(wal->window);
    free(wal);
}

void coord_wal_destroy(struct coord_wal *wal)
{
    if (wal == NULL) {
        return;
    }
    wal->is_closing = true;
    if (!coord_wal_is_busy(wal)) {
        coord_wal_free(wal);
    }
}

void coord_wal_fail(struct coord_wal *wal, int status)
{
    assert(status != RAY_OK && !wal->is_closing);
    if (wal->failed_status != RAY_OK) {
        return;
    }
    wal->failed_status = status;
    if (status != RAY_ECANCELED) {
        wal->user.on_failed(wal->user.arg, status);
    }
}

/* --- writing --- */

static void batch_seal(struct coord_wal *wal, struct coord_wal_batch *batch)
{
    struct coord_wal_batch_head *head = &batch->head;
    uint8_t *body = coord_wal_batch_body(batch);
    uint32_t padded = coord_wal_blocks(head->size);

    memset(body + head->size, 0, padded - head->size);
    head->durable_index = wal->durable_index;
    head->durable_batch = wal->durable_batch;
    head->chain = batch->is_root ? 0 : wal->chain;
    head->body_crc =
        coord_crc32c(0, body + COORD_WAL_BATCH_HEAD_SIZE, padded - COORD_WAL_BATCH_HEAD_SIZE);
    if (batch->begins_segment) {
        struct coord_wal_segment_head segment = {
            .is_root = batch->is_root,
            .segment = head->segment,
            .segment_size = wal->config.segment_size,
            .first_index = head->first_index,
            .first_batch = head->batch,
            .chain = head->chain,
        };

        coord_wal_segment_head_encode(&segment, &wal->config, batch->bytes);
    }
    coord_wal_batch_head_encode(head, &wal->config, body);
    wal->chain = head->own_crc;
    wal->stated_batch = wal->durable_batch;
}

/* What is done at the front becomes durable. */
static void advance(struct coord_wal *wal)
{
    while (wal->oldest != NULL && wal->oldest->is_done) {
        struct coord_wal_batch *batch = wal->oldest;

        assert(batch->head.batch == wal->durable_batch + 1 || wal->durable_batch == 0);
        wal->oldest = batch->next;
        if (wal->oldest == NULL) {
            wal->newest = NULL;
        }
        wal->durable_batch = batch->head.batch;
        wal->durable_segment = batch->head.segment;
        wal->durable_index = batch->last_index;
        wal->queued_size -= batch->head.size;
        coord_wal_batch_put(wal, batch);
    }
}

static void on_written(void *arg, int status)
{
    struct coord_wal_batch *batch = arg;
    struct coord_wal *wal = batch->wal;
    uint64_t durable_before = wal->durable_batch;

    assert(batch->is_writing && wal->in_flight_count > 0);
    wal->in_flight_count--;
    if (wal->is_closing) {
        if (!coord_wal_is_busy(wal)) {
            coord_wal_free(wal);
        }
        return;
    }
    if (status != RAY_OK) {
        coord_wal_fail(wal, status);
        return;
    }
    batch->is_done = true;
    if (wal->failed_status != RAY_OK) {
        return; /* another batch failed before this one */
    }
    advance(wal);
    coord_wal_submit(wal); /* the disk first, then whoever waits */
    coord_wal_space_step(wal);
    if (wal->durable_batch != durable_before) {
        if (RAY_MUTANT(STORE_EARLY_DURABLE)) {
            wal->durable_index = coord_wal_last_index(wal);
        }
        wal->user.on_durable(wal->user.arg, wal->durable_index);
    }
}

static void batch_write(struct coord_wal *wal, struct coord_wal_batch *batch)
{
    char name[COORD_DISK_NAME_SIZE];
    uint32_t padded = coord_wal_blocks(batch->head.size);

    batch_seal(wal, batch);
    batch->is_writing = true;
    wal->in_flight_count++;
    coord_wal_segment_name(batch->head.segment, name);
    if (batch->begins_segment) {
        wal->disk->ops->write(wal->disk, name, 0, batch->bytes,
                              COORD_WAL_SEGMENT_HEAD_SIZE + (size_t)padded, on_written, batch);
    } else {
        wal->disk->ops->write(wal->disk, name, batch->head.offset, coord_wal_batch_body(batch),
                              padded, on_written, batch);
    }
}

static void batch_close(struct coord_wal *wal, struct coord_wal_batch *batch)
{
    assert(batch == wal->newest && !batch->is_closed);
    batch->is_closed = true;
    wal->position.offset = batch->head.offset + coord_wal_blocks(batch->head.size);
}

void coord_wal_submit(struct coord_wal *wal)
{
    struct coord_wal_batch *batch = wal->oldest;

    if (wal->failed_status != RAY_OK || wal->is_closing) {
        return;
    }
    /* Counted from the first that is not durable: one that ended before it still counts, so that
     * a batch proves all but the one before it durable. */
    while (batch != NULL && batch->head.batch <= wal->durable_batch + COORD_WAL_IN_FLIGHT_MAX) {
        if (!batch->is_writing) {
            if (!coord_wal_segment_is_there(wal, batch->head.segment)) {
                return;
            }
            /* While the disk works, a batch that is not full waits for more. */
            if (!batch->is_closed && wal->in_flight_count > 0) {
                return;
            }
            if (!batch->is_closed) {
                batch_close(wal, batch);
            }
            batch_write(wal, batch);
        }
        batch = batch->next;
    }
}

void coord_wal_flush(struct coord_wal *wal)
{
    assert(!wal->is_closing);
    if (wal->is_rotten) {
        return;
    }
    coord_wal_submit(wal);
    coord_wal_space_step(wal);
}

/* --- taking --- */

static void next_segment(struct coord_wal *wal)
{
    wal->position = (struct coord_wal_position){.segment = wal->position.segment + 1};
}

/* A new newest batch, where `room` bytes of records fit. */
static int batch_open(struct coord_wal *wal, uint32_t room)
{
    struct coord_wal_batch *batch = coord_wal_batch_get(wal);
    struct coord_wal_position *position = &wal->position;

    if (batch == NULL) {
        return RAY_ENOMEM;
    }
    if (wal->newest != NULL && !wal->newest->is_closed) {
        batch_close(wal, wal->newest);
    }
    if (position->offset != 0 &&
        position->offset + coord_wal_blocks(COORD_WAL_BATCH_HEAD_SIZE + room) >
            wal->config.segment_size) {
        next_segment(wal);
    }
    batch->begins_segment = position->offset == 0;
    batch->is_root = position->is_root;
    position->is_root = false;
    if (batch->begins_segment) {
        position->offset = COORD_WAL_SEGMENT_HEAD_SIZE;
    }
    batch->head.batch = wal->next_batch++;
    batch->head.segment = position->segment;
    batch->head.offset = position->offset;
    batch->head.first_index = coord_wal_index_next(&wal->index);
    batch->last_index = batch->head.first_index - 1;
    if (wal->newest == NULL) {
        wal->oldest = batch;
    } else {
        wal->newest->next = batch;
    }
    wal->newest = batch;
    wal->queued_size += batch->head.size;
    return RAY_OK;
}

static bool record_fits(const struct coord_wal *wal, const struct coord_wal_batch *batch,
                        uint32_t room)
{
    if (batch == NULL || batch->is_closed) {
        return false;
    }
    if (batch->head.record_count > 0 &&
        (batch->head.record_count >= COORD_WAL_BATCH_ENTRIES_MAX ||
         batch->head.size + room > COORD_WAL_BATCH_HEAD_SIZE + wal->config.batch_size)) {
        return false;
    }
    return batch->head.offset + coord_wal_blocks(batch->head.size + room) <=
           wal->config.segment_size;
}

static int record_add(struct coord_wal *wal, const struct coord_wal_record *record)
{
    uint32_t room = coord_wal_record_room(record->size);
    struct coord_wal_batch *batch;
    int rc = RAY_OK;

    if (!record_fits(wal, wal->newest, room)) {
        rc = batch_open(wal, room);
    }
    if (rc == RAY_OK) {
        rc = coord_wal_batch_reserve(wal->newest, room);
    }
    if (rc == RAY_OK && record->type != COORD_WAL_RECORD_TRUNCATE) {
        rc = coord_wal_index_push(&wal->index,
                                  &(struct coord_wal_place){
                                      .term = record->term,
                                      .segment = (uint32_t)wal->newest->head.segment,
                                      .offset = wal->newest->head.offset + wal->newest->head.size,
                                      .size = record->size,
                                      .type = record->type,
                                  });
    }
    if (rc != RAY_OK) {
        return rc;
    }
    batch = wal->newest;
    coord_wal_record_encode(record, coord_wal_batch_body(batch) + batch->head.size);
    batch->head.size += room;
    batch->head.record_count++;
    batch->last_index = coord_wal_index_next(&wal->index) - 1;
    wal->queued_size += room;
    wal->last_entry_batch = batch->head.batch;
    return RAY_OK;
}

/* Entries from `index` on are void: also for those batches that will be durable later. */
static int truncate_from(struct coord_wal *wal, uint64_t index)
{
    const struct coord_wal_record record = {.type = COORD_WAL_RECORD_TRUNCATE, .index = index};

    for (struct coord_wal_batch *batch = wal->oldest; batch != NULL; batch = batch->next) {
        if (batch->last_index >= index) {
            batch->last_index = index - 1;
        }
    }
    if (wal->durable_index >= index) {
        wal->durable_index = index - 1;
    }
    /* A batch that this makes begins with the log as it was: the record says what goes. */
    if (!record_fits(wal, wal->newest, coord_wal_record_room(0))) {
        int rc = batch_open(wal, coord_wal_record_room(0));

        if (rc != RAY_OK) {
            return rc;
        }
    }
    coord_wal_index_truncate(&wal->index, index);
    return record_add(wal, &record);
}

/* Whether there is room, at worst; the entries need not make sense yet. */
static int check_room(const struct coord_wal *wal, const struct coord_entry *entries, size_t count,
                      struct ray_err *err)
{
    uint64_t size = COORD_DISK_BLOCK_SIZE; /* of a truncation's record */
    uint32_t largest = COORD_DISK_BLOCK_SIZE;

    for (size_t i = 0; i < count; i++) {
        uint32_t room;

        if (entries[i].size > COORD_ENTRY_SIZE_MAX) {
            return ray_fail(err, RAY_ETOOBIG, "an entry of %u bytes", entries[i].size);
        }
        room = coord_wal_blocks(COORD_WAL_BATCH_HEAD_SIZE + coord_wal_record_room(entries[i].size));
        if (room > wal->config.segment_size - COORD_WAL_SEGMENT_HEAD_SIZE) {
            return ray_fail(err, RAY_ETOOBIG, "an entry of %u bytes, segments have %u",
                            entries[i].size, wal->config.segment_size);
        }
        size += room;
        largest = room > largest ? room : largest;
    }
    if (wal->queued_size + size > COORD_WAL_QUEUE_SIZE_MAX && wal->queued_size > 0) {
        return ray_fail(err, RAY_EAGAIN, "%zu bytes wait for the disk", wal->queued_size);
    }
    if (!coord_wal_space_has_room(wal, size, largest)) {
        return ray_fail(err, RAY_ENOSPC, "the disk of the log is full");
    }
    return RAY_OK;
}

bool coord_wal_has_room(const struct coord_wal *wal, const struct coord_entry *entries,
                        size_t count)
{
    return check_room(wal, entries, count, NULL) == RAY_OK;
}

static int append_check(const struct coord_wal *wal, const struct coord_entry *entries,
                        size_t count, struct ray_err *err)
{
    if (wal->failed_status != RAY_OK) {
        return ray_fail(err, RAY_EIO, "the log failed before: %s",
                        ray_err_text(wal->failed_status));
    }
    if (wal->is_rotten) {
        return ray_fail(err, RAY_EDENIED, "the log has rotted; it must be reset");
    }
    for (size_t i = 0; i < count; i++) {
        assert(entries[i].index == entries[0].index + i);
        assert(entries[i].term > 0 && (i == 0 || entries[i].term >= entries[i - 1].term));
        assert(entries[i].size == 0 || entries[i].data != NULL);
    }
    return check_room(wal, entries, count, err);
}

int coord_wal_append(struct coord_wal *wal, const struct coord_entry *entries, size_t count,
                     struct ray_err *err)
{
    uint64_t next = coord_wal_index_next(&wal->index);
    int rc = append_check(wal, entries, count, err);

    assert(!wal->is_closing && count > 0);
    if (rc != RAY_OK) {
        return rc;
    }
    assert(entries[0].index >= wal->index.first && entries[0].index <= next);
    assert(entries[0].index > wal->compact_index);
    rc = coord_wal_index_reserve(&wal->index, count);
    if (rc != RAY_OK) {
        return ray_fail(err, rc, "a log of %zu entries", wal->index.count + count);
    }
    if (entries[0].index < next) {
        rc = truncate_from(wal, entries[0].index);
    }
    for (size_t i = 0; i < count && rc == RAY_OK; i++) {
        rc = record_add(wal, &(struct coord_wal_record){.type = (uint8_t)entries[i].type,
                                                        .size = entries[i].size,
                                                        .term = entries[i].term,
                                                        .index = entries[i].index,
                                                        .data = entries[i].data});
    }
    if (rc != RAY_OK) {
        /* Half taken: nothing of it may become durable. */
        wal->failed_status = rc;
        return ray_fail(err, rc, "no memory for %zu entries", count);
    }
    return RAY_OK;
}

void coord_wal_seal(struct coord_wal *wal)
{
    if (wal->failed_status != RAY_OK || wal->is_rotten || wal->oldest != NULL ||
        wal->stated_batch >= wal->last_entry_batch) {
        return;
    }
    assert(wal->durable_batch >= wal->last_entry_batch);
    if (!coord_wal_space_has_room(wal, COORD_DISK_BLOCK_SIZE, COORD_DISK_BLOCK_SIZE)) {
        return;
    }
    if (batch_open(wal, 0) == RAY_OK) {
    }
}

int coord_wal_reset(struct coord_wal *wal, uint64_t index, struct ray_err *err)
{
    int rc;

    assert(!wal->is_closing && index > 0 && index < UINT64_MAX);
    if (wal->failed_status != RAY_OK) {
        return ray_fail(err, RAY_EIO, "the log failed before: %s",
                        ray_err_text(wal->failed_status));
    }
    if (wal->newest != NULL && !wal->newest->is_closed) {
        batch_close(wal, wal->newest);
    }
    if (wal->position.offset != 0) {
        next_segment(wal);
    }
    wal->position.is_root = true;
    wal->is_rotten = false;
    wal->durable_index = wal->durable_index < index ? wal->durable_index : index;
    for (struct coord_wal_batch *batch = wal->oldest; batch != NULL; batch = batch->next) {
        batch->last_index = wal->durable_index;
    }
    coord_wal_index_drop(&wal->index, coord_wal_index_next(&wal->index));
    wal->index.first = index + 1;
    wal->compact_index = index;
    rc = batch_open(wal, 0);
    if (rc != RAY_OK) {
        wal->failed_status = rc;
        return ray_fail(err, rc, "no memory to reset the log");
    }
    return RAY_OK;
}

/* --- telling --- */

uint64_t coord_wal_first_index(const struct coord_wal *wal)
{
    return wal->index.first;
}

uint64_t coord_wal_last_index(const struct coord_wal *wal)
{
    return coord_wal_index_next(&wal->index) - 1;
}

uint64_t coord_wal_durable_index(const struct coord_wal *wal)
{
    return wal->durable_index;
}

enum coord_wal_space coord_wal_space(const struct coord_wal *wal)
{
    return wal->told_space;
}

size_t coord_wal_queued_size(const struct coord_wal *wal)
{
    return wal->queued_size;
}

uint64_t coord_wal_disk_size(const struct coord_wal *wal)
{
    uint64_t size = wal->has_reserve ? wal->config.segment_size : 0;

    for (size_t i = 0; i < wal->segment_count; i++) {
        size += wal->segments[i].size;
    }
    return size;
}
