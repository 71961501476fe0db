#include "node/init/crashes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/fault.h"
#include "node/core/core_line.h"
#include "node/init/init.h"

enum { ARENA_SIZE_MAX = 256 << 10 };

/* One init.crashes under way. */
struct crashes_call {
    uv_work_t work;
    struct init *init;
    struct ray_rpc_call *call; /* NULL: the caller has left */
    int data_fd;               /* PID 1's own: open as long as it runs */
    int rc;
    struct ray_err err;
    size_t count;
    struct crashes_entry entries[CRASHES_COUNT_MAX];
};

/* ---- the marker ---- */

void crashes_on_line(void *arg, const char *text, size_t size)
{
    struct init *init = arg;
    struct core_line line;

    if (core_line_parse(text, size, &line)) {
        marker_sink_emitf(&init->sink, RAY_MARKER_CRASH, "%s:%s", line.what, line.signal);
    }
}

/* ---- reading ---- */

static bool read_one(int cores_fd, struct crashes_entry *entry)
{
    char path[CORE_NAME_SIZE_MAX + 16];
    uint8_t *text = NULL;
    size_t size = 0;
    int rc;

    (void)snprintf(path, sizeof path, "%s/core.json", entry->name);
    rc = ray_file_read(cores_fd, path, CORE_REPORT_SIZE_MAX, &text, &size, NULL);
    if (rc == RAY_OK) {
        rc = core_report_read((const char *)text, size, &entry->summary, NULL);
    }
    free(text);
    return rc == RAY_OK;
}

int crashes_read(int data_fd, struct crashes_entry *entries, size_t *out_count, struct ray_err *err)
{
    char names[CORE_LIST_COUNT_MAX][CORE_NAME_SIZE_MAX];
    size_t count = 0;
    int name_count;
    int cores_fd =
        openat(data_fd, CORE_STORE_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (cores_fd < 0) {
        return ray_fail_errno(err, errno, "folder " CORE_STORE_FOLDER);
    }
    name_count = core_store_list(cores_fd, names, err);
    for (int i = 0; i < name_count && count < CRASHES_COUNT_MAX; i++) {
        memcpy(entries[count].name, names[i], sizeof names[i]);
        count += read_one(cores_fd, &entries[count]) ? 1 : 0;
    }
    (void)close(cores_fd); /* a folder: nothing can be lost */
    if (name_count < 0) {
        return name_count;
    }
    *out_count = count;
    return RAY_OK;
}

/* ---- the answer ---- */

static Rayos__Init__Crash *describe(struct ray_arena *arena, struct crashes_entry *entry)
{
    Rayos__Init__Crash *out = ray_arena_alloc(arena, sizeof *out);
    char *time = ray_arena_alloc(arena, 32);

    if (out == NULL || time == NULL) {
        return NULL;
    }
    rayos__init__crash__init(out);
    out->name = entry->name;
    out->time_s = entry->summary.time_s;
    out->time = time;
    (void)ray_clock_format_utc(entry->summary.time_s * RAY_NS_PER_S, time);
    out->what = entry->summary.what;
    out->service = entry->summary.service;
    out->comm = entry->summary.comm;
    out->exe = entry->summary.exe;
    out->pid = (uint32_t)entry->summary.pid;
    out->signal = entry->summary.signal;
    out->build_id = entry->summary.build_id;
    out->boot_id = entry->summary.boot_id;
    out->kept = entry->summary.kept;
    out->size_bytes = entry->summary.size_bytes;
    out->is_truncated = entry->summary.is_truncated;
    return out;
}

static int answer(struct crashes_call *crashes, struct ray_err *err)
{
    Rayos__Init__Crashes message = RAYOS__INIT__CRASHES__INIT;
    struct ray_arena arena;
    int rc = RAY_OK;

    ray_arena_init(&arena, ARENA_SIZE_MAX);
    message.crashes = ray_arena_alloc(&arena, (crashes->count + 1) * sizeof message.crashes[0]);
    for (size_t i = 0; message.crashes != NULL && i < crashes->count; i++) {
        message.crashes[i] = describe(&arena, &crashes->entries[i]);
        if (message.crashes[i] == NULL) {
            break;
        }
        message.n_crashes++;
    }
    if (message.crashes == NULL || message.n_crashes < crashes->count) {
        rc = ray_fail(err, RAY_ENOMEM, "no memory for the answer");
    } else {
        (void)ray_rpc_reply(crashes->call, &message.base); /* the peer may have left */
    }
    ray_arena_fini(&arena);
    return rc;
}

static void on_cancel(void *arg)
{
    struct crashes_call *crashes = arg;

    crashes->call = NULL; /* the thread goes on; after_read frees */
}

static void read_on_thread(uv_work_t *work)
{
    struct crashes_call *crashes = work->data;

    crashes->rc = crashes_read(crashes->data_fd, crashes->entries, &crashes->count, &crashes->err);
}

static void after_read(uv_work_t *work, int status)
{
    struct crashes_call *crashes = work->data;

    (void)status; /* nobody cancels it */
    crashes->init->crashes_call_count--;
    if (crashes->call != NULL) {
        int rc = crashes->rc == RAY_OK ? answer(crashes, &crashes->err) : crashes->rc;
        if (rc != RAY_OK) {
            (void)ray_rpc_reply_err(crashes->call, &crashes->err); /* the peer may have left */
        }
    }
    free(crashes);
}

static int start(struct init *init, struct ray_rpc_call *call, struct ray_err *err)
{
    struct crashes_call *crashes;

    if (!init->has_data) {
        return ray_fail(err, RAY_EUNAVAILABLE, "there is no data folder");
    }
    if (init->crashes_call_count >= CRASHES_CALL_COUNT_MAX) {
        return ray_fail(err, RAY_EUNAVAILABLE, "%d such calls are under way",
                        CRASHES_CALL_COUNT_MAX);
    }
    crashes = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *crashes);
    if (crashes == NULL) {
        return ray_fail(err, RAY_ENOMEM, "list of crashes");
    }
    crashes->init = init;
    crashes->call = call;
    crashes->data_fd = init->data.fd;
    crashes->work.data = crashes;
    if (uv_queue_work(&init->loop.uv, &crashes->work, read_on_thread, after_read) != 0) {
        free(crashes);
        return ray_fail(err, RAY_ENOMEM, "list of crashes");
    }
    init->crashes_call_count++;
    ray_rpc_call_on_cancel(call, on_cancel, crashes);
    return RAY_OK;
}

void crashes_run(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct ray_err err = {0};
    int rc;

    (void)input; /* has no fields */
    if (ray_rpc_call_peer(call)->uid != 0) {
        rc = ray_fail(&err, RAY_EDENIED, "only root may see the crashes");
        (void)ray_next(&err, "use the node's console, or become root");
    } else {
        rc = start(arg, call, &err);
    }
    if (rc != RAY_OK) {
        (void)ray_rpc_reply_err(call, &err); /* gone either way */
    }
}
