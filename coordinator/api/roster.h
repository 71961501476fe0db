/* coordinator/api/roster.h - who the members are: the registry's word, and until that is here what
 * the node that let us in said, kept as a fact.
 *
 * Private to coordinator/api.
 * Memory: the member's.  Threads: the loop's.  Blocks: load and keep, on the disk.
 * Trust: a proven member said it; sizes are checked. */
#ifndef RAY_COORDINATOR_API_ROSTER_H
#define RAY_COORDINATOR_API_ROSTER_H

#include "coordinator/api/impl.h"
#include "net/link_peer.h"

/* RAY_OK also when there is none. */
int member_roster_load(struct coord_member *m, struct ray_err *err);
/* Durable when it returns; replaces the one before. */
int member_roster_keep(struct coord_member *m, const Rayos__Cluster__Joined *joined,
                       struct ray_err *err);
void member_roster_fini(struct coord_member *m);
/* Links to those of it that the registry here does not know. */
void member_roster_dial(struct coord_member *m);
/* For ray_link_config; `arg` is the member. */
int member_roster_known(void *arg, const struct ray_id *peer,
                        uint8_t out_static[static RAY_KEY_SIZE],
                        uint8_t out_identity[static RAY_KEY_SIZE]);

#endif
