/* node/init/system/mount.h - the mounts that everything else stands on, from one table.
 *
 * Memory: none.  Threads: PID 1's only.  Blocks: for the kernel, microseconds.
 * Trust: no foreign input; a file system that this kernel lacks is skipped with a line
 * in the log when it is optional. */
#ifndef RAY_NODE_INIT_SYSTEM_MOUNT_H
#define RAY_NODE_INIT_SYSTEM_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/log.h"

enum init_mount_stage {
    INIT_MOUNT_EARLY, /* before anything else */
    INIT_MOUNT_LATE,  /* after the listed modules are loaded (efivarfs is a module) */
};

struct init_mount_entry {
    const char *target; /* without the leading '/' */
    const char *type;
    unsigned long flags; /* MS_* */
    const char *options; /* may be NULL */
    enum init_mount_stage stage;
    bool is_required;  /* failure stops the table; otherwise it is logged and skipped */
    bool makes_target; /* mkdir, mode 0755; not for targets inside sysfs */
};

/* The node's table, `*out_count` entries. */
const struct init_mount_entry *init_mount_table(size_t *out_count);

/* Mounts those entries of `table` that belong to `stage` below `root` ("" on a node, a
 * temporary folder in tests; no trailing slash). An entry that is mounted already is left
 * alone. The first failure of a required entry is returned; `out_skipped_count` (may be
 * NULL) counts optional ones that were skipped. */
int init_mount_stage(const char *root, const struct init_mount_entry *table, size_t count,
                     enum init_mount_stage stage, struct ray_logger *logger,
                     size_t *out_skipped_count, struct ray_err *err);

/* /dev/fd, /dev/stdin, /dev/stdout, /dev/stderr, and the propagation of / (private). */
int init_mount_links(const char *root, struct ray_err *err);
int init_mount_private(struct ray_err *err);

/* The initramfs is the kernel's rootfs, which pivot_root refuses. This puts a second
 * mount of the same file system over it and makes that our root; the first call of a
 * node's life, before init_mount_stage. Nothing is copied, no new exec is needed.
 * Call it once: a second call stacks one more mount. */
int init_mount_switch_root(struct ray_err *err);

/* Remounts the efivarfs below `root` for writing or back to read-only. */
int init_mount_efivars_writable(const char *root, bool is_writable, struct ray_err *err);

#endif
