/* net/rpc_bulk.h - rpc over a connection that is not a member's link: an operator's or a joining
 * node's. What net/link_peer.h gives to on_guest, or net/bulk_shake.h to whoever dialled.
 *
 * A net/bulk channel carries one envelope per message. Descriptors do not travel.
 *
 * Memory: create/destroy.  Threads: the loop's.  Blocks: never.
 * Trust: the peer is proven, its bytes are hostile. */
#ifndef RAY_NET_RPC_BULK_H
#define RAY_NET_RPC_BULK_H

#include "base/loop.h"
#include "net/peer_auth.h"
#include "net/rpc.h"
#include "net/seal.h"

enum { RAY_RPC_BULK_CONNS_MAX = 64 };

struct ray_rpc_bulk_server;

/* `methods` as for servers (rpc.h); ray_rpc_call_peer tells node and identity. */
int ray_rpc_bulk_server_create(struct ray_rpc_bulk_server **out_server, struct ray_loop *loop,
                               const struct ray_rpc_method *methods, void *arg,
                               struct ray_err *err);
void ray_rpc_bulk_server_destroy(struct ray_rpc_bulk_server *server); /* NULL is fine */
/* As ray_rpc_server_take_large. */
void ray_rpc_bulk_server_take_large(struct ray_rpc_bulk_server *server);
/* One more connection. Descriptor and seal are the server's on success, else stay the caller's.
 * RAY_EUNAVAILABLE: there are RAY_RPC_BULK_CONNS_MAX. */
int ray_rpc_bulk_server_take(struct ray_rpc_bulk_server *server, int fd, struct ray_seal *seal,
                             const struct ray_peer *peer, struct ray_err *err);
/* Closes the connections of peers who may not stay. Not from within a call. */
void ray_rpc_bulk_server_recheck(struct ray_rpc_bulk_server *server,
                                 bool (*may_stay)(void *arg, const struct ray_rpc_peer *peer),
                                 void *arg);

/* The calling end; descriptor and seal as above. */
int ray_rpc_client_create_bulk(struct ray_rpc_client **out_client, struct ray_loop *loop, int fd,
                               struct ray_seal *seal, struct ray_err *err);

#endif
