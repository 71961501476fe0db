/* clusterctl/cli/completion.h - the verb `completion SHELL`.
 *
 * Memory: none.  Threads: one.  Blocks: on stdout.  Trust: none. */
#ifndef RAY_CLUSTERCTL_CLI_COMPLETION_H
#define RAY_CLUSTERCTL_CLI_COMPLETION_H

#include "base/args.h"

extern const struct ray_args_command completion_command;

#endif
