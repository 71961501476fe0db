/* base/child_exec.h - the child's side of ray_child_spawn, between clone and exec. Private to
 * base/child.c.
 *
 * Memory: none may be allocated: another thread of the parent may have held the heap's lock
 * when we were copied.  Threads: the only one of a new process.  Blocks: no.
 * Trust: the spec is our own code's. */
#ifndef RAY_BASE_CHILD_EXEC_H
#define RAY_BASE_CHILD_EXEC_H

#include <sys/types.h>

#include "base/child.h"

/* X(id, text of the step as errors say it) */
#define RAY_CHILD_STEP_MAP(X)                                                                      \
    X(SIGNALS, "reset signals")                                                                    \
    X(SESSION, "new session")                                                                      \
    X(OOM, "oom_score_adj")                                                                        \
    X(NICE, "nice")                                                                                \
    X(NAMESPACES, "new namespaces")                                                                \
    X(FDS, "descriptors")                                                                          \
    X(RLIMITS, "resource limits")                                                                  \
    X(BOUNDING, "bounding set of capabilities")                                                    \
    X(IDS, "user and groups")                                                                      \
    X(CAPS, "capabilities")                                                                        \
    X(NO_NEW_PRIVS, "no_new_privs")                                                                \
    X(PARENT_DEATH, "parent death signal")                                                         \
    X(DIR, "working directory")                                                                    \
    X(BEFORE_EXEC, "last preparation")                                                             \
    X(EXEC, "exec")

enum ray_child_step {
#define RAY_CHILD_STEP_ENUM(id, text) RAY_CHILD_STEP_##id,
    RAY_CHILD_STEP_MAP(RAY_CHILD_STEP_ENUM)
#undef RAY_CHILD_STEP_ENUM
        RAY_CHILD_STEP_COUNT
};

/* What travels through the error pipe, in one write. */
struct ray_child_report {
    enum ray_child_step step;
    int errnum;
};

struct ray_child_launch {
    const struct ray_child_spec *spec;
    char *const *envp;
    char *pid_text; /* where the pid is written after "LISTEN_PID="; NULL: nowhere */
    int report_fd;  /* the error pipe's writing end, CLOEXEC */
    pid_t parent_pid;
};

enum { RAY_CHILD_PID_TEXT_SIZE = 12 };

/* Becomes the program, or reports and exits. */
_Noreturn void ray_child_exec(struct ray_child_launch *launch);

#endif
