/* tests/sim/check_witness.h - linearizability by witness: the log's order is claimed to be the
 * order, so it must agree with real time and explain every result. In O(n log n), for every run.
 *
 * Also exactly once: a request runs at one index only, and its answer names that one.
 * Memory: init/fini.  Threads: one owner.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_CHECK_WITNESS_H
#define RAY_TESTS_SIM_CHECK_WITNESS_H

#include "tests/sim/history.h"
#include "tests/sim/map.h"
#include "tests/sim/verdict.h"

struct sim_witness {
    struct sim_verdict *verdict; /* borrowed */
    struct sim_op *applied;      /* by index; `sequence` 0: nothing of a client */
    size_t capacity;
    uint64_t index_max;
    struct sim_map executed; /* {client, sequence} -> index */
};

void sim_witness_init(struct sim_witness *witness, struct sim_verdict *verdict);
void sim_witness_fini(struct sim_witness *witness);

/* Some replica executed (not only found again) this request at op->index. Its `value`, `expected`,
 * `key`, `kind`, `client` and `sequence` count; of a SWAP also has_failed. */
void sim_witness_executed(struct sim_witness *witness, const struct sim_op *op);
/* At the end. */
void sim_witness_check(struct sim_witness *witness, const struct sim_history *history);

#endif
