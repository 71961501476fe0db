/* clusterctl/verbs/provision.h - `clusterctl provision ...`: the service that boots machines over
 * the network, as a whole.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the answer or --timeout; run for ever.
 * Trust: answers are checked by net/rpc; texts are escaped when printed. */
#ifndef RAY_CLUSTERCTL_VERBS_PROVISION_H
#define RAY_CLUSTERCTL_VERBS_PROVISION_H

#include "base/args.h"

extern const struct ray_args_command provision_command;

#endif
