/* net/link_uv.h - links as TCP connections on the loop: a sealed record per peer and turn.
 *
 * Memory, threads, blocking, trust: as net/link_peer.h. */
#ifndef RAY_NET_LINK_UV_H
#define RAY_NET_LINK_UV_H

#include "net/link_peer.h"

/* RAY_EINVAL: the address; RAY_EEXISTS: the port is taken; RAY_ENOMEM, RAY_EIO. */
int ray_link_uv_create(struct ray_link **out_link, struct ray_loop *loop,
                       const struct ray_link_config *config, struct ray_err *err);

#endif
