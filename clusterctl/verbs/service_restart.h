/* clusterctl/verbs/service_restart.h - `clusterctl node service-restart`: asks PID 1 and waits
 * until the service is ready again.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the service is ready or --timeout.
 * Trust: answers are checked by net/rpc; texts are escaped when printed. */
#ifndef RAY_CLUSTERCTL_VERBS_SERVICE_RESTART_H
#define RAY_CLUSTERCTL_VERBS_SERVICE_RESTART_H

#include <stdint.h>

#include "base/args.h"
#include "base/err.h"

/* How often the service was started; RAY_ENOTFOUND. */
int node_service_start_count(const struct ray_args *args, const char *name, uint32_t *out_count,
                             struct ray_err *err);
/* Until it was started once more and is ready; says how it goes on. RAY_ETIMEOUT, and
 * RAY_EUNAVAILABLE when PID 1 gave up. */
int node_service_wait(const struct ray_args *args, const char *name, uint32_t old_start_count,
                      struct ray_err *err);

int node_service_restart(const struct ray_args *args, void *context);
extern const struct ray_args_option node_service_restart_options[];

#endif
