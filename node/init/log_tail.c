/* log_tail.c - lines are copied first: while a slow caller reads, the log goes on and makes room
 * in its ring. A stream has a window, so sending goes on whenever it drains. */
#include "node/init/log_tail.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fault.h"
#include "net/proto/init.pb-c.h"
#include "node/init/log_ring.h"

struct tail {
    struct ray_rpc_call *call;
    struct ray_buf lines; /* each with its NUL */
    size_t at;            /* of the next one to send */
    uint32_t sent_count;
};

static void tail_free(void *arg)
{
    struct tail *tail = arg;

    ray_buf_fini(&tail->lines);
    free(tail);
}

static bool keep_line(void *arg, const char *line)
{
    struct tail *tail = arg;

    return ray_buf_append(&tail->lines, line, strlen(line) + 1) == RAY_OK;
}

/* Sends what the stream takes. A line that cannot be sent ends the answer with the reason: a
 * log with a silent gap would mislead. */
static void pump(void *arg)
{
    struct tail *tail = arg;
    Rayos__Init__LogTailEnd end = RAYOS__INIT__LOG_TAIL_END__INIT;

    while (tail->at < tail->lines.size) {
        Rayos__Init__LogLine item = RAYOS__INIT__LOG_LINE__INIT;
        int rc;

        item.text = (char *)tail->lines.data + tail->at;
        rc = ray_rpc_send(tail->call, &item.base);
        if (rc == RAY_EAGAIN || rc == RAY_ECLOSED) {
            return; /* on_drain or on_cancel follows */
        }
        if (rc != RAY_OK) {
            struct ray_err err = {0};

            (void)ray_fail(&err, rc, "a line of the log could not be sent");
            (void)ray_rpc_reply_err(tail->call, &err); /* gone either way */
            tail_free(tail);
            return;
        }
        tail->at += strlen(item.text) + 1;
        tail->sent_count++;
    }
    end.lines = tail->sent_count;
    (void)ray_rpc_reply(tail->call, &end.base); /* the peer may have left */
    tail_free(tail);
}

void init_log_tail(struct ray_rpc_call *call, struct persist_log *log, size_t count)
{
    struct tail *tail = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *tail);

    if (tail == NULL) {
        struct ray_err err = {0};

        (void)ray_fail(&err, RAY_ENOMEM, "no memory for the lines");
        (void)ray_rpc_reply_err(call, &err); /* gone either way */
        return;
    }
    tail->call = call;
    ray_buf_init(&tail->lines, LOG_RING_SIZE);
    persist_log_tail(log, count, keep_line, tail);
    ray_rpc_call_on_drain(call, pump, tail);
    ray_rpc_call_on_cancel(call, tail_free, tail);
    pump(tail);
}
