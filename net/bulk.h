/* net/bulk.h - much data between two machines: one TCP connection, sealed, for one purpose.
 *
 * rayosd lets the handshake run (net/bulk_shake.h), exports {descriptor, seal} and passes both to
 * the process that uses them, which imports them here: rayosd never copies bulk bytes.
 *
 * A channel carries messages of at most RAY_BULK_MESSAGE_SIZE_MAX bytes each way, in order, once,
 * or closes. Paced at both ends: send refuses with RAY_EAGAIN above the queue's limit, and a
 * paused channel reads nothing, so that TCP slows the sender down. Images, snapshots and volumes
 * travel as objects in checked chunks: net/bulk_object.h.
 *
 * Memory: create/destroy; one record each way and the queue, bounded.
 * Threads: the loop's.  Blocks: never.  Trust: the peer is proven, its bytes are hostile. */
#ifndef RAY_NET_BULK_H
#define RAY_NET_BULK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "net/seal.h"

enum {
    RAY_BULK_MESSAGE_SIZE_MAX = (512 << 10) + 256,
    RAY_BULK_QUEUE_SIZE_MAX = 2 << 20, /* sealed and not yet taken by the kernel */
    RAY_BULK_QUEUE_LOW_SIZE = 512 << 10,
    RAY_BULK_EXPORT_SIZE = RAY_SEAL_EXPORT_SIZE,
};

struct ray_bulk;

/* All may be called from within a callback, destroy too. */
struct ray_bulk_user {
    /* Borrowed for the call. */
    void (*on_message)(void *arg, const uint8_t *bytes, size_t size);
    /* The queue is below RAY_BULK_QUEUE_LOW_SIZE again after a RAY_EAGAIN. May be NULL. */
    void (*on_writable)(void *arg);
    /* Once, from the loop; nothing comes after it. why->code is RAY_OK when both ends said by
     * their last records that all had come. A connection that merely ends is RAY_ECLOSED. */
    void (*on_close)(void *arg, const struct ray_err *why);
    void *arg;
    bool is_secret; /* messages are zeroed once they were taken */
};

/* On success the descriptor (connected, non-blocking, stream) and the seal belong to the channel;
 * on failure they stay the caller's. Reading begins at once. */
int ray_bulk_create(struct ray_bulk **out_bulk, struct ray_loop *loop, int fd,
                    struct ray_seal *seal, const struct ray_bulk_user *user, struct ray_err *err);
/* Closes at once; what is queued is lost. NULL is fine. */
void ray_bulk_destroy(struct ray_bulk *bulk);

/* Seals and queues a copy. RAY_EAGAIN: wait for on_writable; RAY_ETOOBIG; RAY_ECLOSED. */
int ray_bulk_send(struct ray_bulk *bulk, const void *bytes, size_t size);
/* All has been said: what is queued still goes, the peer finishes too, and on_close gets RAY_OK at
 * both ends. Messages that were under way still arrive; the peer can send no more. */
int ray_bulk_finish(struct ray_bulk *bulk);
size_t ray_bulk_queued_size(const struct ray_bulk *bulk);

/* While paused nothing is read and on_message does not run. */
void ray_bulk_pause(struct ray_bulk *bulk);
void ray_bulk_resume(struct ray_bulk *bulk);

/* For passing on a connection: `out` is secret and goes with the descriptor, in the same message,
 * to a process of this machine (net/rpc carries both); the seal is destroyed. Only right after
 * the handshake, before any channel was made of it. */
int ray_bulk_export(struct ray_seal *seal, uint8_t out[static RAY_BULK_EXPORT_SIZE]);
/* What the other process does with it; the bytes are wiped. Descriptor as for create. */
int ray_bulk_import(struct ray_bulk **out_bulk, struct ray_loop *loop, int fd,
                    uint8_t bytes[static RAY_BULK_EXPORT_SIZE], const struct ray_bulk_user *user,
                    struct ray_err *err);

#endif
