/* read.c - linearizable reads without a log entry (coordinator/core/readindex.h).
 *
 * A leader notes its commit index, and one probe per turn proves for all reads that came before
 * it that no other leader had committed more by then. Another member asks the leader for that
 * index. Either waits until its own state machine has got there. */
#include <assert.h>

#include "base/clock.h"
#include "coordinator/core/config.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"

/* While APPENDED, `term` is the number of the probe that a read waits for. */

static void answer_remote(struct coord_replica *r, const struct replica_request *request,
                          int status)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__ReadGiven given = RAYOS__MEMBER__READ_GIVEN__INIT;
    Rayos__Member__ReadGiven *items[] = {&given};

    if (request->peer->epoch != request->epoch) {
        return;
    }
    given.number = request->number;
    given.code = status;
    given.index = request->index;
    packet.n_reads_given = 1;
    packet.reads_given = items;
    replica_packet_answer(r, request->peer, &packet);
}

static void finish(struct coord_replica *r, struct replica_request *request, int status)
{
    struct replica_request ended = *request;

    replica_request_free(&r->reads, request);
    if (ended.is_remote) {
        answer_remote(r, &ended, status);
    } else if (ended.read_done != NULL) {
        ended.read_done(ended.arg, status, coord_fsm_index(replica_state(r)));
    }
}

static void try_again(struct coord_replica *r, struct replica_request *request)
{
    if (request->is_remote) {
        finish(r, request, RAY_EAGAIN);
        return;
    }
    request->peer = NULL;
    replica_request_move(&r->reads, request, REPLICA_REQUEST_QUEUED);
}

/* ---- as leader ---- */

uint64_t replica_probe(struct coord_replica *r)
{
    if (r->is_probe_begun) {
        return r->probes.begun_number;
    }
    r->is_probe_begun = true;
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        if (coord_config_is_voter(&r->probes.config, peer->server_id)) {
            peer->is_frame_due = true;
        }
    }
    return coord_readindex_begin(&r->probes, replica_now_ms(r));
}

static void begin_probe(struct coord_replica *r)
{
    struct replica_request *request = replica_request_first(&r->reads, &r->reads.queued);
    uint64_t number = replica_probe(r);

    while (request != NULL) {
        request->index = r->commit_index;
        request->term = number;
        replica_request_move(&r->reads, request, REPLICA_REQUEST_APPENDED);
        request = replica_request_first(&r->reads, &r->reads.queued);
    }
}

static void take_confirmed(struct coord_replica *r)
{
    struct replica_request *request = replica_request_first(&r->reads, &r->reads.appended);

    while (request != NULL && (coord_readindex_is_confirmed(&r->probes, request->term) ||
                               RAY_MUTANT(REPLICA_READ_WITHOUT_PROBE))) {
        if (request->is_remote) {
            finish(r, request, RAY_OK);
        } else {
            replica_request_move(&r->reads, request, REPLICA_REQUEST_WAITING);
        }
        request = replica_request_first(&r->reads, &r->reads.appended);
    }
}

/* ---- as another member ---- */

static bool ask_leader(struct coord_replica *r, struct replica_peer *leader,
                       struct replica_request *request)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__ReadAsk ask = RAYOS__MEMBER__READ_ASK__INIT;
    Rayos__Member__ReadAsk *items[] = {&ask};

    ask.number = replica_request_ticket(&r->reads, request);
    packet.n_reads = 1;
    packet.reads = items;
    if (replica_packet_add(r, leader, &packet) != RAY_OK) {
        return false;
    }
    request->peer = leader;
    request->epoch = leader->epoch;
    request->shown_index = replica_is_viewing(r) ? coord_fsm_index(r->view) : 0;
    replica_request_move(&r->reads, request, REPLICA_REQUEST_FORWARDED);
    return true;
}

static void pass_on(struct coord_replica *r)
{
    struct replica_peer *leader = replica_leader_peer(r);
    struct replica_request *request = replica_request_first(&r->reads, &r->reads.queued);
    bool can_ask = leader != NULL && replica_now_ns(r) >= r->retry_ns;

    while (request != NULL) {
        struct replica_request *next = replica_request_after(&r->reads, request);

        if (request->is_remote) {
            finish(r, request, RAY_EAGAIN);
        } else if (can_ask) {
            can_ask = ask_leader(r, leader, request);
        }
        request = next;
    }
}

void replica_read_turn(struct coord_replica *r)
{
    r->reads.seen_count = r->reads.arrived_count;
    if (r->role == COORD_REPLICA_LEADER) {
        bool is_ready = coord_core_is_ready(r->core) || RAY_MUTANT(REPLICA_READ_WITHOUT_NOOP);

        if (r->reads.queued.count > 0 && is_ready) {
            begin_probe(r);
        }
        take_confirmed(r);
    } else if (r->reads.queued.count > 0) {
        pass_on(r);
    }
    replica_read_applied(r);
}

/* Indices may come in any order: from probes and from leaders. Who is told packs its answer at
 * once, which may be a large one: what does not fit into the turn's time waits for the next, or
 * elections would be lost over a crowd of readers. */
void replica_read_applied(struct coord_replica *r)
{
    struct replica_request *request = replica_request_first(&r->reads, &r->reads.waiting);
    uint64_t end_ns = replica_now_ns(r) + REPLICA_READS_MS * RAY_NS_PER_MS;
    size_t count = r->reads.waiting.count;

    for (; request != NULL && count > 0; count--) {
        struct replica_request *next = replica_request_after(&r->reads, request);
        uint32_t next_slot = next == NULL ? REPLICA_NO_SLOT : (uint32_t)(next - r->reads.slots);

        if (request->index <= coord_fsm_index(replica_state(r))) {
            if (replica_now_ns(r) >= end_ns) {
                r->is_turn_due = true;
                return;
            }
            finish(r, request, RAY_OK);
        }
        request = next_slot == REPLICA_NO_SLOT ? NULL : &r->reads.slots[next_slot];
    }
}

void replica_read_deposed(struct coord_replica *r)
{
    struct replica_request *request = replica_request_first(&r->reads, &r->reads.appended);

    while (request != NULL) {
        try_again(r, request);
        request = replica_request_first(&r->reads, &r->reads.appended);
    }
}

void replica_read_peer_down(struct coord_replica *r, const struct replica_peer *peer)
{
    struct replica_request *request = replica_request_first(&r->reads, &r->reads.forwarded);

    while (request != NULL) {
        struct replica_request *next = replica_request_after(&r->reads, request);

        if (request->peer == peer) {
            try_again(r, request);
        }
        request = next;
    }
}

/* Who led may be cut off without its link having ended. */
void replica_read_leader_changed(struct coord_replica *r)
{
    const struct replica_peer *leader = replica_leader_peer(r);
    struct replica_request *request = replica_request_first(&r->reads, &r->reads.forwarded);

    while (request != NULL) {
        struct replica_request *next = replica_request_after(&r->reads, request);

        if (request->peer != leader) {
            try_again(r, request);
        }
        request = next;
    }
}

void replica_read_answered(struct coord_replica *r, struct replica_peer *peer,
                           const Rayos__Member__ReadGiven *given)
{
    struct replica_request *request = replica_request_of(&r->reads, given->number);

    if (request == NULL || request->state != REPLICA_REQUEST_FORWARDED || request->peer != peer ||
        request->epoch != peer->epoch) {
        return;
    }
    if (given->code != RAY_OK) {
        r->retry_ns = replica_now_ns(r) + REPLICA_RETRY_MS * RAY_NS_PER_MS;
        try_again(r, request);
        return;
    }
    request->index = given->index;
    replica_view_compare(r, request->shown_index, given->index);
    replica_request_move(&r->reads, request, REPLICA_REQUEST_WAITING);
}

/* A request of this node's own; it waits for the turn. */
static int take(struct coord_replica *r, uint64_t deadline_ns, coord_replica_read_done *done,
                void *arg, uint64_t *out_ticket, struct replica_request **out, struct ray_err *err)
{
    uint64_t ticket;
    struct replica_request *request;

    if (!replica_is_running(r)) {
        return ray_fail(err, RAY_EUNAVAILABLE, "this member takes no part");
    }
    request = replica_request_new(&r->reads, &ticket);
    if (request == NULL) {
        return ray_fail(err, RAY_EAGAIN, "%zu reads wait already", (size_t)r->reads.slot_count);
    }
    request->deadline_ns = deadline_ns;
    request->read_done = done;
    request->arg = arg;
    if (deadline_ns < r->reads.deadline_ns) {
        r->reads.deadline_ns = deadline_ns;
    }
    if (out_ticket != NULL) {
        *out_ticket = ticket | REPLICA_TICKET_READ;
    }
    *out = request;
    return RAY_OK;
}

int coord_replica_read(struct coord_replica *r, uint64_t deadline_ns, coord_replica_read_done *done,
                       void *arg, uint64_t *out_ticket, struct ray_err *err)
{
    struct replica_request *request;

    return take(r, deadline_ns, done, arg, out_ticket, &request, err);
}

int coord_replica_wait(struct coord_replica *r, uint64_t index, uint64_t deadline_ns,
                       coord_replica_read_done *done, void *arg, uint64_t *out_ticket,
                       struct ray_err *err)
{
    struct replica_request *request = NULL;
    int rc = take(r, deadline_ns, done, arg, out_ticket, &request, err);

    if (rc == RAY_OK) {
        request->index = index;
        replica_request_move(&r->reads, request, REPLICA_REQUEST_WAITING);
        r->is_turn_due = true;
    }
    return rc;
}

void replica_read_remote(struct coord_replica *r, struct replica_peer *peer,
                         const Rayos__Member__ReadAsk *ask)
{
    struct replica_request refused = {
        .peer = peer, .epoch = peer->epoch, .number = ask->number, .is_remote = true};
    uint64_t ticket;
    struct replica_request *request =
        replica_is_running(r) ? replica_request_new(&r->reads, &ticket) : NULL;

    if (request == NULL) {
        answer_remote(r, &refused, RAY_EAGAIN);
        return;
    }
    request->is_remote = true;
    request->peer = peer;
    request->epoch = peer->epoch;
    request->number = ask->number;
    request->deadline_ns = UINT64_MAX;
}

static void end_late(struct coord_replica *r, struct replica_request *request)
{
    finish(r, request, RAY_ENOQUORUM);
}

static void end_canceled(struct coord_replica *r, struct replica_request *request)
{
    finish(r, request, RAY_ECANCELED);
}

static void end_stopped(struct coord_replica *r, struct replica_request *request)
{
    finish(r, request, request->is_remote ? RAY_EAGAIN : RAY_ENOQUORUM);
}

void replica_read_expire(struct coord_replica *r, uint64_t now_ns)
{
    replica_requests_expire(r, &r->reads, now_ns, end_late);
}

void replica_read_cancel_all(struct coord_replica *r)
{
    replica_requests_end(r, &r->reads, end_canceled);
}

void replica_read_stop(struct coord_replica *r)
{
    replica_requests_end(r, &r->reads, end_stopped);
}
