#include "node/init/out_queue.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "base/fault.h"

static void on_retry(void *arg)
{
    out_queue_flush(arg);
}

int out_queue_init(struct out_queue *queue, struct ray_loop *loop, size_t size_max,
                   void (*on_broken)(void *arg), void *arg, struct ray_err *err)
{
    assert(queue != NULL && size_max > 0);
    *queue = (struct out_queue){.fd = -1, .on_broken = on_broken, .arg = arg};
    ray_buf_init(&queue->pending, size_max);
    return ray_timer_init(&queue->retry, loop, on_retry, queue, err);
}

void out_queue_fini(struct out_queue *queue)
{
    ray_timer_fini(&queue->retry);
    ray_buf_fini(&queue->pending);
    /* A zeroed struct has fd 0, which PID 1 never hands to a queue. */
    if (queue->fd > 0) {
        (void)close(queue->fd);
    }
    queue->fd = -1;
}

void out_queue_attach(struct out_queue *queue, int fd)
{
    assert(fd > 0);
    if (queue->fd > 0) {
        (void)close(queue->fd);
    }
    queue->fd = fd;
    out_queue_flush(queue);
}

bool out_queue_is_open(const struct out_queue *queue)
{
    return queue->fd > 0;
}

static void break_off(struct out_queue *queue)
{
    (void)close(queue->fd);
    queue->fd = -1;
    if (queue->on_broken != NULL) {
        queue->on_broken(queue->arg);
    }
}

/* Returns how many bytes the descriptor took; closes it when it is broken. */
static size_t write_some(struct out_queue *queue, const void *bytes, size_t size)
{
    int fault = ray_fault(RAY_FAULT_WRITE);
    ssize_t written;

    if (fault != 0) {
        return 0; /* as a terminal that takes nothing at present */
    }
    do {
        written = write(queue->fd, bytes, size);
    } while (written < 0 && errno == EINTR);
    if (written >= 0) {
        return (size_t)written;
    }
    if (errno != EAGAIN && errno != ENOSPC) {
        break_off(queue);
    }
    return 0;
}

void out_queue_flush(struct out_queue *queue)
{
    while (queue->pending.size > 0 && queue->fd > 0) {
        size_t taken = write_some(queue, queue->pending.data, queue->pending.size);
        if (taken == 0) {
            break;
        }
        ray_buf_consume(&queue->pending, taken);
    }
    if (queue->pending.size > 0 && queue->fd > 0) {
        ray_timer_start(&queue->retry, OUT_QUEUE_RETRY_MS, 0);
    } else {
        ray_timer_stop(&queue->retry);
    }
}

bool out_queue_put(struct out_queue *queue, const void *bytes, size_t size)
{
    size_t taken = 0;

    if (queue->fd > 0 && queue->pending.size == 0) {
        taken = write_some(queue, bytes, size);
    }
    if (taken == size) {
        return true;
    }
    if (ray_buf_append(&queue->pending, (const uint8_t *)bytes + taken, size - taken) != RAY_OK) {
        queue->dropped_count++;
        return false;
    }
    if (queue->fd > 0) {
        ray_timer_start(&queue->retry, OUT_QUEUE_RETRY_MS, 0);
    }
    return true;
}
