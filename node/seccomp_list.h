/* node/seccomp_list.h - allow-lists of system calls, as data: what is not named in one of a
 * process's lists kills the process.
 *
 * Memory: lists are constant; nothing is kept.  Threads: the whole process, for good.
 * Blocks: no.  Trust: none. */
#ifndef RAY_NODE_SECCOMP_LIST_H
#define RAY_NODE_SECCOMP_LIST_H

#include <seccomp.h>
#include <stddef.h>

#include "base/err.h"

enum { NODE_SECCOMP_CONDITION_COUNT_MAX = 3 };

/* A call that is allowed when all conditions hold. */
struct node_seccomp_form {
    int call;
    unsigned condition_count;
    struct scmp_arg_cmp conditions[NODE_SECCOMP_CONDITION_COUNT_MAX];
};

/* A call that fails with this error, for libraries that try and do without. */
struct node_seccomp_refusal {
    int call;
    int errnum;
};

struct node_seccomp_list {
    const int *calls; /* whatever their arguments */
    size_t call_count;
    const struct node_seccomp_form *forms;
    size_t form_count;
    const struct node_seccomp_refusal *refusals;
    size_t refusal_count;
};

/* What every process of ours with an event loop needs once it has started: the loop, memory
 * that is not executable, time, its own identity, locks, signals, and leaving. */
extern const struct node_seccomp_list node_seccomp_loop;

/* Allows node_seccomp_loop, `own` and `more` (NULL: none); sets no_new_privs, too. */
int node_seccomp_enter(const struct node_seccomp_list *own, const struct node_seccomp_list *more,
                       struct ray_err *err);

#endif
