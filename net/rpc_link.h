/* net/rpc_link.h - rpc between machines over a link: channel RAY_LINK_RPC carries any number of
 * connections in both directions.
 *
 *   {u8 kind, u32 little-endian connection number}, then an rpc envelope:
 *     1 client to server     3 the client has left
 *     2 server to client     4 the server has left (a text says why)
 *
 * A client numbers its connections from 1 upwards in each epoch of the link; the first message of
 * a number opens it at the server. Connections end with their epoch. Descriptors do not travel.
 *
 * It becomes the link's user; everybody else uses ray_rpc_link_rest, a link of the same peers
 * without that channel.
 *
 * Memory: create/destroy. Order: link, this, users of the rest; the reverse at the end.
 * Threads: the loop's.  Blocks: never.
 * Trust: peers are proven members, their bytes are hostile. */
#ifndef RAY_NET_RPC_LINK_H
#define RAY_NET_RPC_LINK_H

#include "base/loop.h"
#include "net/link.h"
#include "net/rpc.h"

enum {
    RAY_RPC_LINK_CONNS_PER_PEER_MAX = 16, /* that one peer opens here */
    RAY_RPC_LINK_CONNS_MAX = 4096,        /* that all open here */
};

struct ray_rpc_link;

/* `methods` as for servers (rpc.h); NULL: nothing is served. ray_rpc_call_peer tells the node. */
int ray_rpc_link_create(struct ray_rpc_link **out_rpc, struct ray_loop *loop, struct ray_link *link,
                        const struct ray_rpc_method *methods, void *arg, struct ray_err *err);
void ray_rpc_link_destroy(struct ray_rpc_link *rpc); /* NULL is fine; clients are closed */

/* The other channels. Its destroy does nothing. */
struct ray_link *ray_rpc_link_rest(struct ray_rpc_link *rpc);

/* A connection to the service of `peer`. RAY_EUNAVAILABLE: no link to it now. The client hears
 * its end by ray_rpc_client_on_close. */
int ray_rpc_client_create_link(struct ray_rpc_client **out_client, struct ray_rpc_link *rpc,
                               const struct ray_id *peer, struct ray_err *err);

#endif
