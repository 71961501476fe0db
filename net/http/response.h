/* net/http/response.h - bytes to one response: llhttp, made stricter and bounded.
 *
 * For one request on one connection: nothing that comes behind the response is looked at.
 * Memory: create/destroy; texts and body belong to the parser and live as long.
 * Threads: one owner.  Blocks: never.
 * Trust: every byte is hostile. */
#ifndef RAY_NET_HTTP_RESPONSE_H
#define RAY_NET_HTTP_RESPONSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ray_http_response_limits {
    size_t header_size_max; /* status line and headers, those of interim responses too */
    size_t body_size_max;   /* decoded */
};

struct ray_http_response {
    int status; /* 200 to 599; 0 until it is complete */
    const uint8_t *body;
    size_t body_size;
};

struct ray_http_response_parser;

int ray_http_response_parser_create(struct ray_http_response_parser **out_parser,
                                    const struct ray_http_response_limits *limits,
                                    struct ray_err *err);
void ray_http_response_parser_destroy(struct ray_http_response_parser *parser); /* NULL is fine */

/* RAY_OK: the response is complete. RAY_EAGAIN: there is more to come. RAY_EMALFORMED,
 * RAY_ETOOBIG, RAY_ENOMEM: refused, for good. */
int ray_http_response_feed(struct ray_http_response_parser *parser, const void *bytes, size_t size,
                           struct ray_err *err);
/* The peer has closed, after RAY_EAGAIN. RAY_OK: that was the end of the response.
 * RAY_ECLOSED: it was cut off. */
int ray_http_response_finish(struct ray_http_response_parser *parser, struct ray_err *err);

const struct ray_http_response *ray_http_response(const struct ray_http_response_parser *parser);
/* The value of the first header of that name, white space trimmed; NULL for none. */
const char *ray_http_response_header(const struct ray_http_response_parser *parser,
                                     const char *name);

#endif
