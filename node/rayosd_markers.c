/* rayosd_markers.c - stdout stays as it came: O_NONBLOCK would be set for whoever shares it, too.
 * So poll is asked first; a pipe that it calls writable takes PIPE_BUF bytes without waiting. */
#include "node/rayosd_markers.h"

#include <assert.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

void rayosd_markers_init(struct rayosd_markers *markers, int fd)
{
    *markers = (struct rayosd_markers){.fd = fd};
}

/* Lines that wait for somebody who is gone. */
static void lose_all(struct rayosd_markers *markers)
{
    for (size_t i = 0; i < markers->size; i++) {
        markers->lost_count += markers->lines[i] == '\n';
    }
    markers->size = 0;
}

static void drop(struct rayosd_markers *markers, size_t size)
{
    markers->size -= size;
    memmove(markers->lines, markers->lines + size, markers->size);
}

void rayosd_markers_flush(struct rayosd_markers *markers)
{
    struct pollfd wait = {.fd = markers->fd, .events = POLLOUT};

    static_assert((int)RAYOSD_MARKERS_SIZE_MAX <= PIPE_BUF, "one write takes all");
    if (markers->size == 0 || poll(&wait, 1, 0) <= 0) {
        return;
    }
    if ((wait.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        lose_all(markers);
    } else if ((wait.revents & POLLOUT) != 0) {
        ssize_t written = write(markers->fd, markers->lines, markers->size);

        if (written > 0) {
            drop(markers, (size_t)written);
        } /* else it is tried again */
    }
}

void rayosd_markers_tell(struct rayosd_markers *markers, const char *line, size_t size)
{
    assert(size > 0 && line[size - 1] == '\n');
    rayosd_markers_flush(markers); /* in their order */
    if (size > sizeof markers->lines - markers->size) {
        markers->lost_count++;
        return;
    }
    memcpy(markers->lines + markers->size, line, size);
    markers->size += size;
    rayosd_markers_flush(markers);
}

uint64_t rayosd_markers_take_lost(struct rayosd_markers *markers)
{
    uint64_t count = markers->lost_count;

    markers->lost_count = 0;
    return count;
}
