/* One struct pair for each two places a < b: at most one connection, its two ends and two
 * directions. End 0 and direction 0 belong to a: direction 0 is from a to b.
 *
 * A connection is made when both processes are up and have each other as peers. Each end learns
 * of its beginning and its end at a time of its own; what arrives in between is delivered, the
 * rest of a broken connection is lost: always a suffix, so that an epoch stays whole and in
 * order. */
#include "tests/sim/net.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "tests/sim/mem.h"

enum {
    PAIRS_MAX = SIM_NET_PLACES_MAX * SIM_NET_PLACES_MAX,
    DIAL_NS_MAX = 30 * 1000000,
    RESET_NS_MAX = 2 * 1000000,
    RETRANSMIT_NS_MAX = 200 * 1000000,
};

/* What one turn sent to one peer. */
struct packet {
    struct sim_net *net;
    struct packet *next; /* held back */
    uint64_t conn;
    uint8_t from;
    uint8_t to;
    size_t size;
    size_t capacity;
    uint8_t *bytes; /* messages: {u32 size, u8 channel, bytes} */
};

enum { MESSAGE_HEADER_SIZE = 5 };

struct direction {
    uint64_t arrive_ns;  /* of the newest packet: FIFO */
    size_t queued_size;  /* sent, not yet arrived */
    bool was_full;       /* on_writable is owed */
    bool is_cut;         /* outlives connections */
    struct packet *held; /* oldest first */
    struct packet *held_end;
};

struct end {
    bool is_up;     /* the process was told */
    bool is_closed; /* and told of the end, or is gone */
};

struct pair {
    uint64_t conn; /* 0: none */
    bool is_broken;
    bool is_dialing;
    struct direction directions[2];
    struct end ends[2];
};

struct sim_link {
    struct ray_link base;
    struct sim_net *net;
    uint8_t place;
    bool has_peer[SIM_NET_PLACES_MAX];
    struct packet *turn[SIM_NET_PLACES_MAX]; /* of the running turn */
};

struct place {
    struct sim_proc *proc;
    struct ray_id id;
    struct sim_link *link; /* NULL: not open */
};

struct sim_net {
    struct sim_world *world;
    struct sim_net_config config;
    struct sim_rng rng;
    struct place places[SIM_NET_PLACES_MAX];
    uint32_t place_count;
    struct pair pairs[PAIRS_MAX];
    uint64_t next_conn;
    uint64_t message_count;
};

static struct pair *pair_of(struct sim_net *net, uint32_t x, uint32_t y)
{
    assert(x != y);
    return x < y ? &net->pairs[x * SIM_NET_PLACES_MAX + y]
                 : &net->pairs[y * SIM_NET_PLACES_MAX + x];
}

/* The index of `place` in the pair that it makes with `other`. */
static int side(uint32_t place, uint32_t other)
{
    return place < other ? 0 : 1;
}

static struct direction *direction_of(struct sim_net *net, uint32_t from, uint32_t to)
{
    return &pair_of(net, from, to)->directions[side(from, to)];
}

static struct end *end_of(struct sim_net *net, uint32_t place, uint32_t other)
{
    return &pair_of(net, place, other)->ends[side(place, other)];
}

/* Who, towards whom, in which connection: the tag of a pair's event. */
static uint64_t tag_of(uint32_t place, uint32_t other, uint64_t conn)
{
    return conn << 8 | (uint64_t)place << 4 | other;
}

static void packet_free(struct packet *packet)
{
    if (packet != NULL) {
        free(packet->bytes);
        free(packet);
    }
}

/* ---- connections ---- */

static void try_dial(struct sim_net *net, uint32_t a, uint32_t b);

static void end_up(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_net *net = arg;
    uint32_t place = tag >> 4 & 15;
    uint32_t other = tag & 15;
    struct pair *pair = pair_of(net, place, other);
    struct end *end = end_of(net, place, other);

    if (!is_alive || pair->conn != tag >> 8 || end->is_closed) {
        return;
    }
    end->is_up = true;
    struct ray_link *link = &net->places[place].link->base;

    link->user.on_up(link->user.arg, &net->places[other].id, pair->conn);
}

/* Both ends know: the pair is free for a new connection. */
static void end_pair(struct sim_net *net, uint32_t a, uint32_t b)
{
    struct pair *pair = pair_of(net, a, b);

    if (!pair->ends[0].is_closed || !pair->ends[1].is_closed) {
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        struct direction *direction = &pair->directions[i];

        while (direction->held != NULL) {
            struct packet *packet = direction->held;

            direction->held = packet->next;
            packet_free(packet);
        }
        direction->held_end = NULL;
        direction->queued_size = 0;
        direction->was_full = false;
    }
    pair->conn = 0;
    try_dial(net, a, b);
}

static void end_down(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_net *net = arg;
    uint32_t place = tag >> 4 & 15;
    uint32_t other = tag & 15;
    struct pair *pair = pair_of(net, place, other);
    struct end *end = end_of(net, place, other);

    if (!is_alive || pair->conn != tag >> 8 || end->is_closed) {
        return;
    }
    bool was_up = end->is_up;
    uint64_t conn = pair->conn;

    end->is_closed = true;
    end->is_up = false;
    end_pair(net, place, other);
    if (was_up) {
        struct ray_link *link = &net->places[place].link->base;

        link->user.on_down(link->user.arg, &net->places[other].id, conn);
    }
}

static void break_pair(struct sim_net *net, uint32_t a, uint32_t b, uint64_t find_out_ns)
{
    struct pair *pair = pair_of(net, a, b);

    if (pair->conn == 0 || pair->is_broken) {
        return;
    }
    pair->is_broken = true;
    sim_trace(net->world, "net: %" PRIu32 "-%" PRIu32 " breaks, connection %" PRIu64, a, b,
              pair->conn);
    for (int i = 0; i < 2; i++) {
        uint32_t place = i == 0 ? a : b;
        uint32_t other = i == 0 ? b : a;

        if (!end_of(net, place, other)->is_closed) {
            sim_proc_post(net->places[place].proc,
                          net->world->now_ns + sim_rng_below(&net->rng, find_out_ns), end_down, net,
                          tag_of(place, other, pair->conn));
        }
    }
}

static bool may_dial(struct sim_net *net, uint32_t a, uint32_t b)
{
    const struct place *x = &net->places[a];
    const struct place *y = &net->places[b];

    if (x->link == NULL || y->link == NULL || !sim_proc_is_live(x->proc) ||
        !sim_proc_is_live(y->proc)) {
        return false;
    }
    if (x->link->base.user.on_up == NULL || y->link->base.user.on_up == NULL) {
        return false; /* nobody is there who would answer */
    }
    /* One end asks, the other lets it in. A datagram needs no connection: cuts only lose it. */
    return (x->link->has_peer[b] || y->link->has_peer[a]) &&
           (net->config.is_datagram ||
            (!direction_of(net, a, b)->is_cut && !direction_of(net, b, a)->is_cut));
}

static void dial(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_net *net = arg;
    uint32_t a = tag >> 4 & 15;
    uint32_t b = tag & 15;
    struct pair *pair = pair_of(net, a, b);

    if (!is_alive) {
        return;
    }
    pair->is_dialing = false;
    if (pair->conn != 0 || !may_dial(net, a, b)) {
        return;
    }
    pair->conn = ++net->next_conn;
    pair->is_broken = false;
    for (int i = 0; i < 2; i++) {
        uint32_t place = i == 0 ? a : b;
        uint32_t other = i == 0 ? b : a;
        uint64_t up_ns =
            net->world->now_ns + sim_rng_between(&net->rng, 1, 1 + net->config.delay_ns * 2);

        *end_of(net, place, other) = (struct end){.is_up = false};
        /* Nothing may arrive before the end is told that it is up. */
        direction_of(net, other, place)->arrive_ns = up_ns;
        sim_proc_post(net->places[place].proc, up_ns, end_up, net,
                      tag_of(place, other, pair->conn));
    }
}

static void try_dial(struct sim_net *net, uint32_t a, uint32_t b)
{
    struct pair *pair = pair_of(net, a, b);

    if (pair->conn != 0 || pair->is_dialing || !may_dial(net, a, b)) {
        return;
    }
    pair->is_dialing = true;
    sim_world_post(net->world, net->world->now_ns + sim_rng_between(&net->rng, 1, DIAL_NS_MAX),
                   dial, net, tag_of(a, b, 0));
}

/* ---- packets ---- */

static bool is_current(struct sim_net *net, const struct packet *packet)
{
    const struct pair *pair = pair_of(net, packet->from, packet->to);

    return sim_proc_is_live(net->places[packet->to].proc) &&
           end_of(net, packet->to, packet->from)->is_up &&
           (net->config.is_datagram || pair->conn == packet->conn);
}

static void deliver(struct sim_net *net, const struct packet *packet)
{
    struct ray_link *link = &net->places[packet->to].link->base;
    size_t at = 0;

    while (at < packet->size && is_current(net, packet)) {
        uint32_t size = ray_load32le(packet->bytes + at);
        enum ray_link_channel channel = packet->bytes[at + 4];
        /* A copy of the exact size lets a sanitizer see one byte too far. */
        uint8_t *exact = sim_alloc(1, size);

        memcpy(exact, packet->bytes + at + MESSAGE_HEADER_SIZE, size);
        link->user.on_message(link->user.arg, &net->places[packet->from].id,
                              pair_of(net, packet->from, packet->to)->conn, channel, exact, size);
        free(exact);
        at += MESSAGE_HEADER_SIZE + size;
    }
}

static void writable(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_net *net = arg;
    uint32_t place = tag >> 4 & 15;
    uint32_t other = tag & 15;

    if (!is_alive || !end_of(net, place, other)->is_up) {
        return;
    }
    struct ray_link *link = &net->places[place].link->base;

    if (link->user.on_writable != NULL) {
        link->user.on_writable(link->user.arg, &net->places[other].id);
    }
}

static void leave_queue(struct sim_net *net, const struct packet *packet)
{
    struct direction *direction = direction_of(net, packet->from, packet->to);

    if (pair_of(net, packet->from, packet->to)->conn != packet->conn) {
        return;
    }
    direction->queued_size -=
        packet->size < direction->queued_size ? packet->size : direction->queued_size;
    if (direction->was_full && direction->queued_size < RAY_LINK_QUEUE_SIZE_MAX / 2) {
        direction->was_full = false;
        sim_proc_post(net->places[packet->from].proc, net->world->now_ns, writable, net,
                      tag_of(packet->from, packet->to, 0));
    }
}

static void arrive(void *arg, uint64_t tag, bool is_alive)
{
    struct packet *packet = arg;
    struct sim_net *net = packet->net;

    (void)tag;
    if (is_alive) {
        leave_queue(net, packet);
        sim_world_note(net->world, sim_hash(packet->from, packet->bytes, packet->size));
        if (is_current(net, packet)) {
            deliver(net, packet);
        }
    }
    packet_free(packet);
}

static uint64_t arrival_ns(struct sim_net *net, const struct packet *packet)
{
    const struct sim_proc *sender = net->places[packet->from].proc;
    uint64_t begin_ns = net->world->now_ns;

    /* A turn that waited for its disk sends after that. */
    if (sender->is_in_turn && sender->paused_until_ns > begin_ns) {
        begin_ns = sender->paused_until_ns;
    }
    return begin_ns + net->config.delay_ns + sim_rng_below(&net->rng, net->config.jitter_ns + 1);
}

static void launch(struct sim_net *net, struct packet *packet)
{
    struct direction *direction = direction_of(net, packet->from, packet->to);
    uint64_t at_ns = arrival_ns(net, packet);

    if (sim_rng_ppm(&net->rng, net->config.loss_ppm)) {
        at_ns += sim_rng_below(&net->rng, RETRANSMIT_NS_MAX);
    }
    direction->arrive_ns = at_ns > direction->arrive_ns ? at_ns : direction->arrive_ns;
    sim_proc_post(net->places[packet->to].proc, direction->arrive_ns, arrive, packet, 0);
}

/* To whoever lives there then, even if that is another life than the one it was sent to. */
static void arrive_datagram(void *arg, uint64_t tag, bool is_alive)
{
    struct packet *packet = arg;

    (void)tag;
    if (is_alive) {
        sim_proc_post(packet->net->places[packet->to].proc, packet->net->world->now_ns, arrive,
                      packet, 0);
    } else {
        packet_free(packet);
    }
}

static void append_message(struct packet *packet, enum ray_link_channel channel,
                           const uint8_t *bytes, size_t size)
{
    size_t wanted = packet->size + MESSAGE_HEADER_SIZE + size;

    if (wanted > packet->capacity) {
        size_t capacity = wanted > packet->capacity * 2 ? wanted : packet->capacity * 2;
        uint8_t *grown = realloc(packet->bytes, capacity);

        if (grown == NULL) {
            abort();
        }
        packet->bytes = grown;
        packet->capacity = capacity;
    }
    ray_store32le(packet->bytes + packet->size, (uint32_t)size);
    packet->bytes[packet->size + 4] = (uint8_t)channel;
    if (size > 0) {
        memcpy(packet->bytes + packet->size + MESSAGE_HEADER_SIZE, bytes, size);
    }
    packet->size = wanted;
}

static struct packet *packet_new(struct sim_net *net, uint32_t from, uint32_t to)
{
    struct packet *packet = sim_alloc(1, sizeof *packet);

    packet->net = net;
    packet->from = (uint8_t)from;
    packet->to = (uint8_t)to;
    packet->conn = pair_of(net, from, to)->conn;
    return packet;
}

/* Each message of the packet for itself, lost or doubled. */
static void launch_datagrams(struct sim_net *net, const struct packet *packet)
{
    for (size_t at = 0; at < packet->size;) {
        uint32_t size = ray_load32le(packet->bytes + at);
        unsigned copies = sim_rng_ppm(&net->rng, net->config.loss_ppm) ? 0 : 1;

        copies += sim_rng_ppm(&net->rng, net->config.double_ppm);
        if (direction_of(net, packet->from, packet->to)->is_cut) {
            copies = 0;
        }
        for (unsigned i = 0; i < copies; i++) {
            struct packet *single = packet_new(net, packet->from, packet->to);

            append_message(single, packet->bytes[at + 4], packet->bytes + at + MESSAGE_HEADER_SIZE,
                           size);
            sim_world_post(net->world, arrival_ns(net, single), arrive_datagram, single, 0);
        }
        at += MESSAGE_HEADER_SIZE + size;
    }
}

static void hold(struct direction *direction, struct packet *packet)
{
    if (direction->held_end == NULL) {
        direction->held = packet;
    } else {
        direction->held_end->next = packet;
    }
    direction->held_end = packet;
}

static void depart(struct sim_net *net, struct packet *packet)
{
    struct pair *pair = pair_of(net, packet->from, packet->to);
    struct direction *direction = direction_of(net, packet->from, packet->to);

    if (pair->conn != packet->conn || pair->is_broken ||
        !sim_proc_is_live(net->places[packet->from].proc)) {
        packet_free(packet);
    } else if (net->config.is_datagram) {
        launch_datagrams(net, packet);
        leave_queue(net, packet);
        packet_free(packet);
    } else if (direction->is_cut || direction->held != NULL) {
        hold(direction, packet);
    } else {
        launch(net, packet);
    }
}

/* ---- struct ray_link ---- */

static int find_peer(const struct sim_net *net, uint32_t place, const struct ray_id *peer)
{
    for (uint32_t i = 0; i < net->place_count; i++) {
        if (i != place && ray_id_equal(&net->places[i].id, peer)) {
            return (int)i;
        }
    }
    return -1;
}

static int link_send(struct ray_link *base, const struct ray_id *peer,
                     enum ray_link_channel channel, const uint8_t *bytes, size_t size)
{
    struct sim_link *link = (struct sim_link *)base;
    struct sim_net *net = link->net;
    int other = find_peer(net, link->place, peer);

    if (size > RAY_LINK_MESSAGE_SIZE_MAX) {
        return RAY_ETOOBIG;
    }
    if (other < 0 || !end_of(net, link->place, (uint32_t)other)->is_up) {
        return RAY_EUNAVAILABLE;
    }
    struct direction *direction = direction_of(net, link->place, (uint32_t)other);

    if (direction->queued_size + size > RAY_LINK_QUEUE_SIZE_MAX) {
        direction->was_full = true;
        return RAY_EAGAIN;
    }
    struct packet *packet = link->turn[other];

    if (packet != NULL && packet->conn != pair_of(net, link->place, (uint32_t)other)->conn) {
        packet_free(packet);
        packet = NULL;
    }
    if (packet == NULL) {
        packet = packet_new(net, link->place, (uint32_t)other);
        link->turn[other] = packet;
    }
    append_message(packet, channel, bytes, size);
    direction->queued_size += MESSAGE_HEADER_SIZE + size;
    net->message_count++;
    return RAY_OK;
}

static void link_flush(struct ray_link *base)
{
    struct sim_link *link = (struct sim_link *)base;

    for (uint32_t i = 0; i < link->net->place_count; i++) {
        struct packet *packet = link->turn[i];

        link->turn[i] = NULL;
        if (packet != NULL) {
            depart(link->net, packet);
        }
    }
}

static size_t link_queued_size(const struct ray_link *base, const struct ray_id *peer)
{
    const struct sim_link *link = (const struct sim_link *)base;
    int other = find_peer(link->net, link->place, peer);

    return other < 0 ? 0 : direction_of(link->net, link->place, (uint32_t)other)->queued_size;
}

static int link_add_peer(struct ray_link *base, const struct ray_id *peer, const char *address,
                         struct ray_err *err)
{
    struct sim_link *link = (struct sim_link *)base;
    int other = find_peer(link->net, link->place, peer);

    if (other < 0 || address == NULL) {
        char text[RAY_ID_TEXT_SIZE];

        return ray_fail(err, RAY_EINVAL, "no machine answers to %s", ray_id_format(peer, text));
    }
    link->has_peer[other] = true;
    try_dial(link->net, link->place, (uint32_t)other);
    return RAY_OK;
}

static void link_remove_peer(struct ray_link *base, const struct ray_id *peer)
{
    struct sim_link *link = (struct sim_link *)base;
    int other = find_peer(link->net, link->place, peer);

    if (other < 0 || !link->has_peer[other]) {
        return;
    }
    struct end *end = end_of(link->net, link->place, (uint32_t)other);

    link->has_peer[other] = false;
    packet_free(link->turn[other]);
    link->turn[other] = NULL;
    break_pair(link->net, link->place, (uint32_t)other, RESET_NS_MAX);
    end->is_up = false;
    end->is_closed = true;
}

static void link_destroy(struct ray_link *base)
{
    struct sim_link *link = (struct sim_link *)base;

    if (link == NULL) {
        return;
    }
    struct place *place = &link->net->places[link->place];

    for (uint32_t i = 0; i < SIM_NET_PLACES_MAX; i++) {
        packet_free(link->turn[i]);
    }
    assert(place->link == link);
    place->link = NULL;
    place->proc->on_flush = NULL;
    free(link);
}

static const struct ray_link_ops link_ops = {.send = link_send,
                                             .flush = link_flush,
                                             .queued_size = link_queued_size,
                                             .add_peer = link_add_peer,
                                             .remove_peer = link_remove_peer,
                                             .destroy = link_destroy};

static void flush_turn(void *arg)
{
    link_flush(arg);
}

/* ---- the net ---- */

struct sim_net *sim_net_create(struct sim_world *world, const struct sim_net_config *config)
{
    struct sim_net *net = sim_alloc(1, sizeof *net);

    net->world = world;
    net->config = *config;
    sim_rng_fork(&world->rng, &net->rng);
    return net;
}

void sim_net_destroy(struct sim_net *net)
{
    if (net == NULL) {
        return;
    }
    for (uint32_t i = 0; i < net->place_count; i++) {
        assert(net->places[i].link == NULL);
    }
    for (size_t i = 0; i < PAIRS_MAX; i++) {
        for (size_t k = 0; k < 2; k++) {
            struct packet *packet = net->pairs[i].directions[k].held;

            while (packet != NULL) {
                struct packet *next = packet->next;

                packet_free(packet);
                packet = next;
            }
        }
    }
    free(net);
}

void sim_net_set_config(struct sim_net *net, const struct sim_net_config *config)
{
    net->config = *config;
}

uint32_t sim_net_add(struct sim_net *net, struct sim_proc *proc, const struct ray_id *id)
{
    assert(net->place_count < SIM_NET_PLACES_MAX);
    net->places[net->place_count] = (struct place){.proc = proc, .id = *id};
    return net->place_count++;
}

void sim_net_rename(struct sim_net *net, uint32_t place, const struct ray_id *id)
{
    assert(place < net->place_count && net->places[place].link == NULL);
    net->places[place].id = *id;
}

struct ray_link *sim_net_open(struct sim_net *net, uint32_t place)
{
    assert(place < net->place_count && net->places[place].link == NULL);
    struct sim_link *link = sim_alloc(1, sizeof *link);

    link->base.ops = &link_ops;
    link->net = net;
    link->place = (uint8_t)place;
    net->places[place].link = link;
    net->places[place].proc->on_flush = flush_turn;
    net->places[place].proc->flush_arg = link;
    return &link->base;
}

void sim_net_lost(struct sim_net *net, uint32_t place, bool is_power_cut)
{
    for (uint32_t other = 0; other < net->place_count; other++) {
        if (other == place || pair_of(net, place, other)->conn == 0) {
            continue;
        }
        struct end *end = end_of(net, place, other);

        end->is_up = false;
        end->is_closed = true;
        break_pair(net, place, other, is_power_cut ? net->config.give_up_ns : RESET_NS_MAX);
        end_pair(net, place, other);
    }
}

static void give_up(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_net *net = arg;
    uint32_t from = tag >> 4 & 15;
    uint32_t to = tag & 15;

    if (is_alive && pair_of(net, from, to)->conn == tag >> 8 &&
        (direction_of(net, from, to)->is_cut || direction_of(net, to, from)->is_cut)) {
        break_pair(net, from, to, RESET_NS_MAX);
    }
}

void sim_net_cut(struct sim_net *net, uint32_t from, uint32_t to)
{
    struct pair *pair = pair_of(net, from, to);

    direction_of(net, from, to)->is_cut = true;
    if (pair->conn != 0 && !net->config.is_datagram) {
        uint64_t wait_ns = sim_rng_between(&net->rng, SIM_MS, net->config.give_up_ns);

        sim_world_post(net->world, net->world->now_ns + wait_ns, give_up, net,
                       tag_of(from, to, pair->conn));
    }
}

void sim_net_heal(struct sim_net *net, uint32_t from, uint32_t to)
{
    struct direction *direction = direction_of(net, from, to);
    struct packet *packet = direction->held;

    direction->is_cut = false;
    direction->held = NULL;
    direction->held_end = NULL;
    while (packet != NULL) {
        struct packet *next = packet->next;

        packet->next = NULL;
        depart(net, packet);
        packet = next;
    }
    try_dial(net, from, to);
}

void sim_net_heal_all(struct sim_net *net)
{
    for (uint32_t from = 0; from < net->place_count; from++) {
        for (uint32_t to = 0; to < net->place_count; to++) {
            if (from != to) {
                sim_net_heal(net, from, to);
            }
        }
    }
}

bool sim_net_is_cut(const struct sim_net *net, uint32_t from, uint32_t to)
{
    return from < to ? net->pairs[from * SIM_NET_PLACES_MAX + to].directions[0].is_cut
                     : net->pairs[to * SIM_NET_PLACES_MAX + from].directions[1].is_cut;
}

void sim_net_reset(struct sim_net *net, uint32_t a, uint32_t b)
{
    break_pair(net, a, b, RESET_NS_MAX);
}

uint64_t sim_net_message_count(const struct sim_net *net)
{
    return net->message_count;
}
