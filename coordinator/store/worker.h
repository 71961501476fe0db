/* coordinator/store/worker.h - a thread that does one thing after another for the loop.
 *
 * Memory: create/destroy; jobs are the caller's until their done.  Threads: calls and `done` on
 * the loop's thread, `run` on the worker's; no locks, two counters between them.
 * Blocks: destroy waits for the job that runs.  Trust: none. */
#ifndef RAY_COORDINATOR_STORE_WORKER_H
#define RAY_COORDINATOR_STORE_WORKER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"

enum { COORD_WORKER_JOBS_MAX = 256 }; /* under way at once (assert); a power of two */

struct coord_worker;

int coord_worker_create(struct coord_worker **out, struct ray_loop *loop, struct ray_err *err);
/* `done` from the loop, never from within; or from destroy with is_canceled: it may have run. */
void coord_worker_submit(struct coord_worker *worker, void (*run)(void *arg),
                         void (*done)(void *arg, bool is_canceled), void *arg);
/* Jobs that wait are not run any more. NULL is fine. Not from within a done. */
void coord_worker_destroy(struct coord_worker *worker);

#endif
