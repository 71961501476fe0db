/* coordinator/place/place_fixture.h - random small clusters, and what placement means said a second
 * time: put the guest there, then look whether the cluster still keeps its rules.
 *
 * Memory: plain values.  Threads: the test's.  Blocks: never.  Trust: tests only. */
#ifndef RAY_COORDINATOR_PLACE_FIXTURE_H
#define RAY_COORDINATOR_PLACE_FIXTURE_H

#include "coordinator/place/group.h"

enum {
    PLACE_FIX_NODES_MAX = 8,
    PLACE_FIX_RELATIONS_MAX = 6,
    PLACE_FIX_VOLUMES_MAX = 3,
};

struct place_fix_random {
    uint64_t state;
};

uint32_t place_fix_below(struct place_fix_random *random, uint32_t limit);

struct place_fix {
    struct coord_place_node nodes[PLACE_FIX_NODES_MAX];
    struct coord_place_cluster cluster; /* `nodes` */
    struct coord_place_relation relations[PLACE_FIX_RELATIONS_MAX];
    struct coord_place_volume volumes[PLACE_FIX_VOLUMES_MAX];
    uint32_t denied_by[PLACE_FIX_NODES_MAX];
    uint32_t lacks[PLACE_FIX_NODES_MAX];
    struct coord_place_request request; /* the arrays above */
};

/* `fix` must stay where it is. */
void place_fix_make(struct place_fix *fix, uint64_t seed);
/* A cluster of `node_count` equal nodes, each in a domain of its own, and a small guest. */
void place_fix_plain(struct place_fix *fix, uint32_t node_count);

/* Whether the cluster keeps its rules with the guest on `node`. */
bool place_fix_is_possible(const struct coord_place_cluster *cluster,
                           const struct coord_place_request *request, uint32_t node);
/* The score by the definition of docs/explanation/placement.md. */
int32_t place_fix_score(const struct coord_place_cluster *cluster,
                        const struct coord_place_request *request, uint32_t node);

#endif
