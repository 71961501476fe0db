/* The client's half: bytes to requests, requests to the handler, refusals. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fault.h"
#include "net/http/internal.h"
#include "net/http/reply.h"

static void begin_request(struct ray_http_conn *conn)
{
    conn->request =
        (struct ray_http_request){.conn = conn, .reason = "", .start_ns = ray_clock_monotonic_ns()};
    conn->has_request = true;
    ray_timer_stop(&conn->timer);
}

/* Answers for the handler: nobody but us has seen the request. */
void ray_http_conn_refuse(struct ray_http_conn *conn, int status, const char *reason)
{
    char text[256];
    int size =
        snprintf(text, sizeof(text), "%d %s: %s\n", status, ray_http_status_text(status), reason);

    assert(size > 0 && (size_t)size < sizeof(text));
    if (!conn->has_request) {
        begin_request(conn);
    }
    conn->request.reason = reason;
    conn->keep_alive = false;
    conn->state = RAY_HTTP_HANDLING;
    ray_http_answer(&conn->request, status, "text/plain; charset=utf-8", text, (size_t)size,
                    status == 405 ? "Allow: GET, HEAD, POST\r\n" : NULL);
}

static void handle_request(struct ray_http_conn *conn)
{
    const struct ray_http_message *message = ray_http_parser_message(conn->parser);
    struct ray_err err = {0};
    int rc;

    begin_request(conn);
    conn->keep_alive = message->keep_alive;
    conn->has_bytes = false;
    rc = ray_http_target_parse(message->target, message->target_size, &conn->request.target, &err);
    if (rc != RAY_OK) {
        ray_http_conn_refuse(conn, rc == RAY_ETOOBIG ? 414 : 400, "bad target");
        return;
    }
    conn->state = RAY_HTTP_HANDLING;
    conn->server->config.on_request(&conn->request, conn->server->config.arg);
}

static bool send_continue(struct ray_http_conn *conn)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";

    conn->has_continued = true;
    return send(conn->fd, line, sizeof(line) - 1, MSG_NOSIGNAL) == (ssize_t)(sizeof(line) - 1);
}

/* Bytes from the socket into the empty input buffer; false: nothing came. */
static bool receive(struct ray_http_conn *conn)
{
    int errnum = ray_fault(RAY_FAULT_READ);
    ssize_t count = -1;

    if (errnum == 0) {
        count = recv(conn->fd, conn->input, sizeof(conn->input), 0);
        errnum = errno;
    }
    if (count > 0) {
        if (!conn->has_bytes) {
            conn->has_bytes = true;
            ray_timer_start(&conn->timer, conn->server->config.header_timeout_ms, 0);
        }
        conn->input_used = 0;
        conn->input_size = (size_t)count;
        return true;
    }
    if (count == 0 || (errnum != EAGAIN && errnum != EWOULDBLOCK && errnum != EINTR)) {
        ray_http_conn_abandon(conn);
    }
    return false;
}

bool ray_http_conn_read(struct ray_http_conn *conn)
{
    size_t used_size;
    const struct ray_http_message *message;

    if (conn->input_used == conn->input_size && !receive(conn)) {
        return false;
    }
    message = ray_http_parser_message(conn->parser);
    switch (ray_http_parser_feed(conn->parser, conn->input + conn->input_used,
                                 conn->input_size - conn->input_used, &used_size)) {
    case RAY_HTTP_FEED_DONE:
        conn->input_used += used_size;
        handle_request(conn);
        return true;
    case RAY_HTTP_FEED_REFUSED:
        conn->input_used = conn->input_size;
        ray_http_conn_refuse(conn, message->refused_status, message->refused_reason);
        return true;
    case RAY_HTTP_FEED_MORE:
        break;
    }
    conn->input_used = conn->input_size;
    if (message->wants_continue && !conn->has_continued && !send_continue(conn)) {
        ray_http_conn_abandon(conn);
    }
    return conn->state == RAY_HTTP_READING;
}

bool ray_http_conn_linger(struct ray_http_conn *conn)
{
    ssize_t count = recv(conn->fd, conn->input, sizeof(conn->input), 0);

    if (count > 0) {
        conn->linger_size += (size_t)count;
    }
    if (count == 0 || conn->linger_size > RAY_HTTP_LINGER_SIZE_MAX ||
        (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
        ray_http_conn_abandon(conn);
    }
    return count > 0 && conn->state == RAY_HTTP_LINGERING;
}
