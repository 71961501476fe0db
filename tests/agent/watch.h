/* tests/agent/watch.h - tells when the kernel announces or removes a device.
 *
 * Memory: init/fini on caller memory.  Threads: the loop's.  Blocks: never.
 * Trust: only the fact that something came is used, so a forged event costs a look. */
#ifndef RAY_TESTS_AGENT_WATCH_H
#define RAY_TESTS_AGENT_WATCH_H

#include "base/err.h"
#include "base/loop.h"

struct watch {
    int fd; /* -1: not open */
    struct ray_poll poll;
    void (*on_change)(void *arg);
    void *arg;
};

int watch_init(struct watch *watch, struct ray_loop *loop, void (*on_change)(void *arg), void *arg,
               struct ray_err *err);
void watch_fini(struct watch *watch); /* safe with fd -1 and from on_change */

#endif
