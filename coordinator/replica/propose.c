/* propose.c - commands on their way into the log, and their results on the way back.
 *
 * A command waits (QUEUED) until the turn; a leader appends all that wait as one batch, another
 * member hands them to the leader (one hop, never two). When the leader is lost, a command that
 * a session protects waits again: the state machine runs it once. One without a session is
 * repeated only when it is certain that it was not appended. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/varint.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"
#include "net/proto/registry.pb-c.h"
#include "net/proto_codec.h"

enum {
    STAMP_SIZE_MAX = 16,
    TIME_SIZE = RAY_VARINT_SIZE_MAX, /* room for every time */
    TAG_HEADER = 1 << 3 | 2,         /* Command.header */
    TAG_TIME = 6 << 3 | 0,           /* Header.time_us */
    BATCH_SIZE_MAX = 1 << 20,
};

static void free_request(struct coord_replica *r, struct replica_request *request)
{
    replica_request_free(&r->proposals, request);
}

/* ---- ends ---- */

static void answer_remote(struct coord_replica *r, const struct replica_request *request,
                          int status, const struct coord_fsm_result *result)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Proposed proposed = RAYOS__MEMBER__PROPOSED__INIT;
    Rayos__Member__Proposed *items[] = {&proposed};
    struct ray_buf bytes;

    if (request->peer->epoch != request->epoch) {
        return; /* its question is gone with the link */
    }
    ray_buf_init(&bytes, REPLICA_PACKET_SIZE_MAX / 2);
    proposed.number = request->number;
    proposed.code = status;
    if (status == RAY_OK) {
        proposed.code = coord_fsm_result_pack(result, &bytes, NULL);
        proposed.result = ray_proto_bytes(bytes.data, bytes.size);
    }
    packet.n_proposed = 1;
    packet.proposed = items;
    replica_packet_answer(r, request->peer, &packet);
    ray_buf_fini(&bytes);
}

static void finish(struct coord_replica *r, struct replica_request *request, int status,
                   const struct coord_fsm_result *result)
{
    struct replica_request ended = *request;
    struct coord_fsm_result heard;

    request->command = NULL;
    free_request(r, request);
    free(ended.command);
    if (result != NULL && ended.was_lost) { /* the retry was ours: it is news to who asked */
        heard = *result;
        heard.is_retry = false;
        result = &heard;
    }
    if (ended.is_remote) {
        answer_remote(r, &ended, status, result);
    } else if (ended.done != NULL) {
        ended.done(ended.arg, status, result);
    }
}

/* It was not appended, or a session makes a second time harmless. */
static void try_again(struct coord_replica *r, struct replica_request *request)
{
    if (request->is_remote) {
        finish(r, request, RAY_EUNAVAILABLE, NULL);
        return;
    }
    request->peer = NULL;
    replica_request_move(&r->proposals, request, REPLICA_REQUEST_QUEUED);
}

/* It may or may not be in a log that lives on. */
static void lose(struct coord_replica *r, struct replica_request *request)
{
    request->was_lost = true;
    if (request->has_session || RAY_MUTANT(REPLICA_RETRY_WITHOUT_SESSION)) {
        try_again(r, request);
    } else {
        finish(r, request, RAY_EUNAVAILABLE, NULL);
    }
}

/* ---- what a command says ---- */

static void look_at_outcome(const Rayos__Registry__Outcome *outcome,
                            struct replica_request *request)
{
    if (ray_id_from_bytes(outcome->guest.data, outcome->guest.len, &request->subject_id, NULL) !=
        RAY_OK) {
        return; /* the state machine refuses it */
    }
    if (outcome->expected_epoch != NULL) {
        request->subject_epoch =
            (struct ray_epoch){outcome->expected_epoch->cluster, outcome->expected_epoch->index};
    }
    request->subject = outcome->entry == RAYOS__REGISTRY__ORIGIN__ORIGIN_DEATH
                           ? REPLICA_SUBJECT_DEATH
                           : REPLICA_SUBJECT_OUTCOME;
}

static void look_at_node(const ProtobufCBinaryData *node, enum replica_subject subject,
                         struct replica_request *request)
{
    if (ray_id_from_bytes(node->data, node->len, &request->subject_id, NULL) == RAY_OK) {
        request->subject = subject;
    }
}

/* Whether a session protects it, and whom it takes something away from. */
static void look_at(const Rayos__Registry__Command *command, struct replica_request *request)
{
    /* To open or keep a session twice is to do it once. */
    request->has_session = (command->header != NULL && command->header->session.len > 0) ||
                           command->body_case == RAYOS__REGISTRY__COMMAND__BODY_SESSION_OPEN ||
                           command->body_case == RAYOS__REGISTRY__COMMAND__BODY_SESSION_KEEP;
    if (command->body_case == RAYOS__REGISTRY__COMMAND__BODY_OUTCOME) {
        look_at_outcome(command->outcome, request);
    } else if (command->body_case == RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE &&
               command->node_remove->is_forced) {
        look_at_node(&command->node_remove->node, REPLICA_SUBJECT_REMOVAL, request);
    } else if (command->body_case == RAYOS__REGISTRY__COMMAND__BODY_NODE_JOIN) {
        look_at_node(&command->node_join->replaces, REPLICA_SUBJECT_SUCCESSION, request);
    } else if (command->body_case == RAYOS__REGISTRY__COMMAND__BODY_NODE_APPROVE) {
        look_at_node(&command->node_approve->replaces, REPLICA_SUBJECT_APPROVAL, request);
    }
}

/* The length of the header that a command begins with, and of the field's own head. False: it
 * begins with something else. */
static bool find_header(const uint8_t *command, size_t size, size_t *out_head_size,
                        size_t *out_header_size)
{
    uint64_t length = 0;
    size_t used;

    if (size == 0 || command[0] != TAG_HEADER) {
        return false;
    }
    used = ray_varint_take_short(command + 1, size - 1, RAY_VARINT_HEAD_SIZE_MAX, &length);
    if (used == 0 || length > size - 1 - used) {
        return false;
    }
    *out_head_size = 1 + used;
    *out_header_size = (size_t)length;
    return true;
}

/* Copies the command with room for Header.time_us at its header's end, where the last of equal
 * fields counts; a leader fills it in when it appends. */
static int copy_command(struct replica_request *request, const uint8_t *command, size_t size)
{
    size_t head_size;
    size_t header_size;
    uint8_t *out;

    if (!find_header(command, size, &head_size, &header_size)) {
        return RAY_EMALFORMED;
    }
    out = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(size + STAMP_SIZE_MAX);
    if (out == NULL) {
        return RAY_ENOMEM;
    }
    request->command = out;
    *out++ = TAG_HEADER;
    out = ray_varint_put(out, header_size + 1 + TIME_SIZE);
    memcpy(out, command + head_size, header_size);
    out += header_size;
    *out++ = TAG_TIME;
    request->time_offset = (size_t)(out - request->command);
    out = ray_varint_put_padded(out, 0, TIME_SIZE);
    memcpy(out, command + head_size + header_size, size - head_size - header_size);
    out += size - head_size - header_size;
    request->size = (size_t)(out - request->command);
    return RAY_OK;
}

/* ---- into the log ---- */

/* false: the book of grants says that it may not be appended now; it is answered. */
static bool may_append(struct coord_replica *r, struct replica_request *request, uint64_t index)
{
    struct coord_fsm_result result;
    struct ray_err err = {0};
    int rc = replica_grants_before_append(r, request, index, &err);

    if (rc == RAY_OK) {
        return true;
    }
    result = (struct coord_fsm_result){.code = rc, .text = err.text, .next_step = err.next_step};
    finish(r, request, RAY_OK, &result);
    return false;
}

/* What a leader had to say is nothing that the next one says for him: his clock is not its clock.
 */
static bool is_of_a_past_office(const struct coord_replica *r,
                                const struct replica_request *request)
{
    bool is_in_office =
        r->role == COORD_REPLICA_LEADER && request->office_term == coord_core_term(r->core);

    return request->office_term != 0 && !is_in_office && !RAY_MUTANT(REPLICA_FORWARD_OFFICE);
}

static void end_past_offices(struct coord_replica *r)
{
    struct replica_request *request = replica_request_first(&r->proposals, &r->proposals.queued);

    while (request != NULL) {
        struct replica_request *next = replica_request_after(&r->proposals, request);

        if (is_of_a_past_office(r, request)) {
            finish(r, request, RAY_ECANCELED, NULL); /* nobody waits for it */
        }
        request = next;
    }
}

/* Takes the front of the queue into one batch; returns its length. */
static size_t gather(struct coord_replica *r, struct coord_entry *entries, uint32_t *slots)
{
    uint64_t now_us = r->world.env->realtime_us(r->world.env->arg);
    uint64_t index = coord_core_last_index(r->core) + 1;
    uint32_t slot = r->proposals.queued.first;
    size_t count = 0;
    size_t size = 0;

    while (slot != REPLICA_NO_SLOT && count < COORD_CORE_SUBMIT_MAX && size < BATCH_SIZE_MAX) {
        struct replica_request *request = &r->proposals.slots[slot];
        uint32_t next = request->next;

        if (may_append(r, request, index + count)) {
            (void)ray_varint_put_padded(request->command + request->time_offset, now_us, TIME_SIZE);
            entries[count] = (struct coord_entry){.type = COORD_ENTRY_COMMAND,
                                                  .size = (uint32_t)request->size,
                                                  .data = request->command};
            slots[count] = slot;
            count++;
            size += request->size;
        }
        slot = next;
    }
    return count;
}

/* false: no more can be appended now. */
static bool append_batch(struct coord_replica *r)
{
    struct coord_entry *entries = r->submit_entries;
    size_t count = gather(r, entries, r->submit_slots);
    struct coord_core_out out;
    struct ray_err err = {0};
    uint64_t first = 0;
    uint64_t term = coord_core_term(r->core);
    int rc;

    if (count == 0) {
        return false;
    }
    rc = coord_core_submit(r->core, replica_now_ms(r), entries, count, &first, &out, &err);
    if (rc == RAY_OK) {
        for (size_t i = 0; i < count; i++) {
            struct replica_request *request = &r->proposals.slots[r->submit_slots[i]];

            request->index = first + i;
            request->term = term;
            replica_grants_appended(r, request->rider, request->index, term);
            request->rider = 0;
            replica_request_move(&r->proposals, request, REPLICA_REQUEST_APPENDED);
        }
    }
    return replica_drive(r, rc, &out, &err) && rc == RAY_OK;
}

static void refuse_all(struct coord_replica *r, int status)
{
    struct replica_request *request = replica_request_first(&r->proposals, &r->proposals.queued);
    size_t count = r->proposals.queued.count;

    /* Callbacks may add new ones behind: those wait for the next turn. */
    for (; request != NULL && count > 0; count--) {
        struct replica_request *next = replica_request_after(&r->proposals, request);
        uint32_t next_slot = next == NULL ? REPLICA_NO_SLOT : (uint32_t)(next - r->proposals.slots);

        finish(r, request, status, NULL);
        request = next_slot == REPLICA_NO_SLOT ? NULL : &r->proposals.slots[next_slot];
    }
}

/* Those of peers that came to the wrong member. */
static void refuse_remote(struct coord_replica *r)
{
    struct replica_request *request = replica_request_first(&r->proposals, &r->proposals.queued);

    while (request != NULL) {
        struct replica_request *next = replica_request_after(&r->proposals, request);

        if (request->is_remote) {
            finish(r, request, RAY_EAGAIN, NULL);
        }
        request = next;
    }
}

static bool forward(struct coord_replica *r, struct replica_peer *leader,
                    struct replica_request *request)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Propose propose = RAYOS__MEMBER__PROPOSE__INIT;
    Rayos__Member__Propose *items[] = {&propose};

    propose.number = replica_request_ticket(&r->proposals, request);
    propose.command = ray_proto_bytes(request->command, request->size);
    packet.n_proposals = 1;
    packet.proposals = items;
    replica_grants_ride(r, request->rider, leader, &propose);
    if (replica_packet_add(r, leader, &packet) != RAY_OK) {
        replica_grants_stay(r, request->rider);
        return false;
    }
    request->rider = 0; /* with the first attempt alone: later its time of sending is old */
    request->peer = leader;
    request->epoch = leader->epoch;
    request->was_tried = true;
    replica_request_move(&r->proposals, request, REPLICA_REQUEST_FORWARDED);
    return true;
}

static void forward_all(struct coord_replica *r, struct replica_peer *leader)
{
    struct replica_request *request = replica_request_first(&r->proposals, &r->proposals.queued);

    while (request != NULL) {
        struct replica_request *next = replica_request_after(&r->proposals, request);

        if (!forward(r, leader, request)) {
            return;
        }
        request = next;
    }
}

void replica_propose_turn(struct coord_replica *r)
{
    struct replica_peer *leader;

    r->proposals.seen_count = r->proposals.arrived_count;
    if (r->proposals.queued.count == 0) {
        return;
    }
    end_past_offices(r);
    if (r->role == COORD_REPLICA_LEADER && r->is_full) {
        refuse_all(r, RAY_ENOSPC);
        return;
    }
    if (r->role == COORD_REPLICA_LEADER && !coord_core_is_transferring(r->core)) {
        while (replica_is_running(r) && append_batch(r)) {
        }
        return;
    }
    refuse_remote(r);
    leader = replica_leader_peer(r);
    if (leader != NULL && replica_now_ns(r) >= r->retry_ns) {
        forward_all(r, leader);
    }
}

/* ---- results ---- */

/* Appended in leaderships that were lost: their index decides. */
static void settle_orphans(struct coord_replica *r, uint64_t index, uint64_t term,
                           const struct coord_fsm_result *result)
{
    struct replica_request *request = replica_request_first(&r->proposals, &r->proposals.orphaned);

    while (request != NULL) {
        struct replica_request *next = replica_request_after(&r->proposals, request);
        uint32_t next_slot = next == NULL ? REPLICA_NO_SLOT : (uint32_t)(next - r->proposals.slots);

        if (request->index == index) {
            if (request->term == term) {
                finish(r, request, RAY_OK, result);
            } else {
                try_again(r, request); /* another entry has its place: it never ran */
            }
        }
        request = next_slot == REPLICA_NO_SLOT ? NULL : &r->proposals.slots[next_slot];
    }
}

void replica_propose_applied(struct coord_replica *r, uint64_t index, uint64_t term,
                             const struct coord_fsm_result *result)
{
    struct replica_request *request = replica_request_first(&r->proposals, &r->proposals.appended);

    if (request != NULL && request->index <= index) {
        assert(request->index == index);
        if (request->term == term) {
            finish(r, request, RAY_OK, result);
        } else {
            lose(r, request);
        }
    }
    settle_orphans(r, index, term, result);
}

void replica_propose_deposed(struct coord_replica *r)
{
    struct replica_request *request = replica_request_first(&r->proposals, &r->proposals.appended);

    while (request != NULL) {
        request->was_tried = true; /* what is in our log may yet be committed */
        request->was_lost = true;
        if (request->has_session) {
            try_again(r, request);
        } else {
            replica_request_orphan(&r->proposals, request);
        }
        request = replica_request_first(&r->proposals, &r->proposals.appended);
    }
}

void replica_propose_peer_down(struct coord_replica *r, const struct replica_peer *peer)
{
    struct replica_request *request = replica_request_first(&r->proposals, &r->proposals.forwarded);

    while (request != NULL) {
        struct replica_request *next = replica_request_after(&r->proposals, request);
        uint32_t next_slot = next == NULL ? REPLICA_NO_SLOT : (uint32_t)(next - r->proposals.slots);

        if (request->peer == peer) {
            lose(r, request);
        }
        request = next_slot == REPLICA_NO_SLOT ? NULL : &r->proposals.slots[next_slot];
    }
}

/* The leader is another than it was. Who led may be cut off without its link having ended: what a
 * session protects goes to the new one; for the rest its word is waited for. */
void replica_propose_leader_changed(struct coord_replica *r)
{
    const struct replica_peer *leader = replica_leader_peer(r);
    struct replica_request *request = replica_request_first(&r->proposals, &r->proposals.forwarded);

    while (request != NULL) {
        struct replica_request *next = replica_request_after(&r->proposals, request);

        if (request->peer != leader && request->has_session) {
            request->was_lost = true;
            try_again(r, request);
        }
        request = next;
    }
}

/* Of the leader that was asked. `result` is what it packed. */
static void finish_with(struct coord_replica *r, struct replica_request *request,
                        const Rayos__Registry__Result *answer)
{
    struct coord_fsm_result result = {.code = answer->code,
                                      .text = answer->text,
                                      .next_step = answer->next_step,
                                      .revision = answer->revision,
                                      .body = answer->body.data,
                                      .body_size = answer->body.len,
                                      .is_retry = answer->is_retry};

    finish(r, request, RAY_OK, &result);
}

void replica_propose_answered(struct coord_replica *r, struct replica_peer *peer,
                              const Rayos__Member__Proposed *proposed)
{
    struct replica_request *request = replica_request_of(&r->proposals, proposed->number);
    const Rayos__Registry__Result *result;
    ProtobufCMessage *answer = NULL;

    if (request == NULL || request->state != REPLICA_REQUEST_FORWARDED || request->peer != peer ||
        request->epoch != peer->epoch) {
        return;
    }
    if (proposed->code == RAY_EAGAIN) { /* it was not appended there */
        r->retry_ns = replica_now_ns(r) + REPLICA_RETRY_MS * RAY_NS_PER_MS;
        try_again(r, request);
        return;
    }
    /* It was, and its leader lost its office, or stops; or it says nothing that is known. */
    if (proposed->code == RAY_EUNAVAILABLE || proposed->code == RAY_ECANCELED ||
        ray_err_checked(proposed->code) != proposed->code) {
        lose(r, request);
        return;
    }
    if (proposed->code != RAY_OK) {
        finish(r, request, proposed->code, NULL);
        return;
    }
    if (ray_proto_unpack(&rayos__registry__result__descriptor, proposed->result.data,
                         proposed->result.len, &r->arena, &answer, NULL) != RAY_OK) {
        lose(r, request);
        return;
    }
    result = (const Rayos__Registry__Result *)answer;
    if (ray_err_checked(result->code) != result->code) {
        lose(r, request);
        return;
    }
    finish_with(r, request, result);
}

/* ---- beginnings ---- */

static int take(struct coord_replica *r, const uint8_t *command, size_t size,
                struct replica_request **out_request, uint64_t *out_ticket)
{
    struct replica_request *request = replica_request_new(&r->proposals, out_ticket);
    int rc;

    if (request == NULL) {
        return RAY_EAGAIN;
    }
    request->deadline_ns = UINT64_MAX;
    rc = copy_command(request, command, size);
    if (rc != RAY_OK) {
        free_request(r, request);
        return rc;
    }
    *out_request = request;
    return RAY_OK;
}

static int check_size(size_t size, struct ray_err *err)
{
    if (size > COORD_FSM_COMMAND_SIZE_MAX - STAMP_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "a command of %zu bytes, at most %d", size,
                        COORD_FSM_COMMAND_SIZE_MAX - STAMP_SIZE_MAX);
    }
    return RAY_OK;
}

int coord_replica_propose(struct coord_replica *r, const uint8_t *command, size_t size,
                          uint64_t deadline_ns, coord_replica_done *done, void *arg,
                          uint64_t *out_ticket, struct ray_err *err)
{
    const Rayos__Registry__Command *opened = NULL;
    struct replica_request *request = NULL;
    uint64_t ticket;
    int rc = check_size(size, err);

    if (rc == RAY_OK) {
        ray_arena_reset(&r->request_arena);
        rc = coord_fsm_open(command, size, &r->request_arena, &opened, err);
    }
    if (rc == RAY_OK && !replica_is_running(r)) {
        rc = ray_fail(err, RAY_EUNAVAILABLE, "this member takes no part");
    }
    /* The level here is at most the leader's, and never falls. */
    if (rc == RAY_OK) {
        rc = coord_fsm_has_command(replica_state(r), opened, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    rc = take(r, command, size, &request, &ticket);
    if (rc != RAY_OK) {
        return ray_fail(err, rc, "a command of %zu bytes, %u wait already", size,
                        r->proposals.slot_count);
    }
    look_at(opened, request);
    request->deadline_ns = deadline_ns;
    request->done = done;
    request->arg = arg;
    if (deadline_ns < r->proposals.deadline_ns) {
        r->proposals.deadline_ns = deadline_ns;
    }
    if (out_ticket != NULL) {
        *out_ticket = ticket;
    }
    return RAY_OK;
}

void replica_propose_own(struct coord_replica *r, const uint8_t *command, size_t size,
                         uint64_t office_term)
{
    struct ray_err err = {0};
    uint64_t ticket = 0;

    if (coord_replica_propose(r, command, size, replica_now_ns(r) + 10 * (uint64_t)RAY_NS_PER_S,
                              NULL, NULL, &ticket, &err) != RAY_OK) {
        replica_log(r, RAY_LOG_WARN, "own command not proposed: %s", err.text);
        return;
    }
    replica_request_of(&r->proposals, ticket)->office_term = office_term;
}

/* A leader that has applied everything knows who may; another does not say no for good. */
static int refusal(struct coord_replica *r)
{
    bool knows =
        r->role == COORD_REPLICA_LEADER && coord_core_is_ready(r->core) && !replica_can_apply(r);

    return knows ? RAY_EDENIED : RAY_EAGAIN;
}

void replica_propose_remote(struct coord_replica *r, struct replica_peer *peer,
                            const Rayos__Member__Propose *propose)
{
    struct replica_request probe = {
        .is_remote = true, .peer = peer, .epoch = peer->epoch, .number = propose->number};
    const Rayos__Registry__Command *opened = NULL;
    struct replica_request *request = NULL;
    uint64_t ticket;
    int rc = check_size(propose->command.len, NULL);

    if (!replica_is_running(r)) {
        rc = RAY_EAGAIN;
    }
    if (rc == RAY_OK) {
        ray_arena_reset(&r->request_arena);
        rc = coord_fsm_open(propose->command.data, propose->command.len, &r->request_arena, &opened,
                            NULL);
    }
    if (rc == RAY_OK && !replica_may_propose(r, peer, opened)) {
        rc = refusal(r);
    }
    if (rc == RAY_OK) {
        rc = coord_fsm_has_command(replica_state(r), opened, NULL);
    }
    if (rc == RAY_OK) {
        rc = take(r, propose->command.data, propose->command.len, &request, &ticket);
        rc = rc == RAY_ENOMEM ? RAY_EAGAIN : rc;
    }
    if (rc != RAY_OK) {
        answer_remote(r, &probe, rc, NULL);
        (void)replica_grants_rider(r, peer, propose); /* as if it had come alone */
        return;
    }
    look_at(opened, request);
    request->rider = replica_grants_rider(r, peer, propose);
    request->is_remote = true;
    request->peer = peer;
    request->epoch = peer->epoch;
    request->number = propose->number;
    /* Who asked knows about its session; here it only tells what to do when deposed. */
    request->has_session = true;
}

/* ---- ends that nobody waited for ---- */

static int late_status(const struct replica_request *request)
{
    bool has_run_perhaps = request->was_tried || request->state == REPLICA_REQUEST_APPENDED;

    return has_run_perhaps ? RAY_ETIMEOUT : RAY_ENOQUORUM;
}

static void end_late(struct coord_replica *r, struct replica_request *request)
{
    finish(r, request, late_status(request), NULL);
}

static void end_canceled(struct coord_replica *r, struct replica_request *request)
{
    finish(r, request, RAY_ECANCELED, NULL);
}

static void end_stopped(struct coord_replica *r, struct replica_request *request)
{
    bool has_run_perhaps = late_status(request) == RAY_ETIMEOUT;

    finish(r, request, has_run_perhaps ? RAY_EUNAVAILABLE : RAY_ENOQUORUM, NULL);
}

void replica_propose_expire(struct coord_replica *r, uint64_t now_ns)
{
    replica_requests_expire(r, &r->proposals, now_ns, end_late);
}

void replica_propose_cancel_all(struct coord_replica *r)
{
    replica_requests_end(r, &r->proposals, end_canceled);
}

void replica_propose_stop(struct coord_replica *r)
{
    replica_requests_end(r, &r->proposals, end_stopped);
}
