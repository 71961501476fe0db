/* node/init/unmount.h - taking file systems down at shutdown: until no progress, then read-only.
 *
 * Memory: reads mountinfo whole, bounded.  Threads: one worker.  Blocks: on disks.
 * Trust: mount points may be named by anyone who may mount; they are only passed back to
 * the kernel. */
#ifndef RAY_NODE_INIT_UNMOUNT_H
#define RAY_NODE_INIT_UNMOUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { UNMOUNT_POINT_SIZE_MAX = 1024, UNMOUNT_ROUND_COUNT_MAX = 8 };

struct mount_line {
    char point[UNMOUNT_POINT_SIZE_MAX]; /* octal escapes resolved */
    char type[64];
};

/* One line of mountinfo (without newline). RAY_EMALFORMED, RAY_ETOOBIG. */
int mount_line_parse(const char *line, size_t size, struct mount_line *out);

/* Those that are the kernel's own or memory go down with the machine. */
bool mount_is_worth_it(const struct mount_line *mount);

struct unmount_report {
    size_t unmounted_count;
    size_t readonly_count;             /* still mounted, but read-only now */
    char busy[UNMOUNT_POINT_SIZE_MAX]; /* one that stayed writable; "" when none */
};

/* Unmounts everything worth it, newest first, in rounds. */
void unmount_all(struct unmount_report *out);

/* Turns off all swap. */
void swap_off_all(void);

#endif
