/* The public half of a request: its facts for the handler and the ways to answer it. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http/internal.h"
#include "net/http/range.h"
#include "net/http/reply.h"

enum { EXTRA_HEADERS_SIZE = 512, ETAG_SIZE_MAX = 200 };

static const struct ray_http_message *message_of(const struct ray_http_request *request)
{
    return ray_http_parser_message(request->conn->parser);
}

enum ray_http_method ray_http_request_method(const struct ray_http_request *request)
{
    return message_of(request)->method;
}

const char *ray_http_request_path(const struct ray_http_request *request)
{
    return ray_http_target_path(&request->target);
}

const char *ray_http_request_query(const struct ray_http_request *request, const char *name)
{
    return ray_http_target_query(&request->target, name);
}

const char *ray_http_request_header(const struct ray_http_request *request, const char *name)
{
    return ray_http_parser_header(request->conn->parser, name);
}

const char *ray_http_request_peer(const struct ray_http_request *request)
{
    return request->conn->peer.text;
}

const uint8_t *ray_http_request_body(const struct ray_http_request *request, size_t *out_size)
{
    *out_size = message_of(request)->body_size;
    return message_of(request)->body;
}

int ray_http_request_status(const struct ray_http_request *request)
{
    return request->status;
}

uint64_t ray_http_request_sent_size(const struct ray_http_request *request)
{
    return request->sent_size;
}

const char *ray_http_request_reason(const struct ray_http_request *request)
{
    return request->reason;
}

bool ray_http_request_is_complete(const struct ray_http_request *request)
{
    return request->is_complete;
}

uint64_t ray_http_request_start_ns(const struct ray_http_request *request)
{
    return request->start_ns;
}

uint64_t ray_http_request_end_ns(const struct ray_http_request *request)
{
    return request->end_ns;
}

void ray_http_request_set_data(struct ray_http_request *request, void *data)
{
    request->data = data;
}

void *ray_http_request_data(const struct ray_http_request *request)
{
    return request->data;
}

/* Head and body into conn->output. */
static int compose(struct ray_http_conn *conn, const struct ray_http_reply *reply, const void *body,
                   size_t body_size, struct ray_err *err)
{
    int rc;

    ray_buf_clear(&conn->output);
    conn->output_sent = 0;
    rc = ray_http_reply_head(&conn->output, reply, err);
    if (rc != RAY_OK) {
        return rc;
    }
    conn->head_size = conn->output.size;
    if (body_size > RAY_HTTP_ANSWER_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "the answer is too large");
    }
    return body_size == 0 ? RAY_OK : ray_buf_append(&conn->output, body, body_size);
}

/* conn->output holds an answer; it goes out now, or with the file when a slot is free. */
static void start_answer(struct ray_http_conn *conn, int status, bool has_file)
{
    conn->request.status = status;
    if (conn->state == RAY_HTTP_ORPHANED) {
        conn->state = RAY_HTTP_CLOSED;
    } else if (has_file) {
        conn->state = RAY_HTTP_QUEUED;
        ray_http_server_want_slot(conn->server, conn);
    } else {
        ray_http_conn_start_sending(conn);
    }
}

/* Composes and starts; a text that would break the framing becomes a 500, and without memory
 * even for that the connection ends. */
static void answer(struct ray_http_conn *conn, const struct ray_http_reply *reply, const void *body,
                   size_t body_size, bool has_file)
{
    static const char text[] = "500 Internal Server Error: the answer cannot be sent\n";
    struct ray_http_reply broken = *reply;
    bool is_composed = compose(conn, reply, body, body_size, NULL) == RAY_OK;
    bool was_running;

    if (!is_composed) {
        has_file = false;
        broken.status = 500;
        broken.content_type = "text/plain; charset=utf-8";
        broken.content_size = sizeof(text) - 1;
        broken.extra_headers = NULL;
        is_composed =
            compose(conn, &broken, text,
                    message_of(&conn->request)->method == RAY_HTTP_HEAD ? 0 : sizeof(text) - 1,
                    NULL) == RAY_OK;
    }
    if (!has_file && conn->file_fd >= 0) {
        (void)close(conn->file_fd);
        conn->file_fd = -1;
    }
    /* A free slot starts the transfer from within; the connection must not run, and so maybe
     * end, before we are done with it here. */
    was_running = conn->is_running;
    conn->is_running = true;
    if (is_composed) {
        start_answer(conn, broken.status, has_file);
    } else {
        conn->request.status = 500;
        conn->state = RAY_HTTP_CLOSED;
    }
    conn->is_running = was_running;
    ray_http_conn_run(conn); /* may free conn */
}

void ray_http_answer(struct ray_http_request *request, int status, const char *content_type,
                     const void *body, size_t body_size, const char *extra_headers)
{
    struct ray_http_conn *conn = request->conn;
    const struct ray_http_reply reply = {
        .status = status,
        .content_type = content_type,
        .content_size = body_size,
        .keep_alive = conn->keep_alive,
        .extra_headers = extra_headers,
        .realtime_ns = ray_clock_realtime_ns(),
    };
    bool has_body = message_of(request)->method != RAY_HTTP_HEAD && status != 204 && status != 304;

    assert(conn->state == RAY_HTTP_HANDLING || conn->state == RAY_HTTP_ORPHANED);
    assert(body != NULL || body_size == 0);
    answer(conn, &reply, body, has_body ? body_size : 0, false);
}

/* The range to be sent, if the client's copy is the one that we have (If-Range). */
static enum ray_http_range choose_range(const struct ray_http_request *request, const char *etag,
                                        uint64_t size, uint64_t *out_first, uint64_t *out_size)
{
    const char *range = ray_http_request_header(request, "range");
    const char *condition = ray_http_request_header(request, "if-range");

    if (message_of(request)->method != RAY_HTTP_GET ||
        (condition != NULL && (etag == NULL || strcmp(condition, etag) != 0))) {
        range = NULL;
    }
    return ray_http_range_parse(range, size, out_first, out_size);
}

void ray_http_answer_file(struct ray_http_request *request, int fd, uint64_t size,
                          const char *content_type, const char *etag)
{
    struct ray_http_conn *conn = request->conn;
    const char *known = ray_http_request_header(request, "if-none-match");
    char extra[EXTRA_HEADERS_SIZE];
    struct ray_http_reply reply = {
        .status = 200,
        .content_type = content_type,
        .keep_alive = conn->keep_alive,
        .extra_headers = extra,
        .realtime_ns = ray_clock_realtime_ns(),
    };
    size_t used_size;
    uint64_t first;
    bool has_file;

    assert(conn->state == RAY_HTTP_HANDLING || conn->state == RAY_HTTP_ORPHANED);
    assert(fd >= 0 && conn->file_fd < 0);
    assert(etag == NULL || strlen(etag) <= ETAG_SIZE_MAX);
    conn->file_fd = fd;
    used_size = (size_t)snprintf(extra, sizeof(extra), "Accept-Ranges: bytes\r\n%s%s%s",
                                 etag != NULL ? "ETag: " : "", etag != NULL ? etag : "",
                                 etag != NULL ? "\r\n" : "");
    assert(used_size < sizeof(extra));
    switch (choose_range(request, etag, size, &first, &reply.content_size)) {
    case RAY_HTTP_RANGE_WHOLE:
        break;
    case RAY_HTTP_RANGE_PART:
        reply.status = 206;
        (void)snprintf(extra + used_size, sizeof(extra) - used_size,
                       "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", first,
                       first + reply.content_size - 1, size);
        break;
    case RAY_HTTP_RANGE_UNSATISFIABLE:
        reply.status = 416;
        reply.content_type = NULL;
        reply.content_size = 0;
        (void)snprintf(extra + used_size, sizeof(extra) - used_size,
                       "Content-Range: bytes */%" PRIu64 "\r\n", size);
        break;
    }
    if (known != NULL && etag != NULL && ray_http_etag_matches(known, etag)) {
        reply.status = 304;
        reply.content_type = NULL;
        extra[used_size] = '\0';
    }
    conn->file_offset = first;
    conn->file_size = reply.content_size;
    has_file = (reply.status == 200 || reply.status == 206) && reply.content_size > 0 &&
               message_of(request)->method != RAY_HTTP_HEAD;
    answer(conn, &reply, NULL, 0, has_file);
}
