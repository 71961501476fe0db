/* node/facts/mounts.h - what block devices are in use for, from mountinfo and swaps.
 *
 * Memory: texts in the source's arena.  Threads: the caller's.  Blocks: as read.h.
 * Trust: as read.h. */
#ifndef RAY_NODE_FACTS_MOUNTS_H
#define RAY_NODE_FACTS_MOUNTS_H

#include <stddef.h>

#include "node/facts/read.h"

enum { FACTS_MOUNT_COUNT_MAX = 256 };

struct facts_mount {
    unsigned major;
    unsigned minor;
    char *point; /* escaped */
};

struct facts_mounts {
    struct facts_mount *entries; /* those that have a block device (major above 0) */
    size_t count;
    char *swaps; /* head of /proc/swaps */
};

void facts_mounts_read(struct facts_source *source, struct facts_mounts *out);
/* Where "major:minor" is mounted first; NULL: nowhere. */
const char *facts_mounts_find(const struct facts_mounts *mounts, const char *device_number);
/* Whether /dev/<name> is swap. */
bool facts_mounts_is_swap(const struct facts_mounts *mounts, const char *name);

#endif
