/* refill.c - how a member whose log or state cannot be trusted comes back by itself.
 *
 *   quarantined     says so in each hello; no vote, nothing is served
 *   leader          has its boot admitted, gives it a new number, tells it
 *   here            number and "to be refilled" go into the meta block; the owner starts anew
 *   at that start   log, snapshots and checkpoint go, then the mark; it waits to be added
 *
 * The old number is nobody's from then on: the policy of members takes it out of the
 * configuration, after the new one has caught up where voters are few. A crash at any point leaves
 * either the quarantine, or the mark, or the new member.
 *
 * After a recovery a node outside its list may run what the lost majority granted it. In quarantine
 * its agent is granted nothing, so W after its hello all of that has stopped; only then it is
 * admitted, and known again. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"
#include "net/proto/registry.pb-c.h"
#include "net/proto_codec.h"

/* Lives until the disk has answered, also when the replica is gone. */
struct replica_wipe {
    struct coord_replica *owner; /* NULL: gone */
    struct coord_disk *disk;
    char name[COORD_DISK_NAME_SIZE]; /* that is being removed */
    bool is_under_way;
    bool is_done;
    int status;
};

/* ---- the member itself ---- */

void replica_refill_begin(struct coord_replica *r, uint64_t server_id)
{
    struct coord_meta next = r->meta.now;
    struct ray_err why = {0};

    if (r->role != COORD_REPLICA_QUARANTINED || r->is_refilling ||
        server_id <= r->meta.now.server_id) {
        return;
    }
    next.server_id = server_id;
    next.flags |= COORD_META_QUARANTINED | COORD_META_REFILL;
    if (coord_meta_write(&r->meta, &next, &why) == RAY_OK) {
        (void)ray_fail(&why, RAY_EAGAIN, "this member begins anew as number %llu",
                       (unsigned long long)server_id);
    }
    replica_fail(r, &why);
}

static void note_name(void *arg, const char *name, uint64_t size)
{
    struct replica_wipe *wipe = arg;

    (void)size;
    if (strcmp(name, COORD_META_NAME) != 0) {
        (void)snprintf(wipe->name, sizeof(wipe->name), "%s", name);
    }
}

static void on_removed(void *arg, int status);

/* One file after another; the meta block stays. */
static void wipe_more(struct replica_wipe *wipe)
{
    int rc;

    wipe->name[0] = '\0';
    rc = wipe->disk->ops->list(wipe->disk, note_name, wipe, NULL);
    if (rc == RAY_OK && wipe->name[0] != '\0') {
        wipe->is_under_way = true;
        wipe->disk->ops->remove(wipe->disk, wipe->name, on_removed, wipe);
        return;
    }
    wipe->is_done = true;
    wipe->status = rc;
}

static void on_removed(void *arg, int status)
{
    struct replica_wipe *wipe = arg;

    wipe->is_under_way = false;
    if (wipe->owner == NULL) {
        free(wipe);
    } else if (status == RAY_OK) {
        wipe_more(wipe);
    } else {
        wipe->is_done = true;
        wipe->status = status;
    }
}

int replica_refill_start(struct coord_replica *r, struct ray_err *err)
{
    assert((r->meta.now.flags & COORD_META_REFILL) != 0 && r->wipe == NULL);
    r->wipe = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*r->wipe));
    if (r->wipe == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a refill");
    }
    r->wipe->owner = r;
    r->wipe->disk = r->world.disk;
    r->is_refilling = true;
    wipe_more(r->wipe);
    return RAY_OK;
}

void replica_refill_fini(struct coord_replica *r)
{
    struct replica_wipe *wipe = r->wipe;

    r->wipe = NULL;
    if (wipe == NULL) {
        return;
    }
    wipe->owner = NULL;
    if (!wipe->is_under_way) {
        free(wipe);
    }
}

/* Nothing of the old number is left: from here on this is a member like one that has joined. */
static int be_new(struct coord_replica *r, struct ray_err *err)
{
    struct coord_meta next = r->meta.now;
    int rc = r->world.checkpoint->ops->wipe(r->world.checkpoint, err);

    if (rc != RAY_OK) {
        return rc;
    }
    next.flags &= ~(uint32_t)(COORD_META_QUARANTINED | COORD_META_REFILL);
    next.boot_count = 0; /* those of the old number say nothing of the new one */
    r->world.env->random(r->world.env->arg, next.log_salt, sizeof(next.log_salt));
    rc = coord_meta_write(&r->meta, &next, err);
    if (rc != RAY_OK) {
        return rc;
    }
    r->is_refilling = false;
    r->role = COORD_REPLICA_FOLLOWER;
    return replica_open_state(r, err);
}

static void ask_again(struct coord_replica *r)
{
    uint64_t now_ns = replica_now_ns(r);

    if (now_ns < r->duty_ns) {
        return;
    }
    r->duty_ns = now_ns + r->config.duty_ms * RAY_NS_PER_MS;
    replica_hellos_due(r);
}

void replica_refill_turn(struct coord_replica *r)
{
    struct ray_err err = {0};
    int rc;

    if (r->role != COORD_REPLICA_QUARANTINED) {
        return;
    }
    if (r->wipe == NULL) {
        ask_again(r);
        return;
    }
    if (!r->wipe->is_done) {
        return;
    }
    rc = r->wipe->status == RAY_OK ? RAY_OK
                                   : ray_fail(&err, r->wipe->status, "the old log stays: %s",
                                              ray_err_text(r->wipe->status));
    replica_refill_fini(r);
    if (rc == RAY_OK) {
        rc = be_new(r, &err);
    }
    if (rc != RAY_OK) {
        replica_fail(r, &err);
    }
    replica_hellos_due(r);
}

/* ---- the leader ---- */

static void admit(struct coord_replica *r, const struct replica_peer *peer)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeAdmit body = RAYOS__REGISTRY__NODE_ADMIT__INIT;

    body.node = ray_proto_id(&peer->node);
    body.incarnation = ray_proto_id(&peer->said.incarnation);
    body.boot_counter = peer->said.boot_counter;
    body.cluster_epoch = coord_fsm_cluster(r->fsm)->cluster.cluster_epoch;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_ADMIT;
    command.node_admit = &body;
    replica_propose_office(r, &command, "the node has started, in quarantine");
}

static void renumber(struct coord_replica *r, const struct replica_peer *peer, uint64_t raft_id)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeRenumber body = RAYOS__REGISTRY__NODE_RENUMBER__INIT;

    body.node = ray_proto_id(&peer->node);
    body.expected_raft_id = raft_id;
    body.incarnation = ray_proto_id(&peer->said.incarnation);
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_RENUMBER;
    command.node_renumber = &body;
    replica_propose_office(r, &command, "its log or state was damaged");
}

static void give(struct coord_replica *r, struct replica_peer *peer, uint64_t raft_id)
{
    Rayos__Member__Standing item = RAYOS__MEMBER__STANDING__INIT;

    item.kind = RAYOS__MEMBER__STANDING_KIND__STANDING_RENUMBERED;
    item.server_id = raft_id;
    item.is_yours = true;
    replica_standing_tell(r, peer, &item);
}

static bool is_unknown(struct coord_replica *r, const struct ray_id *node)
{
    const struct coord_cluster *cluster = &coord_fsm_cluster(r->fsm)->cluster;

    for (uint32_t i = 0; i < cluster->unknown_count; i++) {
        if (ray_id_equal(&cluster->unknown_nodes[i], node)) {
            return true;
        }
    }
    return false;
}

/* The wait begins when this leader first serves that boot. */
static bool has_stopped(struct coord_replica *r, struct replica_peer *peer)
{
    if (!ray_id_equal(&peer->stopping, &peer->said.incarnation)) {
        peer->stopping = peer->said.incarnation;
        peer->stopping_ns = replica_now_ns(r);
    }
    return replica_now_ns(r) - peer->stopping_ns > replica_grants_wait_ns(r) ||
           RAY_MUTANT(REPLICA_KNOWN_AT_ONCE);
}

static void serve(struct coord_replica *r, struct replica_peer *peer)
{
    const struct coord_object *node = coord_fsm_find(r->fsm, COORD_NODE, &peer->node);

    if (node == NULL ||
        (node->node.state != COORD_NODE_MEMBER && node->node.state != COORD_NODE_DRAINED)) {
        return;
    }
    if (is_unknown(r, &peer->node)) {
        if (has_stopped(r, peer)) {
            admit(r, peer);
        }
    } else if (!ray_id_equal(&node->node.incarnation, &peer->said.incarnation)) {
        admit(r, peer);
    } else if (node->node.raft_id <= peer->said.server_id ||
               node->node.numbered_revision < node->node.admitted_revision) {
        /* That number may have been used by an earlier boot. */
        renumber(r, peer, node->node.raft_id);
    } else {
        give(r, peer, node->node.raft_id);
    }
}

bool replica_refill_is_served(const struct replica_peer *peer)
{
    return peer->epoch != 0 && peer->has_said_hello && peer->said.is_quarantined &&
           (peer->standing == REPLICA_STANDING_GOOD ||
            peer->standing == REPLICA_STANDING_RENUMBERED);
}

void replica_refill_serve(struct coord_replica *r)
{
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        if (replica_refill_is_served(peer)) {
            serve(r, peer);
        }
    }
}
