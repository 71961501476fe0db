/* book_answer.c - renewals wait behind their gate, in order of arrival, and are judged again when
 * it opens: what was admitted, pending or removed in between counts. */
#include <assert.h>
#include <string.h>

#include "coordinator/lease/book_impl.h"
#include "coordinator/mutant.h"

enum coord_lease_status coord_lease_book_judge(const struct coord_lease_book *book,
                                               const struct coord_lease_renew *renew)
{
    struct ray_id admitted;

    if (coord_lease_pending_has(&book->removals, &renew->node) ||
        !book->view.node(book->view.arg, &renew->node, &admitted)) {
        return COORD_LEASE_REMOVED;
    }
    if (!ray_id_equal(&admitted, &renew->incarnation) && !RAY_MUTANT(LEASE_CLONE_ACCEPTED)) {
        return COORD_LEASE_DUPLICATE;
    }
    return COORD_LEASE_GRANTED;
}

struct coord_lease_answer coord_lease_book_refusal(const struct coord_lease_book *book,
                                                   const struct coord_lease_renew *renew,
                                                   enum coord_lease_status status)
{
    assert(book != NULL && status != COORD_LEASE_GRANTED);
    return (struct coord_lease_answer){
        .node = renew->node,
        .incarnation = renew->incarnation,
        .status = status,
        .cluster_epoch = book->view.cluster_epoch(book->view.arg),
        .t_send_ns = renew->t_send_ns,
        .revision = book->applied_index,
    };
}

static int queue(struct coord_lease_book *book, uint32_t place,
                 const struct coord_lease_renew *renew, const struct coord_lease_gate *gate,
                 struct ray_err *err)
{
    struct coord_lease_queue *queue = gate->probe != 0 ? &book->by_probe : &book->by_entry;
    struct coord_lease_request *last;

    if (book->heard.at[place].request_count >= COORD_LEASE_REQUESTS_PER_NODE_MAX ||
        queue->count >= COORD_LEASE_REQUESTS_MAX) {
        return ray_fail(err, RAY_EUNAVAILABLE, "too many renewals wait");
    }
    last = &queue->requests[(queue->first + queue->count - 1) % COORD_LEASE_REQUESTS_MAX];
    assert(queue->count == 0 ||
           (last->gate.probe <= gate->probe && last->gate.entry_index <= gate->entry_index));
    queue->requests[(queue->first + queue->count) % COORD_LEASE_REQUESTS_MAX] =
        (struct coord_lease_request){.renew = *renew, .gate = *gate, .place = place};
    queue->count++;
    book->heard.at[place].request_count++;
    return RAY_OK;
}

int coord_lease_book_renew(struct coord_lease_book *book, uint64_t now_ns,
                           const struct coord_lease_renew *renew,
                           const struct coord_lease_gate *gate, enum coord_lease_status *out_status,
                           struct ray_err *err)
{
    enum coord_lease_status status;
    uint32_t place;

    assert(book != NULL && renew != NULL && gate != NULL && out_status != NULL);
    assert((gate->probe != 0) != (gate->entry_index != 0));
    if (!book->is_leader) {
        return ray_fail(err, RAY_EUNAVAILABLE, "not the leader");
    }
    if (renew->cluster_epoch != book->view.cluster_epoch(book->view.arg)) {
        return ray_fail(err, RAY_ECONFLICT, "a renewal of cluster epoch %llu",
                        (unsigned long long)renew->cluster_epoch);
    }
    /* Before the own no-op is applied the registry here may be older than the admission. */
    if (book->applied_index >= book->noop_index) {
        status = coord_lease_book_judge(book, renew);
        if (status != COORD_LEASE_GRANTED) {
            *out_status = status;
            return ray_fail(err, RAY_EDENIED,
                            status == COORD_LEASE_DUPLICATE ? "duplicate identity"
                                                            : "the node is no member");
        }
    }
    place = coord_lease_heard_note(&book->heard, now_ns, coord_lease_book_wait_ns(book, 0),
                                   &renew->node, &renew->incarnation);
    if (place == COORD_ID_TABLE_NONE) {
        return ray_fail(err, RAY_EUNAVAILABLE, "%d incarnations renew already",
                        COORD_LEASE_INCARNATIONS_MAX);
    }
    return queue(book, place, renew, gate, err);
}

static bool is_open(const struct coord_lease_book *book, const struct coord_lease_request *request,
                    uint64_t confirmed_probe)
{
    const struct coord_lease_gate *gate = &request->gate;

    if (book->applied_index < gate->read_index) {
        return false;
    }
    if (gate->entry_index != 0) {
        return book->applied_index >= gate->entry_index;
    }
    if (RAY_MUTANT(LEASE_OLD_PROBE)) {
        return confirmed_probe != 0;
    }
    return confirmed_probe >= gate->probe;
}

static bool take(struct coord_lease_book *book, struct coord_lease_queue *queue,
                 uint64_t confirmed_probe, struct coord_lease_request *out)
{
    if (queue->count == 0 || !is_open(book, &queue->requests[queue->first], confirmed_probe)) {
        return false;
    }
    *out = queue->requests[queue->first];
    queue->first = (queue->first + 1) % COORD_LEASE_REQUESTS_MAX;
    queue->count--;
    assert(book->heard.at[out->place].request_count > 0);
    book->heard.at[out->place].request_count--;
    return true;
}

static bool may_list(const struct coord_lease_book *book, const struct coord_lease_pair *pair,
                     uint64_t cluster_epoch)
{
    if (coord_lease_pending_has(&book->outcomes, &pair->id) && !RAY_MUTANT(LEASE_GRANT_PENDING)) {
        return false;
    }
    return pair->epoch.cluster == cluster_epoch || RAY_MUTANT(LEASE_RECOVERY_TRUSTS);
}

/* Builds the list as of now; false: the registry lists more than a node can hold. */
static bool list(struct coord_lease_book *book, const struct coord_lease_renew *renew,
                 size_t *out_count)
{
    uint64_t cluster_epoch = book->view.cluster_epoch(book->view.arg);
    struct ray_id incarnation = renew->incarnation;
    size_t listed_count = 0;
    size_t count = 0;

    if (RAY_MUTANT(LEASE_CLONE_ACCEPTED)) {
        (void)book->view.node(book->view.arg, &renew->node, &incarnation);
    }
    if (book->view.pairs(book->view.arg, &renew->node, &incarnation, book->pairs,
                         COORD_LEASE_PAIRS_MAX, &listed_count) != RAY_OK) {
        return false;
    }
    assert(listed_count <= COORD_LEASE_PAIRS_MAX);
    for (size_t i = 0; i < listed_count; i++) {
        if (may_list(book, &book->pairs[i], cluster_epoch)) {
            book->pairs[count++] = book->pairs[i];
        }
    }
    coord_lease_sort(book->pairs, count);
    *out_count = count;
    return true;
}

static bool answer(struct coord_lease_book *book, const struct coord_lease_renew *renew,
                   struct coord_lease_answer *out)
{
    enum coord_lease_status status = coord_lease_book_judge(book, renew);
    struct coord_lease_timing current;
    struct coord_lease_timing maxima;
    size_t count = 0;

    if (renew->cluster_epoch != book->view.cluster_epoch(book->view.arg)) {
        return false;
    }
    if (status != COORD_LEASE_GRANTED) {
        *out = coord_lease_book_refusal(book, renew, status);
        return true;
    }
    if (!list(book, renew, &count)) {
        return false;
    }
    book->view.timing(book->view.arg, &current, &maxima);
    *out = (struct coord_lease_answer){
        .node = renew->node,
        .incarnation = renew->incarnation,
        .status = COORD_LEASE_GRANTED,
        .cluster_epoch = renew->cluster_epoch,
        .t_send_ns = renew->t_send_ns,
        .grant_ns = current.grant_ns,
        .revision = book->applied_index,
        .hash = coord_lease_hash_of(book->pairs, count),
        .pairs = book->pairs,
        .pair_count = count,
    };
    if (coord_lease_hash_equal(&out->hash, &renew->hash)) {
        out->is_unchanged = true;
        out->pairs = NULL;
        out->pair_count = 0;
    }
    return true;
}

bool coord_lease_book_next_answer(struct coord_lease_book *book, uint64_t confirmed_probe,
                                  struct coord_lease_answer *out)
{
    struct coord_lease_request request;

    assert(book != NULL && out != NULL);
    if (!book->is_leader ||
        (book->applied_index < book->noop_index && !RAY_MUTANT(LEASE_BEFORE_NOOP))) {
        return false;
    }
    while (take(book, &book->by_entry, confirmed_probe, &request) ||
           take(book, &book->by_probe, confirmed_probe, &request)) {
        if (answer(book, &request.renew, out)) {
            return true;
        }
    }
    return false;
}
