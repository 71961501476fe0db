/* Our half: the head and a body from memory, then the file through the pool. */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fault.h"
#include "net/http/internal.h"

/* The one place where a request ends. */
void ray_http_conn_end_request(struct ray_http_conn *conn, bool is_complete)
{
    ray_http_send_destroy(conn->send);
    conn->send = NULL;
    ray_http_server_drop_slot(conn->server, conn);
    if (!conn->has_request) {
        return;
    }
    conn->has_request = false;
    conn->request.is_complete = is_complete;
    conn->request.end_ns = ray_clock_monotonic_ns();
    if (conn->server->config.on_done != NULL) {
        conn->server->config.on_done(&conn->request, conn->server->config.arg);
    }
}

/* An answer that cannot be completed ends in a reset, so that no client takes the part that it
 * has for the whole. */
void ray_http_conn_break_off(struct ray_http_conn *conn)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    ray_http_conn_abandon(conn);
}

/* Progress was made: the next deadline is idle_timeout_ms away, but never behind the total. */
static void extend_send_deadline(struct ray_http_conn *conn)
{
    uint64_t now_ns = ray_clock_monotonic_ns();
    uint64_t idle_ms = conn->server->config.idle_timeout_ms;
    uint64_t left_ms = 0;

    if (conn->send_deadline_ns > now_ns) {
        left_ms = (conn->send_deadline_ns - now_ns) / RAY_NS_PER_MS;
    }
    ray_timer_start(&conn->timer, left_ms < idle_ms ? left_ms : idle_ms, 0);
}

void ray_http_conn_start_sending(struct ray_http_conn *conn)
{
    conn->state = RAY_HTTP_SENDING;
    conn->send_deadline_ns =
        ray_clock_monotonic_ns() + conn->server->config.transfer_timeout_ms * RAY_NS_PER_MS;
    extend_send_deadline(conn);
}

void ray_http_conn_start_transfer(struct ray_http_conn *conn)
{
    assert(conn->state == RAY_HTTP_QUEUED && conn->has_slot);
    ray_http_conn_start_sending(conn);
    ray_http_conn_run(conn);
}

static void finish_answer(struct ray_http_conn *conn)
{
    ray_http_conn_end_request(conn, true);
    if (!conn->keep_alive) {
        (void)shutdown(conn->fd, SHUT_WR);
        conn->state = RAY_HTTP_LINGERING;
        ray_timer_start(&conn->timer, RAY_HTTP_LINGER_MS, 0);
        return;
    }
    ray_http_parser_next(conn->parser);
    conn->has_continued = false;
    conn->has_bytes = conn->input_used < conn->input_size;
    conn->state = RAY_HTTP_READING;
    ray_timer_start(&conn->timer,
                    conn->has_bytes ? conn->server->config.header_timeout_ms
                                    : conn->server->config.idle_timeout_ms,
                    0);
}

static void on_sent(void *arg, enum ray_http_send_result result, uint64_t sent_size)
{
    struct ray_http_conn *conn = arg;

    assert(conn->state == RAY_HTTP_FILE_BUSY);
    conn->request.sent_size += sent_size;
    if (sent_size > 0) {
        extend_send_deadline(conn);
    }
    switch (result) {
    case RAY_HTTP_SEND_DONE:
        finish_answer(conn);
        break;
    case RAY_HTTP_SEND_FULL:
        conn->state = RAY_HTTP_FILE_FULL;
        break;
    case RAY_HTTP_SEND_MORE:
        if (ray_http_send_step(conn->send, NULL) != RAY_OK) {
            ray_http_conn_break_off(conn);
        }
        break;
    case RAY_HTTP_SEND_BROKEN:
        ray_http_conn_break_off(conn);
        break;
    }
    ray_http_conn_run(conn);
}

/* The head has gone; the file follows. */
static void start_file(struct ray_http_conn *conn)
{
    int file_fd = conn->file_fd;

    conn->file_fd = -1; /* create takes it over in every case */
    if (ray_http_send_create(&conn->send, conn->server->loop, file_fd, conn->fd, conn->file_offset,
                             conn->file_size, on_sent, conn, NULL) != RAY_OK ||
        ray_http_send_step(conn->send, NULL) != RAY_OK) {
        ray_http_conn_break_off(conn);
        return;
    }
    conn->state = RAY_HTTP_FILE_BUSY;
}

bool ray_http_conn_write(struct ray_http_conn *conn)
{
    int flags = MSG_NOSIGNAL | (conn->file_fd >= 0 ? MSG_MORE : 0);
    int errnum = ray_fault(RAY_FAULT_SEND);
    ssize_t count = -1;

    assert(conn->output_sent < conn->output.size);
    if (errnum == 0) {
        count = send(conn->fd, conn->output.data + conn->output_sent,
                     conn->output.size - conn->output_sent, flags);
        errnum = errno;
    }
    if (count < 0) {
        if (errnum != EAGAIN && errnum != EWOULDBLOCK && errnum != EINTR) {
            ray_http_conn_abandon(conn);
        }
        return false;
    }
    conn->output_sent += (size_t)count;
    conn->request.sent_size =
        conn->output_sent > conn->head_size ? conn->output_sent - conn->head_size : 0;
    if (conn->output_sent < conn->output.size) {
        extend_send_deadline(conn);
        return true;
    }
    if (conn->file_fd >= 0) {
        start_file(conn);
    } else {
        finish_answer(conn);
    }
    return true;
}
