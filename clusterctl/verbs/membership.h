/* clusterctl/verbs/membership.h - `clusterctl node list|show|approve|...`: who belongs to the
 * cluster.
 *
 * Memory: none kept.  Threads: one.  Blocks: until it is so, or --timeout.
 * Trust: what members answer is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_MEMBERSHIP_H
#define RAY_CLUSTERCTL_VERBS_MEMBERSHIP_H

#include "base/args.h"

extern const struct ray_args_option node_list_options[];
extern const struct ray_args_option node_show_options[];
extern const struct ray_args_option node_approve_options[];

int node_list(const struct ray_args *args, void *context);
int node_show(const struct ray_args *args, void *context);
int node_approve(const struct ray_args *args, void *context);

#endif
