/* node/init/system/psi.h - pressure stall information: how much time tasks lost because memory,
 * disks or processors were short, of the machine and of each control group.
 *
 * The format is that of the kernel's accounting/psi.rst.
 * Memory: plain structs.  Threads: any.  Blocks: procfs and cgroupfs.  Trust: the kernel's
 * text; names of groups are escaped. */
#ifndef RAY_NODE_INIT_SYSTEM_PSI_H
#define RAY_NODE_INIT_SYSTEM_PSI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "node/init/system/cgroup.h"

/* Shares of the last 10 s, in percent. */
struct init_psi {
    unsigned some_percent; /* somebody waited */
    unsigned full_percent; /* nobody could go on; 0 where the kernel does not count it */
};

/* Pure. RAY_EMALFORMED: no "some" line as the kernel writes it. */
int init_psi_parse(const char *text, struct init_psi *out, struct ray_err *err);
/* RAY_ENOTFOUND or RAY_EUNSUPPORTED where the kernel does not measure. */
int init_psi_read(int dir_fd, const char *name, struct init_psi *out, struct ray_err *err);

enum { INIT_PSI_GROUP_NAME_SIZE_MAX = 64, INIT_PSI_GROUP_COUNT_MAX = 64 };

struct init_psi_group {
    char name[INIT_PSI_GROUP_NAME_SIZE_MAX]; /* "rayosd"; escaped, may be cut */
    struct init_psi pressure;
    uint64_t memory_bytes; /* memory.current; 0: unknown */
};

/* The groups of services and guests that suffer most from a shortage of `resource` ("memory",
 * "io", "cpu"), those with the same pressure by memory; at most `max` of them. Who suffers
 * is mostly who uses it. Returns how many; of more than INIT_PSI_GROUP_COUNT_MAX groups some
 * are not looked at. */
size_t init_psi_top(const struct init_cgroup *cgroup, const char *resource,
                    struct init_psi_group *out, size_t max);

#endif
