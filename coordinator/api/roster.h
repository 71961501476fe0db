/* coordinator/api/roster.h - who the members are: the registry's word, and until that is here (at
 * first, or after a node began anew) what was kept as a fact: what the node that let us in said,
 * later what the registry here said last.
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

enum { MEMBER_ROSTER_MAX = 32 };

/* Those who vote or may soon, and this node. */
struct member_roster_lines {
    Rayos__Cluster__Joined joined; /* borrows from the lines and the registry */
    Rayos__Cluster__Member members[MEMBER_ROSTER_MAX];
    Rayos__Cluster__Member *pointers[MEMBER_ROSTER_MAX];
};

/* As the registry here has them; false: it is not here. */
bool member_roster_list(struct coord_member *m, struct member_roster_lines *out);
/* Keeps them, when they are others than before. */
void member_roster_refresh(struct coord_member *m);
/* Links to those of it that the registry here does not know. */
void member_roster_dial(struct coord_member *m);
/* For coord_replica_user: whether it names that node, as a member that votes or may soon. */
bool member_roster_names(void *arg, const struct ray_id *node);
/* For ray_link_config; `arg` is the member. */
int member_roster_known(void *arg, const struct ray_id *peer,
                        uint8_t out_static[static RAY_KEY_SIZE],
                        uint8_t out_identity[static RAY_KEY_SIZE]);

#endif
