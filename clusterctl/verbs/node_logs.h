/* clusterctl/verbs/node_logs.h - `clusterctl node logs|dmesg NAME`: the log of a node of the
 * cluster, from anywhere.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the end, or as long as it is followed.
 * Trust: lines are escaped when they are printed. */
#ifndef RAY_CLUSTERCTL_VERBS_NODE_LOGS_H
#define RAY_CLUSTERCTL_VERBS_NODE_LOGS_H

#include "base/args.h"

extern const struct ray_args_option node_logs_options[];
extern const struct ray_args_option node_dmesg_options[];

int node_logs(const struct ray_args *args, void *context);
int node_dmesg(const struct ray_args *args, void *context);

#endif
