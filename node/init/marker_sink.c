#include "node/init/marker_sink.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/fault.h"

#define PORT_NAME "rayos.marker"
#define PORTS_FOLDER "/sys/class/virtio-ports"

static bool has_name(int folder_fd, const char *entry, const char *port_name)
{
    char path[300];
    char name[64];
    int size = snprintf(path, sizeof path, "%s/name", entry);

    return size > 0 && (size_t)size < sizeof path &&
           ray_file_read_text(folder_fd, path, name, sizeof name, NULL) == RAY_OK &&
           strcmp(name, port_name) == 0;
}

int marker_port_find(const char *root, const char *port_name, char *out_path, size_t out_size,
                     struct ray_err *err)
{
    char folder_path[512];
    const struct dirent *entry;
    int rc = RAY_ENOTFOUND;
    DIR *folder;

    (void)snprintf(folder_path, sizeof folder_path, "%s" PORTS_FOLDER, root);
    folder = opendir(folder_path);
    if (folder == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "no virtio ports");
    }
    while (rc != RAY_OK && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.' && has_name(dirfd(folder), entry->d_name, port_name)) {
            int size = snprintf(out_path, out_size, "%s/dev/%s", root, entry->d_name);
            rc = size > 0 && (size_t)size < out_size ? RAY_OK : RAY_ETOOBIG;
        }
    }
    (void)closedir(folder);
    return rc == RAY_OK ? rc : ray_fail(err, rc, "no virtio port is named %s", port_name);
}

void marker_sink_find_port(struct marker_sink *sink)
{
    char path[512];
    int fd;

    if (out_queue_is_open(&sink->port) ||
        marker_port_find(sink->root, PORT_NAME, path, sizeof path, NULL) != RAY_OK) {
        return;
    }
    /* EBUSY or a node that devtmpfs has not made yet: the timer tries again. */
    fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0) {
        out_queue_attach(&sink->port, fd);
    }
}

static void on_find_timer(void *arg)
{
    marker_sink_find_port(arg);
}

int marker_sink_open_console(struct marker_sink *sink, struct ray_err *err)
{
    char path[512];
    int fault = ray_fault(RAY_FAULT_OPEN);
    int fd;

    (void)snprintf(path, sizeof path, "%s/dev/%s", sink->root, sink->console_name);
    fd = fault != 0 ? -1 : open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return ray_fail_errno(err, fault != 0 ? fault : errno, "open %s", path);
    }
    out_queue_attach(&sink->console, fd);
    return RAY_OK;
}

/* A console that hung up (a USB serial adapter, say) is opened again by the next line. */
static void ensure_console(struct marker_sink *sink)
{
    if (!out_queue_is_open(&sink->console)) {
        (void)marker_sink_open_console(sink, NULL); /* the line waits in the queue */
    }
}

int marker_sink_init(struct marker_sink *sink, struct ray_loop *loop, const char *root,
                     struct persist_log *log, struct timeline *timeline, struct ray_err *err)
{
    int rc;

    *sink = (struct marker_sink){
        .root = root, .console_name = "console", .log = log, .timeline = timeline};
    rc = out_queue_init(&sink->console, loop, MARKER_SINK_CONSOLE_SIZE_MAX, NULL, NULL, err);
    if (rc == RAY_OK) {
        rc = out_queue_init(&sink->port, loop, MARKER_SINK_PORT_SIZE_MAX, NULL, NULL, err);
    }
    if (rc == RAY_OK) {
        rc = ray_timer_init(&sink->find_timer, loop, on_find_timer, sink, err);
    }
    if (rc != RAY_OK) {
        marker_sink_fini(sink);
        return rc;
    }
    ray_timer_start(&sink->find_timer, MARKER_SINK_FIND_MS, MARKER_SINK_FIND_MS);
    return RAY_OK;
}

void marker_sink_fini(struct marker_sink *sink)
{
    ray_timer_fini(&sink->find_timer);
    out_queue_fini(&sink->console);
    out_queue_fini(&sink->port);
}

static void put_console(struct marker_sink *sink, const char *line, size_t size)
{
    ensure_console(sink);
    if (sink->before_console != NULL) {
        sink->before_console(sink->arg);
    }
    (void)out_queue_put(&sink->console, line, size); /* it counts what it drops */
    if (sink->after_console != NULL) {
        sink->after_console(sink->arg);
    }
}

static void put_log(struct marker_sink *sink, const char *line, size_t size, uint64_t now_us)
{
    char text[RAY_MARKER_LINE_SIZE_MAX + 64];
    int text_size =
        snprintf(text, sizeof text, "%" PRIu64 " notice init %.*s", now_us, (int)size, line);

    if (text_size > 0 && (size_t)text_size < sizeof text) {
        persist_log_put(sink->log, RAY_LOG_NOTICE, text, (size_t)text_size);
    }
}

void marker_sink_emit(struct marker_sink *sink, enum ray_marker marker, const char *detail)
{
    char line[RAY_MARKER_LINE_SIZE_MAX];
    size_t size = ray_marker_format(line, marker, detail);
    uint64_t now_us = ray_clock_boottime_ns() / RAY_NS_PER_US;

    if (marker != RAY_MARKER_BOOT_TIMELINE) {
        put_console(sink, line, size);
    }
    (void)out_queue_put(&sink->port, line, size); /* it counts what it drops */
    put_log(sink, line, size - 1, now_us);
    line[size - 1] = '\0'; /* without newline from here on */
    if (marker != RAY_MARKER_BOOT_TIMELINE) {
        timeline_mark(sink->timeline, line, now_us);
        persist_log_marker(sink->log, line);
    }
}

void marker_sink_emitf(struct marker_sink *sink, enum ray_marker marker, const char *fmt, ...)
{
    char detail[RAY_MARKER_LINE_SIZE_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    marker_sink_emit(sink, marker, detail);
}

void marker_sink_say(struct marker_sink *sink, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    int size;

    va_start(ap, fmt);
    size = vsnprintf(line, sizeof line - 1, fmt, ap);
    va_end(ap);
    if (size < 0) {
        return;
    }
    if ((size_t)size > sizeof line - 2) {
        size = sizeof line - 2;
    }
    line[size] = '\n';
    put_console(sink, line, (size_t)size + 1);
}

void marker_sink_flush(struct marker_sink *sink)
{
    out_queue_flush(&sink->console);
    out_queue_flush(&sink->port);
}
