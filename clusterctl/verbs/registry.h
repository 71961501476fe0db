/* clusterctl/verbs/registry.h - `clusterctl query`, `label`, `cluster voters`.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the member answers.
 * Trust: what it answers is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_REGISTRY_H
#define RAY_CLUSTERCTL_VERBS_REGISTRY_H

#include "base/args.h"

extern const struct ray_args_command query_command;
extern const struct ray_args_command label_command;

/* `cluster voters N` */
int registry_run_voters(const struct ray_args *args, void *context);

#endif
