/* net/http/parser.h - bytes to requests: llhttp, made stricter and bounded.
 *
 * Memory: create/destroy; the texts of a message belong to the parser and live until next.
 * Threads: one owner.  Blocks: never.
 * Trust: every byte is hostile. A refused connection stays refused: after a framing error
 * nobody knows where the next request begins. */
#ifndef RAY_NET_HTTP_PARSER_H
#define RAY_NET_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/http/server.h"

struct ray_http_limits {
    size_t target_size_max;
    size_t header_size_max; /* request line and all header lines */
    size_t body_size_max;
};

struct ray_http_parser;

enum ray_http_feed {
    RAY_HTTP_FEED_MORE,    /* all bytes were used, the request is not complete */
    RAY_HTTP_FEED_DONE,    /* a request is complete; bytes behind it were not used */
    RAY_HTTP_FEED_REFUSED, /* answer with refused_status and close */
};

struct ray_http_message {
    enum ray_http_method method;
    const char *target; /* as sent; "" until it is known */
    size_t target_size;
    const uint8_t *body;
    size_t body_size;
    bool keep_alive;
    bool wants_continue;        /* "Expect: 100-continue", and the body is still to come */
    int refused_status;         /* 0 unless refused */
    const char *refused_reason; /* static text */
};

int ray_http_parser_create(struct ray_http_parser **out_parser,
                           const struct ray_http_limits *limits, struct ray_err *err);
void ray_http_parser_destroy(struct ray_http_parser *parser); /* NULL is fine */

enum ray_http_feed ray_http_parser_feed(struct ray_http_parser *parser, const void *bytes,
                                        size_t size, size_t *out_used_size);
/* Forgets the message, ready for the next one of the same connection. Not after REFUSED. */
void ray_http_parser_next(struct ray_http_parser *parser);
/* Whether a request has begun but is not complete. */
bool ray_http_parser_is_inside(const struct ray_http_parser *parser);
/* Whether the headers were complete and ended well (the body may be missing). */
bool ray_http_parser_has_head(const struct ray_http_parser *parser);

const struct ray_http_message *ray_http_parser_message(const struct ray_http_parser *parser);
/* The value of the first header of that name, white space trimmed; NULL for none. */
const char *ray_http_parser_header(const struct ray_http_parser *parser, const char *name);

#endif
