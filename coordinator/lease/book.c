/* book.c - what the leader may do, from when it heard whom. Two facts carry everything: a slot
 * lives at most T (on its node's clock) after t_send, and t_send lies before the arrival of the
 * renewal here. So after W without an arrival nothing granted to that incarnation runs. */
#include "coordinator/lease/book.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/lease/book_impl.h"
#include "coordinator/mutant.h"

static void *allocate(size_t count, size_t size)
{
    return ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(count, size);
}

int coord_lease_book_create(struct coord_lease_book **out, const struct coord_lease_view *view,
                            struct ray_err *err)
{
    struct coord_lease_book *book;
    int rc;

    assert(out != NULL && view != NULL && view->node != NULL && view->pairs != NULL);
    assert(view->cluster_epoch != NULL && view->timing != NULL && view->has_unknown != NULL);
    book = allocate(1, sizeof *book);
    if (book == NULL) {
        return ray_fail(err, RAY_ENOMEM, "book of grants");
    }
    book->view = *view;
    rc = coord_lease_heard_init(&book->heard, err);
    if (rc == RAY_OK) {
        rc = coord_lease_pending_init(&book->outcomes, COORD_LEASE_PENDING_MAX, err);
    }
    if (rc == RAY_OK) {
        rc = coord_lease_pending_init(&book->removals, COORD_LEASE_INCARNATIONS_MAX, err);
    }
    if (rc != RAY_OK) {
        goto fail;
    }
    book->by_probe.requests = allocate(COORD_LEASE_REQUESTS_MAX, sizeof *book->by_probe.requests);
    book->by_entry.requests = allocate(COORD_LEASE_REQUESTS_MAX, sizeof *book->by_entry.requests);
    book->pairs = allocate(COORD_LEASE_PAIRS_MAX, sizeof *book->pairs);
    if (book->by_probe.requests == NULL || book->by_entry.requests == NULL || book->pairs == NULL) {
        rc = ray_fail(err, RAY_ENOMEM, "book of %d renewals", COORD_LEASE_REQUESTS_MAX);
        goto fail;
    }
    *out = book;
    return RAY_OK;
fail:
    coord_lease_book_destroy(book);
    return rc;
}

void coord_lease_book_destroy(struct coord_lease_book *book)
{
    if (book == NULL) {
        return;
    }
    coord_lease_heard_fini(&book->heard);
    coord_lease_pending_fini(&book->outcomes);
    coord_lease_pending_fini(&book->removals);
    free(book->by_probe.requests);
    free(book->by_entry.requests);
    free(book->pairs);
    free(book);
}

void coord_lease_book_end(struct coord_lease_book *book)
{
    assert(book != NULL);
    book->is_leader = false;
    coord_lease_heard_clear(&book->heard);
    coord_lease_pending_clear(&book->outcomes);
    coord_lease_pending_clear(&book->removals);
    book->by_probe.count = 0;
    book->by_entry.count = 0;
}

void coord_lease_book_begin(struct coord_lease_book *book, uint64_t now_ns, uint64_t noop_index)
{
    coord_lease_book_end(book);
    assert(noop_index > 0);
    book->is_leader = true;
    book->election_ns = now_ns;
    book->noop_index = noop_index;
    book->has_timing_change = false;
}

int coord_lease_book_outcome_appended(struct coord_lease_book *book, const struct ray_id *id,
                                      uint64_t index, struct ray_err *err)
{
    assert(book != NULL && book->is_leader && index > book->applied_index);
    return coord_lease_pending_add(&book->outcomes, id, index, err);
}

int coord_lease_book_removal_appended(struct coord_lease_book *book, const struct ray_id *node,
                                      uint64_t index, struct ray_err *err)
{
    assert(book != NULL && book->is_leader && index > book->applied_index);
    return coord_lease_pending_add(&book->removals, node, index, err);
}

void coord_lease_book_applied(struct coord_lease_book *book, uint64_t index)
{
    assert(book != NULL && index >= book->applied_index);
    book->applied_index = index;
    coord_lease_pending_applied(&book->outcomes, index);
    coord_lease_pending_applied(&book->removals, index);
}

uint64_t coord_lease_book_wait_ns(const struct coord_lease_book *book, uint64_t extra_ns)
{
    struct coord_lease_timing current;
    struct coord_lease_timing maxima;

    book->view.timing(book->view.arg, &current, &maxima);
    if (RAY_MUTANT(LEASE_T_LOWERED_AT_ONCE)) {
        maxima = current;
    }
    if (RAY_MUTANT(LEASE_NO_MARGIN)) {
        maxima.margin_ns = 0;
    }
    if (RAY_MUTANT(LEASE_NO_DRIFT)) {
        maxima.drift_ppm = 0;
    }
    assert(extra_ns <= COORD_LEASE_TIME_MAX_NS);
    maxima.margin_ns += extra_ns;
    return coord_lease_wait_ns(&maxima);
}

static uint64_t elapsed(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? to_ns - from_ns : 0;
}

bool coord_lease_book_may_take_over(const struct coord_lease_book *book, uint64_t now_ns,
                                    const struct ray_id *incarnation, struct ray_epoch epoch,
                                    uint64_t extra_ns, struct coord_lease_silence *out)
{
    const struct coord_lease_heard_at *heard;
    struct coord_lease_silence silence;
    uint64_t since_ns;
    bool is_unknown;

    assert(book != NULL && incarnation != NULL);
    if (!book->is_leader) {
        return false;
    }
    heard = coord_lease_heard_find(&book->heard, incarnation);
    since_ns = book->election_ns;
    if (heard != NULL && heard->at_ns > since_ns) {
        since_ns = heard->at_ns;
    }
    silence = (struct coord_lease_silence){
        .wait_ns = coord_lease_book_wait_ns(book, extra_ns),
        .silent_ns = elapsed(since_ns, now_ns),
        .has_heard = heard != NULL,
    };
    if (out != NULL) {
        *out = silence;
    }
    if (book->applied_index < book->noop_index) {
        return false; /* the home that was asked about may not be the home any more */
    }
    is_unknown = epoch.cluster < book->view.cluster_epoch(book->view.arg) &&
                 book->view.has_unknown(book->view.arg);
    if (is_unknown && !RAY_MUTANT(LEASE_UNKNOWN_EXPIRED)) {
        return false;
    }
    if (RAY_MUTANT(LEASE_NO_ELECTION_WAIT) && heard == NULL) {
        return true;
    }
    return silence.silent_ns > silence.wait_ns;
}

void coord_lease_book_timing_applied(struct coord_lease_book *book, uint64_t now_ns)
{
    assert(book != NULL);
    book->timing_applied_ns = now_ns;
    book->has_timing_change = true;
}

bool coord_lease_book_may_settle(const struct coord_lease_book *book, uint64_t now_ns)
{
    uint64_t since_ns;

    assert(book != NULL);
    if (!book->is_leader || book->applied_index < book->noop_index) {
        return false;
    }
    since_ns = book->election_ns;
    if (book->has_timing_change && book->timing_applied_ns > since_ns) {
        since_ns = book->timing_applied_ns;
    }
    return elapsed(since_ns, now_ns) > coord_lease_book_wait_ns(book, 0);
}
