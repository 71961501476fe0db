/* node/rayosd_ticker.h - once a second: what the member has to know of this machine (its address,
 * with --interface), and what PID 1 shows of the member (sd_notify's STATUS).
 *
 * Memory: the caller's struct; init and fini.  Threads: the loop's.
 * Blocks: asking the kernel for its addresses (microseconds).
 * Trust: an address is the kernel's, whoever gave it. */
#ifndef RAY_NODE_RAYOSD_TICKER_H
#define RAY_NODE_RAYOSD_TICKER_H

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdbool.h>

#include "base/log.h"
#include "base/loop.h"
#include "coordinator/api/member_api.h"

enum {
    RAYOSD_HOST_SIZE = INET6_ADDRSTRLEN + 2,    /* an IPv6 address is in brackets */
    RAYOSD_ADDRESS_SIZE = RAYOSD_HOST_SIZE + 8, /* with a port */
};

struct rayosd_ticker {
    struct ray_timer timer;
    struct ray_logger *logger;
    struct coord_member *member;
    const char *interface; /* NULL: the address is known; borrowed */
    const char *port;      /* ":7297"; into --listen */
    char host[RAYOSD_HOST_SIZE];
    char standing[COORD_MEMBER_STANDING_SIZE];
};

/* Which address of `interface` others are told: the one of before as long as it has that, else its
 * first of IPv4, else its first of IPv6 that is good beyond the link. False: it has none, *out is
 * untouched. Pure. */
bool rayosd_address_choose(const struct ifaddrs *all, const char *interface, const char *before,
                           char out[static RAYOSD_HOST_SIZE]);

/* `listen` is HOST:PORT. The first tick comes at once. */
int rayosd_ticker_init(struct rayosd_ticker *ticker, struct ray_loop *loop,
                       struct ray_logger *logger, struct coord_member *member,
                       const char *interface, const char *listen, struct ray_err *err);
/* The member has news: it comes at once. */
void rayosd_ticker_hurry(struct rayosd_ticker *ticker);
void rayosd_ticker_fini(struct rayosd_ticker *ticker); /* zeroed is fine */

#endif
