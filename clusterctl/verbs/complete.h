/* clusterctl/verbs/complete.h - names that there are now, for the shell: a call that waits a second
 * at most and fails in silence.
 *
 * Memory: none kept.  Threads: one.  Blocks: COMPLETE_TIMEOUT_S.
 * Trust: names that could mean something to a shell are left out. */
#ifndef RAY_CLUSTERCTL_VERBS_COMPLETE_H
#define RAY_CLUSTERCTL_VERBS_COMPLETE_H

#include <stddef.h>

#include "base/args.h"

#define COMPLETE_TIMEOUT_S "1"

/* For the `complete` of a command whose first positional is such a name. The command has --socket
 * and --timeout. */
void complete_node(const struct ray_args *args, size_t index, void *context);
void complete_guest(const struct ray_args *args, size_t index, void *context);
void complete_image(const struct ray_args *args, size_t index, void *context);
void complete_network(const struct ray_args *args, size_t index, void *context);
void complete_principal(const struct ray_args *args, size_t index, void *context);
void complete_token(const struct ray_args *args, size_t index, void *context);
void complete_operation(const struct ray_args *args, size_t index, void *context);
/* A kind, then a name of that kind. */
void complete_kind_and_name(const struct ray_args *args, size_t index, void *context);

#endif
