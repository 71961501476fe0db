#include "node/init/persist_log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"

static void start_job(struct persist_log *log);

/* What is kept beside the log. A marker that fails is tried again by the next job. */
static void store_marker(struct persist_log *log)
{
    if (log->job_rc != RAY_OK || log->job_marker[0] == '\0') {
        return;
    }
    if (log->config.store_marker != NULL) {
        log->job_rc = log->config.store_marker(log->config.arg, log->job_marker, &log->job_err);
    }
    if (log->job_rc == RAY_OK) {
        log->job_marker[0] = '\0';
    }
}

static void open_file(struct persist_log *log)
{
    char utc[32];
    char header[256];
    int size;

    log->job_rc = log_file_open(&log->file, log->folder, log->config.file_size_max,
                                log->config.ancestor_count, &log->job_err);
    if (log->job_rc != RAY_OK) {
        return;
    }
    size = snprintf(header, sizeof header, "=== boot %s version %s at %s\n", log->config.boot_id,
                    log->config.version, ray_clock_format_utc(ray_clock_realtime_ns(), utc));
    if (size > 0 && (size_t)size < sizeof header) {
        log->job_rc = log_file_append(&log->file, header, (size_t)size, &log->job_err);
    }
    /* A log that cannot take its first line is still open: space may come back. */
    if (log->job_rc == RAY_ENOSPC) {
        log->job_was_full = true;
        log->job_rc = RAY_OK;
    }
}

/* On a pool thread. Touches only the worker's fields. */
static void work(uv_work_t *request)
{
    struct persist_log *log = request->data;
    uint64_t dropped_before;

    log->job_rc = RAY_OK;
    log->job_was_full = false;
    if (log->job_opens) {
        open_file(log);
        if (log->job_rc != RAY_OK) {
            return; /* closed; the next job tries again */
        }
        log->job_opens = false;
        log->job_opened = true;
    }
    dropped_before = log->file.dropped_file_count;
    if (log->writing.size > 0) {
        log->job_rc =
            log_file_append(&log->file, log->writing.data, log->writing.size, &log->job_err);
    }
    if (log->job_rc == RAY_OK) {
        ray_buf_clear(&log->writing);
    }
    store_marker(log);
    if (log->job_rc == RAY_OK && (log->job_syncs || log->job_closes)) {
        log->job_rc = log_file_sync(&log->file, &log->job_err);
    }
    log->job_was_full = log->job_was_full || log->job_rc == RAY_ENOSPC ||
                        log->file.dropped_file_count != dropped_before;
    if (log->job_closes) {
        if (log->config.store_end != NULL) {
            log->job_rc = log->config.store_end(log->config.arg, &log->job_err);
        }
        log_file_close(&log->file);
    }
}

static void report(struct persist_log *log, enum persist_log_event event, uint64_t count,
                   const char *text)
{
    if (log->config.on_event != NULL) {
        log->config.on_event(log->config.arg, event, count, text);
    }
}

static void report_fullness(struct persist_log *log, uint64_t now_ns)
{
    if (log->job_was_full) {
        log->full_seen_ns = now_ns;
        if (!log->is_full) {
            log->is_full = true;
            report(log, PERSIST_LOG_FULL, 0, "");
        }
    } else if (log->is_full &&
               now_ns - log->full_seen_ns > PERSIST_LOG_FULL_CLEAR_MS * RAY_NS_PER_MS) {
        log->is_full = false;
    }
}

static void report_lost(struct persist_log *log)
{
    uint64_t lost_count = persist_log_lost_count(log);

    if (lost_count != log->lost_reported_count) {
        uint64_t newly_lost_count = lost_count - log->lost_reported_count;
        log->lost_reported_count = lost_count;
        report(log, PERSIST_LOG_LOST, newly_lost_count, "");
    }
}

/* Lines that could not be written go back in front of what came meanwhile, as far as there
 * is room; the rest is lost. */
static void take_back(struct persist_log *log)
{
    if (log->writing.size == 0) {
        return;
    }
    uv_mutex_lock(&log->lock);
    if (ray_buf_append(&log->writing, log->pending.data, log->pending.size) == RAY_OK) {
        struct ray_buf swap = log->pending;
        log->pending = log->writing;
        log->writing = swap;
    } else {
        for (size_t i = 0; i < log->writing.size; i++) {
            log->lost_count += log->writing.data[i] == '\n';
        }
    }
    uv_mutex_unlock(&log->lock);
    ray_buf_clear(&log->writing);
}

/* When the next job is due; none while there is nothing to do. */
static void schedule(struct persist_log *log)
{
    bool has_lines;

    uv_mutex_lock(&log->lock);
    has_lines = log->pending.size > 0;
    uv_mutex_unlock(&log->lock);
    if (log->job_rc != RAY_OK) {
        ray_timer_start(&log->flush_timer, PERSIST_LOG_RETRY_MS, 0);
    } else if (log->is_closing || atomic_load(&log->wants_sync)) {
        start_job(log);
    } else if (has_lines) {
        ray_timer_start(&log->flush_timer, PERSIST_LOG_FLUSH_MS, 0);
    } else if (log->file.is_dirty) {
        ray_timer_start(&log->flush_timer, PERSIST_LOG_SYNC_MS, 0);
    }
}

static void report_job(struct persist_log *log, uint64_t now_ns)
{
    if (log->job_opened) {
        log->job_opened = false;
        report(log, PERSIST_LOG_OPENED, 0, log->folder);
    }
    report_fullness(log, now_ns);
    if (log->file.rotation_count != log->seen_rotation_count) {
        log->seen_rotation_count = log->file.rotation_count;
        report(log, PERSIST_LOG_ROTATED, 0, "");
    }
    if (log->job_rc == RAY_OK) {
        log->has_error = false;
        report_lost(log);
    } else if (!log->has_error && log->job_rc != RAY_ENOSPC) {
        log->has_error = true;
        report(log, PERSIST_LOG_ERROR, 0, log->job_err.text);
    }
}

static void after_work(uv_work_t *request, int status)
{
    struct persist_log *log = request->data;
    uint64_t now_ns = ray_clock_monotonic_ns();

    (void)status; /* nobody cancels it */
    log->in_flight = false;
    if (log->job_syncs && log->job_rc == RAY_OK) {
        log->synced_ns = now_ns;
    }
    take_back(log);
    report_job(log, now_ns);
    if (!log->job_closes) {
        schedule(log);
    } else if (log->on_closed != NULL) {
        log->on_closed(log->on_closed_arg);
    }
}

static void start_job(struct persist_log *log)
{
    uint64_t now_ns = ray_clock_monotonic_ns();

    if (log->in_flight || log->folder[0] == '\0' || log->job_closes) {
        return;
    }
    uv_mutex_lock(&log->lock);
    if (log->writing.size == 0) {
        struct ray_buf swap = log->writing;
        log->writing = log->pending;
        log->pending = swap;
    }
    uv_mutex_unlock(&log->lock);
    log->job_syncs = atomic_exchange(&log->wants_sync, false) ||
                     now_ns - log->synced_ns >= PERSIST_LOG_SYNC_MS * RAY_NS_PER_MS;
    log->job_closes = log->is_closing;
    if (log->has_new_marker) {
        log->has_new_marker = false;
        memcpy(log->job_marker, log->last_marker, sizeof log->job_marker);
    }
    log->work.data = log;
    log->work_began_ns = now_ns;
    log->in_flight = true;
    if (uv_queue_work(&log->loop->uv, &log->work, work, after_work) != 0) {
        log->in_flight = false; /* cannot happen: both functions are given */
    }
}

static void on_flush_timer(void *arg)
{
    start_job(arg);
}

/* Another thread, or this one, has put lines. */
static void on_wake(uv_async_t *async)
{
    struct persist_log *log = async->data;

    if (log == NULL || log->folder[0] == '\0' || log->in_flight) {
        return;
    }
    if (atomic_load(&log->wants_sync)) {
        start_job(log);
    } else if (!ray_timer_is_active(&log->flush_timer)) {
        ray_timer_start(&log->flush_timer, PERSIST_LOG_FLUSH_MS, 0);
    }
}

static void free_async(uv_handle_t *handle)
{
    free(handle);
}

int persist_log_init(struct persist_log *log, struct ray_loop *loop,
                     const struct persist_log_config *config, struct ray_err *err)
{
    int status;

    assert(log != NULL && config != NULL && config->boot_id != NULL && config->version != NULL);
    memset(log, 0, sizeof *log);
    log->loop = loop;
    log->config = *config;
    log->file.fd = -1;
    log->file.dir_fd = -1;
    atomic_init(&log->level, RAY_LOG_INFO);
    ray_buf_init(&log->pending, PERSIST_LOG_PENDING_SIZE_MAX);
    ray_buf_init(&log->writing, PERSIST_LOG_PENDING_SIZE_MAX);
    status = uv_mutex_init(&log->lock);
    if (status != 0) {
        log->loop = NULL;
        return ray_fail_uv(err, status, "make the log's lock");
    }
    log->wake = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *log->wake);
    if (log->wake == NULL) {
        persist_log_fini(log);
        return ray_fail(err, RAY_ENOMEM, "make the log");
    }
    status = uv_async_init(&loop->uv, log->wake, on_wake);
    if (status != 0) {
        free(log->wake);
        log->wake = NULL;
        persist_log_fini(log);
        return ray_fail_uv(err, status, "make the log's wake-up");
    }
    log->wake->data = log;
    uv_unref((uv_handle_t *)log->wake);
    return ray_timer_init(&log->flush_timer, loop, on_flush_timer, log, err);
}

void persist_log_fini(struct persist_log *log)
{
    if (log->loop == NULL) {
        return;
    }
    assert(!log->in_flight);
    ray_timer_fini(&log->flush_timer);
    if (log->wake != NULL) {
        log->wake->data = NULL;
        uv_close((uv_handle_t *)log->wake, free_async);
        log->wake = NULL;
    }
    log_file_close(&log->file);
    ray_buf_fini(&log->pending);
    ray_buf_fini(&log->writing);
    uv_mutex_destroy(&log->lock);
    log->loop = NULL;
}

void persist_log_open(struct persist_log *log, const char *folder)
{
    if (log->folder[0] != '\0' || strlen(folder) >= sizeof log->folder) {
        return;
    }
    memcpy(log->folder, folder, strlen(folder) + 1);
    log->job_opens = true;
    start_job(log);
}

void persist_log_put(struct persist_log *log, enum ray_log_level level, const char *line,
                     size_t size)
{
    if ((int)level > atomic_load(&log->level) || size == 0) {
        return;
    }
    uv_mutex_lock(&log->lock);
    log->line_count++;
    log_ring_push(&log->ring, line, size);
    /* Line and newline go in together or not at all. */
    if (ray_buf_reserve(&log->pending, size + 1) != RAY_OK ||
        ray_buf_append(&log->pending, line, size) != RAY_OK ||
        ray_buf_append(&log->pending, "\n", 1) != RAY_OK) {
        log->lost_count++;
    }
    uv_mutex_unlock(&log->lock);
    if (level <= RAY_LOG_WARN) {
        atomic_store(&log->wants_sync, true);
    }
    (void)uv_async_send(log->wake); /* fails only on a closed handle */
}

void persist_log_marker(struct persist_log *log, const char *line)
{
    (void)snprintf(log->last_marker, sizeof log->last_marker, "%s", line);
    log->has_new_marker = true;
    atomic_store(&log->wants_sync, true);
    (void)uv_async_send(log->wake); /* as above */
}

void persist_log_close(struct persist_log *log, void (*on_closed)(void *arg), void *arg)
{
    log->on_closed = on_closed;
    log->on_closed_arg = arg;
    log->is_closing = true;
    if (log->folder[0] == '\0') {
        on_closed(arg);
        return;
    }
    ray_timer_stop(&log->flush_timer);
    start_job(log); /* when one is in flight, after_work starts the closing one */
}

uint64_t persist_log_busy_ns(const struct persist_log *log, uint64_t now_ns)
{
    return log->in_flight && now_ns > log->work_began_ns ? now_ns - log->work_began_ns : 0;
}

/* With the lock held. */
static void walk_tail(struct persist_log *log, size_t count,
                      bool (*cb)(void *arg, const char *line), void *arg)
{
    char line[LOG_RING_LINE_SIZE_MAX + 1];
    struct log_ring_cursor cursor = log_ring_tail(&log->ring, count);
    bool goes_on = true;

    while (goes_on && log_ring_next(&log->ring, &cursor, line) > 0) {
        goes_on = cb(arg, line);
    }
}

void persist_log_tail(struct persist_log *log, size_t count,
                      bool (*cb)(void *arg, const char *line), void *arg)
{
    uv_mutex_lock(&log->lock);
    walk_tail(log, count, cb, arg);
    uv_mutex_unlock(&log->lock);
}

void persist_log_since(struct persist_log *log, uint64_t *cursor,
                       bool (*cb)(void *arg, const char *line), void *arg)
{
    uv_mutex_lock(&log->lock);
    walk_tail(log, (size_t)(log->line_count - *cursor), cb, arg);
    *cursor = log->line_count;
    uv_mutex_unlock(&log->lock);
}

uint64_t persist_log_line_count(struct persist_log *log)
{
    uint64_t count;

    uv_mutex_lock(&log->lock);
    count = log->line_count;
    uv_mutex_unlock(&log->lock);
    return count;
}

uint64_t persist_log_lost_count(struct persist_log *log)
{
    uint64_t count;

    uv_mutex_lock(&log->lock);
    count = log->lost_count;
    uv_mutex_unlock(&log->lock);
    return count;
}
