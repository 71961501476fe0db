/* packet.c - items to and from peers. Packets are protobuf, and concatenated packets are one
 * packet: so each item is packed by itself onto what the turn will send. */
#include <assert.h>
#include <string.h>

#include "coordinator/replica/impl.h"
#include "net/proto_codec.h"

int replica_packet_add(struct coord_replica *r, struct replica_peer *peer,
                       const Rayos__Member__Packet *item)
{
    size_t size = rayos__member__packet__get_packed_size(item);
    int rc;

    if (peer->epoch == 0) {
        return RAY_EUNAVAILABLE;
    }
    assert(size <= REPLICA_PACKET_SIZE_MAX);
    if (peer->packet.size + size > REPLICA_PACKET_FLUSH_SIZE) {
        replica_packet_flush(r, peer);
    }
    if (peer->packet.size + size > REPLICA_PACKET_SIZE_MAX) {
        return RAY_EAGAIN; /* the link is full and kept what was there */
    }
    rc = ray_buf_reserve(&peer->packet, size);
    if (rc != RAY_OK) {
        return RAY_EAGAIN;
    }
    (void)rayos__member__packet__pack(item, peer->packet.data + peer->packet.size);
    peer->packet.size += size;
    return RAY_OK;
}

void replica_packet_flush(struct coord_replica *r, struct replica_peer *peer)
{
    int rc;

    if (peer->packet.size == 0) {
        return;
    }
    if (peer->epoch == 0) {
        ray_buf_clear(&peer->packet);
        return;
    }
    rc = r->world.link->ops->send(r->world.link, &peer->node, RAY_LINK_MEMBER, peer->packet.data,
                                  peer->packet.size);
    /* A full link is tried again at the next turn; on_down follows when it is gone. */
    if (rc != RAY_EAGAIN) {
        ray_buf_clear(&peer->packet);
    }
}

void replica_packets_flush(struct coord_replica *r)
{
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        replica_packet_flush(r, peer);
    }
}

/* Members hear of their leader from consensus; others believe the newest term. */
static void hear_leader(struct coord_replica *r, const Rayos__Member__Hello *hello)
{
    struct ray_id leader;

    if (hello->leader.len > 0 && hello->term >= r->heard_leader_term &&
        ray_id_from_bytes(hello->leader.data, hello->leader.len, &leader, NULL) == RAY_OK) {
        r->heard_leader = leader;
        r->heard_leader_term = hello->term;
    }
}

void replica_hello_say(struct coord_replica *r, struct replica_peer *peer)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Hello hello = RAYOS__MEMBER__HELLO__INIT;

    hello.server_id = r->meta.now.server_id;
    hello.incarnation.data = r->meta.now.incarnation.bytes;
    hello.incarnation.len = RAY_ID_SIZE;
    hello.boot_counter = r->meta.now.boot_counter;
    hello.feature_level = COORD_FSM_FEATURE_LEVEL;
    hello.applied_index = r->fsm == NULL ? 0 : coord_fsm_index(r->fsm);
    hello.address = r->address;
    hello.cluster_epoch = r->meta.now.cluster_epoch;
    hello.has_space = !r->is_full;
    hello.term = r->meta.now.term;
    if (r->role != COORD_REPLICA_WAITING) {
        hello.leader.data = r->told_leader.bytes;
        hello.leader.len = ray_id_is_none(&r->told_leader) ? 0 : RAY_ID_SIZE;
    }
    packet.hello = &hello;
    peer->is_hello_due = replica_packet_add(r, peer, &packet) != RAY_OK;
}

static void receive_hello(struct replica_peer *peer, const Rayos__Member__Hello *hello)
{
    struct ray_id incarnation;

    if (ray_id_from_bytes(hello->incarnation.data, hello->incarnation.len, &incarnation, NULL) !=
        RAY_OK) {
        return;
    }
    peer->server_id = hello->server_id;
    peer->incarnation = incarnation;
    peer->boot_counter = hello->boot_counter;
    peer->feature_level = hello->feature_level;
    peer->has_space = hello->has_space;
    peer->has_said_hello = true;
}

static void receive_items(struct coord_replica *r, struct replica_peer *peer,
                          const Rayos__Member__Packet *packet)
{
    if (packet->hello != NULL) {
        receive_hello(peer, packet->hello);
        hear_leader(r, packet->hello);
    }
    for (size_t i = 0; i < packet->n_proposals; i++) {
        replica_propose_remote(r, peer, packet->proposals[i]);
    }
    for (size_t i = 0; i < packet->n_proposed; i++) {
        replica_propose_answered(r, peer, packet->proposed[i]);
    }
    for (size_t i = 0; i < packet->n_reads; i++) {
        replica_read_remote(r, peer, packet->reads[i]);
    }
    for (size_t i = 0; i < packet->n_reads_given; i++) {
        replica_read_answered(r, peer, packet->reads_given[i]);
    }
    for (size_t i = 0; i < packet->n_renewals; i++) {
        replica_grants_remote(r, peer, packet->renewals[i]);
    }
    for (size_t i = 0; i < packet->n_renewed; i++) {
        replica_grants_answered(r, peer, packet->renewed[i]);
    }
    for (size_t i = 0; i < packet->n_snapshot_asks && i < REPLICA_SNAPSHOT_ASKS_MAX; i++) {
        replica_snapshot_asked(r, peer, packet->snapshot_asks[i]);
    }
    for (size_t i = 0; i < packet->n_snapshot_parts; i++) {
        replica_fetching_part(r, peer, packet->snapshot_parts[i]);
    }
}

void replica_receive_packet(struct coord_replica *r, struct replica_peer *peer,
                            const uint8_t *bytes, size_t size)
{
    ProtobufCMessage *message = NULL;
    struct ray_err err = {0};

    ray_arena_reset(&r->arena);
    if (ray_proto_unpack(&rayos__member__packet__descriptor, bytes, size, &r->arena, &message,
                         &err) != RAY_OK) {
        replica_log(r, RAY_LOG_WARN, "packet dropped: %s", err.text);
        return;
    }
    receive_items(r, peer, (const Rayos__Member__Packet *)message);
}
