#include "node/init/log_ring.h"

#include <assert.h>

enum { LENGTH_SIZE = 2 };

static_assert(LOG_RING_LINE_SIZE_MAX <= UINT16_MAX, "a length is stored in 16 bits");
static_assert(LOG_RING_SIZE > LOG_RING_LINE_SIZE_MAX + LENGTH_SIZE, "one line must fit");

static size_t wrap(size_t offset)
{
    return offset % LOG_RING_SIZE;
}

static size_t length_at(const struct log_ring *ring, size_t offset)
{
    return (size_t)ring->bytes[wrap(offset)] << 8 | ring->bytes[wrap(offset + 1)];
}

static void drop_oldest(struct log_ring *ring)
{
    size_t record_size = LENGTH_SIZE + length_at(ring, ring->head);

    ring->head = wrap(ring->head + record_size);
    ring->used_size -= record_size;
    ring->line_count--;
}

void log_ring_push(struct log_ring *ring, const char *line, size_t size)
{
    size_t at;

    if (size == 0) {
        return;
    }
    if (size > LOG_RING_LINE_SIZE_MAX) {
        size = LOG_RING_LINE_SIZE_MAX;
    }
    while (LOG_RING_SIZE - ring->used_size < LENGTH_SIZE + size) {
        drop_oldest(ring);
    }
    at = ring->head + ring->used_size;
    ring->bytes[wrap(at)] = (uint8_t)(size >> 8);
    ring->bytes[wrap(at + 1)] = (uint8_t)size;
    for (size_t i = 0; i < size; i++) {
        ring->bytes[wrap(at + LENGTH_SIZE + i)] = (uint8_t)line[i];
    }
    ring->used_size += LENGTH_SIZE + size;
    ring->line_count++;
}

struct log_ring_cursor log_ring_tail(const struct log_ring *ring, size_t count)
{
    struct log_ring_cursor cursor = {.offset = ring->head, .left_count = ring->line_count};

    while (cursor.left_count > count) {
        cursor.offset = wrap(cursor.offset + LENGTH_SIZE + length_at(ring, cursor.offset));
        cursor.left_count--;
    }
    return cursor;
}

size_t log_ring_next(const struct log_ring *ring, struct log_ring_cursor *cursor,
                     char out[static LOG_RING_LINE_SIZE_MAX + 1])
{
    size_t size;

    out[0] = '\0';
    if (cursor->left_count == 0) {
        return 0;
    }
    size = length_at(ring, cursor->offset);
    assert(size > 0 && size <= LOG_RING_LINE_SIZE_MAX);
    for (size_t i = 0; i < size; i++) {
        out[i] = (char)ring->bytes[wrap(cursor->offset + LENGTH_SIZE + i)];
    }
    out[size] = '\0';
    cursor->offset = wrap(cursor->offset + LENGTH_SIZE + size);
    cursor->left_count--;
    return size;
}
