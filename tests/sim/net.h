/* tests/sim/net.h - the network as struct ray_link: delay, cuts of one direction, connections
 * that break unawares, and a mode without any of the link's promises.
 *
 * Ordinary mode keeps what net/link.h promises (FIFO, no duplicates, epochs that end); a cut
 * direction holds messages back, as a transport that sends again would, until it heals or the
 * connection is given up. Datagram mode loses, doubles and reorders single messages, also over
 * the end of an epoch: the core must survive that too.
 *
 * Memory: create and destroy; a link belongs to one life of a process and goes with its destroy.
 * Threads: one.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_NET_H
#define RAY_TESTS_SIM_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "net/link.h"
#include "tests/sim/world.h"

enum { SIM_NET_PLACES_MAX = 16 };

struct sim_net_config {
    uint64_t delay_ns; /* of every message, at least */
    uint64_t jitter_ns;
    uint64_t give_up_ns; /* a cut connection breaks after up to this */
    bool is_datagram;
    uint32_t loss_ppm; /* datagram mode: of single messages; otherwise: late by a retransmission */
    uint32_t double_ppm; /* datagram mode */
};

struct sim_net;

struct sim_net *sim_net_create(struct sim_world *world, const struct sim_net_config *config);
/* After sim_world_drain. */
void sim_net_destroy(struct sim_net *net);
void sim_net_set_config(struct sim_net *net, const struct sim_net_config *config);

/* A place is where a process lives under one identity; returns its number. */
uint32_t sim_net_add(struct sim_net *net, struct sim_proc *proc, const struct ray_id *id);
/* Another identity at this place: the node was wiped. Only while it is down. */
void sim_net_rename(struct sim_net *net, uint32_t place, const struct ray_id *id);
/* The process has started: its link set, to be destroyed before it starts again. */
struct ray_link *sim_net_open(struct sim_net *net, uint32_t place);
/* The process is gone. is_power_cut: its peers are not told, they find out. */
void sim_net_lost(struct sim_net *net, uint32_t place, bool is_power_cut);

void sim_net_cut(struct sim_net *net, uint32_t from, uint32_t to);
void sim_net_heal(struct sim_net *net, uint32_t from, uint32_t to);
void sim_net_heal_all(struct sim_net *net);
bool sim_net_is_cut(const struct sim_net *net, uint32_t from, uint32_t to);
/* Breaks the connection of two places; they may connect again at once. */
void sim_net_reset(struct sim_net *net, uint32_t a, uint32_t b);

uint64_t sim_net_message_count(const struct sim_net *net);

#endif
