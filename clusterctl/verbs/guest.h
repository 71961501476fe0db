/* clusterctl/verbs/guest.h - the nouns `guest`, `image` and `network`: records of the registry.
 *
 * A guest that is made here is defined, not run: nothing starts it yet.
 * Memory: none kept.  Threads: one.  Blocks: until the member answers; files and the terminal.
 * Trust: what members answer is escaped when it is printed. */
#ifndef RAY_CLUSTERCTL_VERBS_GUEST_H
#define RAY_CLUSTERCTL_VERBS_GUEST_H

#include "base/args.h"

struct spec_noun;

extern const struct ray_args_command guest_command;
extern const struct ray_args_command image_command;
extern const struct ray_args_command network_command;

extern const struct spec_noun guest_noun;

#endif
