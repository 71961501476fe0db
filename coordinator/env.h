/* coordinator/env.h - all that the coordinator gets from the world besides disk and links:
 * clocks, randomness, one timer, a voice. The simulator gives its own.
 *
 * Nothing below coordinator/ reads a clock or a random number in another way.
 * Memory: belongs to whoever made it; outlives its users.  Threads: the loop's.
 * Blocks: never.  Trust: none. */
#ifndef RAY_COORDINATOR_ENV_H
#define RAY_COORDINATOR_ENV_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

struct coord_env {
    /* CLOCK_BOOTTIME: goes on in suspend. */
    uint64_t (*now_ns)(void *arg);
    /* Wall clock, for people only: nothing is decided by it. */
    uint64_t (*realtime_us)(void *arg);
    void (*random)(void *arg, void *out, size_t size);
    /* Asks for coord_replica_on_timer at or soon after `at_ns` of now_ns; the earlier request is
     * replaced. UINT64_MAX: no timer. */
    void (*set_timer)(void *arg, uint64_t at_ns);
    void (*log)(void *arg, enum ray_log_level level, const char *module, const char *text);
    void *arg;
};

#endif
