/* clusterctl/cli/reference.h - the page of all commands, from the table that parses them.
 *
 * Memory: none.  Threads: one.  Blocks: on the stream.  Trust: the table is ours. */
#ifndef RAY_CLUSTERCTL_CLI_REFERENCE_H
#define RAY_CLUSTERCTL_CLI_REFERENCE_H

#include "base/args.h"

/* What the program gives to its commands as context. */
struct reference_tree {
    const struct ray_args_command *root;
    const struct ray_args_option *options; /* of all commands */
};

/* The hidden verb that prints the page (tools/clusterctl_docs). */
extern const struct ray_args_command reference_command;

#endif
