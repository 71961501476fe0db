/* node/init/kernel_log.h - the kernel's messages into the node's log.
 *
 * Each read(2) of /dev/kmsg gives one record "priority,sequence,time_us,flags;text\n" and
 * perhaps continuation lines " KEY=value". Warnings and above pass a wide rate limit, the
 * rest a narrow one; what is held back and what the kernel overwrote is counted and said.
 *
 * Memory: one record.  Threads: the loop's.  Blocks: never.
 * Trust: any process with /dev/kmsg writes there: the text is escaped. */
#ifndef RAY_NODE_INIT_KERNEL_LOG_H
#define RAY_NODE_INIT_KERNEL_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/loop.h"
#include "node/init/rate_limit.h"

enum {
    KERNEL_LOG_RECORD_SIZE_MAX = 8192, /* the kernel's own limit */
    KERNEL_LOG_RECORDS_PER_TURN = 64,
};

struct kernel_record {
    enum ray_log_level level;
    bool is_kernel; /* facility 0: not written by a process */
    uint64_t sequence;
    uint64_t time_us;
    const char *text; /* borrows; the first line */
    size_t text_size;
};

/* RAY_EMALFORMED when it is no such record. */
int kernel_record_parse(const char *record, size_t size, struct kernel_record *out);

/* "<t_us> <level> kernel <text>", escaped; its size, 0: it does not fit. */
size_t kernel_record_format(const struct kernel_record *record,
                            char out[static RAY_LOG_LINE_SIZE_MAX]);

struct kernel_log {
    struct ray_poll poll;
    int fd; /* owned; -1: none */
    struct rate_limit warnings;
    struct rate_limit others;
    uint64_t next_sequence;
    void (*put)(void *arg, enum ray_log_level level, const char *line, size_t size);
    /* When set, also gets the raw text of each line that a process wrote (only root can). */
    void (*on_user_line)(void *arg, const char *text, size_t size);
    void *arg;
};

/* `path` is /dev/kmsg. Gets all that the kernel still has, then what follows. */
int kernel_log_init(struct kernel_log *log, struct ray_loop *loop, const char *path,
                    void (*put)(void *arg, enum ray_log_level level, const char *line, size_t size),
                    void *arg, struct ray_err *err);
void kernel_log_fini(struct kernel_log *log);

#endif
