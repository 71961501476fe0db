/* coordinator/lease/grant_codec.h - renewals and answers as bytes (net/proto/grant.proto).
 *
 * Memory: everything decoded or encoded lives in the caller's arena.  Threads: the arena's owner.
 * Blocks: never.  Trust: bytes are hostile; what decode lets through is within every limit, and
 * a list is sorted, unique and has the hash that it claims. */
#ifndef RAY_COORDINATOR_LEASE_GRANT_CODEC_H
#define RAY_COORDINATOR_LEASE_GRANT_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "coordinator/lease/grant.h"

enum {
    COORD_LEASE_RENEW_SIZE_MAX = 256,
    COORD_LEASE_ANSWER_SIZE_MAX = 128 << 10,
    COORD_LEASE_ARENA_SIZE_MAX = 1 << 20, /* enough to decode the largest answer */
};

int coord_lease_renew_encode(const struct coord_lease_renew *renew, struct ray_arena *arena,
                             const uint8_t **out_bytes, size_t *out_size, struct ray_err *err);
/* RAY_EMALFORMED, RAY_ETOOBIG. */
int coord_lease_renew_decode(const uint8_t *bytes, size_t size, struct ray_arena *arena,
                             struct coord_lease_renew *out, struct ray_err *err);

int coord_lease_answer_encode(const struct coord_lease_answer *answer, struct ray_arena *arena,
                              const uint8_t **out_bytes, size_t *out_size, struct ray_err *err);
int coord_lease_answer_decode(const uint8_t *bytes, size_t size, struct ray_arena *arena,
                              struct coord_lease_answer *out, struct ray_err *err);

#endif
