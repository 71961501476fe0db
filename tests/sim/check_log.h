/* tests/sim/check_log.h - election safety, log matching, agreement of what is committed and of
 * the state after it, and that what was acknowledged stays.
 *
 * Log matching is checked by induction: an entry {index, term} is the same everywhere and has
 * the same term before it everywhere.
 * Memory: init/fini.  Threads: one owner.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_CHECK_LOG_H
#define RAY_TESTS_SIM_CHECK_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "tests/sim/map.h"
#include "tests/sim/verdict.h"

struct sim_committed {
    uint64_t term; /* 0: not known yet */
    uint64_t hash;
    uint64_t state_hash;
    bool has_state;
    bool is_acked;
};

struct sim_check_log {
    struct sim_verdict *verdict;     /* borrowed */
    struct sim_map leaders;          /* term -> server */
    struct sim_map entries;          /* {index, term} -> hash of entry and of the term before it */
    struct sim_committed *committed; /* by index */
    size_t committed_capacity;
    uint64_t committed_max;
};

void sim_check_log_init(struct sim_check_log *check, struct sim_verdict *verdict);
void sim_check_log_fini(struct sim_check_log *check);

/* `server` says that it leads `term`. */
void sim_check_log_leads(struct sim_check_log *check, uint64_t server, uint64_t term);
/* `node` appended this to its log, behind an entry of `previous_term` (0: the first). */
void sim_check_log_appended(struct sim_check_log *check, uint32_t node, uint64_t index,
                            uint64_t term, uint64_t hash, uint64_t previous_term);
/* `node` applied this. */
void sim_check_log_applied(struct sim_check_log *check, uint32_t node, uint64_t index,
                           uint64_t term, uint64_t hash);
/* `node`'s state after applying `index`. */
void sim_check_log_state(struct sim_check_log *check, uint32_t node, uint64_t index,
                         uint64_t state_hash);
/* A client was told that its command ran at `index`. */
void sim_check_log_acked(struct sim_check_log *check, uint64_t index);
/* In the end `node`, which is up and healed, has applied up to `index`. */
void sim_check_log_end(struct sim_check_log *check, uint32_t node, uint64_t index);

/* NULL: nobody applied it yet. */
const struct sim_committed *sim_check_log_committed(const struct sim_check_log *check,
                                                    uint64_t index);

#endif
