/* base/notify.h - a service's word to PID 1: the sd_notify(3) protocol over
 * $NOTIFY_SOCKET, so that services written for systemd work unchanged.
 *
 * Messages used: READY=1, STATUS=..., STOPPING=1, WATCHDOG=1, FDSTORE=1 + FDNAME=name,
 * FDSTOREREMOVE=1, and our X_RAYOS_MARKER=<marker line>, which PID 1 checks against the
 * table and prints. Kept descriptors come back as $LISTEN_FDS, $LISTEN_FDNAMES.
 * Memory: none.  Threads: any.  Blocks: never (datagram; dropped when PID 1 is full,
 * then RAY_EAGAIN).  Trust: $NOTIFY_SOCKET comes from our parent. */
#ifndef RAY_BASE_NOTIFY_H
#define RAY_BASE_NOTIFY_H

#include <stddef.h>

#include "base/err.h"
#include "base/marker.h"

/* RAY_OK also when $NOTIFY_SOCKET is unset: nobody wants to know. */
int ray_notify(const char *message, struct ray_err *err);
int ray_notify_ready(struct ray_err *err);
int ray_notify_marker(enum ray_marker marker, const char *detail, struct ray_err *err);
/* PID 1 keeps a duplicate of fd over this service's restarts. */
int ray_notify_keep_fd(const char *name, int fd, struct ray_err *err);
int ray_notify_drop_fd(const char *name, struct ray_err *err);
/* A descriptor kept before under `name`, or -1. Sets CLOEXEC. */
int ray_notify_kept_fd(const char *name);

#endif
