/* clusterctl/verbs/why_waits.h - what an object waits for, as far as registry and status tell.
 *
 * Memory: plain structs.  Threads: any.  Blocks: never.
 * Trust: messages come from members; texts of theirs are escaped. */
#ifndef RAY_CLUSTERCTL_VERBS_WHY_WAITS_H
#define RAY_CLUSTERCTL_VERBS_WHY_WAITS_H

#include <stddef.h>

#include "net/proto/cluster.pb-c.h"
#include "net/proto/registry.pb-c.h"

enum { WHY_WAITS_MAX = 8, WHY_TEXT_SIZE = 256 };

struct why_wait {
    char what[WHY_TEXT_SIZE];
    char next_step[WHY_TEXT_SIZE]; /* "": nothing to do but to wait */
};

struct why_waits {
    struct why_wait list[WHY_WAITS_MAX];
    size_t count;
};

void why_waits_find(const Rayos__Registry__Object *object, const Rayos__Cluster__Status *status,
                    struct why_waits *out);
/* Operations that ask whether something may be done to it, by name as rules have it: those that
 * still wait for somebody. */
void why_waits_add_operations(const Rayos__Registry__Object *object,
                              const Rayos__Registry__Answer *operations, struct why_waits *out);
/* In a few words: "member, voter, ok". */
void why_state(const Rayos__Registry__Object *object, char out[static WHY_TEXT_SIZE]);

#endif
