/* clusterctl/verbs/machine.h - `clusterctl machine ...`: the machines that rayos-provision has
 * seen, and what they get when they boot.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the answer or --timeout.
 * Trust: what machines say of themselves is escaped when printed. */
#ifndef RAY_CLUSTERCTL_VERBS_MACHINE_H
#define RAY_CLUSTERCTL_VERBS_MACHINE_H

#include "base/args.h"

extern const struct ray_args_command machine_command;

#endif
