/* net/rpc_session_impl.h - what rpc_session.c (connections) and rpc_call.c (their calls)
 * share; nobody else includes it.
 *
 * Memory: a call is freed by its end, a session by its last release.
 * Threads: the loop's.  Blocks: never.  Trust: checked fields only. */
#ifndef RAY_NET_RPC_SESSION_IMPL_H
#define RAY_NET_RPC_SESSION_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "net/rpc_session.h"

enum { RAY_RPC_SEND_ARENA_SIZE_MAX = 4 * RAY_RPC_MESSAGE_SIZE_MAX };

struct ray_rpc_large; /* rpc_large.h */

struct ray_rpc_call {
    TAILQ_ENTRY(ray_rpc_call) entry;
    struct ray_rpc_session *session; /* NULL: the peer is gone */
    struct ray_rpc_service *service; /* NULL: no longer counted there */
    uint64_t id;
    uint64_t deadline_ns; /* monotonic; 0: none */
    uint32_t credit;
    bool is_blocked;  /* an item was refused, on_drain is owed */
    bool is_canceled; /* nothing is sent any more */
    bool is_leaving;  /* within on_cancel */
    bool has_peer;
    struct ray_rpc_peer peer;
    size_t fd_count;
    int fds[RAY_RPC_FD_COUNT_MAX];
    void (*on_drain)(void *arg);
    void *on_drain_arg;
    void (*on_cancel)(void *arg);
    void *on_cancel_arg;
};

struct ray_rpc_session {
    LIST_ENTRY(ray_rpc_session) entry;
    struct ray_rpc_service *service; /* NULL: closed */
    struct ray_rpc_carrier *carrier; /* NULL: closed, or not open yet */
    struct ray_rpc_call_list calls;
    size_t call_count;
    uint64_t last_id;
    struct ray_rpc_large *large; /* the request that comes in parts; NULL: none */
    unsigned hold_count;         /* one for being open */
    struct ray_arena receive_arena;
    struct ray_arena send_arena;
};

/* Takes the call out of whatever list it is in. */
void ray_rpc_call_unlink(struct ray_rpc_call *call);
/* Unlinks it, closes its descriptors, frees it. */
void ray_rpc_call_free(struct ray_rpc_call *call);

/* Cuts the peer off; the session closes in a later turn. */
void ray_rpc_session_abort(struct ray_rpc_session *session, int code, const char *what);
/* Ends call `id` at the peer with an error. A peer that cannot be told is cut off. */
int ray_rpc_session_post_err(struct ray_rpc_session *session, uint64_t id,
                             const struct ray_err *why);

#endif
