#include "node/init/notify_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"

bool notify_service_of_cgroup(const char *text, char *out_name, size_t out_size)
{
    static const char prefix[] = "0::/" INIT_CGROUP_SERVICES "/";
    const char *begin = strstr(text, prefix);
    size_t size;

    /* cgroup2's line is the only one, or begins after a newline. */
    if (begin == NULL || (begin != text && begin[-1] != '\n')) {
        return false;
    }
    begin += sizeof prefix - 1;
    size = strcspn(begin, "/\n");
    if (size == 0 || size >= out_size) {
        return false;
    }
    memcpy(out_name, begin, size);
    out_name[size] = '\0';
    return true;
}

static struct supervise_unit *find_sender(struct notify_server *server, pid_t pid)
{
    struct supervise_unit *unit = supervise_find_pid(server->supervise, pid);
    char path[64];
    char text[512];
    char name[64];

    if (unit != NULL) {
        return unit;
    }
    (void)snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    if (ray_file_read_text(AT_FDCWD, path, text, sizeof text, NULL) != RAY_OK ||
        !notify_service_of_cgroup(text, name, sizeof name)) {
        return NULL;
    }
    return supervise_find(server->supervise, name);
}

struct datagram {
    char bytes[NOTIFY_MESSAGE_SIZE_MAX];
    size_t size;
    pid_t pid; /* 0: the kernel did not say */
    int fds[NOTIFY_SERVER_FD_COUNT_MAX];
    size_t fd_count;
};

static void close_fds(const struct datagram *datagram)
{
    for (size_t i = 0; i < datagram->fd_count; i++) {
        (void)close(datagram->fds[i]);
    }
}

static void take_control(struct msghdr *message, struct datagram *out)
{
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET) {
            continue;
        }
        if (header->cmsg_type == SCM_CREDENTIALS &&
            header->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
            struct ucred credentials;
            memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
            out->pid = credentials.pid;
        } else if (header->cmsg_type == SCM_RIGHTS) {
            size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t i = 0; i < count; i++) {
                int fd;
                memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
                if (out->fd_count < NOTIFY_SERVER_FD_COUNT_MAX) {
                    out->fds[out->fd_count++] = fd;
                } else {
                    (void)close(fd);
                }
            }
        }
    }
}

/* False: nothing more to read. */
static bool receive(struct notify_server *server, struct datagram *out)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct ucred)) +
                   CMSG_SPACE(sizeof(int) * NOTIFY_SERVER_FD_COUNT_MAX)];
    } control;
    struct iovec piece = {.iov_base = out->bytes, .iov_len = sizeof out->bytes};
    struct msghdr message = {
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    ssize_t size = recvmsg(server->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    out->pid = 0;
    out->fd_count = 0;
    if (size < 0) {
        /* Out of memory or descriptors concerns this datagram only. */
        out->size = 0;
        return errno != EAGAIN;
    }
    take_control(&message, out);
    /* A cut message may have lost its end, a cut control part its descriptors. */
    out->size = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ? 0 : (size_t)size;
    return true;
}

static void on_readable(void *arg, int status, int events)
{
    struct notify_server *server = arg;

    (void)status; /* recvmsg says more */
    (void)events;
    for (int i = 0; i < NOTIFY_SERVER_PER_TURN; i++) {
        struct datagram datagram;
        struct notify_message message;
        struct supervise_unit *unit;

        if (!receive(server, &datagram)) {
            return;
        }
        unit = datagram.pid > 0 ? find_sender(server, datagram.pid) : NULL;
        if (unit == NULL || datagram.size == 0) {
            server->stranger_count++;
            close_fds(&datagram);
            continue;
        }
        notify_message_parse(datagram.bytes, datagram.size, &message);
        for (size_t m = 0; m < message.marker_count; m++) {
            server->on_marker(server->arg, message.markers[m].marker, message.markers[m].detail);
        }
        supervise_notified(unit, &message, datagram.fds, datagram.fd_count);
    }
}

static int open_socket(const char *path, int *out_fd, struct ray_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int yes = 1;
    int fault = ray_fault(RAY_FAULT_SOCKET);
    int fd;

    if (strlen(path) >= sizeof address.sun_path) {
        return ray_fail(err, RAY_ETOOBIG, "socket path %s", path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = fault != 0 ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return ray_fail_errno(err, fault != 0 ? fault : errno, "socket %s", path);
    }
    (void)unlink(path); /* of an earlier life; usually there is none */
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || chmod(path, 0666) < 0) {
        int rc = ray_fail_errno(err, errno, "socket %s", path);
        (void)close(fd);
        return rc;
    }
    *out_fd = fd;
    return RAY_OK;
}

int notify_server_init(struct notify_server *server, struct ray_loop *loop, const char *path,
                       struct supervise *supervise,
                       void (*on_marker)(void *arg, enum ray_marker marker, const char *detail),
                       void *arg, struct ray_err *err)
{
    int rc;

    *server = (struct notify_server){
        .fd = -1, .supervise = supervise, .on_marker = on_marker, .arg = arg};
    rc = open_socket(path, &server->fd, err);
    if (rc == RAY_OK) {
        rc = ray_poll_init(&server->poll, loop, server->fd, on_readable, server, err);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_set(&server->poll, UV_READABLE);
    }
    if (rc != RAY_OK) {
        notify_server_fini(server);
    }
    return rc;
}

void notify_server_fini(struct notify_server *server)
{
    ray_poll_fini(&server->poll);
    if (server->fd > 0) {
        (void)close(server->fd);
    }
    server->fd = -1;
}
