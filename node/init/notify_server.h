/* node/init/notify_server.h - the datagram socket that services report to (sd_notify).
 *
 * The kernel says who sent a datagram (SCM_CREDENTIALS): the service's main process, or a
 * process in its cgroup. Anything else is dropped and counted.
 * Memory: one datagram.  Threads: the loop's.  Blocks: never; a bounded number of datagrams
 * per turn.  Trust: every byte comes from services (notify_message.h). */
#ifndef RAY_NODE_INIT_NOTIFY_SERVER_H
#define RAY_NODE_INIT_NOTIFY_SERVER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/loop.h"
#include "node/init/supervise.h"

enum {
    NOTIFY_SERVER_PER_TURN = 64,
    NOTIFY_SERVER_FD_COUNT_MAX = 16, /* in one datagram */
};

struct notify_server {
    struct ray_poll poll;
    int fd; /* -1: closed; owned */
    struct supervise *supervise;
    void (*on_marker)(void *arg, enum ray_marker marker, const char *detail);
    void *arg;
    uint64_t stranger_count; /* datagrams from nobody we know */
};

int notify_server_init(struct notify_server *server, struct ray_loop *loop, const char *path,
                       struct supervise *supervise,
                       void (*on_marker)(void *arg, enum ray_marker marker, const char *detail),
                       void *arg, struct ray_err *err);
void notify_server_fini(struct notify_server *server);

/* Pure: the service whose cgroup this /proc/<pid>/cgroup text names ("0::/rayos.slice/x...");
 * copies its name. False when it is none of ours. */
bool notify_service_of_cgroup(const char *text, char *out_name, size_t out_size);

#endif
