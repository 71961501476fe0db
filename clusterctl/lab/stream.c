/* clusterctl/lab/stream.c - see stream.h. */
#include "clusterctl/lab/stream.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK_SIZE = 16 << 10, CHUNKS_PER_TURN = 16 };

void lab_stream_init(struct lab_stream *stream)
{
    *stream = (struct lab_stream){.fd = -1};
}

bool lab_stream_is_open(const struct lab_stream *stream)
{
    return stream->fd >= 0;
}

void lab_stream_close(struct lab_stream *stream)
{
    ray_poll_fini(&stream->poll);
    ray_buf_fini(&stream->out);
    if (stream->fd >= 0) {
        (void)close(stream->fd); /* a socket: nothing of ours is lost */
    }
    stream->fd = -1;
}

/* true: the end has come. */
static bool read_some(struct lab_stream *stream, int chunk_count_max)
{
    uint8_t bytes[CHUNK_SIZE];

    for (int i = 0; i < chunk_count_max && stream->fd >= 0; i++) {
        ssize_t size = recv(stream->fd, bytes, sizeof bytes, MSG_DONTWAIT);

        if (size > 0) {
            stream->on_data(stream->arg, bytes, (size_t)size);
        } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
            return true;
        } else if (errno == EAGAIN) {
            return false;
        }
    }
    return false;
}

static void write_some(struct lab_stream *stream)
{
    while (stream->out.size > 0) {
        ssize_t size =
            send(stream->fd, stream->out.data, stream->out.size, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (size < 0) {
            break; /* full: later; broken: the reading side sees the end */
        }
        ray_buf_consume(&stream->out, (size_t)size);
    }
    (void)ray_poll_set(&stream->poll,
                       stream->out.size > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

static void on_poll(void *arg, int status, int events)
{
    struct lab_stream *stream = arg;

    if (status != RAY_OK || ((events & UV_READABLE) != 0 && read_some(stream, CHUNKS_PER_TURN))) {
        lab_stream_close(stream);
        return;
    }
    if (stream->fd >= 0 && (events & UV_WRITABLE) != 0) {
        write_some(stream);
    }
}

int lab_stream_open(struct lab_stream *stream, struct ray_loop *loop, int fd,
                    void (*on_data)(void *arg, const uint8_t *bytes, size_t size), void *arg,
                    struct ray_err *err)
{
    int rc;

    assert(!lab_stream_is_open(stream));
    *stream = (struct lab_stream){.fd = fd, .on_data = on_data, .arg = arg};
    ray_buf_init(&stream->out, LAB_STREAM_QUEUE_SIZE_MAX);
    rc = ray_poll_init(&stream->poll, loop, fd, on_poll, stream, err);
    if (rc == RAY_OK) {
        rc = ray_poll_set(&stream->poll, UV_READABLE);
    }
    if (rc != RAY_OK) {
        lab_stream_close(stream);
    }
    return rc;
}

int lab_stream_write(struct lab_stream *stream, const void *bytes, size_t size)
{
    if (stream->fd < 0) {
        return RAY_ECLOSED;
    }
    if (size > LAB_STREAM_QUEUE_SIZE_MAX - stream->out.size) {
        return RAY_EAGAIN;
    }
    if (ray_buf_append(&stream->out, bytes, size) != RAY_OK) {
        return RAY_ENOMEM;
    }
    write_some(stream);
    return RAY_OK;
}

void lab_stream_drain(struct lab_stream *stream)
{
    while (stream->fd >= 0 && !read_some(stream, CHUNKS_PER_TURN)) {
        uint8_t byte;

        if (recv(stream->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) <= 0) {
            return;
        }
    }
}
