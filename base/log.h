/* base/log.h - one line per decision, by programs; libraries return errors instead.
 *
 * A line is "<t_us> <level> <module> <text>" with key=value words in the text;
 * with RAY_LOG_SUPERVISED it is "<N>module text" (N = syslog level digit), to
 * which PID 1 adds time and service.  One write(2) per line.
 * Memory: a struct ray_logger belongs to main; no allocation per line.
 * Threads: any thread may log (one write per line).  Blocks: on its descriptor,
 * unless that is non-blocking: then the line is dropped and counted.
 * Trust: text is escaped, so that a line stays one line. */
#ifndef RAY_BASE_LOG_H
#define RAY_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum ray_log_level {
    RAY_LOG_ERROR = 3, /* the numbers are syslog's */
    RAY_LOG_WARN = 4,
    RAY_LOG_NOTICE = 5,
    RAY_LOG_INFO = 6,
    RAY_LOG_DEBUG = 7,
};

enum { RAY_LOG_LINE_SIZE_MAX = 2048 }; /* longer lines end in "..." */

enum ray_log_form {
    RAY_LOG_PLAIN,      /* "<t_us> <level> <module> <text>" */
    RAY_LOG_SUPERVISED, /* "<N>module text" */
};

struct ray_logger {
    int fd; /* borrowed */
    enum ray_log_form form;
    atomic_int level; /* lines above it are not written */
    atomic_ullong dropped_count;
    /* When set, gets the finished line (without newline) instead of fd. */
    void (*sink)(void *arg, enum ray_log_level level, const char *line);
    void *sink_arg;
};

void ray_logger_init(struct ray_logger *logger, int fd, enum ray_log_form form,
                     enum ray_log_level level);

/* The form that the environment asks for: RAYOS_SUPERVISED=1 set by PID 1. */
enum ray_log_form ray_log_form_from_env(void);

/* `logger` may be NULL (nothing is written). */
void ray_log(struct ray_logger *logger, enum ray_log_level level, const char *module,
             const char *fmt, ...) __attribute__((format(printf, 4, 5)));

const char *ray_log_level_name(enum ray_log_level level);           /* "error" ... "debug" */
int ray_log_level_parse(const char *name, enum ray_log_level *out); /* RAY_EINVAL */

#endif
