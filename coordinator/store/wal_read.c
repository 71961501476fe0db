/* Records are read through a window of one piece of one segment, whose blocks are read as they
 * are needed; those of batches that are not durable yet come from memory. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/size.h"
#include "coordinator/store/wal_impl.h"

enum {
    WINDOW_SIZE = COORD_ENTRY_SIZE_MAX + (256 << 10),
};

struct window {
    uint8_t *bytes;
    uint32_t segment; /* 0: nothing was read */
    uint32_t offset;
    uint32_t size;
};

int coord_wal_info(const struct coord_wal *wal, uint64_t index, struct coord_entry *out)
{
    const struct coord_wal_place *place = coord_wal_index_get(&wal->index, index);

    if (place == NULL) {
        return RAY_ENOTFOUND;
    }
    *out = (struct coord_entry){
        .term = place->term,
        .index = index,
        .type = (enum coord_entry_type)place->type,
        .size = place->size,
    };
    return RAY_OK;
}

/* NULL: it is on the disk. */
static const uint8_t *in_memory(const struct coord_wal *wal, const struct coord_wal_place *place)
{
    for (const struct coord_wal_batch *batch = wal->oldest; batch != NULL; batch = batch->next) {
        if (batch->head.segment == place->segment && place->offset >= batch->head.offset &&
            place->offset < batch->head.offset + batch->head.size) {
            return coord_wal_batch_body(batch) + (place->offset - batch->head.offset);
        }
    }
    return NULL;
}

/* Whole blocks, from that of `index` on, as many of the entries up to `last` as lie there. */
static uint32_t window_size(const struct coord_wal *wal, uint64_t index, uint64_t last)
{
    const struct coord_wal_place *first = coord_wal_index_get(&wal->index, index);
    uint32_t from = first->offset & ~(uint32_t)(COORD_DISK_BLOCK_SIZE - 1);
    uint32_t end = first->offset + coord_wal_record_room(first->size);

    while (index < last) {
        const struct coord_wal_place *place = coord_wal_index_get(&wal->index, ++index);

        if (place->segment != first->segment || in_memory(wal, place) != NULL ||
            place->offset + coord_wal_record_room(place->size) > from + WINDOW_SIZE) {
            break;
        }
        end = place->offset + coord_wal_record_room(place->size);
    }
    return coord_wal_blocks(end - from);
}

/* To the entry `index`, and what is wanted behind it. */
static int window_move(struct coord_wal *wal, struct window *window, uint64_t index, uint64_t last,
                       struct ray_err *err)
{
    const struct coord_wal_place *place = coord_wal_index_get(&wal->index, index);
    uint32_t from = place->offset & ~(uint32_t)(COORD_DISK_BLOCK_SIZE - 1);
    uint32_t size = window_size(wal, index, last);
    char name[COORD_DISK_NAME_SIZE];
    int rc;

    assert(size <= WINDOW_SIZE);
    coord_wal_segment_name(place->segment, name);
    window->segment = 0;
    rc = wal->disk->ops->read(wal->disk, name, from, window->bytes, size, err);
    if (rc != RAY_OK) {
        return ray_wrap(err, rc, "%s", name);
    }
    window->segment = place->segment;
    window->offset = from;
    window->size = size;
    return RAY_OK;
}

static int record_find(struct coord_wal *wal, struct window *window, uint64_t index, uint64_t last,
                       const uint8_t **out, struct ray_err *err)
{
    const struct coord_wal_place *place = coord_wal_index_get(&wal->index, index);
    uint32_t room = coord_wal_record_room(place->size);

    *out = in_memory(wal, place);
    if (*out != NULL) {
        return RAY_OK;
    }
    if (window->segment != place->segment || place->offset < window->offset ||
        place->offset + room > window->offset + window->size) {
        int rc = window_move(wal, window, index, last, err);

        if (rc != RAY_OK) {
            return rc;
        }
    }
    *out = window->bytes + (place->offset - window->offset);
    return RAY_OK;
}

static int entry_read(struct coord_wal *wal, struct window *window, uint64_t index, uint64_t last,
                      struct coord_entry *entry, uint8_t *data, struct ray_err *err)
{
    const struct coord_wal_place *place = coord_wal_index_get(&wal->index, index);
    struct coord_wal_record record;
    const uint8_t *bytes;
    size_t room;
    int rc = record_find(wal, window, index, last, &bytes, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (coord_wal_record_decode(bytes, coord_wal_record_room(place->size), &record, &room) !=
            RAY_OK ||
        record.index != index || record.term != place->term || record.type != place->type ||
        record.size != place->size) {
        return ray_fail(err, RAY_EMALFORMED, "entry %llu of the log has rotted",
                        (unsigned long long)index);
    }
    if (record.size > 0) {
        memcpy(data, record.data, record.size);
    }
    *entry = (struct coord_entry){
        .term = record.term,
        .index = index,
        .type = (enum coord_entry_type)record.type,
        .size = record.size,
        .data = record.size > 0 ? data : NULL,
    };
    return RAY_OK;
}

static size_t data_room(uint32_t size)
{
    return ((size_t)size + 7) & ~(size_t)7;
}

/* How many entries fit the limits, and what their data takes. */
static size_t count_fitting(const struct coord_wal *wal, uint64_t first, size_t count_max,
                            size_t size_max, size_t *out_room)
{
    const struct coord_wal_place *place;
    size_t count = 0;
    size_t size = 0;
    size_t room = 0;

    while (count < count_max && (place = coord_wal_index_get(&wal->index, first + count)) != NULL) {
        if (count > 0 && size + place->size > size_max) {
            break;
        }
        size += place->size;
        room += data_room(place->size);
        count++;
    }
    *out_room = room;
    return count;
}

static int span_fill(struct coord_wal *wal, struct coord_wal_span *span, uint64_t first,
                     struct ray_err *err)
{
    struct window window = {0};
    uint8_t *data = (uint8_t *)(span->entries + span->count);

    if (wal->window == NULL) {
        wal->window =
            ray_fault(RAY_FAULT_ALLOC) ? NULL : aligned_alloc(COORD_DISK_BLOCK_SIZE, WINDOW_SIZE);
        if (wal->window == NULL) {
            return ray_fail(err, RAY_ENOMEM, "a window on the log");
        }
    }
    window.bytes = wal->window;
    for (size_t i = 0; i < span->count; i++) {
        int rc = entry_read(wal, &window, first + i, first + span->count - 1, &span->entries[i],
                            data, err);

        if (rc != RAY_OK) {
            return rc;
        }
        data += data_room(coord_wal_index_get(&wal->index, first + i)->size);
    }
    return RAY_OK;
}

int coord_wal_read(struct coord_wal *wal, uint64_t first, size_t count_max, size_t size_max,
                   struct coord_wal_span *out, struct ray_err *err)
{
    struct coord_wal_span span = {0};
    size_t room;
    int rc;

    assert(count_max > 0 && out != NULL);
    span.count = count_fitting(wal, first, count_max, size_max, &room);
    if (span.count == 0) {
        return ray_fail(err, RAY_ENOTFOUND, "entry %llu is not in the log",
                        (unsigned long long)first);
    }
    span.memory =
        ray_fault(RAY_FAULT_ALLOC) ? NULL : malloc(span.count * sizeof *span.entries + room);
    if (span.memory == NULL) {
        return ray_fail(err, RAY_ENOMEM, "%zu entries of the log", span.count);
    }
    span.entries = span.memory;
    rc = span_fill(wal, &span, first, err);
    if (rc != RAY_OK) {
        coord_wal_span_fini(&span);
        return rc;
    }
    *out = span;
    return RAY_OK;
}

void coord_wal_span_fini(struct coord_wal_span *span)
{
    if (span != NULL) {
        free(span->memory);
        *span = (struct coord_wal_span){0};
    }
}
