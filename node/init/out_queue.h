/* node/init/out_queue.h - bytes to a terminal or port that may be slow or nobody reads:
 * bounded, never blocking.
 *
 * What the descriptor does not take at once waits here and is tried again by a timer
 * (terminals and virtio ports signal writability badly or not at all). A piece is queued
 * whole or dropped whole, so a line is never torn by an overflow.
 * Memory: a ray_buf of at most `size_max`.  Threads: the loop's.  Blocks: never; the
 * descriptor must be non-blocking.  Trust: bytes are written as they are. */
#ifndef RAY_NODE_INIT_OUT_QUEUE_H
#define RAY_NODE_INIT_OUT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"

enum { OUT_QUEUE_RETRY_MS = 20 };

struct out_queue {
    int fd; /* owned; -1: closed, pieces are kept until there is one */
    struct ray_buf pending;
    struct ray_timer retry;
    uint64_t dropped_count; /* pieces that did not fit */
    /* The descriptor failed for good (EIO, ENODEV, EPIPE...) and was closed; may be NULL. */
    void (*on_broken)(void *arg);
    void *arg;
};

int out_queue_init(struct out_queue *queue, struct ray_loop *loop, size_t size_max,
                   void (*on_broken)(void *arg), void *arg, struct ray_err *err);
/* Closes the descriptor; what still waits is lost. Safe on a zeroed struct. */
void out_queue_fini(struct out_queue *queue);

/* Takes over `fd` and writes what has waited. */
void out_queue_attach(struct out_queue *queue, int fd);
bool out_queue_is_open(const struct out_queue *queue);

/* One write(2) when nothing waits; else behind what waits. False: it was dropped. */
bool out_queue_put(struct out_queue *queue, const void *bytes, size_t size);

/* Tries to write what waits, now: for the last lines before reboot. */
void out_queue_flush(struct out_queue *queue);

#endif
