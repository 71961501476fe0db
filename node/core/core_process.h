/* node/core/core_process.h - what /proc says of the process that crashed, and what the kernel
 * said of it on our command line.
 *
 * The kernel keeps the process until the collector has closed the core (core_pipe_limit), so its
 * /proc folder is its own and not another's.
 * Memory: plain struct.  Threads: any.  Blocks: never.
 * Trust: comm, exe and names of cgroups are the process's choice: bounded, escaped where they
 * are printed. */
#ifndef RAY_NODE_CORE_CORE_PROCESS_H
#define RAY_NODE_CORE_CORE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "node/core/core_rate.h"

enum {
    CORE_COMM_SIZE_MAX = 64,
    CORE_EXE_SIZE_MAX = 1024,
    CORE_CGROUP_SIZE_MAX = 512,
    CORE_SERVICE_SIZE_MAX = 64,
    CORE_DUMP_AS_USER = 1, /* of %d; others: it changed its user, or may not be read */
};

struct core_process {
    enum core_keep wanted; /* of rayos.cores: CORE_KEEP_INFO or CORE_KEEP_MEMORY */
    uint64_t pid;          /* in the first pid namespace */
    uint64_t tid;
    uint64_t uid;
    uint64_t gid;
    int signal;
    uint64_t time_s; /* wall clock */
    unsigned dump_mode;
    char comm[CORE_COMM_SIZE_MAX];
    char exe[CORE_EXE_SIZE_MAX];
    char cgroup[CORE_CGROUP_SIZE_MAX];
    char service[CORE_SERVICE_SIZE_MAX]; /* "": of no service */
    char boot_id[40];
    char image_version[64];
};

/* argv as in the core_pattern of node/init/system/core_pattern.c: MODE PID TID UID GID SIGNAL
 * TIME DUMPMODE. RAY_EUSAGE. */
int core_process_args(int argc, char **argv, struct core_process *out, struct ray_err *err);
/* Fills the texts from /proc/PID below `root_fd`; what cannot be read stays "". */
void core_process_read(int root_fd, struct core_process *process);
/* The service of a line "0::/rayos.slice/NAME[/...]" of /proc/PID/cgroup; "" for none. */
void core_service_of(const char *cgroup, char out[static CORE_SERVICE_SIZE_MAX]);

#endif
