/* net/bulk_shake.h - net/peer_auth over a stream socket on the loop, with a time limit: from a
 * descriptor to {descriptor, seal, peer}.
 *
 * Memory: create/destroy.  Threads: the loop's.  Blocks: never.
 * Trust: whoever connects is hostile; how many may do so at once is the caller's limit. */
#ifndef RAY_NET_BULK_SHAKE_H
#define RAY_NET_BULK_SHAKE_H

#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "net/peer_auth.h"

enum { RAY_BULK_SHAKE_TIMEOUT_MS = 5000 };

struct ray_bulk_shake;

struct ray_bulk_shake_user {
    /* Once, from the loop. Success: fd and seal are the callee's. The shake may be destroyed
     * from within, and must be some time. */
    void (*on_ready)(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *peer);
    void (*on_failed)(void *arg, const struct ray_err *why);
    void *arg;
};

/* `fd` is a non-blocking stream socket, connected or connecting; it and `auth` (fresh from
 * ray_peer_auth_open or _answer) belong to the shake on success, else stay the caller's. */
int ray_bulk_shake_create(struct ray_bulk_shake **out_shake, struct ray_loop *loop, int fd,
                          struct ray_peer_auth *auth, uint64_t timeout_ms,
                          const struct ray_bulk_shake_user *user, struct ray_err *err);
/* Before on_ready: closes the descriptor. NULL is fine. */
void ray_bulk_shake_destroy(struct ray_bulk_shake *shake);

#endif
