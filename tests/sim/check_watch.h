/* tests/sim/check_watch.h - watch order: a watcher gets every event that its filter lets through,
 * once, in the order of the log, all of one revision together, and no bookmark runs ahead.
 *
 * The reference is what replicas emit when they apply; all must emit the same.
 * Memory: init/fini.  Threads: one owner.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_CHECK_WATCH_H
#define RAY_TESTS_SIM_CHECK_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "tests/sim/verdict.h"

struct sim_watch_event {
    uint64_t revision;
    uint32_t sub; /* position within the revision */
    uint64_t hash;
    uint64_t subject; /* what filters look at */
};

struct sim_watch_log {
    struct sim_verdict *verdict;    /* borrowed */
    struct sim_watch_event *events; /* by {revision, sub} */
    size_t count;
    size_t capacity;
};

/* What one watcher has had. */
struct sim_watcher {
    struct sim_watch_log *log; /* borrowed */
    uint32_t number;
    bool (*is_wanted)(const void *filter, const struct sim_watch_event *event);
    const void *filter;
    size_t position;   /* of the next event of the reference */
    uint64_t revision; /* that it is sure to have whole: to resume behind */
    bool is_in_revision;
};

void sim_watch_log_init(struct sim_watch_log *log, struct sim_verdict *verdict);
void sim_watch_log_fini(struct sim_watch_log *log);
/* A replica emits this while it applies; the first one to do so makes the reference. */
void sim_watch_emitted(struct sim_watch_log *log, const struct sim_watch_event *event);

/* Begins, or begins anew with a snapshot, behind `revision`. */
void sim_watcher_begin(struct sim_watcher *watcher, uint64_t revision);
void sim_watcher_event(struct sim_watcher *watcher, const struct sim_watch_event *event);
/* The end of a batch: a revision is not cut. */
void sim_watcher_batch_end(struct sim_watcher *watcher);
/* Of the next event that it is to get; UINT64_MAX: it has had all that there is. */
uint64_t sim_watcher_next(struct sim_watcher *watcher);
void sim_watcher_bookmark(struct sim_watcher *watcher, uint64_t revision);

#endif
