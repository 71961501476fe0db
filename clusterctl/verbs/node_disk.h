/* clusterctl/verbs/node_disk.h - `clusterctl node disk list|prepare`: the disks of a node of the
 * cluster, or of the machine that this runs on.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the answer, or --timeout; for who types.
 * Trust: what nodes and disks say is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_NODE_DISK_H
#define RAY_CLUSTERCTL_VERBS_NODE_DISK_H

#include "base/args.h"

extern const struct ray_args_command node_disk_commands[]; /* ends with a NULL name */

#endif
