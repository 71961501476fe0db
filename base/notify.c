/* notify.c - one datagram per word, to a path or an abstract name. */
#include "base/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/size.h"

enum {
    NOTIFY_FIRST_KEPT_FD = 3, /* SD_LISTEN_FDS_START */
    NOTIFY_KEPT_COUNT_MAX = 1024,
    NOTIFY_NAME_SIZE_MAX = 255, /* FDNAME_MAX of systemd */
};

static int notify_address(const char *path, struct sockaddr_un *out, socklen_t *out_size,
                          struct ray_err *err)
{
    size_t size = strlen(path);

    if ((path[0] != '/' && path[0] != '@') || size < 2) {
        return ray_fail(err, RAY_EINVAL, "NOTIFY_SOCKET '%s' is neither a path nor @name", path);
    }
    if (size >= sizeof out->sun_path) {
        return ray_fail(err, RAY_ETOOBIG, "NOTIFY_SOCKET of %zu bytes", size);
    }
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, path, size);
    if (path[0] == '@') {
        out->sun_path[0] = '\0';
    } else {
        size++; /* the NUL counts for a path */
    }
    *out_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    return RAY_OK;
}

/* kept_fd -1: none. */
static int notify_send(const char *message, int kept_fd, struct ray_err *err)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    struct iovec io = {.iov_base = (void *)(uintptr_t)message, .iov_len = strlen(message)};
    struct msghdr header = {.msg_name = &address, .msg_iov = &io, .msg_iovlen = 1};
    ssize_t sent;
    int rc;
    int fd;

    if (path == NULL || path[0] == '\0') {
        return RAY_OK;
    }
    rc = notify_address(path, &address, &header.msg_namelen, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (kept_fd >= 0) {
        header.msg_control = &control;
        header.msg_controllen = sizeof control.bytes;
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &kept_fd, sizeof kept_fd);
    }
    fd = ray_fault(RAY_FAULT_SOCKET) != 0 ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "notify socket");
    }
    do {
        sent =
            ray_fault(RAY_FAULT_SEND) != 0 ? -1 : sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        rc = ray_fail_errno(err, errno, "notify by '%s'", path);
    }
    (void)close(fd);
    return rc;
}

int ray_notify(const char *message, struct ray_err *err)
{
    return notify_send(message, -1, err);
}

int ray_notify_ready(struct ray_err *err)
{
    return notify_send("READY=1", -1, err);
}

int ray_notify_marker(enum ray_marker marker, const char *detail, struct ray_err *err)
{
    char line[RAY_MARKER_LINE_SIZE_MAX];
    char message[sizeof line + 32];

    (void)ray_marker_format(line, marker, detail);
    (void)snprintf(message, sizeof message, "X_RAYOS_MARKER=%s", line);
    return notify_send(message, -1, err);
}

/* The rule of systemd, so that its list of names separated by colons stays readable. */
static bool is_fd_name(const char *name)
{
    size_t size = strlen(name);

    if (size == 0 || size > NOTIFY_NAME_SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (name[i] <= ' ' || name[i] >= 0x7f || name[i] == ':') {
            return false;
        }
    }
    return true;
}

int ray_notify_keep_fd(const char *name, int fd, struct ray_err *err)
{
    char message[NOTIFY_NAME_SIZE_MAX + 32];

    if (!is_fd_name(name)) {
        return ray_fail(err, RAY_EINVAL, "'%s' is not a name for a kept descriptor", name);
    }
    if (fcntl(fd, F_GETFD) < 0) {
        return ray_fail_errno(err, errno, "keep descriptor %d as '%s'", fd, name);
    }
    (void)snprintf(message, sizeof message, "FDSTORE=1\nFDNAME=%s", name);
    return notify_send(message, fd, err);
}

int ray_notify_drop_fd(const char *name, struct ray_err *err)
{
    char message[NOTIFY_NAME_SIZE_MAX + 32];

    if (!is_fd_name(name)) {
        return ray_fail(err, RAY_EINVAL, "'%s' is not a name for a kept descriptor", name);
    }
    (void)snprintf(message, sizeof message, "FDSTOREREMOVE=1\nFDNAME=%s", name);
    return notify_send(message, -1, err);
}

int ray_notify_kept_fd(const char *name)
{
    const char *names = getenv("LISTEN_FDNAMES");
    const char *count_text = getenv("LISTEN_FDS");
    const char *pid_text = getenv("LISTEN_PID");
    uint64_t count;
    uint64_t pid;

    if (names == NULL || count_text == NULL || !is_fd_name(name) ||
        ray_parse_u64(count_text, 1, NOTIFY_KEPT_COUNT_MAX, &count) != RAY_OK) {
        return -1;
    }
    /* The environment may have come down from a parent that did not clear it. */
    if (pid_text != NULL &&
        (ray_parse_u64(pid_text, 1, INT32_MAX, &pid) != RAY_OK || (pid_t)pid != getpid())) {
        return -1;
    }
    for (uint64_t i = 0; i < count; i++) {
        size_t size = strcspn(names, ":");
        int fd = NOTIFY_FIRST_KEPT_FD + (int)i;

        if (size == strlen(name) && memcmp(names, name, size) == 0) {
            return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -1 : fd;
        }
        names += size;
        if (*names != ':') {
            return -1;
        }
        names++;
    }
    return -1;
}
