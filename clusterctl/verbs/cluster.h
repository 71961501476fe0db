/* clusterctl/verbs/cluster.h - `clusterctl cluster create|status`, `token ...`.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the member answers.
 * Trust: what it answers is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_CLUSTER_H
#define RAY_CLUSTERCTL_VERBS_CLUSTER_H

#include "base/args.h"

extern const struct ray_args_command cluster_command;
extern const struct ray_args_command token_command;

#endif
