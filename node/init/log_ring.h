/* node/init/log_ring.h - the newest log lines in memory, for `log N` at the prompt and
 * init.log_tail: they work without a data disk and when it is full.
 *
 * Memory: fixed, LOG_RING_SIZE bytes inside the struct; the oldest lines make room.
 * Threads: one at a time (the owner locks).  Blocks: never.
 * Trust: lines are stored as they are; writers have escaped them. */
#ifndef RAY_NODE_INIT_LOG_RING_H
#define RAY_NODE_INIT_LOG_RING_H

#include <stddef.h>
#include <stdint.h>

enum { LOG_RING_SIZE = 256 << 10, LOG_RING_LINE_SIZE_MAX = 4096 };

struct log_ring {
    uint8_t bytes[LOG_RING_SIZE]; /* records: 16-bit length, then the line; wraps anywhere */
    size_t head;                  /* offset of the oldest record */
    size_t used_size;
    size_t line_count;
};

/* Cuts what is longer than LOG_RING_LINE_SIZE_MAX. */
void log_ring_push(struct log_ring *ring, const char *line, size_t size);

/* Walks over the newest `count` lines, oldest of them first. */
struct log_ring_cursor {
    size_t offset;
    size_t left_count;
};

struct log_ring_cursor log_ring_tail(const struct log_ring *ring, size_t count);
/* Copies the next line, terminated, and returns its length; 0 and out[0] = 0 at the end
 * (empty lines are never stored). The ring must not change between calls. */
size_t log_ring_next(const struct log_ring *ring, struct log_ring_cursor *cursor,
                     char out[static LOG_RING_LINE_SIZE_MAX + 1]);

#endif
