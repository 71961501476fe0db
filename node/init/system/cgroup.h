/* node/init/system/cgroup.h - the cgroup2 tree: init.scope for PID 1, rayos.slice/<service>
 * for services, guests/ for monitors (never killed with a service).
 *
 * Memory: struct init_cgroup owns one descriptor.  Threads: PID 1's.
 * Blocks: for the kernel.  Trust: group names are ours (service table, guest ids); they
 * are checked to be one plain path component all the same. */
#ifndef RAY_NODE_INIT_SYSTEM_CGROUP_H
#define RAY_NODE_INIT_SYSTEM_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/log.h"

#define INIT_CGROUP_INIT "init.scope"
#define INIT_CGROUP_SERVICES "rayos.slice"
#define INIT_CGROUP_GUESTS "guests"

struct init_cgroup {
    int fd; /* the mounted tree's root; -1: not available */
};

/* 0 means "no limit" (the kernel's default) in every field. */
struct init_cgroup_limits {
    uint64_t memory_max_bytes;
    uint64_t memory_high_bytes;
    uint64_t memory_low_bytes; /* protected from reclaim */
    uint64_t pids_max;
    unsigned cpu_weight;    /* 1 to 10000 */
    bool kills_whole_group; /* memory.oom.group */
};

void init_cgroup_init(struct init_cgroup *cgroup);
void init_cgroup_fini(struct init_cgroup *cgroup);

/* Opens `path` ("/sys/fs/cgroup"), moves this process into init.scope (kernel threads stay
 * in the root group), enables the controllers of the list (cpu, memory, pids, io) top-down
 * in the root and in rayos.slice and guests. A controller that is missing is logged and
 * left out. */
int init_cgroup_setup(struct init_cgroup *cgroup, const char *path, struct ray_logger *logger,
                      struct ray_err *err);

/* Makes (or finds) `parent`/`name` with limits; *out_fd is its directory, for
 * ray_child_spec.cgroup_fd; the caller closes it. A limit whose controller is missing
 * (logged by setup) is left out. */
int init_cgroup_make(struct init_cgroup *cgroup, const char *parent, const char *name,
                     const struct init_cgroup_limits *limits, int *out_fd, struct ray_err *err);
/* Protects that much memory of `group` from reclaim, for its children to share: what a child
 * asks for holds only as far as all its parents are protected. Missing controller: left out. */
int init_cgroup_protect(struct init_cgroup *cgroup, const char *group, uint64_t memory_low_bytes,
                        struct ray_err *err);
/* SIGKILL to everything in the group; it ends later, watch init_cgroup_is_populated. */
int init_cgroup_kill(int group_fd, struct ray_err *err);
int init_cgroup_is_populated(int group_fd, bool *out_is_populated, struct ray_err *err);
/* memory.current, or RAY_EUNSUPPORTED without the controller. */
int init_cgroup_memory_bytes(int group_fd, uint64_t *out_bytes, struct ray_err *err);
/* The group must be empty; RAY_ENOTFOUND when there is none. */
int init_cgroup_remove(struct init_cgroup *cgroup, const char *parent, const char *name,
                       struct ray_err *err);

#endif
