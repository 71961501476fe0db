/* net/link.h - whole messages between this process and named peers: what consensus, control
 * and watches travel on.
 *
 * A link set has one two-way link per peer. Implementations: link_nng.c (NNG), link_uv.c (TCP on
 * the libuv loop), and a simulated one. What all promise (research: guard G5):
 *   - messages of one epoch of one peer arrive whole, in order, once, or the epoch ends;
 *   - an epoch never comes back: on_down (or a new on_up) ends it, and what was queued or under
 *     way in it is lost without notice; messages of an old epoch are never delivered;
 *   - where keys are used, on_up comes only after the handshake: the peer is who it says;
 *   - what is sent in one turn of the loop travels as one message (flush at the turn's end).
 *
 * Memory: the implementation's constructor and destroy; messages are borrowed for the call.
 * Threads: the loop's.  Blocks: never.
 * Trust: the bytes of a message come from the peer: hostile. */
#ifndef RAY_NET_LINK_H
#define RAY_NET_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

enum {
    RAY_LINK_MESSAGE_SIZE_MAX = 1 << 20,
    RAY_LINK_QUEUE_SIZE_MAX = 8 << 20, /* of one peer; then RAY_EAGAIN */
};

/* What a message is for: the receiver's demultiplexer. On the wire; never renumbered. */
enum ray_link_channel {
    RAY_LINK_RAFT = 1,
    RAY_LINK_RPC = 2,    /* net/rpc envelopes */
    RAY_LINK_WATCH = 3,  /* batches of events */
    RAY_LINK_MEMBER = 4, /* net/proto/member.proto */
};

struct ray_link;

struct ray_link_user {
    /* `epoch` is new for this process and peer: larger than every one before. */
    void (*on_up)(void *arg, const struct ray_id *peer, uint64_t epoch);
    void (*on_down)(void *arg, const struct ray_id *peer, uint64_t epoch);
    void (*on_message)(void *arg, const struct ray_id *peer, uint64_t epoch,
                       enum ray_link_channel channel, const uint8_t *bytes, size_t size);
    /* The peer's queue has emptied below half after a RAY_EAGAIN. May be NULL. */
    void (*on_writable)(void *arg, const struct ray_id *peer);
    void *arg;
};

struct ray_link_ops {
    /* Copies and queues; RAY_EUNAVAILABLE: the peer is down; RAY_EAGAIN: its queue is full;
     * RAY_ETOOBIG. Never calls back from within. */
    int (*send)(struct ray_link *link, const struct ray_id *peer, enum ray_link_channel channel,
                const uint8_t *bytes, size_t size);
    /* Sends now what the turn has queued; implementations also do so by themselves at the end
     * of the turn. */
    void (*flush)(struct ray_link *link);
    size_t (*queued_size)(const struct ray_link *link, const struct ray_id *peer);
    /* Whom to connect to and where ("host:port"); again with another address moves it. */
    int (*add_peer)(struct ray_link *link, const struct ray_id *peer, const char *address,
                    struct ray_err *err);
    void (*remove_peer)(struct ray_link *link, const struct ray_id *peer);
    void (*destroy)(struct ray_link *link);
};

struct ray_link {
    const struct ray_link_ops *ops;
    struct ray_link_user user; /* set before the loop runs */
};

#endif
