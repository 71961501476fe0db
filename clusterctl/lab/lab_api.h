/* clusterctl/lab/lab_api.h - `clusterctl lab ...`, for clusterctl's table of commands.
 *
 * Memory: a constant.  Threads: any.  Blocks: the commands do.  Trust: see the commands. */
#ifndef RAY_CLUSTERCTL_LAB_LAB_API_H
#define RAY_CLUSTERCTL_LAB_LAB_API_H

#include "base/args.h"

extern const struct ray_args_command ray_lab_command;

#endif
