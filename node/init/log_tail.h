/* node/init/log_tail.h - lines for a caller outside, as fast as that one reads them: the newest of
 * the node's log (init.log_tail), and where it asks for that, those to come. The kernel's own are
 * kernel_tail.h's, by the same stream.
 *
 * Memory: a copy of the lines asked for (at most LOG_RING_SIZE) until the last one is sent or
 * the caller leaves; LOG_TAIL_COUNT_MAX callers at a time, with places kept for root at the machine
 * and for rayosd, which reads for operators.  Threads: the loop's.  Blocks: never. Trust: the
 * caller may stop reading; then the copy stays until it leaves, and what makes room in the log
 * meanwhile is counted and said. */
#ifndef RAY_NODE_INIT_LOG_TAIL_H
#define RAY_NODE_INIT_LOG_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "net/rpc.h"
#include "node/init/persist_log.h"

enum {
    LOG_TAIL_COUNT_MAX = 32,
    LOG_TAIL_ROOT_COUNT = 8, /* of them for root alone */
    LOG_TAIL_USERS_MAX = 12, /* for users who are neither root nor rayosd */
    LOG_TAIL_UNIT_SIZE = 64,
    LOG_TAIL_FOLLOW_MS = 200,
};

struct log_tails {
    struct ray_loop *loop;
    struct persist_log *log;
    const char *root; /* "" or the folder of hosted mode; of dev/kmsg */
    size_t count;     /* callers */
    size_t users;     /* of them, neither root nor rayosd */
};

/* Pure: whether that user may read now. */
bool log_tail_has_place(const struct log_tails *tails, uid_t uid);

struct log_tail_filter {
    const char *unit; /* a service or module; "": all */
    uint64_t age_us;  /* not older; 0: all */
};

/* Pure: whether a line of the log ("<t_us> <level> <module> ...") is of that unit and not before
 * `oldest_us`. */
bool log_tail_takes(const char *line, const char *unit, uint64_t oldest_us);

/* Sends the newest `count` of them, oldest first, and ends the call; following, it goes on. */
void init_log_tail(struct log_tails *tails, struct ray_rpc_call *call, size_t count,
                   const struct log_tail_filter *filter, bool is_following);

/* ---- the stream, for sources of lines ---- */

struct log_stream {
    struct log_tails *tails;
    struct ray_rpc_call *call;
    struct ray_buf lines; /* each with its NUL */
    size_t at;            /* of the next one to send */
    uint32_t sent_count;
    bool is_following;
    uid_t uid;
    /* All are sent, and it follows: waits for others, appends them and calls log_stream_pump. */
    void (*wait)(struct log_stream *stream);
    void (*release)(struct log_stream *stream); /* frees the struct that it is in */
};

/* Takes the call; `stream` lies at the beginning of the source's own struct, of malloc. False: too
 * many callers; the call has been told, and the stream released. */
bool log_stream_begin(struct log_stream *stream, struct log_tails *tails, struct ray_rpc_call *call,
                      bool is_following);
int log_stream_add(struct log_stream *stream, const char *line);
/* Keeps the last `count` of those that were added. */
void log_stream_keep_last(struct log_stream *stream, size_t count);
/* Sends what is there; may end the call, and then the stream is gone. */
void log_stream_pump(struct log_stream *stream);
void log_stream_fail(struct log_stream *stream, const struct ray_err *err);

#endif
