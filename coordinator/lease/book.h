/* coordinator/lease/book.h - the leader's side of grants: whom it has heard when, what is being
 * changed, who may be answered now, whose guests may be taken over (DESIGN.md section 8).
 *
 * Only a leader's book grants anything; the same object serves one term after another. Each loop
 * turn the owner
 *   1. tells coord_lease_book_renew what has arrived, each with the gate that must open first:
 *      a probe that begins after the arrival, or the outcome entry that carried the renewal;
 *   2. before it appends an outcome, asks coord_lease_book_may_take_over (for a death) and tells
 *      coord_lease_book_outcome_appended, all in the same turn;
 *   3. tells coord_lease_book_applied how far the registry is, and
 *   4. takes answers from coord_lease_book_next_answer until there is none.
 *
 * Silence is counted per incarnation, since it was last heard or since this election, whichever
 * is later. An incarnation that the book does not know has been silent since the election.
 * Memory: create allocates everything; answers are borrowed until the next call.
 * Threads: one owner.  Blocks: never.  Reads no clock: now_ns is the owner's CLOCK_BOOTTIME.
 * Trust: renewals are hostile: limits are checked, nothing is asserted about them. */
#ifndef RAY_COORDINATOR_LEASE_BOOK_H
#define RAY_COORDINATOR_LEASE_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "coordinator/lease/grant.h"

enum {
    COORD_LEASE_INCARNATIONS_MAX = 4096, /* heard within W, of all nodes */
    COORD_LEASE_REQUESTS_MAX = 8192,     /* waiting, of each gate */
    COORD_LEASE_REQUESTS_PER_NODE_MAX = 4,
    COORD_LEASE_PENDING_MAX = 16384, /* outcomes appended and not yet applied */
};

/* The registry as applied here; everything is asked again at each answer. */
struct coord_lease_view {
    /* false: the registry knows no such node, or only its tombstone.
     * *out_incarnation: the one that is admitted (zeros: none yet). */
    bool (*node)(void *arg, const struct ray_id *node, struct ray_id *out_incarnation);
    /* Every guest and presentation whose home is {node, incarnation} and that should not stand
     * still: not stopped, not gone. Any order. Returns the count; above `max`: RAY_ETOOBIG. */
    int (*pairs)(void *arg, const struct ray_id *node, const struct ray_id *incarnation,
                 struct coord_lease_pair *out, size_t max, size_t *out_count);
    uint64_t (*cluster_epoch)(void *arg);
    /* After a quorum recovery: some node outside the survivors is neither confirmed off nor back.
     * Until then nothing of an earlier cluster epoch is granted or taken over. */
    bool (*has_unknown)(void *arg);
    void (*timing)(void *arg, struct coord_lease_timing *out_current,
                   struct coord_lease_timing *out_maxima);
    void *arg;
};

struct coord_lease_book;

int coord_lease_book_create(struct coord_lease_book **out, const struct coord_lease_view *view,
                            struct ray_err *err);
void coord_lease_book_destroy(struct coord_lease_book *book);

/* Elected: forgets every other term. `noop_index` is the entry that this leader appended first;
 * nothing is granted before it is applied. After a quorum recovery that is the entry that raises
 * the cluster epoch: older ones of that log, never acknowledged, are applied with it. */
void coord_lease_book_begin(struct coord_lease_book *book, uint64_t now_ns, uint64_t noop_index);
/* Deposed, or not the leader for any other reason: forgets all; no request is answered. */
void coord_lease_book_end(struct coord_lease_book *book);

struct coord_lease_gate {
    uint64_t probe;       /* number of a probe that begins after the arrival; 0: by entry */
    uint64_t entry_index; /* the outcome that carried the renewal, appended in this term; or 0 */
    uint64_t read_index;  /* commit index at the arrival: the list is at least as new */
};

/* Counts the renewal as heard and queues it. RAY_EDENIED with *out_status set: answer that
 * (coord_lease_book_refusal). RAY_EUNAVAILABLE: not the leader, or too many waiting (heard all
 * the same where it could be written down). RAY_ECONFLICT: another cluster epoch. */
int coord_lease_book_renew(struct coord_lease_book *book, uint64_t now_ns,
                           const struct coord_lease_renew *renew,
                           const struct coord_lease_gate *gate, enum coord_lease_status *out_status,
                           struct ray_err *err);
/* The answer to a refused renewal. */
struct coord_lease_answer coord_lease_book_refusal(const struct coord_lease_book *book,
                                                   const struct coord_lease_renew *renew,
                                                   enum coord_lease_status status);

/* An outcome about `id` was appended: from now until `index` is applied no answer names it.
 * RAY_EUNAVAILABLE: the table is full; then it must not be appended, so call this first, with
 * the index that it will have. */
int coord_lease_book_outcome_appended(struct coord_lease_book *book, const struct ray_id *id,
                                      uint64_t index, struct ray_err *err);
/* A forced removal of `node` was appended: its renewals are refused from now on. */
int coord_lease_book_removal_appended(struct coord_lease_book *book, const struct ray_id *node,
                                      uint64_t index, struct ray_err *err);
/* The registry behind the view has applied everything up to `index`. */
void coord_lease_book_applied(struct coord_lease_book *book, uint64_t index);

/* The next answer whose gate is open: `confirmed_probe` is the newest probe that a majority
 * echoed. false: none now. */
bool coord_lease_book_next_answer(struct coord_lease_book *book, uint64_t confirmed_probe,
                                  struct coord_lease_answer *out);

/* Why not yet; for `why` and for the timer. */
struct coord_lease_silence {
    uint64_t wait_ns;   /* W of the maxima, plus extra */
    uint64_t silent_ns; /* since last heard or since the election */
    bool has_heard;     /* in this term */
};

/* Whether nothing that was ever granted to `incarnation` for `epoch` can still run: W + extra_ns
 * of silence, an election as old, no unknown node. For taking over by death, and for deleting,
 * detaching and removing without `stopped`. extra_ns: the watchdog's time of strict guests.
 * `out` may be NULL. */
bool coord_lease_book_may_take_over(const struct coord_lease_book *book, uint64_t now_ns,
                                    const struct ray_id *incarnation, struct ray_epoch epoch,
                                    uint64_t extra_ns, struct coord_lease_silence *out);

/* The registry applied a change of {T, M, d} here (or a snapshot that has one not settled). */
void coord_lease_book_timing_applied(struct coord_lease_book *book, uint64_t now_ns);
/* Whether `settled` may be logged: election and apply of the change older than W of the maxima. */
bool coord_lease_book_may_settle(const struct coord_lease_book *book, uint64_t now_ns);

#endif
