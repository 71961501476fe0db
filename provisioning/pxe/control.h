/* provisioning/pxe/control.h - the control socket: what operators ask and change while the service
 * runs. Methods and who may call them: net/proto/provision.proto.
 *
 *   control.c          socket, permission, status, watch
 *   control_machines.c machines and groups
 *   control_images.c   the store
 *   control_check.c    what keeps machines from booting
 *
 * Memory: the service owns it; callers' requests are bounded by net/rpc, watches by
 * CONTROL_WATCH_COUNT_MAX.  Threads: the loop's.
 * Blocks: image_remove and image_gc on the disk; the others never.
 * Trust: callers are local, known by uid; their texts are checked here. */
#ifndef RAY_PROVISIONING_PXE_CONTROL_H
#define RAY_PROVISIONING_PXE_CONTROL_H

#include "base/err.h"
#include "provisioning/machines/record.h"

struct provision_control;
struct provision_service;

/* The name under which PID 1 keeps the socket of a service on a node. */
#define PROVISION_CONTROL_SOCKET "provision.sock"

/* Store and table of the service are open. Sets service->control. */
int provision_control_start(struct provision_service *service, struct ray_err *err);
/* Ends open calls. Before store and table are destroyed. NULL is fine. */
void provision_control_destroy(struct provision_control *control);
/* Something was added to a timeline: tells who watches. NULL is fine. */
void provision_control_event(struct provision_control *control,
                             const struct provision_record *record,
                             const struct provision_record_event *event);

#endif
