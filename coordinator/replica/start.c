/* start.c - from what is on the disk to a member that can take part.
 *
 *   meta block         who we are, term and vote; without it there is no membership
 *   snapshots          the newest whole one that can be loaded
 *   checkpoint         newer than that, or worthless
 *   log                what follows the newer of both; rot quarantines. It is read beside the
 *                      others where the disk can */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/core/config.h"
#include "coordinator/replica/impl.h"

struct loading {
    struct coord_fsm_load *load;
    int rc;
    struct ray_err *err;
};

static void load_record(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                        size_t value_size)
{
    struct loading *loading = arg;
    struct coord_fsm_record record = {.value = value, .value_size = value_size};

    if (loading->rc != RAY_OK) {
        return;
    }
    if (key_size != sizeof(record.key)) {
        loading->rc = ray_fail(loading->err, RAY_EMALFORMED, "a key of %zu bytes", key_size);
        return;
    }
    memcpy(record.key, key, sizeof(record.key));
    loading->rc = coord_fsm_load_record(loading->load, &record, loading->err);
}

/* *out_fsm stays NULL when the checkpoint is empty or worthless (it is wiped then). */
static int load_checkpoint(struct coord_replica *r, struct coord_fsm **out_fsm, struct ray_err *err)
{
    struct coord_checkpoint *checkpoint = r->world.checkpoint;
    struct loading loading = {.rc = RAY_OK, .err = err};
    struct coord_checkpoint_head head = {0};
    struct coord_fsm *fsm = NULL;
    bool is_newer = false;
    int rc = coord_fsm_load_begin(&loading.load, err);

    if (rc != RAY_OK) {
        return rc;
    }
    coord_fsm_load_set_level(loading.load, r->config.feature_level);
    rc = checkpoint->ops->load(checkpoint, load_record, &loading, &head, err);
    if (rc == RAY_OK) {
        rc = loading.rc;
        is_newer = rc == RAY_EUNSUPPORTED;
    }
    if (rc != RAY_OK || head.applied_index == 0) {
        coord_fsm_load_cancel(loading.load);
    } else {
        rc = coord_fsm_load_end(loading.load, true, &fsm, err);
    }
    /* Of a newer build it is worth something: to that one. */
    if (rc == RAY_ENOMEM || rc == RAY_EIO || is_newer) {
        return rc;
    }
    if (rc != RAY_OK || (fsm != NULL && coord_fsm_index(fsm) != head.applied_index)) {
        replica_log(r, RAY_LOG_WARN, "checkpoint is worthless: %s",
                    rc != RAY_OK ? err->text : "its index is wrong");
        coord_fsm_destroy(fsm);
        return checkpoint->ops->wipe(checkpoint, err);
    }
    *out_fsm = fsm;
    return RAY_OK;
}

struct found {
    struct coord_snapshot snapshot; /* index 0: none */
    struct coord_fsm *fsm;          /* from the newer of checkpoint and snapshot */
    uint64_t checkpoint_index;
};

static int find_snapshot(struct coord_replica *r, struct found *found, struct ray_err *err)
{
    struct coord_snapshot_info infos[COORD_SNAPSHOTS_MAX];
    size_t count;
    int rc = coord_snapshot_list(r->world.disk, infos, COORD_SNAPSHOTS_MAX, &count, err);

    for (size_t i = 0; rc == RAY_OK && i < count; i++) {
        struct coord_fsm *fsm = NULL;

        if (!ray_id_equal(&infos[i].cluster_id, &r->meta.now.cluster_id)) {
            continue;
        }
        if (found->fsm == NULL || infos[i].index > found->checkpoint_index) {
            rc = replica_snapshot_load(r, infos[i].index, infos[i].term, &fsm, err);
            if (rc == RAY_EMALFORMED) {
                replica_log(r, RAY_LOG_WARN, "snapshot %llu is damaged: %s",
                            (unsigned long long)infos[i].index, err->text);
                rc = RAY_OK;
                continue;
            }
        }
        if (rc == RAY_OK && fsm != NULL) {
            coord_fsm_destroy(found->fsm);
            found->fsm = fsm;
        }
        if (rc == RAY_OK) {
            found->snapshot = (struct coord_snapshot){.index = infos[i].index,
                                                      .term = infos[i].term,
                                                      .config = infos[i].config,
                                                      .config_index = infos[i].config_index};
            return RAY_OK;
        }
    }
    return rc;
}

static int create_state(const struct coord_replica *r, struct coord_fsm **out, struct ray_err *err)
{
    int rc = coord_fsm_create(out, err);

    if (rc == RAY_OK) {
        coord_fsm_set_level(*out, r->config.feature_level);
    }
    return rc;
}

static int load_state(struct coord_replica *r, struct found *found, struct ray_err *err)
{
    int rc = load_checkpoint(r, &found->fsm, err);

    if (rc == RAY_OK && found->fsm != NULL) {
        found->checkpoint_index = coord_fsm_index(found->fsm);
    }
    if (rc == RAY_OK) {
        rc = find_snapshot(r, found, err);
    }
    if (rc == RAY_OK && found->fsm == NULL) {
        rc = create_state(r, &found->fsm, err);
    }
    return rc;
}

/* ---- log ---- */

static void on_durable(void *arg, uint64_t index)
{
    struct coord_replica *r = arg;

    r->is_durable_news = true;
    if (r->recovering != NULL) {
        replica_recover_stored(r, RAY_OK, index);
    }
}

static void on_failed(void *arg, int status)
{
    struct coord_replica *r = arg;
    struct ray_err why = {0};

    (void)ray_fail(&why, status, "the log cannot be written");
    replica_fail(r, &why);
    if (r->recovering != NULL) {
        replica_recover_stored(r, status, 0);
    }
}

static void on_space(void *arg, enum coord_wal_space space)
{
    struct coord_replica *r = arg;

    r->is_full = space == COORD_WAL_SPACE_FULL;
    replica_hellos_due(r);
}

static int begin_log(struct coord_replica *r, struct coord_wal_opening **out, struct ray_err *err)
{
    struct coord_wal_config config = {.cluster_id = r->meta.now.cluster_id,
                                      .node_id = r->meta.now.node_id,
                                      .segment_size = r->config.segment_size};

    memcpy(config.salt, r->meta.now.log_salt, sizeof(config.salt));
    return coord_wal_open_begin(out, r->world.disk, &config, err);
}

/* State and log, the state into r->fsm. Both are read at once: each takes about as long. */
static int open_both(struct coord_replica *r, struct found *found,
                     struct coord_wal_recovery *recovery, struct ray_err *err)
{
    struct coord_wal_user user = {
        .on_durable = on_durable, .on_failed = on_failed, .on_space = on_space, .arg = r};
    struct coord_wal_opening *log = NULL;
    uint64_t known_index;
    int rc = begin_log(r, &log, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rc = load_state(r, found, err);
    if (rc != RAY_OK) {
        coord_wal_open_cancel(log);
        coord_fsm_destroy(found->fsm);
        found->fsm = NULL;
        return rc;
    }
    coord_fsm_destroy(r->fsm);
    r->fsm = found->fsm;
    known_index = found->checkpoint_index > found->snapshot.index ? found->checkpoint_index : 0;
    return coord_wal_open_end(log, known_index, &user, &r->wal, recovery, err);
}

/* Whether log and state fit together; a log that ends before the snapshot begins anew after it
 * (a crash between the snapshot's last step and the log's). */
static int fit_log(struct coord_replica *r, const struct found *found,
                   const struct coord_wal_recovery *recovery, struct ray_err *err)
{
    uint64_t applied = coord_fsm_index(found->fsm);

    if (recovery->outcome == COORD_WAL_ROT) {
        return ray_fail(err, RAY_EMALFORMED, "%s", recovery->text);
    }
    if (recovery->last_index < found->snapshot.index) {
        return coord_wal_reset(r->wal, found->snapshot.index, err);
    }
    if (recovery->first_index > applied + 1 || recovery->first_index > found->snapshot.index + 1) {
        return ray_fail(err, RAY_EMALFORMED,
                        "the log begins at %llu, the snapshot ends at %llu, the state at %llu",
                        (unsigned long long)recovery->first_index,
                        (unsigned long long)found->snapshot.index, (unsigned long long)applied);
    }
    return RAY_OK;
}

/* ---- consensus ---- */

static int load_entries(void *arg, uint64_t index, coord_core_sink *sink, void *sink_arg)
{
    struct coord_replica *r = arg;
    struct coord_wal_span span = {0};
    int rc = coord_wal_read(r->wal, index, COORD_MESSAGE_ENTRIES_MAX, COORD_MESSAGE_PAYLOAD_SIZE,
                            &span, NULL);

    for (size_t i = 0; rc == RAY_OK && i < span.count; i++) {
        if (!sink(sink_arg, &span.entries[i])) {
            break;
        }
    }
    coord_wal_span_fini(&span);
    return rc;
}

/* All but CHANGE entries without their bytes. */
static int list_entries(struct coord_replica *r, uint64_t first, struct coord_entry *entries,
                        size_t count, struct coord_wal_span *spans, size_t *span_count,
                        struct ray_err *err)
{
    int rc = RAY_OK;

    for (size_t i = 0; rc == RAY_OK && i < count; i++) {
        rc = coord_wal_info(r->wal, first + i, &entries[i]);
        if (rc != RAY_OK || entries[i].type != COORD_ENTRY_CHANGE) {
            continue;
        }
        rc = coord_wal_read(r->wal, first + i, 1, 0, &spans[*span_count], err);
        if (rc == RAY_OK) {
            entries[i].data = spans[*span_count].entries[0].data;
            (*span_count)++;
        }
    }
    return rc;
}

static size_t count_changes(struct coord_replica *r, uint64_t first, size_t count)
{
    size_t changes = 0;

    for (size_t i = 0; i < count; i++) {
        struct coord_entry entry;

        if (coord_wal_info(r->wal, first + i, &entry) == RAY_OK &&
            entry.type == COORD_ENTRY_CHANGE) {
            changes++;
        }
    }
    return changes;
}

static int start_core(struct coord_replica *r, const struct found *found, struct ray_err *err)
{
    uint64_t first = coord_wal_first_index(r->wal);
    size_t count = (size_t)(coord_wal_last_index(r->wal) + 1 - first);
    size_t span_max = count_changes(r, first, count);
    struct coord_entry *entries = calloc(count + 1, sizeof(*entries));
    struct coord_wal_span *spans = calloc(span_max + 1, sizeof(*spans));
    size_t span_count = 0;
    struct coord_core_boot boot = {.hard = {.term = r->meta.now.term, .vote = r->meta.now.vote},
                                   .snapshot = found->snapshot.index == 0 ? NULL : &found->snapshot,
                                   .entries = entries,
                                   .count = count};
    struct coord_core_out out;
    int rc;

    if (entries == NULL || spans == NULL) {
        free(spans);
        free(entries);
        return ray_fail(err, RAY_ENOMEM, "the log's entries");
    }
    rc = list_entries(r, first, entries, count, spans, &span_count, err);
    if (rc == RAY_OK) {
        rc = coord_core_start(r->core, replica_now_ms(r), &boot, &out, err);
    }
    if (rc == RAY_OK) {
        (void)replica_drive(r, rc, &out, err);
    }
    for (size_t i = 0; i < span_count; i++) {
        coord_wal_span_fini(&spans[i]);
    }
    free(spans);
    free(entries);
    return rc;
}

static int make_core(struct coord_replica *r, const struct found *found, struct ray_err *err)
{
    struct coord_core_config config = {.self_id = r->meta.now.server_id,
                                       .election_ms = r->config.election_ms,
                                       .heartbeat_ms = r->config.heartbeat_ms,
                                       .cache_size = r->config.log_cache_size,
                                       .load = load_entries,
                                       .arg = r};
    const struct coord_object *cluster = coord_fsm_cluster(found->fsm);
    int rc;

    if (cluster != NULL && cluster->cluster.timing.election_ms != 0) {
        config.election_ms = cluster->cluster.timing.election_ms;
        config.heartbeat_ms = cluster->cluster.timing.heartbeat_ms;
    }
    r->election_ms = config.election_ms;
    r->world.env->random(r->world.env->arg, &config.seed, sizeof(config.seed));
    rc = coord_core_create(&r->core, &config, err);
    if (rc != RAY_OK) {
        return rc;
    }
    coord_readindex_init(&r->probes, r->meta.now.server_id);
    return start_core(r, found, err);
}

/* A new start of the process, known to the disk before anybody hears of it. */
static int count_boot(struct coord_replica *r, struct ray_err *err)
{
    struct coord_meta next = r->meta.now;

    coord_meta_count_boot(&next, &r->config.incarnation);
    return coord_meta_write(&r->meta, &next, err);
}

/* State of a member without a voice, for its links and for aged reads; none is fine. */
static int open_silent(struct coord_replica *r, struct ray_err *err)
{
    struct found found = {.fsm = NULL};
    int rc = RAY_OK;

    if ((r->meta.now.flags & COORD_META_REFILL) == 0) {
        rc = load_state(r, &found, err);
    }
    if (rc != RAY_OK) {
        coord_fsm_destroy(found.fsm);
        found.fsm = NULL;
    }
    if (found.fsm == NULL) {
        rc = create_state(r, &found.fsm, err);
    }
    r->fsm = found.fsm;
    return rc;
}

int replica_open_state(struct coord_replica *r, struct ray_err *err)
{
    struct found found = {.fsm = NULL};
    struct coord_wal_recovery recovery = {0};
    int rc = open_both(r, &found, &recovery, err);

    if (rc != RAY_OK) {
        return rc;
    }
    r->snapshot_index = found.snapshot.index;
    replica_save_loaded(r, found.checkpoint_index);
    coord_watch_ring_restart(&r->ring, coord_fsm_index(r->fsm));
    r->is_full = coord_wal_space(r->wal) == COORD_WAL_SPACE_FULL;
    rc = fit_log(r, &found, &recovery, err);
    if (rc == RAY_OK && recovery.outcome == COORD_WAL_TAIL) {
        replica_log(r, RAY_LOG_NOTICE, "log: %s", recovery.text);
    }
    if (rc == RAY_OK) {
        rc = make_core(r, &found, err);
    }
    if (rc == RAY_OK && r->role == COORD_REPLICA_FOLLOWER &&
        coord_config_find(coord_core_configuration(r->core), r->meta.now.server_id) == NULL) {
        r->role = COORD_REPLICA_WAITING;
    }
    if (rc == RAY_EMALFORMED) {
        replica_quarantine(r, err);
        return RAY_OK;
    }
    return rc;
}

int replica_offline_open(struct coord_replica **out, const struct coord_replica_world *world,
                         uint32_t feature_level, struct replica_recovering *recovering,
                         struct ray_err *err)
{
    struct coord_replica *r = calloc(1, sizeof(*r));
    struct found found = {.fsm = NULL};
    struct coord_wal_recovery recovery = {0};
    int rc;

    *out = r;
    if (r == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a replica");
    }
    r->world = *world;
    r->config.feature_level = feature_level == 0 ? COORD_FSM_FEATURE_LEVEL : feature_level;
    r->recovering = recovering;
    rc = coord_meta_open(&r->meta, r->world.disk, err);
    if (rc == RAY_OK && r->meta.now.flags != 0) {
        rc = ray_fail(err, RAY_EDENIED, "this member was %s",
                      (r->meta.now.flags & COORD_META_REMOVED) != 0 ? "removed" : "quarantined");
    }
    if (rc == RAY_OK) {
        rc = open_both(r, &found, &recovery, err);
    }
    return rc == RAY_OK ? fit_log(r, &found, &recovery, err) : rc;
}

void replica_offline_close(struct coord_replica *r)
{
    if (r != NULL) {
        coord_wal_destroy(r->wal);
        coord_fsm_destroy(r->fsm);
        free(r);
    }
}

int replica_open(struct coord_replica *r, struct ray_err *err)
{
    int rc = coord_meta_open(&r->meta, r->world.disk, err);

    if (rc == RAY_OK) {
        rc = count_boot(r, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    coord_watch_ring_init(&r->ring, COORD_WATCH_RING_COUNT_MAX, r->config.watch_size, 0);
    if ((r->meta.now.flags & COORD_META_REMOVED) != 0) {
        (void)ray_fail(&r->failure, RAY_EDENIED, "the cluster has removed this node");
        r->role = COORD_REPLICA_REMOVED;
        return open_silent(r, err);
    }
    if ((r->meta.now.flags & COORD_META_QUARANTINED) == 0) {
        return replica_open_state(r, err);
    }
    (void)ray_fail(&r->failure, RAY_EMALFORMED, "quarantined before");
    r->role = COORD_REPLICA_QUARANTINED;
    rc = open_silent(r, err);
    if (rc == RAY_OK && (r->meta.now.flags & COORD_META_REFILL) != 0) {
        rc = replica_refill_start(r, err);
    }
    return rc;
}
