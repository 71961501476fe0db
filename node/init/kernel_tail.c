/* kernel_tail.c - /dev/kmsg shows each reader all that the kernel still has. As long as a caller
 * has not read what was sent, no more is read: the kernel's buffer is the queue, and what it
 * overwrites meanwhile is told by the numbers of the records. */
#include "node/init/kernel_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "node/init/kernel_log.h"
#include "node/init/log_ring.h"

enum { PATH_SIZE = 280 };

struct kernel_tail {
    struct log_stream stream; /* first */
    struct ray_poll poll;
    int fd;
    uint64_t next_sequence; /* 0: none was read */
};

/* RAY_EAGAIN: there is no more now; RAY_ECLOSED: nor ever. RAY_ENOTFOUND: nothing to show. */
static int read_line(struct kernel_tail *tail, char out[static RAY_LOG_LINE_SIZE_MAX])
{
    char bytes[KERNEL_LOG_RECORD_SIZE_MAX];
    struct kernel_record record;
    ssize_t size = read(tail->fd, bytes, sizeof bytes);

    if (size < 0 && (errno == EPIPE || errno == EINTR || errno == EINVAL)) {
        return RAY_ENOTFOUND; /* overwritten, or beyond the buffer: the next one */
    }
    if (size <= 0) {
        return size == 0 ? RAY_ECLOSED : RAY_EAGAIN;
    }
    if (kernel_record_parse(bytes, (size_t)size, &record) != RAY_OK) {
        return RAY_ENOTFOUND;
    }
    if (tail->next_sequence != 0 && record.sequence > tail->next_sequence) {
        (void)snprintf(out, RAY_LOG_LINE_SIZE_MAX,
                       "%" PRIu64 " warn kernel %" PRIu64 " records are left out: this reader is "
                       "slow",
                       record.time_us, record.sequence - tail->next_sequence);
        if (log_stream_add(&tail->stream, out) != RAY_OK) {
            return RAY_ENOMEM;
        }
    }
    tail->next_sequence = record.sequence + 1;
    return kernel_record_format(&record, out) > 0 ? RAY_OK : RAY_ENOTFOUND;
}

/* ---- the newest ---- */

static int copy_tail(struct kernel_tail *tail, const struct log_ring *ring, size_t count)
{
    struct log_ring_cursor cursor = log_ring_tail(ring, count);
    char line[LOG_RING_LINE_SIZE_MAX + 1];
    int rc = RAY_OK;

    while (rc == RAY_OK && log_ring_next(ring, &cursor, line) > 0) {
        rc = log_stream_add(&tail->stream, line);
    }
    return rc;
}

static int read_newest(struct kernel_tail *tail, size_t count)
{
    struct log_ring *ring = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *ring);
    char line[RAY_LOG_LINE_SIZE_MAX];
    int rc = RAY_OK;

    if (ring == NULL) {
        return RAY_ENOMEM;
    }
    for (int i = 0; i < KERNEL_TAIL_RECORDS_MAX && rc != RAY_EAGAIN && rc != RAY_ECLOSED; i++) {
        rc = read_line(tail, line);
        if (rc == RAY_OK) {
            log_ring_push(ring, line, strlen(line));
        }
    }
    rc = copy_tail(tail, ring, count);
    free(ring);
    return rc;
}

/* ---- those to come ---- */

static void on_readable(void *arg, int status, int events)
{
    struct kernel_tail *tail = arg;
    char line[RAY_LOG_LINE_SIZE_MAX];
    struct ray_err err = {0};
    int rc = RAY_OK;

    (void)status; /* the read says more */
    (void)events;
    for (int i = 0; i < KERNEL_LOG_RECORDS_PER_TURN && rc != RAY_EAGAIN && rc != RAY_ECLOSED; i++) {
        rc = read_line(tail, line);
        if (rc == RAY_OK) {
            rc = log_stream_add(&tail->stream, line);
        }
        if (rc == RAY_ENOMEM || rc == RAY_ETOOBIG) {
            (void)ray_fail(&err, rc, "no memory for the lines");
            log_stream_fail(&tail->stream, &err);
            return;
        }
    }
    if (tail->stream.lines.size > 0 || rc == RAY_ECLOSED) {
        (void)ray_poll_set(&tail->poll, 0); /* until those are sent */
    }
    if (tail->stream.lines.size > 0) {
        log_stream_pump(&tail->stream);
    }
}

static void wait_for_records(struct log_stream *stream)
{
    struct kernel_tail *tail = (struct kernel_tail *)stream;

    (void)ray_poll_set(&tail->poll, UV_READABLE); /* what was polled before can be again */
}

static void free_tail(struct log_stream *stream)
{
    struct kernel_tail *tail = (struct kernel_tail *)stream;

    ray_poll_fini(&tail->poll);
    if (tail->fd >= 0) {
        (void)close(tail->fd); /* only read */
    }
    free(tail);
}

static int start(struct kernel_tail *tail, size_t count, struct ray_err *err)
{
    int rc = read_newest(tail, count);

    if (rc != RAY_OK) {
        return ray_fail(err, rc, "no memory for the lines");
    }
    return tail->stream.is_following ? ray_poll_init(&tail->poll, tail->stream.tails->loop,
                                                     tail->fd, on_readable, tail, err)
                                     : RAY_OK;
}

void init_kernel_tail_fd(struct log_tails *tails, struct ray_rpc_call *call, int fd, size_t count,
                         bool is_following)
{
    struct kernel_tail *tail = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *tail);
    struct ray_err err = {0};

    if (tail == NULL) {
        (void)close(fd); /* only read */
        (void)ray_fail(&err, RAY_ENOMEM, "no memory for the lines");
        (void)ray_rpc_reply_err(call, &err); /* gone either way */
        return;
    }
    tail->fd = fd;
    tail->stream.wait = wait_for_records;
    tail->stream.release = free_tail;
    if (!log_stream_begin(&tail->stream, tails, call, is_following)) {
        return;
    }
    if (start(tail, count, &err) == RAY_OK) {
        log_stream_pump(&tail->stream);
    } else {
        log_stream_fail(&tail->stream, &err);
    }
}

void init_kernel_tail(struct log_tails *tails, struct ray_rpc_call *call, size_t count,
                      bool is_following)
{
    char path[PATH_SIZE];
    struct ray_err err = {0};
    int fd;

    (void)snprintf(path, sizeof path, "%s/dev/kmsg", tails->root);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0) {
        init_kernel_tail_fd(tails, call, fd, count, is_following);
        return;
    }
    (void)ray_fail_errno(&err, errno, "open %s", path);
    (void)ray_rpc_reply_err(call, &err); /* gone either way */
}
