/* base/loop.h - one event loop per process: a libuv loop with timers and descriptors
 * that need no close callback.
 *
 * Memory: init/fini on caller memory.  A timer or poll is detached by its stop and fini;
 * libuv's asynchronous close is hidden (the handle is a small heap block that frees
 * itself), so that the owner may vanish at once.
 * Threads: one loop, one thread; only ray_loop_stop may be called from a signal-safe
 * uv callback of the same loop.  Blocks: only ray_loop_run.
 * Trust: none. */
#ifndef RAY_BASE_LOOP_H
#define RAY_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"

struct ray_loop_handle;
struct ray_turn_end;

struct ray_loop {
    uv_loop_t uv;
    bool is_open;
    uv_prepare_t turn;               /* runs after all other prepare handles: it is the oldest */
    struct ray_turn_end *turn_ends;  /* asked for; the newest first */
    struct ray_loop_handle *handles; /* of the timers, polls and signals below */
};

int ray_loop_init(struct ray_loop *loop, struct ray_err *err);
/* Closes whatever handles are left, runs their close callbacks; safe on zeroed. Timers,
 * polls and signals that are still open are closed with it and must not be used after. */
void ray_loop_fini(struct ray_loop *loop);
void ray_loop_run(struct ray_loop *loop);  /* until stop or nothing is left to wait for */
void ray_loop_once(struct ray_loop *loop); /* one turn, waiting for an event */
void ray_loop_stop(struct ray_loop *loop);
uint64_t ray_loop_now_ns(const struct ray_loop *loop); /* monotonic, of this turn */

/* Timers. start on a running timer re-arms it. repeat_ms 0: once. A timer, poll or signal
 * stays at its address between init and fini; fini is safe on zeroed and twice. */
struct ray_timer {
    uv_timer_t *uv; /* NULL until init */
    void (*cb)(void *arg);
    void *arg;
};

int ray_timer_init(struct ray_timer *timer, struct ray_loop *loop, void (*cb)(void *arg), void *arg,
                   struct ray_err *err);
void ray_timer_start(struct ray_timer *timer, uint64_t after_ms, uint64_t repeat_ms);
void ray_timer_stop(struct ray_timer *timer);
bool ray_timer_is_active(const struct ray_timer *timer);
void ray_timer_fini(struct ray_timer *timer);

/* Readiness of a descriptor, which stays the caller's (fini never closes it; fini before
 * closing it). events: UV_READABLE | UV_WRITABLE | UV_DISCONNECT | UV_PRIORITIZED; 0 pauses.
 * The callback gets the ready events, or a negative RAY_E* in `status`: RAY_ECLOSED when the
 * kernel reports an error on the descriptor; the poll is paused then. */
struct ray_poll {
    uv_poll_t *uv; /* NULL until init */
    void (*cb)(void *arg, int status, int events);
    void *arg;
};

int ray_poll_init(struct ray_poll *poll, struct ray_loop *loop, int fd,
                  void (*cb)(void *arg, int status, int events), void *arg, struct ray_err *err);
int ray_poll_set(struct ray_poll *poll, int events);
void ray_poll_fini(struct ray_poll *poll);

/* What is done once when a turn is over: after the callbacks of all that happened in it, before
 * the loop waits again; so that many small things become one. The struct stays at its address
 * from an ask to its call or cancel; a zeroed one may be cancelled. */
struct ray_turn_end {
    void (*cb)(void *arg);
    void *arg;
    struct ray_turn_end *next;
    struct ray_turn_end **link; /* what points to us; NULL: not asked for */
};

/* cb and arg are set; the loop runs at least until then. Asked again before it was called it is
 * called once. */
void ray_turn_end_ask(struct ray_turn_end *end, struct ray_loop *loop);
void ray_turn_end_cancel(struct ray_turn_end *end);

/* A signal on the loop. */
struct ray_signal {
    uv_signal_t *uv; /* NULL until init */
    void (*cb)(void *arg, int signum);
    void *arg;
};

int ray_signal_init(struct ray_signal *signal, struct ray_loop *loop, int signum,
                    void (*cb)(void *arg, int signum), void *arg, struct ray_err *err);
void ray_signal_fini(struct ray_signal *signal);

#endif
