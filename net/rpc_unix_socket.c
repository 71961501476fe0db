/* rpc_unix_socket.c - listening and connecting sockets of rpc_unix.h.
 *
 * A socket file outlives its process. Whether one is stale is asked of the kernel: only a
 * listening socket takes a connection. The mode is set between bind and listen, when
 * nobody can connect yet. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "net/rpc_unix.h"

enum { LISTEN_BACKLOG = 64 };

static int make_address(const char *path, struct sockaddr_un *out_address, struct ray_err *err)
{
    size_t size = strlen(path);

    if (size == 0 || size >= sizeof out_address->sun_path) {
        ray_fail(err, RAY_EINVAL, "socket path '%s' has %zu bytes, at most %zu", path, size,
                 sizeof out_address->sun_path - 1);
        return ray_next(err, "choose a shorter folder");
    }
    *out_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out_address->sun_path, path, size + 1);
    return RAY_OK;
}

static int make_socket(int *out_fd, struct ray_err *err)
{
    int fault = ray_fault(RAY_FAULT_SOCKET);
    int fd = fault != 0 ? -1 : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return ray_fail_errno(err, fault != 0 ? fault : errno, "cannot make a Unix socket");
    }
    *out_fd = fd;
    return RAY_OK;
}

/* 0 or errno. */
static int connect_once(int fd, const struct sockaddr_un *address)
{
    int rc;

    assert(fd >= 0);
    do {
        rc = connect(fd, (const struct sockaddr *)address, sizeof *address);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? errno : 0;
}

int ray_rpc_unix_connect(const char *path, int *out_fd, struct ray_err *err)
{
    struct sockaddr_un address;
    int fd = -1;
    int rc, why;

    assert(path != NULL && out_fd != NULL);
    rc = make_address(path, &address, err);
    if (rc == RAY_OK) {
        rc = make_socket(&fd, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    why = connect_once(fd, &address);
    if (why == 0) {
        *out_fd = fd;
        return RAY_OK;
    }
    (void)close(fd); /* nothing was written */
    switch (why) {
    case ENOENT:
    case ECONNREFUSED:
        return ray_fail(err, RAY_EUNAVAILABLE, "no service answers at %s", path);
    case EAGAIN:
        return ray_fail(err, RAY_EUNAVAILABLE, "the service at %s is too busy to answer", path);
    default:
        return ray_fail_errno(err, why, "cannot connect to %s", path);
    }
}

/* Removes the socket file of a process that is gone. */
static int remove_stale(const char *path, const struct sockaddr_un *address, struct ray_err *err)
{
    struct stat st;
    int fd = -1;
    int rc, why;

    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? RAY_OK : ray_fail_errno(err, errno, "%s", path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return ray_fail(err, RAY_EEXISTS, "%s exists and is no socket", path);
    }
    rc = make_socket(&fd, err);
    if (rc != RAY_OK) {
        return rc;
    }
    why = connect_once(fd, address);
    (void)close(fd); /* only asked whether anybody listens */
    if (why != ECONNREFUSED) {
        return ray_fail(err, RAY_EEXISTS, "another process answers at %s", path);
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return ray_fail_errno(err, errno, "cannot remove the stale socket %s", path);
    }
    return RAY_OK;
}

int ray_rpc_unix_listen(const char *path, mode_t mode, int *out_fd, struct ray_err *err)
{
    struct sockaddr_un address;
    int fd = -1;
    int rc;

    assert(path != NULL && out_fd != NULL);
    rc = make_address(path, &address, err);
    if (rc == RAY_OK) {
        rc = remove_stale(path, &address, err);
    }
    if (rc == RAY_OK) {
        rc = make_socket(&fd, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    assert(fd >= 0);
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        rc = ray_fail_errno(err, errno, "cannot bind %s", path);
    } else if (chmod(path, mode) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        rc = ray_fail_errno(err, errno, "cannot listen at %s", path);
        (void)unlink(path); /* best effort: the failure above is the news */
    }
    if (rc != RAY_OK) {
        (void)close(fd); /* nothing was written */
        return rc;
    }
    *out_fd = fd;
    return RAY_OK;
}
