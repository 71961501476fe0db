/* net/link_nng.h - links over NNG: after the handshake the connection goes to a PAIR socket of
 * its own, which lives as long as the epoch.
 *
 * A set speaks to sets of its own kind only; with the other kind the handshake ends with a text
 * that says so.
 *
 * Memory, blocking, trust: as net/link_peer.h. Library net_nng.
 * Threads: the loop's; NNG's own threads run only callbacks that put an event into a ring and
 * wake the loop. SIGPIPE must be ignored by the process: NNG writes to sockets without
 * MSG_NOSIGNAL; create asserts it. */
#ifndef RAY_NET_LINK_NNG_H
#define RAY_NET_LINK_NNG_H

#include "net/link_peer.h"

/* As ray_link_uv_create. */
int ray_link_nng_create(struct ray_link **out_link, struct ray_loop *loop,
                        const struct ray_link_config *config, struct ray_err *err);

#endif
