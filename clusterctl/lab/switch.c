/* switch.c - the loop: epoll with a deadline for the delay lines. Every port is read in every
 * turn in which it is readable, whatever the state of the others: a port that is full drops,
 * it never makes another one wait. Levels, not edges: what a turn leaves comes again. */
#include "clusterctl/lab/switch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "clusterctl/lab/switch_state.h"

enum {
    EVENT_COUNT_MAX = 64,
    REPLY_SIZE_MAX = 192 << 10, /* below the default socket buffer: one datagram */
};

/* What an event is about: its kind in the high half, the port's index in the low one. */
enum event_kind { EVENT_STOP, EVENT_CONTROL, EVENT_LISTEN, EVENT_PEER };

static uint64_t read_clock(void *arg)
{
    (void)arg;
    return ray_clock_monotonic_ns();
}

static int watch(struct ray_switch *sw, int op, int fd, enum event_kind kind, size_t index,
                 uint32_t events, struct ray_err *err)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)kind << 32 | index};

    if (epoll_ctl(sw->epoll_fd, op, fd, &event) < 0) {
        return ray_fail_errno(err, errno, "epoll");
    }
    return RAY_OK;
}

/* A datagram socket that is connected to tells whether somebody has it open, and the somebody
 * does not notice. */
static bool is_served(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_connected;

    if (fd < 0) {
        return false;
    }
    is_connected = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    (void)close(fd); /* only asked a question */
    return is_connected;
}

static int open_control(struct ray_switch *sw, const char *path, struct ray_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path) {
        return ray_fail(err, RAY_EINVAL, "socket path '%s' has %zu bytes, at most %zu", path,
                        strlen(path), sizeof address.sun_path - 1);
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path); /* fits */
    if (is_served(&address)) {
        return ray_fail(err, RAY_EEXISTS, "another switch answers at '%s'", path);
    }
    errno = ray_fault(RAY_FAULT_SOCKET);
    if (errno == 0) {
        sw->control_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (sw->control_fd < 0) {
        return ray_fail_errno(err, errno, "control socket");
    }
    (void)fchmod(sw->control_fd, 0600); /* becomes the name's mode; the folder is private, too */
    (void)unlink(path);                 /* a stale name; bind reports any other trouble */
    if (bind(sw->control_fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        return ray_fail_errno(err, errno, "bind to '%s'", path);
    }
    (void)snprintf(sw->control_path, sizeof sw->control_path, "%s", path); /* fits */
    return watch(sw, EPOLL_CTL_ADD, sw->control_fd, EVENT_CONTROL, 0, EPOLLIN, err);
}

static int open_port(struct ray_switch *sw, const struct ray_switch_port_config *config,
                     struct ray_err *err)
{
    size_t index = sw->port_count;
    struct ray_switch_port *port = &sw->ports[index];
    size_t same;
    int rc;

    if (ray_switch_find_port(sw, config->name, &same, NULL) == RAY_OK) {
        return ray_fail(err, RAY_EINVAL, "two ports are named '%s'", config->name);
    }
    sw->port_count++;
    rc = ray_switch_port_open(port, config->name, config->kind, config->path, err);
    if (rc != RAY_OK) {
        return rc;
    }
    return port->kind == RAY_SWITCH_PORT_STREAM
               ? watch(sw, EPOLL_CTL_ADD, port->listen_fd, EVENT_LISTEN, index, EPOLLIN, err)
               : watch(sw, EPOLL_CTL_ADD, port->fd, EVENT_PEER, index, EPOLLIN, err);
}

static int make_paths(struct ray_switch *sw, struct ray_err *err)
{
    size_t count = sw->port_count * sw->port_count;

    if (ray_fault(RAY_FAULT_ALLOC) == 0) {
        sw->paths = calloc(count, sizeof *sw->paths);
        sw->delayed = calloc(count, sizeof(struct ray_switch_path *));
    }
    if (sw->paths == NULL || sw->delayed == NULL) {
        return ray_fail(err, RAY_ENOMEM, "%zu pairs of ports", count);
    }
    for (size_t i = 0; i < count; i++) {
        size_t from = i / sw->port_count;
        size_t to = i % sw->port_count;

        ray_switch_link_init(&sw->paths[i].link, sw->seed, sw->ports[from].name,
                             sw->ports[to].name);
        sw->paths[i].to = (uint16_t)to;
    }
    return RAY_OK;
}

static int choose_seed(struct ray_switch *sw, uint64_t wanted, struct ray_err *err)
{
    sw->seed = wanted;
    /* 32 bits are easier to type again, and JSON readers keep them exactly. */
    while (sw->seed == 0) {
        uint32_t random;

        if (getrandom(&random, sizeof random, 0) != sizeof random) {
            return ray_fail_errno(err, errno, "random seed");
        }
        sw->seed = random;
    }
    return RAY_OK;
}

static int open_all(struct ray_switch *sw, const struct ray_switch_config *config,
                    struct ray_err *err)
{
    int rc = choose_seed(sw, config->seed, err);

    if (rc == RAY_OK) {
        rc = ray_switch_pool_init(&sw->pool, 1, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    sw->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (sw->epoll_fd < 0) {
        return ray_fail_errno(err, errno, "epoll");
    }
    rc = open_control(sw, config->control_path, err);
    if (rc == RAY_OK && config->stop_fd >= 0) {
        rc = watch(sw, EPOLL_CTL_ADD, config->stop_fd, EVENT_STOP, 0, EPOLLIN, err);
    }
    for (size_t i = 0; rc == RAY_OK && i < config->port_count; i++) {
        rc = open_port(sw, &config->ports[i], err);
    }
    return rc == RAY_OK ? make_paths(sw, err) : rc;
}

int ray_switch_create(struct ray_switch **out, const struct ray_switch_config *config,
                      struct ray_err *err)
{
    struct ray_switch *sw;
    int rc;

    if (config->port_count == 0 || config->port_count > RAY_SWITCH_PORT_COUNT_MAX) {
        return ray_fail(err, RAY_EINVAL, "a switch has 1 to %d ports, not %zu",
                        RAY_SWITCH_PORT_COUNT_MAX, config->port_count);
    }
    sw = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *sw);
    if (sw == NULL) {
        return ray_fail(err, RAY_ENOMEM, "switch");
    }
    sw->epoll_fd = -1;
    sw->control_fd = -1;
    sw->logger = config->logger;
    sw->clock_ns = config->now_ns != NULL ? config->now_ns : read_clock;
    sw->clock_arg = config->now_arg;
    ray_switch_mac_init(&sw->macs);
    rc = open_all(sw, config, err);
    if (rc != RAY_OK) {
        ray_switch_destroy(sw);
        return rc;
    }
    *out = sw;
    return RAY_OK;
}

void ray_switch_destroy(struct ray_switch *sw)
{
    if (sw == NULL) {
        return;
    }
    for (size_t i = 0; i < sw->delayed_count; i++) {
        ray_switch_line_fini(&sw->delayed[i]->line, &sw->pool);
    }
    for (size_t i = 0; i < sw->port_count; i++) {
        ray_switch_port_fini(&sw->ports[i], &sw->pool);
    }
    for (size_t i = 0; i <= RAY_SWITCH_PORT_COUNT_MAX; i++) {
        ray_switch_pcap_close(&sw->captures[i]);
    }
    assert(ray_switch_pool_used_count(&sw->pool) == 0);
    if (sw->control_fd >= 0) {
        (void)close(sw->control_fd); /* nothing is buffered */
    }
    if (sw->control_path[0] != '\0') {
        (void)unlink(sw->control_path); /* may be gone with its folder */
    }
    if (sw->epoll_fd >= 0) {
        (void)close(sw->epoll_fd);
    }
    ray_switch_pool_fini(&sw->pool);
    free(sw->delayed);
    free(sw->paths);
    free(sw);
}

uint64_t ray_switch_seed(const struct ray_switch *sw)
{
    return sw->seed;
}

static void disconnect(struct ray_switch *sw, size_t index, const char *why)
{
    struct ray_switch_port *port = &sw->ports[index];

    /* Closing the only descriptor takes it out of epoll. */
    ray_switch_port_disconnect(port, &sw->pool);
    ray_switch_mac_forget_port(&sw->macs, (uint16_t)index);
    sw->dirty &= ~(UINT64_C(1) << index);
    ray_log(sw->logger, RAY_LOG_INFO, "switch", "port=%s disconnected why=%s", port->name, why);
}

static int accept_peer(struct ray_switch *sw, size_t index, struct ray_err *err)
{
    struct ray_switch_port *port = &sw->ports[index];
    int fd = -1;
    int rc = ray_switch_port_accept(port, &fd, err);

    if (rc != RAY_OK) {
        return rc == RAY_EAGAIN ? RAY_OK : rc;
    }
    if (port->fd >= 0) {
        disconnect(sw, index, "replaced");
    }
    rc = watch(sw, EPOLL_CTL_ADD, fd, EVENT_PEER, index, EPOLLIN, err);
    if (rc != RAY_OK) {
        (void)close(fd); /* the peer tries again */
        return rc;
    }
    ray_switch_port_attach(port, fd);
    ray_log(sw->logger, RAY_LOG_INFO, "switch", "port=%s connected", port->name);
    return RAY_OK;
}

static void read_peer(struct ray_switch *sw, size_t index)
{
    struct ray_err err = {0};
    int rc = ray_switch_port_read(&sw->ports[index], ray_switch_forward, sw, &err);

    if (rc != RAY_OK) {
        disconnect(sw, index, rc == RAY_ECLOSED ? "closed" : err.text);
    }
}

/* Writes what goes and asks epoll for more exactly while something is left. */
static int flush_port(struct ray_switch *sw, size_t index, struct ray_err *err)
{
    struct ray_switch_port *port = &sw->ports[index];
    int rc = ray_switch_port_flush(port, &sw->pool, sw->now_ns);
    bool wants_write = rc == RAY_EAGAIN;

    if (rc == RAY_ECLOSED) {
        disconnect(sw, index, "write failed");
        return RAY_OK;
    }
    if (port->fd < 0 || wants_write == port->wants_write) {
        return RAY_OK;
    }
    port->wants_write = wants_write;
    return watch(sw, EPOLL_CTL_MOD, port->fd, EVENT_PEER, index,
                 EPOLLIN | (wants_write ? (uint32_t)EPOLLOUT : 0), err);
}

static void answer(struct ray_switch *sw, const char *text, size_t size,
                   const struct sockaddr_un *sender, socklen_t sender_size)
{
    struct ray_switch_command command;
    struct ray_buf reply;
    struct ray_err err = {0};
    int rc = ray_switch_ctl_parse(text, size, &command, &err);

    ray_buf_init(&reply, REPLY_SIZE_MAX);
    if (rc == RAY_OK) {
        rc = ray_switch_apply(sw, &command, &reply, &err);
    }
    if (rc == RAY_ETOOBIG) {
        rc =
            ray_fail(&err, rc, "the reply is larger than a datagram; ask for one port: stats NAME");
    }
    if (rc != RAY_OK) {
        ray_buf_clear(&reply);
        /* Short enough for the buffer's first allocation; if even that fails the sender's
         * time limit tells. */
        (void)ray_buf_appendf(&reply, "error %s: %s\n", ray_err_api_code(rc), err.text);
    }
    if (rc != RAY_OK || command.verb != RAY_SWITCH_STATS) {
        ray_log(sw->logger, RAY_LOG_INFO, "switch", "command='%.*s' reply='%s'", (int)size, text,
                ray_buf_text(&reply));
    }
    if (sender_size > offsetof(struct sockaddr_un, sun_path)) {
        /* A sender that went away or reads nothing loses its reply. */
        (void)sendto(sw->control_fd, reply.data, reply.size, MSG_DONTWAIT | MSG_NOSIGNAL,
                     (const struct sockaddr *)sender, sender_size);
    }
    ray_buf_fini(&reply);
}

static void read_control(struct ray_switch *sw)
{
    char text[RAY_SWITCH_CTL_SIZE_MAX + 1]; /* one more, to see that one is too long */
    struct sockaddr_un sender;
    socklen_t sender_size = sizeof sender;
    ssize_t n = recvfrom(sw->control_fd, text, sizeof text, MSG_DONTWAIT,
                         (struct sockaddr *)&sender, &sender_size);

    if (n >= 0) {
        answer(sw, text, (size_t)n, &sender, sender_size);
    }
}

static int handle_event(struct ray_switch *sw, const struct epoll_event *event, struct ray_err *err)
{
    size_t index = (uint32_t)event->data.u64;

    switch ((enum event_kind)(event->data.u64 >> 32)) {
    case EVENT_STOP:
        return ray_fail(err, RAY_ECANCELED, "told to stop");
    case EVENT_CONTROL:
        read_control(sw);
        return RAY_OK;
    case EVENT_LISTEN:
        assert(index < sw->port_count);
        return accept_peer(sw, index, err);
    case EVENT_PEER:
        break;
    }
    assert(index < sw->port_count);
    if ((event->events & EPOLLOUT) != 0) {
        sw->dirty |= UINT64_C(1) << index;
    }
    if ((event->events & ~(uint32_t)EPOLLOUT) != 0) {
        read_peer(sw, index);
    }
    return RAY_OK;
}

static int wait_events(struct ray_switch *sw, struct epoll_event *events, uint64_t wait_max_ns,
                       struct ray_err *err)
{
    uint64_t now_ns = sw->clock_ns(sw->clock_arg);
    uint64_t next_ns = ray_switch_next_line_ns(sw);
    uint64_t wait_ns = next_ns <= now_ns ? 0 : next_ns - now_ns;
    struct timespec timeout;
    int count;

    wait_ns = wait_ns < wait_max_ns ? wait_ns : wait_max_ns;
    timeout = (struct timespec){.tv_sec = (time_t)(wait_ns / RAY_NS_PER_S),
                                .tv_nsec = (long)(wait_ns % RAY_NS_PER_S)};
    count = epoll_pwait2(sw->epoll_fd, events, EVENT_COUNT_MAX, &timeout, NULL);
    if (count < 0 && errno != EINTR) {
        return ray_fail_errno(err, errno, "epoll_pwait2");
    }
    return count < 0 ? 0 : count;
}

int ray_switch_turn(struct ray_switch *sw, uint64_t wait_max_ns, struct ray_err *err)
{
    struct epoll_event events[EVENT_COUNT_MAX];
    int count = wait_events(sw, events, wait_max_ns, err);
    int rc = RAY_OK;

    if (count < 0) {
        return count;
    }
    sw->now_ns = sw->clock_ns(sw->clock_arg);
    ray_switch_run_lines(sw);
    for (int i = 0; rc == RAY_OK && i < count; i++) {
        rc = handle_event(sw, &events[i], err);
    }
    for (size_t i = 0; rc == RAY_OK && sw->dirty != 0 && i < sw->port_count; i++) {
        if ((sw->dirty >> i & 1) != 0) {
            sw->dirty &= ~(UINT64_C(1) << i);
            rc = flush_port(sw, i, err);
        }
    }
    for (size_t i = 0; i <= RAY_SWITCH_PORT_COUNT_MAX; i++) {
        if (ray_switch_pcap_is_open(&sw->captures[i])) {
            ray_switch_pcap_flush(&sw->captures[i]);
        }
    }
    return rc;
}
