/* The listening socket, the list of connections and the queue for transfers. At
 * conn_count_max the listening socket is simply not read: the kernel's backlog is the waiting
 * room, and TCP tells clients to try again. One client alone does not get there: beyond its own
 * share it is refused at once. */
#include "net/http/server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "net/http/internal.h"

enum { BACKLOG = 512, ACCEPT_RETRY_MS = 100, ACCEPT_PER_TURN_MAX = 64 };

#define TOO_MANY "503 Service Unavailable: your address has too many connections\n"

static const char too_many[] = "HTTP/1.1 503 Service Unavailable\r\n"
                               "Content-Type: text/plain; charset=utf-8\r\n"
                               "Content-Length: 63\r\n"
                               "Retry-After: 3\r\n"
                               "Connection: close\r\n\r\n" TOO_MANY;

static_assert(sizeof(TOO_MANY) - 1 == 63, "Content-Length");

static int parse_address(const struct ray_http_config *config, union ray_http_address *out,
                         socklen_t *out_size, struct ray_err *err)
{
    *out = (union ray_http_address){0};
    if (inet_pton(AF_INET, config->address, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(config->port);
        *out_size = sizeof(out->v4);
        return RAY_OK;
    }
    if (inet_pton(AF_INET6, config->address, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(config->port);
        *out_size = sizeof(out->v6);
        return RAY_OK;
    }
    return ray_fail(err, RAY_EINVAL, "'%s' is not an IP address", config->address);
}

static int fail_bind(const struct ray_http_config *config, int errnum, struct ray_err *err)
{
    switch (errnum) {
    case EADDRINUSE:
        (void)ray_fail(err, RAY_EEXISTS, "HTTP port %u of %s is in use", config->port,
                       config->address);
        return ray_next(err, "run 'ss -ltnp sport = :%u' to see by whom, or choose another port",
                        config->port);
    case EACCES:
        (void)ray_fail(err, RAY_EDENIED, "no permission for HTTP port %u", config->port);
        return ray_next(err,
                        "choose a port from 1024 up, or give the program CAP_NET_BIND_SERVICE");
    case EADDRNOTAVAIL:
        (void)ray_fail(err, RAY_ENOTFOUND, "no interface has the address %s", config->address);
        return ray_next(err, "run 'ip address' to see the addresses of this machine");
    default:
        return ray_fail_errno(err, errnum, "HTTP socket at %s port %u", config->address,
                              config->port);
    }
}

static int open_socket(const struct ray_http_config *config, const union ray_http_address *address,
                       socklen_t address_size, int *out_fd, struct ray_err *err)
{
    const int on = 1;
    int errnum = ray_fault(RAY_FAULT_SOCKET);
    int fd = -1;

    if (errnum != 0) {
        return fail_bind(config, errnum, err);
    }
    fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
        goto fail;
    }
    if (config->device != NULL && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, config->device,
                                             (socklen_t)strnlen(config->device, IFNAMSIZ)) != 0) {
        goto fail;
    }
    if (bind(fd, &address->any, address_size) != 0 || listen(fd, BACKLOG) != 0) {
        goto fail;
    }
    *out_fd = fd;
    return RAY_OK;
fail:
    errnum = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    return fail_bind(config, errnum, err);
}

static uint16_t local_port(int fd)
{
    union ray_http_address address = {0};
    socklen_t size = sizeof(address);

    if (getsockname(fd, &address.any, &size) != 0) {
        return 0;
    }
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

static void update_accepting(struct ray_http_server *server)
{
    bool wants = server->conn_count < server->config.conn_count_max &&
                 !ray_timer_is_active(&server->retry_timer) && !server->is_closing;

    if (ray_poll_set(&server->poll, wants ? UV_READABLE : 0) != RAY_OK && wants) {
        ray_timer_start(&server->retry_timer, ACCEPT_RETRY_MS, 0);
    }
}

static void on_retry(void *arg)
{
    update_accepting(arg);
}

static struct ray_http_peer peer_of(int fd, const union ray_http_address *remote)
{
    union ray_http_address local = {0}; /* as it stays, when our end is not known */
    socklen_t size = sizeof(local);
    struct ray_http_peer peer;

    (void)getsockname(fd, &local.any, &size);
    ray_http_peer_init(&peer, remote, &local);
    return peer;
}

static bool has_conn_share(const struct ray_http_server *server, const struct ray_http_peer *peer)
{
    size_t count = 0;

    if (server->config.peer_conn_count_max == 0) {
        return false;
    }
    for (const struct ray_http_conn *conn = server->conns; conn != NULL; conn = conn->next) {
        count += ray_http_peer_shares(&conn->peer, peer);
    }
    return count >= server->config.peer_conn_count_max;
}

/* Says why, as far as that goes without a connection that lingers: a request that is here already
 * is read, so that closing does not destroy the answer. */
static void refuse_peer(struct ray_http_server *server, int fd, const struct ray_http_peer *peer)
{
    char request[RAY_HTTP_INPUT_SIZE];

    (void)send(fd, too_many, sizeof(too_many) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    (void)recv(fd, request, sizeof(request), MSG_DONTWAIT);
    (void)close(fd);
    server->refused_count++;
    if (server->config.on_refused != NULL) {
        server->config.on_refused(peer->text, server->config.arg);
    }
}

/* Returns 0, or the errno that ends this turn. */
static int accept_one(struct ray_http_server *server)
{
    const int on = 1;
    union ray_http_address address = {0};
    socklen_t size = sizeof(address);
    struct ray_http_peer peer;
    struct ray_http_conn *conn;
    int errnum = ray_fault(RAY_FAULT_SOCKET);
    int fd;

    if (errnum != 0) {
        return errnum;
    }
    fd = accept4(server->fd, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    peer = peer_of(fd, &address);
    if (has_conn_share(server, &peer)) {
        refuse_peer(server, fd, &peer);
        return 0;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* only slower without */
    if (ray_http_conn_create(&conn, server, fd, &peer, NULL) != RAY_OK) {
        return ENOMEM;
    }
    conn->next = server->conns;
    if (server->conns != NULL) {
        server->conns->previous = conn;
    }
    server->conns = conn;
    server->conn_count++;
    ray_http_conn_run(conn);
    return 0;
}

static void on_listen(void *arg, int status, int events)
{
    struct ray_http_server *server = arg;

    (void)events;
    if (status < 0) {
        ray_timer_start(&server->retry_timer, ACCEPT_RETRY_MS, 0);
    }
    for (int i = 0; i < ACCEPT_PER_TURN_MAX && status >= 0 &&
                    server->conn_count < server->config.conn_count_max;
         i++) {
        int errnum = accept_one(server);
        if (errnum == EAGAIN || errnum == EWOULDBLOCK) {
            break;
        }
        /* Descriptors or memory ran out: the client stays in the backlog for a while.
         * Everything else is a client that left before we came. */
        if (errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM || errnum == ENOBUFS) {
            ray_timer_start(&server->retry_timer, ACCEPT_RETRY_MS, 0);
            break;
        }
    }
    update_accepting(server);
}

static void check_config(const struct ray_http_config *config)
{
    assert(config->address != NULL && config->on_request != NULL);
    assert(config->conn_count_max > 0 && config->transfer_count_max > 0);
    assert(config->header_timeout_ms > 0 && config->idle_timeout_ms > 0);
    assert(config->transfer_timeout_ms > 0 && config->header_size_max > 0);
}

int ray_http_server_create(struct ray_http_server **out_server, struct ray_loop *loop,
                           const struct ray_http_config *config, struct ray_err *err)
{
    struct ray_http_server *server;
    union ray_http_address address;
    socklen_t address_size = 0;
    int rc;

    check_config(config);
    rc = parse_address(config, &address, &address_size, err);
    if (rc != RAY_OK) {
        return rc;
    }
    server = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*server));
    if (server == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for an HTTP server");
    }
    server->loop = loop;
    server->config = *config;
    server->config.address = NULL; /* texts are the caller's, and not needed any more */
    server->config.device = NULL;
    server->fd = -1;
    rc = open_socket(config, &address, address_size, &server->fd, err);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&server->retry_timer, loop, on_retry, server, err);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_init(&server->poll, loop, server->fd, on_listen, server, err);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_set(&server->poll, UV_READABLE);
    }
    if (rc != RAY_OK) {
        ray_http_server_destroy(server);
        return rc;
    }
    server->port = local_port(server->fd);
    *out_server = server;
    return RAY_OK;
}

void ray_http_server_destroy(struct ray_http_server *server)
{
    if (server == NULL) {
        return;
    }
    server->is_closing = true;
    while (server->conns != NULL) {
        assert(!server->conns->is_running);
        ray_http_conn_destroy(server->conns);
    }
    ray_poll_fini(&server->poll);
    ray_timer_fini(&server->retry_timer);
    if (server->fd >= 0) {
        (void)close(server->fd);
    }
    free(server);
}

uint16_t ray_http_server_port(const struct ray_http_server *server)
{
    return server->port;
}

void ray_http_server_stats(const struct ray_http_server *server, struct ray_http_stats *out)
{
    *out = (struct ray_http_stats){.conn_count = server->conn_count,
                                   .transfer_count = server->transfer_count,
                                   .queued_count = server->queued_count,
                                   .refused_count = server->refused_count};
}

void ray_http_server_forget(struct ray_http_server *server, struct ray_http_conn *conn)
{
    assert(server->conn_count > 0);
    if (conn->previous != NULL) {
        conn->previous->next = conn->next;
    } else {
        server->conns = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->previous = conn->previous;
    }
    server->conn_count--;
    if (!server->is_closing && server->conn_count + 1 == server->config.conn_count_max) {
        update_accepting(server);
    }
}

/* Whether an address has its share of the transfers. */
static bool has_share(const struct ray_http_server *server, const struct ray_http_peer *peer)
{
    size_t count = 0;

    if (server->config.peer_transfer_count_max == 0) {
        return false;
    }
    for (const struct ray_http_conn *conn = server->conns; conn != NULL; conn = conn->next) {
        count += conn->has_slot && ray_http_peer_shares(&conn->peer, peer);
    }
    return count >= server->config.peer_transfer_count_max;
}

static struct ray_http_conn *next_in_turn(const struct ray_http_server *server)
{
    struct ray_http_conn *conn = server->queue_first;

    while (conn != NULL && has_share(server, &conn->peer)) {
        conn = conn->queue_next;
    }
    return conn;
}

static void leave_queue(struct ray_http_server *server, struct ray_http_conn *conn)
{
    struct ray_http_conn *before = NULL;

    for (struct ray_http_conn *at = server->queue_first; at != conn; at = at->queue_next) {
        assert(at != NULL);
        before = at;
    }
    if (before != NULL) {
        before->queue_next = conn->queue_next;
    } else {
        server->queue_first = conn->queue_next;
    }
    if (server->queue_last == conn) {
        server->queue_last = before;
    }
    conn->queue_next = NULL;
    conn->is_queued = false;
    server->queued_count--;
}

/* Starting a transfer may end it at once (the client left) and come back here: the outer
 * loop then goes on, so the depth stays one. */
static void dispatch(struct ray_http_server *server)
{
    if (server->is_dispatching || server->is_closing) {
        return;
    }
    server->is_dispatching = true;
    while (server->transfer_count < server->config.transfer_count_max) {
        struct ray_http_conn *conn = next_in_turn(server);

        if (conn == NULL) {
            break;
        }
        leave_queue(server, conn);
        conn->has_slot = true;
        server->transfer_count++;
        ray_http_conn_start_transfer(conn);
    }
    server->is_dispatching = false;
}

void ray_http_server_want_slot(struct ray_http_server *server, struct ray_http_conn *conn)
{
    assert(!conn->is_queued && !conn->has_slot);
    if (server->queue_last != NULL) {
        server->queue_last->queue_next = conn;
    } else {
        server->queue_first = conn;
    }
    server->queue_last = conn;
    conn->is_queued = true;
    server->queued_count++;
    dispatch(server);
}

void ray_http_server_drop_slot(struct ray_http_server *server, struct ray_http_conn *conn)
{
    if (conn->is_queued) {
        leave_queue(server, conn);
    }
    if (conn->has_slot) {
        assert(server->transfer_count > 0);
        conn->has_slot = false;
        server->transfer_count--;
        dispatch(server);
    }
}
