/* coordinator/place/rules.h - on which nodes the rules in force let somebody have a guest run.
 *
 * Pure: the same state and the same asker give the same on every replica.
 * Memory: lists are the caller's.  Threads: the loop's.  Blocks: never; O(nodes x rules), of rules
 * that name no nodes O(rules).  Trust: as coordinator/fsm/permit.h. */
#ifndef RAY_COORDINATOR_PLACE_RULES_H
#define RAY_COORDINATOR_PLACE_RULES_H

#include "coordinator/place/view.h"
#include "coordinator/policy/policy.h"

/* For each node of the view the number of the rule that denies it, 0: none, as
 * coord_place_request.denied_by; what no rule allows is denied by the one after the last. Asked is
 * guest.start there, or guest.migrate of a guest that has a home; not where it is. A rule that asks
 * does not deny. RAY_ENOMEM. */
int coord_place_rules(struct coord_fsm *fsm, const struct coord_place_view *view,
                      const struct coord_policy_actor *actor, const struct coord_object *guest,
                      uint32_t *out_denied_by, struct ray_err *err);
/* Of a number above: the rule's name, or "default". Until the next entry is applied. */
const char *coord_place_rule_name(struct coord_fsm *fsm, uint32_t rule);

#endif
