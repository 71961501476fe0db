/* clusterctl/verbs/power_judge.h - what it costs that a node goes down, and when it is back.
 *
 * Pure.  Memory: none.  Threads: any.  Blocks: never.
 * Trust: what a member says of nodes is escaped and cut. */
#ifndef RAY_CLUSTERCTL_VERBS_POWER_JUDGE_H
#define RAY_CLUSTERCTL_VERBS_POWER_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "clusterctl/verbs/node_wait.h"
#include "net/proto/cluster.pb-c.h"

enum { POWER_NAME_SIZE = 256, POWER_WHY_SIZE = 1024 };

struct power_order {
    const Rayos__Cluster__NodeStatus *node;
    const Rayos__Cluster__Plan *plan;
    bool is_reboot; /* else it is switched off */
    bool is_drained;
};

/* One boot of one node. */
struct power_boot {
    struct ray_id node;
    uint64_t counter; /* grows with each boot that is admitted */
};

/* For the terminal. */
void power_name(const char *name, char out[static POWER_NAME_SIZE]);
bool power_loses_quorum(const struct power_order *order);
void power_describe(const struct power_order *order, char out[static POWER_WHY_SIZE]);

/* `node` is how it stands now, in its boot `now`: whether that is a later boot than `before`, or
 * that of the node which has taken its place, and who answers hears it. An older one, of a member
 * that lags behind, is none. */
bool power_is_back(const struct power_boot *before, const struct power_boot *now,
                   const Rayos__Cluster__NodeStatus *node, char line[static NODE_WAIT_LINE_SIZE]);

#endif
