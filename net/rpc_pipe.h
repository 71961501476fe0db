/* net/rpc_pipe.h - answers a call by what another service answers: each item as it comes, at the
 * pace of whoever reads more slowly, then the end. When the caller leaves, so do we there.
 *
 * Memory: takes the call and the client; both are gone at the end. At most a stream's window of
 * items waits here.  Threads: the loop's.  Blocks: never.
 * Trust: what comes from the service is checked by net/rpc, and then the caller's to judge. */
#ifndef RAY_NET_RPC_PIPE_H
#define RAY_NET_RPC_PIPE_H

#include "net/rpc.h"

struct ray_rpc_pipe_to {
    const char *method;
    const ProtobufCMessageDescriptor *item; /* NULL: none is expected */
    const ProtobufCMessageDescriptor *output;
    uint64_t timeout_ms; /* 0: none */
    const char *whom;    /* for texts: "node b"; copied */
};

/* Whatever goes wrong is the call's answer. `on_over` (may be NULL) runs once, when the call has
 * ended and the client is gone: also from within this function. */
void ray_rpc_pipe(struct ray_rpc_call *call, struct ray_rpc_client *client,
                  const struct ray_rpc_pipe_to *to, const ProtobufCMessage *input,
                  void (*on_over)(void *arg), void *arg);

#endif
