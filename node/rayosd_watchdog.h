/* node/rayosd_watchdog.h - WATCHDOG=1 to PID 1, as long as this process does what it is for.
 *
 * Four times in each WATCHDOG_USEC (environment) the pulse is taken, from the loop: so a loop that
 * hangs feeds nothing either. Unfed, PID 1 starts the process anew (docs/reference/services.md).
 *
 * Memory: init/fini on caller memory; a zeroed one is off.  Threads: the loop's.  Blocks: never.
 * Trust: the environment is our parent's. */
#ifndef RAY_NODE_RAYOSD_WATCHDOG_H
#define RAY_NODE_RAYOSD_WATCHDOG_H

#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"

struct rayosd_watchdog {
    struct ray_timer timer;
    struct ray_logger *logger;
    bool (*take_pulse)(void *arg);
    void *arg;
    bool is_withheld;
};

/* Off when nobody asks for it. RAY_EINVAL: WATCHDOG_USEC is no time from 40 ms to a day. */
int rayosd_watchdog_init(struct rayosd_watchdog *watchdog, struct ray_loop *loop,
                         struct ray_logger *logger, bool (*take_pulse)(void *arg), void *arg,
                         struct ray_err *err);
void rayosd_watchdog_fini(struct rayosd_watchdog *watchdog);

#endif
