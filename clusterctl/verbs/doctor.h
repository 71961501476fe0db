/* clusterctl/verbs/doctor.h - `clusterctl doctor`: is anything wrong with the cluster?
 *
 * Memory: none kept.  Threads: one.  Blocks: until members answer or --timeout.
 * Trust: what it answers is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_DOCTOR_H
#define RAY_CLUSTERCTL_VERBS_DOCTOR_H

#include "base/args.h"

extern const struct ray_args_command doctor_command;

#endif
