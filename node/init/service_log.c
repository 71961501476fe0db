#include "node/init/service_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

/* "<N>module text" -> level and the rest; else info and everything. */
static enum ray_log_level take_level(const char **text, size_t *size)
{
    const char *bytes = *text;
    int digit;

    if (*size < 3 || bytes[0] != '<' || bytes[1] < '0' || bytes[1] > '7' || bytes[2] != '>') {
        return RAY_LOG_INFO;
    }
    digit = bytes[1] - '0';
    *text += 3;
    *size -= 3;
    return digit < RAY_LOG_ERROR ? RAY_LOG_ERROR : (enum ray_log_level)digit;
}

/* The module in front of the text: one word of [a-z0-9_-], only after a level prefix. */
static size_t module_size(const char *text, size_t size)
{
    size_t at = 0;

    while (at < size && at < 32 &&
           ((text[at] >= 'a' && text[at] <= 'z') || (text[at] >= '0' && text[at] <= '9') ||
            text[at] == '_' || text[at] == '-')) {
        at++;
    }
    return at < size && text[at] == ' ' ? at : 0;
}

static void put_count(struct service_log_lines *lines, uint64_t count)
{
    char out[RAY_LOG_LINE_SIZE_MAX];
    int size = snprintf(out, sizeof out, "%" PRIu64 " warn %s %" PRIu64 " lines held back",
                        ray_clock_boottime_ns() / RAY_NS_PER_US, lines->service, count);

    if (size > 0 && (size_t)size < sizeof out) {
        lines->put(lines->arg, RAY_LOG_WARN, out, (size_t)size);
    }
}

static void put_line(struct service_log_lines *lines, uint64_t now_ns)
{
    char out[RAY_LOG_LINE_SIZE_MAX];
    const char *text = lines->line;
    size_t text_size = lines->size;
    enum ray_log_level level;
    size_t module = 0;
    uint64_t suppressed_count;
    int size;

    lines->size = 0;
    if (text_size == 0 || !rate_limit_take(&lines->limit, now_ns)) {
        return;
    }
    suppressed_count = rate_limit_report(&lines->limit, now_ns);
    if (suppressed_count > 0) {
        put_count(lines, suppressed_count);
    }
    level = take_level(&text, &text_size);
    if (text != lines->line) {
        module = module_size(text, text_size);
    }
    size = snprintf(out, sizeof out, "%" PRIu64 " %s %s%s%.*s ",
                    ray_clock_boottime_ns() / RAY_NS_PER_US, ray_log_level_name(level),
                    lines->service, module > 0 ? "/" : "", (int)module, text);
    if (size <= 0 || (size_t)size >= sizeof out) {
        return;
    }
    if (module > 0) {
        text += module + 1;
        text_size -= module + 1;
    }
    lines->put(lines->arg, level, out,
               (size_t)size + ray_escape(out + size, sizeof out - (size_t)size, text, text_size));
}

void service_log_lines_init(struct service_log_lines *lines, const char *service, uint64_t now_ns,
                            service_log_put *put, void *arg)
{
    *lines = (struct service_log_lines){.service = service, .put = put, .arg = arg};
    rate_limit_init(&lines->limit, SERVICE_LOG_BURST, SERVICE_LOG_PER_S, now_ns);
}

void service_log_lines_feed(struct service_log_lines *lines, const char *bytes, size_t size,
                            uint64_t now_ns)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            put_line(lines, now_ns);
        } else if (bytes[i] != '\r') {
            lines->line[lines->size++] = bytes[i];
            if (lines->size == sizeof lines->line) {
                put_line(lines, now_ns);
            }
        }
    }
}

void service_log_lines_end(struct service_log_lines *lines, uint64_t now_ns)
{
    put_line(lines, now_ns);
}

/* ---- the pipe ---- */

/* True while the stream goes on. Bounded per call, so that one service cannot hold the loop. */
static bool read_some(struct service_log *log)
{
    char bytes[4096];
    uint64_t now_ns = ray_clock_monotonic_ns();

    for (size_t done = 0; done < SERVICE_LOG_BYTES_PER_TURN; done += sizeof bytes) {
        ssize_t size = read(log->fd, bytes, sizeof bytes);
        if (size > 0) {
            service_log_lines_feed(&log->lines, bytes, (size_t)size, now_ns);
        } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
            return false;
        } else if (errno == EAGAIN) {
            return true;
        }
    }
    return true;
}

static void finish(struct service_log *log)
{
    ray_poll_fini(&log->poll);
    (void)close(log->fd);
    log->fd = -1;
    service_log_lines_end(&log->lines, ray_clock_monotonic_ns());
}

static void on_readable(void *arg, int status, int events)
{
    struct service_log *log = arg;

    (void)events;
    if (status < 0 || !read_some(log)) {
        finish(log);
    }
}

void service_log_init(struct service_log *log)
{
    *log = (struct service_log){.fd = -1};
}

int service_log_open(struct service_log *log, struct ray_loop *loop, int fd, const char *service,
                     service_log_put *put, void *arg, struct ray_err *err)
{
    int rc;

    service_log_close(log);
    service_log_lines_init(&log->lines, service, ray_clock_monotonic_ns(), put, arg);
    rc = ray_poll_init(&log->poll, loop, fd, on_readable, log, err);
    if (rc == RAY_OK) {
        log->fd = fd;
        rc = ray_poll_set(&log->poll, UV_READABLE);
    }
    if (rc != RAY_OK) {
        ray_poll_fini(&log->poll);
        (void)close(fd);
        log->fd = -1;
    }
    return rc;
}

void service_log_close(struct service_log *log)
{
    if (log->fd > 0) {
        (void)read_some(log);
        finish(log);
    }
}
