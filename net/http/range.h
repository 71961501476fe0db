/* net/http/range.h - Range, If-Range and If-None-Match of RFC 9110, for files of a known size.
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: values come from the network. */
#ifndef RAY_NET_HTTP_RANGE_H
#define RAY_NET_HTTP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

enum ray_http_range {
    RAY_HTTP_RANGE_WHOLE,         /* no range that we serve: answer 200 with everything */
    RAY_HTTP_RANGE_PART,          /* 206 */
    RAY_HTTP_RANGE_UNSATISFIABLE, /* 416 */
};

/* `value` is the header's value or NULL. One range of bytes is served; several ranges,
 * another unit or bad syntax count as no range, as RFC 9110 14.2 allows. Outputs are set
 * for WHOLE (0, size) and PART. */
enum ray_http_range ray_http_range_parse(const char *value, uint64_t size, uint64_t *out_first,
                                         uint64_t *out_size);

/* Whether the list of an If-None-Match ("*", or quoted tags with optional W/) names `etag`
 * (quoted). */
bool ray_http_etag_matches(const char *list, const char *etag);

#endif
