/* One client. Every event (socket, deadline, pool, handler, transfer slot) changes `state` and
 * calls ray_http_conn_run, which steps until it must wait, sets what to wait for, and frees
 * the connection when it is closed. Nothing else frees it, so no callback can pull it
 * away under another.
 *
 * Deadlines: a request has header_timeout_ms in all, however its bytes drip; a keep-alive
 * connection waits idle_timeout_ms; an answer needs progress within idle_timeout_ms and an
 * end within transfer_timeout_ms. Waiting for the handler or a slot has none of ours. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/size.h"
#include "net/http/internal.h"
#include "net/http/reply.h"

static void on_poll(void *arg, int status, int events);
static void on_deadline(void *arg);

/* The socket, the file and the transfer: all that costs others something. */
static void close_socket(struct ray_http_conn *conn)
{
    ray_http_send_destroy(conn->send);
    conn->send = NULL;
    if (conn->file_fd >= 0) {
        (void)close(conn->file_fd);
        conn->file_fd = -1;
    }
    if (conn->fd >= 0) {
        ray_poll_fini(&conn->poll);
        (void)close(conn->fd);
        conn->fd = -1;
    }
    ray_timer_stop(&conn->timer);
}

static void release(struct ray_http_conn *conn)
{
    close_socket(conn);
    ray_timer_fini(&conn->timer);
    ray_http_parser_destroy(conn->parser);
    ray_buf_fini(&conn->output);
    free(conn);
}

int ray_http_conn_create(struct ray_http_conn **out_conn, struct ray_http_server *server, int fd,
                         const struct ray_http_peer *peer, struct ray_err *err)
{
    const struct ray_http_limits limits = {
        .target_size_max = RAY_HTTP_TARGET_SIZE_MAX,
        .header_size_max = server->config.header_size_max,
        .body_size_max = server->config.body_size_max,
    };
    struct ray_http_conn *conn = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*conn));
    int rc;

    if (conn == NULL) {
        (void)close(fd);
        return ray_fail(err, RAY_ENOMEM, "no memory for an HTTP connection");
    }
    conn->server = server;
    conn->fd = fd;
    conn->file_fd = -1;
    conn->state = RAY_HTTP_READING;
    conn->request = (struct ray_http_request){.conn = conn, .reason = ""};
    ray_buf_init(&conn->output, RAY_HTTP_ANSWER_SIZE_MAX + 4096); /* and the head */
    conn->peer = *peer;
    rc = ray_http_parser_create(&conn->parser, &limits, err);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&conn->timer, server->loop, on_deadline, conn, err);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_init(&conn->poll, server->loop, fd, on_poll, conn, err);
    }
    if (rc != RAY_OK) {
        release(conn);
        return rc;
    }
    ray_timer_start(&conn->timer, server->config.header_timeout_ms, 0);
    *out_conn = conn;
    return RAY_OK;
}

void ray_http_conn_destroy(struct ray_http_conn *conn)
{
    close_socket(conn);
    ray_http_conn_end_request(conn, false);
    ray_http_server_forget(conn->server, conn);
    release(conn);
}

/* The client is gone or the answer cannot be completed. A handler that still owes its answer
 * holds a pointer to the request: then the connection waits for it without a socket. */
void ray_http_conn_abandon(struct ray_http_conn *conn)
{
    if (conn->state == RAY_HTTP_HANDLING) {
        close_socket(conn);
        conn->state = RAY_HTTP_ORPHANED;
    } else if (conn->state != RAY_HTTP_ORPHANED) {
        conn->state = RAY_HTTP_CLOSED;
    }
}

static bool step(struct ray_http_conn *conn)
{
    switch (conn->state) {
    case RAY_HTTP_READING:
        return ray_http_conn_read(conn);
    case RAY_HTTP_SENDING:
        return ray_http_conn_write(conn);
    case RAY_HTTP_LINGERING:
        return ray_http_conn_linger(conn);
    default:
        return false;
    }
}

static void wait_for_events(struct ray_http_conn *conn)
{
    static const int events_of[] = {
        [RAY_HTTP_READING] = UV_READABLE,   [RAY_HTTP_HANDLING] = UV_DISCONNECT,
        [RAY_HTTP_QUEUED] = UV_DISCONNECT,  [RAY_HTTP_SENDING] = UV_WRITABLE,
        [RAY_HTTP_FILE_FULL] = UV_WRITABLE, [RAY_HTTP_FILE_BUSY] = 0,
        [RAY_HTTP_LINGERING] = UV_READABLE,
    };
    int events;

    assert((size_t)conn->state < RAY_ARRAY_COUNT(events_of) && conn->fd >= 0);
    events = events_of[conn->state];
    if (events != conn->events) {
        conn->events = events;
        if (ray_poll_set(&conn->poll, events) != RAY_OK) {
            ray_http_conn_abandon(conn);
        }
    }
}

void ray_http_conn_run(struct ray_http_conn *conn)
{
    if (conn->is_running) {
        return; /* the outer run goes on with the new state */
    }
    conn->is_running = true;
    while (step(conn)) {
    }
    if (conn->state != RAY_HTTP_CLOSED && conn->state != RAY_HTTP_ORPHANED) {
        wait_for_events(conn);
    }
    conn->is_running = false;
    if (conn->state == RAY_HTTP_CLOSED) {
        ray_http_conn_destroy(conn);
    }
}

static void on_poll(void *arg, int status, int events)
{
    struct ray_http_conn *conn = arg;

    if (status < 0 || (events & UV_DISCONNECT) != 0) {
        ray_http_conn_abandon(conn); /* nobody waits for an answer any more */
    } else if (conn->state == RAY_HTTP_FILE_FULL) {
        conn->state = RAY_HTTP_FILE_BUSY;
        if (ray_http_send_step(conn->send, NULL) != RAY_OK) {
            ray_http_conn_break_off(conn);
        }
    }
    ray_http_conn_run(conn);
}

static void on_deadline(void *arg)
{
    struct ray_http_conn *conn = arg;

    conn->is_running = true; /* a refusal answers, and an answer runs */
    if (conn->state == RAY_HTTP_READING && conn->has_bytes) {
        ray_http_conn_refuse(conn, 408, "the request did not come in time");
    } else if (conn->state == RAY_HTTP_READING || conn->state == RAY_HTTP_LINGERING) {
        ray_http_conn_abandon(conn);
    } else {
        ray_http_conn_break_off(conn);
    }
    conn->is_running = false;
    ray_http_conn_run(conn);
}
