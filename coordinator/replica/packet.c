/* packet.c - items to and from peers. Packets are protobuf, and concatenated packets are one
 * packet: so each item is packed by itself onto what the turn will send. */
#include <assert.h>
#include <string.h>

#include "base/varint.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"
#include "net/proto_codec.h"

static int add(struct coord_replica *r, struct replica_peer *peer,
               const Rayos__Member__Packet *item, size_t kept_max)
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
    if (peer->packet.size + size > kept_max) {
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

int replica_packet_add(struct coord_replica *r, struct replica_peer *peer,
                       const Rayos__Member__Packet *item)
{
    return add(r, peer, item, REPLICA_PACKET_SIZE_MAX);
}

/* Who asked waits for it, and asks again only when the link ends or another leads. */
void replica_packet_answer(struct coord_replica *r, struct replica_peer *peer,
                           const Rayos__Member__Packet *item)
{
    size_t kept_max =
        RAY_MUTANT(REPLICA_ANSWER_LOST) ? REPLICA_PACKET_SIZE_MAX : REPLICA_PACKET_KEPT_MAX;

    if (add(r, peer, item, kept_max) == RAY_EAGAIN && !RAY_MUTANT(REPLICA_ANSWER_LOST)) {
        peer->has_lost_answer = true;
    }
}

/* The items at the front that fit into one message; all are ours, of {tag, length, bytes}. */
static size_t front(const struct ray_buf *packet)
{
    size_t at = 0;

    if (packet->size <= REPLICA_PACKET_SIZE_MAX) {
        return packet->size;
    }
    while (at < packet->size) {
        uint64_t tag = 0;
        uint64_t length = 0;
        size_t next = at + ray_varint_take(packet->data + at, packet->size - at, &tag);

        next += ray_varint_take(packet->data + next, packet->size - next, &length);
        next += (size_t)length;
        assert(next > at && next <= packet->size);
        if (next > REPLICA_PACKET_SIZE_MAX) {
            break;
        }
        at = next;
    }
    assert(at > 0);
    return at;
}

void replica_packet_flush(struct coord_replica *r, struct replica_peer *peer)
{
    while (peer->packet.size > 0 && peer->epoch != 0) {
        size_t size = front(&peer->packet);

        /* A full link is tried again at the next turn; on_down follows when it is gone. */
        if (r->world.link->ops->send(r->world.link, &peer->node, RAY_LINK_MEMBER, peer->packet.data,
                                     size) == RAY_EAGAIN) {
            return;
        }
        ray_buf_consume(&peer->packet, size);
    }
    ray_buf_clear(&peer->packet);
}

void replica_packets_flush(struct coord_replica *r)
{
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        if (peer->has_lost_answer) {
            replica_peer_restart(r, peer);
        }
        replica_packet_flush(r, peer);
    }
}

static void receive_items(struct coord_replica *r, struct replica_peer *peer,
                          const Rayos__Member__Packet *packet)
{
    if (packet->hello != NULL) {
        replica_hello_heard(r, peer, packet->hello);
    }
    for (size_t i = 0; i < packet->n_standings; i++) {
        replica_standing_told(r, peer, packet->standings[i]);
    }
    if (!replica_standing_is_heard(peer)) {
        return;
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
