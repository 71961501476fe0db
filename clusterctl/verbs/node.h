/* clusterctl/verbs/node.h - `clusterctl node ...`: the node that this runs on, over its own
 * Unix sockets (PID 1's and rayosd's).
 *
 * Memory: none kept.  Threads: one.  Blocks: until the answer or --timeout.
 * Trust: answers are checked by net/rpc; texts are escaped when printed. */
#ifndef RAY_CLUSTERCTL_VERBS_NODE_H
#define RAY_CLUSTERCTL_VERBS_NODE_H

#include "base/args.h"

extern const struct ray_args_command node_command;

#endif
