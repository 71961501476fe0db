/* net/rpc_client.h - a client over any carrier.
 *
 * Private to net/rpc*.c, its tests and its fuzzer; the public half is in rpc.h.
 * Memory, threads, blocking, trust: as rpc.h. */
#ifndef RAY_NET_RPC_CLIENT_H
#define RAY_NET_RPC_CLIENT_H

#include "base/err.h"
#include "base/loop.h"
#include "net/rpc.h"
#include "net/rpc_carrier.h"

/* A client waits for its carrier, which is made with `user`; then open must follow, or
 * destroy. */
int ray_rpc_client_create(struct ray_rpc_client **out_client, struct ray_loop *loop,
                          struct ray_rpc_carrier_user *out_user, struct ray_err *err);
void ray_rpc_client_open(struct ray_rpc_client *client, struct ray_rpc_carrier *carrier);

#endif
