/* node/init/notify_message.h - one datagram of the sd_notify protocol, taken apart.
 *
 * Memory: the result borrows from the datagram, but status and fd_name are copied and
 * escaped.  Threads: any.  Blocks: never.
 * Trust: every byte comes from a service, perhaps a compromised one. Unknown keys are
 * ignored, as the protocol demands; known ones with bad values are ignored, too. */
#ifndef RAY_NODE_INIT_NOTIFY_MESSAGE_H
#define RAY_NODE_INIT_NOTIFY_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/marker.h"

enum {
    NOTIFY_MESSAGE_SIZE_MAX = 4096,
    NOTIFY_STATUS_SIZE_MAX = 256,
    NOTIFY_FD_NAME_SIZE_MAX = 64, /* with NUL */
    NOTIFY_MARKER_COUNT_MAX = 8,
};

struct notify_marker {
    enum ray_marker marker;
    char detail[RAY_MARKER_LINE_SIZE_MAX];
};

struct notify_message {
    bool is_ready;
    bool is_stopping;
    bool is_alive;    /* WATCHDOG=1 */
    bool stores_fds;  /* FDSTORE=1 */
    bool removes_fds; /* FDSTOREREMOVE=1 */
    bool has_status;
    char status[NOTIFY_STATUS_SIZE_MAX];
    char fd_name[NOTIFY_FD_NAME_SIZE_MAX]; /* "stored" when not given or not valid */
    struct notify_marker markers[NOTIFY_MARKER_COUNT_MAX];
    size_t marker_count;
    size_t refused_count; /* known keys with values that are not allowed */
};

/* [A-Za-z0-9._-]{1,63}: it travels in $LISTEN_FDNAMES, where ':' separates. */
bool notify_fd_name_is_valid(const char *name, size_t size);

/* Never fails: what is not understood is ignored. `size` may be 0. */
void notify_message_parse(const char *bytes, size_t size, struct notify_message *out);

#endif
