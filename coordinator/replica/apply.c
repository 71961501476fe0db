/* apply.c - committed entries go into the state machine, in order, once. */
#include <assert.h>

#include "coordinator/core/config.h"
#include "coordinator/replica/impl.h"

/* A follower may know of a commit before its own disk is done; it applies only what it has
 * durable, so that its checkpoint is never ahead of its log. A leader answers as early as it
 * can. */
static uint64_t limit_index(const struct coord_replica *r)
{
    uint64_t stored = coord_wal_durable_index(r->wal);

    if (r->role == COORD_REPLICA_LEADER || r->commit_index <= stored) {
        return r->commit_index;
    }
    return stored;
}

bool replica_can_apply(const struct coord_replica *r)
{
    return replica_is_running(r) && coord_fsm_index(r->fsm) < limit_index(r);
}

/* Told before the result: who reads its own write finds watchers already served. */
static void tell(struct coord_replica *r, const struct coord_entry *entry,
                 const struct coord_fsm_outcome *outcome)
{
    struct ray_err err = {0};

    if (coord_watch_ring_append(&r->ring, entry->index, outcome->events, outcome->event_count,
                                &err) != RAY_OK) {
        replica_log(r, RAY_LOG_WARN, "watchers resync: %s", err.text);
    }
    replica_propose_applied(r, entry->index, entry->term, &outcome->result);
    if (r->user.on_applied != NULL) {
        r->user.on_applied(r->user.arg, entry, outcome);
    }
}

static bool concerns_peers(const struct coord_fsm_outcome *outcome)
{
    for (size_t i = 0; i < outcome->event_count; i++) {
        if (outcome->events[i].kind == COORD_NODE || outcome->events[i].kind == COORD_CLUSTER) {
            return true;
        }
    }
    return false;
}

void replica_follow_timing(struct coord_replica *r)
{
    const struct coord_object *cluster = coord_fsm_cluster(r->fsm);

    if (r->core != NULL && cluster != NULL && cluster->cluster.timing.election_ms != 0) {
        r->election_ms = cluster->cluster.timing.election_ms;
        coord_core_set_timing(r->core, cluster->cluster.timing.election_ms,
                              cluster->cluster.timing.heartbeat_ms);
    }
}

static int apply_command(struct coord_replica *r, const struct coord_entry *entry,
                         struct ray_err *err)
{
    struct coord_fsm_outcome outcome;
    int rc =
        coord_fsm_apply(r->fsm, entry->index, entry->term, entry->data, entry->size, &outcome, err);

    if (rc != RAY_OK) {
        return rc;
    }
    r->is_peers_due = r->is_peers_due || concerns_peers(&outcome);
    r->applied_size += entry->size;
    tell(r, entry, &outcome);
    return RAY_OK;
}

static int apply_other(struct coord_replica *r, const struct coord_entry *entry,
                       struct ray_err *err)
{
    static const struct coord_fsm_result lost = {
        .code = RAY_EUNAVAILABLE, .text = "", .next_step = ""};
    int rc = coord_fsm_advance(r->fsm, entry->index, entry->term, err);

    if (rc == RAY_OK) {
        (void)coord_watch_ring_append(&r->ring, entry->index, NULL, 0, NULL);
        replica_propose_applied(r, entry->index, entry->term, &lost);
        if (r->user.on_applied != NULL) {
            r->user.on_applied(r->user.arg, entry, NULL);
        }
    }
    return rc;
}

static int apply_entry(struct coord_replica *r, const struct coord_entry *entry,
                       struct ray_err *err)
{
    int rc = entry->type == COORD_ENTRY_COMMAND ? apply_command(r, entry, err)
                                                : apply_other(r, entry, err);

    r->measure.counters.applied += rc == RAY_OK;
    return rc;
}

/* From the log on disk: after a start, or when the cache is too small. */
static int apply_stored(struct coord_replica *r, uint64_t index, uint64_t limit,
                        struct ray_err *err)
{
    struct coord_wal_span span = {0};
    int rc = coord_wal_read(r->wal, index, (size_t)(limit - index + 1), COORD_WAL_BATCH_SIZE, &span,
                            err);

    for (size_t i = 0; rc == RAY_OK && i < span.count; i++) {
        rc = apply_entry(r, &span.entries[i], err);
    }
    coord_wal_span_fini(&span);
    return rc;
}

static void stop_for(struct coord_replica *r, int rc, struct ray_err *err)
{
    (void)ray_wrap(err, rc, "entry %llu", (unsigned long long)coord_fsm_index(r->fsm) + 1);
    if (rc == RAY_ECONFLICT || rc == RAY_EMALFORMED || rc == RAY_EIO) {
        replica_quarantine(r, err);
    } else {
        replica_fail(r, err);
    }
}

void replica_apply(struct coord_replica *r)
{
    uint64_t first = coord_fsm_index(r->fsm) + 1;
    uint64_t limit = limit_index(r);

    if (limit >= first + REPLICA_APPLY_MAX) {
        limit = first + REPLICA_APPLY_MAX - 1;
    }
    while (replica_is_running(r) && coord_fsm_index(r->fsm) < limit) {
        uint64_t index = coord_fsm_index(r->fsm) + 1;
        struct coord_entry entry;
        struct ray_err err = {0};
        int rc = coord_core_entry(r->core, index, &entry) ? apply_entry(r, &entry, &err)
                                                          : apply_stored(r, index, limit, &err);

        if (rc != RAY_OK) {
            stop_for(r, rc, &err);
            return;
        }
    }
    if (r->is_peers_due) {
        r->is_peers_due = false;
        replica_peers_refresh(r);
        replica_follow_timing(r);
        replica_standing_note_epoch(r);
        replica_standing_judge_all(r);
    }
    if (replica_is_running(r)) {
        replica_grants_applied(r);
    }
}
