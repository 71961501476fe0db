/* clusterctl/verbs/support.h - `clusterctl support bundle`: what may be shown to whoever helps.
 *
 * Memory: none kept.  Threads: one.  Blocks: until members answer or --timeout; on the disk.
 * Trust: by a list of fields: what is new elsewhere is not in it. */
#ifndef RAY_CLUSTERCTL_VERBS_SUPPORT_H
#define RAY_CLUSTERCTL_VERBS_SUPPORT_H

#include "base/args.h"

extern const struct ray_args_command support_command;

#endif
