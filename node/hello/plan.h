/* node/hello/plan.h - what a hello does next, without doing any of it.
 *
 * Each event is answered by one order; the shell (session.c) carries it out and comes back with
 * the next event. Time and randomness come with the event.
 *
 *              refused, back-off            not ready, a second
 *             +-------- WAIT <----------------------------------+
 *             v          |                                      |
 *   START -> POST init --+--> ASK whether the node is ready -> POST ready -> END
 *                          (taken, or the wait is over)
 *
 * A node that is ready before its first hello was taken says only that it is ready. All ends
 * after ten minutes: later nobody counts a boot as good.
 * Memory: none beyond the struct.  Threads: one owner.  Blocks: never.
 * Trust: a status from the server is any number. */
#ifndef RAY_NODE_HELLO_PLAN_H
#define RAY_NODE_HELLO_PLAN_H

#include <stdbool.h>
#include <stdint.h>

enum {
    HELLO_TOTAL_MS = 600000,
    HELLO_ASK_AGAIN_MS = 1000,
    HELLO_RETRY_MIN_MS = 1000,
    HELLO_RETRY_MAX_MS = 30000,
};

enum hello_phase {
    HELLO_PHASE_INIT,  /* PID 1 has started us: kernel, image and network are good so far */
    HELLO_PHASE_READY, /* the node serves */
};

enum hello_event_kind {
    HELLO_EVENT_START,    /* first, once */
    HELLO_EVENT_ANSWERED, /* to POST: the server's status */
    HELLO_EVENT_FAILED,   /* to POST: no answer */
    HELLO_EVENT_NODE,     /* to ASK: is_ready; false also when PID 1 did not say */
    HELLO_EVENT_WAITED,   /* to WAIT */
};

struct hello_event {
    enum hello_event_kind kind;
    int status;
    bool is_ready;
    uint32_t random; /* for the jitter of back-off */
};

enum hello_order_kind {
    HELLO_ORDER_POST,
    HELLO_ORDER_ASK,
    HELLO_ORDER_WAIT,
    HELLO_ORDER_END,
};

enum hello_end {
    HELLO_END_DONE,    /* both phases that there were to say are said */
    HELLO_END_REFUSED, /* the server does not take hellos */
    HELLO_END_LATE,    /* ten minutes are over */
};

struct hello_order {
    enum hello_order_kind kind;
    enum hello_phase phase; /* of POST */
    uint32_t wait_ms;       /* of WAIT */
    enum hello_end end;     /* of END */
};

struct hello_plan {
    enum hello_order_kind last; /* what the next event answers */
    enum hello_phase phase;     /* of the last POST */
    uint64_t end_ms;
    uint32_t failure_count; /* in a row */
    bool has_said_init;
    bool is_ready; /* of the node; stays */
};

struct hello_order hello_plan_step(struct hello_plan *plan, const struct hello_event *event,
                                   uint64_t now_ms);

const char *hello_phase_word(enum hello_phase phase); /* "init" */
const char *hello_end_text(enum hello_end end);

#endif
