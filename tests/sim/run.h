/* tests/sim/run.h - one run: a cluster, clients, faults until it is healed, and the judgement.
 *
 *   0 s        faults, clients          healed   clients            quiet      end
 *   |---------------------------------------|------------------------|----------|
 *
 * Memory: none is left.  Threads: one per run.  Blocks: for its milliseconds.  Trust: none. */
#ifndef RAY_TESTS_SIM_RUN_H
#define RAY_TESTS_SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/sim/node.h"
#include "tests/sim/verdict.h"

struct sim_options {
    const struct sim_node_ops *ops;
    uint64_t seed;
    uint32_t node_count;   /* 0: drawn from the seed */
    uint32_t linear_every; /* the full search for one in so many seeds; 0: never */
    FILE *trace;           /* NULL: none */
};

struct sim_result {
    struct sim_verdict verdict;
    uint64_t hash; /* of all that happened */
    uint64_t event_count;
    uint64_t message_count;
    uint64_t op_count;     /* asked */
    uint64_t done_count;   /* answered */
    uint64_t commit_count; /* entries */
    uint64_t election_count;
    uint64_t start_count; /* of processes */
    uint64_t damaged_count;
    uint64_t linear_count;  /* 1: searched in full */
    uint64_t watched_count; /* events that watchers got */
    uint64_t resync_count;
    uint64_t compared_count; /* of what viewers show */
    uint64_t lost_count;     /* 1: nobody can be elected any more (check_end.h) */
    uint64_t run_count;      /* of guests: from a start or thaw to the next stop */
    uint64_t takeover_count;
    uint64_t migration_count;
};

void sim_run(const struct sim_options *options, struct sim_result *out);

#endif
