/* link_proxy.c - see link_proxy.h. Forwarding writes with blocking sockets: a test's bytes fit
 * into the kernel's buffers, and what does not waits for a peer of the same loop only when
 * PROXY_STOP is asked for, which forwards nothing. */
#include "net/link_proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void line_close(struct proxy_line *line)
{
    for (int i = 0; i < 2; i++) {
        if (line->fds[i] >= 0) {
            ray_poll_fini(&line->polls[i]);
            (void)close(line->fds[i]);
            line->fds[i] = -1;
        }
    }
}

/* False: the line is closed or stopped. */
static bool do_harm(struct proxy_line *line, int from, uint8_t *bytes, size_t *size)
{
    struct proxy *proxy = line->proxy;
    uint64_t at = line->forwarded[from];

    if (proxy->harm == PROXY_NONE || from != proxy->harm_from || proxy->harm_at < at ||
        proxy->harm_at >= at + *size) {
        return true;
    }
    proxy->harm_count++;
    switch (proxy->harm) {
    case PROXY_FLIP:
        bytes[proxy->harm_at - at] ^= (uint8_t)(1u << (proxy->harm_at % 8));
        break;
    case PROXY_STOP:
        (void)ray_poll_set(&line->polls[0], 0);
        (void)ray_poll_set(&line->polls[1], 0);
        proxy->harm = PROXY_NONE;
        return false;
    case PROXY_CUT:
    case PROXY_NONE:
        *size = (size_t)(proxy->harm_at - at);
        break;
    }
    return true;
}

static void forward(struct proxy_line *line, int from)
{
    static const size_t chunk = 16384;
    uint8_t bytes[16384];
    ssize_t got = recv(line->fds[from], bytes, chunk, MSG_DONTWAIT);
    size_t size = got > 0 ? (size_t)got : 0;
    size_t wanted = size;

    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        line_close(line);
        return;
    }
    if (!do_harm(line, from, bytes, &size)) {
        return;
    }
    if (size > 0 && send(line->fds[1 - from], bytes, size, MSG_NOSIGNAL) != (ssize_t)size) {
        line_close(line);
        return;
    }
    line->forwarded[from] += size;
    if (line->proxy->harm_count > 0) {
        line->proxy->harm = PROXY_NONE;
    }
    if (size < wanted) {
        line_close(line);
    }
}

static void on_first(void *arg, int status, int events)
{
    (void)status;
    (void)events;
    forward(arg, 0);
}

static void on_second(void *arg, int status, int events)
{
    (void)status;
    (void)events;
    forward(arg, 1);
}

static void on_connection(void *arg, int status, int events)
{
    struct proxy *proxy = arg;
    struct sockaddr_in target = loopback(proxy->target_port);
    int from = accept4(proxy->fd, NULL, NULL, SOCK_CLOEXEC);
    int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct proxy_line *line;

    (void)status;
    (void)events;
    assert_true(from >= 0 && to >= 0);
    if (proxy->line_count >= PROXY_LINES_MAX ||
        connect(to, (const struct sockaddr *)&target, sizeof target) != 0) {
        (void)close(from);
        (void)close(to);
        return;
    }
    line = &proxy->lines[proxy->line_count++];
    *line = (struct proxy_line){.proxy = proxy, .fds = {from, to}};
    assert_int_equal(ray_poll_init(&line->polls[0], proxy->loop, from, on_first, line, NULL), 0);
    assert_int_equal(ray_poll_init(&line->polls[1], proxy->loop, to, on_second, line, NULL), 0);
    (void)ray_poll_set(&line->polls[0], UV_READABLE);
    (void)ray_poll_set(&line->polls[1], UV_READABLE);
}

void proxy_setup(struct proxy *proxy, struct ray_loop *loop, uint16_t target_port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;

    *proxy = (struct proxy){.loop = loop, .target_port = target_port};
    proxy->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(proxy->fd >= 0);
    assert_int_equal(bind(proxy->fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(proxy->fd, 16), 0);
    assert_int_equal(getsockname(proxy->fd, (struct sockaddr *)&address, &size), 0);
    proxy->port = ntohs(address.sin_port);
    assert_int_equal(ray_poll_init(&proxy->poll, loop, proxy->fd, on_connection, proxy, NULL), 0);
    (void)ray_poll_set(&proxy->poll, UV_READABLE);
}

void proxy_cut_all(struct proxy *proxy)
{
    for (size_t i = 0; i < proxy->line_count; i++) {
        line_close(&proxy->lines[i]);
    }
    proxy->line_count = 0;
}

void proxy_teardown(struct proxy *proxy)
{
    proxy_cut_all(proxy);
    ray_poll_fini(&proxy->poll);
    (void)close(proxy->fd);
}
