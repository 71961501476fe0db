/* coordinator/place/whatif.h - where the guests of a node would go if it went.
 *
 * Pure, as view.h. What they asked of each other stays asked: relations among them become bonds.
 * Memory: create and destroy; borrows from the view.  Threads: the loop's.  Blocks: never.
 * Trust: as view.h. */
#ifndef RAY_COORDINATOR_PLACE_WHATIF_H
#define RAY_COORDINATOR_PLACE_WHATIF_H

#include "coordinator/place/view.h"

enum { COORD_PLACE_WHATIF_STEPS = 2000 };

struct coord_place_whatif;

struct coord_place_move {
    const struct coord_object *guest;
    uint32_t to; /* COORD_PLACE_NOWHERE: it has no place */
    /* Of one that has none: how many nodes each barrier keeps it from, all of them alone; with
     * is_crowded there are nodes for it, but not beside the others. */
    uint32_t barriers[COORD_PLACE_BARRIER_COUNT];
    bool is_crowded;
};

/* `node` is assumed away in the view from now on. With is_drain its disks can still be copied from;
 * else what is pinned to it and what is only there stays. RAY_ETOOBIG: more guests or relations
 * than placement takes. RAY_EINVAL: a spec that cannot be read. RAY_ENOTFOUND: an image that is
 * gone. RAY_ENOMEM. */
int coord_place_whatif_create(struct coord_place_view *view, struct coord_fsm *fsm, uint32_t node,
                              bool is_drain, struct coord_place_whatif **out_whatif,
                              struct ray_err *err);
void coord_place_whatif_destroy(struct coord_place_whatif *whatif);

/* By the guests' ids. */
const struct coord_place_move *coord_place_whatif_moves(const struct coord_place_whatif *whatif,
                                                        uint32_t *out_count);
/* Not all have a place, whatever is tried. */
bool coord_place_whatif_is_proven(const struct coord_place_whatif *whatif);

#endif
