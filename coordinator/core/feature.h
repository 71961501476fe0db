/* coordinator/core/feature.h - whether the cluster's feature level may rise: what a leader decides
 * from what its members' builds can apply. Pure.
 *
 * A level that is in the log halts whoever does not have it. So it rises only when everybody who
 * applies the log, or shows what the log says, has it, and has had it for some time: a node that
 * is just being tried with a new build may go back.
 *
 * Memory: plain structs.  Threads: any.  Blocks: never.  Trust: levels are what nodes say of
 * themselves; who says too much halts itself alone. */
#ifndef RAY_COORDINATOR_CORE_FEATURE_H
#define RAY_COORDINATOR_CORE_FEATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"

/* A server of the configuration counts whether it is heard or not; another node while it is. */
struct coord_feature_node {
    struct ray_id id; /* none: a server whose node is not known */
    uint32_t level;   /* the highest that its build can apply; what it said last */
    bool is_server;   /* voter or standby */
    bool is_heard;    /* now */
};

struct coord_feature_found {
    bool is_any;                      /* somebody counts */
    uint32_t level;                   /* that all who count have; 0: one of them is not heard */
    struct coord_feature_node holder; /* who keeps it that low: the first of several */
};

/* One node more; begins with a zeroed `found`. */
void coord_feature_add(struct coord_feature_found *found, const struct coord_feature_node *node);

/* What a leader remembers from one look to the next; zeroed at the beginning of each leadership. */
struct coord_feature_watch {
    uint32_t level; /* that all have had without a break; 0: not known yet */
    uint64_t since_ns;
};

/* At each look, with the lowest level as found. The level to propose now; 0: none. `now` is what
 * the cluster has; all must have had a higher one for `wait_ns`. */
uint32_t coord_feature_step(struct coord_feature_watch *watch, uint32_t found, uint32_t now,
                            uint64_t now_ns, uint64_t wait_ns);

#endif
