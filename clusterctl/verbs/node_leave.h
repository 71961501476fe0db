/* clusterctl/verbs/node_leave.h - `clusterctl node drain|undrain|remove|set`: what a node is to be
 * for the cluster, and its end.
 *
 * Memory: none kept.  Threads: one.  Blocks: until it is so, or --timeout.
 * Trust: what members answer is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_NODE_LEAVE_H
#define RAY_CLUSTERCTL_VERBS_NODE_LEAVE_H

#include "base/args.h"

extern const struct ray_args_option node_drain_options[];
extern const struct ray_args_option node_undrain_options[];
extern const struct ray_args_option node_remove_options[];
extern const struct ray_args_option node_set_options[];

int node_drain(const struct ray_args *args, void *context);
int node_undrain(const struct ray_args *args, void *context);
int node_remove(const struct ray_args *args, void *context);
int node_set(const struct ray_args *args, void *context);

#endif
