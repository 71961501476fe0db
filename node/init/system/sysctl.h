/* node/init/system/sysctl.h - kernel settings from one table.
 *
 * Memory: none.  Threads: PID 1's.  Blocks: never.  Trust: the table is ours. */
#ifndef RAY_NODE_INIT_SYSTEM_SYSCTL_H
#define RAY_NODE_INIT_SYSTEM_SYSCTL_H

#include <stddef.h>

#include "base/err.h"
#include "base/log.h"

struct init_sysctl_entry {
    const char *path; /* below "/": "proc/sys/kernel/panic" */
    const char *value;
    const char *why; /* for docs and logs */
};

const struct init_sysctl_entry *init_sysctl_table(size_t *out_count);

/* Writes all; one that this kernel lacks or refuses is logged and skipped.
 * `out_skipped_count` may be NULL. Never fails as a whole. */
void init_sysctl_apply(int root_fd, const struct init_sysctl_entry *table, size_t count,
                       struct ray_logger *logger, size_t *out_skipped_count);

/* The kernel's console level: 4 (errors) while booting quietly, 1 (panics only) once the
 * node is up, because a serial line of 11 KB/s stalls whoever prints. */
int init_sysctl_console_level(int root_fd, int level, struct ray_err *err);

#endif
