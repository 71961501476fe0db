/* base/child.h - child processes: everything about the start in one struct, the exit by
 * pidfd on the loop.
 *
 * Memory: struct ray_child is the caller's; spec and what it points to are only read
 * during spawn.  Threads: the loop's.  Blocks: spawn waits for the child's exec (an
 * error pipe tells which step failed).  Trust: none; argv is not interpreted by a shell.
 *
 * Every descriptor not named in the spec is closed in the child; signals are reset to
 * default, the mask is emptied, umask is 022, and the environment is only what is given. */
#ifndef RAY_BASE_CHILD_H
#define RAY_BASE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/loop.h"

enum { RAY_CHILD_FD_COUNT_MAX = 64, RAY_CHILD_RLIMIT_COUNT_MAX = 8 };

struct ray_child_fd {
    int fd;       /* in the parent; -1: /dev/null */
    int child_fd; /* the number in the child */
};

struct ray_child_rlimit {
    int resource; /* RLIMIT_* */
    struct rlimit limit;
};

struct ray_child_spec {
    const char *path;        /* absolute; not searched */
    const char *const *argv; /* NULL-terminated, argv[0] too */
    /* NULL-terminated; NULL: empty environment. The entry "LISTEN_PID=" without a value gets
     * the child's pid, which services that take kept descriptors compare with their own. */
    const char *const *envp;
    const char *dir; /* working directory; NULL: "/" */
    const struct ray_child_fd *fds;
    size_t fd_count; /* 0, 1 and 2 are /dev/null unless named */
    bool has_ids;    /* when set: setgroups, setresgid, setresuid */
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    size_t group_count;
    uint64_t keep_caps;  /* bit mask of CAP_*, kept also as ambient. Everything else is
                          * dropped for good, from the bounding set too (which needs
                          * CAP_SETPCAP: an ordinary user's bounding set stays). */
    bool keeps_all_caps; /* nothing is dropped by us; setuid does what it does */
    bool no_new_privs;
    bool new_session;          /* setsid */
    int parent_death_signal;   /* 0: none; when the thread that spawned ends; checked against
                                * the race with a dying parent */
    int cgroup_fd;             /* -1: stays; else a cgroup2 directory to be born in */
    const char *oom_score_adj; /* "0"; NULL: unchanged */
    int nice;                  /* 0: unchanged */
    const struct ray_child_rlimit *rlimits;
    size_t rlimit_count;
    bool new_network; /* own empty network namespace */
    bool new_mount;   /* private mount namespace */
    /* Runs in the child last, just before exec (seccomp, mounts). Only
     * async-signal-safe calls; nonzero fails the spawn with that errno. */
    int (*before_exec)(void *arg);
    void *before_exec_arg;
};

/* How a child ended. */
struct ray_child_exit {
    bool is_signaled;
    bool dumped_core;
    int status; /* exit status, or the signal's number; -1: another reaped it */
};

struct ray_child {
    pid_t pid; /* 0: none */
    int pidfd; /* -1: none; owned */
    struct ray_poll poll;
    void (*on_exit)(void *arg, const struct ray_child_exit *how);
    void *arg;
};

void ray_child_init(struct ray_child *child);
/* on_exit runs on the loop after the child was reaped; child->pid is 0 by then, so
 * the callback may spawn again or free the owner. */
int ray_child_spawn(struct ray_child *child, struct ray_loop *loop,
                    const struct ray_child_spec *spec,
                    void (*on_exit)(void *arg, const struct ray_child_exit *how), void *arg,
                    struct ray_err *err);
/* By pidfd, so never at a recycled pid. RAY_ENOTFOUND when it is gone. */
int ray_child_kill(struct ray_child *child, int signum);
/* For PID 1, whose SIGCHLD handler sees every zombie: reaps this child now and calls
 * on_exit; returns false when it has not ended. */
bool ray_child_reap(struct ray_child *child);
/* Forgets the child without killing it. */
void ray_child_fini(struct ray_child *child);

/* "exit status 3", "signal 11 (SIGSEGV)"; returns `out`. */
const char *ray_child_exit_text(const struct ray_child_exit *how, char out[static 48]);

#endif
