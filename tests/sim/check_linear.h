/* tests/sim/check_linear.h - linearizability by search: the algorithm of Wing and Gong with Lowe's
 * cache, one register at a time (a history is linearizable when each register's is).
 *
 * Knows nothing of logs, indices or terms: only what clients saw and when.
 * Memory: freed before it returns.  Threads: any.  Blocks: for up to step_max steps.
 * Trust: none. */
#ifndef RAY_TESTS_SIM_CHECK_LINEAR_H
#define RAY_TESTS_SIM_CHECK_LINEAR_H

#include <stdint.h>

#include "tests/sim/history.h"
#include "tests/sim/verdict.h"

enum { SIM_LINEAR_STEPS_MAX = 2000000 };

/* False: step_max was not enough for some register; nothing is known of that one. */
bool sim_check_linear(const struct sim_history *history, uint64_t step_max,
                      struct sim_verdict *verdict);

#endif
