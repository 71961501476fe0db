/* node/init/reaper.h - the one place where PID 1 waits for processes.
 *
 * Our own children are reaped by ray_child_reap, so their owners hear of it; what was
 * orphaned to us is reaped and forgotten. libuv's own child handling is never used.
 * Memory: none.  Threads: the loop's.  Blocks: never; bounded per signal.  Trust: none. */
#ifndef RAY_NODE_INIT_REAPER_H
#define RAY_NODE_INIT_REAPER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/child.h"
#include "base/loop.h"

enum { REAPER_PER_TURN = 1024, REAPER_AGAIN_MS = 1 };

struct reaper {
    struct ray_signal signal;
    struct ray_timer again;                          /* more zombies than one turn takes */
    struct ray_child *(*find)(void *arg, pid_t pid); /* NULL: not one of ours */
    void *arg;
    uint64_t orphan_count;
};

int reaper_init(struct reaper *reaper, struct ray_loop *loop,
                struct ray_child *(*find)(void *arg, pid_t pid), void *arg, struct ray_err *err);
void reaper_fini(struct reaper *reaper);
void reaper_run(struct reaper *reaper);

#endif
