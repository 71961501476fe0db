/* clusterctl/verbs/recovery.h - `clusterctl cluster inventory|recover`, `node confirm-off`: when a
 * majority of the voters is lost for good.
 *
 * Memory: none kept.  Threads: one.  Blocks: until it is so, or --timeout.
 * Trust: what members answer is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_RECOVERY_H
#define RAY_CLUSTERCTL_VERBS_RECOVERY_H

#include "base/args.h"

extern const struct ray_args_option cluster_inventory_options[];
extern const struct ray_args_option cluster_recover_options[];
extern const struct ray_args_option node_confirm_off_options[];

/* Of this member as it says itself, or with --root of a data folder whose rayosd does not run. */
int cluster_inventory(const struct ray_args *args, void *context);
int cluster_recover(const struct ray_args *args, void *context);
int node_confirm_off(const struct ray_args *args, void *context);

#endif
