/* clusterctl/verbs/registry.h - `clusterctl query`, `label`, `cluster voters`.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the member answers.
 * Trust: what it answers is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_REGISTRY_H
#define RAY_CLUSTERCTL_VERBS_REGISTRY_H

#include <yyjson.h>

#include "base/args.h"
#include "net/proto/registry.pb-c.h"

extern const struct ray_args_command query_command;
extern const struct ray_args_command label_command;

/* Labels as {key: text}: their values are bytes, in practice texts. NULL: no memory. */
yyjson_mut_val *registry_show_labels(yyjson_mut_doc *doc, Rayos__Registry__Label *const *list,
                                     size_t count);
/* `cluster voters N` */
int registry_run_voters(const struct ray_args *args, void *context);

#endif
