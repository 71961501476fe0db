#include "node/init/notify_message.h"

#include <string.h>

/* If the line is "key=value" with this key, its value. */
static bool value_of(const char *line, size_t size, const char *key, const char **out_value,
                     size_t *out_size)
{
    size_t key_size = strlen(key);

    if (size <= key_size || memcmp(line, key, key_size) != 0 || line[key_size] != '=') {
        return false;
    }
    *out_value = line + key_size + 1;
    *out_size = size - key_size - 1;
    return true;
}

static bool is_one(const char *value, size_t size)
{
    return size == 1 && value[0] == '1';
}

bool notify_fd_name_is_valid(const char *name, size_t size)
{
    if (size == 0 || size >= NOTIFY_FD_NAME_SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-')) {
            return false;
        }
    }
    return true;
}

/* A service may print its own markers, never those of PID 1. */
static bool is_for_services(enum ray_marker marker)
{
    switch (marker) {
    case RAY_MARKER_BOOT_KERNEL:
    case RAY_MARKER_BOOT_SUBSYSTEMS:
    case RAY_MARKER_BOOT_SHELL:
    case RAY_MARKER_NODE_READY:
    case RAY_MARKER_NODE_STOPPING:
    case RAY_MARKER_NODE_DATA:
    case RAY_MARKER_NODE_FINGERPRINT:
    case RAY_MARKER_SERVICE:
    case RAY_MARKER_WATCHDOG:
    case RAY_MARKER_LOG:
    case RAY_MARKER_BOOT_TIMELINE:
        return false;
    default:
        return true;
    }
}

static void take_marker(const char *value, size_t size, struct notify_message *out)
{
    struct notify_marker *entry;
    enum ray_marker marker;
    const char *detail;
    size_t detail_size;

    if (out->marker_count >= NOTIFY_MARKER_COUNT_MAX ||
        !ray_marker_parse(value, size, &marker, &detail, &detail_size) ||
        !is_for_services(marker)) {
        out->refused_count++;
        return;
    }
    entry = &out->markers[out->marker_count++];
    entry->marker = marker;
    if (detail_size >= sizeof entry->detail) {
        detail_size = sizeof entry->detail - 1;
    }
    memcpy(entry->detail, detail, detail_size);
    entry->detail[detail_size] = '\0';
}

static void take_line(const char *line, size_t size, struct notify_message *out)
{
    const char *value;
    size_t value_size;

    if (value_of(line, size, "READY", &value, &value_size)) {
        out->is_ready = out->is_ready || is_one(value, value_size);
    } else if (value_of(line, size, "STOPPING", &value, &value_size)) {
        out->is_stopping = out->is_stopping || is_one(value, value_size);
    } else if (value_of(line, size, "WATCHDOG", &value, &value_size)) {
        out->is_alive = out->is_alive || is_one(value, value_size);
    } else if (value_of(line, size, "FDSTORE", &value, &value_size)) {
        out->stores_fds = out->stores_fds || is_one(value, value_size);
    } else if (value_of(line, size, "FDSTOREREMOVE", &value, &value_size)) {
        out->removes_fds = out->removes_fds || is_one(value, value_size);
    } else if (value_of(line, size, "STATUS", &value, &value_size)) {
        out->has_status = true;
        (void)ray_escape(out->status, sizeof out->status, value, value_size);
    } else if (value_of(line, size, "FDNAME", &value, &value_size)) {
        if (notify_fd_name_is_valid(value, value_size)) {
            memcpy(out->fd_name, value, value_size);
            out->fd_name[value_size] = '\0';
        } else {
            out->refused_count++;
        }
    } else if (value_of(line, size, "X_RAYOS_MARKER", &value, &value_size)) {
        take_marker(value, value_size, out);
    }
}

void notify_message_parse(const char *bytes, size_t size, struct notify_message *out)
{
    size_t at = 0;

    memset(out, 0, sizeof *out);
    memcpy(out->fd_name, "stored", sizeof "stored");
    while (at < size) {
        const char *newline = memchr(bytes + at, '\n', size - at);
        size_t line_size = newline != NULL ? (size_t)(newline - bytes) - at : size - at;
        take_line(bytes + at, line_size, out);
        at += line_size + 1;
    }
}
