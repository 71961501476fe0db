/* node/rayosd_orders.h - orders to this machine, judged by a member of the cluster: rayosd has no
 * right to carry them out, and gives them to PID 1.
 *
 * Memory: nothing is kept beside what the call needs.  Threads: the loop's.  Blocks: never.
 * Trust: the order was judged; PID 1 checks what is in it. */
#ifndef RAY_NODE_RAYOSD_ORDERS_H
#define RAY_NODE_RAYOSD_ORDERS_H

#include "base/loop.h"
#include "net/rpc.h"

/* `input`: a request of net/proto/cluster.proto with an Order. Ends the call, now or later.
 * `init_path`: PID 1's socket. */
void rayosd_order(struct ray_loop *loop, const char *init_path, struct ray_rpc_call *call,
                  const ProtobufCMessage *input);

#endif
