/* clusterctl/verbs/service_restart.h - `clusterctl node service-restart`: asks PID 1 and waits
 * until the service is ready again.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the service is ready or --timeout.
 * Trust: answers are checked by net/rpc; texts are escaped when printed. */
#ifndef RAY_CLUSTERCTL_VERBS_SERVICE_RESTART_H
#define RAY_CLUSTERCTL_VERBS_SERVICE_RESTART_H

#include "base/args.h"

int node_service_restart(const struct ray_args *args, void *context);
extern const struct ray_args_option node_service_restart_options[];

#endif
