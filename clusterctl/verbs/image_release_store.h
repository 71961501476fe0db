/* clusterctl/verbs/image_release_store.h - `clusterctl image-release add|list|remove|gc`: the
 * images that rayos-provision serves.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the answer or --timeout.
 * Trust: the service checks what it is given; the files are only opened here. */
#ifndef RAY_CLUSTERCTL_VERBS_IMAGE_RELEASE_STORE_H
#define RAY_CLUSTERCTL_VERBS_IMAGE_RELEASE_STORE_H

#include "base/args.h"

/* Rows of the table of verbs. */
extern const struct ray_args_command image_release_add_command;
extern const struct ray_args_command image_release_list_command;
extern const struct ray_args_command image_release_remove_command;
extern const struct ray_args_command image_release_gc_command;

#endif
