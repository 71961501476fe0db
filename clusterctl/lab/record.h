/* clusterctl/lab/record.h - who supervises a lab: its lock and its recorded process.
 *
 * The lock (flock on LABS_DIR/.NAME.lock) is held from the first act of `lab up` to the last
 * of the supervisor: two `up` of one name exclude each other, and a lab whose lock is free
 * has no supervisor. The record names the process, so that `lab down` can end one that does
 * not answer; a recycled pid is told apart by the process's start time.
 *
 * Memory: none.  Threads: any.  Blocks: lab_process_wait up to its limit.
 * Trust: the record is our own file, but may be of a crash: every field is checked. */
#ifndef RAY_CLUSTERCTL_LAB_RECORD_H
#define RAY_CLUSTERCTL_LAB_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "clusterctl/lab/paths.h"

/* Takes the lock; makes LABS_DIR where it is missing. *out_fd holds it (and, when it is
 * inherited, holds it on). RAY_EEXISTS: a lab of this name lives. */
int lab_lock_take(const struct lab_paths *paths, int *out_fd, struct ray_err *err);
/* Whether somebody holds it. */
bool lab_lock_is_held(const struct lab_paths *paths);

/* Writes supervisor.json into the lab's folder: `pid` as the host sees it. */
int lab_record_write(const struct lab_paths *paths, pid_t pid, uint64_t start_ticks,
                     struct ray_err *err);
/* A pidfd of the recorded process when that very process still lives; RAY_ENOTFOUND when it
 * does not or nothing is recorded. */
int lab_record_open(const struct lab_paths *paths, pid_t *out_pid, int *out_pidfd,
                    struct ray_err *err);

/* Waits for the end of a process; RAY_ETIMEOUT. */
int lab_pidfd_wait(int pidfd, uint64_t timeout_ms, struct ray_err *err);
/* SIGKILL. */
int lab_pidfd_kill(int pidfd, struct ray_err *err);

/* Field 22 of /proc/PID/stat: when it started, in ticks since the host's boot. pid 0: the
 * calling process. */
int lab_process_start_ticks(pid_t pid, uint64_t *out_ticks, struct ray_err *err);
/* The same from the file's text, for tests: a command name may hold anything. */
int lab_parse_start_ticks(const char *stat_text, uint64_t *out_ticks);

#endif
