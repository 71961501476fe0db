/* replica.c - life of a replica and its turns. */
#include "coordinator/replica/replica.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "coordinator/core/config.h"
#include "coordinator/replica/impl.h"

enum {
    LAN_ELECTION_MS = 200,
    LAN_HEARTBEAT_MS = 40,
    SNAPSHOT_ENTRIES = 100000,
    SNAPSHOT_SIZE = 64 << 20,
    LOG_CACHE_SIZE = 4 << 20,
    LOG_LINE_SIZE = 512,
    WATCH_SIZE = 4 << 20,
};

#define WATCHDOG_NS (60 * RAY_NS_PER_S)

uint64_t replica_now_ns(const struct coord_replica *r)
{
    return r->world.env->now_ns(r->world.env->arg);
}

uint64_t replica_now_ms(const struct coord_replica *r)
{
    return replica_now_ns(r) / RAY_NS_PER_MS;
}

void replica_log(struct coord_replica *r, enum ray_log_level level, const char *fmt, ...)
{
    char line[LOG_LINE_SIZE];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    r->world.env->log(r->world.env->arg, level, "replica", line);
}

bool replica_is_running(const struct coord_replica *r)
{
    return r->core != NULL && r->role != COORD_REPLICA_FAILED &&
           r->role != COORD_REPLICA_QUARANTINED && r->role != COORD_REPLICA_REMOVED;
}

void replica_tell_trouble(struct coord_replica *r, const struct ray_err *what)
{
    replica_log(r, RAY_LOG_ERROR, "%s", what->text);
    if (r->user.on_trouble != NULL) {
        r->user.on_trouble(r->user.arg, what);
    }
}

void replica_fail(struct coord_replica *r, const struct ray_err *why)
{
    if (r->role == COORD_REPLICA_FAILED) {
        return;
    }
    r->role = COORD_REPLICA_FAILED;
    r->failure = *why;
}

void replica_quarantine(struct coord_replica *r, const struct ray_err *why)
{
    if (r->role != COORD_REPLICA_QUARANTINED) {
        replica_quarantine_at(r, why, r->meta.now.cluster_epoch);
    }
}

void replica_remove(struct coord_replica *r)
{
    struct coord_meta next = r->meta.now;
    struct ray_err err = {0};

    (void)ray_fail(&r->failure, RAY_EDENIED, "the cluster has removed this node");
    r->role = COORD_REPLICA_REMOVED;
    next.flags |= COORD_META_REMOVED;
    if (coord_meta_write(&r->meta, &next, &err) != RAY_OK) {
        replica_fail(r, &err);
    }
}

void replica_quarantine_at(struct coord_replica *r, const struct ray_err *why,
                           uint64_t cluster_epoch)
{
    struct coord_meta next = r->meta.now;
    struct ray_err err = {0};

    if (r->role == COORD_REPLICA_FAILED || r->role == COORD_REPLICA_REMOVED || r->is_refilling) {
        return;
    }
    r->role = COORD_REPLICA_QUARANTINED;
    r->failure = *why;
    if ((next.flags & COORD_META_QUARANTINED) != 0 && next.cluster_epoch == cluster_epoch) {
        return;
    }
    next.flags |= COORD_META_QUARANTINED;
    next.cluster_epoch = cluster_epoch;
    if (coord_meta_write(&r->meta, &next, &err) != RAY_OK) {
        replica_fail(r, &err);
    }
}

/* ---- life ---- */

static void set_defaults(struct coord_replica_config *config)
{
    if (config->election_ms == 0) {
        config->election_ms = LAN_ELECTION_MS;
        config->heartbeat_ms = LAN_HEARTBEAT_MS;
    }
    if (config->snapshot_entries == 0) {
        config->snapshot_entries = SNAPSHOT_ENTRIES;
    }
    if (config->snapshot_size == 0) {
        config->snapshot_size = SNAPSHOT_SIZE;
    }
    if (config->log_cache_size == 0) {
        config->log_cache_size = LOG_CACHE_SIZE;
    }
    if (config->duty_ms == 0) {
        config->duty_ms = REPLICA_DUTY_MS;
    }
    if (config->watchdog_ns == 0) {
        config->watchdog_ns = WATCHDOG_NS;
    }
    if (config->watch_size == 0 || config->watch_size > COORD_WATCH_RING_SIZE_MAX) {
        config->watch_size = WATCH_SIZE;
    }
    if (config->save_ms == 0) {
        config->save_ms = REPLICA_SAVE_MS;
    }
    if (config->feature_level == 0) {
        config->feature_level = COORD_FSM_FEATURE_LEVEL;
    }
    if (config->feature_ms == 0) {
        config->feature_ms = REPLICA_FEATURE_MS;
    }
    if (config->trailing_entries == 0) {
        config->trailing_entries = REPLICA_TRAILING;
    }
}

static int set_up(struct coord_replica *r, const struct coord_replica_config *config,
                  struct ray_err *err)
{
    r->config = *config;
    set_defaults(&r->config);
    r->role = COORD_REPLICA_FOLLOWER;
    r->told_role = COORD_REPLICA_FOLLOWER;
    ray_arena_init(&r->arena, REPLICA_ARENA_SIZE_MAX);
    ray_arena_init(&r->request_arena, COORD_FSM_CHECK_ARENA_SIZE_MAX);
    ray_buf_init(&r->making.piece, COORD_FSM_RECORD_SIZE_MAX + (1 << 20));
    replica_requests_init(&r->proposals, COORD_REPLICA_PROPOSALS_MAX);
    replica_requests_init(&r->reads, COORD_REPLICA_READS_MAX);
    coord_checkpoint_batch_init(&r->batch);
    r->scratch = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(COORD_FRAME_SIZE_MAX);
    if (r->scratch == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a frame's buffer");
    }
    replica_requests_init(&r->renewals, REPLICA_RENEWALS_MAX);
    replica_peers_init(r);
    return replica_grants_init(r, err);
}

int coord_replica_create(struct coord_replica **out, const struct coord_replica_world *world,
                         const struct coord_replica_config *config,
                         const struct coord_replica_user *user, struct ray_err *err)
{
    struct coord_replica *r = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*r));
    struct ray_err why = {0}; /* also where the caller does not want to know */
    int rc;

    assert(out != NULL && world != NULL && config != NULL && user != NULL);
    assert(!ray_id_is_none(&config->incarnation));
    if (r == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a replica");
    }
    r->world = *world;
    r->user = *user;
    rc = set_up(r, config, &why);
    if (rc == RAY_OK) {
        rc = replica_open(r, &why);
    }
    if (rc != RAY_OK) {
        coord_replica_destroy(r);
        (void)ray_fail(err, rc, "%s", why.text);
        (void)ray_next(err, "%s", why.next_step);
        return rc;
    }
    replica_peers_refresh(r);
    *out = r;
    return RAY_OK;
}

void coord_replica_destroy(struct coord_replica *r)
{
    if (r == NULL) {
        return;
    }
    r->role = COORD_REPLICA_FAILED; /* whoever is called back asks for nothing more */
    replica_propose_cancel_all(r);
    replica_read_cancel_all(r);
    replica_grants_cancel_all(r);
    replica_making_fini(r);
    replica_fetching_fini(r);
    replica_refill_fini(r);
    replica_peers_fini(r);
    coord_core_destroy(r->core);
    coord_wal_destroy(r->wal);
    coord_watch_ring_fini(&r->ring);
    coord_fsm_destroy(r->fsm);
    coord_fsm_destroy(r->view);
    coord_checkpoint_batch_fini(&r->batch);
    replica_requests_fini(&r->proposals);
    replica_requests_fini(&r->reads);
    replica_requests_fini(&r->renewals);
    coord_lease_book_destroy(r->book);
    ray_arena_fini(&r->arena);
    ray_arena_fini(&r->request_arena);
    free(r->scratch);
    free(r);
}

void replica_replace_fsm(struct coord_replica *r, struct coord_fsm *fsm)
{
    replica_making_drop(r);
    coord_fsm_destroy(r->fsm);
    r->fsm = fsm;
    r->dropped_count++;
    r->saved_index = 0;
    coord_watch_ring_restart(&r->ring, coord_fsm_index(fsm));
    replica_peers_refresh(r);
    replica_standing_judge_all(r);
    replica_follow_timing(r);
}

/* ---- turns ---- */

static void tell_role(struct coord_replica *r)
{
    struct ray_id leader = {{0}};
    struct replica_peer *peer;

    if (r->told_role != r->role) {
        bool is_bad = r->role == COORD_REPLICA_FAILED || r->role == COORD_REPLICA_QUARANTINED ||
                      r->role == COORD_REPLICA_REMOVED;

        r->told_role = r->role;
        if (is_bad) {
            replica_tell_trouble(r, &r->failure);
        }
        if (r->user.on_role != NULL) {
            r->user.on_role(r->user.arg, r->role);
        }
    }
    if (r->role == COORD_REPLICA_LEADER) {
        leader = r->meta.now.node_id;
    } else {
        peer = replica_leader_peer(r);
        leader = peer == NULL ? leader : peer->node;
    }
    if (!ray_id_equal(&leader, &r->told_leader)) {
        r->told_leader = leader;
        r->measure.counters.leader_changes += !ray_id_is_none(&leader);
        replica_propose_leader_changed(r);
        replica_read_leader_changed(r);
        for (peer = r->peers.all; peer != NULL; peer = peer->next) {
            peer->is_hello_due = true;
        }
        r->is_turn_due = true; /* for the hellos */
        if (r->user.on_leader != NULL) {
            r->user.on_leader(r->user.arg, &leader);
        }
    }
}

static void note_durable(struct coord_replica *r)
{
    struct coord_core_out out;
    struct ray_err err = {0};
    uint64_t index;

    if (!r->is_durable_news || !replica_is_running(r)) {
        return;
    }
    r->is_durable_news = false;
    /* As it is now: an append of this turn may have replaced what the log told of. */
    index = coord_wal_durable_index(r->wal);
    replica_measure_durable(r, index);
    (void)replica_drive(r, coord_core_persisted(r->core, replica_now_ms(r), index, &out, &err),
                        &out, &err);
}

static void announce(struct coord_replica *r)
{
    struct coord_core_out out;
    struct ray_err err = {0};

    if (r->is_commit_news && r->role == COORD_REPLICA_LEADER) {
        (void)replica_drive(r, coord_core_announce(r->core, replica_now_ms(r), &out, &err), &out,
                            &err);
    }
    r->is_commit_news = false;
}

/* A leader whose log is full hands over to a member with space. */
static void leave_if_full(struct coord_replica *r)
{
    struct coord_core_out out;
    struct ray_err err = {0};

    if (!r->is_full || r->role != COORD_REPLICA_LEADER || coord_core_is_transferring(r->core)) {
        return;
    }
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        if (peer->epoch != 0 && peer->has_space &&
            coord_config_is_voter(coord_core_configuration(r->core), peer->server_id)) {
            int rc = coord_core_transfer(r->core, replica_now_ms(r), peer->server_id, &out, &err);

            (void)replica_drive(r, rc, &out, &err);
            return;
        }
    }
}

static void say_hello(struct coord_replica *r)
{
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        if (peer->is_hello_due && peer->epoch != 0) {
            replica_hello_say(r, peer);
        }
    }
}

/* A quorum is there when the leader, or leading a majority, was heard within an election. */
static void note_hearing(struct coord_replica *r)
{
    const struct coord_config *config = coord_core_configuration(r->core);
    uint64_t heard[COORD_SERVERS_MAX];
    size_t count = 0;

    if (r->role == COORD_REPLICA_WAITING || replica_is_viewing(r)) {
        r->heard_ns = r->view != NULL ? r->view_heard_ns : r->heard_ns; /* of what can be shown */
        return;
    }
    if (r->role != COORD_REPLICA_LEADER) {
        struct replica_peer *peer = replica_leader_peer(r);

        r->heard_ns = peer != NULL ? peer->heard_ns : r->heard_ns;
        return;
    }
    for (size_t i = 0; i < config->count; i++) {
        struct replica_peer *peer = replica_peer_of_server(r, config->servers[i].id);
        uint64_t at_ns = config->servers[i].id == r->meta.now.server_id ? replica_now_ns(r)
                         : peer != NULL                                 ? peer->heard_ns
                                                                        : 0;
        size_t place = count;

        if (config->servers[i].role != COORD_VOTER) {
            continue;
        }
        for (; place > 0 && heard[place - 1] < at_ns; place--) {
            heard[place] = heard[place - 1];
        }
        heard[place] = at_ns;
        count++;
    }
    r->heard_ns = count == 0 ? 0 : heard[count / 2]; /* newest first: a majority is as new */
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool has_arrived(const struct replica_requests *requests)
{
    return requests->arrived_count != requests->seen_count;
}

/* When the next turn is of use without anything happening. */
static uint64_t next_turn_ns(const struct coord_replica *r)
{
    uint64_t now_ns = replica_now_ns(r);
    uint64_t at_ns =
        least(least(r->proposals.deadline_ns, r->reads.deadline_ns), r->renewals.deadline_ns);

    if (r->role == COORD_REPLICA_QUARANTINED) {
        return r->wipe == NULL ? least(at_ns, r->duty_ns) : at_ns;
    }
    if (!replica_is_running(r)) {
        return at_ns;
    }
    at_ns = least(at_ns, r->next_timeout_ms * RAY_NS_PER_MS);
    at_ns = least(at_ns, r->duty_ns);
    if (r->proposals.queued.count > 0 || r->reads.queued.count > 0) {
        at_ns = least(at_ns, now_ns + REPLICA_RETRY_MS * RAY_NS_PER_MS);
    }
    if (has_arrived(&r->proposals) || has_arrived(&r->reads) || has_arrived(&r->renewals)) {
        at_ns = now_ns; /* asked for from within a callback of this turn */
    }
    if (r->fetching.is_wanted) {
        at_ns = least(at_ns, now_ns + REPLICA_SNAPSHOT_RETRY_MS * RAY_NS_PER_MS);
    }
    if (coord_fsm_index(r->fsm) > r->saved_index && !r->is_saving) {
        at_ns = least(at_ns, now_ns + r->config.save_ms * RAY_NS_PER_MS);
    }
    if (r->is_turn_due || replica_can_apply(r) ||
        (r->making.writer != NULL && r->making.is_writable && !r->making.is_finishing)) {
        at_ns = now_ns; /* the rest of what one turn does not do at once */
    }
    return at_ns;
}

/* Its link has just ended, as it does at once when its process dies; being wrong costs no more
 * than a pre-vote that the others refuse. */
static void note_lost_leader(struct coord_replica *r)
{
    struct coord_core_out out;
    struct ray_err err = {0};
    uint64_t lost = r->lost_server;

    r->lost_server = 0;
    if (lost != 0 && replica_peer_of_server(r, lost) == NULL) {
        (void)replica_drive(r, coord_core_leader_lost(r->core, replica_now_ms(r), lost, &out, &err),
                            &out, &err);
    }
}

/* It takes no part any more: nobody waits for it. */
static void stop_work(struct coord_replica *r)
{
    if (r->role == r->told_role || replica_is_running(r)) {
        return;
    }
    coord_readindex_stop(&r->probes);
    replica_propose_stop(r);
    replica_read_stop(r);
    replica_grants_stop(r);
    replica_making_drop(r);
    replica_fetching_fini(r);
    if (r->role == COORD_REPLICA_REMOVED) {
        replica_peers_refresh(r);
    }
}

static void run_consensus(struct coord_replica *r)
{
    r->is_probe_begun = false;
    note_durable(r);
    if (replica_is_running(r)) {
        note_lost_leader(r);
    }
    if (replica_is_running(r)) {
        replica_propose_turn(r);
    }
    if (replica_is_running(r)) {
        replica_apply(r);
    }
    if (replica_is_running(r)) {
        replica_read_turn(r);
        replica_grants_turn(r);
    }
    if (replica_is_running(r)) {
        replica_lead_turn(r);
        leave_if_full(r);
    }
    if (replica_is_running(r)) {
        announce(r);
    }
}

void coord_replica_turn(struct coord_replica *r)
{
    r->is_turn_due = false;
    replica_view_refute(r);
    if (replica_is_running(r)) {
        run_consensus(r);
    }
    if (replica_is_running(r)) {
        replica_fetching_turn(r);
        replica_making_turn(r);
        replica_save_turn(r);
        note_hearing(r);
        coord_wal_flush(r->wal);
        replica_send_due_frames(r);
    }
    replica_view_turn(r);
    stop_work(r);
    replica_refill_turn(r);
    replica_propose_expire(r, replica_now_ns(r));
    replica_read_expire(r, replica_now_ns(r));
    replica_grants_expire(r, replica_now_ns(r));
    if (r->role != COORD_REPLICA_FAILED) {
        say_hello(r);
        replica_packets_flush(r);
        r->world.link->ops->flush(r->world.link);
    }
    tell_role(r);
    r->world.env->set_timer(r->world.env->arg, next_turn_ns(r));
}

void coord_replica_on_timer(struct coord_replica *r)
{
    struct coord_core_out out;
    struct ray_err err = {0};
    uint64_t now_ms = replica_now_ms(r);

    if (!replica_is_running(r) || now_ms < r->next_timeout_ms) {
        return;
    }
    (void)replica_drive(r, coord_core_tick(r->core, now_ms, &out, &err), &out, &err);
}

/* ---- the rest ---- */

void coord_replica_cancel(struct coord_replica *r, uint64_t ticket)
{
    struct replica_requests *requests = (ticket & REPLICA_TICKET_READ) != 0    ? &r->reads
                                        : (ticket & REPLICA_TICKET_RENEW) != 0 ? &r->renewals
                                                                               : &r->proposals;
    struct replica_request *request =
        replica_request_of(requests, ticket & ~(REPLICA_TICKET_READ | REPLICA_TICKET_RENEW));

    if (request != NULL) { /* it ends as it would, and nobody hears of it */
        request->done = NULL;
        request->read_done = NULL;
        request->renew_done = NULL;
    }
}

struct coord_fsm *coord_replica_fsm(struct coord_replica *r)
{
    return replica_state(r);
}

struct coord_watch_ring *coord_replica_ring(struct coord_replica *r)
{
    return &r->ring;
}

int coord_replica_transfer(struct coord_replica *r, struct ray_err *err)
{
    struct coord_core_out out;
    int rc;

    if (!replica_is_running(r) || r->role != COORD_REPLICA_LEADER) {
        return ray_fail(err, RAY_EUNAVAILABLE, "this member does not lead");
    }
    rc = coord_core_transfer(r->core, replica_now_ms(r), 0, &out, err);
    (void)replica_drive(r, rc, &out, err);
    return rc;
}

void coord_replica_status(const struct coord_replica *r, struct coord_replica_status *out)
{
    uint64_t fresh_ms = replica_is_viewing(r) ? REPLICA_VIEW_FRESH_MS : 0;

    *out = (struct coord_replica_status){
        .role = r->role,
        .cluster_id = r->meta.now.cluster_id,
        .node_id = r->meta.now.node_id,
        .incarnation = r->meta.now.incarnation,
        .boot_counter = r->meta.now.boot_counter,
        .leader = r->told_leader,
        .server_id = r->meta.now.server_id,
        .term = r->meta.now.term,
        .last_index = r->wal == NULL ? 0 : coord_wal_last_index(r->wal),
        .durable_index = r->wal == NULL ? 0 : coord_wal_durable_index(r->wal),
        .commit_index = r->commit_index,
        .applied_index = coord_fsm_index(replica_state(r)),
        .snapshot_index = r->snapshot_index,
        .heard_ns = r->heard_ns,
        .is_partial = replica_is_viewing(r),
        .is_full = r->is_full,
        .cluster_epoch = r->meta.now.cluster_epoch,
        .proposal_count = r->proposals.slot_count - r->proposals.free.count,
        .read_count = r->reads.slot_count - r->reads.free.count,
    };
    if (r->core != NULL) {
        out->config = *coord_core_configuration(r->core);
        out->last_term = coord_core_term_of(r->core, out->last_index);
    }
    out->is_quorate =
        replica_is_running(r) && !ray_id_is_none(&r->told_leader) &&
        replica_now_ns(r) - r->heard_ns < (fresh_ms + (uint64_t)r->election_ms * 2) * RAY_NS_PER_MS;
}

enum coord_replica_role coord_replica_role(const struct coord_replica *r)
{
    return r->role;
}

bool coord_replica_seal(struct coord_replica *r)
{
    if (!replica_is_running(r)) {
        return true;
    }
    if (coord_wal_queued_size(r->wal) > 0) {
        return false;
    }
    coord_wal_seal(r->wal);
    coord_wal_flush(r->wal);
    return coord_wal_queued_size(r->wal) == 0;
}
