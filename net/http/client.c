/* Connects, sends and reads at the same time: a server may refuse before it has read all, and
 * its answer is worth more than the error of our send.
 *
 *   CONNECTING -> TALKING -> DONE, from everywhere to DONE by error or deadline */
#include "net/http/client.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fault.h"
#include "net/http/response.h"

enum { READ_SIZE = 8192, HEAD_SIZE_MAX = 4096, READS_PER_TURN = 8 };

enum state { CONNECTING, TALKING, DONE };

struct ray_http_client {
    enum state state;
    int fd; /* owned; -1 when closed */
    struct ray_poll poll;
    struct ray_timer timer;
    uint32_t timeout_ms;
    char origin[RAY_HTTP_ORIGIN_SIZE_MAX];
    struct ray_buf output; /* the whole request */
    size_t sent_size;
    bool is_sending; /* until all is sent, or the server does not want more */
    struct ray_http_response_parser *parser;
    void (*on_done)(void *arg, const struct ray_http_client_result *result);
    void *arg;
};

/* ---- the request as text ---- */

static bool is_printable(const char *text, const char *also_not)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~' || strchr(also_not, *text) != NULL) {
            return false;
        }
    }
    return true;
}

static int check_request(const struct ray_http_client_request *request, struct ray_err *err)
{
    if (request->target[0] != '/' || !is_printable(request->target, " #") ||
        strlen(request->target) > RAY_HTTP_CLIENT_TARGET_SIZE_MAX) {
        return ray_fail(err, RAY_EINVAL, "the target of a request must be a path");
    }
    if (request->content_type != NULL && !is_printable(request->content_type, "")) {
        return ray_fail(err, RAY_EINVAL, "bad content type");
    }
    if (request->body_size > RAY_HTTP_CLIENT_REQUEST_SIZE_MAX) {
        return ray_fail(err, RAY_EINVAL, "request of %zu bytes, at most %d", request->body_size,
                        RAY_HTTP_CLIENT_REQUEST_SIZE_MAX);
    }
    return RAY_OK;
}

static int compose(struct ray_http_client *client, const struct ray_http_client_request *request,
                   struct ray_err *err)
{
    bool is_post = request->method == RAY_HTTP_CLIENT_POST;
    struct ray_buf *out = &client->output;
    int rc;

    ray_buf_init(out, HEAD_SIZE_MAX + request->body_size);
    rc = ray_buf_appendf(
        out,
        "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: rayos/" RAY_VERSION "\r\nConnection: close\r\n",
        is_post ? "POST" : "GET", request->target, client->origin + strlen("http://"));
    if (rc == RAY_OK && request->content_type != NULL) {
        rc = ray_buf_appendf(out, "Content-Type: %s\r\n", request->content_type);
    }
    if (rc == RAY_OK && (is_post || request->body_size > 0)) {
        rc = ray_buf_appendf(out, "Content-Length: %zu\r\n", request->body_size);
    }
    if (rc == RAY_OK) {
        rc = ray_buf_append(out, "\r\n", 2);
    }
    if (rc == RAY_OK && request->body_size > 0) {
        rc = ray_buf_append(out, request->body, request->body_size);
    }
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "request: %s", ray_err_text(rc));
}

/* ---- the end ---- */

static void let_go(struct ray_http_client *client)
{
    ray_timer_fini(&client->timer);
    ray_poll_fini(&client->poll);
    if (client->fd >= 0) {
        (void)close(client->fd); /* what was said is said */
        client->fd = -1;
    }
}

/* The last thing that is done with a client: its owner may destroy it here. */
static void end(struct ray_http_client *client, int code, const char *text)
{
    const struct ray_http_response *response = ray_http_response(client->parser);
    struct ray_http_client_result result = {.code = code, .text = text};

    assert(client->state != DONE);
    client->state = DONE;
    let_go(client);
    if (code == RAY_OK) {
        result.status = response->status;
        result.body = response->body;
        result.body_size = response->body_size;
    }
    client->on_done(client->arg, &result);
}

static void end_with_errno(struct ray_http_client *client, int errnum, const char *what)
{
    struct ray_err err = {0};

    (void)ray_fail(&err, RAY_EUNAVAILABLE, "%s %s: %s", what, client->origin, strerror(errnum));
    end(client, err.code, err.text);
}

static void on_timeout(void *arg)
{
    struct ray_http_client *client = arg;
    struct ray_err err = {0};

    (void)ray_fail(&err, RAY_ETIMEOUT, "%s %s within %" PRIu32 " ms",
                   client->state == CONNECTING ? "no connection to" : "no whole response from",
                   client->origin, client->timeout_ms);
    end(client, err.code, err.text);
}

/* ---- steps; each returns false when the client has ended ---- */

static bool finish_connect(struct ray_http_client *client)
{
    socklen_t size = sizeof(int);
    int errnum = 0;

    if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0) {
        errnum = errno;
    }
    if (errnum != 0) {
        end_with_errno(client, errnum, "cannot connect to");
        return false;
    }
    client->state = TALKING;
    return true;
}

static ssize_t send_some(const struct ray_http_client *client)
{
    int errnum = ray_fault(RAY_FAULT_SEND);

    if (errnum != 0) {
        errno = errnum;
        return -1;
    }
    return send(client->fd, client->output.data + client->sent_size,
                client->output.size - client->sent_size, MSG_NOSIGNAL);
}

static bool push(struct ray_http_client *client)
{
    ssize_t size = send_some(client);

    if (size >= 0) {
        client->sent_size += (size_t)size;
        client->is_sending = client->sent_size < client->output.size;
    } else if (errno == EPIPE || errno == ECONNRESET) {
        client->is_sending = false; /* it has heard enough; there may be an answer */
    } else if (errno != EAGAIN && errno != EINTR) {
        end_with_errno(client, errno, "cannot send to");
        return false;
    }
    return true;
}

static ssize_t read_some(const struct ray_http_client *client, uint8_t buffer[static READ_SIZE])
{
    int errnum = ray_fault(RAY_FAULT_READ);

    if (errnum != 0) {
        errno = errnum;
        return -1;
    }
    return recv(client->fd, buffer, READ_SIZE, 0);
}

static bool pull(struct ray_http_client *client)
{
    uint8_t buffer[READ_SIZE];
    struct ray_err err = {0};

    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t size = read_some(client, buffer);
        int rc;

        if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            return true;
        }
        if (size < 0) {
            end_with_errno(client, errno, "no answer from");
            return false;
        }
        rc = size == 0 ? ray_http_response_finish(client->parser, &err)
                       : ray_http_response_feed(client->parser, buffer, (size_t)size, &err);
        if (rc != RAY_EAGAIN) {
            if (rc != RAY_OK) {
                (void)ray_wrap(&err, rc, "%s", client->origin);
            }
            end(client, rc, rc == RAY_OK ? "" : err.text);
            return false;
        }
    }
    return true; /* the rest in the next turn */
}

static bool listen_on(struct ray_http_client *client)
{
    int rc = ray_poll_set(&client->poll, UV_READABLE | (client->is_sending ? UV_WRITABLE : 0));

    if (rc != RAY_OK) {
        end(client, rc, ray_err_text(rc));
        return false;
    }
    return true;
}

static void on_ready(void *arg, int status, int events)
{
    struct ray_http_client *client = arg;
    bool has_error = status != RAY_OK; /* the calls below say which */

    if (client->state == CONNECTING && !finish_connect(client)) {
        return;
    }
    if (client->is_sending && (has_error || (events & UV_WRITABLE) != 0) && !push(client)) {
        return;
    }
    if ((has_error || (events & UV_READABLE) != 0) && !pull(client)) {
        return;
    }
    (void)listen_on(client);
}

/* ---- start ---- */

static int begin_connect(struct ray_http_client *client, const struct ray_http_origin *origin,
                         struct ray_err *err)
{
    struct sockaddr_storage address;
    socklen_t size = ray_http_origin_sockaddr(origin, &address);
    int fault = ray_fault(RAY_FAULT_SOCKET);
    int rc;

    client->fd =
        fault != 0 ? -1 : socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd < 0) {
        return ray_fail_errno(err, fault != 0 ? fault : errno, "socket to %s", client->origin);
    }
    rc = connect(client->fd, (const struct sockaddr *)&address, size);
    if (rc < 0 && errno != EINPROGRESS && errno != EINTR) { /* else it goes on without us */
        return ray_fail(err, RAY_EUNAVAILABLE, "cannot connect to %s: %s", client->origin,
                        strerror(errno));
    }
    return RAY_OK;
}

static int watch(struct ray_http_client *client, struct ray_loop *loop, struct ray_err *err)
{
    int rc = ray_poll_init(&client->poll, loop, client->fd, on_ready, client, err);

    if (rc == RAY_OK) {
        rc = ray_timer_init(&client->timer, loop, on_timeout, client, err);
    }
    if (rc == RAY_OK && ray_poll_set(&client->poll, UV_READABLE | UV_WRITABLE) != RAY_OK) {
        rc = ray_fail(err, RAY_EINTERNAL, "%s cannot be waited for", client->origin);
    }
    return rc;
}

int ray_http_client_start(struct ray_http_client **out_client, struct ray_loop *loop,
                          const struct ray_http_client_request *request, struct ray_err *err)
{
    static const struct ray_http_response_limits limits = {
        .header_size_max = RAY_HTTP_CLIENT_HEADER_SIZE_MAX,
        .body_size_max = RAY_HTTP_CLIENT_RESPONSE_SIZE_MAX,
    };
    struct ray_http_client *client;
    int rc = check_request(request, err);

    assert(request->timeout_ms > 0 && request->on_done != NULL);
    assert(request->body != NULL || request->body_size == 0);
    if (rc != RAY_OK) {
        return rc;
    }
    client = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*client));
    if (client == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for an HTTP request");
    }
    client->fd = -1;
    client->is_sending = true;
    client->timeout_ms = request->timeout_ms;
    client->on_done = request->on_done;
    client->arg = request->arg;
    (void)ray_http_origin_format(&request->origin, client->origin);
    rc = compose(client, request, err);
    if (rc == RAY_OK) {
        rc = ray_http_response_parser_create(&client->parser, &limits, err);
    }
    if (rc == RAY_OK) {
        rc = begin_connect(client, &request->origin, err);
    }
    if (rc == RAY_OK) {
        rc = watch(client, loop, err);
    }
    if (rc != RAY_OK) {
        ray_http_client_destroy(client);
        return rc;
    }
    ray_timer_start(&client->timer, request->timeout_ms, 0);
    *out_client = client;
    return RAY_OK;
}

void ray_http_client_destroy(struct ray_http_client *client)
{
    if (client == NULL) {
        return;
    }
    let_go(client);
    ray_http_response_parser_destroy(client->parser);
    ray_buf_fini(&client->output);
    free(client);
}

const char *ray_http_client_header(const struct ray_http_client *client, const char *name)
{
    assert(client->state == DONE);
    return ray_http_response_header(client->parser, name);
}
