/* clusterctl/verbs/context.h - the verbs of `clusterctl context`.
 *
 * Memory: none.  Threads: one.  Blocks: on the disk, on members.
 * Trust: files and members are checked (clusterctl/context). */
#ifndef RAY_CLUSTERCTL_VERBS_CONTEXT_H
#define RAY_CLUSTERCTL_VERBS_CONTEXT_H

#include "base/args.h"
#include "net/proto/cluster.pb-c.h"

extern const struct ray_args_command context_command;

/* For a cluster that was just made here: a context of its name, unless there is one of another
 * cluster. Says on stderr what came of it; nothing of it is an error of the verb. */
void context_of_new_cluster(const struct ray_args *args);
/* The same of one that was made elsewhere, whose members are these. */
void context_of_members(const Rayos__Cluster__Joined *joined);

#endif
