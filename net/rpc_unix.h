/* net/rpc_unix.h - rpc messages over Unix SOCK_SEQPACKET, descriptors by SCM_RIGHTS.
 *
 * Private to net/rpc*.c.
 * Memory: the carrier owns the descriptor from a successful create on.
 * Threads: the loop's.  Blocks: never.  Trust: the peer is hostile; its pid, uid and gid
 * come from the kernel. */
#ifndef RAY_NET_RPC_UNIX_H
#define RAY_NET_RPC_UNIX_H

#include "base/err.h"
#include "base/loop.h"
#include "net/rpc_carrier.h"

/* On failure `fd` stays the caller's. */
int ray_rpc_unix_carrier_create(struct ray_rpc_carrier **out_carrier, struct ray_loop *loop, int fd,
                                const struct ray_rpc_carrier_user *user, struct ray_err *err);

/* A connected, non-blocking descriptor. RAY_EUNAVAILABLE: nobody answers; RAY_EDENIED. */
int ray_rpc_unix_connect(const char *path, int *out_fd, struct ray_err *err);

#endif
