/* switch_port.c - both kinds share queue and counters; they differ in how bytes come and go. */
#include "clusterctl/lab/switch_port.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"

enum {
    READER_SIZE = 256 << 10,
    VECTOR_COUNT = 64,          /* frames in one writev */
    PACKET_READ_COUNT_MAX = 64, /* frames of one turn, then the other ports have theirs */
    PACKET_BUFFER_SIZE = 4 << 20,
    LISTEN_BACKLOG = 4,
};

static int open_socket(int family, int type, int protocol)
{
    int errnum = ray_fault(RAY_FAULT_SOCKET);

    if (errnum != 0) {
        errno = errnum;
        return -1;
    }
    return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
}

static int open_stream(struct ray_switch_port *port, const char *path, struct ray_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;
    int rc;

    if (strlen(path) >= sizeof address.sun_path) {
        return ray_fail(err, RAY_EINVAL, "socket path '%s' has %zu bytes, at most %zu", path,
                        strlen(path), sizeof address.sun_path - 1);
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path); /* fits */
    fd = open_socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "port %s: socket", port->name);
    }
    /* On Linux the mode of the descriptor becomes that of the name. */
    (void)fchmod(fd, 0600); /* the folder is private, too */
    (void)unlink(path);     /* a stale name; bind reports any other trouble */
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        rc = ray_fail_errno(err, errno, "port %s: bind to '%s'", port->name, path);
        (void)close(fd);
        return rc;
    }
    if (listen(fd, LISTEN_BACKLOG) < 0) {
        rc = ray_fail_errno(err, errno, "port %s: listen on '%s'", port->name, path);
        (void)close(fd);
        (void)unlink(path); /* ours since bind */
        return rc;
    }
    (void)snprintf(port->path, sizeof port->path, "%s", path); /* fits; ours to remove now */
    port->listen_fd = fd;
    return RAY_OK;
}

static int set_packet_options(int fd, unsigned index)
{
    const struct packet_mreq promiscuous = {.mr_ifindex = (int)index, .mr_type = PACKET_MR_PROMISC};
    const int on = 1;
    const int size = PACKET_BUFFER_SIZE;

    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) < 0) {
        return -1;
    }
    /* The forced form may go above the system's limit but wants privilege over the machine,
     * which a lab in a user namespace lacks; then the limit it is. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size); /* best effort */
    }
    return 0;
}

static int open_packet(struct ray_switch_port *port, const char *interface, struct ray_err *err)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    unsigned index = if_nametoindex(interface);

    if (index == 0) {
        return ray_fail_errno(err, errno, "port %s: interface '%s'", port->name, interface);
    }
    address.sll_ifindex = (int)index;
    /* Protocol 0: nothing arrives before bind says from which interface. */
    port->fd = open_socket(AF_PACKET, SOCK_RAW, 0);
    if (port->fd < 0) {
        return ray_fail_errno(err, errno, "port %s: packet socket", port->name);
    }
    if (set_packet_options(port->fd, index) < 0 ||
        bind(port->fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        return ray_fail_errno(err, errno, "port %s: packet socket on '%s'", port->name, interface);
    }
    port->counts.connects = 1;
    return RAY_OK;
}

int ray_switch_port_open(struct ray_switch_port *port, const char *name,
                         enum ray_switch_port_kind kind, const char *path, struct ray_err *err)
{
    *port = (struct ray_switch_port){.kind = kind, .listen_fd = -1, .fd = -1};
    if (!ray_switch_name_is_valid(name)) {
        return ray_fail(err, RAY_EINVAL, "'%s' is not a port name (a-z, 0-9, '-', at most %d)",
                        name, RAY_SWITCH_NAME_SIZE - 1);
    }
    (void)snprintf(port->name, sizeof port->name, "%s", name); /* fits: it is valid */
    port->memory = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(READER_SIZE);
    if (port->memory == NULL) {
        return ray_fail(err, RAY_ENOMEM, "port %s: buffer of %d bytes", name, READER_SIZE);
    }
    ray_switch_reader_init(&port->reader, port->memory, READER_SIZE);
    ray_switch_queue_init(&port->queue);
    return kind == RAY_SWITCH_PORT_STREAM ? open_stream(port, path, err)
                                          : open_packet(port, path, err);
}

void ray_switch_port_fini(struct ray_switch_port *port, struct ray_switch_pool *pool)
{
    if (port->memory == NULL) {
        return; /* never opened, or finished already */
    }
    ray_switch_port_disconnect(port, pool);
    if (port->listen_fd >= 0) {
        (void)close(port->listen_fd); /* nothing is buffered */
    }
    if (port->path[0] != '\0') {
        (void)unlink(port->path); /* may be gone with its folder */
    }
    free(port->memory);
    *port = (struct ray_switch_port){.listen_fd = -1, .fd = -1};
}

int ray_switch_port_accept(struct ray_switch_port *port, int *out_fd, struct ray_err *err)
{
    int newest = -1;

    assert(port->listen_fd >= 0);
    for (;;) {
        int fd = accept4(port->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            if (newest >= 0) {
                (void)close(newest); /* overtaken before its first byte */
            }
            newest = fd;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            if (newest >= 0) {
                break; /* one peer is here; the error comes again if it stays */
            }
            return ray_fail_errno(err, errno, "port %s: accept", port->name);
        }
    }
    if (newest < 0) {
        return RAY_EAGAIN;
    }
    *out_fd = newest;
    return RAY_OK;
}

void ray_switch_port_attach(struct ray_switch_port *port, int fd)
{
    assert(port->fd < 0 && port->queue.count == 0);
    port->fd = fd;
    port->counts.connects++;
}

void ray_switch_port_disconnect(struct ray_switch_port *port, struct ray_switch_pool *pool)
{
    if (port->fd >= 0) {
        (void)close(port->fd); /* what the peer has not read is lost with it */
    }
    port->fd = -1;
    port->wants_write = false;
    port->counts.no_peer_drops += port->queue.count;
    ray_switch_queue_clear(&port->queue, pool);
    ray_switch_reader_reset(&port->reader);
}

typedef void frame_callback(void *arg, struct ray_switch_port *port, const uint8_t *frame,
                            size_t size);

static int read_stream(struct ray_switch_port *port, frame_callback *on_frame, void *arg,
                       struct ray_err *err)
{
    size_t space_size;
    uint8_t *space = ray_switch_reader_space(&port->reader, &space_size);
    ssize_t n = recv(port->fd, space, space_size, MSG_DONTWAIT);
    const uint8_t *frame;
    size_t size;
    int rc;

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR
                   ? RAY_OK
                   : ray_fail_errno(err, errno, "port %s: receive", port->name);
    }
    if (n == 0) {
        return RAY_ECLOSED;
    }
    ray_switch_reader_filled(&port->reader, (size_t)n);
    while ((rc = ray_switch_reader_next(&port->reader, &frame, &size, err)) == RAY_OK) {
        on_frame(arg, port, frame, size);
    }
    if (rc == RAY_EMALFORMED) {
        port->counts.oversize_drops++;
        return rc;
    }
    return RAY_OK;
}

static int read_packets(struct ray_switch_port *port, frame_callback *on_frame, void *arg)
{
    for (size_t i = 0; i < PACKET_READ_COUNT_MAX; i++) {
        /* MSG_TRUNC: the true length, also of a frame that did not fit. */
        ssize_t n = recv(port->fd, port->memory, READER_SIZE, MSG_DONTWAIT | MSG_TRUNC);

        if (n < 0) {
            /* ENETDOWN is told once when the interface goes down; it may come back. */
            break;
        }
        if (n > RAY_SWITCH_FRAME_SIZE_MAX) {
            port->counts.oversize_drops++;
            continue;
        }
        on_frame(arg, port, port->memory, (size_t)n);
    }
    return RAY_OK;
}

int ray_switch_port_read(struct ray_switch_port *port, frame_callback *on_frame, void *arg,
                         struct ray_err *err)
{
    if (port->fd < 0) {
        return RAY_OK; /* an event from before the peer went */
    }
    return port->kind == RAY_SWITCH_PORT_STREAM ? read_stream(port, on_frame, arg, err)
                                                : read_packets(port, on_frame, arg);
}

void ray_switch_port_enqueue(struct ray_switch_port *port, struct ray_switch_pool *pool,
                             struct ray_switch_frame *frame, uint64_t now_ns)
{
    if (port->fd < 0) {
        port->counts.no_peer_drops++;
        return;
    }
    port->counts.age_drops += ray_switch_queue_expire(&port->queue, pool, now_ns);
    if (frame == NULL || !ray_switch_queue_push(&port->queue, frame, now_ns)) {
        port->counts.queue_drops++;
    }
}

static void count_sent(struct ray_switch_port *port, struct ray_switch_pool *pool, size_t size)
{
    uint64_t frame_bytes;

    port->counts.tx_frames += ray_switch_queue_sent(&port->queue, pool, size, &frame_bytes);
    port->counts.tx_bytes += frame_bytes;
}

/* Contiguous frames leave in one system call. */
static int flush_stream(struct ray_switch_port *port, struct ray_switch_pool *pool)
{
    struct iovec vectors[VECTOR_COUNT];
    struct msghdr message = {.msg_iov = vectors};

    for (;;) {
        ssize_t n = -1;

        message.msg_iovlen = ray_switch_queue_peek(&port->queue, vectors, VECTOR_COUNT);
        if (message.msg_iovlen == 0) {
            return RAY_OK;
        }
        errno = ray_fault(RAY_FAULT_SEND);
        if (errno == 0) {
            n = sendmsg(port->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        if (n >= 0) {
            count_sent(port, pool, (size_t)n);
        } else if (errno == EAGAIN) {
            return RAY_EAGAIN;
        } else if (errno != EINTR) {
            return RAY_ECLOSED;
        }
    }
}

static uint64_t *packet_drop_counter(struct ray_switch_port_counts *counts, int errnum)
{
    switch (errnum) {
    case EMSGSIZE:
        return &counts->oversize_drops;
    case ENOBUFS:
    case ENOMEM:
        return &counts->queue_drops;
    default: /* ENETDOWN, ENXIO: the interface is down or gone */
        return &counts->no_peer_drops;
    }
}

static int flush_packets(struct ray_switch_port *port, struct ray_switch_pool *pool)
{
    struct iovec vector;

    while (ray_switch_queue_peek(&port->queue, &vector, 1) == 1) {
        const uint8_t *frame = (const uint8_t *)vector.iov_base + RAY_SWITCH_FRAME_HEADER_SIZE;
        uint64_t frame_bytes;

        if (send(port->fd, frame, vector.iov_len - RAY_SWITCH_FRAME_HEADER_SIZE, MSG_DONTWAIT) >=
            0) {
            count_sent(port, pool, vector.iov_len);
        } else if (errno == EAGAIN) {
            return RAY_EAGAIN;
        } else if (errno != EINTR) {
            (*packet_drop_counter(&port->counts, errno))++;
            (void)ray_switch_queue_sent(&port->queue, pool, vector.iov_len, &frame_bytes);
        }
    }
    return RAY_OK;
}

int ray_switch_port_flush(struct ray_switch_port *port, struct ray_switch_pool *pool,
                          uint64_t now_ns)
{
    if (port->fd < 0) {
        assert(port->queue.count == 0);
        return RAY_OK;
    }
    port->counts.age_drops += ray_switch_queue_expire(&port->queue, pool, now_ns);
    return port->kind == RAY_SWITCH_PORT_STREAM ? flush_stream(port, pool)
                                                : flush_packets(port, pool);
}

void ray_switch_port_update_counts(struct ray_switch_port *port)
{
    struct tpacket_stats stats = {0};
    socklen_t size = sizeof stats;

    /* Reading resets the kernel's count. */
    if (port->kind == RAY_SWITCH_PORT_PACKET && port->fd >= 0 &&
        getsockopt(port->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0) {
        port->counts.kernel_drops += stats.tp_drops;
    }
}
