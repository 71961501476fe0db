/* clusterctl/verbs/image_release_write.h - `clusterctl image-release write`: a disk, a USB stick
 * or a file that boots RayOS.
 *
 * Memory: none kept.  Threads: one.  Blocks: on the disk, and on the person who confirms.
 * Trust: arguments are the user's; what a disk says of itself is escaped. */
#ifndef RAY_CLUSTERCTL_VERBS_IMAGE_RELEASE_WRITE_H
#define RAY_CLUSTERCTL_VERBS_IMAGE_RELEASE_WRITE_H

#include "base/args.h"

/* A row of the table of verbs. */
extern const struct ray_args_command image_release_write_command;

#endif
