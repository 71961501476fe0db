/* A kernel event is "action@devpath" and KEY=value pairs, each ended by NUL. The pairs
 * repeat action and path, so the header only has to be well formed. */
#include "node/init/system/uevent.h"

#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/size.h"

enum { RECEIVE_BUFFER_SIZE = 16 * 1024 * 1024, TURN_EVENT_COUNT_MAX = 256, KERNEL_GROUP = 1 };

static void take_number(const char *text, uint32_t *out)
{
    uint64_t value;

    if (ray_parse_u64(text, 0, UINT32_MAX, &value) == RAY_OK) {
        *out = (uint32_t)value;
    }
}

/* One "KEY=value". */
static void take_pair(const char *pair, struct init_uevent *event)
{
    const struct {
        const char *key;
        const char **value;
    } texts[] = {
        {"ACTION=", &event->action},       {"DEVPATH=", &event->devpath},
        {"SUBSYSTEM=", &event->subsystem}, {"DEVTYPE=", &event->devtype},
        {"MODALIAS=", &event->modalias},   {"DEVNAME=", &event->devname},
        {"DRIVER=", &event->driver},       {"PARTNAME=", &event->partname},
        {"INTERFACE=", &event->interface},
    };
    const struct {
        const char *key;
        uint32_t *value;
    } numbers[] = {
        {"MAJOR=", &event->major},
        {"MINOR=", &event->minor},
        {"IFINDEX=", &event->ifindex},
    };

    for (size_t i = 0; i < RAY_ARRAY_COUNT(texts); i++) {
        size_t size = strlen(texts[i].key);

        if (strncmp(pair, texts[i].key, size) == 0) {
            *texts[i].value = pair + size;
            return;
        }
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(numbers); i++) {
        size_t size = strlen(numbers[i].key);

        if (strncmp(pair, numbers[i].key, size) == 0) {
            take_number(pair + size, numbers[i].value);
            return;
        }
    }
    if (strncmp(pair, "SEQNUM=", 7) == 0) {
        (void)ray_parse_u64(pair + 7, 0, UINT64_MAX, &event->seqnum); /* else it stays 0 */
    }
}

int init_uevent_parse(const uint8_t *data, size_t size, struct init_uevent *out,
                      struct ray_err *err)
{
    struct init_uevent event = {0};
    const char *text = (const char *)data;
    const char *at;

    if (size == 0 || data[size - 1] != '\0') {
        return ray_fail(err, RAY_EMALFORMED, "device event of %zu bytes without an end", size);
    }
    at = strchr(text, '@');
    if (at == NULL || at == text) {
        return ray_fail(err, RAY_EMALFORMED, "device event without a header");
    }
    for (size_t offset = strlen(text) + 1; offset < size; offset += strlen(text + offset) + 1) {
        take_pair(text + offset, &event);
    }
    if (event.action == NULL || event.devpath == NULL || event.devpath[0] != '/') {
        return ray_fail(err, RAY_EMALFORMED, "device event without action or path");
    }
    *out = event;
    return RAY_OK;
}

int init_uevent_parse_file(char *text, size_t size, const char *devpath, struct init_uevent *out,
                           struct ray_err *err)
{
    struct init_uevent event = {0};

    assert(text[size] == '\0');
    if (memchr(text, '\0', size) != NULL) {
        return ray_fail(err, RAY_EMALFORMED, "uevent file of %s is not text", devpath);
    }
    for (size_t offset = 0; offset < size;) {
        size_t line_size = strcspn(text + offset, "\n");

        text[offset + line_size] = '\0';
        take_pair(text + offset, &event);
        offset += line_size + 1;
    }
    /* The file tells of a device that is there; path and action are the reader's. */
    event.action = "add";
    event.devpath = devpath;
    *out = event;
    return RAY_OK;
}

void init_uevent_source_init(struct init_uevent_source *source)
{
    *source = (struct init_uevent_source){.fd = -1};
}

/* One datagram. Returns false when there is no more for now. */
static bool receive_one(struct init_uevent_source *source)
{
    struct sockaddr_nl from = {0};
    struct iovec part = {.iov_base = source->buffer, .iov_len = INIT_UEVENT_SIZE_MAX};
    struct msghdr header = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1};
    struct init_uevent event;
    ssize_t got = recvmsg(source->fd, &header, MSG_DONTWAIT);

    if (got < 0 && errno == ENOBUFS) {
        source->lost_count++;
        source->on_lost(source->arg);
        return source->fd >= 0;
    }
    if (got < 0) {
        return errno == EINTR;
    }
    /* Port 0 is the kernel; a user process with the right to send here has another. */
    if (from.nl_pid != 0 || (header.msg_flags & MSG_TRUNC) != 0 || got == 0) {
        return true;
    }
    if (init_uevent_parse(source->buffer, (size_t)got, &event, NULL) == RAY_OK) {
        source->on_event(source->arg, &event);
    }
    return source->fd >= 0; /* the callback may have ended the source */
}

static void on_readable(void *arg, int status, int events)
{
    struct init_uevent_source *source = arg;
    size_t count = 0;

    (void)status; /* an error state is reported, and cleared, by recvmsg */
    (void)events;
    while (count < TURN_EVENT_COUNT_MAX && receive_one(source)) {
        count++; /* the rest in the next turn, so that a storm does not starve the loop */
    }
}

static int open_socket(int *out_fd, struct ray_err *err)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
    int size = RECEIVE_BUFFER_SIZE;
    int errnum = ray_fault(RAY_FAULT_SOCKET);
    int fd = -1;

    if (errnum == 0) {
        fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
        errnum = fd < 0 ? errno : 0;
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "socket for device events");
    }
    /* FORCE goes beyond rmem_max and needs CAP_NET_ADMIN; less only means rescans. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int bind_errnum = errno;

        (void)close(fd);
        return ray_fail_errno(err, bind_errnum, "subscribing to device events");
    }
    *out_fd = fd;
    return RAY_OK;
}

int init_uevent_source_open(struct init_uevent_source *source, struct ray_loop *loop,
                            void (*on_event)(void *arg, const struct init_uevent *event),
                            void (*on_lost)(void *arg), void *arg, struct ray_err *err)
{
    int rc;

    assert(source->fd < 0);
    source->on_event = on_event;
    source->on_lost = on_lost;
    source->arg = arg;
    source->buffer = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(INIT_UEVENT_SIZE_MAX);
    if (source->buffer == NULL) {
        return ray_fail(err, RAY_ENOMEM, "buffer for device events");
    }
    rc = open_socket(&source->fd, err);
    if (rc == RAY_OK) {
        rc = ray_poll_init(&source->poll, loop, source->fd, on_readable, source, err);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_set(&source->poll, UV_READABLE);
    }
    if (rc != RAY_OK) {
        init_uevent_source_fini(source);
    }
    return rc;
}

void init_uevent_source_fini(struct init_uevent_source *source)
{
    ray_poll_fini(&source->poll);
    if (source->fd >= 0) {
        (void)close(source->fd);
    }
    free(source->buffer);
    init_uevent_source_init(source);
}
