/* recover.c - the cluster goes on from one survivor when a majority of voters is lost for good.
 *
 * Offline, on the survivor's disk: term, vote and the new cluster epoch go into the meta block,
 * then two entries to the end of the log: a configuration of this member alone, and the command
 * that raises the cluster epoch. What stood behind the last commit is committed with them. The
 * other survivors hear the new epoch, are quarantined and come back under new numbers, whatever
 * their logs had; so does everybody else who returns. A crash before the end leaves a member of the
 * new epoch without a majority: to be recovered once more. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/core/config.h"
#include "coordinator/replica/impl.h"
#include "net/proto_codec.h"

enum {
    COMMAND_SIZE_MAX = COORD_FSM_COMMAND_SIZE_MAX,
    /* Elections of the lost majority that this member may not have heard of. */
    TERMS_SKIPPED = 1024,
};

struct replica_recovering {
    struct coord_replica *replica; /* parts of one: no core, no links */
    uint64_t last_index;           /* durable: done */
    int status;
    coord_disk_done *done;
    void *arg;
};

static void end(void *arg, int status)
{
    struct replica_recovering *job = arg;
    coord_disk_done *done = job->done;
    void *done_arg = job->arg;

    (void)status; /* of the file that is not there */
    status = job->status;
    replica_offline_close(job->replica);
    free(job);
    done(done_arg, status);
}

/* Out of a callback of the log, which must not be destroyed there: by way of the disk. */
static void leave(struct replica_recovering *job, int status)
{
    struct coord_disk *disk = job->replica->world.disk;

    job->status = status;
    job->last_index = UINT64_MAX;
    disk->ops->remove(disk, "no-such-file", end, job);
}

void replica_recover_stored(struct coord_replica *r, int status, uint64_t index)
{
    struct replica_recovering *job = r->recovering;

    if (job->last_index != UINT64_MAX && (status != RAY_OK || index >= job->last_index)) {
        leave(job, status);
    }
}

/* ---- what is there ---- */

static int apply_entry(struct coord_replica *r, const struct coord_entry *entry,
                       struct ray_err *err)
{
    struct coord_fsm_outcome outcome;

    return entry->type == COORD_ENTRY_COMMAND
               ? coord_fsm_apply(r->fsm, entry->index, entry->term, entry->data, entry->size,
                                 &outcome, err)
               : coord_fsm_advance(r->fsm, entry->index, entry->term, err);
}

/* All of the log will be committed, so all of it counts. */
static int apply_rest(struct coord_replica *r, struct ray_err *err)
{
    int rc = RAY_OK;

    while (rc == RAY_OK && coord_fsm_index(r->fsm) < coord_wal_last_index(r->wal)) {
        uint64_t index = coord_fsm_index(r->fsm) + 1;
        struct coord_wal_span span = {0};

        rc = coord_wal_read(r->wal, index, COORD_WAL_BATCH_ENTRIES_MAX, COORD_WAL_BATCH_SIZE, &span,
                            err);
        for (size_t i = 0; rc == RAY_OK && i < span.count; i++) {
            rc = apply_entry(r, &span.entries[i], err);
        }
        coord_wal_span_fini(&span);
    }
    return rc;
}

static int check(const struct coord_replica *r, const struct coord_replica_recovery *recovery,
                 struct ray_err *err)
{
    if (coord_fsm_cluster(r->fsm) == NULL) {
        return ray_fail(err, RAY_EDENIED, "this member has never had a cluster's state");
    }
    for (size_t i = 0; i < recovery->survivor_count; i++) {
        if (ray_id_equal(&recovery->survivors[i], &r->meta.now.node_id)) {
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_EINVAL, "this node is not among the survivors");
}

/* ---- what is new ---- */

static void put_ids(const struct ray_id *ids, size_t count, ProtobufCBinaryData *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = ray_proto_id(&ids[i]);
    }
}

static int pack_command(struct coord_replica *r, const struct coord_replica_recovery *recovery,
                        uint8_t **out, size_t *out_size, struct ray_err *err)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    Rayos__Registry__ClusterRecover body = RAYOS__REGISTRY__CLUSTER_RECOVER__INIT;
    size_t count = recovery->survivor_count + recovery->confirmed_off_count;
    ProtobufCBinaryData *ids = calloc(count, sizeof(*ids));
    size_t size;

    if (ids == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a recovery");
    }
    put_ids(recovery->survivors, recovery->survivor_count, ids);
    put_ids(recovery->confirmed_off, recovery->confirmed_off_count, ids + recovery->survivor_count);
    body.expected_cluster_epoch = coord_fsm_cluster(r->fsm)->cluster.cluster_epoch;
    body.n_survivors = recovery->survivor_count;
    body.survivors = ids;
    body.n_confirmed_off = recovery->confirmed_off_count;
    body.confirmed_off = ids + recovery->survivor_count;
    header.version = COORD_FSM_COMMAND_VERSION;
    header.principal = (char *)recovery->principal;
    header.reason = (char *)recovery->reason;
    header.time_us = r->world.env->realtime_us(r->world.env->arg);
    command.header = &header;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_CLUSTER_RECOVER;
    command.cluster_recover = &body;
    size = rayos__registry__command__get_packed_size(&command);
    *out = size > COMMAND_SIZE_MAX ? NULL : malloc(size);
    if (*out != NULL) {
        *out_size = rayos__registry__command__pack(&command, *out);
    }
    free(ids);
    return *out != NULL ? RAY_OK : ray_fail(err, RAY_ETOOBIG, "a recovery of %zu nodes", count);
}

/* On the state in memory, before anything is written: would it be refused? */
static int try_command(struct coord_replica *r, const struct coord_entry *command,
                       struct ray_err *err)
{
    struct coord_fsm_outcome outcome;
    int rc = coord_fsm_check(command->data, command->size, err);

    if (rc == RAY_OK) {
        rc = coord_fsm_advance(r->fsm, command->index - 1, command->term, err);
    }
    if (rc == RAY_OK) {
        rc = coord_fsm_apply(r->fsm, command->index, command->term, command->data, command->size,
                             &outcome, err);
    }
    if (rc == RAY_OK && outcome.result.code != RAY_OK) {
        rc = ray_fail(err, outcome.result.code, "%s", outcome.result.text);
    }
    return rc;
}

static int write_all(struct replica_recovering *job, struct coord_entry entries[2],
                     struct ray_err *err)
{
    struct coord_replica *r = job->replica;
    struct coord_meta next = r->meta.now;
    int rc = try_command(r, &entries[1], err);

    if (rc != RAY_OK) {
        return rc;
    }
    next.term = entries[0].term;
    next.vote = next.server_id;
    next.cluster_epoch = coord_fsm_cluster(r->fsm)->cluster.cluster_epoch;
    rc = coord_meta_write(&r->meta, &next, err);
    if (rc == RAY_OK) {
        rc = coord_wal_append(r->wal, entries, 2, err);
    }
    if (rc == RAY_OK) {
        job->last_index = entries[1].index;
        coord_wal_flush(r->wal);
    }
    return rc;
}

static int rewrite(struct replica_recovering *job, const struct coord_replica_recovery *recovery,
                   struct ray_err *err)
{
    struct coord_replica *r = job->replica;
    uint64_t last = coord_wal_last_index(r->wal);
    uint64_t term =
        coord_fsm_term(r->fsm) > r->meta.now.term ? coord_fsm_term(r->fsm) : r->meta.now.term;
    struct coord_config config = {.servers = {{.id = r->meta.now.server_id, .role = COORD_VOTER}},
                                  .count = 1};
    uint8_t change[COORD_CONFIG_ENCODED_SIZE_MAX];
    uint8_t *command = NULL;
    size_t size = 0;
    int rc = pack_command(r, recovery, &command, &size, err);

    if (rc == RAY_OK) {
        struct coord_entry entries[2] = {
            {.term = term + TERMS_SKIPPED,
             .index = last + 1,
             .type = COORD_ENTRY_CHANGE,
             .size = (uint32_t)coord_config_encode(&config, change),
             .data = change},
            {.term = term + TERMS_SKIPPED,
             .index = last + 2,
             .type = COORD_ENTRY_COMMAND,
             .size = (uint32_t)size,
             .data = command},
        };

        rc = write_all(job, entries, err);
    }
    free(command);
    return rc;
}

int coord_replica_recover(const struct coord_replica_world *world,
                          const struct coord_replica_recovery *recovery, coord_disk_done *done,
                          void *arg, struct ray_err *err)
{
    struct replica_recovering *job =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*job));
    struct ray_err why = {0};
    int rc;

    assert(recovery->survivor_count > 0 && recovery->principal != NULL && recovery->reason != NULL);
    if (job == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a recovery");
    }
    job->done = done;
    job->arg = arg;
    job->last_index = UINT64_MAX;
    rc = replica_offline_open(&job->replica, world, recovery->feature_level, job, &why);
    if (rc == RAY_OK) {
        rc = apply_rest(job->replica, &why);
    }
    if (rc == RAY_OK) {
        rc = check(job->replica, recovery, &why);
    }
    if (rc == RAY_OK) {
        rc = rewrite(job, recovery, &why);
    }
    if (rc != RAY_OK) {
        replica_offline_close(job->replica);
        free(job);
        return ray_fail(err, rc, "%s", why.text);
    }
    return RAY_OK;
}
