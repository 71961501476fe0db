/* snapshot_make.c - this member's own snapshots, and parts of them for peers.
 *
 * A dump is taken a piece at a time, a few per turn, as the disk takes them. When it is durable
 * the log before it may go, except for what slow members are still likely to ask for. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coordinator/core/config.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"
#include "net/proto_codec.h"

enum { PIECE_SIZE = 256 << 10, PIECES_PER_TURN = 4 };

static void on_writable(void *arg)
{
    ((struct coord_replica *)arg)->making.is_writable = true;
}

static void on_finished(void *arg, int status)
{
    struct coord_replica *r = arg;

    r->making.is_done = true;
    r->making.status = status;
}

/* Counted since the last attempt, whatever became of it: what cannot be written is not tried at
 * every turn. While a peer fetches the last one the next is not hurried, or none would ever be
 * there for long enough. */
static bool is_due(const struct coord_replica *r)
{
    const struct replica_making *making = &r->making;
    uint64_t index = coord_fsm_index(r->fsm);
    uint64_t since =
        index - (making->tried_index > r->snapshot_index ? making->tried_index : r->snapshot_index);
    bool is_busy = making->asked_count > 0 &&
                   replica_now_ns(r) - making->asked_ns < REPLICA_SNAPSHOT_BUSY_MS * RAY_NS_PER_MS;
    uint64_t factor = is_busy && !making->is_wanted ? REPLICA_SNAPSHOT_BUSY_FACTOR : 1;

    if (index <= r->snapshot_index || index <= making->tried_index ||
        coord_fsm_cluster(r->fsm) == NULL) {
        return false;
    }
    return making->is_wanted || since >= r->config.snapshot_entries * factor ||
           r->applied_size >= r->config.snapshot_size * factor;
}

static void stop_making(struct coord_replica *r)
{
    struct replica_making *making = &r->making;

    coord_fsm_dump_end(r->fsm);
    coord_snapshot_writer_destroy(making->writer);
    making->writer = NULL;
    ray_buf_clear(&making->piece);
}

/* Of the state that is thrown away. */
void replica_making_drop(struct coord_replica *r)
{
    if (r->making.writer != NULL) {
        stop_making(r);
    }
    r->making.tried_index = 0;
    r->applied_size = 0;
}

static void begin(struct coord_replica *r)
{
    struct replica_making *making = &r->making;
    struct coord_snapshot_info info = {.cluster_id = r->meta.now.cluster_id};
    struct ray_err err = {0};
    uint64_t config_index;
    uint64_t size = 0;
    int rc;
    const struct coord_config *config = coord_core_committed_configuration(r->core, &config_index);

    /* The configuration in force at the applied index; a newer one waits for its entry. */
    if (config_index == 0 || config_index > coord_fsm_index(r->fsm) ||
        coord_fsm_index(r->fsm) > coord_wal_durable_index(r->wal) ||
        coord_fsm_dump_begin(r->fsm, &err) != RAY_OK) {
        return;
    }
    making->snapshot = (struct coord_snapshot){.index = coord_fsm_dump_index(r->fsm),
                                               .term = coord_fsm_dump_term(r->fsm),
                                               .config = *config,
                                               .config_index = config_index};
    info.index = making->snapshot.index;
    info.term = making->snapshot.term;
    info.config = *config;
    info.config_index = config_index;
    making->tried_index = info.index;
    making->is_wanted = false;
    r->applied_size = 0;
    making->is_writable = false;
    making->is_dumped = false;
    making->is_finishing = false;
    making->is_done = false;
    rc = coord_fsm_dump_size(r->fsm, &size, &err);
    if (rc == RAY_OK) {
        rc = coord_snapshot_writer_create(&making->writer, r->world.disk, &info, size, on_writable,
                                          r, &err);
    }
    if (rc != RAY_OK) {
        replica_log(r, RAY_LOG_WARN, "no snapshot: %s", err.text);
        stop_making(r);
    }
}

/* false: failed, tried again after as many entries as usual. */
static bool put_piece(struct coord_replica *r)
{
    struct replica_making *making = &r->making;
    struct ray_err err = {0};
    size_t taken = 0;
    int rc = RAY_OK;

    if (making->piece.size < PIECE_SIZE && !making->is_dumped) {
        rc = coord_fsm_dump_next(r->fsm, &making->piece, PIECE_SIZE, &making->is_dumped, &err);
    }
    if (rc == RAY_OK && making->piece.size > 0) {
        rc = coord_snapshot_writer_put(making->writer, making->piece.data, making->piece.size,
                                       &taken);
    }
    if (rc == RAY_EAGAIN) {
        making->is_writable = false;
        return true;
    }
    if (rc != RAY_OK) {
        replica_log(r, RAY_LOG_WARN, "snapshot given up: %s", ray_err_text(rc));
        stop_making(r);
        return false;
    }
    ray_buf_consume(&making->piece, taken);
    return true;
}

static void write_pieces(struct coord_replica *r)
{
    struct replica_making *making = &r->making;

    for (int i = 0; i < PIECES_PER_TURN && making->is_writable; i++) {
        if (!put_piece(r)) {
            return;
        }
        if (making->is_dumped && making->piece.size == 0) {
            coord_fsm_dump_end(r->fsm);
            making->is_finishing = true;
            coord_snapshot_writer_finish(making->writer, on_finished, r);
            return;
        }
    }
}

static void end(struct coord_replica *r)
{
    struct replica_making *making = &r->making;
    struct coord_core_out out;
    struct ray_err err = {0};
    uint64_t index = making->snapshot.index;
    int rc;

    coord_snapshot_writer_destroy(making->writer);
    making->writer = NULL;
    if (making->status != RAY_OK) {
        replica_log(r, RAY_LOG_WARN, "no snapshot: %s", ray_err_text(making->status));
        return;
    }
    r->snapshot_index = index;
    r->measure.counters.snapshots_made++;
    rc = coord_core_snapshot_taken(r->core, replica_now_ms(r), &making->snapshot,
                                   r->config.trailing_entries, &out, &err);
    if (replica_drive(r, rc, &out, &err) && rc == RAY_OK && index > r->config.trailing_entries) {
        coord_wal_compact(r->wal, index - r->config.trailing_entries);
    }
}

void replica_making_turn(struct coord_replica *r)
{
    if (!replica_is_running(r)) {
        return;
    }
    if (r->making.writer == NULL) {
        if (is_due(r)) {
            begin(r);
        }
    } else if (r->making.is_done) {
        end(r);
    } else if (!r->making.is_finishing) {
        write_pieces(r);
    }
}

static void stop_serving(struct coord_replica *r)
{
    coord_snapshot_reader_destroy(r->making.served);
    r->making.served = NULL;
}

void replica_making_fini(struct coord_replica *r)
{
    if (r->making.writer != NULL) {
        stop_making(r);
    }
    stop_serving(r);
    ray_buf_fini(&r->making.piece);
}

/* ---- for peers ---- */

static void answer(struct coord_replica *r, struct replica_peer *peer,
                   const Rayos__Member__SnapshotAsk *ask, int code, const uint8_t *data,
                   size_t size)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__SnapshotPart part = RAYOS__MEMBER__SNAPSHOT_PART__INIT;
    Rayos__Member__SnapshotPart *items[] = {&part};

    part.index = ask->index;
    part.term = ask->term;
    part.chunk = ask->chunk;
    part.code = code;
    part.data = ray_proto_bytes(data, size);
    packet.n_snapshot_parts = 1;
    packet.snapshot_parts = items;
    (void)replica_packet_add(r, peer, &packet); /* asked again after a while */
}

/* The manifest is read and checked once for all the parts that are asked for one after another. */
static int serve(struct coord_replica *r, const Rayos__Member__SnapshotAsk *ask,
                 struct ray_err *err)
{
    struct coord_snapshot_reader *served = r->making.served;

    if (served != NULL && coord_snapshot_reader_info(served)->index == ask->index &&
        coord_snapshot_reader_info(served)->term == ask->term) {
        return RAY_OK;
    }
    stop_serving(r);
    return coord_snapshot_reader_create(&r->making.served, r->world.disk, ask->index, ask->term,
                                        err);
}

static int send_part(struct coord_replica *r, struct replica_peer *peer,
                     const Rayos__Member__SnapshotAsk *ask)
{
    struct coord_snapshot_reader *reader = r->making.served;
    const uint8_t *chunk;
    size_t size = 0;
    int rc;

    if (ask->chunk == REPLICA_MANIFEST_CHUNK) {
        const uint8_t *manifest = coord_snapshot_reader_manifest(reader, &size);

        answer(r, peer, ask, RAY_OK, manifest, size);
        return RAY_OK;
    }
    if (ask->chunk >= coord_snapshot_reader_info(reader)->chunk_count) {
        return RAY_ENOTFOUND;
    }
    rc = coord_snapshot_reader_read(reader, ask->chunk, &chunk, &size, NULL);
    if (rc == RAY_OK) {
        answer(r, peer, ask, RAY_OK, chunk, size);
    }
    return rc;
}

void replica_snapshot_asked(struct coord_replica *r, struct replica_peer *peer,
                            const Rayos__Member__SnapshotAsk *ask)
{
    struct ray_err err = {0};
    int rc;

    /* It has all of the registry, what lets nodes in, too. */
    if (!peer->is_colleague && !RAY_MUTANT(REPLICA_SNAPSHOT_FOR_ANYBODY)) {
        answer(r, peer, ask, RAY_EDENIED, NULL, 0);
        return;
    }
    if (peer->packet.size > REPLICA_PACKET_FLUSH_SIZE) {
        return; /* its link is full; it asks again */
    }
    r->making.asked_ns = replica_now_ns(r);
    r->making.asked_count++;
    rc = serve(r, ask, &err);
    if (rc == RAY_OK) {
        rc = send_part(r, peer, ask);
    }
    if (rc == RAY_OK) {
        return;
    }
    stop_serving(r);
    if ((rc == RAY_EMALFORMED || rc == RAY_EIO) && ask->index == r->snapshot_index) {
        r->making.is_wanted = true; /* the log before it may be gone: nobody else has it */
    }
    answer(r, peer, ask, rc, NULL, 0);
}
