/* tests/agent/tools.h - the read-only disk with test tools (a Debian tree), mounted at
 * /run/tools.
 *
 * Memory: none.  Threads: the loop's.  Blocks: on the disk.  Trust: sysfs is the kernel's; the
 * disk is the lab's. */
#ifndef RAY_TESTS_AGENT_TOOLS_H
#define RAY_TESTS_AGENT_TOOLS_H

#include <stddef.h>

#include "base/err.h"

/* The name of the block device whose serial or partition is named RAYOS_TOOLS, "vdb".
 * class_fd: /sys/class/block. RAY_ENOTFOUND when there is none (yet). */
int tools_find(int class_fd, char *out_name, size_t out_size, struct ray_err *err);

/* Finds and mounts it. */
int tools_mount(int class_fd, struct ray_err *err);

#endif
