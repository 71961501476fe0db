/* watch.c - a netlink socket with the kernel's uevents. Events that did not fit are events,
 * too: whatever happens on the socket leads to one call. */
#include "tests/agent/watch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KERNEL_GROUP = 1, DRAIN_COUNT_MAX = 1024 };

static void on_event(void *arg, int status, int events)
{
    struct watch *watch = arg;
    char bytes[4096];

    (void)status;
    (void)events;
    for (int i = 0; i < DRAIN_COUNT_MAX; i++) {
        if (recv(watch->fd, bytes, sizeof bytes, MSG_DONTWAIT) < 0 && errno != ENOBUFS) {
            break;
        }
    }
    watch->on_change(watch->arg);
}

int watch_init(struct watch *watch, struct ray_loop *loop, void (*on_change)(void *arg), void *arg,
               struct ray_err *err)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
    int rc;

    *watch = (struct watch){.fd = -1, .on_change = on_change, .arg = arg};
    watch->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (watch->fd < 0 || bind(watch->fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        rc = ray_fail_errno(err, errno, "device events");
        watch_fini(watch);
        return rc;
    }
    rc = ray_poll_init(&watch->poll, loop, watch->fd, on_event, watch, err);
    if (rc == RAY_OK) {
        rc = ray_poll_set(&watch->poll, UV_READABLE);
    }
    if (rc != RAY_OK) {
        watch_fini(watch);
    }
    return rc;
}

void watch_fini(struct watch *watch)
{
    ray_poll_fini(&watch->poll);
    if (watch->fd >= 0) {
        (void)close(watch->fd);
        watch->fd = -1;
    }
}
