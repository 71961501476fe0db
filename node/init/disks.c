/* disks.c - an order that has begun is carried to its end, also when nobody waits for it any more:
 * half a disk is of no use. */
#include "node/init/disks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/proto/init.pb-c.h"
#include "node/init/init.h"

enum {
    LIST_MS = 60000,
    PREPARE_MS = 600000,
    WORD_SIZE = 200, /* of an argument */
    WORD_COUNT_MAX = 4,
    REASON_SIZE = 201,
};

static const char program[] = "/usr/lib/rayos/rayos-disk";

int disks_init(struct disks *disks, struct ray_loop *loop, struct ray_err *err)
{
    *disks = (struct disks){.call = NULL};
    ray_buf_init(&disks->report, DISKS_REPORT_SIZE_MAX);
    return job_init(&disks->job, loop, err);
}

void disks_fini(struct disks *disks)
{
    job_fini(&disks->job);
    ray_buf_fini(&disks->report);
}

/* ---- the answer ---- */

static void refuse(struct ray_rpc_call *call, const struct ray_err *err)
{
    (void)ray_rpc_reply_err(call, err); /* gone either way */
}

/* What the program says in `report` goes to the caller as it is. */
static void answer_report(struct ray_rpc_call *call, const Rayos__Init__DiskReport *report,
                          bool is_prepare)
{
    const ProtobufCMessage *body = is_prepare && report->prepared != NULL ? &report->prepared->base
                                   : !is_prepare && report->disks != NULL ? &report->disks->base
                                                                          : NULL;
    int code = ray_err_checked(report->code);
    struct ray_err err = {0};

    if (code == RAY_OK && body != NULL) {
        (void)ray_rpc_reply(call, body); /* the peer may have left */
        return;
    }
    (void)ray_fail(&err, code == RAY_OK ? RAY_EMALFORMED : code, "%s",
                   code == RAY_OK ? "rayos-disk says nothing" : report->text);
    (void)ray_next(&err, "%s", report->next_step);
    refuse(call, &err);
}

static void answer(struct disks *disks, const struct ray_child_exit *how)
{
    struct ray_rpc_call *call = disks->call;
    Rayos__Init__DiskReport *report = NULL;
    char text[48];
    struct ray_err err = {0};

    disks->call = NULL;
    if (!how->is_signaled && how->status == 0 && !disks->is_too_large) {
        report = rayos__init__disk_report__unpack(NULL, disks->report.size, disks->report.data);
    }
    if (report == NULL) {
        (void)ray_fail(&err, RAY_EINTERNAL, "rayos-disk: %s", ray_child_exit_text(how, text));
        (void)ray_next(&err, "look at the node's log: clusterctl node log");
        refuse(call, &err);
        return;
    }
    answer_report(call, report, disks->is_prepare);
    rayos__init__disk_report__free_unpacked(report, NULL);
}

static void on_output(void *arg, const char *bytes, size_t size)
{
    struct disks *disks = &((struct init *)arg)->disks;

    disks->is_too_large |= ray_buf_append(&disks->report, bytes, size) != RAY_OK;
}

static void on_end(void *arg, const struct ray_child_exit *how)
{
    struct init *init = arg;
    struct disks *disks = &init->disks;
    char text[48];

    ray_log(&init->logger, RAY_LOG_NOTICE, "init", "%s ends: %s",
            disks->is_prepare ? "disk_prepare" : "disks", ray_child_exit_text(how, text));
    if (disks->call != NULL) {
        answer(disks, how);
    }
    ray_buf_clear(&disks->report);
}

static void on_cancel(void *arg)
{
    ((struct disks *)arg)->call = NULL;
}

/* ---- the order ---- */

/* `words`: behind the program's name; ends with NULL. */
static void start(struct init *init, struct ray_rpc_call *call, const char *const *words,
                  bool is_prepare)
{
    struct disks *disks = &init->disks;
    char path[INIT_PATH_SIZE_MAX + sizeof(program)];
    const char *argv[WORD_COUNT_MAX + 2] = {path};
    struct ray_err err = {0};
    int rc = RAY_ECONFLICT;

    (void)snprintf(path, sizeof path, "%s%s", init->root, program);
    for (size_t i = 0; i < WORD_COUNT_MAX && words[i] != NULL; i++) {
        argv[1 + i] = words[i];
    }
    if (disks->job.is_running) {
        (void)ray_fail(&err, rc, "another order about the disks is under way");
        (void)ray_next(&err, "wait until it has ended");
    } else {
        ray_buf_clear(&disks->report);
        disks->is_too_large = false;
        disks->is_prepare = is_prepare;
        rc = job_start(&disks->job, &init->loop, argv, is_prepare ? PREPARE_MS : LIST_MS, on_output,
                       on_end, init, &err);
    }
    if (rc != RAY_OK) {
        refuse(call, &err);
        return;
    }
    disks->call = call;
    ray_rpc_call_on_cancel(call, on_cancel, disks);
}

void disks_run_list(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    static const char *const words[] = {"list", NULL};

    (void)input; /* has no fields */
    start(arg, call, words, false);
}

/* What the program takes for an option, or for no disk. */
static int check(const Rayos__Init__DiskPrepareRequest *request, struct ray_err *err)
{
    if (request->disk[0] == '\0' ||
        strspn(request->disk, "abcdefghijklmnopqrstuvwxyz0123456789") != strlen(request->disk)) {
        (void)ray_fail(err, RAY_EINVAL, "that is no disk");
        (void)ray_next(err, "one as vdb, of 'clusterctl node disk list'");
        return RAY_EINVAL;
    }
    if (request->serial[0] == '\0' || strlen(request->serial) >= WORD_SIZE) {
        (void)ray_fail(err, RAY_EINVAL, "the serial number of %.32s has to be given",
                       request->disk);
        (void)ray_next(err, "clusterctl node disk list");
        return RAY_EINVAL;
    }
    return RAY_OK;
}

void disks_run_prepare(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Init__DiskPrepareRequest *request = (const Rayos__Init__DiskPrepareRequest *)input;
    struct init *init = arg;
    char serial[WORD_SIZE + sizeof("--serial=")];
    char reason[REASON_SIZE];
    const char *const words[] = {"prepare", request->disk, serial,
                                 request->is_wiped ? "--wipe" : NULL, NULL};
    struct ray_err err = {0};

    if (check(request, &err) != RAY_OK) {
        refuse(call, &err);
        return;
    }
    (void)snprintf(serial, sizeof serial, "--serial=%s", request->serial);
    (void)ray_escape(reason, sizeof reason, request->reason, strlen(request->reason));
    ray_log(&init->logger, RAY_LOG_NOTICE, "init", "disk_prepare disk=%s wipe=%d reason=\"%s\"",
            request->disk, request->is_wiped, reason);
    start(init, call, words, true);
}
