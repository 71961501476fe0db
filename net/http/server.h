/* net/http/server.h - a small HTTP/1.1 server on the loop: llhttp parses, files are sent
 * with Content-Length, Range and HEAD; no chunked request bodies.
 *
 * Memory: create/destroy; requests handed to the handler are borrowed until it returns.
 * Threads: the loop's (file reads go to libuv's pool).  Blocks: never.
 * Trust: every byte from a client is hostile: total header deadline, size limits, a cap on
 * transfers with queueing (first come, first served, but a client that has its share waits for
 * one of its own to end while others pass), and a cap on the connections of one client
 * (net/http/peer.h says who is one). */
#ifndef RAY_NET_HTTP_SERVER_H
#define RAY_NET_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

enum { RAY_HTTP_ANSWER_SIZE_MAX = 4 << 20 }; /* of a body from memory */

struct ray_http_server;
struct ray_http_request; /* one request being answered; alive until answered */

enum ray_http_method { RAY_HTTP_GET, RAY_HTTP_HEAD, RAY_HTTP_POST };

struct ray_http_config {
    const char *address;        /* "10.77.0.1" or "::" */
    uint16_t port;              /* 0: any; ray_http_server_port tells */
    const char *device;         /* SO_BINDTODEVICE; NULL: none */
    size_t conn_count_max;      /* beyond it connections wait in the kernel's backlog */
    size_t peer_conn_count_max; /* of one client; beyond it 503 at once; 0: no limit of its own */
    size_t transfer_count_max;  /* files being sent at once; the rest queue */
    size_t peer_transfer_count_max; /* of those to one client; 0: no limit of its own */
    uint32_t header_timeout_ms;     /* total, from the first byte or accept */
    uint32_t idle_timeout_ms;       /* keep-alive, and no progress while sending */
    uint32_t transfer_timeout_ms;   /* total for one file */
    size_t header_size_max;
    size_t body_size_max; /* request bodies (POST) */
    /* Answers or refuses `request`, now or later. */
    void (*on_request)(struct ray_http_request *request, void *arg);
    /* One call per answered or broken request, for the access log; may be NULL. */
    void (*on_done)(const struct ray_http_request *request, void *arg);
    /* A connection beyond peer_conn_count_max was refused; may be NULL. */
    void (*on_refused)(const char *peer, void *arg);
    void *arg;
};

int ray_http_server_create(struct ray_http_server **out_server, struct ray_loop *loop,
                           const struct ray_http_config *config, struct ray_err *err);
/* Ends all connections; requests that were not answered yet are gone with it (on_done is
 * called for each). Not from within a callback. NULL is fine. */
void ray_http_server_destroy(struct ray_http_server *server);
uint16_t ray_http_server_port(const struct ray_http_server *server);

struct ray_http_stats {
    size_t conn_count;
    size_t transfer_count;  /* files being sent */
    size_t queued_count;    /* files that wait for their turn */
    uint64_t refused_count; /* connections beyond peer_conn_count_max, since the start */
};

void ray_http_server_stats(const struct ray_http_server *server, struct ray_http_stats *out);

/* Facts of a request; texts are NUL-terminated and free of control bytes. */
enum ray_http_method ray_http_request_method(const struct ray_http_request *request);
/* Decoded, begins with "/", has no empty, "." or ".." segment; "" in on_done of a request that
 * was refused before its target was understood. */
const char *ray_http_request_path(const struct ray_http_request *request);
/* Decoded value of a query parameter, or NULL. */
const char *ray_http_request_query(const struct ray_http_request *request, const char *name);
const char *ray_http_request_header(const struct ray_http_request *request, const char *name);
const char *ray_http_request_peer(const struct ray_http_request *request); /* "10.77.0.21" */
const uint8_t *ray_http_request_body(const struct ray_http_request *request, size_t *out_size);
/* For on_done: status, bytes of body sent, whether all of it was, and times (monotonic). */
int ray_http_request_status(const struct ray_http_request *request);
uint64_t ray_http_request_sent_size(const struct ray_http_request *request);
const char *ray_http_request_reason(const struct ray_http_request *request); /* of a refusal, "" */
bool ray_http_request_is_complete(const struct ray_http_request *request);
uint64_t ray_http_request_start_ns(const struct ray_http_request *request); /* headers complete */
uint64_t ray_http_request_end_ns(const struct ray_http_request *request);

/* A pointer of the handler's, NULL at first, for on_done to find again; owned by neither. */
void ray_http_request_set_data(struct ray_http_request *request, void *data);
void *ray_http_request_data(const struct ray_http_request *request);

/* Answers; each ends the request for the handler, also when the client has left meanwhile. A
 * client that closes its side while it waits (for the handler or in the queue) has left.
 *
 * Bytes are copied. extra_headers may be NULL or whole lines, each ending in "\r\n". Texts
 * that would break the framing, or a body above RAY_HTTP_ANSWER_SIZE_MAX, become a 500. */
void ray_http_answer(struct ray_http_request *request, int status, const char *content_type,
                     const void *body, size_t body_size, const char *extra_headers);
/* Sends the regular file behind fd (taken over), honouring HEAD, one Range, If-Range and
 * If-None-Match. `size` is what is promised: when the file ends earlier the connection is
 * reset. `etag` (with its quotes) may be NULL. */
void ray_http_answer_file(struct ray_http_request *request, int fd, uint64_t size,
                          const char *content_type, const char *etag);

#endif
