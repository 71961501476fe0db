/* node/health/health.h - is this node well, and what to do if not: judgement only.
 *
 * Memory: *out_health and all below it live in the caller's arena.
 * Threads: any.  Blocks: never.  Trust: numbers and texts that others have read and checked;
 * texts are printed, never interpreted. */
#ifndef RAY_NODE_HEALTH_HEALTH_H
#define RAY_NODE_HEALTH_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "net/proto/init.pb-c.h"
#include "net/proto/node.pb-c.h"
#include "node/facts/machine.h"

struct health_input {
    struct facts_data data;
    bool has_space;      /* the next two are known */
    uint64_t free_bytes; /* of the data folder, for us */
    uint64_t total_bytes;
    uint64_t memory_total_bytes; /* 0: unknown */
    uint64_t memory_available_bytes;
    bool has_pressure;         /* the next is known */
    unsigned pressure_percent; /* share of the last 10 s in which nobody could go on */
    const char *clock_source;
    bool is_clock_fit;
    const Rayos__Init__Status *init; /* what PID 1 says; NULL: it did not */
    const char *init_error;          /* why not */
};

/* RAY_ENOMEM is the only failure. */
int health_judge(const struct health_input *input, struct ray_arena *arena,
                 Rayos__Node__Health **out_health, struct ray_err *err);

#endif
