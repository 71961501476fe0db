/* snapshot_fetch.c - a snapshot from the leader, for a member whose log ends before the leader's
 * begins. Manifest first, then the chunks that are missing, two at a time; each is checked. Only
 * when the file is whole and durable does consensus hear of it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coordinator/replica/impl.h"

static bool is_same(const struct coord_snapshot *a, const struct coord_snapshot *b)
{
    return a->index == b->index && a->term == b->term;
}

static void forget(struct coord_replica *r)
{
    uint64_t retry_ns = r->fetching.retry_ns;

    coord_snapshot_receiver_destroy(r->fetching.receiver);
    r->fetching = (struct replica_fetching){.retry_ns = retry_ns};
}

/* It came, and is no use: not again at once. */
static void refuse(struct coord_replica *r, const char *why)
{
    replica_log(r, RAY_LOG_WARN, "snapshot refused: %s", why);
    forget(r);
    r->fetching.retry_ns = replica_now_ns(r) + REPLICA_SNAPSHOT_REFUSED_MS * RAY_NS_PER_MS;
}

void replica_fetching_want(struct coord_replica *r, const struct coord_snapshot *snapshot,
                           uint64_t from_server)
{
    struct replica_peer *peer = replica_peer_of_server(r, from_server);
    struct replica_fetching *fetching = &r->fetching;

    if (peer == NULL || fetching->is_finishing || replica_now_ns(r) < fetching->retry_ns) {
        return;
    }
    if (fetching->is_wanted && is_same(&fetching->wanted, snapshot)) {
        if (fetching->from != peer || fetching->epoch != peer->epoch) {
            fetching->from = peer; /* what has come stays */
            fetching->epoch = peer->epoch;
            fetching->asked_count = 0;
        }
        return;
    }
    forget(r);
    fetching->is_wanted = true;
    fetching->wanted = *snapshot;
    fetching->from = peer;
    fetching->epoch = peer->epoch;
}

static void ask(struct coord_replica *r, uint32_t chunk)
{
    struct replica_fetching *fetching = &r->fetching;
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__SnapshotAsk item = RAYOS__MEMBER__SNAPSHOT_ASK__INIT;
    Rayos__Member__SnapshotAsk *items[] = {&item};

    item.index = fetching->wanted.index;
    item.term = fetching->wanted.term;
    item.chunk = chunk;
    packet.n_snapshot_asks = 1;
    packet.snapshot_asks = items;
    if (replica_packet_add(r, fetching->from, &packet) == RAY_OK) {
        fetching->asked_count++;
        fetching->asked_ns = replica_now_ns(r);
    }
}

static void on_ready(void *arg)
{
    ((struct coord_replica *)arg)->fetching.is_ready = true;
}

static void on_finished(void *arg, int status)
{
    struct coord_replica *r = arg;

    r->fetching.is_done = true;
    r->fetching.status = status;
}

static void take_manifest(struct coord_replica *r, const Rayos__Member__SnapshotPart *part)
{
    struct replica_fetching *fetching = &r->fetching;
    struct ray_err err = {0};

    if (fetching->receiver != NULL) {
        return;
    }
    if (coord_snapshot_receiver_create(&fetching->receiver, r->world.disk, &r->meta.now.cluster_id,
                                       part->data.data, part->data.len, on_ready, r,
                                       &err) != RAY_OK) {
        refuse(r, err.text);
        return;
    }
    if (coord_snapshot_receiver_info(fetching->receiver)->index != fetching->wanted.index ||
        coord_snapshot_receiver_info(fetching->receiver)->term != fetching->wanted.term) {
        refuse(r, "not the one that was asked for");
    }
}

static void take_chunk(struct coord_replica *r, const Rayos__Member__SnapshotPart *part)
{
    struct ray_err err = {0};
    int rc;

    if (r->fetching.receiver == NULL) {
        return;
    }
    rc = coord_snapshot_receiver_put(r->fetching.receiver, part->chunk, part->data.data,
                                     part->data.len, &err);
    if (rc == RAY_EAGAIN) {
        r->fetching.is_ready = false; /* asked for again */
    } else if (rc != RAY_OK) {
        refuse(r, err.text);
    }
}

void replica_fetching_part(struct coord_replica *r, struct replica_peer *peer,
                           const Rayos__Member__SnapshotPart *part)
{
    struct replica_fetching *fetching = &r->fetching;

    if (!fetching->is_wanted || fetching->is_finishing || peer != fetching->from ||
        part->index != fetching->wanted.index || part->term != fetching->wanted.term) {
        return;
    }
    if (fetching->asked_count > 0) {
        fetching->asked_count--;
    }
    if (part->code != RAY_OK) {
        forget(r); /* a newer one has taken its place: the leader says which */
    } else if (part->chunk == REPLICA_MANIFEST_CHUNK) {
        take_manifest(r, part);
    } else {
        take_chunk(r, part);
    }
}

int replica_snapshot_load(struct coord_replica *r, uint64_t index, uint64_t term,
                          struct coord_fsm **out_fsm, struct ray_err *err)
{
    struct coord_snapshot_reader *reader = NULL;
    struct coord_fsm_load *load = NULL;
    int rc = coord_snapshot_reader_create(&reader, r->world.disk, index, term, err);

    if (rc == RAY_OK) {
        rc = coord_fsm_load_begin(&load, err);
    }
    if (rc == RAY_OK) {
        coord_fsm_load_set_level(load, r->config.feature_level);
    }
    for (uint32_t i = 0; rc == RAY_OK && i < coord_snapshot_reader_info(reader)->chunk_count; i++) {
        const uint8_t *chunk;
        size_t size;

        rc = coord_snapshot_reader_read(reader, i, &chunk, &size, err);
        if (rc == RAY_OK) {
            rc = coord_fsm_load_bytes(load, chunk, size, err);
        }
    }
    if (rc == RAY_OK) {
        rc = coord_fsm_load_end(load, false, out_fsm, err);
        load = NULL;
    }
    if (load != NULL) {
        coord_fsm_load_cancel(load);
    }
    coord_snapshot_reader_destroy(reader);
    return rc;
}

/* The file is durable: consensus first, then log and state machine follow. */
static void install(struct coord_replica *r)
{
    struct coord_snapshot snapshot = r->fetching.wanted;
    const struct coord_snapshot_info *info = coord_snapshot_receiver_info(r->fetching.receiver);
    struct coord_fsm *fsm = NULL;
    struct coord_core_out out;
    struct ray_err err = {0};
    bool is_needed = false;
    int rc;

    snapshot.config = info->config; /* checked with the manifest */
    snapshot.config_index = info->config_index;
    forget(r);
    rc = replica_snapshot_load(r, snapshot.index, snapshot.term, &fsm, &err);
    if (rc != RAY_OK) {
        refuse(r, err.text);
        return;
    }
    rc = coord_core_snapshot_installed(r->core, replica_now_ms(r), &snapshot, &is_needed, &out,
                                       &err);
    if (!replica_drive(r, rc, &out, &err) || rc != RAY_OK || !is_needed) {
        coord_fsm_destroy(fsm);
        return;
    }
    rc = coord_wal_reset(r->wal, snapshot.index, &err);
    if (rc != RAY_OK) {
        coord_fsm_destroy(fsm);
        replica_fail(r, &err);
        return;
    }
    replica_replace_fsm(r, fsm);
    r->snapshot_index = snapshot.index;
    r->measure.counters.snapshots_fetched++;
}

static void fetch_more(struct coord_replica *r)
{
    struct replica_fetching *fetching = &r->fetching;
    const struct coord_snapshot_info *info;
    uint32_t chunk;

    if (fetching->receiver == NULL) {
        if (fetching->asked_count == 0) {
            ask(r, REPLICA_MANIFEST_CHUNK);
        }
        return;
    }
    info = coord_snapshot_receiver_info(fetching->receiver);
    chunk = coord_snapshot_receiver_missing(fetching->receiver, 0);
    if (chunk == info->chunk_count && fetching->is_ready) {
        fetching->is_finishing = true;
        coord_snapshot_receiver_finish(fetching->receiver, on_finished, r);
        return;
    }
    if (!fetching->is_ready || fetching->asked_count > 0) {
        return;
    }
    while (chunk < info->chunk_count && fetching->asked_count < REPLICA_SNAPSHOT_WINDOW) {
        ask(r, chunk);
        chunk = coord_snapshot_receiver_missing(fetching->receiver, chunk + 1);
    }
}

void replica_fetching_turn(struct coord_replica *r)
{
    struct replica_fetching *fetching = &r->fetching;

    if (!fetching->is_wanted || !replica_is_running(r)) {
        return;
    }
    if (fetching->is_done) {
        if (fetching->status == RAY_OK) {
            install(r);
        } else {
            refuse(r, ray_err_text(fetching->status));
        }
        return;
    }
    if (fetching->is_finishing) {
        return;
    }
    if (fetching->from->epoch != fetching->epoch ||
        replica_now_ns(r) - fetching->asked_ns >= REPLICA_SNAPSHOT_RETRY_MS * RAY_NS_PER_MS) {
        fetching->asked_count = 0; /* lost with its link, or on its way */
        fetching->epoch = fetching->from->epoch;
    }
    if (fetching->epoch != 0) {
        fetch_more(r);
    }
}

void replica_fetching_fini(struct coord_replica *r)
{
    forget(r);
}
