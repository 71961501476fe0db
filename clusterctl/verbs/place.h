/* clusterctl/verbs/place.h - `place`: where a guest would go, and why not elsewhere; `whatif`:
 * where the guests of a node would go.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the member answers; on --file and others.
 * Trust: what it answers is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_PLACE_H
#define RAY_CLUSTERCTL_VERBS_PLACE_H

#include "base/args.h"

extern const struct ray_args_command place_command;
extern const struct ray_args_command whatif_command;

#endif
