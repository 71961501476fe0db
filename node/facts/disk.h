/* node/facts/disk.h - disks, their partitions, and why one must not be written.
 *
 * Memory: everything in the source's arena.  Threads: the caller's.  Blocks: as read.h.
 * Trust: as read.h; models and serial numbers come from devices. */
#ifndef RAY_NODE_FACTS_DISK_H
#define RAY_NODE_FACTS_DISK_H

#include "net/proto/node.pb-c.h"
#include "node/facts/read.h"

enum { FACTS_DISK_COUNT_MAX = 64, FACTS_PARTITION_COUNT_MAX = 32 };

/* Sets disks and n_disks. */
void facts_disks_read(struct facts_source *source, Rayos__Node__Facts *out);

#endif
