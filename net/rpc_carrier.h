/* net/rpc_carrier.h - what carries whole rpc messages between two ends: a Unix socket
 * (rpc_unix.c), an encrypted link between machines, a test's memory.
 *
 * Private to net/rpc*.c.
 * Memory: made by its own constructor, freed by destroy, which may be called from within
 * any of its callbacks.  Threads: the loop's.  Blocks: never.
 * Trust: messages are hostile bytes, at most RAY_RPC_MESSAGE_SIZE_MAX of them. */
#ifndef RAY_NET_RPC_CARRIER_H
#define RAY_NET_RPC_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/fault.h"
#include "net/rpc.h"

enum {
    RAY_RPC_QUEUE_HIGH_SIZE = 1 << 20,  /* from here on items are refused, reading pauses */
    RAY_RPC_QUEUE_LOW_SIZE = 256 << 10, /* from here down they are taken again */
};

struct ray_rpc_carrier;

struct ray_rpc_carrier_ops {
    /* Sends or queues a copy of the message and of the descriptors.
     * RAY_ECLOSED: the peer is gone.  RAY_ETOOBIG: its queue is full.  RAY_ENOMEM, RAY_EIO. */
    int (*send)(struct ray_rpc_carrier *carrier, const uint8_t *bytes, size_t size, const int *fds,
                size_t fd_count);
    size_t (*queued_size)(const struct ray_rpc_carrier *carrier);
    /* NULL: not known here. */
    const struct ray_rpc_peer *(*peer)(const struct ray_rpc_carrier *carrier);
    /* Cuts the connection; on_close follows from the loop, never from within. */
    void (*abort)(struct ray_rpc_carrier *carrier, const struct ray_err *why);
    /* Closes without any further callback. */
    void (*destroy)(struct ray_rpc_carrier *carrier);
};

/* What the user of a carrier hears; set before the loop runs. */
struct ray_rpc_carrier_user {
    /* Descriptors not taken (set to -1) are closed afterwards. */
    void (*on_message)(void *arg, const uint8_t *bytes, size_t size, int *fds, size_t fd_count);
    /* A message that is none, as `why` says: to tell the peer, and to abort. NULL: only aborted. */
    void (*on_refused)(void *arg, const struct ray_err *why);
    void (*on_writable)(void *arg); /* the queue has fallen to RAY_RPC_QUEUE_LOW_SIZE */
    void (*on_close)(void *arg, const struct ray_err *why); /* at most once; then destroy it */
    void *arg;
};

struct ray_rpc_carrier {
    const struct ray_rpc_carrier_ops *ops;
    struct ray_rpc_carrier_user user;
    bool can_bundle;  /* the carrier's: what one turn sends may go in one packet */
    bool is_bundling; /* the user's: the peer takes that */
};

/* For carriers: what their user cannot be given. */
static inline void ray_rpc_carrier_refuse(struct ray_rpc_carrier *carrier,
                                          const struct ray_err *why)
{
    if (carrier->user.on_refused != NULL) {
        carrier->user.on_refused(carrier->user.arg, why);
    } else {
        carrier->ops->abort(carrier, why);
    }
}

/* calloc that fault injection can fail. */
static inline void *ray_rpc_alloc(size_t size)
{
    return ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, size);
}

#endif
