/* coordinator/place/answer.h - a question of net/proto/place.proto, answered from the registry.
 *
 * Pure: the same state gives the same bytes on every replica.
 * Memory: of the call; the answer is appended to the caller's buffer.  Threads: the loop's.
 * Blocks: never; O(nodes + guests).  Trust: the question is hostile. */
#ifndef RAY_COORDINATOR_PLACE_ANSWER_H
#define RAY_COORDINATOR_PLACE_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "coordinator/fsm/fsm.h"
#include "coordinator/place/cache.h"
#include "coordinator/policy/policy.h"

enum {
    COORD_PLACE_ASK_SIZE_MAX = 80 << 10,
    COORD_PLACE_ANSWER_SIZE_MAX = 32 << 20, /* 16384 nodes, each with all of its reasons */
};

/* A packed Ask; appends a packed Answer. `cache`: as coord_place_view_create. `actor`: who asks,
 * for the rules about a guest that is there; NULL: they are not asked. RAY_EMALFORMED;
 * RAY_ENOTFOUND: no such guest, or its image; RAY_EINVAL, RAY_EUNSUPPORTED: a spec that the
 * registry would not take; RAY_ETOOBIG, RAY_ENOMEM. */
int coord_place_answer(struct coord_fsm *fsm, struct coord_place_cache *cache,
                       const struct coord_policy_actor *actor, const uint8_t *ask, size_t ask_size,
                       struct ray_buf *out, struct ray_err *err);

#endif
