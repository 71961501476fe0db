/* grants.c - renewals of agents on their way to the leader's book, and its answers back
 * (coordinator/lease/book.h; DESIGN.md section 8).
 *
 * The book counts what it hears at once, and answers only when a probe that began later has
 * been confirmed and the registry has got to where the log was then. It is the one place that
 * says whose guests may be taken over, and it is asked in the turn that appends the command. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coordinator/core/config.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"
#include "net/proto_codec.h"

/* ---- the registry as the book sees it ---- */

static bool find_member(const struct coord_fsm *fsm, const struct ray_id *id,
                        struct ray_id *out_incarnation)
{
    const struct coord_object *node = coord_fsm_find(fsm, COORD_NODE, id);

    if (node == NULL ||
        (node->node.state != COORD_NODE_MEMBER && node->node.state != COORD_NODE_DRAINED)) {
        return false;
    }
    *out_incarnation = node->node.incarnation;
    return true;
}

static bool view_node(void *arg, const struct ray_id *id, struct ray_id *out_incarnation)
{
    return find_member(((struct coord_replica *)arg)->fsm, id, out_incarnation);
}

static void add_guest(const struct coord_object *guest, const struct ray_id *incarnation,
                      struct coord_lease_pair *out, size_t max, size_t *count)
{
    if (!guest->guest.has_run || !ray_id_equal(&guest->guest.home.incarnation, incarnation)) {
        return;
    }
    if (*count < max) {
        out[*count] = (struct coord_lease_pair){.id = guest->id,
                                                .epoch = guest->guest.epoch,
                                                .from = guest->guest.epoch_from,
                                                .origin = guest->guest.entry,
                                                .kind = COORD_LEASE_GUEST};
    }
    (*count)++;
}

static void add_presentations(struct coord_replica *r, const struct ray_id *node,
                              struct coord_lease_pair *out, size_t max, size_t *count)
{
    const struct coord_object *object = coord_fsm_next(r->fsm, COORD_PRESENTATION, NULL);

    while (object != NULL) {
        struct ray_id id = object->id;

        if (ray_id_equal(&object->presentation.node, node) && !object->is_gone) {
            if (*count < max) {
                out[*count] = (struct coord_lease_pair){.id = id,
                                                        .epoch = object->presentation.epoch,
                                                        .origin = RAY_EPOCH_CREATED,
                                                        .kind = COORD_LEASE_PRESENTATION};
            }
            (*count)++;
        }
        object = coord_fsm_next(r->fsm, COORD_PRESENTATION, &id);
    }
}

static int view_pairs(void *arg, const struct ray_id *node, const struct ray_id *incarnation,
                      struct coord_lease_pair *out, size_t max, size_t *out_count)
{
    struct coord_replica *r = arg;
    const struct coord_object *guest = coord_fsm_next_at_home(r->fsm, node, NULL);
    size_t count = 0;

    for (; guest != NULL; guest = coord_fsm_next_at_home(r->fsm, node, guest)) {
        add_guest(guest, incarnation, out, max, &count);
    }
    add_presentations(r, node, out, max, &count);
    if (count > max) {
        return RAY_ETOOBIG;
    }
    *out_count = count;
    return RAY_OK;
}

static uint64_t view_cluster_epoch(void *arg)
{
    const struct coord_object *cluster = coord_fsm_cluster(((struct coord_replica *)arg)->fsm);

    return cluster == NULL ? 0 : cluster->cluster.cluster_epoch;
}

/* After a recovery nobody knows what the lost nodes run. */
static bool view_has_unknown(void *arg)
{
    const struct coord_object *cluster = coord_fsm_cluster(((struct coord_replica *)arg)->fsm);

    return cluster != NULL && cluster->cluster.unknown_count != 0;
}

static void view_timing(void *arg, struct coord_lease_timing *out_current,
                        struct coord_lease_timing *out_maxima)
{
    const struct coord_object *object = coord_fsm_cluster(((struct coord_replica *)arg)->fsm);
    const struct coord_cluster *cluster;

    /* Asked only when something was admitted, so that the cluster is there. */
    assert(object != NULL);
    cluster = &object->cluster;
    *out_current =
        (struct coord_lease_timing){.grant_ns = cluster->timing.grant_ms * RAY_NS_PER_MS,
                                    .margin_ns = cluster->timing.margin_ms * RAY_NS_PER_MS,
                                    .drift_ppm = cluster->timing.drift_ppm};
    *out_maxima = (struct coord_lease_timing){.grant_ns = cluster->grant_ms_max * RAY_NS_PER_MS,
                                              .margin_ns = cluster->margin_ms_max * RAY_NS_PER_MS,
                                              .drift_ppm = cluster->drift_ppm_max};
}

int replica_grants_init(struct coord_replica *r, struct ray_err *err)
{
    struct coord_lease_view view = {.node = view_node,
                                    .pairs = view_pairs,
                                    .cluster_epoch = view_cluster_epoch,
                                    .has_unknown = view_has_unknown,
                                    .timing = view_timing,
                                    .arg = r};

    return coord_lease_book_create(&r->book, &view, err);
}

/* ---- office ---- */

void replica_grants_lead(struct coord_replica *r)
{
    uint64_t now_ns = RAY_MUTANT(REPLICA_ELECTION_LONG_AGO) ? 0 : replica_now_ns(r);

    /* The no-op is the last entry of the log when office begins. */
    r->noop_index = RAY_MUTANT(REPLICA_GRANT_WITHOUT_NOOP) ? 1 : coord_core_last_index(r->core);
    coord_lease_book_begin(r->book, now_ns, r->noop_index);
    r->rider_index = 0;
    r->timing_revision = 0;
    replica_grants_applied(r);
}

void replica_grants_applied(struct coord_replica *r)
{
    const struct coord_object *cluster = coord_fsm_cluster(r->fsm);

    if (r->role != COORD_REPLICA_LEADER) {
        return;
    }
    coord_lease_book_applied(r->book, coord_fsm_index(r->fsm));
    if (cluster != NULL && cluster->cluster.timing_revision != r->timing_revision) {
        r->timing_revision = cluster->cluster.timing_revision;
        coord_lease_book_timing_applied(r->book, replica_now_ns(r));
    }
}

static bool has_strict_guest(struct coord_replica *r)
{
    const struct coord_object *guest = coord_fsm_next(r->fsm, COORD_GUEST, NULL);

    while (guest != NULL && !guest->guest.is_strict) {
        struct ray_id id = guest->id;

        guest = coord_fsm_next(r->fsm, COORD_GUEST, &id);
    }
    return guest != NULL;
}

uint64_t replica_grants_wait_ns(struct coord_replica *r)
{
    struct coord_lease_timing current;
    struct coord_lease_timing maxima;

    view_timing(r, &current, &maxima);
    if (has_strict_guest(r)) {
        maxima.margin_ns += r->config.watchdog_ns;
    }
    return coord_lease_wait_ns(&maxima);
}

bool replica_grants_may_settle(struct coord_replica *r)
{
    const struct coord_object *cluster = coord_fsm_cluster(r->fsm);

    return cluster != NULL && !cluster->cluster.is_settled &&
           coord_lease_book_may_settle(r->book, replica_now_ns(r));
}

/* ---- ends ---- */

static void answer_remote(struct coord_replica *r, const struct replica_request *request,
                          int status, const struct coord_lease_answer *answer)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Renewed renewed = RAYOS__MEMBER__RENEWED__INIT;
    Rayos__Member__Renewed *items[] = {&renewed};

    if (request->peer->epoch != request->epoch) {
        return;
    }
    renewed.number = request->number;
    renewed.code = status;
    ray_arena_reset(&r->request_arena);
    if (status == RAY_OK) {
        const uint8_t *bytes;
        size_t size;

        renewed.code = coord_lease_answer_encode(answer, &r->request_arena, &bytes, &size, NULL);
        if (renewed.code == RAY_OK) {
            renewed.answer = ray_proto_bytes(bytes, size);
        }
    }
    packet.n_renewed = 1;
    packet.renewed = items;
    replica_packet_answer(r, request->peer, &packet);
}

static void finish(struct coord_replica *r, struct replica_request *request, int status,
                   const struct coord_lease_answer *answer)
{
    struct replica_request ended = *request;

    replica_request_free(&r->renewals, request);
    if (ended.is_remote) {
        answer_remote(r, &ended, status, answer);
    } else if (ended.renew_done != NULL) {
        ended.renew_done(ended.arg, status, answer);
    }
}

void replica_grants_deposed(struct coord_replica *r)
{
    struct replica_request *request = replica_request_first(&r->renewals, &r->renewals.appended);

    coord_lease_book_end(r->book);
    while (request != NULL) { /* the turn passes them on, or ends them */
        request->entry_index = 0;
        replica_request_move(&r->renewals, request, REPLICA_REQUEST_QUEUED);
        request = replica_request_first(&r->renewals, &r->renewals.appended);
    }
}

void replica_grants_peer_down(struct coord_replica *r, const struct replica_peer *peer)
{
    for (uint32_t i = 0; i < r->renewals.slot_count; i++) {
        struct replica_request *request = &r->renewals.slots[i];

        if (request->state == REPLICA_REQUEST_FORWARDED && request->to == peer) {
            finish(r, request, RAY_ENOQUORUM, NULL);
        }
    }
}

/* ---- as leader ---- */

/* A commit in this leader's own term, of an entry appended after the arrival, is as good as a
 * probe. The book wants them in the order of the log. */
static struct coord_lease_gate gate_of(struct coord_replica *r,
                                       const struct replica_request *request)
{
    if (request->entry_index > r->rider_index && request->entry_term == coord_core_term(r->core)) {
        r->rider_index = request->entry_index;
        return (struct coord_lease_gate){.entry_index = request->entry_index};
    }
    return (struct coord_lease_gate){.probe = replica_probe(r), .read_index = r->commit_index};
}

static void hand_in(struct coord_replica *r, struct replica_request *request)
{
    struct coord_lease_gate gate = gate_of(r, request);
    enum coord_lease_status refusal = COORD_LEASE_GRANTED;
    struct coord_lease_answer answer;
    int rc =
        coord_lease_book_renew(r->book, replica_now_ns(r), &request->renew, &gate, &refusal, NULL);

    if (rc == RAY_OK) {
        replica_request_move(&r->renewals, request, REPLICA_REQUEST_APPENDED);
    } else if (rc == RAY_EDENIED) {
        answer = coord_lease_book_refusal(r->book, &request->renew, refusal);
        finish(r, request, RAY_OK, &answer);
    } else {
        finish(r, request, rc == RAY_EUNAVAILABLE ? RAY_EAGAIN : rc, NULL);
    }
}

static bool is_answer_to(const struct coord_lease_answer *answer,
                         const struct coord_lease_renew *renew)
{
    return answer->t_send_ns == renew->t_send_ns && ray_id_equal(&answer->node, &renew->node) &&
           ray_id_equal(&answer->incarnation, &renew->incarnation);
}

static void give_answers(struct coord_replica *r)
{
    uint64_t confirmed = RAY_MUTANT(REPLICA_GRANT_WITHOUT_PROBE) ? r->probes.begun_number
                                                                 : r->probes.confirmed_number;
    struct coord_lease_answer answer;

    while (coord_lease_book_next_answer(r->book, confirmed, &answer)) {
        struct replica_request *request =
            replica_request_first(&r->renewals, &r->renewals.appended);

        if (r->user.on_renewed != NULL) {
            r->user.on_renewed(r->user.arg, &answer);
        }
        while (request != NULL && !is_answer_to(&answer, &request->renew)) {
            request = replica_request_after(&r->renewals, request);
        }
        if (request != NULL) {
            finish(r, request, RAY_OK, &answer);
        }
    }
}

/* ---- as another member ---- */

static void pass_on(struct coord_replica *r, struct replica_peer *leader,
                    struct replica_request *request)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Renew item = RAYOS__MEMBER__RENEW__INIT;
    Rayos__Member__Renew *items[] = {&item};
    const uint8_t *bytes;
    size_t size;

    ray_arena_reset(&r->request_arena);
    if (coord_lease_renew_encode(&request->renew, &r->request_arena, &bytes, &size, NULL) !=
        RAY_OK) {
        finish(r, request, RAY_ENOMEM, NULL);
        return;
    }
    item.number = replica_request_ticket(&r->renewals, request);
    item.renew = ray_proto_bytes(bytes, size);
    item.is_relayed = request->is_remote;
    packet.n_renewals = 1;
    packet.renewals = items;
    if (replica_packet_add(r, leader, &packet) != RAY_OK) {
        finish(r, request, RAY_ENOQUORUM, NULL);
        return;
    }
    request->to = leader;
    request->to_epoch = leader->epoch;
    replica_request_move(&r->renewals, request, REPLICA_REQUEST_FORWARDED);
}

/* In the same message as its command, which went before it in the turn. */
void replica_grants_ride(struct coord_replica *r, uint64_t ticket, struct replica_peer *leader,
                         Rayos__Member__Propose *propose)
{
    struct replica_request *request = ticket == 0 ? NULL : replica_request_of(&r->renewals, ticket);
    const uint8_t *bytes;
    size_t size;

    if (request == NULL || request->state != REPLICA_REQUEST_QUEUED || request->is_remote) {
        return; /* it went alone */
    }
    ray_arena_reset(&r->request_arena);
    if (coord_lease_renew_encode(&request->renew, &r->request_arena, &bytes, &size, NULL) !=
        RAY_OK) {
        return;
    }
    propose->renew = ray_proto_bytes(bytes, size);
    propose->renew_number = replica_request_ticket(&r->renewals, request);
    request->to = leader;
    request->to_epoch = leader->epoch;
    replica_request_move(&r->renewals, request, REPLICA_REQUEST_FORWARDED);
}

void replica_grants_stay(struct coord_replica *r, uint64_t ticket)
{
    struct replica_request *request = ticket == 0 ? NULL : replica_request_of(&r->renewals, ticket);

    if (request != NULL && request->state == REPLICA_REQUEST_FORWARDED) {
        replica_request_move(&r->renewals, request, REPLICA_REQUEST_QUEUED);
    }
}

void replica_grants_appended(struct coord_replica *r, uint64_t ticket, uint64_t index,
                             uint64_t term)
{
    struct replica_request *request = ticket == 0 ? NULL : replica_request_of(&r->renewals, ticket);

    if (request != NULL && request->state == REPLICA_REQUEST_QUEUED) {
        request->entry_index = index;
        request->entry_term = term;
    }
}

void coord_replica_carry(struct coord_replica *r, uint64_t proposal, uint64_t renewal)
{
    struct replica_request *command = replica_request_of(&r->proposals, proposal);

    if (command != NULL && command->state == REPLICA_REQUEST_QUEUED) {
        command->rider = renewal & ~REPLICA_TICKET_RENEW;
    }
}

static bool is_member(const struct coord_replica *r, const struct replica_peer *peer)
{
    const struct coord_object *node = coord_fsm_find(replica_state(r), COORD_NODE, &peer->node);

    return node != NULL && node->node.role != COORD_NODE_OBSERVER;
}

/* The leader; outside of the configuration, where the leader may be out of reach, the member that
 * was heard last. */
static struct replica_peer *whom_to_ask(struct coord_replica *r)
{
    struct replica_peer *best = replica_leader_peer(r);

    if (best != NULL || r->role != COORD_REPLICA_WAITING) {
        return best;
    }
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        if (peer->epoch != 0 && replica_standing_is_heard(peer) && is_member(r, peer) &&
            (best == NULL || peer->heard_ns > best->heard_ns)) {
            best = peer;
        }
    }
    return best;
}

/* Ours, and what a node outside of the configuration gave us: one hop more, never two. */
static bool may_pass_on(const struct coord_replica *r, const struct replica_request *request)
{
    return !request->is_remote || (!request->is_relayed && r->role != COORD_REPLICA_WAITING);
}

/* A leader judges by all that is committed: a node that has seen its own admission must not be
 * taken for a duplicate by one that has not. A renewal never waits for a leader: its time of
 * sending would only grow older. */
void replica_grants_turn(struct coord_replica *r)
{
    struct replica_request *request = replica_request_first(&r->renewals, &r->renewals.queued);
    struct replica_peer *leader = r->renewals.queued.count == 0 ? NULL : whom_to_ask(r);

    r->renewals.seen_count = r->renewals.arrived_count;
    if (r->role == COORD_REPLICA_LEADER && replica_can_apply(r)) {
        return; /* the next turn comes at once */
    }
    for (size_t count = r->renewals.queued.count; request != NULL && count > 0; count--) {
        if (r->role == COORD_REPLICA_LEADER && coord_fsm_cluster(r->fsm) == NULL) {
            finish(r, request, RAY_EAGAIN, NULL); /* nobody is a member as far as it goes */
        } else if (r->role == COORD_REPLICA_LEADER) {
            hand_in(r, request);
        } else if (leader != NULL && leader != request->peer && may_pass_on(r, request)) {
            pass_on(r, leader, request);
        } else {
            finish(r, request, RAY_ENOQUORUM, NULL);
        }
        request = replica_request_first(&r->renewals, &r->renewals.queued);
    }
    if (r->role == COORD_REPLICA_LEADER) {
        give_answers(r);
    }
}

void replica_grants_answered(struct coord_replica *r, struct replica_peer *peer,
                             const Rayos__Member__Renewed *renewed)
{
    struct replica_request *request = replica_request_of(&r->renewals, renewed->number);
    struct coord_lease_answer answer;

    if (request == NULL || request->state != REPLICA_REQUEST_FORWARDED || request->to != peer ||
        request->to_epoch != peer->epoch) {
        return;
    }
    if (renewed->code != RAY_OK) {
        finish(r, request, RAY_ENOQUORUM, NULL);
        return;
    }
    /* Behind the message that it is from: the callback may make requests, with the other arena. */
    if (coord_lease_answer_decode(renewed->answer.data, renewed->answer.len, &r->arena, &answer,
                                  NULL) != RAY_OK) {
        finish(r, request, RAY_EMALFORMED, NULL);
        return;
    }
    finish(r, request, RAY_OK, &answer);
}

/* ---- beginnings ---- */

/* A renewal of an incarnation that is not admitted is refused, or worse: taken for a duplicate. */
static int check_renewal(struct coord_replica *r, const struct coord_lease_renew *renew,
                         struct ray_err *err)
{
    struct ray_id incarnation;

    if (!replica_is_running(r)) {
        return ray_fail(err, RAY_EUNAVAILABLE, "this member takes no part");
    }
    if (RAY_MUTANT(GUEST_EARLY_RENEWAL)) {
        return RAY_OK;
    }
    if (!find_member(replica_state(r), &renew->node, &incarnation) ||
        !ray_id_equal(&incarnation, &renew->incarnation)) {
        return ray_fail(err, RAY_EAGAIN, "this incarnation is not admitted yet");
    }
    return RAY_OK;
}

int coord_replica_renew(struct coord_replica *r, const struct coord_lease_renew *renew,
                        uint64_t deadline_ns, coord_replica_renew_done *done, void *arg,
                        uint64_t *out_ticket, struct ray_err *err)
{
    uint64_t ticket;
    struct replica_request *request;
    int rc = check_renewal(r, renew, err);

    if (rc != RAY_OK) {
        return rc;
    }
    request = replica_request_new(&r->renewals, &ticket);
    if (request == NULL) {
        return ray_fail(err, RAY_EAGAIN, "%u renewals wait already", r->renewals.slot_count);
    }
    request->renew = *renew;
    request->deadline_ns = deadline_ns;
    request->renew_done = done;
    request->arg = arg;
    if (deadline_ns < r->renewals.deadline_ns) {
        r->renewals.deadline_ns = deadline_ns;
    }
    if (out_ticket != NULL) {
        *out_ticket = ticket | REPLICA_TICKET_RENEW;
    }
    return RAY_OK;
}

/* A node speaks for itself; for another only who is in the configuration. */
static bool may_renew(const struct coord_replica *r, const struct replica_peer *peer,
                      const Rayos__Member__Renew *item, const struct coord_lease_renew *renew)
{
    if (item->is_relayed) {
        return r->core != NULL &&
               coord_config_find(coord_core_configuration(r->core), peer->server_id) != NULL;
    }
    return ray_id_equal(&renew->node, &peer->node);
}

/* Its ticket; 0: it is answered already. */
static uint64_t take_remote(struct coord_replica *r, struct replica_peer *peer,
                            const Rayos__Member__Renew *item)
{
    struct replica_request refused = {
        .peer = peer, .epoch = peer->epoch, .number = item->number, .is_remote = true};
    struct replica_request *request;
    struct coord_lease_renew renew;
    uint64_t ticket;

    ray_arena_reset(&r->request_arena);
    if (coord_lease_renew_decode(item->renew.data, item->renew.len, &r->request_arena, &renew,
                                 NULL) != RAY_OK) {
        answer_remote(r, &refused, RAY_EMALFORMED, NULL);
        return 0;
    }
    if (!may_renew(r, peer, item, &renew)) {
        answer_remote(r, &refused, RAY_EDENIED, NULL);
        return 0;
    }
    request = replica_is_running(r) ? replica_request_new(&r->renewals, &ticket) : NULL;
    if (request == NULL) {
        answer_remote(r, &refused, RAY_EAGAIN, NULL);
        return 0;
    }
    request->is_relayed = item->is_relayed;
    request->renew = renew;
    request->is_remote = true;
    request->peer = peer;
    request->epoch = peer->epoch;
    request->number = item->number;
    request->deadline_ns = replica_now_ns(r) + REPLICA_RENEW_MS * RAY_NS_PER_MS;
    if (request->deadline_ns < r->renewals.deadline_ns) {
        r->renewals.deadline_ns = request->deadline_ns;
    }
    return ticket;
}

void replica_grants_remote(struct coord_replica *r, struct replica_peer *peer,
                           const Rayos__Member__Renew *item)
{
    (void)take_remote(r, peer, item);
}

uint64_t replica_grants_rider(struct coord_replica *r, struct replica_peer *peer,
                              const Rayos__Member__Propose *propose)
{
    Rayos__Member__Renew item = RAYOS__MEMBER__RENEW__INIT;

    if (propose->renew.len == 0) {
        return 0;
    }
    item.number = propose->renew_number;
    item.renew = propose->renew;
    return take_remote(r, peer, &item);
}

static void end_unanswered(struct coord_replica *r, struct replica_request *request)
{
    finish(r, request, RAY_ENOQUORUM, NULL);
}

static void end_canceled(struct coord_replica *r, struct replica_request *request)
{
    finish(r, request, RAY_ECANCELED, NULL);
}

void replica_grants_expire(struct coord_replica *r, uint64_t now_ns)
{
    replica_requests_expire(r, &r->renewals, now_ns, end_unanswered);
}

void replica_grants_cancel_all(struct coord_replica *r)
{
    replica_requests_end(r, &r->renewals, end_canceled);
}

void replica_grants_stop(struct coord_replica *r)
{
    coord_lease_book_end(r->book);
    replica_requests_end(r, &r->renewals, end_unanswered);
}

/* ---- commands that the book has to know of ---- */

static bool is_removed(struct coord_replica *r, const struct ray_id *id)
{
    const struct coord_object *node = coord_fsm_find(r->fsm, COORD_NODE, id);

    return node == NULL || node->node.state == COORD_NODE_REMOVED;
}

static bool has_booted_again(struct coord_replica *r, const struct coord_home *home)
{
    const struct coord_object *node = coord_fsm_find(r->fsm, COORD_NODE, &home->node);

    return node != NULL && !ray_id_equal(&node->node.incarnation, &home->incarnation);
}

static int check_death(struct coord_replica *r, const struct coord_object *guest,
                       struct ray_epoch expected, struct ray_err *err)
{
    struct coord_lease_silence silence;
    uint64_t extra_ns = guest->guest.is_strict ? r->config.watchdog_ns : 0;

    /* Whoever proposes may have applied more than this leader: the home of a newer epoch is not
     * the one that is judged here. */
    if (!ray_epoch_equal(expected, guest->guest.epoch)) {
        return ray_fail(err, RAY_ECONFLICT, "guest %s is at another epoch", guest->name);
    }
    if (ray_id_is_none(&guest->guest.home.node) ||
        (RAY_MUTANT(REPLICA_REMOVED_SILENT) && is_removed(r, &guest->guest.home.node)) ||
        (RAY_MUTANT(REPLICA_REBOOT_SILENT) && has_booted_again(r, &guest->guest.home)) ||
        coord_lease_book_may_take_over(r->book, replica_now_ns(r), &guest->guest.home.incarnation,
                                       guest->guest.epoch, extra_ns, &silence)) {
        return RAY_OK;
    }
    (void)ray_fail(err, RAY_EAGAIN,
                   "guest %s may still run at its home: silent for %llu of %llu ms", guest->name,
                   (unsigned long long)(silence.silent_ns / RAY_NS_PER_MS),
                   (unsigned long long)(silence.wait_ns / RAY_NS_PER_MS));
    return ray_next(err, "wait, or stop it at its home");
}

static bool was_heard_within(struct coord_replica *r, const struct ray_id *node, uint64_t span_ns)
{
    const struct replica_peer *peer = replica_peer_find(r, node);

    return peer != NULL && peer->heard_ns != 0 && replica_now_ns(r) - peer->heard_ns <= span_ns;
}

/* Nobody takes the place of a node that runs. By a token alone, which nobody looks at any more,
 * only that of one which was silent so long that nothing there can run. */
static int check_silent(struct coord_replica *r, const struct replica_request *request,
                        struct ray_err *err)
{
    const struct coord_object *node = coord_fsm_find(r->fsm, COORD_NODE, &request->subject_id);
    struct ray_epoch now = {.cluster = view_cluster_epoch(r)};
    struct coord_lease_silence silence;
    bool is_silent;

    if (node == NULL) {
        return RAY_OK; /* the state machine refuses it */
    }
    if (replica_is_heard(r, node)) {
        (void)ray_fail(err, RAY_ECONFLICT,
                       "node %s runs, the leader hears it: it is not replaced by another of that "
                       "name",
                       node->name);
        (void)ray_next(err, "switch it off first");
        return RAY_ECONFLICT;
    }
    is_silent = coord_lease_book_may_take_over(r->book, replica_now_ns(r), &node->node.incarnation,
                                               now, 0, &silence) &&
                !was_heard_within(r, &node->id, silence.wait_ns);
    if (request->subject == REPLICA_SUBJECT_SUCCESSION && !is_silent) {
        (void)ray_fail(err, RAY_ECONFLICT,
                       "node %s may still run: the leader has not missed it for %llu ms yet",
                       node->name, (unsigned long long)(silence.wait_ns / RAY_NS_PER_MS));
        (void)ray_next(err, "wait; the other is let in then");
        return RAY_ECONFLICT;
    }
    return RAY_OK;
}

static int before_removal(struct coord_replica *r, const struct replica_request *request,
                          uint64_t index, struct ray_err *err)
{
    int rc = request->subject == REPLICA_SUBJECT_REMOVAL ? RAY_OK : check_silent(r, request, err);

    return rc == RAY_OK
               ? coord_lease_book_removal_appended(r->book, &request->subject_id, index, err)
               : rc;
}

int replica_grants_before_append(struct coord_replica *r, const struct replica_request *request,
                                 uint64_t index, struct ray_err *err)
{
    const struct coord_object *guest;
    int rc = RAY_OK;

    if (request->subject == REPLICA_SUBJECT_NONE) {
        return RAY_OK;
    }
    if (request->subject == REPLICA_SUBJECT_REMOVAL ||
        request->subject == REPLICA_SUBJECT_SUCCESSION ||
        request->subject == REPLICA_SUBJECT_APPROVAL) {
        return before_removal(r, request, index, err);
    }
    if (coord_fsm_index(r->fsm) < r->noop_index) {
        return ray_fail(err, RAY_EAGAIN, "this leader has just been elected");
    }
    guest = coord_fsm_find(r->fsm, COORD_GUEST, &request->subject_id);
    if (request->subject == REPLICA_SUBJECT_DEATH && guest != NULL &&
        !RAY_MUTANT(REPLICA_DEATH_AT_ONCE)) {
        rc = check_death(r, guest, request->subject_epoch, err);
    }
    if (RAY_MUTANT(REPLICA_GRANT_PENDING)) {
        return rc;
    }
    return rc == RAY_OK
               ? coord_lease_book_outcome_appended(r->book, &request->subject_id, index, err)
               : rc;
}
