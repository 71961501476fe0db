/* node/init/boot.h - runs the table of boot stages: in order, each with a deadline and a place
 * in the timeline.
 *
 * A stage that may block runs on a pool thread while the loop turns, so a hanging disk or
 * driver costs its deadline and not the node. A stage that fails or is late is reported and
 * boot goes on, unless it is fatal: then boot ends there.
 * Memory: one small job per thread stage.  Threads: the loop's; `run` of thread stages on a
 * pool thread, `done` always on the loop, also when it comes late.
 * Blocks: never itself.  Trust: the table is ours. */
#ifndef RAY_NODE_INIT_BOOT_H
#define RAY_NODE_INIT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "node/init/timeline.h"

enum boot_where {
    BOOT_ON_LOOP,   /* microseconds; RAY_EAGAIN: boot_finish follows */
    BOOT_ON_THREAD, /* may block */
};

struct boot_stage {
    const char *name;
    enum boot_where where;
    bool is_fatal;
    bool is_hosted;       /* also without a machine of our own */
    uint32_t deadline_ms; /* 0: none (it cannot wait) */
    int (*run)(void *arg, struct ray_err *err);
    /* May be NULL. Gets what run returned, or what boot_finish was given. */
    void (*done)(void *arg, int rc);
};

struct boot_config {
    struct ray_loop *loop;
    struct timeline *timeline;
    const struct boot_stage *stages;
    size_t count;
    bool is_hosted;
    /* `error` is "" when ok. */
    void (*on_stage)(void *arg, const struct timeline_stage *stage);
    /* fatal: name of the stage that ended the boot, else NULL. */
    void (*on_done)(void *arg, const char *fatal);
    void *arg; /* also of the stages */
};

struct boot {
    struct boot_config config;
    size_t next;
    const struct boot_stage *current; /* waits for its end; NULL: none */
    size_t timeline_index;
    struct ray_timer deadline;
    struct ray_timer step; /* between stages the loop turns once */
    size_t job_count;      /* thread stages that have not ended, late ones too */
    bool is_done;
    bool is_stopped;
};

int boot_init(struct boot *boot, const struct boot_config *config, struct ray_err *err);
void boot_fini(struct boot *boot);
void boot_start(struct boot *boot);
/* Starts no further stage (shutdown has begun). */
void boot_stop(struct boot *boot);
/* The end of a loop stage that returned RAY_EAGAIN; ignored when it was late meanwhile. */
void boot_finish(struct boot *boot, const char *stage_name, int rc, const struct ray_err *err);

#endif
