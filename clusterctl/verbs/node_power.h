/* clusterctl/verbs/node_power.h - `clusterctl node reboot|shutdown NAME`: a node of the cluster,
 * from anywhere.
 *
 * Memory: none kept.  Threads: one.  Blocks: until it is so, or --timeout.
 * Trust: what members answer is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_NODE_POWER_H
#define RAY_CLUSTERCTL_VERBS_NODE_POWER_H

#include "base/args.h"

/* `mode`: reboot, poweroff. The options are node_shutdown_options. The exit status. */
int node_power(const struct ray_args *args, const char *mode);

#endif
