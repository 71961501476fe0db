/* bulk_shake.c - output before input, one record at a time, and never a byte beyond the
 * handshake: what follows belongs to another process. */
#include "net/bulk_shake.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"

enum {
    KEEPALIVE_IDLE_S = 10,
    KEEPALIVE_INTERVAL_S = 5,
    KEEPALIVE_COUNT = 3,
    USER_TIMEOUT_MS = 30000, /* of bytes that nobody acknowledges */
};

struct ray_bulk_shake {
    struct ray_bulk_shake_user user;
    struct ray_poll poll;
    struct ray_timer timeout;
    struct ray_peer_auth *auth;
    int fd; /* -1: given away */
    bool is_over;
};

/* A peer that vanishes is noticed by the kernel, whoever has the descriptor then. On sockets that
 * are not TCP (tests) the options fail, which does not matter. */
static void set_options(int fd)
{
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
    };

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof options[i].value);
    }
}

/* Stops listening; what is left is freed by destroy. */
static void stop(struct ray_bulk_shake *shake)
{
    shake->is_over = true;
    ray_poll_fini(&shake->poll);
    ray_timer_fini(&shake->timeout);
}

/* May be the end of `shake`. */
static void fail(struct ray_bulk_shake *shake, const struct ray_err *why)
{
    struct ray_bulk_shake_user user = shake->user;

    stop(shake);
    (void)close(shake->fd);
    shake->fd = -1;
    user.on_failed(user.arg, why);
}

/* May be the end of `shake`. */
static void succeed(struct ray_bulk_shake *shake)
{
    struct ray_bulk_shake_user user = shake->user;
    struct ray_peer peer;
    struct ray_seal *seal = NULL;
    int fd = shake->fd;

    stop(shake);
    ray_peer_auth_take(shake->auth, &peer, &seal);
    shake->fd = -1;
    user.on_ready(user.arg, fd, seal, &peer);
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

/* RAY_OK: all is out; RAY_EAGAIN: later. */
static int write_output(struct ray_bulk_shake *shake, struct ray_err *err)
{
    const uint8_t *bytes;
    size_t size = 0;

    while ((bytes = ray_peer_auth_output(shake->auth, &size)) != NULL) {
        int fault = ray_fault(RAY_FAULT_SEND);
        ssize_t sent = fault != 0 ? -1 : send(shake->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent >= 0) {
            ray_peer_auth_sent(shake->auth, (size_t)sent);
        } else if (fault == 0 && would_block()) {
            return RAY_EAGAIN;
        } else if (fault != 0 || errno != EINTR) {
            return ray_fail_errno(err, fault != 0 ? fault : errno, "handshake");
        }
    }
    return RAY_OK;
}

/* RAY_OK: a piece was taken; RAY_EAGAIN: later. */
static int read_input(struct ray_bulk_shake *shake, struct ray_err *err)
{
    uint8_t bytes[RAY_PEER_AUTH_RECORD_SIZE_MAX];
    size_t wanted_size = ray_peer_auth_wanted_size(shake->auth);
    int fault = ray_fault(RAY_FAULT_READ);
    size_t used = 0;
    ssize_t got;
    int rc;

    assert(wanted_size > 0 && wanted_size <= sizeof bytes);
    got = fault != 0 ? -1 : recv(shake->fd, bytes, wanted_size, MSG_DONTWAIT);
    if (got < 0 && fault == 0 && would_block()) {
        return RAY_EAGAIN;
    }
    if (got < 0 && fault == 0 && errno == EINTR) {
        return RAY_OK;
    }
    if (got < 0) {
        return ray_fail_errno(err, fault != 0 ? fault : errno, "handshake");
    }
    if (got == 0) {
        return ray_fail(err, RAY_ECLOSED, "handshake: the peer left");
    }
    rc =
        ray_peer_auth_receive(shake->auth, ray_clock_boottime_ns(), bytes, (size_t)got, &used, err);
    assert(rc != RAY_OK || used == (size_t)got);
    return rc;
}

static void go_on(struct ray_bulk_shake *shake)
{
    struct ray_err why = {0};
    int rc;

    do {
        rc = write_output(shake, &why);
        if (rc == RAY_OK && ray_peer_auth_is_done(shake->auth)) {
            succeed(shake);
            return;
        }
        if (rc == RAY_OK) {
            rc = read_input(shake, &why);
        }
    } while (rc == RAY_OK);
    if (rc != RAY_EAGAIN) {
        struct ray_err ignored = {0};

        (void)write_output(shake, &ignored); /* a refusal, as far as it goes at once */
        fail(shake, &why);
        return;
    }
    (void)ray_poll_set(&shake->poll,
                       ray_peer_auth_wanted_size(shake->auth) > 0 ? UV_READABLE : UV_WRITABLE);
}

static void on_events(void *arg, int status, int events)
{
    (void)status; /* reading or writing tells what is wrong */
    (void)events;
    go_on(arg);
}

static void on_timeout(void *arg)
{
    struct ray_bulk_shake *shake = arg;
    struct ray_err why = {0};

    (void)ray_fail(&why, RAY_ETIMEOUT, "handshake: the peer did not answer in time");
    fail(shake, &why);
}

int ray_bulk_shake_create(struct ray_bulk_shake **out_shake, struct ray_loop *loop, int fd,
                          struct ray_peer_auth *auth, uint64_t timeout_ms,
                          const struct ray_bulk_shake_user *user, struct ray_err *err)
{
    struct ray_bulk_shake *shake;
    int rc;

    assert(user->on_ready != NULL && user->on_failed != NULL);
    shake = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *shake);
    if (shake == NULL) {
        return ray_fail(err, RAY_ENOMEM, "handshake");
    }
    shake->user = *user;
    shake->fd = fd;
    rc = ray_timer_init(&shake->timeout, loop, on_timeout, shake, err);
    if (rc == RAY_OK) {
        rc = ray_poll_init(&shake->poll, loop, fd, on_events, shake, err);
    }
    if (rc != RAY_OK) {
        ray_timer_fini(&shake->timeout);
        free(shake);
        return rc;
    }
    shake->auth = auth;
    set_options(fd);
    ray_timer_start(&shake->timeout, timeout_ms, 0);
    (void)ray_poll_set(&shake->poll,
                       ray_peer_auth_wanted_size(auth) > 0 ? UV_READABLE : UV_WRITABLE);
    *out_shake = shake;
    return RAY_OK;
}

void ray_bulk_shake_destroy(struct ray_bulk_shake *shake)
{
    if (shake == NULL) {
        return;
    }
    stop(shake);
    if (shake->fd >= 0) {
        (void)close(shake->fd);
    }
    ray_peer_auth_destroy(shake->auth);
    free(shake);
}
