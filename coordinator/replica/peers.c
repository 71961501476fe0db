/* peers.c - the nodes that this one has links to. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/replica/impl.h"

static size_t bucket_of(const struct ray_id *node)
{
    uint64_t word;

    memcpy(&word, node->bytes, sizeof(word)); /* random bytes */
    return word % REPLICA_BUCKETS;
}

struct replica_peer *replica_peer_find(struct coord_replica *r, const struct ray_id *node)
{
    struct replica_peer *peer = r->peers.buckets[bucket_of(node)];

    while (peer != NULL && !ray_id_equal(&peer->node, node)) {
        peer = peer->next_in_bucket;
    }
    return peer;
}

static void take_out(struct coord_replica *r, struct replica_peer *peer)
{
    struct replica_peer **at = &r->peers.buckets[bucket_of(&peer->node)];

    while (*at != peer) {
        at = &(*at)->next_in_bucket;
    }
    *at = peer->next_in_bucket;
    at = &r->peers.all;
    while (*at != peer) {
        at = &(*at)->next;
    }
    *at = peer->next;
    memset(r->peers.servers, 0, sizeof(r->peers.servers));
    r->peers.count--;
    ray_buf_fini(&peer->packet);
    free(peer);
}

/* Somebody without a link, without an address and without a request makes place. */
static bool make_place(struct coord_replica *r)
{
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        if (peer->epoch == 0 && peer->address[0] == '\0' && r->fetching.from != peer &&
            !replica_requests_name(&r->proposals, peer) &&
            !replica_requests_name(&r->reads, peer) && !replica_requests_name(&r->renewals, peer)) {
            take_out(r, peer);
            return true;
        }
    }
    return false;
}

struct replica_peer *replica_peer_get(struct coord_replica *r, const struct ray_id *node)
{
    struct replica_peer *peer = replica_peer_find(r, node);
    size_t bucket = bucket_of(node);

    if (peer != NULL || (r->peers.count >= COORD_REPLICA_PEERS_MAX && !make_place(r))) {
        return peer;
    }
    peer = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*peer));
    if (peer == NULL) {
        return NULL;
    }
    peer->node = *node;
    ray_buf_init(&peer->packet, REPLICA_PACKET_KEPT_MAX);
    peer->next_in_bucket = r->peers.buckets[bucket];
    r->peers.buckets[bucket] = peer;
    peer->next = r->peers.all;
    r->peers.all = peer;
    r->peers.count++;
    return peer;
}

struct replica_peer *replica_peer_of_server(struct coord_replica *r, uint64_t server_id)
{
    struct replica_peer **last = &r->peers.servers[server_id % REPLICA_SERVER_SLOTS];

    if (server_id == 0) {
        return NULL;
    }
    if (*last != NULL && (*last)->server_id == server_id && (*last)->epoch != 0) {
        return *last;
    }
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        if (peer->server_id == server_id && peer->epoch != 0) {
            *last = peer;
            return peer;
        }
    }
    return NULL;
}

struct replica_peer *replica_leader_peer(struct coord_replica *r)
{
    struct replica_peer *peer =
        r->core == NULL ? NULL : replica_peer_of_server(r, coord_core_leader(r->core));

    if (peer != NULL || r->role == COORD_REPLICA_LEADER) {
        return peer;
    }
    /* Who was removed from the configuration may never be told so by the log. */
    peer = replica_peer_find(r, &r->heard_leader);
    return peer != NULL && peer->epoch != 0 ? peer : NULL;
}

/* What ends with an epoch, whether the link says so or a newer one begins. */
static void end_epoch(struct coord_replica *r, struct replica_peer *peer)
{
    peer->epoch = 0;
    peer->has_said_hello = false;
    peer->said = (struct replica_said){0};
    peer->standing = REPLICA_STANDING_GOOD;
    peer->server_id = 0;
    peer->has_lost_answer = false;
    peer->has_removed_us = false;
    peer->is_deafness_told = false;
    peer->asked = (struct coord_probe){0};
    peer->is_frame_due = false;
    ray_buf_clear(&peer->packet);
    replica_trust_weigh_one(r, peer);
    replica_propose_peer_down(r, peer);
    replica_read_peer_down(r, peer);
    replica_grants_peer_down(r, peer);
}

void replica_peer_restart(struct coord_replica *r, struct replica_peer *peer)
{
    struct ray_err err = {0};
    char id[RAY_ID_TEXT_SIZE];

    replica_log(r, RAY_LOG_WARN, "the link to %s is ended: it does not take what it asked for",
                ray_id_format(&peer->node, id));
    r->world.link->ops->remove_peer(r->world.link, &peer->node);
    if (peer->epoch != 0) {
        end_epoch(r, peer);
    }
    if (peer->address[0] != '\0' &&
        r->world.link->ops->add_peer(r->world.link, &peer->node, peer->address, &err) != RAY_OK) {
        peer->address[0] = '\0'; /* the next look at the registry does it */
        r->is_peers_due = true;
    }
}

static void on_up(void *arg, const struct ray_id *node, uint64_t epoch)
{
    struct coord_replica *r = arg;
    struct replica_peer *peer = replica_peer_get(r, node);

    if (peer == NULL) {
        return; /* as if it were down */
    }
    if (peer->epoch != 0) {
        end_epoch(r, peer);
    }
    assert(epoch != 0);
    peer->epoch = epoch;
    peer->has_removed_us = false;
    peer->heard_ns = replica_now_ns(r);
    if (r->role == COORD_REPLICA_FAILED) {
        return;
    }
    replica_hello_say(r, peer); /* before all else in this epoch */
    replica_packet_flush(r, peer);
}

static void on_down(void *arg, const struct ray_id *node, uint64_t epoch)
{
    struct coord_replica *r = arg;
    struct replica_peer *peer = replica_peer_find(r, node);

    if (peer == NULL || peer->epoch != epoch) {
        return;
    }
    if (peer == replica_leader_peer(r)) {
        r->lost_server = peer->server_id;
    }
    end_epoch(r, peer);
    r->is_peers_due = r->is_peers_due || peer->address[0] != '\0'; /* it may have left */
}

static void on_message(void *arg, const struct ray_id *node, uint64_t epoch,
                       enum ray_link_channel channel, const uint8_t *bytes, size_t size)
{
    struct coord_replica *r = arg;
    struct replica_peer *peer = replica_peer_find(r, node);

    if (peer == NULL || peer->epoch != epoch || r->role == COORD_REPLICA_FAILED) {
        return;
    }
    peer->heard_ns = replica_now_ns(r);
    if (channel == RAY_LINK_RAFT) {
        replica_receive_frame(r, peer, bytes, size);
    } else if (channel == RAY_LINK_MEMBER) {
        replica_receive_packet(r, peer, bytes, size);
    }
}

void replica_peers_init(struct coord_replica *r)
{
    r->world.link->user = (struct ray_link_user){
        .on_up = on_up, .on_down = on_down, .on_message = on_message, .arg = r};
}

void replica_peers_fini(struct coord_replica *r)
{
    struct replica_peer *peer = r->peers.all;

    while (peer != NULL) {
        struct replica_peer *next = peer->next;

        ray_buf_fini(&peer->packet);
        free(peer);
        peer = next;
    }
    r->peers = (struct replica_peers){0};
    r->world.link->user = (struct ray_link_user){0};
}

static bool may_have_link(const struct coord_object *node)
{
    return node->node.state == COORD_NODE_MEMBER || node->node.state == COORD_NODE_DRAINED;
}

/* By the registry here, or by somebody who knows more. */
static bool is_member(const struct coord_replica *r, const struct coord_object *node)
{
    return node->node.role != COORD_NODE_OBSERVER || replica_trust_is_vouched_for(r, &node->id);
}

/* Voters and standbys have links to each other; observers come by themselves, also those that
 * had a role before. */
static bool is_dialled(const struct coord_replica *r, const struct coord_object *node)
{
    return !ray_id_equal(&node->id, &r->meta.now.node_id) && node->node.address[0] != '\0' &&
           is_member(r, node);
}

static void refresh_one(struct coord_replica *r, const struct coord_object *node)
{
    struct replica_peer *peer = replica_peer_find(r, &node->id);
    struct ray_err err = {0};

    if (!may_have_link(node)) {
        if (peer != NULL && peer->address[0] != '\0') {
            r->world.link->ops->remove_peer(r->world.link, &node->id);
            peer->address[0] = '\0';
        }
        return;
    }
    if (!is_dialled(r, node)) {
        return;
    }
    peer = replica_peer_get(r, &node->id);
    if (peer == NULL || strcmp(peer->address, node->node.address) == 0) {
        return;
    }
    if (r->world.link->ops->add_peer(r->world.link, &node->id, node->node.address, &err) !=
        RAY_OK) {
        replica_log(r, RAY_LOG_WARN, "no link to %s at %s: %s", node->name, node->node.address,
                    err.text);
        return;
    }
    memcpy(peer->address, node->node.address, sizeof(peer->address));
}

/* A view has voters and standbys alone: who is neither any more has left it. */
static void forget_absent(struct coord_replica *r, struct coord_fsm *fsm)
{
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        if (peer->address[0] != '\0' && coord_fsm_find(fsm, COORD_NODE, &peer->node) == NULL) {
            r->world.link->ops->remove_peer(r->world.link, &peer->node);
            peer->address[0] = '\0';
        }
    }
}

/* Who has left, or has no role any more, is not dialled once its link is down; its slot is free. */
static void forget_departed(struct coord_replica *r)
{
    if (coord_fsm_cluster(r->fsm) == NULL) {
        return;
    }
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        const struct coord_object *node = coord_fsm_find(r->fsm, COORD_NODE, &peer->node);

        if (peer->address[0] != '\0' && peer->epoch == 0 && (node == NULL || !is_member(r, node))) {
            r->world.link->ops->remove_peer(r->world.link, &peer->node);
            peer->address[0] = '\0';
        }
    }
}

/* Removed for good: nobody is dialled. */
static void hang_up(struct coord_replica *r)
{
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        r->world.link->ops->remove_peer(r->world.link, &peer->node);
        peer->address[0] = '\0';
    }
}

void replica_peers_refresh(struct coord_replica *r)
{
    struct coord_fsm *fsm = replica_state(r);
    const struct coord_object *node = coord_fsm_next(fsm, COORD_NODE, NULL);

    if (r->role == COORD_REPLICA_REMOVED) {
        hang_up(r);
        return;
    }
    while (node != NULL) {
        struct ray_id id = node->id;

        refresh_one(r, node);
        node = coord_fsm_next(fsm, COORD_NODE, &id);
    }
    if (replica_is_viewing(r)) {
        forget_absent(r, fsm);
    } else {
        forget_departed(r);
    }
}
