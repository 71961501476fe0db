/* net/link_peer.h - what both kinds of encrypted links (link_uv.h, link_nng.h) share: who may
 * connect, whom we dial, and what becomes of connections that are not links.
 *
 * One TCP port takes everybody. A connection begins with the handshake of net/peer_auth.h, on the
 * loop, with a time limit; only then is it known what it is:
 *   - a member's link: becomes the peer's epoch (below);
 *   - a former member's question whether it was removed: answered (link_former.c), then closed;
 *   - anything else (joiner, claimer, operator, a member's bulk connection): the hook on_guest
 *     gets descriptor, keys and who it is.
 *
 * At most one connection per peer is the link. A new one replaces the old when the peer has
 * restarted since, or when the same end had opened both; when both ends dialled at once, both
 * keep the one that the smaller node id opened. The end that refuses a connection for the sake of
 * the old one sends an empty record on that: if the peer does not have it any more, it ends.
 *
 * A peer that was added is dialled again for ever, with jittered delays from 50 ms to 2 s. A known
 * peer that was not added may come by itself.
 *
 * Memory: what create returns is ended by ops->destroy, before its loop and never from within a
 * callback.  Threads: the loop's.  Blocks: never.
 * Trust: whoever connects is hostile; a proven member's bytes are hostile, too. */
#ifndef RAY_NET_LINK_PEER_H
#define RAY_NET_LINK_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "base/loop.h"
#include "net/key.h"
#include "net/link.h"
#include "net/peer_auth.h"

enum {
    RAY_LINK_ADDRESS_SIZE = 64, /* "[v6 address]:port", with NUL */
    RAY_LINK_PEERS_MAX = 4096,  /* of one link set */
    RAY_LINK_SHAKES_MAX = 128,  /* connections in their handshake; see ray_link_shake_count */
    RAY_LINK_SHAKE_TIMEOUT_MS = 5000,
    RAY_LINK_DIAL_MS_MIN = 50,
    RAY_LINK_DIAL_MS_MAX = 2000,
    /* What a peer has not acknowledged for so long ends the link. Otherwise a healed network would
     * be of use only at the kernel's next repetition, and the pauses between those double. */
    RAY_LINK_SILENCE_MS = 3000,
};

/* First byte of the handshake payload of a member that opens: what the connection is for. What
 * follows is of that purpose. On the wire; never renumbered. */
enum ray_link_purpose {
    RAY_LINK_PURPOSE_LINK = 1,
    RAY_LINK_PURPOSE_BULK = 2, /* goes to on_guest */
    /* Of an answerer: we are at different cluster epochs; u64 (little endian): mine. Nothing else
     * is said on such a connection. */
    RAY_LINK_PURPOSE_EPOCH = 3,
    /* Of an answerer to a former member: u64 number, u64 cluster epoch (little endian). */
    RAY_LINK_PURPOSE_REMOVED = 4,
};

/* What a member says of a node that the registry has no more. */
struct ray_link_removal {
    uint64_t last_number;   /* whoever was given a number up to this one is gone */
    uint64_t cluster_epoch; /* of the registry that says so */
};

/* Connections that are not links. All three NULL: they are refused. */
struct ray_link_guests {
    /* As in struct ray_peer_auth_guard; kinds other than MEMBER and FORMER only. */
    int (*on_hello)(void *arg, const struct ray_hello *hello, struct ray_peer_terms *out_terms,
                    struct ray_err *err);
    int (*on_proven)(void *arg, const struct ray_peer *peer, struct ray_err *err); /* or NULL */
    /* Instead of on_guest, once for each on_hello that let somebody go on: the handshake has ended
     * otherwise. Or NULL. */
    void (*on_lost)(void *arg, const struct ray_hello *hello);
    /* Descriptor and seal are the callee's; nothing was read beyond the handshake. For members
     * with another purpose than LINK, too (the payload says which). */
    void (*on_guest)(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *peer);
};

struct ray_link_config {
    const char *listen;        /* as an address; port 0: any free one; NULL: only dials */
    const struct ray_key *key; /* outlives the set */
    struct ray_id self;
    struct ray_id cluster; /* none: not a member yet; members are refused */
    uint64_t cluster_epoch;
    /* The registry's word on a member: RAY_OK and its keys, RAY_ENOTFOUND, or RAY_EDENIED for a
     * revoked one. Asked at each handshake and by ray_link_recheck. */
    int (*known)(void *arg, const struct ray_id *peer, uint8_t out_static[static RAY_KEY_SIZE],
                 uint8_t out_identity[static RAY_KEY_SIZE]);
    /* A peer has proven, with the key that `known` has of it, freshly and for this node, that it
     * is at a later cluster epoch. Links of different epochs are never made; each end only hears
     * of the other's. NULL: nobody wants to know. */
    void (*on_later_epoch)(void *arg, const struct ray_id *peer, uint64_t cluster_epoch);
    /* Whether the registry here can say that it has no such node any more: RAY_OK and what is said,
     * or anything else. NULL: nobody is told. */
    int (*removed)(void *arg, const struct ray_id *peer, struct ray_link_removal *out);
    /* The other end of it: a peer that refuses this node was asked why, and has proven with the key
     * that `known` has of it, freshly and for this node, that it says so. False: it speaks of a
     * time before this node. NULL: nobody asks. */
    bool (*on_removed)(void *arg, const struct ray_id *peer,
                       const struct ray_link_removal *removal);
    struct ray_link_guests guests;
    void *arg; /* of all of these */
};

/* The registry has changed: links to peers that are no longer known, or have another key, end;
 * on_down follows from the loop. Added peers that have become known are dialled. */
void ray_link_recheck(struct ray_link *link);
/* The node has become a member, or the cluster epoch was raised: all links end and are made anew
 * under these names. */
void ray_link_set_cluster(struct ray_link *link, const struct ray_id *cluster,
                          uint64_t cluster_epoch);
/* Where it listens; 0: it does not. */
uint16_t ray_link_port(const struct ray_link *link);
/* Connections in their handshake. Above RAY_LINK_SHAKES_MAX the oldest one of the address (IPv6:
 * of the /64) that has most of them is closed. */
size_t ray_link_shake_count(const struct ray_link *link);
/* Why the peer is not up, as far as known; "" when nothing is. Borrowed until the loop runs. */
const char *ray_link_trouble(const struct ray_link *link, const struct ray_id *peer);

#endif
