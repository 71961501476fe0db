/* coordinator/api/roster.h - who the members are: the registry's word, and as long as the registry
 * here ends before the one that this node had once, what that one said last, kept as a fact. So
 * are a member whose checkpoint is gone, one that begins anew and one that has just joined (it has
 * the word of who let it in) known to themselves, and find the others.
 *
 * Private to coordinator/api.
 * Memory: the member's.  Threads: the loop's.  Blocks: load, keep and turn, on the disk.
 * Trust: a proven member said it, or the registry; the disk is not trusted. */
#ifndef RAY_COORDINATOR_API_ROSTER_H
#define RAY_COORDINATOR_API_ROSTER_H

#include "coordinator/api/impl.h"
#include "net/link_peer.h"

/* RAY_OK also when there is none; one that has rotted is said and forgotten. */
int member_roster_load(struct coord_member *m, struct ray_err *err);
/* Durable when it returns; replaces the one before. */
int member_roster_keep(struct coord_member *m, const struct member_roster *roster,
                       struct ray_err *err);
/* After changes of nodes, and now and then: what the registry here says is kept when it is
 * another; while it is not here, those of the roster are dialled. */
void member_roster_turn(struct coord_member *m);
/* For coord_replica_user: whether it names that node, as a member that votes or may soon,
 * and is newer than the registry here. */
bool member_roster_names(void *arg, const struct ray_id *node);
/* For ray_link_config; `arg` is the member. */
int member_roster_removed(void *arg, const struct ray_id *peer, struct ray_link_removal *out);
int member_roster_known(void *arg, const struct ray_id *peer,
                        uint8_t out_static[static RAY_KEY_SIZE],
                        uint8_t out_identity[static RAY_KEY_SIZE]);

#endif
