#include "node/init/kernel_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* Decimal digits up to `*at` < size; false when there are none or too many. */
static bool parse_number(const char *text, size_t size, size_t *at, uint64_t *out)
{
    uint64_t value = 0;
    size_t begin = *at;

    while (*at < size && text[*at] >= '0' && text[*at] <= '9' && *at - begin < 18) {
        value = value * 10 + (uint64_t)(text[*at] - '0');
        (*at)++;
    }
    if (*at == begin) {
        return false;
    }
    *out = value;
    return true;
}

static bool skip(const char *text, size_t size, size_t *at, char expected)
{
    if (*at >= size || text[*at] != expected) {
        return false;
    }
    (*at)++;
    return true;
}

/* Emergency, alert and critical are errors to us. */
static enum ray_log_level level_of(uint64_t priority)
{
    static const enum ray_log_level levels[8] = {RAY_LOG_ERROR, RAY_LOG_ERROR, RAY_LOG_ERROR,
                                                 RAY_LOG_ERROR, RAY_LOG_WARN,  RAY_LOG_NOTICE,
                                                 RAY_LOG_INFO,  RAY_LOG_DEBUG};

    return levels[priority & 7];
}

int kernel_record_parse(const char *record, size_t size, struct kernel_record *out)
{
    struct kernel_record result = {.level = RAY_LOG_INFO};
    uint64_t priority;
    size_t at = 0;
    const char *semicolon;
    const char *newline;

    if (!parse_number(record, size, &at, &priority) || !skip(record, size, &at, ',') ||
        !parse_number(record, size, &at, &result.sequence) || !skip(record, size, &at, ',') ||
        !parse_number(record, size, &at, &result.time_us)) {
        return RAY_EMALFORMED;
    }
    semicolon = memchr(record + at, ';', size - at);
    if (semicolon == NULL) {
        return RAY_EMALFORMED;
    }
    result.text = semicolon + 1;
    result.text_size = size - (size_t)(result.text - record);
    newline = memchr(result.text, '\n', result.text_size);
    if (newline != NULL) {
        result.text_size = (size_t)(newline - result.text);
    }
    result.level = level_of(priority);
    result.is_kernel = priority >> 3 == 0;
    *out = result;
    return RAY_OK;
}

size_t kernel_record_format(const struct kernel_record *record,
                            char out[static RAY_LOG_LINE_SIZE_MAX])
{
    int size = snprintf(out, RAY_LOG_LINE_SIZE_MAX, "%" PRIu64 " %s %s ", record->time_us,
                        ray_log_level_name(record->level), record->is_kernel ? "kernel" : "kmsg");

    if (size <= 0 || size >= RAY_LOG_LINE_SIZE_MAX) {
        return 0;
    }
    return (size_t)size + ray_escape(out + size, RAY_LOG_LINE_SIZE_MAX - (size_t)size, record->text,
                                     record->text_size);
}

static void put_text(struct kernel_log *log, const struct kernel_record *record)
{
    char line[RAY_LOG_LINE_SIZE_MAX];
    size_t size = kernel_record_format(record, line);

    if (size > 0) {
        log->put(log->arg, record->level, line, size);
    }
}

static void put_count(struct kernel_log *log, enum ray_log_level level, uint64_t count,
                      const char *what)
{
    char line[128];
    int size =
        snprintf(line, sizeof line, "%" PRIu64 " %s kernel %" PRIu64 " records %s",
                 ray_clock_boottime_ns() / RAY_NS_PER_US, ray_log_level_name(level), count, what);

    if (size > 0 && (size_t)size < sizeof line) {
        log->put(log->arg, level, line, (size_t)size);
    }
}

static void take_record(struct kernel_log *log, const char *bytes, size_t size)
{
    struct kernel_record record;
    struct rate_limit *limit;
    uint64_t now_ns = ray_clock_monotonic_ns();
    uint64_t suppressed_count;

    if (kernel_record_parse(bytes, size, &record) != RAY_OK) {
        return;
    }
    if (log->next_sequence != 0 && record.sequence > log->next_sequence) {
        put_count(log, RAY_LOG_WARN, record.sequence - log->next_sequence,
                  "overwritten before they were read");
    }
    log->next_sequence = record.sequence + 1;
    limit = record.level <= RAY_LOG_WARN ? &log->warnings : &log->others;
    if (!rate_limit_take(limit, now_ns)) {
        return;
    }
    suppressed_count = rate_limit_report(limit, now_ns);
    if (suppressed_count > 0) {
        put_count(log, record.level, suppressed_count, "held back, too many at once");
    }
    put_text(log, &record);
    if (!record.is_kernel && log->on_user_line != NULL) {
        log->on_user_line(log->arg, record.text, record.text_size);
    }
}

static void on_readable(void *arg, int status, int events)
{
    struct kernel_log *log = arg;
    char record[KERNEL_LOG_RECORD_SIZE_MAX];

    (void)status; /* the read says more */
    (void)events;
    for (int i = 0; i < KERNEL_LOG_RECORDS_PER_TURN; i++) {
        ssize_t size = read(log->fd, record, sizeof record);
        if (size > 0) {
            take_record(log, record, (size_t)size);
        } else if (size == 0 || (errno != EPIPE && errno != EINTR && errno != EINVAL)) {
            /* EPIPE: overwritten, the next read goes on behind the gap. EINVAL: a record
             * beyond the buffer, skipped. Nothing more to read: EAGAIN, or the end of a
             * stand-in for /dev/kmsg. */
            if (size == 0 || errno != EAGAIN) {
                (void)ray_poll_set(&log->poll, 0);
            }
            return;
        }
    }
}

int kernel_log_init(struct kernel_log *log, struct ray_loop *loop, const char *path,
                    void (*put)(void *arg, enum ray_log_level level, const char *line, size_t size),
                    void *arg, struct ray_err *err)
{
    uint64_t now_ns = ray_clock_monotonic_ns();
    int rc;

    *log = (struct kernel_log){.fd = -1, .put = put, .arg = arg};
    /* A boot writes about 800 records at once; later a flood is a fault of its own. */
    rate_limit_init(&log->warnings, 4000, 200, now_ns);
    rate_limit_init(&log->others, 2000, 20, now_ns);
    log->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (log->fd < 0) {
        return ray_fail_errno(err, errno, "open %s", path);
    }
    rc = ray_poll_init(&log->poll, loop, log->fd, on_readable, log, err);
    if (rc == RAY_OK) {
        rc = ray_poll_set(&log->poll, UV_READABLE);
    }
    if (rc != RAY_OK) {
        kernel_log_fini(log);
    }
    return rc;
}

void kernel_log_fini(struct kernel_log *log)
{
    ray_poll_fini(&log->poll);
    if (log->fd > 0) {
        (void)close(log->fd);
    }
    log->fd = -1;
}
