/* One task at a time, the most urgent first: so that whatever a crash leaves, the segments on the
 * disk are consecutive. Segments are removed from the old end only after what follows them is
 * durable. A file of zeros is kept in reserve: with the disk full, what was taken can still be
 * written while the node gives up its work. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/store/wal_impl.h"

void coord_wal_segment_name(uint64_t number, char out[static COORD_DISK_NAME_SIZE])
{
    int size = snprintf(out, COORD_DISK_NAME_SIZE, "wal-%016" PRIx64, number);

    assert(size == 20);
    (void)size;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int coord_wal_segment_parse(const char *name, uint64_t *out_number)
{
    uint64_t number = 0;

    if (strncmp(name, "wal-", 4) != 0 || strlen(name) != 20) {
        return RAY_EINVAL;
    }
    for (size_t i = 4; i < 20; i++) {
        int value = hex_value(name[i]);

        if (value < 0) {
            return RAY_EINVAL;
        }
        number = number << 4 | (uint64_t)value;
    }
    if (number == 0 || number > UINT32_MAX) {
        return RAY_EINVAL;
    }
    *out_number = number;
    return RAY_OK;
}

bool coord_wal_segment_is_there(const struct coord_wal *wal, uint64_t number)
{
    return number <= wal->newest_segment;
}

/* What batches of at most `largest` surely fill of so much room. */
static uint64_t usable(uint64_t room, uint32_t largest)
{
    return room < largest ? 0 : room - largest + COORD_DISK_BLOCK_SIZE;
}

bool coord_wal_space_has_room(const struct coord_wal *wal, uint64_t size, uint32_t largest)
{
    uint64_t segment_size = wal->config.segment_size;
    uint64_t used = wal->position.offset;
    uint64_t segments = wal->has_reserve ? 1 : 0;
    uint64_t room;

    if (!wal->is_space_short) {
        return true;
    }
    if (wal->newest != NULL && !wal->newest->is_closed) {
        used = wal->newest->head.offset + (uint64_t)coord_wal_blocks(wal->newest->head.size);
    }
    segments += wal->newest_segment + 1;
    if (segments <= wal->position.segment) {
        return false;
    }
    segments -= wal->position.segment + 1;
    used = used < COORD_WAL_SEGMENT_HEAD_SIZE ? COORD_WAL_SEGMENT_HEAD_SIZE : used;
    room = usable(segment_size - used, largest) +
           segments * usable(segment_size - COORD_WAL_SEGMENT_HEAD_SIZE, largest);
    return size <= room;
}

/* The oldest segment that is still needed. */
static uint64_t needed_segment(const struct coord_wal *wal)
{
    bool is_behind = wal->compact_index + 1 < wal->index.first;
    const struct coord_wal_place *place =
        coord_wal_index_get(&wal->index, is_behind ? wal->index.first : wal->compact_index + 1);
    uint64_t segment = wal->position.segment;

    if (place != NULL) {
        segment = place->segment;
    } else if (wal->oldest != NULL) {
        segment = wal->oldest->head.segment;
    }
    return segment < wal->durable_segment ? segment : wal->durable_segment;
}

static bool is_next_wanted(const struct coord_wal *wal)
{
    return wal->newest_segment < wal->position.segment ||
           (wal->newest_segment == wal->position.segment &&
            wal->position.offset >= wal->config.segment_size / 4);
}

static enum coord_wal_task choose(const struct coord_wal *wal)
{
    bool may_make = !wal->is_space_short || wal->may_try;
    bool is_urgent = wal->newest_segment < wal->position.segment;

    if (wal->is_reserve_odd) {
        return COORD_WAL_TASK_REMOVE_RESERVE;
    }
    if (is_urgent && may_make) {
        return COORD_WAL_TASK_MAKE;
    }
    if (is_urgent && wal->has_reserve) {
        return COORD_WAL_TASK_TAKE_RESERVE;
    }
    if (wal->segment_count > 1 && wal->segments[0].number < needed_segment(wal)) {
        return COORD_WAL_TASK_REMOVE;
    }
    if (is_next_wanted(wal) && may_make) {
        return COORD_WAL_TASK_MAKE;
    }
    if (!wal->has_reserve && may_make) {
        return COORD_WAL_TASK_MAKE_RESERVE;
    }
    return COORD_WAL_TASK_NONE;
}

int coord_wal_segments_grow(struct coord_wal_segment **segments, size_t *capacity)
{
    size_t wanted = *capacity == 0 ? 16 : 2 * *capacity;
    struct coord_wal_segment *grown =
        ray_fault(RAY_FAULT_ALLOC) ? NULL : realloc(*segments, wanted * sizeof **segments);

    if (grown == NULL) {
        return RAY_ENOMEM;
    }
    *segments = grown;
    *capacity = wanted;
    return RAY_OK;
}

static int segment_add(struct coord_wal *wal, uint64_t number)
{
    if (wal->segment_count == wal->segment_capacity) {
        int rc = coord_wal_segments_grow(&wal->segments, &wal->segment_capacity);

        if (rc != RAY_OK) {
            return rc;
        }
    }
    wal->segments[wal->segment_count++] =
        (struct coord_wal_segment){.number = number, .size = wal->config.segment_size};
    wal->newest_segment = number;
    return RAY_OK;
}

/* The oldest segment is no more, nor are the entries in it. */
static void segment_drop(struct coord_wal *wal)
{
    uint64_t number = wal->segments[0].number;
    uint64_t first = wal->index.first;
    const struct coord_wal_place *place;

    wal->segment_count--;
    memmove(wal->segments, wal->segments + 1, wal->segment_count * sizeof *wal->segments);
    while ((place = coord_wal_index_get(&wal->index, first)) != NULL && place->segment <= number) {
        first++;
    }
    coord_wal_index_drop(&wal->index, first);
}

static void tell_space(struct coord_wal *wal)
{
    enum coord_wal_space space = wal->is_space_short ? COORD_WAL_SPACE_FULL : COORD_WAL_SPACE_OK;

    if (space != wal->told_space) {
        wal->told_space = space;
        wal->user.on_space(wal->user.arg, space);
    }
}

static int task_take_effect(struct coord_wal *wal, enum coord_wal_task task, int status)
{
    bool is_making = task == COORD_WAL_TASK_MAKE || task == COORD_WAL_TASK_MAKE_RESERVE;

    if (status == RAY_ENOSPC && is_making) {
        wal->is_space_short = true;
        wal->may_try = false;
        return RAY_OK;
    }
    if (status != RAY_OK) {
        return status;
    }
    switch (task) {
    case COORD_WAL_TASK_MAKE:
        wal->is_space_short = wal->is_space_short && !wal->has_reserve;
        return segment_add(wal, wal->newest_segment + 1);
    case COORD_WAL_TASK_MAKE_RESERVE:
        wal->has_reserve = true;
        wal->is_space_short = false; /* all else that is wanted came before it */
        return RAY_OK;
    case COORD_WAL_TASK_TAKE_RESERVE:
        wal->has_reserve = false;
        return segment_add(wal, wal->newest_segment + 1);
    case COORD_WAL_TASK_REMOVE:
        segment_drop(wal);
        wal->may_try = true;
        return RAY_OK;
    case COORD_WAL_TASK_REMOVE_RESERVE:
        wal->is_reserve_odd = false;
        return RAY_OK;
    case COORD_WAL_TASK_NONE:
    default:
        assert(false && "a task that nobody began");
        return RAY_EINTERNAL;
    }
}

static void on_task_done(void *arg, int status)
{
    struct coord_wal *wal = arg;
    enum coord_wal_task task = wal->task;
    int rc;

    wal->task = COORD_WAL_TASK_NONE;
    if (wal->is_closing) {
        if (!coord_wal_is_busy(wal)) {
            coord_wal_free(wal);
        }
        return;
    }
    rc = task_take_effect(wal, task, status);
    if (rc != RAY_OK) {
        coord_wal_fail(wal, rc);
        return;
    }
    if (wal->failed_status != RAY_OK) {
        return;
    }
    coord_wal_submit(wal);
    coord_wal_space_step(wal);
    tell_space(wal);
}

void coord_wal_space_step(struct coord_wal *wal)
{
    const struct coord_disk_ops *ops = wal->disk->ops;
    uint64_t next = wal->newest_segment + 1;

    if (wal->task != COORD_WAL_TASK_NONE || wal->failed_status != RAY_OK || wal->is_rotten ||
        wal->is_closing) {
        return;
    }
    wal->task = choose(wal);
    switch (wal->task) {
    case COORD_WAL_TASK_MAKE:
        coord_wal_segment_name(next, wal->task_name);
        ops->create(wal->disk, wal->task_name, wal->config.segment_size, on_task_done, wal);
        break;
    case COORD_WAL_TASK_MAKE_RESERVE:
        ops->create(wal->disk, COORD_WAL_RESERVE_NAME, wal->config.segment_size, on_task_done, wal);
        break;
    case COORD_WAL_TASK_TAKE_RESERVE:
        coord_wal_segment_name(next, wal->task_name);
        ops->rename(wal->disk, COORD_WAL_RESERVE_NAME, wal->task_name, on_task_done, wal);
        break;
    case COORD_WAL_TASK_REMOVE:
        coord_wal_segment_name(wal->segments[0].number, wal->task_name);
        ops->remove(wal->disk, wal->task_name, on_task_done, wal);
        break;
    case COORD_WAL_TASK_REMOVE_RESERVE:
        ops->remove(wal->disk, COORD_WAL_RESERVE_NAME, on_task_done, wal);
        break;
    case COORD_WAL_TASK_NONE:
        break;
    }
}

void coord_wal_compact(struct coord_wal *wal, uint64_t index)
{
    assert(index <= wal->durable_index);
    if (index > wal->compact_index) {
        wal->compact_index = index;
        coord_wal_space_step(wal);
    }
}

void coord_wal_tick(struct coord_wal *wal)
{
    wal->may_try = true;
    coord_wal_space_step(wal);
}
