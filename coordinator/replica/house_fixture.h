/* coordinator/replica/house_fixture.h - for tests: a founder that leads alone, a colleague (node 1,
 * a standby) and an observer (node 2, for its boot only), each with a link; what the founder sends
 * is counted.
 *
 * Memory: move_in and move_out.  Threads: one.  Blocks: never.  Trust: none. */
#ifndef RAY_COORDINATOR_REPLICA_HOUSE_FIXTURE_H
#define RAY_COORDINATOR_REPLICA_HOUSE_FIXTURE_H

#include "coordinator/replica/replica_fixture.h"

enum { HOUSE_COLLEAGUE = 1, HOUSE_OBSERVER = 2, HOUSE_STRANGER = 3 };

struct house {
    struct replica_fix fix; /* first: found by the link's address */
    struct ray_link_ops ops;
    int answer_code; /* of the last Proposed that was sent, or of its result */
    int answer_count;
    int removed_count; /* links */
    bool is_full;      /* they take nothing */
    size_t part_size;  /* of snapshots, that were sent */
    size_t size_max;   /* of a message that was sent */
};

void house_move_in(struct house *house);
void house_move_out(struct house *house);
/* That node's number, which it must have. */
uint64_t house_number(const struct house *house, unsigned node);
uint64_t house_term(const struct house *house);
/* Its link comes up, and it says who it is. */
void house_greet(struct house *house, unsigned node);

#endif
