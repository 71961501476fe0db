/* log_tail.c - lines are copied first: while a slow caller reads, the log goes on and makes room
 * in its ring. A stream has a window, so sending goes on whenever it drains; only when all is sent
 * is the log looked at again. */
#include "node/init/log_tail.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "net/proto/init.pb-c.h"
#include "node/init/log_ring.h"
#include "node/init/services.h"

enum { NOTE_SIZE = 128 };

/* ---- the stream ---- */

static bool is_user(uid_t uid)
{
    return uid != 0 && uid != RAYOSD_ID;
}

bool log_tail_has_place(const struct log_tails *tails, uid_t uid)
{
    size_t most = uid == 0 ? LOG_TAIL_COUNT_MAX : LOG_TAIL_COUNT_MAX - LOG_TAIL_ROOT_COUNT;

    return tails->count < most && (!is_user(uid) || tails->users < LOG_TAIL_USERS_MAX);
}

static void release(void *arg)
{
    struct log_stream *stream = arg;

    stream->tails->count--;
    stream->tails->users -= is_user(stream->uid);
    ray_buf_fini(&stream->lines);
    stream->release(stream);
}

static void on_drain(void *arg)
{
    log_stream_pump(arg);
}

bool log_stream_begin(struct log_stream *stream, struct log_tails *tails, struct ray_rpc_call *call,
                      bool is_following)
{
    struct ray_err err = {0};

    stream->tails = tails;
    stream->call = call;
    stream->is_following = is_following;
    stream->uid = ray_rpc_call_peer(call)->uid;
    ray_buf_init(&stream->lines, LOG_RING_SIZE + NOTE_SIZE);
    if (!log_tail_has_place(tails, stream->uid)) {
        (void)ray_fail(&err, RAY_EUNAVAILABLE, "%zu callers read the logs already", tails->count);
        (void)ray_next(&err, "end one of them, then try again");
        (void)ray_rpc_reply_err(call, &err); /* gone either way */
        stream->release(stream);
        return false;
    }
    tails->count++;
    tails->users += is_user(stream->uid);
    ray_rpc_call_on_drain(call, on_drain, stream);
    ray_rpc_call_on_cancel(call, release, stream);
    return true;
}

int log_stream_add(struct log_stream *stream, const char *line)
{
    return ray_buf_append(&stream->lines, line, strlen(line) + 1);
}

void log_stream_keep_last(struct log_stream *stream, size_t count)
{
    size_t total = 0;

    assert(stream->at == 0);
    for (size_t i = 0; i < stream->lines.size; i++) {
        total += stream->lines.data[i] == '\0';
    }
    while (total > count) {
        stream->at += strlen((const char *)stream->lines.data + stream->at) + 1;
        total--;
    }
}

void log_stream_fail(struct log_stream *stream, const struct ray_err *err)
{
    (void)ray_rpc_reply_err(stream->call, err); /* gone either way */
    release(stream);
}

/* A line that cannot be sent ends the answer with the reason: a log with a silent gap would
 * mislead. */
void log_stream_pump(struct log_stream *stream)
{
    Rayos__Init__LogTailEnd end = RAYOS__INIT__LOG_TAIL_END__INIT;

    while (stream->at < stream->lines.size) {
        Rayos__Init__LogLine item = RAYOS__INIT__LOG_LINE__INIT;
        int rc;

        item.text = (char *)stream->lines.data + stream->at;
        rc = ray_rpc_send(stream->call, &item.base);
        if (rc == RAY_EAGAIN || rc == RAY_ECLOSED) {
            return; /* on_drain or on_cancel follows */
        }
        if (rc != RAY_OK) {
            struct ray_err err = {0};

            (void)ray_fail(&err, rc, "a line of the log could not be sent");
            log_stream_fail(stream, &err);
            return;
        }
        stream->at += strlen(item.text) + 1;
        stream->sent_count++;
    }
    if (stream->is_following) {
        ray_buf_clear(&stream->lines);
        stream->at = 0;
        stream->wait(stream);
        return;
    }
    end.lines = stream->sent_count;
    (void)ray_rpc_reply(stream->call, &end.base); /* the peer may have left */
    release(stream);
}

/* ---- the node's log ---- */

struct tail {
    struct log_stream stream; /* first */
    struct ray_timer timer;
    char unit[LOG_TAIL_UNIT_SIZE];
    uint64_t oldest_us;
    uint64_t cursor; /* of the log: lines seen */
    uint64_t passed; /* by the look under way */
    int rc;          /* of it */
};

/* Behind the word at `text`; "" when that is the last one. */
static const char *next_word(const char *text)
{
    text += strcspn(text, " ");
    return text + strspn(text, " ");
}

static bool is_of_unit(const char *module, const char *unit)
{
    size_t size = strlen(unit);

    return strncmp(module, unit, size) == 0 &&
           (module[size] == ' ' || module[size] == '/' || module[size] == '\0');
}

bool log_tail_takes(const char *line, const char *unit, uint64_t oldest_us)
{
    if (oldest_us > 0 && strtoull(line, NULL, 10) < oldest_us) {
        return false;
    }
    return unit[0] == '\0' || is_of_unit(next_word(next_word(line)), unit);
}

static bool take_line(void *arg, const char *line)
{
    struct tail *tail = arg;

    tail->passed++;
    if (tail->rc == RAY_OK && log_tail_takes(line, tail->unit, tail->oldest_us)) {
        tail->rc = log_stream_add(&tail->stream, line);
    }
    return true;
}

static int look(struct tail *tail, struct ray_err *err)
{
    uint64_t before = tail->cursor;
    char note[NOTE_SIZE];

    tail->passed = 0;
    tail->rc = RAY_OK;
    persist_log_since(tail->stream.tails->log, &tail->cursor, take_line, tail);
    if (tail->rc == RAY_OK && before > 0 && tail->cursor - before > tail->passed) {
        (void)snprintf(note, sizeof note,
                       "%" PRIu64 " warn log %" PRIu64 " lines are left out: this reader is slow",
                       ray_clock_boottime_ns() / RAY_NS_PER_US,
                       tail->cursor - before - tail->passed);
        tail->rc = log_stream_add(&tail->stream, note);
    }
    return tail->rc == RAY_OK ? RAY_OK : ray_fail(err, tail->rc, "no memory for the lines");
}

static void on_timer(void *arg)
{
    struct tail *tail = arg;
    struct ray_err err = {0};

    if (look(tail, &err) == RAY_OK) {
        log_stream_pump(&tail->stream);
    } else {
        log_stream_fail(&tail->stream, &err);
    }
}

static void wait_for_lines(struct log_stream *stream)
{
    struct tail *tail = (struct tail *)stream;

    ray_timer_start(&tail->timer, LOG_TAIL_FOLLOW_MS, 0);
}

static void free_tail(struct log_stream *stream)
{
    struct tail *tail = (struct tail *)stream;

    ray_timer_fini(&tail->timer);
    free(tail);
}

static int start(struct tail *tail, size_t count, const struct log_tail_filter *filter,
                 struct ray_err *err)
{
    uint64_t now_us = ray_clock_boottime_ns() / RAY_NS_PER_US;
    int rc = ray_timer_init(&tail->timer, tail->stream.tails->loop, on_timer, tail, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (strlen(filter->unit) >= sizeof tail->unit) {
        return ray_fail(err, RAY_EINVAL, "no service has so long a name");
    }
    (void)snprintf(tail->unit, sizeof tail->unit, "%s", filter->unit);
    if (filter->age_us > 0 && filter->age_us < now_us) {
        tail->oldest_us = now_us - filter->age_us;
    }
    rc = look(tail, err);
    log_stream_keep_last(&tail->stream, count);
    return rc;
}

void init_log_tail(struct log_tails *tails, struct ray_rpc_call *call, size_t count,
                   const struct log_tail_filter *filter, bool is_following)
{
    struct tail *tail = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *tail);
    struct ray_err err = {0};

    if (tail == NULL) {
        (void)ray_fail(&err, RAY_ENOMEM, "no memory for the lines");
        (void)ray_rpc_reply_err(call, &err); /* gone either way */
        return;
    }
    tail->stream.wait = wait_for_lines;
    tail->stream.release = free_tail;
    if (!log_stream_begin(&tail->stream, tails, call, is_following)) {
        return;
    }
    if (start(tail, count, filter, &err) == RAY_OK) {
        log_stream_pump(&tail->stream);
    } else {
        log_stream_fail(&tail->stream, &err);
    }
}
