/* rpc_queue.c - a singly linked list; the invariant is that size is the sum over all
 * entries and never above RAY_RPC_QUEUE_SIZE_MAX. */
#include "net/rpc_queue.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/rpc_carrier.h"

void ray_rpc_close_fds(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]); /* a view of another's file; nothing of ours can be lost */
            fds[i] = -1;
        }
    }
}

int ray_rpc_queue_push(struct ray_rpc_queue *queue, const uint8_t *bytes, size_t size,
                       const int *fds, size_t fd_count)
{
    struct ray_rpc_queued *entry;

    assert(size <= RAY_RPC_MESSAGE_SIZE_MAX && fd_count <= RAY_RPC_FD_COUNT_MAX);
    if (size > RAY_RPC_QUEUE_SIZE_MAX - queue->size) {
        return RAY_ETOOBIG;
    }
    entry = ray_rpc_alloc(sizeof *entry + size);
    if (entry == NULL) {
        return RAY_ENOMEM;
    }
    for (; entry->fd_count < fd_count; entry->fd_count++) {
        int copy = fcntl(fds[entry->fd_count], F_DUPFD_CLOEXEC, 0);

        if (copy < 0) {
            int rc = ray_err_from_errno(errno);

            ray_rpc_close_fds(entry->fds, entry->fd_count);
            free(entry);
            return rc;
        }
        entry->fds[entry->fd_count] = copy;
    }
    memcpy(entry->bytes, bytes, size);
    entry->size = size;
    if (queue->tail != NULL) {
        queue->tail->next = entry;
    } else {
        queue->head = entry;
    }
    queue->tail = entry;
    queue->size += size;
    return RAY_OK;
}

const struct ray_rpc_queued *ray_rpc_queue_first(const struct ray_rpc_queue *queue)
{
    return queue->head;
}

void ray_rpc_queue_pop(struct ray_rpc_queue *queue)
{
    struct ray_rpc_queued *entry = queue->head;

    assert(entry != NULL && queue->size >= entry->size);
    queue->head = entry->next;
    if (queue->head == NULL) {
        queue->tail = NULL;
    }
    queue->size -= entry->size;
    ray_rpc_close_fds(entry->fds, entry->fd_count);
    explicit_bzero(entry->bytes, entry->size);
    free(entry);
}

bool ray_rpc_queue_is_empty(const struct ray_rpc_queue *queue)
{
    return queue->head == NULL;
}

void ray_rpc_queue_fini(struct ray_rpc_queue *queue)
{
    while (queue->head != NULL) {
        ray_rpc_queue_pop(queue);
    }
    assert(queue->size == 0);
}
