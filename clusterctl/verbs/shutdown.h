/* clusterctl/verbs/shutdown.h - `clusterctl node shutdown|reboot`: asks PID 1 and follows the way
 * down until this process itself is told to go.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the node goes down or --timeout.
 * Trust: answers are checked by net/rpc; texts are escaped when printed. */
#ifndef RAY_CLUSTERCTL_VERBS_SHUTDOWN_H
#define RAY_CLUSTERCTL_VERBS_SHUTDOWN_H

#include "base/args.h"

/* For rows of the table of verbs; both verbs have the same options. */
int node_shutdown(const struct ray_args *args, void *context);
int node_reboot(const struct ray_args *args, void *context);
extern const struct ray_args_option node_shutdown_options[];

#endif
