/* node/init/services.h - the one table of what PID 1 runs. How to add a row: README.md.
 *
 * Memory: constant.  Threads: any.  Blocks: never.  Trust: ours. */
#ifndef RAY_NODE_INIT_SERVICES_H
#define RAY_NODE_INIT_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/child.h"
#include "node/init/supervise_core.h"
#include "node/init/system/cgroup.h"

/* Bits of supervise_spec.conditions. */
enum {
    SERVICE_WHEN_BRIDGE = 1 << 0,    /* ray0 is up and has a card */
    SERVICE_WHEN_NTP = 1 << 1,       /* DHCP named time servers */
    SERVICE_WHEN_IDENTITY = 1 << 2,  /* data folder and node key are there */
    SERVICE_WHEN_ADDRESS = 1 << 3,   /* ray0 has had an address since boot */
    SERVICE_WHEN_PROVISION = 1 << 4, /* root has ordered it (provision.h) */
};

enum { SERVICE_DEP_COUNT_MAX = 4 };

enum { RAYOSD_ID = 900 }; /* user and group */

struct service_def {
    const char *name;
    const char *const *argv;                 /* argv[0] is the program's absolute path */
    const char *deps[SERVICE_DEP_COUNT_MAX]; /* names; NULL ends */
    uint32_t conditions;
    const char *listens; /* socket below /run/rayos that PID 1 listens at, kept for it under
                          * this name: callers wait while it restarts; or NULL */
    bool is_optional;    /* absent, not failed, when its program is not in the image */
    bool waits_for_notify;
    bool needed_for_ready;
    enum supervise_restart restart;
    uint32_t ready_deadline_ms;
    uint32_t stop_deadline_ms;
    uint32_t watchdog_ms;
    uint32_t slow_retry_ms;
    /* What it may do and use. Its seccomp filter is its own. */
    bool has_ids; /* else it stays root, with keep_caps only */
    uid_t uid;
    gid_t gid;
    uint64_t keep_caps;
    bool keeps_all_caps;
    bool keeps_fds; /* FDSTORE is allowed */
    const char *oom_score_adj;
    int nice;
    const struct ray_child_rlimit *rlimits;
    size_t rlimit_count;
    struct init_cgroup_limits limits;
};

const struct service_def *services_table(size_t *out_count);

/* What the services are promised together (memory.low of the group of all). */
uint64_t services_memory_low_bytes(const struct service_def *table, size_t count);

/* Translates names of dependencies into bits and leaves out absent programs; `specs` has room
 * for `count`. RAY_EINVAL: an unknown dependency. `root` is in front of each path. */
int services_specs(const struct service_def *table, size_t count, const char *root,
                   struct supervise_spec *specs, struct ray_err *err);

#endif
