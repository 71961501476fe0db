/* net/http/origin.h - where an HTTP server is, in one strict form:
 *
 *     http://10.77.0.1:8080     http://[fd00::1]:8080
 *
 * An address, never a name, and always a port: who reads it needs no resolver, and nothing in
 * it can become a path, a header or a word of a command line.
 * Memory: a plain struct.  Threads: any.  Blocks: never.
 * Trust: the text may come from the network; it is parsed to bytes and printed from them. */
#ifndef RAY_NET_HTTP_ORIGIN_H
#define RAY_NET_HTTP_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

enum { RAY_HTTP_ORIGIN_SIZE_MAX = 64 }; /* of the text, with NUL */

struct ray_http_origin {
    bool is_v6;
    uint8_t address[16]; /* network order; of IPv4 the first four */
    uint16_t port;       /* host order; never 0 */
};

/* All of `text` must be of the form above. RAY_EMALFORMED. */
int ray_http_origin_parse(const char *text, size_t size, struct ray_http_origin *out,
                          struct ray_err *err);

/* The canonical text; returns `out`. */
const char *ray_http_origin_format(const struct ray_http_origin *origin,
                                   char out[static RAY_HTTP_ORIGIN_SIZE_MAX]);

/* Whether another machine can have that address: not unspecified, loopback, multicast,
 * reserved, IPv4 inside IPv6, or one that needs a zone. */
bool ray_http_origin_is_remote(const struct ray_http_origin *origin);

/* For connect(2); returns the size. */
socklen_t ray_http_origin_sockaddr(const struct ray_http_origin *origin,
                                   struct sockaddr_storage *out);

#endif
