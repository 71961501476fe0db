/* clusterctl/verbs/node_find.h - the nodes of the cluster, and the one that somebody means.
 *
 * Memory: a list is the caller's (node_list_free).  Threads: one.
 * Blocks: until the member answers or --timeout.  Trust: answers are checked by net/rpc. */
#ifndef RAY_CLUSTERCTL_VERBS_NODE_FIND_H
#define RAY_CLUSTERCTL_VERBS_NODE_FIND_H

#include <stdbool.h>

#include "base/args.h"
#include "base/err.h"
#include "net/proto/cluster.pb-c.h"

/* All of them, by name; pages are put together. */
int node_list_fetch(const struct ray_args *args, bool is_linearizable, Rayos__Cluster__Nodes **out,
                    struct ray_err *err);
void node_list_free(Rayos__Cluster__Nodes *nodes); /* NULL is fine */

/* Takes those out that are not `state`. */
void node_list_keep(Rayos__Cluster__Nodes *nodes, const char *state);

/* Of those that are `state` (NULL: all) the one of this name, also one that waits for it, of this
 * id, or the only one whose id begins so (4 digits at least). RAY_ENOTFOUND: none or several; the
 * text names the candidates. */
int node_find(const Rayos__Cluster__Nodes *nodes, const char *state, const char *wanted,
              const Rayos__Cluster__NodeStatus **out, struct ray_err *err);

#endif
