/* rpc_server.c - the listening end: takes connections, each a session.
 *
 * At most RAY_RPC_CONN_COUNT_MAX connections, of which a user other than root holds at
 * most RAY_RPC_CONN_PER_UID_MAX: one user cannot shut the others out. Who is refused is
 * told so. When descriptors run out, listening pauses instead of spinning. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "net/rpc.h"
#include "net/rpc_envelope.h"
#include "net/rpc_session.h"
#include "net/rpc_unix.h"

enum { ACCEPT_BURST_COUNT = 16, ACCEPT_PAUSE_MS = 100, PATH_SIZE = 112 };

struct ray_rpc_server {
    struct ray_loop *loop;
    struct ray_rpc_service service;
    int fd;
    struct ray_poll poll;
    struct ray_timer pause; /* runs while accepting failed for want of something */
    char path[PATH_SIZE];   /* "": not ours to remove */
    dev_t dev;
    ino_t ino;
};

/* Best effort: the peer may be gone or full, and memory short. */
static void refuse(int fd, const struct ray_err *why)
{
    struct ray_rpc_message message = {
        .kind = RAY_RPC_END, .code = why->code, .text = why->text, .next_step = why->next_step};
    struct ray_arena arena;
    const uint8_t *bytes = NULL;
    size_t size = 0;

    ray_arena_init(&arena, RAY_RPC_MESSAGE_SIZE_MAX);
    if (ray_rpc_envelope_encode(&message, &arena, &bytes, &size, NULL) == RAY_OK) {
        (void)send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    ray_arena_fini(&arena);
}

static int check_limits(const struct ray_rpc_server *server, int fd, struct ray_err *err)
{
    const struct ray_rpc_service *service = &server->service;
    struct ucred cred;
    socklen_t cred_size = sizeof cred;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_size) != 0) {
        return ray_fail_errno(err, errno, "cannot see who connects");
    }
    if (service->session_count >= RAY_RPC_CONN_COUNT_MAX) {
        ray_fail(err, RAY_EUNAVAILABLE, "the service has %zu connections, at most %d",
                 service->session_count, RAY_RPC_CONN_COUNT_MAX);
        return ray_next(err, "try again later");
    }
    if (cred.uid != 0 && ray_rpc_service_uid_count(service, cred.uid) >= RAY_RPC_CONN_PER_UID_MAX) {
        ray_fail(err, RAY_EUNAVAILABLE, "user %u has %d connections, that is the limit", cred.uid,
                 RAY_RPC_CONN_PER_UID_MAX);
        return ray_next(err, "close some of them");
    }
    return RAY_OK;
}

/* Takes `fd` over. */
static void welcome(struct ray_rpc_server *server, int fd)
{
    struct ray_rpc_session *session = NULL;
    struct ray_rpc_carrier *carrier = NULL;
    struct ray_rpc_carrier_user user;
    struct ray_err err = {0};
    int rc = check_limits(server, fd, &err);

    if (rc == RAY_OK) {
        rc = ray_rpc_session_create(&server->service, &session, &user, &err);
    }
    if (rc == RAY_OK) {
        rc = ray_rpc_unix_carrier_create(&carrier, server->loop, fd, &user, &err);
    }
    if (rc == RAY_OK) {
        ray_rpc_session_open(session, carrier);
        return;
    }
    refuse(fd, &err);
    (void)close(fd); /* the refusal is the kernel's to deliver */
    if (session != NULL) {
        ray_rpc_session_discard(session);
    }
}

static void on_pause_end(void *arg)
{
    struct ray_rpc_server *server = arg;

    (void)ray_poll_set(&server->poll, UV_READABLE); /* fails only for a bad descriptor */
}

static void on_listen(void *arg, int status, int events)
{
    struct ray_rpc_server *server = arg;

    (void)status; /* an error shows again in accept */
    (void)events;
    for (int i = 0; i < ACCEPT_BURST_COUNT; i++) {
        int fault = ray_fault(RAY_FAULT_SOCKET);
        int fd = fault != 0 ? -1 : accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        int why = fault != 0 ? fault : errno;

        if (fd >= 0) {
            welcome(server, fd);
        } else if (why == EAGAIN) {
            return;
        } else if (why != EINTR && why != ECONNABORTED) {
            (void)ray_poll_set(&server->poll, 0);
            ray_timer_start(&server->pause, ACCEPT_PAUSE_MS, 0);
            return;
        }
    }
}

/* Takes `fd` over on success. */
static int server_create(struct ray_rpc_server **out_server, struct ray_loop *loop, int fd,
                         const struct ray_rpc_method *methods, void *arg, struct ray_err *err)
{
    struct ray_rpc_server *server = ray_rpc_alloc(sizeof *server);
    int rc;

    assert(out_server != NULL && loop != NULL && methods != NULL);
    if (server == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a server");
    }
    server->loop = loop;
    server->fd = -1;
    ray_rpc_service_init(&server->service, methods, arg);
    rc = ray_timer_init(&server->pause, loop, on_pause_end, server, err);
    if (rc == RAY_OK) {
        rc = ray_poll_init(&server->poll, loop, fd, on_listen, server, err);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_set(&server->poll, UV_READABLE);
        if (rc != RAY_OK) {
            ray_fail(err, rc, "cannot wait for connections");
        }
    }
    if (rc != RAY_OK) {
        ray_rpc_server_destroy(server);
        return rc;
    }
    server->fd = fd;
    *out_server = server;
    return RAY_OK;
}

int ray_rpc_server_create_fd(struct ray_rpc_server **out_server, struct ray_loop *loop, int fd,
                             const struct ray_rpc_method *methods, void *arg, struct ray_err *err)
{
    int flags = fcntl(fd, F_GETFL);

    /* Inherited ones may block; accepting until there is no more must not. */
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return ray_fail_errno(err, errno, "cannot use the listening socket");
    }
    return server_create(out_server, loop, fd, methods, arg, err);
}

int ray_rpc_server_create_unix(struct ray_rpc_server **out_server, struct ray_loop *loop,
                               const char *path, mode_t mode, const struct ray_rpc_method *methods,
                               void *arg, struct ray_err *err)
{
    struct ray_rpc_server *server = NULL;
    struct stat st;
    int fd = -1;
    int rc = ray_rpc_unix_listen(path, mode, &fd, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rc = server_create(&server, loop, fd, methods, arg, err);
    if (rc != RAY_OK) {
        (void)close(fd); /* nobody was accepted */
        (void)unlink(path);
        return rc;
    }
    assert(server != NULL);
    /* Remembered, so that destroy never removes the socket of a successor. */
    if (lstat(path, &st) == 0) {
        (void)snprintf(server->path, sizeof server->path, "%s", path);
        server->dev = st.st_dev;
        server->ino = st.st_ino;
    }
    *out_server = server;
    return RAY_OK;
}

void ray_rpc_server_take_large(struct ray_rpc_server *server)
{
    server->service.takes_large = true;
}

void ray_rpc_server_destroy(struct ray_rpc_server *server)
{
    struct stat st;

    if (server == NULL) {
        return;
    }
    ray_rpc_service_fini(&server->service);
    ray_timer_fini(&server->pause);
    ray_poll_fini(&server->poll);
    if (server->path[0] != '\0' && lstat(server->path, &st) == 0 && st.st_dev == server->dev &&
        st.st_ino == server->ino) {
        (void)unlink(server->path); /* a stale file is replaced by the next server anyway */
    }
    if (server->fd >= 0) {
        (void)close(server->fd);
    }
    free(server);
}
