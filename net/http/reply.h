/* net/http/reply.h - the head of a response.
 *
 * Memory: appends to the caller's buffer.  Threads: any.  Blocks: never.
 * Trust: texts of handlers may carry bytes of clients, so what could end a line early is
 * refused instead of sent. */
#ifndef RAY_NET_HTTP_REPLY_H
#define RAY_NET_HTTP_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct ray_http_reply {
    int status;
    const char *content_type; /* NULL: none */
    uint64_t content_size;    /* of the body that GET would bring */
    bool keep_alive;
    const char *extra_headers; /* whole lines "Name: value\r\n"; NULL: none */
    uint64_t realtime_ns;      /* for Date */
};

/* "Not Found"; "Status" for one that we do not know. */
const char *ray_http_status_text(int status);

/* RAY_EINVAL: a text would break the framing (nothing was appended); RAY_ENOMEM,
 * RAY_ETOOBIG: of the buffer. */
int ray_http_reply_head(struct ray_buf *out, const struct ray_http_reply *reply,
                        struct ray_err *err);

#endif
