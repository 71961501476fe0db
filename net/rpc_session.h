/* net/rpc_session.h - the server's side of one connection: its calls and their streams.
 *
 * Private to net/rpc*.c, its tests and its fuzzer.
 * Memory: a session frees itself when its carrier closes or the service ends; a call that
 * a method still holds may outlive it, as an orphan.  Threads: the loop's.  Blocks: never.
 * Trust: the carrier's messages are hostile. */
#ifndef RAY_NET_RPC_SESSION_H
#define RAY_NET_RPC_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/err.h"
#include "net/rpc.h"
#include "net/rpc_carrier.h"

struct ray_rpc_session;

LIST_HEAD(ray_rpc_session_list, ray_rpc_session);
TAILQ_HEAD(ray_rpc_call_list, ray_rpc_call);

/* What all sessions of a server share. */
struct ray_rpc_service {
    const struct ray_rpc_method *methods; /* ends with a NULL name */
    void *methods_arg;
    struct ray_rpc_session_list sessions;
    size_t session_count;
    struct ray_rpc_call_list orphans; /* the peer is gone, the method has not ended them */
    size_t call_count;                /* orphans too */
    bool takes_large;                 /* requests may come in parts */
    size_t large_size;                /* of those that are not whole yet */
};

void ray_rpc_service_init(struct ray_rpc_service *service, const struct ray_rpc_method *methods,
                          void *methods_arg);
/* Closes all sessions and lets go of all calls. */
void ray_rpc_service_fini(struct ray_rpc_service *service);
/* Closes those whose peer may not stay; their calls end as canceled. Not from within a call. */
void ray_rpc_service_recheck(struct ray_rpc_service *service,
                             bool (*may_stay)(void *arg, const struct ray_rpc_peer *peer),
                             void *arg);
/* Sessions whose peer is `uid`. */
size_t ray_rpc_service_uid_count(const struct ray_rpc_service *service, uid_t uid);

/* A session waits for its carrier, which is made with `user`; then one of open and discard
 * must follow. */
int ray_rpc_session_create(struct ray_rpc_service *service, struct ray_rpc_session **out_session,
                           struct ray_rpc_carrier_user *out_user, struct ray_err *err);
void ray_rpc_session_open(struct ray_rpc_session *session, struct ray_rpc_carrier *carrier);
void ray_rpc_session_discard(struct ray_rpc_session *session);

#endif
