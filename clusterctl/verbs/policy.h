/* clusterctl/verbs/policy.h - `clusterctl policy` and `clusterctl op`.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the member answers; `check`, and what has
 * --file, ask nobody.
 * Trust: files and answers are hostile. */
#ifndef RAY_CLUSTERCTL_VERBS_POLICY_H
#define RAY_CLUSTERCTL_VERBS_POLICY_H

#include "base/args.h"

extern const struct ray_args_command policy_command;
extern const struct ray_args_command operation_command;

int policy_run_diff(const struct ray_args *args, void *context);
int policy_run_test(const struct ray_args *args, void *context);

#endif
