/* clusterctl/lab/stream.h - one end of a connected stream socket on the loop.
 *
 * Memory: owns the descriptor and what waits to be written; the struct is the caller's and
 * stays in place while open.  Threads: the loop's.  Blocks: never.
 * Trust: bytes are handed on as they come. */
#ifndef RAY_CLUSTERCTL_LAB_STREAM_H
#define RAY_CLUSTERCTL_LAB_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"

enum { LAB_STREAM_QUEUE_SIZE_MAX = 64 << 10 };

struct lab_stream {
    int fd; /* -1: closed */
    struct ray_poll poll;
    struct ray_buf out;
    /* The callback may close the stream. */
    void (*on_data)(void *arg, const uint8_t *bytes, size_t size);
    void *arg;
};

/* A closed stream, safe to close. */
void lab_stream_init(struct lab_stream *stream);
/* Takes over `fd`, also on failure. */
int lab_stream_open(struct lab_stream *stream, struct ray_loop *loop, int fd,
                    void (*on_data)(void *arg, const uint8_t *bytes, size_t size), void *arg,
                    struct ray_err *err);
bool lab_stream_is_open(const struct lab_stream *stream);
/* RAY_EAGAIN: the other end does not read and the queue is full; nothing was taken. */
int lab_stream_write(struct lab_stream *stream, const void *bytes, size_t size);
/* Hands out what has already arrived. */
void lab_stream_drain(struct lab_stream *stream);
void lab_stream_close(struct lab_stream *stream);

#endif
