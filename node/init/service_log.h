/* node/init/service_log.h - what a service writes to stdout and stderr, as lines of the log.
 *
 * A line may carry syslog's "<N>" and then "module text" (base/log.h, RAY_LOG_SUPERVISED);
 * the log line is "<t_us> <level> <service>/<module> <text>"; without the prefix it is
 * "<t_us> info <service> <text>". Long lines are cut into pieces, floods are held back and
 * counted, a last line without newline counts when the stream ends.
 *
 * Memory: one line of buffer per stream.  Threads: the loop's.  Blocks: never.
 * Trust: bytes come from a service, perhaps a compromised one: they are escaped. */
#ifndef RAY_NODE_INIT_SERVICE_LOG_H
#define RAY_NODE_INIT_SERVICE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/loop.h"
#include "node/init/rate_limit.h"

enum {
    SERVICE_LOG_LINE_SIZE_MAX = 1024, /* longer ones go in pieces */
    SERVICE_LOG_BYTES_PER_TURN = 64 << 10,
    SERVICE_LOG_BURST = 500,
    SERVICE_LOG_PER_S = 50,
};

typedef void service_log_put(void *arg, enum ray_log_level level, const char *line, size_t size);

/* The pure part: bytes in, lines out. */
struct service_log_lines {
    const char *service; /* borrowed */
    char line[SERVICE_LOG_LINE_SIZE_MAX];
    size_t size;
    struct rate_limit limit;
    service_log_put *put;
    void *arg;
};

void service_log_lines_init(struct service_log_lines *lines, const char *service, uint64_t now_ns,
                            service_log_put *put, void *arg);
void service_log_lines_feed(struct service_log_lines *lines, const char *bytes, size_t size,
                            uint64_t now_ns);
void service_log_lines_end(struct service_log_lines *lines, uint64_t now_ns);

/* A pipe's read end on the loop. */
struct service_log {
    struct ray_poll poll;
    int fd; /* owned; -1: none */
    struct service_log_lines lines;
};

void service_log_init(struct service_log *log);
/* Takes over `fd` (non-blocking), also on failure; a former one is drained and closed. */
int service_log_open(struct service_log *log, struct ray_loop *loop, int fd, const char *service,
                     service_log_put *put, void *arg, struct ray_err *err);
/* Reads what is left, then closes. */
void service_log_close(struct service_log *log);

#endif
