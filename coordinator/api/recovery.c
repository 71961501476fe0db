/* recovery.c - a majority of voters is lost for good, and an admin says at this member that it goes
 * on alone.
 *
 *   cluster.recover: checked, kept as a fact, answered; the process ends
 *   next start:      fact -> coord_replica_recover, offline -> the fact goes -> replica
 *
 * Whatever crashes in between, the next start does it again or finds it done. Who said so and why
 * goes into the log with the command. */
#include <stdlib.h>
#include <string.h>

#include "coordinator/api/impl.h"
#include "coordinator/core/config.h"
#include "net/proto_codec.h"

enum { NODES_MAX = 1024 };

/* ---- asked ---- */

/* As many as could elect somebody: then nothing is lost. */
static int check_silence(struct coord_member *m, const struct coord_replica_status *status,
                         struct ray_err *err)
{
    size_t voters = 0;
    size_t up = 0;

    for (size_t i = 0; i < status->config.count; i++) {
        const struct coord_object *node =
            coord_fsm_find_raft_id(coord_replica_fsm(m->replica), status->config.servers[i].id);

        if (status->config.servers[i].role == COORD_VOTER) {
            voters++;
            up += node != NULL && coord_replica_hears(m->replica, node);
        }
    }
    if (status->is_quorate || up * 2 > voters) {
        (void)ray_fail(err, RAY_ECONFLICT, "nothing is lost: %zu of %zu voters are up", up, voters);
        (void)ray_next(err, "clusterctl cluster status");
        return RAY_ECONFLICT;
    }
    return RAY_OK;
}

static int check_member(struct coord_member *m, const Rayos__Cluster__RecoverRequest *request,
                        struct ray_err *err)
{
    struct coord_replica_status status;
    enum coord_replica_role role;
    int rc = member_require_cluster(m, err);

    if (rc != RAY_OK) {
        return rc;
    }
    role = coord_replica_role(m->replica);
    if (member_is_observer(m) || role == COORD_REPLICA_WAITING ||
        role == COORD_REPLICA_QUARANTINED || role == COORD_REPLICA_FAILED) {
        (void)ray_fail(err, RAY_EDENIED, "node %s holds no sound part of the log", m->name);
        (void)ray_next(err, "run it at a voter or standby that does; 'clusterctl cluster "
                            "inventory' at each of them");
        return RAY_EDENIED;
    }
    coord_replica_status(m->replica, &status);
    if (request->expected_cluster_epoch != status.cluster_epoch) {
        (void)ray_fail(err, RAY_ECONFLICT, "the cluster epoch here is %llu, not %llu",
                       (unsigned long long)status.cluster_epoch,
                       (unsigned long long)request->expected_cluster_epoch);
        (void)ray_next(err, "clusterctl cluster inventory");
        return RAY_ECONFLICT;
    }
    return check_silence(m, &status, err);
}

static bool has_id(const ProtobufCBinaryData *ids, size_t count, const ProtobufCBinaryData *id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i].len == id->len && memcmp(ids[i].data, id->data, id->len) == 0) {
            return true;
        }
    }
    return false;
}

static int check_nodes(struct coord_member *m, const Rayos__Cluster__RecoverRequest *request,
                       struct ray_err *err)
{
    if (request->n_survivors + request->n_confirmed_off > NODES_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "more than %d nodes are named", NODES_MAX);
    }
    for (size_t i = 0; i < request->n_survivors + request->n_confirmed_off; i++) {
        bool is_off = i >= request->n_survivors;
        const ProtobufCBinaryData *bytes =
            is_off ? &request->confirmed_off[i - request->n_survivors] : &request->survivors[i];
        const struct coord_object *node;
        struct ray_id id;
        int rc = ray_id_from_bytes(bytes->data, bytes->len, &id, err);

        if (rc != RAY_OK) {
            return rc;
        }
        node = coord_fsm_find(coord_replica_fsm(m->replica), COORD_NODE, &id);
        if (node == NULL) {
            (void)ray_fail(err, RAY_ENOTFOUND, "a node that is named is not known here");
            (void)ray_next(err, "clusterctl node list");
            return RAY_ENOTFOUND;
        }
        if (is_off && (coord_replica_hears(m->replica, node) || ray_id_equal(&id, &m->id) ||
                       has_id(request->survivors, request->n_survivors, bytes))) {
            (void)ray_fail(err, RAY_ECONFLICT, "node %s is not off", node->name);
            (void)ray_next(err, "switch it off, or name it as a survivor");
            return RAY_ECONFLICT;
        }
    }
    return RAY_OK;
}

/* The command as it is to stand in the log, with this node among the survivors. */
static int keep(struct coord_member *m, const struct member_caller *caller,
                const Rayos__Cluster__RecoverRequest *request, struct ray_err *err)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ClusterRecover body = RAYOS__REGISTRY__CLUSTER_RECOVER__INIT;
    ProtobufCBinaryData *survivors = calloc(request->n_survivors + 1, sizeof(*survivors));
    ProtobufCBinaryData self = ray_proto_id(&m->id);
    uint8_t *bytes = NULL;
    size_t size = 0;
    int rc;

    if (survivors == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a recovery");
    }
    for (size_t i = 0; i < request->n_survivors; i++) {
        survivors[i] = request->survivors[i];
    }
    body.survivors = survivors;
    body.n_survivors = request->n_survivors;
    if (!has_id(survivors, body.n_survivors, &self)) {
        survivors[body.n_survivors++] = self;
    }
    body.expected_cluster_epoch = request->expected_cluster_epoch;
    body.confirmed_off = request->confirmed_off;
    body.n_confirmed_off = request->n_confirmed_off;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_CLUSTER_RECOVER;
    command.cluster_recover = &body;
    rc = member_command_pack(m, &command, caller, request->reason, &bytes, &size, err);
    if (rc == RAY_OK) {
        rc = coord_fsm_check(bytes, size, err);
    }
    if (rc == RAY_OK) {
        rc = m->facts->ops->put(m->facts, MEMBER_FACT_RECOVERY, bytes, size, err);
    }
    free(bytes);
    free(survivors);
    return rc;
}

void member_cluster_recover(struct coord_member *m, const struct member_caller *caller,
                            struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const Rayos__Cluster__RecoverRequest *request = (const Rayos__Cluster__RecoverRequest *)input;
    Rayos__Cluster__Recovering recovering = RAYOS__CLUSTER__RECOVERING__INIT;
    struct ray_err err = {0};
    int rc = check_member(m, request, &err);

    if (rc == RAY_OK) {
        rc = check_nodes(m, request, &err);
    }
    if (rc == RAY_OK) {
        rc = keep(m, caller, request, &err);
    }
    if (rc != RAY_OK) {
        (void)ray_rpc_reply_err(call, &err); /* the caller is gone, or not */
        return;
    }
    ray_log(m->config.logger, RAY_LOG_WARN, "member",
            "recovery wanted by=%s: this member goes on alone at its next start", caller->name);
    m->is_recovery_due = true;
    recovering.cluster_epoch = request->expected_cluster_epoch + 1;
    (void)ray_rpc_reply(call, &recovering.base);
}

/* A while after the answer, which is on its way by then. */
void member_recovery_turn(struct coord_member *m)
{
    if (m->is_recovery_due && m->config.on_failed != NULL) {
        m->is_recovery_due = false;
        m->config.on_failed(m->config.arg);
    }
}

/* ---- done, at the next start ---- */

static void forget(struct coord_member *m)
{
    struct ray_err err = {0};
    int rc = m->facts->ops->remove(m->facts, MEMBER_FACT_RECOVERY, &err);

    if (rc != RAY_OK && rc != RAY_ENOTFOUND) {
        ray_log(m->config.logger, RAY_LOG_ERROR, "member", "the recovery is not forgotten: %s",
                err.text);
    }
}

static void on_recovered(void *arg, int status)
{
    struct coord_member *m = arg;
    struct ray_err err = {0};

    if (status == RAY_ECANCELED) {
        return; /* the member ends: again at the next start */
    }
    if (status != RAY_OK) {
        (void)ray_fail(&err, status, "the recovery could not be written: %s", ray_err_text(status));
        member_fail(m, &err);
        return;
    }
    forget(m);
    ray_log(m->config.logger, RAY_LOG_WARN, "member", "recovered: the only voter from now on");
    if (member_open_replica(m, &err) != RAY_OK) {
        member_fail(m, &err);
    }
}

static int start(struct coord_member *m, const Rayos__Registry__Command *command,
                 struct ray_err *err)
{
    const Rayos__Registry__ClusterRecover *body = command->cluster_recover;
    struct ray_id *ids = calloc(body->n_survivors + body->n_confirmed_off + 1, sizeof(*ids));
    struct coord_replica_recovery recovery = {.survivors = ids,
                                              .survivor_count = body->n_survivors,
                                              .confirmed_off_count = body->n_confirmed_off,
                                              .principal = command->header->principal,
                                              .reason = command->header->reason};
    int rc = ids == NULL ? ray_fail(err, RAY_ENOMEM, "a recovery") : RAY_OK;

    for (size_t i = 0; rc == RAY_OK && i < body->n_survivors; i++) {
        rc = ray_id_from_bytes(body->survivors[i].data, body->survivors[i].len, &ids[i], err);
    }
    for (size_t i = 0; rc == RAY_OK && i < body->n_confirmed_off; i++) {
        rc = ray_id_from_bytes(body->confirmed_off[i].data, body->confirmed_off[i].len,
                               &ids[body->n_survivors + i], err);
    }
    if (rc == RAY_OK) {
        recovery.confirmed_off = ids + body->n_survivors;
        m->state = MEMBER_RECOVERING;
        rc = coord_replica_recover(&m->world, &recovery, on_recovered, m, err);
    }
    free(ids);
    if (rc != RAY_OK) {
        m->state = MEMBER_UNCLAIMED;
    }
    return rc;
}

static bool is_recovery(const Rayos__Registry__Command *command)
{
    return command != NULL && command->header != NULL &&
           command->body_case == RAYOS__REGISTRY__COMMAND__BODY_CLUSTER_RECOVER &&
           command->cluster_recover->n_survivors > 0;
}

int member_recovery_begin(struct coord_member *m, struct ray_err *err)
{
    Rayos__Registry__Command *command = NULL;
    struct ray_err why = {0};
    struct ray_buf kept;
    int rc;

    ray_buf_init(&kept, COORD_FACTS_VALUE_SIZE_MAX);
    rc = m->facts->ops->get(m->facts, MEMBER_FACT_RECOVERY, &kept, &why);
    if (rc == RAY_OK) {
        command = rayos__registry__command__unpack(NULL, kept.size, kept.data);
        rc = is_recovery(command) ? start(m, command, &why)
                                  : ray_fail(&why, RAY_EMALFORMED, "it cannot be read");
    }
    if (command != NULL) {
        rayos__registry__command__free_unpacked(command, NULL);
    }
    ray_buf_fini(&kept);
    if (rc != RAY_OK && rc != RAY_ENOTFOUND) {
        /* What stands against it stands against it the next time, too. */
        ray_log(m->config.logger, RAY_LOG_ERROR, "member", "not recovered: %s", why.text);
        forget(m);
    }
    return rc == RAY_OK ? RAY_OK
                        : ray_fail(err, RAY_ENOTFOUND, "no recovery is to be done: %s", why.text);
}
