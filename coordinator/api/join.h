/* coordinator/api/join.h - how a node with a token becomes a member: both ends of it.
 *
 *   joiner                                     any member
 *     TCP, handshake JOIN (psk: the token's verifier)
 *     node.join {name, address, keys, incarnation}  ->  node-join in the log
 *     <-  Joined {cluster, raft id, members}
 *     keeps the roster, formats its disk, opens its replica, dials the members
 *
 * It is asked again until it succeeds: the log knows the node by its identity, and a second time
 * gives the same answer without a further use of the token.
 *
 * Private to coordinator/api.
 * Memory: the member's.  Threads: the loop's.  Blocks: as member_api.h.
 * Trust: a joiner has the token, nothing else is believed; a member is believed who it lets in. */
#ifndef RAY_COORDINATOR_API_JOIN_H
#define RAY_COORDINATOR_API_JOIN_H

#include "coordinator/api/impl.h"
#include "net/link_peer.h"

/* With the credential's token. */
int member_join_begin(struct coord_member *m, struct ray_err *err);
void member_join_fini(struct coord_member *m);

/* The member's end: of links that are none (struct ray_link_guests; `arg` is the member). */
int member_guests_init(struct coord_member *m, struct ray_err *err);
void member_guests_fini(struct coord_member *m);
int member_guest_hello(void *arg, const struct ray_hello *hello, struct ray_peer_terms *out_terms,
                       struct ray_err *err);
void member_guest_lost(void *arg, const struct ray_hello *hello);
int member_guest_proven(void *arg, const struct ray_peer *peer, struct ray_err *err);
void member_guest(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *peer);

#endif
