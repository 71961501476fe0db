/* base/epoch.h - the run epoch of a guest (or of a presentation): which permission to run is the
 * newest, and how it came to be (DESIGN.md section 8, docs/explanation/grants.md).
 *
 * Every outcome raises the epoch of what it is about, so an epoch has exactly one successor, and
 * {origin, from} says which copy of a guest's memory may run at the new one.
 * Memory: plain values.  Threads: any.  Blocks: never.  Trust: none. */
#ifndef RAY_BASE_EPOCH_H
#define RAY_BASE_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

/* Ordered by cluster epoch, then by the log index of the entry that made it. {0, 0}: none. */
struct ray_epoch {
    uint64_t cluster;
    uint64_t index;
};

/* In the log and on the wire; never renumbered. */
enum ray_epoch_origin {
    RAY_EPOCH_NONE = 0,
    RAY_EPOCH_CREATED = 1,   /* first assignment to a home */
    RAY_EPOCH_START = 2,     /* started again at home */
    RAY_EPOCH_RESTART = 3,   /* assigned again after `stopped`, at home or elsewhere */
    RAY_EPOCH_STOPPED = 4,   /* nobody runs it */
    RAY_EPOCH_DEATH = 5,     /* taken over after W of silence */
    RAY_EPOCH_MIGRATION = 6, /* taken over by the destination of a migration */
    RAY_EPOCH_CANCEL = 7,    /* back to the source of a migration */
    RAY_EPOCH_ORIGIN_COUNT,
};

/* Negative, 0, positive. */
static inline int ray_epoch_compare(struct ray_epoch a, struct ray_epoch b)
{
    if (a.cluster != b.cluster) {
        return a.cluster < b.cluster ? -1 : 1;
    }
    return (a.index > b.index) - (a.index < b.index);
}

static inline bool ray_epoch_equal(struct ray_epoch a, struct ray_epoch b)
{
    return ray_epoch_compare(a, b) == 0;
}

static inline bool ray_epoch_is_none(struct ray_epoch epoch)
{
    return epoch.cluster == 0 && epoch.index == 0;
}

#endif
