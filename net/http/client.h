/* net/http/client.h - one request to one server, on the loop; then the connection is closed.
 *
 * Memory: start/destroy; target and body are copied. A result and its text are borrowed for
 * the call of on_done, its body and headers until destroy.
 * Threads: the loop's.  Blocks: never.
 * Trust: every byte from the server is hostile: one deadline for all, sizes bounded, framing
 * checked (response.h). Redirects are results like any other: nothing is followed. */
#ifndef RAY_NET_HTTP_CLIENT_H
#define RAY_NET_HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "net/http/origin.h"

enum {
    RAY_HTTP_CLIENT_REQUEST_SIZE_MAX = 1 << 20,  /* of a body */
    RAY_HTTP_CLIENT_RESPONSE_SIZE_MAX = 1 << 16, /* of a body */
    RAY_HTTP_CLIENT_HEADER_SIZE_MAX = 1 << 13,
    RAY_HTTP_CLIENT_TARGET_SIZE_MAX = 2048,
};

enum ray_http_client_method { RAY_HTTP_CLIENT_GET, RAY_HTTP_CLIENT_POST };

struct ray_http_client;

struct ray_http_client_result {
    int code;         /* RAY_OK: a whole response came, whatever its status says */
    const char *text; /* why not; "" */
    int status;       /* 200 to 599; 0 without a response */
    const uint8_t *body;
    size_t body_size;
};

struct ray_http_client_request {
    struct ray_http_origin origin;
    enum ray_http_client_method method;
    const char *target;       /* "/hello": printable ASCII, begins with "/" */
    const char *content_type; /* of the body; NULL without one */
    const void *body;
    size_t body_size;
    uint32_t timeout_ms; /* from start to the last byte of the response; never 0 */
    /* Exactly once, never from within start; the client may be destroyed in it. */
    void (*on_done)(void *arg, const struct ray_http_client_result *result);
    void *arg;
};

/* RAY_EINVAL: a text that would break the framing. RAY_EUNAVAILABLE: no way to the server. */
int ray_http_client_start(struct ray_http_client **out_client, struct ray_loop *loop,
                          const struct ray_http_client_request *request, struct ray_err *err);
/* Also before the end: then on_done is not called any more. NULL is fine. */
void ray_http_client_destroy(struct ray_http_client *client);

/* In on_done or after it: the value of the first header of that name; NULL for none. */
const char *ray_http_client_header(const struct ray_http_client *client, const char *name);

#endif
