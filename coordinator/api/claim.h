/* coordinator/api/claim.h - how an unclaimed node is claimed over the network, by the one-time code
 * that it shows (net/claim.h): whoever types the code makes a cluster here, with his key as the
 * first admin's, or sends the node into a cluster by a token.
 *
 *   operator                                    unclaimed node
 *     TCP, handshake CLAIM (psk: of the code)
 *     cluster.create {name, admin's key}  ->      a cluster; cluster.members tells who it is
 *     node.claim {token}                  ->      joins as with a credential
 *
 * A code is good for one success or three failures. Before the next one may be tried there is a
 * pause, which doubles: guessing has 64 bits against it, and must not keep the node busy either.
 *
 * Private to coordinator/api.
 * Memory: the member's; the code in memory that is locked.  Threads: the loop's.
 * Blocks: a tenth of a second or so when a code is made.
 * Trust: whoever has proven the code is whoever looks at the node's screen. */
#ifndef RAY_COORDINATOR_API_CLAIM_H
#define RAY_COORDINATOR_API_CLAIM_H

#include "coordinator/api/impl.h"
#include "net/claim.h"
#include "net/link_peer.h"

/* Once a second: a code is there as long as the node may be claimed. */
void member_claim_turn(struct coord_member *m);
void member_claim_fini(struct coord_member *m); /* after the links */

/* Of handshakes; as in struct ray_link_guests. */
int member_claim_hello(struct coord_member *m, struct ray_peer_terms *out_terms,
                       struct ray_err *err);
int member_claim_proven(const struct coord_member *m, struct ray_err *err);
void member_claim_lost(struct coord_member *m);
void member_claim_guest(struct coord_member *m, int fd, struct ray_seal *seal,
                        const struct ray_peer *peer);

/* To be shown; "": none. Borrowed until the loop runs. */
const char *member_claim_code(const struct coord_member *m);

#endif
