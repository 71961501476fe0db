/* net/rpc_large.h - a request whose body comes in parts, until it is whole: the server's side.
 *
 * Private to net/rpc*.c.
 * Memory: what a session gathers is its own, at most one request; of all sessions of a service at
 * most RAY_RPC_LARGE_HELD_MAX, the last RAY_RPC_LARGE_ROOT_SIZE of it only for root; of those of
 * one user other than root, or of one remote peer, RAY_RPC_LARGE_PER_UID_MAX. Who has not sent the
 * whole within RAY_RPC_LARGE_TIME_MS_MAX loses it when somebody else finds no room. Threads: the
 * loop's.  Blocks: never.  Trust: the peer is hostile. */
#ifndef RAY_NET_RPC_LARGE_H
#define RAY_NET_RPC_LARGE_H

#include "net/rpc_envelope.h"
#include "net/rpc_session_impl.h"

enum {
    RAY_RPC_LARGE_HELD_MAX = 32 << 20,
    RAY_RPC_LARGE_ROOT_SIZE = 4 << 20,
    RAY_RPC_LARGE_PER_UID_MAX = 8 << 20,
    RAY_RPC_LARGE_TIME_MS_MAX = 10000,
};

/* Begins at `now_ns` (monotonic); on failure, which is for the caller's End, the parts that follow
 * are ignored. Others that have taken too long may get theirs, RAY_ETIMEOUT. */
int ray_rpc_large_begin(struct ray_rpc_session *session, const struct ray_rpc_message *message,
                        uint64_t now_ns, struct ray_err *err);
/* RAY_OK: *out_request is whole, until drop. RAY_EAGAIN: not yet, or nobody waits for it.
 * RAY_EMALFORMED. */
int ray_rpc_large_add(struct ray_rpc_session *session, const struct ray_rpc_message *message,
                      struct ray_rpc_message *out_request, struct ray_err *err);
void ray_rpc_large_drop(struct ray_rpc_session *session); /* none: fine */

#endif
