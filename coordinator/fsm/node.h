/* coordinator/fsm/node.h - what the commands about nodes share: incarnations and raft ids.
 *
 * Memory: the state machine's.  Threads: its owner.  Blocks: never.
 * Trust: arguments were checked by the caller. */
#ifndef RAY_COORDINATOR_FSM_NODE_H
#define RAY_COORDINATOR_FSM_NODE_H

#include <stdint.h>

#include "base/id.h"
#include "coordinator/fsm/fsm.h"

struct fsm_apply;
struct fsm_object;

/* From now on this incarnation is the node; `node` was touched. */
void fsm_node_admit_boot(struct fsm_apply *apply, struct coord_node *node,
                         const struct ray_id *incarnation, uint64_t boot_counter);
/* Refuses an incarnation that is not later than the admitted one, and writes the event. */
int fsm_node_duplicate(struct fsm_apply *apply, const struct fsm_object *node,
                       const struct ray_id *incarnation, uint64_t boot_counter);
/* The next raft id; the cluster object is touched. */
int fsm_node_give_raft_id(struct fsm_apply *apply, struct coord_node *node);

#endif
