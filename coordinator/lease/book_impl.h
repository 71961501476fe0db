/* coordinator/lease/book_impl.h - inside the book: heard.c and pending.c keep its two memories,
 * book.c decides with them, book_answer.c answers.
 *
 * Memory, threads, trust: as book.h. */
#ifndef RAY_COORDINATOR_LEASE_BOOK_IMPL_H
#define RAY_COORDINATOR_LEASE_BOOK_IMPL_H

#include "coordinator/lease/book.h"
#include "coordinator/lease/id_table.h"

/* ---- who was heard when ---- */

struct coord_lease_heard_at {
    struct ray_id node;
    uint64_t at_ns;
    uint32_t request_count; /* waiting */
};

struct coord_lease_heard {
    struct coord_id_table incarnations;
    struct coord_lease_heard_at *at;
};

int coord_lease_heard_init(struct coord_lease_heard *heard, struct ray_err *err);
void coord_lease_heard_fini(struct coord_lease_heard *heard);
void coord_lease_heard_clear(struct coord_lease_heard *heard);
/* The place of the incarnation, its time set; COORD_ID_TABLE_NONE: 4096 others were heard less
 * than wait_ns ago. */
uint32_t coord_lease_heard_note(struct coord_lease_heard *heard, uint64_t now_ns, uint64_t wait_ns,
                                const struct ray_id *node, const struct ray_id *incarnation);
/* NULL: not heard, or so long ago that it was forgotten. */
const struct coord_lease_heard_at *coord_lease_heard_find(const struct coord_lease_heard *heard,
                                                          const struct ray_id *incarnation);

/* ---- what was appended and not yet applied ---- */

struct coord_lease_pending_item {
    uint64_t index;
    uint32_t place;
};

struct coord_lease_pending {
    struct coord_id_table ids;
    uint32_t *counts; /* of places */
    struct coord_lease_pending_item *ring;
    uint32_t capacity;
    uint32_t first;
    uint32_t count;
};

int coord_lease_pending_init(struct coord_lease_pending *pending, uint32_t capacity,
                             struct ray_err *err);
void coord_lease_pending_fini(struct coord_lease_pending *pending);
void coord_lease_pending_clear(struct coord_lease_pending *pending);
/* Indexes never fall. RAY_EUNAVAILABLE: full. */
int coord_lease_pending_add(struct coord_lease_pending *pending, const struct ray_id *id,
                            uint64_t index, struct ray_err *err);
void coord_lease_pending_applied(struct coord_lease_pending *pending, uint64_t index);
bool coord_lease_pending_has(const struct coord_lease_pending *pending, const struct ray_id *id);

/* ---- who waits for an answer ---- */

struct coord_lease_request {
    struct coord_lease_renew renew;
    struct coord_lease_gate gate;
    uint32_t place; /* in heard */
};

struct coord_lease_queue {
    struct coord_lease_request *requests;
    uint32_t first;
    uint32_t count;
};

struct coord_lease_book {
    struct coord_lease_view view;
    struct coord_lease_heard heard;
    struct coord_lease_pending outcomes; /* by guest or presentation */
    struct coord_lease_pending removals; /* by node */
    struct coord_lease_queue by_probe;
    struct coord_lease_queue by_entry;
    struct coord_lease_pair *pairs; /* of the answer given last */
    uint64_t election_ns;
    uint64_t noop_index;
    uint64_t applied_index;
    uint64_t timing_applied_ns;
    bool is_leader;
    bool has_timing_change; /* seen applied while leading; else the election is the later one */
};

/* W of the maxima. */
uint64_t coord_lease_book_wait_ns(const struct coord_lease_book *book, uint64_t extra_ns);
/* What the registry says of {node, incarnation} now. */
enum coord_lease_status coord_lease_book_judge(const struct coord_lease_book *book,
                                               const struct coord_lease_renew *renew);

#endif
