/* net/http/request.h - a request target ("/boot/script?mac=..") taken apart.
 *
 * Memory: everything lies in struct ray_http_target, which is the caller's.
 * Threads: any.  Blocks: never.  Trust: the bytes come from the network; what is accepted
 * cannot climb out of a folder and holds no control byte. */
#ifndef RAY_NET_HTTP_REQUEST_H
#define RAY_NET_HTTP_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { RAY_HTTP_TARGET_SIZE_MAX = 2048, RAY_HTTP_QUERY_COUNT_MAX = 16 };

struct ray_http_query_entry {
    uint16_t name_offset; /* into text */
    uint16_t value_offset;
};

struct ray_http_target {
    /* The path, then names and values, each NUL-terminated. Decoding never makes a text
     * longer, and each separator makes room for one NUL. */
    char text[RAY_HTTP_TARGET_SIZE_MAX + 4];
    struct ray_http_query_entry query[RAY_HTTP_QUERY_COUNT_MAX];
    size_t query_count;
};

/* Takes origin form ("/path?query") and absolute form ("http://host/path?query").
 * RAY_ETOOBIG: longer than RAY_HTTP_TARGET_SIZE_MAX or too many parameters.
 * RAY_EMALFORMED: a bad escape, a control byte, a "." or ".." or empty segment, an escaped
 * slash, a parameter given twice. */
int ray_http_target_parse(const char *raw, size_t size, struct ray_http_target *out,
                          struct ray_err *err);

const char *ray_http_target_path(const struct ray_http_target *target); /* begins with "/" */
/* The decoded value of a parameter, "" for one without "=", NULL for none. */
const char *ray_http_target_query(const struct ray_http_target *target, const char *name);

#endif
