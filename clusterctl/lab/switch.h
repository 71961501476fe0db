/* clusterctl/lab/switch.h - the lab's Ethernet switch: joins QEMU's stream sockets and one end
 * of a veth pair, and injects faults per ordered pair of ports (SWITCH.md).
 *
 * Memory: all allocated at create, except delay lines and captures, which come into being
 * by a command; none per frame.  Threads: one owner.
 * Blocks: only turn, for at most its limit.  Trust: frames are hostile; commands come from
 * whoever may write to the control socket, which has mode 0600. */
#ifndef RAY_LAB_SWITCH_H
#define RAY_LAB_SWITCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "clusterctl/lab/switch_port.h"

struct ray_switch_port_config {
    const char *name;
    enum ray_switch_port_kind kind;
    const char *path; /* socket of a stream port, interface of a packet port */
};

struct ray_switch_config {
    const struct ray_switch_port_config *ports;
    size_t port_count;
    const char *control_path;  /* Unix datagram socket for commands */
    uint64_t seed;             /* of all faults; 0: chosen at random, see ray_switch_seed */
    int stop_fd;               /* readable: turn ends with RAY_ECANCELED; borrowed; -1: none */
    int ready_fd;              /* main writes "ready seed=N\n" when all is open; -1: nobody asks */
    struct ray_logger *logger; /* or NULL */
    /* The clock, for tests; NULL: CLOCK_MONOTONIC. */
    uint64_t (*now_ns)(void *arg);
    void *now_arg;
};

struct ray_switch;

/* RAY_EEXISTS when another switch answers at control_path. */
int ray_switch_create(struct ray_switch **out, const struct ray_switch_config *config,
                      struct ray_err *err);
void ray_switch_destroy(struct ray_switch *sw); /* NULL is fine */
uint64_t ray_switch_seed(const struct ray_switch *sw);

/* Waits for events for at most `wait_max_ns` (0: only looks), and handles them. An error
 * means that the switch cannot go on. */
int ray_switch_turn(struct ray_switch *sw, uint64_t wait_max_ns, struct ray_err *err);

/* The process `clusterctl lab-switch` (switch_main.c): runs until SIGTERM or SIGINT, gives up
 * all privileges but those over files as soon as its sockets are open. stop_fd is its own.
 * Returns the exit status. */
int ray_switch_main(const struct ray_switch_config *config);

#endif
