/* net/rpc_queue.h - messages with their descriptors that wait to be sent, in order.
 *
 * Private to net/rpc*.c.
 * Memory: entries are copies, the descriptors duplicates; a zeroed queue is empty.
 * Threads: one owner.  Blocks: never.  Trust: ours; the limit is for peers that do not read. */
#ifndef RAY_NET_RPC_QUEUE_H
#define RAY_NET_RPC_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/rpc.h"

struct ray_rpc_queued {
    struct ray_rpc_queued *next;
    size_t size;
    size_t fd_count;
    int fds[RAY_RPC_FD_COUNT_MAX];
    uint8_t bytes[];
};

struct ray_rpc_queue {
    struct ray_rpc_queued *head;
    struct ray_rpc_queued *tail;
    size_t size; /* bytes of all messages */
};

/* RAY_ETOOBIG: RAY_RPC_QUEUE_SIZE_MAX would be passed.  RAY_ENOMEM, or what duplicating a
 * descriptor fails with. */
int ray_rpc_queue_push(struct ray_rpc_queue *queue, const uint8_t *bytes, size_t size,
                       const int *fds, size_t fd_count);
const struct ray_rpc_queued *ray_rpc_queue_first(const struct ray_rpc_queue *queue); /* or NULL */
void ray_rpc_queue_pop(struct ray_rpc_queue *queue); /* frees the first; there must be one */
bool ray_rpc_queue_is_empty(const struct ray_rpc_queue *queue);
void ray_rpc_queue_fini(struct ray_rpc_queue *queue); /* empty and usable afterwards */

/* Closes those that are not -1 and sets them to -1. */
void ray_rpc_close_fds(int *fds, size_t count);

#endif
