/* coordinator/fsm/permit.h - objects of the registry as the rules see them, for who asks the rules
 * outside of the log: what a node does by itself, and where a guest may be placed.
 *
 * Memory: a description is the caller's; it borrows from the state machine until the next
 * coord_fsm_apply.  Threads: the loop's.  Blocks: never.
 * Trust: objects were checked when they were applied; specs may be unreadable. */
#ifndef RAY_COORDINATOR_FSM_PERMIT_H
#define RAY_COORDINATOR_FSM_PERMIT_H

#include "base/err.h"
#include "base/id.h"
#include "coordinator/fsm/fsm.h"
#include "coordinator/policy/policy.h"

/* Never copied: `object` points into it. */
struct coord_fsm_described {
    struct coord_policy_object object;
    struct coord_policy_label labels[COORD_LABELS_MAX];
    char id_text[RAY_ID_TEXT_SIZE];
};

/* Kind, name (or id), labels, the node where it is, and, if any rule of `policy` has `at_most`,
 * what its spec asks for. `policy` may be NULL. RAY_ENOMEM. */
int coord_fsm_describe(struct coord_fsm *fsm, const struct coord_policy *policy,
                       const struct coord_object *object, struct coord_fsm_described *out);

/* As coord_policy_decide; without rules admins may do everything, others nothing. */
struct coord_policy_decision coord_fsm_decide(const struct coord_policy *policy,
                                              const struct coord_policy_actor *actor,
                                              enum coord_policy_action action,
                                              const struct coord_policy_object *object);

#endif
