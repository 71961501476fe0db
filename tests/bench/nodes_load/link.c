/* link.c - what a node says to the leader: hello first, then a renewal every renew_ms, each node
 * at its own time within that. */
#include <string.h>

#include "base/clock.h"
#include "coordinator/lease/grant_codec.h"
#include "net/link_uv.h"
#include "net/proto/member.pb-c.h"
#include "net/proto_codec.h"
#include "tests/bench/nodes_load/nodes.h"

enum { PACKET_SIZE_MAX = 1024 };

static int known(void *arg, const struct ray_id *peer, uint8_t out_static[static RAY_KEY_SIZE],
                 uint8_t out_identity[static RAY_KEY_SIZE])
{
    const struct nodes *nodes = ((struct node *)arg)->nodes;

    if (!ray_id_equal(peer, &nodes->leader)) {
        return RAY_ENOTFOUND;
    }
    memcpy(out_static, nodes->leader_static, RAY_KEY_SIZE);
    memcpy(out_identity, nodes->leader_identity, RAY_KEY_SIZE);
    return RAY_OK;
}

static void send_packet(struct node *node, const Rayos__Member__Packet *packet)
{
    uint8_t bytes[PACKET_SIZE_MAX];
    size_t size = rayos__member__packet__get_packed_size(packet);

    if (size > sizeof bytes) {
        nodes_die("a packet", "too large");
    }
    (void)rayos__member__packet__pack(packet, bytes);
    if (node->link->ops->send(node->link, &node->nodes->leader, RAY_LINK_MEMBER, bytes, size) !=
        RAY_OK) {
        nodes_die("a link", "the leader has gone");
    }
}

/* ---- renewals ---- */

static void renew(void *arg)
{
    struct node *node = arg;
    struct nodes *nodes = node->nodes;
    struct coord_lease_renew content = {.node = node->id,
                                        .incarnation = node->incarnation,
                                        .cluster_epoch = nodes->cluster_epoch,
                                        .t_send_ns = ray_clock_boottime_ns()};
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Renew item = RAYOS__MEMBER__RENEW__INIT;
    Rayos__Member__Renew *items[] = {&item};
    const uint8_t *bytes = NULL;
    size_t size = 0;

    if (node->sent_ns != 0 && nodes->begin_ns != 0) {
        nodes->late++;
    }
    content.hash = coord_lease_hash_of(NULL, 0); /* it runs nothing, and knows that */
    ray_arena_reset(&nodes->arena);
    if (coord_lease_renew_encode(&content, &nodes->arena, &bytes, &size, NULL) != RAY_OK) {
        nodes_die("a renewal", "no memory");
    }
    item.number = content.t_send_ns;
    item.renew = ray_proto_bytes(bytes, size);
    packet.n_renewals = 1;
    packet.renewals = items;
    node->sent_ns = content.t_send_ns;
    send_packet(node, &packet);
}

static void add_sample(struct nodes *nodes, uint64_t took_ns)
{
    if (nodes->begin_ns == 0) {
        return;
    }
    if (nodes->sample_count == nodes->sample_room) {
        nodes_die("samples", "too many");
    }
    nodes->samples_us[nodes->sample_count++] = (uint32_t)(took_ns / RAY_NS_PER_US);
}

static void take_answer(struct node *node, const Rayos__Member__Renewed *renewed)
{
    struct coord_lease_answer answer;

    if (renewed->code != RAY_OK) {
        return; /* no leader for a moment: it counts as late */
    }
    if (coord_lease_answer_decode(renewed->answer.data, renewed->answer.len, &node->nodes->arena,
                                  &answer, NULL) != RAY_OK ||
        answer.status != COORD_LEASE_GRANTED || !answer.is_unchanged) {
        nodes_die("an answer", "nothing is granted");
    }
    if (answer.t_send_ns == node->sent_ns) {
        node->sent_ns = 0;
        add_sample(node->nodes, ray_clock_boottime_ns() - answer.t_send_ns);
    }
}

/* ---- the link ---- */

static void on_message(void *arg, const struct ray_id *peer, uint64_t epoch,
                       enum ray_link_channel channel, const uint8_t *bytes, size_t size)
{
    struct node *node = arg;
    ProtobufCMessage *message = NULL;
    const Rayos__Member__Packet *packet;

    (void)peer;
    (void)epoch;
    if (channel != RAY_LINK_MEMBER) {
        return;
    }
    ray_arena_reset(&node->nodes->arena);
    if (ray_proto_unpack(&rayos__member__packet__descriptor, bytes, size, &node->nodes->arena,
                         &message, NULL) != RAY_OK) {
        nodes_die("a packet", "malformed");
    }
    packet = (const Rayos__Member__Packet *)message;
    if (packet->n_standings > 0) {
        nodes_die("a packet", "this node is not heard");
    }
    for (size_t i = 0; i < packet->n_renewed; i++) {
        take_answer(node, packet->renewed[i]);
    }
}

static void on_up(void *arg, const struct ray_id *peer, uint64_t epoch)
{
    struct node *node = arg;
    struct nodes *nodes = node->nodes;
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Hello hello = RAYOS__MEMBER__HELLO__INIT;

    (void)peer;
    (void)epoch;
    hello.incarnation = ray_proto_id(&node->incarnation);
    hello.boot_counter = 1;
    hello.cluster_epoch = nodes->cluster_epoch;
    packet.hello = &hello;
    send_packet(node, &packet);
    if (!node->is_up) {
        node->is_up = true;
        nodes->up++;
        ray_timer_start(&node->timer, 1 + node->number * nodes->renew_ms / nodes->count,
                        nodes->renew_ms);
    }
    nodes_next(nodes);
}

static void on_down(void *arg, const struct ray_id *peer, uint64_t epoch)
{
    (void)arg;
    (void)peer;
    (void)epoch;
    nodes_die("a link", "the leader has ended it");
}

void node_link(struct node *node)
{
    struct nodes *nodes = node->nodes;
    const struct ray_link_config config = {.key = node->key,
                                           .self = node->id,
                                           .cluster = nodes->cluster,
                                           .cluster_epoch = nodes->cluster_epoch,
                                           .known = known,
                                           .arg = node};
    struct ray_err err = {0};

    if (ray_link_uv_create(&node->link, &nodes->loop, &config, &err) != RAY_OK ||
        ray_timer_init(&node->timer, &nodes->loop, renew, node, &err) != RAY_OK) {
        nodes_die("a link", err.text);
    }
    node->link->user = (struct ray_link_user){
        .on_up = on_up, .on_down = on_down, .on_message = on_message, .arg = node};
    if (node->link->ops->add_peer(node->link, &nodes->leader, nodes->leader_address, &err) !=
        RAY_OK) {
        nodes_die("a link", err.text);
    }
}
