/* clusterctl/verbs/node_leave.h - `clusterctl node drain|undrain|remove|set`: what a node is to be
 * for the cluster, and its end.
 *
 * Memory: none kept.  Threads: one.  Blocks: until it is so, or --timeout.
 * Trust: what members answer is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_NODE_LEAVE_H
#define RAY_CLUSTERCTL_VERBS_NODE_LEAVE_H

#include <stdbool.h>

#include "base/args.h"
#include "base/err.h"
#include "net/proto/cluster.pb-c.h"

extern const struct ray_args_option node_drain_options[];
extern const struct ray_args_option node_undrain_options[];
extern const struct ray_args_option node_remove_options[];
extern const struct ray_args_option node_set_options[];

int node_drain(const struct ray_args *args, void *context);
int node_undrain(const struct ray_args *args, void *context);
int node_remove(const struct ray_args *args, void *context);
int node_set(const struct ray_args *args, void *context);

/* ---- for other verbs; those that wait take --no-wait, --dry-run and --timeout ---- */

/* node.plan; the plan is the caller's. */
int node_plan_fetch(const struct ray_args *args, const char *id, Rayos__Cluster__Plan **out,
                    struct ray_err *err);
void node_plan_free(Rayos__Cluster__Plan *plan); /* NULL is fine */
int node_send_drain(const struct ray_args *args, const char *id_text, bool is_drained,
                    struct ray_err *err);
/* What `node drain` does; RAY_ECONFLICT: it would cost the majority. */
int node_drain_first(const struct ray_args *args, const Rayos__Cluster__NodeStatus *node,
                     const Rayos__Cluster__Plan *plan, struct ray_err *err);

#endif
