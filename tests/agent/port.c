/* port.c - a virtio-serial port has no connections: while the host is away, reading gives end
 * of file, and polling reports a hang-up for ever. So a hang-up ends the session and stops the
 * polling, and a timer looks until the host is back. */
#include "tests/agent/port.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"

enum { HOST_CHECK_MS = 100, READ_SIZE = 65536 };

static void on_io(void *arg, int status, int events);
static void flush(struct port *port);

static void host_left(struct port *port)
{
    port->is_host_there = false;
    ray_poll_fini(&port->poll);
    ray_frame_reader_reset(&port->reader);
    ray_buf_clear(&port->out);
    port->on_session(port->arg);
    if (port->is_virtio) {
        ray_timer_start(&port->timer, HOST_CHECK_MS, HOST_CHECK_MS);
    } else {
        ray_loop_stop(port->loop);
    }
}

static void send_sync(struct port *port, uint64_t nonce)
{
    uint8_t block[RAY_FRAME_SYNC_SIZE];

    ray_frame_encode_sync(nonce, block);
    if (ray_buf_append(&port->out, block, sizeof block) == RAY_OK) {
        flush(port);
    } /* else the host repeats its own */
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
    send_sync(port, 0);
}

static void watch(struct port *port)
{
    /* Fails only for a descriptor that epoll refuses, which ray_poll_init has tried. */
    (void)ray_poll_set(&port->poll, port->out.size > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

static void flush(struct port *port)
{
    bool was_full = port_is_full(port);

    while (port->out.size > 0) {
        ssize_t written = write(port->fd, port->out.data, port->out.size);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0 && errno != EAGAIN) {
            host_left(port);
            return;
        }
        if (written <= 0) {
            break;
        }
        ray_buf_consume(&port->out, (size_t)written);
    }
    watch(port);
    if (was_full && !port_is_full(port)) {
        port->on_drain(port->arg);
    }
}

static void begin_session(struct port *port, uint64_t nonce)
{
    /* What was queued belongs to the last session; half a frame of it may be out already, and
     * the host skips it because it waits for its nonce. */
    ray_buf_clear(&port->out);
    port->on_session(port->arg);
    send_sync(port, nonce);
}

/* false: malformed. */
static bool take_request(struct port *port, const struct ray_frame *frame)
{
    Rayos__Agent__Request *request =
        rayos__agent__request__unpack(NULL, frame->payload_size, frame->payload);

    if (request == NULL) {
        return false;
    }
    port->on_request(port->arg, request);
    rayos__agent__request__free_unpacked(request, NULL);
    return true;
}

/* Handles every whole frame that was read. What is malformed is followed by nothing until the
 * host begins a new session. */
static void take_frames(struct port *port)
{
    while (port->is_host_there) {
        struct ray_frame frame;
        int rc = ray_frame_reader_next(&port->reader, &frame, NULL);

        if (rc == RAY_EAGAIN) {
            return;
        }
        if (rc == RAY_OK && frame.kind == RAY_FRAME_SYNC) {
            begin_session(port, frame.nonce);
        } else if (rc != RAY_OK || !take_request(port, &frame)) {
            ray_frame_reader_resync(&port->reader);
        }
    }
}

static void on_io(void *arg, int status, int events)
{
    struct port *port = arg;
    uint8_t bytes[READ_SIZE];
    ssize_t got;

    if (status != RAY_OK) {
        host_left(port);
        return;
    }
    if ((events & UV_READABLE) != 0) {
        got = read(port->fd, bytes, sizeof bytes);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            host_left(port);
            return;
        }
        if (got > 0) {
            if (ray_frame_reader_push(&port->reader, bytes, (size_t)got, NULL) != RAY_OK) {
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
    int flags = fcntl(fd, F_GETFL);
    int rc;

    assert(port->on_session != NULL && port->on_request != NULL && port->on_drain != NULL);
    port->loop = loop;
    port->fd = fd;
    port->is_virtio = is_virtio;
    ray_frame_reader_init(&port->reader, true);
    ray_buf_init(&port->out, PORT_QUEUE_SIZE_MAX);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return ray_fail_errno(err, errno, "port at descriptor %d", fd);
    }
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
    port->is_host_there = false;
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
    (void)ray_buf_append(&port->out, header, sizeof header); /* the room is reserved */
    (void)rayos__agent__answer__pack(answer, port->out.data + port->out.size);
    port->out.size += size;
    watch(port);
    return RAY_OK;
}

int port_send_done(struct port *port, uint64_t id)
{
    Rayos__Agent__Answer answer = RAYOS__AGENT__ANSWER__INIT;
    Rayos__Agent__Done done = RAYOS__AGENT__DONE__INIT;

    answer.id = id;
    answer.what_case = RAYOS__AGENT__ANSWER__WHAT_DONE;
    answer.done = &done;
    return port_send(port, &answer);
}

int port_send_failure(struct port *port, uint64_t id, const struct ray_err *err)
{
    Rayos__Agent__Answer answer = RAYOS__AGENT__ANSWER__INIT;
    Rayos__Agent__Failure failure = RAYOS__AGENT__FAILURE__INIT;

    /* Packing does not change the texts: protobuf-c's structs have no const. */
    failure.code = (char *)(uintptr_t)ray_err_api_code(err->code);
    failure.text = (char *)(uintptr_t)err->text;
    answer.id = id;
    answer.what_case = RAYOS__AGENT__ANSWER__WHAT_FAILURE;
    answer.failure = &failure;
    return port_send(port, &answer);
}

bool port_flush(struct port *port)
{
    if (port->fd >= 0 && port->out.size > 0) {
        flush(port);
    }
    return port->fd < 0 || port->out.size == 0;
}

bool port_is_full(const struct port *port)
{
    return port->out.size > PORT_QUEUE_SIZE_HIGH;
}

int port_open_virtio(int class_fd, const char *name, int *out_fd, struct ray_err *err)
{
    int dir_fd = openat(class_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = dir_fd < 0 ? NULL : fdopendir(dir_fd);
    char device[300] = "";
    struct dirent *entry;
    int fd;

    if (dir == NULL) {
        if (dir_fd >= 0) {
            (void)close(dir_fd);
        }
        return ray_fail_errno(err, errno, "virtio-serial ports");
    }
    while (device[0] == '\0' && (entry = readdir(dir)) != NULL) {
        char file[300];
        char text[128];

        (void)snprintf(file, sizeof file, "%s/name", entry->d_name);
        if (entry->d_name[0] != '.' &&
            ray_file_read_text(dir_fd, file, text, sizeof text, NULL) == RAY_OK &&
            strcmp(text, name) == 0) {
            (void)snprintf(device, sizeof device, "/dev/%s", entry->d_name);
        }
    }
    (void)closedir(dir);
    if (device[0] == '\0') {
        return ray_fail(err, RAY_ENOTFOUND, "no virtio-serial port is named %s", name);
    }
    fd = open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return ray_fail_errno(err, errno, "port %s", device);
    }
    *out_fd = fd;
    return RAY_OK;
}
