/* clusterctl/lab/switch_queue.h - frames that wait: the queue in front of a port, and the
 * delay line of an ordered pair of ports.
 *
 * Memory: a queue is fixed; a line allocates its ring at init.  Both hold references on pool
 * frames; clear drops them.  Threads: one owner.  Blocks: never (pure).
 * Trust: frames are any bytes; counts, bytes and ages are bounded. */
#ifndef RAY_LAB_SWITCH_QUEUE_H
#define RAY_LAB_SWITCH_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "clusterctl/lab/switch_pool.h"

enum {
    RAY_SWITCH_QUEUE_COUNT_MAX = 512,
    RAY_SWITCH_QUEUE_AGE_MS_MAX = 100,
    RAY_SWITCH_LINE_COUNT_MAX = 8192,
    RAY_SWITCH_LINE_SIZE_MAX = 8 << 20,
};

struct ray_switch_queue_entry {
    struct ray_switch_frame *frame;
    uint64_t queued_ns;
};

struct ray_switch_queue {
    struct ray_switch_queue_entry entries[RAY_SWITCH_QUEUE_COUNT_MAX];
    size_t head;
    size_t count;
    size_t sent_size; /* bytes of the head frame (with header) that have left already */
};

void ray_switch_queue_init(struct ray_switch_queue *queue);
void ray_switch_queue_clear(struct ray_switch_queue *queue, struct ray_switch_pool *pool);

/* Takes a reference; false when the queue is full. */
bool ray_switch_queue_push(struct ray_switch_queue *queue, struct ray_switch_frame *frame,
                           uint64_t now_ns);

/* Drops what waited longer than RAY_SWITCH_QUEUE_AGE_MS_MAX, except a frame whose first bytes
 * have left: the stream would lose its frame borders. Returns how many were dropped. */
size_t ray_switch_queue_expire(struct ray_switch_queue *queue, struct ray_switch_pool *pool,
                               uint64_t now_ns);

/* Up to `vector_count` frames from the head as wire bytes, the rest of a partly sent one
 * first. Returns how many entries of `vectors` are set. */
size_t ray_switch_queue_peek(const struct ray_switch_queue *queue, struct iovec *vectors,
                             size_t vector_count);

/* `size` bytes of what peek gave have left. Returns how many frames are complete by that;
 * *out_frame_bytes gets the sum of their sizes without headers. */
size_t ray_switch_queue_sent(struct ray_switch_queue *queue, struct ray_switch_pool *pool,
                             size_t size, uint64_t *out_frame_bytes);

struct ray_switch_line_entry {
    struct ray_switch_frame *frame;
    uint64_t at_ns;
};

struct ray_switch_line {
    struct ray_switch_line_entry *entries; /* ring of RAY_SWITCH_LINE_COUNT_MAX; at_ns rises */
    size_t head;
    size_t count;
    size_t size;                       /* bytes of all frames here, the late one too */
    struct ray_switch_line_entry late; /* frame NULL: none; leaves after the next frame */
};

int ray_switch_line_init(struct ray_switch_line *line, struct ray_err *err);
void ray_switch_line_fini(struct ray_switch_line *line, struct ray_switch_pool *pool);

/* Drops everything; returns how many frames. */
size_t ray_switch_line_clear(struct ray_switch_line *line, struct ray_switch_pool *pool);

/* Take a reference; false when the line is full. `hold` keeps one frame back until a
 * successor was pushed or passed, or until at_ns; it fails when one is held already. */
bool ray_switch_line_push(struct ray_switch_line *line, struct ray_switch_frame *frame,
                          uint64_t at_ns);
bool ray_switch_line_hold(struct ray_switch_line *line, struct ray_switch_frame *frame,
                          uint64_t at_ns);

/* The held frame's reference goes to the caller (NULL: none is held). */
struct ray_switch_frame *ray_switch_line_release(struct ray_switch_line *line);

/* The next frame that is due; the reference goes to the caller. NULL: none. */
struct ray_switch_frame *ray_switch_line_pop(struct ray_switch_line *line, uint64_t now_ns);

bool ray_switch_line_is_empty(const struct ray_switch_line *line);        /* but for a held frame */
uint64_t ray_switch_line_deadline_ns(const struct ray_switch_line *line); /* UINT64_MAX: none */

#endif
