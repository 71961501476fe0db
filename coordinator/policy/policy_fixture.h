/* coordinator/policy/policy_fixture.h - policies written in a line per rule.
 *
 * Memory: the policy is the caller's to destroy.  Threads: the test's.  Blocks: never.
 * Trust: tests only. */
#ifndef RAY_COORDINATOR_POLICY_FIXTURE_H
#define RAY_COORDINATOR_POLICY_FIXTURE_H

#include "coordinator/policy/policy.h"
#include "net/proto/policy.pb-c.h"

/* One of each list at most; NULL: the list is empty. */
struct policy_fix_rule {
    const char *name;
    Rayos__Policy__Effect effect;
    const char *who;
    const char *action;
    const char *object;
    const char *label_key;
    const char *label_value;
    const char *on;
    uint32_t vcpus;
    const char *approver;
    const char *reason;
    uint32_t line;
};

/* free() */
uint8_t *policy_fix_pack(const struct policy_fix_rule *rules, size_t count, size_t *out_size);
/* RAY_OK, or what coord_policy_create says. */
int policy_fix_make(const struct policy_fix_rule *rules, size_t count,
                    struct coord_policy **out_policy, struct ray_err *err);

#endif
