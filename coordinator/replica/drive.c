/* drive.c - does what consensus asks for, in the order that keeps it safe: term and vote durable
 * before any message, the log, messages, then what this node believes. */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "coordinator/core/config.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"

static int keep_hard_state(struct coord_replica *r, const struct coord_core_out *out,
                           struct ray_err *err)
{
    struct coord_meta next = r->meta.now;

    next.term = out->hard.term;
    next.vote = out->hard.vote;
    return coord_meta_write(&r->meta, &next, err);
}

/* Fills probe and echo, and gives the frame to the link. */
static void send_frame(struct coord_replica *r, struct replica_peer *peer, uint64_t to,
                       const struct coord_message *messages, size_t count)
{
    struct coord_frame frame = {.from = r->meta.now.server_id,
                                .to = to,
                                .echo = coord_readindex_echo(peer->asked, r->meta.now.term),
                                .messages = messages,
                                .count = count};
    struct ray_err err = {0};
    size_t size;

    if (coord_config_is_voter(&r->probes.config, to)) {
        frame.probe = coord_readindex_probe(&r->probes);
    }
    if (coord_frame_encode(&frame, r->scratch, COORD_FRAME_SIZE_MAX, &size, &err) != RAY_OK) {
        replica_log(r, RAY_LOG_ERROR, "frame not sent: %s", err.text);
        return;
    }
    /* Lost when the link is down or full: consensus repeats. A probe is asked for again. */
    if (r->world.link->ops->send(r->world.link, &peer->node, RAY_LINK_RAFT, r->scratch, size) ==
        RAY_OK) {
        peer->is_frame_due = false;
    }
}

static void send_messages(struct coord_replica *r, const struct coord_core_out *out)
{
    for (size_t i = 0; i < out->message_count; i++) {
        const struct coord_message *message = &out->messages[i];
        struct replica_peer *peer = replica_peer_of_server(r, message->to);

        if (peer != NULL) {
            send_frame(r, peer, message->to, message, 1);
        }
    }
}

void replica_send_due_frames(struct coord_replica *r)
{
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        if (peer->is_frame_due && peer->epoch != 0 && peer->server_id != 0) {
            send_frame(r, peer, peer->server_id, NULL, 0);
        }
    }
}

static void end_office(struct coord_replica *r)
{
    coord_readindex_stop(&r->probes);
    replica_propose_deposed(r);
    replica_read_deposed(r);
    replica_grants_deposed(r);
}

static void follow_role(struct coord_replica *r, const struct coord_core_out *out)
{
    static const enum coord_replica_role roles[] = {
        [COORD_FOLLOWER] = COORD_REPLICA_FOLLOWER,
        [COORD_CANDIDATE] = COORD_REPLICA_CANDIDATE,
        [COORD_LEADER] = COORD_REPLICA_LEADER,
    };
    const struct coord_config *config = coord_core_configuration(r->core);
    uint64_t term = coord_core_term(r->core);
    bool is_elected = false;

    if (out->state == COORD_LEADER) {
        if (r->probes.term != term) {
            if (coord_readindex_is_leading(&r->probes)) { /* of another term, without a break */
                end_office(r);
            }
            coord_readindex_lead(&r->probes, term, config);
            r->duty_ns = 0;
            is_elected = true;
        }
    } else if (coord_readindex_is_leading(&r->probes)) {
        end_office(r);
    }
    r->measure.counters.elections +=
        out->state == COORD_CANDIDATE && r->role != COORD_REPLICA_CANDIDATE;
    r->role = roles[out->state];
    if (is_elected) {
        replica_grants_lead(r);
    }
    if (out->state == COORD_FOLLOWER && coord_config_find(config, r->meta.now.server_id) == NULL) {
        r->role = COORD_REPLICA_WAITING;
    }
    if (out->state != COORD_LEADER && r->is_left_out) {
        r->role = COORD_REPLICA_WAITING;
    }
}

/* Whom a leader sends entries is a member, or about to be one. */
static void hear_leader(struct coord_replica *r, const struct coord_message *message)
{
    bool is_of_leader = message->type == COORD_APPEND || message->type == COORD_SNAPSHOT;

    if (is_of_leader && message->term >= r->meta.now.term) {
        r->left_out_ns = 0;
        r->is_left_out = false;
    }
}

void replica_drive_left_out(struct coord_replica *r)
{
    if (r->left_out_ns == 0 || r->is_left_out || r->role == COORD_REPLICA_LEADER ||
        replica_now_ns(r) - r->left_out_ns < REPLICA_LEFT_OUT_MS * RAY_NS_PER_MS) {
        return;
    }
    r->is_left_out = true;
    if (r->role != COORD_REPLICA_WAITING) {
        r->role = COORD_REPLICA_WAITING;
        replica_log(r, RAY_LOG_NOTICE, "the leader has no place for this node in the log any more");
    }
}

static void show_appended(struct coord_replica *r, const struct coord_core_out *out)
{
    uint64_t previous_term = coord_core_term_of(r->core, out->append_first_index - 1);

    for (size_t i = 0; r->user.on_appended != NULL && i < out->append_count; i++) {
        r->user.on_appended(r->user.arg, &out->append[i], previous_term);
        previous_term = out->append[i].term;
    }
}

static int take(struct coord_replica *r, const struct coord_core_out *out, struct ray_err *err)
{
    int rc = RAY_OK;

    if (out->is_hard_changed) {
        rc = keep_hard_state(r, out, err);
    }
    if (rc == RAY_OK && out->append_count > 0) {
        show_appended(r, out);
        rc = coord_wal_append(r->wal, out->append, out->append_count, err);
        replica_measure_appended(r, out->append_first_index + out->append_count - 1,
                                 out->append_count);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (out->is_role_changed || out->is_config_changed) {
        follow_role(r, out);
    }
    if (out->is_config_changed) {
        replica_trust_weigh(r);
        replica_hellos_due(r);
    }
    if (out->is_config_changed && coord_readindex_is_leading(&r->probes)) {
        coord_readindex_set_config(&r->probes, coord_core_configuration(r->core));
    }
    send_messages(r, out);
    if (out->commit_index > r->commit_index) {
        r->commit_index = out->commit_index;
        r->is_commit_news = true;
    }
    if (out->snapshot != NULL) {
        replica_fetching_want(r, out->snapshot, out->snapshot_from);
    }
    r->next_timeout_ms = out->next_timeout_ms;
    return RAY_OK;
}

bool replica_drive(struct coord_replica *r, int rc, const struct coord_core_out *out,
                   const struct ray_err *err)
{
    struct ray_err why = {0};

    if (rc == RAY_EUNAVAILABLE || rc == RAY_EAGAIN || rc == RAY_EINVAL || rc == RAY_ENOTFOUND) {
        return true; /* not now: nothing changed */
    }
    if (rc == RAY_ECONFLICT) {
        replica_quarantine(r, err);
        return false;
    }
    if (rc != RAY_OK) {
        replica_fail(r, err);
        return false;
    }
    rc = take(r, out, &why);
    if (rc != RAY_OK) {
        replica_fail(r, &why);
        return false;
    }
    return true;
}

static void hear_probes(struct coord_replica *r, struct replica_peer *peer,
                        const struct coord_frame *frame)
{
    if (frame->probe.number != 0 &&
        (frame->probe.term > peer->asked.term ||
         (frame->probe.term == peer->asked.term && frame->probe.number > peer->asked.number))) {
        peer->asked = frame->probe;
        peer->is_frame_due = true;
    }
    if (frame->echo.number != 0) {
        (void)coord_readindex_heard(&r->probes, frame->from, frame->echo);
    }
}

/* What the disk has no room for is not taken: with its disk full a follower goes on without news,
 * hears its leader, and can be read. */
static struct coord_message what_fits(const struct coord_replica *r,
                                      const struct coord_message *message)
{
    struct coord_message taken = *message;

    if (message->type == COORD_APPEND &&
        !coord_wal_has_room(r->wal, message->append.entries, message->append.count)) {
        taken.append.count = 0;
    }
    return taken;
}

/* Of those that link and number let through. Written down once for each link. */
static bool may_be_heard(struct coord_replica *r, struct replica_peer *peer)
{
    if (peer->has_voice || RAY_MUTANT(REPLICA_FRAMES_OF_ANYBODY)) {
        return true;
    }
    if (!peer->is_deafness_told) {
        peer->is_deafness_told = true;
        replica_log(r, RAY_LOG_WARN, "server %llu is in no configuration that is known here",
                    (unsigned long long)peer->server_id);
    }
    return false;
}

void replica_receive_frame(struct coord_replica *r, struct replica_peer *peer, const uint8_t *bytes,
                           size_t size)
{
    struct coord_frame frame;
    struct coord_core_out out;
    struct ray_err err = {0};

    if (!replica_is_running(r)) { /* damaged, it has no voice */
        return;
    }
    ray_arena_reset(&r->arena);
    if (coord_frame_decode(bytes, size, &r->arena, &frame, &err) != RAY_OK) {
        replica_log(r, RAY_LOG_WARN, "frame dropped: %s", err.text);
        return;
    }
    /* A number belongs to one node: another that speaks in its name is not heard; nor is who has
     * no part in consensus: it could vote, and lead. */
    if (frame.to != r->meta.now.server_id || frame.from == 0 || frame.from != peer->server_id ||
        !may_be_heard(r, peer)) {
        return;
    }
    /* Messages first: they may raise the term that an echo is for. */
    for (size_t i = 0; i < frame.count; i++) {
        struct coord_message message = what_fits(r, &frame.messages[i]);
        int rc;

        hear_leader(r, &message);
        rc = coord_core_receive(r->core, replica_now_ms(r), &message, &out, &err);
        if (!replica_drive(r, rc, &out, &err)) {
            return;
        }
    }
    hear_probes(r, peer, &frame);
}
