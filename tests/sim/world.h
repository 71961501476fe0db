/* tests/sim/world.h - true time, the queue of what happens next, and processes that may be
 * paused, killed and started again.
 *
 * Everything happens in events, in the order of time and then of posting. One seed gives one
 * run: world.hash says whether two runs were the same.
 *
 * A turn is what a loop finds in one look: one event of a process, now and then all that come
 * within gather_max_ns; then on_turn_end. A process that dies within an event (power cut in the
 * middle of a write) ends the turn as a ghost: is_dying is set, and nothing that it does reaches
 * the world any more.
 *
 * Memory: world by create and destroy; processes belong to it.  Threads: one.  Blocks: never.
 * Trust: none. */
#ifndef RAY_TESTS_SIM_WORLD_H
#define RAY_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "coordinator/env.h"
#include "tests/sim/clock.h"
#include "tests/sim/rng.h"

#define SIM_MS UINT64_C(1000000)
#define SIM_S UINT64_C(1000000000)

enum { SIM_PROCS_MAX = 64 };

struct sim_world;

/* `is_alive` is false when the process that this was meant for is gone, or the world ends: then
 * only memory may be freed. */
typedef void sim_event_fn(void *arg, uint64_t tag, bool is_alive);

struct sim_proc {
    struct sim_world *world;
    uint32_t index;
    uint64_t life; /* counts starts; events of earlier lives are dropped */
    bool is_up;
    bool is_dying;
    bool is_in_turn;          /* within an event of it */
    uint64_t paused_until_ns; /* true time */
    uint64_t deferred_to_ns;  /* where events of the pause wait */
    struct sim_clock *clock;  /* of its machine; borrowed */
    struct sim_rng rng;
    struct coord_env env;
    uint64_t timer_at_ns;     /* asked for, local time; UINT64_MAX: none */
    uint64_t timer_event_ns;  /* of the event behind it, true time; UINT64_MAX: none */
    uint64_t timer_number;    /* of that event */
    uint64_t slack_max_ns;    /* timers come late by up to this */
    uint64_t gather_max_ns;   /* a turn may take in events for so long; 0: one event each */
    uint64_t gather_until_ns; /* of the turn that is open, true time; 0: none is */
    /* Set by whoever starts the process. */
    void (*on_timer)(void *arg);
    void (*on_turn_end)(void *arg); /* may be NULL */
    void (*on_died)(void *arg);     /* after a turn that it did not survive; may be NULL */
    void (*on_log)(void *arg, enum ray_log_level level, const char *text); /* may be NULL */
    void *arg;
    /* The network's and the disk's share of a turn's end. */
    void (*on_flush)(void *arg);
    void *flush_arg;
};

struct sim_world {
    uint64_t now_ns;
    uint64_t hash;
    uint64_t event_count;
    struct sim_rng rng;
    struct sim_proc procs[SIM_PROCS_MAX];
    uint32_t proc_count;
    FILE *trace; /* borrowed; NULL: none */
    struct sim_event *heap;
    size_t heap_count;
    size_t heap_capacity;
    uint64_t next_number;
    uint64_t next_deferred; /* numbers below all of next_number */
};

struct sim_world *sim_world_create(uint64_t seed);
void sim_world_destroy(struct sim_world *world);

/* An event of nobody: a fault, a client, a packet on its way. `at_ns` is true time. */
void sim_world_post(struct sim_world *world, uint64_t at_ns, sim_event_fn *fn, void *arg,
                    uint64_t tag);
/* Runs the next event when it is not after `end_ns`; false: none was, and now_ns is end_ns. */
bool sim_world_step(struct sim_world *world, uint64_t end_ns);
/* Calls everything that waits with is_alive false: before the objects behind it are freed. */
void sim_world_drain(struct sim_world *world);
/* Into the run's hash. */
void sim_world_note(struct sim_world *world, uint64_t value);
void sim_trace(struct sim_world *world, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A process that is not up yet. */
struct sim_proc *sim_proc_add(struct sim_world *world, struct sim_clock *clock);
void sim_proc_start(struct sim_proc *proc);
/* Its events are dropped from now on. Not within one of its turns: see sim_proc_die. */
void sim_proc_kill(struct sim_proc *proc);
/* From within its turn: becomes a ghost until the turn's end, then on_died. */
void sim_proc_die(struct sim_proc *proc);
void sim_proc_pause(struct sim_proc *proc, uint64_t until_ns);
/* Up, and not a ghost. */
bool sim_proc_is_live(const struct sim_proc *proc);
/* An event of this life of the process; waits while it is paused. */
void sim_proc_post(struct sim_proc *proc, uint64_t at_ns, sim_event_fn *fn, void *arg,
                   uint64_t tag);
/* An event from outside: a request of a client. False: it is down or paused. */
bool sim_proc_run(struct sim_proc *proc, void (*fn)(void *arg), void *arg);
uint64_t sim_proc_now_ns(const struct sim_proc *proc); /* on its own clock */

#endif
