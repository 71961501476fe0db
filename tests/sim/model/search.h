/* tests/sim/model/search.h - every state of the model, breadth first, so that a trace is a
 * shortest one; and a weighted random walk for setups that are too large for that.
 *
 * Memory: each call allocates and frees its own.  Threads: one.  Blocks: computes for long.
 * Trust: tests only. */
#ifndef RAY_TESTS_SIM_MODEL_SEARCH_H
#define RAY_TESTS_SIM_MODEL_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "tests/sim/model/model.h"

enum { MODEL_TRACE_MAX = 256 };

struct model_result {
    enum model_violation violation;
    bool is_complete; /* every state was seen */
    uint64_t state_count;
    struct model_step trace[MODEL_TRACE_MAX]; /* to the violation */
    uint64_t trace_count;
};

/* At most state_count_max states. RAY_ENOMEM. */
int model_search(const struct model_setup *setup, const struct model_variant *variant,
                 uint64_t state_count_max, struct model_result *out, struct ray_err *err);

/* Steps of random walks of a few hundred steps each: ticks and messages often, faults rarely. */
void model_walk(const struct model_setup *setup, const struct model_variant *variant,
                uint64_t step_count, uint64_t seed, struct model_result *out);

#endif
