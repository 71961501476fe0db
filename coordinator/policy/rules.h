/* coordinator/policy/rules.h - the checked rules, inside of this room.
 *
 * Memory: all texts and lists in the policy's arena.  Threads: the owner's.  Blocks: never.
 * Trust: checked when the policy was created. */
#ifndef RAY_COORDINATOR_POLICY_RULES_H
#define RAY_COORDINATOR_POLICY_RULES_H

#include "base/arena.h"
#include "coordinator/policy/policy.h"
#include "net/proto/policy.pb-c.h"

struct coord_policy {
    struct ray_arena arena;
    const Rayos__Policy__Policy *message; /* in the arena, checked */
    bool has_limits;
    bool has_places;
};

/* RAY_EINVAL, with rule, line and remedy. */
int coord_policy_check(const Rayos__Policy__Policy *message, uint32_t level, bool is_new,
                       struct ray_err *err);

/* Words before the colon of `who`; roles have bits. False: no such role. */
bool coord_policy_role_find(const char *name, uint32_t *out_bit);

#endif
