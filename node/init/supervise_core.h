/* node/init/supervise_core.h - what supervision decides, without doing any of it.
 *
 * step(core, event, now) changes the state machines and returns effects for the shell
 * (supervise.c). Time and randomness come with the event, so tests run years in a moment.
 *
 *              deps ready             READY=1 or started
 *   waiting ----------------> starting ----------------> ready
 *      ^                         |  exit, deadline         |  exit, watchdog, restart
 *      |   back-off over         v                         v
 *      +------------------- backoff <---- failure ---- stopping --> stopped
 *      |   slow retry            |  5 in 60 s
 *      +------------------- gave-up <-+
 *
 * Memory: none beyond the struct; specs are borrowed.  Threads: one owner.
 * Blocks: never.  Trust: events carry only indexes that the shell has resolved. */
#ifndef RAY_NODE_INIT_SUPERVISE_CORE_H
#define RAY_NODE_INIT_SUPERVISE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    SUPERVISE_SERVICE_COUNT_MAX = 32, /* dependencies are bits of a word */
    SUPERVISE_EFFECT_COUNT_MAX = SUPERVISE_SERVICE_COUNT_MAX * 3 + 2,
    SUPERVISE_BACKOFF_MIN_MS = 100,
    SUPERVISE_BACKOFF_MAX_MS = 30000,
    SUPERVISE_CRASH_COUNT = 5,         /* so many failures ... */
    SUPERVISE_CRASH_WINDOW_MS = 60000, /* ... within this give up, unless ... */
    SUPERVISE_STABLE_MS = 10000,       /* ... it was ready for so long in between */
    SUPERVISE_KILL_AGAIN_MS = 5000,    /* a killed process may hang in the kernel */
    SUPERVISE_LATE_MS = 2000,          /* a watchdog that ran out so long ago: nobody was awake */
};

enum supervise_restart {
    SUPERVISE_RESTART_ALWAYS,
    SUPERVISE_RESTART_ON_FAILURE, /* exit status 0 means that it is done */
    SUPERVISE_RESTART_NEVER,
};

struct supervise_spec {
    const char *name;
    uint32_t deps;         /* bit i: service i must be ready (or absent) first */
    uint32_t conditions;   /* bits that the outside must have set first: network, ... */
    bool is_absent;        /* its program is not in this image: never started */
    bool waits_for_notify; /* ready with READY=1; else once it is started */
    bool needed_for_ready; /* the node is not ready without it */
    enum supervise_restart restart;
    uint32_t ready_deadline_ms;
    uint32_t stop_deadline_ms; /* SIGTERM, then cgroup.kill */
    uint32_t watchdog_ms;      /* WATCHDOG=1 at least so often once ready; 0: not asked */
    uint32_t slow_retry_ms;    /* after giving up; 0: only on request */
};

enum supervise_state {
    SUPERVISE_ABSENT,
    SUPERVISE_WAITING,
    SUPERVISE_STARTING,
    SUPERVISE_READY,
    SUPERVISE_STOPPING,
    SUPERVISE_BACKOFF,
    SUPERVISE_GAVE_UP,
    SUPERVISE_STOPPED,
};

enum supervise_why {
    SUPERVISE_WHY_NONE,
    SUPERVISE_WHY_EXITED,
    SUPERVISE_WHY_SPAWN_FAILED,
    SUPERVISE_WHY_NOT_READY_IN_TIME,
    SUPERVISE_WHY_WATCHDOG,
    SUPERVISE_WHY_ORDERED,   /* restart or shutdown was asked for */
    SUPERVISE_WHY_BY_ITSELF, /* STOPPING=1 */
};

enum supervise_event_kind {
    SUPERVISE_EVENT_START,    /* begin with all services; once */
    SUPERVISE_EVENT_STOP_ALL, /* shutdown; nothing is started from here on */
    SUPERVISE_EVENT_TICK,     /* time has passed */
    SUPERVISE_EVENT_SPAWNED,  /* answers to the effect SPAWN */
    SUPERVISE_EVENT_SPAWN_FAILED,
    SUPERVISE_EVENT_EXITED,          /* is_clean: exit status 0 */
    SUPERVISE_EVENT_READY,           /* READY=1 */
    SUPERVISE_EVENT_STOPPING,        /* STOPPING=1 */
    SUPERVISE_EVENT_ALIVE,           /* WATCHDOG=1 */
    SUPERVISE_EVENT_RESTART,         /* by request */
    SUPERVISE_EVENT_CONDITIONS,      /* more bits are set; they stay set until ... */
    SUPERVISE_EVENT_CONDITIONS_LOST, /* ... they are not any more: who needs them stops */
};

struct supervise_event {
    enum supervise_event_kind kind;
    size_t index; /* of the service, where it is about one */
    bool is_clean;
    uint32_t conditions;
    uint32_t random; /* for the jitter of back-off */
};

enum supervise_effect_kind {
    SUPERVISE_EFFECT_SPAWN,       /* start it, answer with SPAWNED or SPAWN_FAILED */
    SUPERVISE_EFFECT_TERMINATE,   /* SIGTERM to its main process */
    SUPERVISE_EFFECT_KILL,        /* its whole cgroup */
    SUPERVISE_EFFECT_CHANGED,     /* it is in another state: say so */
    SUPERVISE_EFFECT_ALL_READY,   /* every needed service is ready; on each rising edge */
    SUPERVISE_EFFECT_ALL_STOPPED, /* once, after STOP_ALL */
};

struct supervise_effect {
    enum supervise_effect_kind kind;
    size_t index;
};

struct supervise_effects {
    struct supervise_effect items[SUPERVISE_EFFECT_COUNT_MAX];
    size_t count;
};

/* What the machine remembers of one service; others read it. */
struct supervise_service {
    enum supervise_state state;
    enum supervise_why why;
    uint64_t since_ns;
    uint64_t deadline_ns;          /* of the state; 0: none */
    uint64_t watchdog_deadline_ns; /* 0: none */
    uint64_t ready_since_ns;       /* of this start; 0: was not ready yet */
    bool has_process;
    bool is_on_probation; /* started by slow retry: one failure gives up again */
    enum supervise_after {
        SUPERVISE_AFTER_STOP,
        SUPERVISE_AFTER_RESTART,
        SUPERVISE_AFTER_FAILURE,
        SUPERVISE_AFTER_POLICY,
    } after; /* what follows when it has stopped */
    uint32_t start_count;
    uint32_t failure_count;
    uint32_t backoff_count;
    uint64_t crash_ns[SUPERVISE_CRASH_COUNT]; /* the last failures, a ring */
    uint32_t crash_count;
};

struct supervise_core {
    const struct supervise_spec *specs;
    struct supervise_service services[SUPERVISE_SERVICE_COUNT_MAX];
    size_t count;
    uint32_t conditions;
    bool is_started;
    bool is_stopping;
    bool is_all_ready;
    bool is_all_stopped;
};

/* RAY_EINVAL: too many services, a dependency on nothing, on itself, or in a circle. */
int supervise_core_init(struct supervise_core *core, const struct supervise_spec *specs,
                        size_t count, struct ray_err *err);

/* *effects is overwritten. The shell performs them in order and only then steps again. */
void supervise_core_step(struct supervise_core *core, const struct supervise_event *event,
                         uint64_t now_ns, struct supervise_effects *effects);

/* When a TICK is due; UINT64_MAX: never. */
uint64_t supervise_core_next_ns(const struct supervise_core *core);

const char *supervise_state_name(enum supervise_state state); /* "gave-up" */
const char *supervise_why_text(enum supervise_why why);       /* "not-ready-in-time"; "" */

#endif
