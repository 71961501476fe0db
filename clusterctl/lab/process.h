/* clusterctl/lab/process.h - the processes of a lab: started, stopped with a deadline, reaped.
 *
 * The supervisor is PID 1 of the lab's pid namespace, so orphans of any of them end up here
 * and are reaped, too.
 * Memory: structs are the caller's and stay in place while registered.
 * Threads: the loop's.  Blocks: as ray_child_spawn.  Trust: none. */
#ifndef RAY_CLUSTERCTL_LAB_PROCESS_H
#define RAY_CLUSTERCTL_LAB_PROCESS_H

#include <stdbool.h>

#include "base/child.h"
#include "base/err.h"
#include "base/loop.h"

struct lab_process;

struct lab_processes {
    struct ray_loop *loop;
    struct ray_signal sigchld;
    struct lab_process *first;
};

struct lab_process {
    struct lab_processes *table; /* NULL: not running */
    struct lab_process *next;
    struct ray_child child;
    struct ray_timer deadline; /* SIGKILL when it runs out */
    bool is_stopping;          /* somebody asked for its end */
    void (*on_exit)(void *arg, const struct ray_child_exit *how);
    void *arg;
};

int lab_processes_init(struct lab_processes *table, struct ray_loop *loop, struct ray_err *err);
/* Forgets processes that still run; they end with the namespace. */
void lab_processes_fini(struct lab_processes *table);

/* `process` is zeroed or has ended. on_exit runs on the loop, after it was taken out of the
 * table, so that it may be started again from there. */
int lab_process_start(struct lab_process *process, struct lab_processes *table,
                      const struct ray_child_spec *spec,
                      void (*on_exit)(void *arg, const struct ray_child_exit *how), void *arg,
                      struct ray_err *err);
bool lab_process_is_running(const struct lab_process *process);
/* SIGTERM now (a paused process is continued first), SIGKILL after grace_ms; 0: SIGKILL now. */
void lab_process_stop(struct lab_process *process, uint64_t grace_ms);
/* Whether any other than these two runs. */
bool lab_processes_other_run(const struct lab_processes *table, const struct lab_process *a,
                             const struct lab_process *b);
/* Stops all but these two. */
void lab_processes_stop_others(struct lab_processes *table, const struct lab_process *a,
                               const struct lab_process *b, uint64_t grace_ms);
int lab_process_signal(struct lab_process *process, int signum, struct ray_err *err);

#endif
