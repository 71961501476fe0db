/* node/init/system/hotplug.h - what happens when a device appears: its modules are loaded
 * off the loop, its database entry is written, and others are told.
 *
 * Memory: owns its queue; borrows loop and logger.  Threads: the loop's, plus two
 * libuv workers that load modules: one for devices as they appear, one that looks at all of
 * them.  Blocks: never (a driver that hangs holds only its worker).  Trust: events are the kernel's
 * (uevent.h). */
#ifndef RAY_NODE_INIT_SYSTEM_HOTPLUG_H
#define RAY_NODE_INIT_SYSTEM_HOTPLUG_H

#include <stddef.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "node/init/system/uevent.h"

enum { INIT_HOTPLUG_QUEUE_COUNT_MAX = 512 };

struct init_hotplug;

/* `on_event` (may be NULL) gets every event, after the built-in handling; a rescan of
 * lost events calls on_rescan (may be NULL), after which the caller looks again at what it
 * cares for. Starts listening at once; modules are loaded only after
 * init_hotplug_enable_loading, so that coldplug comes first; that call also starts
 * init_kmodule_coldplug_rest in a worker. */
int init_hotplug_create(struct ray_loop *loop, int root_fd, struct ray_logger *logger,
                        void (*on_event)(void *arg, const struct init_uevent *event),
                        void (*on_rescan)(void *arg), void *arg, struct init_hotplug **out,
                        struct ray_err *err);
void init_hotplug_enable_loading(struct init_hotplug *hotplug);
/* Waits for nothing: a load in progress ends by itself and then frees what it holds. Not
 * from within on_event or on_rescan. */
void init_hotplug_destroy(struct init_hotplug *hotplug);

#endif
