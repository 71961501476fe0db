/* provisioning/disk/xfs.h - an XFS file system made in memory by mkfs.xfs, without root, loop
 * device or mount: only what is written of it takes memory (some 70 MiB for any size).
 *
 * Memory: init/fini; owns the memory file.  Threads: one.  Blocks: while mkfs.xfs runs.
 * Trust: mkfs.xfs is the system's. */
#ifndef RAY_PROVISIONING_DISK_XFS_H
#define RAY_PROVISIONING_DISK_XFS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct xfs {
    int fd; /* the file system, as large as it will be; -1: none */
    /* Its log. It must read as mkfs.xfs left it, also where that is a hole. */
    uint64_t log_offset_bytes;
    uint64_t log_size_bytes;
};

/* Where mkfs.xfs is; NULL when it is nowhere. */
const char *xfs_find_mkfs(void);

/* `sector_size`: 512, or 4096 for disks that write no less at once. */
int xfs_make(struct xfs *xfs, const char *mkfs, uint64_t size_bytes, uint32_t sector_size,
             struct ray_err *err);
void xfs_fini(struct xfs *xfs);

#endif
