/* node/init/job.h - one command that a person at the prompt has asked for, with its output.
 *
 * Memory: fixed; owns child and pipe.  Threads: the loop's.  Blocks: for the exec.
 * Trust: output is handed on as bytes; who shows it escapes it. */
#ifndef RAY_NODE_INIT_JOB_H
#define RAY_NODE_INIT_JOB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/child.h"
#include "base/loop.h"

struct job {
    struct ray_child child;
    struct ray_poll poll;
    struct ray_timer deadline;
    int fd; /* -1: no output to read; owned */
    bool is_running;
    void (*on_output)(void *arg, const char *bytes, size_t size);
    void (*on_end)(void *arg, const struct ray_child_exit *how);
    void *arg;
};

int job_init(struct job *job, struct ray_loop *loop, struct ray_err *err);
void job_fini(struct job *job); /* kills what runs */

/* argv[0] is an absolute path. After deadline_ms the command is killed. RAY_ECONFLICT: one
 * runs already. */
int job_start(struct job *job, struct ray_loop *loop, const char *const *argv, uint64_t deadline_ms,
              void (*on_output)(void *arg, const char *bytes, size_t size),
              void (*on_end)(void *arg, const struct ray_child_exit *how), void *arg,
              struct ray_err *err);

#endif
