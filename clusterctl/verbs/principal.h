/* clusterctl/verbs/principal.h - `clusterctl principal create|list|show|remove|key`: whose keys the
 * cluster takes for operators'.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the member answers.
 * Trust: what members answer is escaped when it is printed; key files are checked. */
#ifndef RAY_CLUSTERCTL_VERBS_PRINCIPAL_H
#define RAY_CLUSTERCTL_VERBS_PRINCIPAL_H

#include "base/args.h"

extern const struct ray_args_command principal_command;

#endif
