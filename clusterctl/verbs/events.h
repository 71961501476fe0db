/* clusterctl/verbs/events.h - `clusterctl events`, and the events about one object.
 *
 * Memory: none kept.  Threads: one.  Blocks: until the member answers; --follow for ever.
 * Trust: texts are escaped when they are printed. */
#ifndef RAY_CLUSTERCTL_VERBS_EVENTS_H
#define RAY_CLUSTERCTL_VERBS_EVENTS_H

#include "base/args.h"
#include "net/proto/cluster.pb-c.h"

extern const struct ray_args_command events_command;

/* Those that are kept, in order; `on_event` borrows each. */
int events_each(const struct ray_args *args,
                void (*on_event)(void *arg, const Rayos__Cluster__Event *event), void *arg,
                struct ray_err *err);

#endif
