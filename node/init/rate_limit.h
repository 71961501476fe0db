/* node/init/rate_limit.h - a token bucket: how many lines may still pass, and how many
 * were held back since the last report.
 *
 * Memory: none beyond the struct.  Threads: one owner.  Blocks: never.
 * Trust: time comes from the caller and may only go forward (backward is ignored). */
#ifndef RAY_NODE_INIT_RATE_LIMIT_H
#define RAY_NODE_INIT_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct rate_limit {
    uint32_t burst;
    uint32_t per_s;
    uint64_t tokens_milli; /* thousandths, so that slow refill is not rounded away */
    uint64_t updated_ns;
    uint64_t suppressed_count;
};

void rate_limit_init(struct rate_limit *limit, uint32_t burst, uint32_t per_s, uint64_t now_ns);
/* True: pass. False: hold it back; it is counted. */
bool rate_limit_take(struct rate_limit *limit, uint64_t now_ns);
/* The count of lines held back, once the bucket passes lines again; else 0. Resets it. */
uint64_t rate_limit_report(struct rate_limit *limit, uint64_t now_ns);

#endif
