/* net/link_proxy.h - a TCP proxy on the loop that does harm at a chosen byte. For tests only.
 *
 * Memory: setup and teardown on caller memory.  Threads: the loop's.  Blocks: never.
 * Trust: none. */
#ifndef RAY_NET_LINK_PROXY_H
#define RAY_NET_LINK_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

enum { PROXY_LINES_MAX = 64 };

enum proxy_harm {
    PROXY_NONE,
    PROXY_CUT,  /* both connections are closed before the byte */
    PROXY_FLIP, /* one bit of the byte */
    PROXY_STOP, /* nothing more is forwarded either way */
};

struct proxy;

/* One connection through the proxy. */
struct proxy_line {
    struct proxy *proxy;
    int fds[2]; /* 0: who connected, 1: the target; -1: closed */
    struct ray_poll polls[2];
    uint64_t forwarded[2]; /* bytes from fds[i] to the other */
};

struct proxy {
    struct ray_loop *loop;
    int fd;
    uint16_t port;
    uint16_t target_port;
    struct ray_poll poll;
    enum proxy_harm harm; /* of connections from now on, until it has been done once */
    int harm_from;        /* bytes of this end count */
    uint64_t harm_at;
    unsigned harm_count; /* how often it was done */
    struct proxy_line lines[PROXY_LINES_MAX];
    size_t line_count;
};

void proxy_setup(struct proxy *proxy, struct ray_loop *loop, uint16_t target_port);
void proxy_teardown(struct proxy *proxy);
void proxy_cut_all(struct proxy *proxy);

#endif
