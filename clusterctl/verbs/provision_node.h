/* clusterctl/verbs/provision_node.h - `clusterctl provision enable|disable`: the service on a node,
 * by order to PID 1.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the service is ready or --timeout.
 * Trust: answers are checked by net/rpc; texts are escaped when printed. */
#ifndef RAY_CLUSTERCTL_VERBS_PROVISION_NODE_H
#define RAY_CLUSTERCTL_VERBS_PROVISION_NODE_H

#include "base/args.h"

int provision_enable(const struct ray_args *args, void *context);
int provision_disable(const struct ray_args *args, void *context);
extern const struct ray_args_option provision_enable_options[];
extern const struct ray_args_option provision_disable_options[];

#endif
