/* coordinator/fsm/hash.h - SipHash-2-4 by libsodium: for tables, and 128 bits for the state.
 *
 * The state's hash is a sum over all items, so that a change costs its own size only. It finds
 * replicas that differ by a fault; it is no proof against a member that lies.
 * Memory: none.  Threads: any.  Blocks: never.  Trust: none. */
#ifndef RAY_COORDINATOR_FSM_HASH_H
#define RAY_COORDINATOR_FSM_HASH_H

#include <stddef.h>
#include <stdint.h>

struct fsm_sum {
    uint64_t lanes[2];
};

uint64_t fsm_hash64(const void *bytes, size_t size);
struct fsm_sum fsm_hash128(const void *bytes, size_t size);
void fsm_sum_add(struct fsm_sum *sum, const struct fsm_sum *part);
void fsm_sum_subtract(struct fsm_sum *sum, const struct fsm_sum *part);

#endif
