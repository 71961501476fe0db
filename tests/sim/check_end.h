/* tests/sim/check_end.h - progress after healing, and that only rot makes a node doubt itself.
 *
 * Memory: plain structs.  Threads: any.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_CHECK_END_H
#define RAY_TESTS_SIM_CHECK_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/verdict.h"

/* A node at the end of a run. */
struct sim_end_node {
    bool is_up;
    bool is_leader;
    bool is_quarantined;
    bool was_damaged; /* rot, wipe, clone: it may be quarantined */
    uint64_t applied_index;
    uint32_t place;
    uint32_t voters;     /* of the newest configuration in its log: one bit per place */
    size_t voter_count;  /* of that, also those that are nobody's number any more; 0: not known */
    uint64_t last_index; /* of its log, and that entry's term */
    uint64_t last_term;
};

/* The world was healed, then clients went on for a while, then nobody asked anything for as long
 * as everything may take. */
struct sim_end {
    const struct sim_end_node *nodes;
    size_t node_count;
    size_t healed_done_count; /* operations asked and answered after the healing */
    size_t pending_count;     /* never answered */
    uint64_t pending_since_ns;
    uint64_t settled_index; /* committed long enough ago for all to have it; 0: everything */
};

/* False: nothing is asked, because nobody can be elected. While a change of the configuration is
 * under way, voters may count by different configurations; when one of them then loses its disk,
 * Raft can be without a leader for good, though most of either are there (a standby that is to vote
 * has the lost leader's newer entries, and does not stand). Only recovery helps. */
bool sim_check_progress(const struct sim_end *end, struct sim_verdict *verdict);
/* At any time: a log that has this feature level has no member whose build lacks it. `levels`: of
 * the builds on all machines, by place; `members`: one bit per place. */
void sim_check_level(uint32_t level, const uint32_t *levels, uint32_t members,
                     struct sim_verdict *verdict);
/* At any time. */
void sim_check_quarantine(uint32_t node, bool was_damaged, const char *why,
                          struct sim_verdict *verdict);

#endif
