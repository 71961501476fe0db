/* port.c - a virtio-serial port has no connections: while the host is away, reading gives end
 * of file, and polling reports a hang-up for ever. So a hang-up ends the session and stops the
 * polling, and a timer looks until the host is back. */
#include "tests/agent/port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/clock.h"

enum { HOST_CHECK_MS = 100 };

static void on_io(void *arg, int status, int events);

static void host_left(struct port *port)
{
    port->is_host_there = false;
    (void)ray_poll_set(&port->poll, 0);
    ray_poll_fini(&port->poll);
    ray_frame_reader_reset(&port->reader);
    ray_buf_clear(&port->out);
    port->on_session(port->arg);
    if (port->is_virtio) {
        ray_timer_start(&port->timer, HOST_CHECK_MS, HOST_CHECK_MS);
    } else {
        ray_loop_stop(port->loop); /* a socket does not come back */
    }
}

static void on_timer(void *arg)
{
    struct port *port = arg;
    struct pollfd state = {.fd = port->fd, .events = POLLIN | POLLOUT};

    if (poll(&state, 1, 0) < 0 || (state.revents & (POLLHUP | POLLERR)) != 0) {
        return;
    }
    if (ray_poll_init(&port->poll, port->loop, port->fd, on_io, port, NULL) != RAY_OK) {
        return;
    }
    ray_timer_stop(&port->timer);
    port->is_host_there = true;
    (void)ray_poll_set(&port->poll, UV_READABLE);
}

static void flush(struct port *port)
{
    bool was_full = port_is_full(port);

    while (port->is_host_there && port->out.size > 0) {
        ssize_t n = write(port->fd, port->out.data, port->out.size);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            host_left(port);
            return;
        }
        if (n <= 0) {
            break;
        }
        ray_buf_consume(&port->out, (size_t)n);
    }
    if (port->is_host_there) {
        (void)ray_poll_set(&port->poll,
                           port->out.size > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    }
    if (was_full && !port_is_full(port)) {
        port->on_drain(port->arg);
    }
}

static void take_frames(struct port *port)
{
    struct ray_frame frame;
    uint8_t echo[RAY_FRAME_SYNC_SIZE];
    int rc;

    while ((rc = ray_frame_reader_next(&port->reader, &frame, NULL)) == RAY_OK) {
        if (frame.kind == RAY_FRAME_SYNC) {
            ray_buf_clear(&port->out);
            port->on_session(port->arg);
            ray_frame_encode_sync(frame.nonce, echo);
            (void)ray_buf_append(&port->out, echo, sizeof echo);
            flush(port);
        } else {
            Rayos__Agent__Request *request =
                rayos__agent__request__unpack(NULL, frame.payload_size, frame.payload);

            if (request == NULL) {
                ray_frame_reader_reset(&port->reader);
                return;
            }
            port->on_request(port->arg, request);
            rayos__agent__request__free_unpacked(request, NULL);
        }
        if (!port->is_host_there) {
            return;
        }
    }
    if (rc == RAY_EMALFORMED) {
        ray_frame_reader_reset(&port->reader); /* until the host begins a new session */
    }
}

static void on_io(void *arg, int status, int events)
{
    struct port *port = arg;
    uint8_t bytes[65536];
    ssize_t n;

    if (status != RAY_OK) {
        host_left(port);
        return;
    }
    if ((events & UV_READABLE) != 0) {
        n = read(port->fd, bytes, sizeof bytes);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            host_left(port);
            return;
        }
        if (n > 0) {
            if (ray_frame_reader_push(&port->reader, bytes, (size_t)n, NULL) != RAY_OK) {
                ray_frame_reader_reset(&port->reader);
            }
            take_frames(port);
        }
    }
    if (port->is_host_there && (events & UV_WRITABLE) != 0) {
        flush(port);
    }
}

int port_init(struct port *port, struct ray_loop *loop, int fd, bool is_virtio, struct ray_err *err)
{
    int rc;

    port->loop = loop;
    port->fd = fd;
    port->is_virtio = is_virtio;
    ray_frame_reader_init(&port->reader, true);
    ray_buf_init(&port->out, PORT_QUEUE_SIZE_MAX);
    rc = ray_timer_init(&port->timer, loop, on_timer, port, err);
    if (rc == RAY_OK) {
        ray_timer_start(&port->timer, 0, HOST_CHECK_MS);
    }
    return rc;
}

void port_fini(struct port *port)
{
    ray_poll_fini(&port->poll);
    ray_timer_fini(&port->timer);
    ray_frame_reader_fini(&port->reader);
    ray_buf_fini(&port->out);
    if (port->fd >= 0) {
        (void)close(port->fd);
        port->fd = -1;
    }
}

int port_send(struct port *port, const Rayos__Agent__Answer *answer)
{
    size_t size = rayos__agent__answer__get_packed_size(answer);
    uint8_t header[RAY_FRAME_HEADER_SIZE];
    int rc;

    if (!port->is_host_there) {
        return RAY_ECLOSED;
    }
    rc = ray_frame_encode_header(size, header, NULL);
    if (rc == RAY_OK) {
        rc = ray_buf_reserve(&port->out, sizeof header + size);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    (void)ray_buf_append(&port->out, header, sizeof header);
    (void)rayos__agent__answer__pack(answer, port->out.data + port->out.size);
    port->out.size += size;
    (void)ray_poll_set(&port->poll, UV_READABLE | UV_WRITABLE);
    return RAY_OK;
}

bool port_is_full(const struct port *port)
{
    return port->out.size > PORT_QUEUE_SIZE_HIGH;
}

/* The device of the port called `name`, "/dev/vport1p2". */
static bool find_virtio(const char *name, char *path, size_t path_size)
{
    DIR *dir = opendir("/sys/class/virtio-ports");
    struct dirent *entry;
    bool found = false;

    while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
        char file[512];
        char text[128];

        (void)snprintf(file, sizeof file, "/sys/class/virtio-ports/%s/name", entry->d_name);
        if (entry->d_name[0] != '.' &&
            ray_file_read_text(AT_FDCWD, file, text, sizeof text, NULL) == RAY_OK &&
            strcmp(text, name) == 0) {
            (void)snprintf(path, path_size, "/dev/%s", entry->d_name);
            found = true;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return found;
}

int port_open_virtio(const char *name, unsigned timeout_ms, int *out_fd, struct ray_err *err)
{
    uint64_t end_ns = ray_clock_monotonic_ns() + timeout_ms * RAY_NS_PER_MS;
    char path[300];
    int fd;

    while (!find_virtio(name, path, sizeof path)) {
        if (ray_clock_monotonic_ns() >= end_ns) {
            return ray_fail(err, RAY_ENOTFOUND, "no virtio-serial port named %s", name);
        }
        (void)poll(NULL, 0, HOST_CHECK_MS);
    }
    fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    *out_fd = fd;
    return RAY_OK;
}
