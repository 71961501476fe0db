/* log.c - a line is put together on the stack and leaves by one write(2), so that lines of
 * several threads and processes never mix. */
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"

void ray_logger_init(struct ray_logger *logger, int fd, enum ray_log_form form,
                     enum ray_log_level level)
{
    assert(logger != NULL);
    *logger = (struct ray_logger){.fd = fd, .form = form};
    atomic_init(&logger->level, (int)level);
    atomic_init(&logger->dropped_count, 0);
}

enum ray_log_form ray_log_form_from_env(void)
{
    const char *value = getenv("RAYOS_SUPERVISED");

    return value != NULL && strcmp(value, "1") == 0 ? RAY_LOG_SUPERVISED : RAY_LOG_PLAIN;
}

const char *ray_log_level_name(enum ray_log_level level)
{
    switch (level) {
    case RAY_LOG_ERROR:
        return "error";
    case RAY_LOG_WARN:
        return "warn";
    case RAY_LOG_NOTICE:
        return "notice";
    case RAY_LOG_INFO:
        return "info";
    case RAY_LOG_DEBUG:
        return "debug";
    }
    return "?";
}

int ray_log_level_parse(const char *name, enum ray_log_level *out)
{
    for (int level = RAY_LOG_ERROR; level <= RAY_LOG_DEBUG; level++) {
        if (strcmp(name, ray_log_level_name((enum ray_log_level)level)) == 0) {
            *out = (enum ray_log_level)level;
            return RAY_OK;
        }
    }
    return RAY_EINVAL;
}

/* The line without newline; returns its length, at most out_size - 2. */
static size_t format_line(char *out, size_t out_size, enum ray_log_form form,
                          enum ray_log_level level, const char *module, const char *text)
{
    size_t size_max = out_size - 1; /* room for the newline */
    size_t used;
    int rc;

    if (form == RAY_LOG_SUPERVISED) {
        rc = snprintf(out, size_max, "<%d>%.64s ", (int)level, module);
    } else {
        rc = snprintf(out, size_max, "%" PRIu64 " %s %.64s ",
                      ray_clock_boottime_ns() / RAY_NS_PER_US, ray_log_level_name(level), module);
    }
    used = rc > 0 ? (size_t)rc : 0;
    assert(used < size_max);
    return used + ray_escape(out + used, size_max - used, text, strlen(text));
}

static void write_line(struct ray_logger *logger, const char *line, size_t size)
{
    ssize_t written;

    do {
        written = ray_fault(RAY_FAULT_WRITE) != 0 ? -1 : write(logger->fd, line, size);
    } while (written < 0 && errno == EINTR);
    if (written != (ssize_t)size) {
        (void)atomic_fetch_add_explicit(&logger->dropped_count, 1, memory_order_relaxed);
    }
}

void ray_log(struct ray_logger *logger, enum ray_log_level level, const char *module,
             const char *fmt, ...)
{
    char text[RAY_LOG_LINE_SIZE_MAX];
    char line[RAY_LOG_LINE_SIZE_MAX];
    int saved_errno = errno;
    size_t used;
    va_list ap;
    int length;

    if (logger == NULL || (int)level > atomic_load_explicit(&logger->level, memory_order_relaxed)) {
        return;
    }
    va_start(ap, fmt);
    length = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (length < 0) {
        text[0] = '\0';
    }
    used = format_line(line, sizeof line, logger->form, level, module, text);
    /* Cut by the buffer above, or by escapes, which may leave up to three bytes unused. */
    if (length >= (int)sizeof text || used + 5 >= sizeof line) {
        if (used + 5 > sizeof line) {
            used = sizeof line - 5;
        }
        memcpy(line + used, "...", 4);
        used += 3;
    }
    if (logger->sink != NULL) {
        logger->sink(logger->sink_arg, level, line);
    } else {
        line[used++] = '\n';
        errno = 0;
        write_line(logger, line, used);
    }
    errno = saved_errno;
}
