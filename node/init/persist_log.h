/* node/init/persist_log.h - the node's log: a bounded buffer in memory, a writer on libuv's
 * thread pool, rayos.log on the data folder, and the newest lines for people.
 *
 * put never waits for a disk. What the writer has not taken waits in `pending`; when that is
 * full, lines are counted as lost and the count is reported once lines pass again. A line at
 * level warn or above is synced at once, all others within a second.
 *
 *   put (any thread) --lock--> ring, pending --loop--> writing --thread pool--> log_file
 *
 * Memory: pending and writing, each at most PERSIST_LOG_PENDING_SIZE_MAX, and the ring.
 * Threads: put and level from any; all else from the loop's. The fields below "worker" belong
 * to the writer while `in_flight`.
 * Blocks: never on the loop.  Trust: lines are escaped by who makes them. */
#ifndef RAY_NODE_INIT_PERSIST_LOG_H
#define RAY_NODE_INIT_PERSIST_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/marker.h"
#include "node/init/log_file.h"
#include "node/init/log_ring.h"

enum {
    PERSIST_LOG_PENDING_SIZE_MAX = 1 << 20,
    PERSIST_LOG_FLUSH_MS = 20, /* lines of one turn travel together */
    PERSIST_LOG_SYNC_MS = 1000,
    PERSIST_LOG_RETRY_MS = 1000,         /* after a failed write */
    PERSIST_LOG_FULL_CLEAR_MS = 60000,   /* so long without ENOSPC: no longer full */
    PERSIST_LOG_FILE_SIZE_MAX = 8 << 20, /* unless the command line says otherwise, between */
    PERSIST_LOG_FILE_SIZE_MIN = 64 << 10,
    PERSIST_LOG_FILE_SIZE_LIMIT = 1 << 30,
    PERSIST_LOG_ANCESTOR_COUNT = 8,
};

enum persist_log_event {
    PERSIST_LOG_OPENED, /* count: 0 */
    PERSIST_LOG_ROTATED,
    PERSIST_LOG_FULL,  /* once until it clears */
    PERSIST_LOG_LOST,  /* count: lines lost since the last report */
    PERSIST_LOG_ERROR, /* the disk failed; text says how; once until it works again */
};

struct persist_log_config {
    uint64_t file_size_max;
    unsigned ancestor_count;
    const char *boot_id; /* borrowed, as the version; for the header line of each boot */
    const char *version;
    /* On the writer's thread, may block on the disk; NULL: nothing. The first keeps the last
     * marker for the next boot's crash report; the second is the log's last act. A failed
     * marker is tried again. */
    int (*store_marker)(void *arg, const char *line, struct ray_err *err);
    int (*store_end)(void *arg, struct ray_err *err);
    /* On the loop. May call put, but not close. */
    void (*on_event)(void *arg, enum persist_log_event event, uint64_t count, const char *text);
    void *arg;
};

struct persist_log {
    struct ray_loop *loop;
    struct persist_log_config config;
    atomic_int level; /* lines above it are dropped */

    uv_mutex_t lock; /* of the four below */
    struct ray_buf pending;
    struct log_ring ring;
    uint64_t line_count;
    uint64_t lost_count;

    uint64_t lost_reported_count;
    char folder[256]; /* empty: not open yet */
    char last_marker[RAY_MARKER_LINE_SIZE_MAX];
    bool has_new_marker;
    atomic_bool wants_sync; /* a warning waits */
    bool is_full;
    bool has_error;
    uint64_t full_seen_ns;
    bool is_closing;
    void (*on_closed)(void *arg);
    void *on_closed_arg;
    uv_async_t *wake;
    struct ray_timer flush_timer;
    uv_work_t work;
    bool in_flight;
    uint64_t work_began_ns;
    uint64_t synced_ns;
    uint64_t seen_rotation_count;

    /* worker */
    struct log_file file;
    struct ray_buf writing;
    char job_marker[RAY_MARKER_LINE_SIZE_MAX]; /* empty: nothing to write */
    bool job_opens;
    bool job_opened; /* reported and cleared by the loop */
    bool job_syncs;
    bool job_closes;
    bool job_was_full;
    int job_rc;
    struct ray_err job_err;
};

/* From here on put works; nothing is written to disk until open. */
int persist_log_init(struct persist_log *log, struct ray_loop *loop,
                     const struct persist_log_config *config, struct ray_err *err);
void persist_log_fini(struct persist_log *log);

/* Starts to write to `folder`, which exists; the outcome comes as an event. */
void persist_log_open(struct persist_log *log, const char *folder);

/* A finished line without newline. */
void persist_log_put(struct persist_log *log, enum ray_log_level level, const char *line,
                     size_t size);
/* Handed to store_marker with the next write; a newer one replaces one that waits. */
void persist_log_marker(struct persist_log *log, const char *line);

/* Writes and syncs all that waits, calls store_end, closes the file, then calls on_closed. */
void persist_log_close(struct persist_log *log, void (*on_closed)(void *arg), void *arg);

/* How long the writer has been at its present job; 0 when it is idle. */
uint64_t persist_log_busy_ns(const struct persist_log *log, uint64_t now_ns);

/* Calls cb for the newest `count` lines, oldest first; stops when cb returns false. */
void persist_log_tail(struct persist_log *log, size_t count,
                      bool (*cb)(void *arg, const char *line), void *arg);
/* Calls cb for the lines since the last call with this cursor (0: all that are kept); those
 * that have made room already are left out. */
void persist_log_since(struct persist_log *log, uint64_t *cursor,
                       bool (*cb)(void *arg, const char *line), void *arg);
uint64_t persist_log_line_count(struct persist_log *log);
uint64_t persist_log_lost_count(struct persist_log *log);

#endif
