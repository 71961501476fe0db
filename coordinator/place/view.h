/* coordinator/place/view.h - nodes and guests of the registry as placement sees them.
 *
 * Pure: the state of one revision gives the same view on every replica. So nothing is in it that
 * only some know, such as who is heard at the moment.
 *
 * Memory: create and destroy; borrows from the state machine, so it is used before the next entry
 * is applied. What it gives out is its own, until its next call of request or destroy. Threads: the
 * loop's.  Blocks: never; O(nodes + guests), and facts or spec of each that the cache does not
 * have. Trust: facts and specs come from nodes and clients and are checked; an unreadable one
 * counts as unknown, and as a spec in which all has its default. Source:
 * docs/explanation/placement.md for what counts as how much.
 */
#ifndef RAY_COORDINATOR_PLACE_VIEW_H
#define RAY_COORDINATOR_PLACE_VIEW_H

#include "coordinator/fsm/fsm.h"
#include "coordinator/place/cache.h"
#include "coordinator/place/place.h"
#include "net/proto/node.pb-c.h"
#include "net/proto/spec.pb-c.h"

enum {
    COORD_PLACE_CPU_SHARE = 4,          /* virtual CPUs of one */
    COORD_PLACE_NODE_MEMORY_MIB = 256,  /* that a node keeps for itself */
    COORD_PLACE_MONITOR_MEMORY_MIB = 8, /* beside each guest's own */
};

struct coord_place_view;

/* `cache`: the owner's, for questions one after the other, which outlives the view and makes no
 * other one before its end; NULL: none. RAY_ENOTFOUND: there is no node. RAY_ETOOBIG: more than
 * placement takes. RAY_ENOMEM. */
int coord_place_view_create(struct coord_fsm *fsm, struct coord_place_cache *cache,
                            struct coord_place_view **out_view, struct ray_err *err);
void coord_place_view_destroy(struct coord_place_view *view);

const struct coord_place_cluster *coord_place_view_cluster(const struct coord_place_view *view);
/* The object behind an index of the cluster. */
const struct coord_object *coord_place_view_node(const struct coord_place_view *view,
                                                 uint32_t index);
uint32_t coord_place_view_index(const struct coord_place_view *view, const struct ray_id *node);

/* What if: it gets no guests. */
void coord_place_view_assume(struct coord_place_view *view, uint32_t index);

/* What a guest asks for. `guest` NULL: one that is not there yet, with `spec` and no labels; else
 * its own spec, or `spec` where that is not NULL. RAY_EINVAL: its spec cannot be read.
 * RAY_ENOTFOUND: its image is not there. RAY_ETOOBIG: more relations than placement takes.
 * RAY_ENOMEM. */
int coord_place_view_request(struct coord_place_view *view, const struct coord_object *guest,
                             const Rayos__Spec__GuestSpec *spec,
                             struct coord_place_request *out_request, struct ray_err *err);

/* In `arena`; NULL: it cannot be read. */
const Rayos__Spec__GuestSpec *coord_place_view_spec(const struct coord_object *guest,
                                                    struct ray_arena *arena);
/* Whether the relation is to that guest. */
bool coord_place_is_meant(const Rayos__Spec__Relation *relation, const struct coord_object *guest);

/* 1 to 4 for x86-64-v1 to -v4 (psABI), 1 for others. */
uint16_t coord_place_cpu_level(const Rayos__Node__Cpu *cpu);

#endif
