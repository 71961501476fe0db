/* clusterctl/verbs/why.h - `clusterctl why KIND [NAME]`: who did what to an object, when and why,
 * and what it waits for.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the member answers or --timeout.
 * Trust: what it answers is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_WHY_H
#define RAY_CLUSTERCTL_VERBS_WHY_H

#include "base/args.h"

extern const struct ray_args_command why_command;

#endif
