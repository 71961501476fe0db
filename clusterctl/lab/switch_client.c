/* switch_client.c - the client's socket has a name in the file system beside the switch's,
 * because an abstract name would not cross network namespaces. */
#include "clusterctl/lab/switch_client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"

enum { REPLY_SIZE_MAX = 256 << 10 };

static int make_address(struct sockaddr_un *out, const char *path, const char *suffix,
                        struct ray_err *err)
{
    int size;

    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    size = snprintf(out->sun_path, sizeof out->sun_path, "%s%s", path, suffix);
    if (size < 0 || (size_t)size >= sizeof out->sun_path) {
        return ray_fail(err, RAY_EINVAL, "socket path '%s%s' is too long (at most %zu bytes)", path,
                        suffix, sizeof out->sun_path - 1);
    }
    return RAY_OK;
}

static int open_client(const char *path, struct sockaddr_un *own, struct ray_err *err)
{
    struct sockaddr_un server;
    char suffix[24];
    uint64_t random;
    int fd;
    int rc = make_address(&server, path, "", err);

    if (rc == RAY_OK && getrandom(&random, sizeof random, 0) != sizeof random) {
        rc = ray_fail_errno(err, errno, "random name");
    }
    if (rc == RAY_OK) {
        (void)snprintf(suffix, sizeof suffix, ".%016llx", (unsigned long long)random); /* fits */
        rc = make_address(own, path, suffix, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    errno = ray_fault(RAY_FAULT_SOCKET);
    fd = errno != 0 ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "socket");
    }
    if (bind(fd, (const struct sockaddr *)own, sizeof *own) < 0) {
        rc = ray_fail_errno(err, errno, "bind to '%s'", own->sun_path);
    } else if (connect(fd, (const struct sockaddr *)&server, sizeof server) < 0) {
        rc = ray_fail(err, RAY_EUNAVAILABLE, "no switch at '%s': %s", path, strerror(errno));
        (void)unlink(own->sun_path); /* ours; nobody else knows the name */
    }
    if (rc != RAY_OK) {
        (void)close(fd); /* nothing was sent */
        return rc;
    }
    return fd;
}

static int wait_for(int fd, short events, uint64_t deadline_ns, struct ray_err *err)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = events};
        uint64_t now_ns = ray_clock_monotonic_ns();
        uint64_t wait_ms = now_ns >= deadline_ns ? 0 : (deadline_ns - now_ns) / RAY_NS_PER_MS + 1;
        int count = poll(&poll_fd, 1, wait_ms > INT_MAX ? INT_MAX : (int)wait_ms);

        if (count > 0) {
            return RAY_OK;
        }
        if (count < 0 && errno != EINTR) {
            return ray_fail_errno(err, errno, "poll");
        }
        if (count == 0 && ray_clock_monotonic_ns() >= deadline_ns) {
            return ray_fail(err, RAY_ETIMEOUT, "the switch did not answer in time");
        }
    }
}

/* "error CODE: text" */
static int take_error(char *text, struct ray_err *err)
{
    char *code = text + strlen("error ");
    char *colon = strstr(code, ": ");

    if (colon == NULL) {
        return ray_fail(err, RAY_EMALFORMED, "reply of the switch: '%s'", text);
    }
    *colon = '\0';
    return ray_fail(err, ray_err_from_api_code(code), "%s", colon + 2);
}

static int exchange(int fd, const char *command, uint64_t deadline_ns, struct ray_buf *reply,
                    struct ray_err *err)
{
    ssize_t size = -1;
    char *text;
    int rc = wait_for(fd, POLLOUT, deadline_ns, err);

    if (rc != RAY_OK) {
        return rc;
    }
    errno = ray_fault(RAY_FAULT_SEND);
    if (errno != 0 || send(fd, command, strlen(command), MSG_NOSIGNAL) < 0) {
        return ray_fail_errno(err, errno, "command to the switch");
    }
    rc = wait_for(fd, POLLIN, deadline_ns, err);
    if (rc != RAY_OK) {
        return rc;
    }
    text = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(REPLY_SIZE_MAX + 1);
    if (text == NULL) {
        return ray_fail(err, RAY_ENOMEM, "reply of the switch");
    }
    size = recv(fd, text, REPLY_SIZE_MAX, 0);
    if (size < 0) {
        rc = ray_fail_errno(err, errno, "reply of the switch");
        goto done;
    }
    while (size > 0 && text[size - 1] == '\n') {
        size--;
    }
    text[size] = '\0';
    if (strncmp(text, "error ", strlen("error ")) == 0) {
        rc = take_error(text, err);
    } else {
        rc = ray_buf_append(reply, text, (size_t)size);
    }
done:
    free(text);
    return rc;
}

int ray_switch_client_call(const char *control_path, const char *command, uint64_t timeout_ms,
                           struct ray_buf *reply, struct ray_err *err)
{
    uint64_t deadline_ns = ray_clock_monotonic_ns() + timeout_ms * RAY_NS_PER_MS;
    struct sockaddr_un own;
    int fd = open_client(control_path, &own, err);
    int rc;

    if (fd < 0) {
        return fd;
    }
    rc = exchange(fd, command, deadline_ns, reply, err);
    (void)unlink(own.sun_path); /* ours; at worst a stale name stays in the lab's folder */
    (void)close(fd);
    return rc;
}
