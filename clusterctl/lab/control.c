/* clusterctl/lab/control.c - see control.h. The methods are in control_*.c and chaos.c. */
#include "clusterctl/lab/control.h"

#include <stdlib.h>

#include "base/arena.h"
#include "clusterctl/lab/control_internal.h"

enum { SOCKET_MODE = 0600, STATUS_SIZE_MAX = 256 << 10 };

void lab_reply_done(struct ray_rpc_call *call)
{
    Rayos__Lab__Done done = RAYOS__LAB__DONE__INIT;

    (void)ray_rpc_reply(call, &done.base); /* gone: nobody wants it */
}

static void method_status(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct lab *lab = arg;
    Rayos__Lab__Status status;
    struct ray_arena arena;

    (void)input;
    ray_arena_init(&arena, STATUS_SIZE_MAX);
    if (lab_status_fill(lab, &arena, &status)) {
        (void)ray_rpc_reply(call, &status.base); /* gone: nobody wants it */
    } else {
        struct ray_err err = {0};

        (void)ray_fail(&err, RAY_ENOMEM, "status");
        (void)ray_rpc_reply_err(call, &err);
    }
    ray_arena_fini(&arena);
}

static void on_down_cancel(void *arg)
{
    struct lab *lab = arg;

    lab->control->down = NULL; /* the lab goes down all the same */
}

static void method_down(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Lab__DownRequest *request = (const Rayos__Lab__DownRequest *)input;
    struct lab *lab = arg;

    if (lab->control->down != NULL) {
        struct ray_err err = {0};

        (void)ray_fail(&err, RAY_ECONFLICT, "the lab is going down already");
        (void)ray_rpc_reply_err(call, &err);
        return;
    }
    lab->control->down = call;
    ray_rpc_call_on_cancel(call, on_down_cancel, lab);
    lab_stop(lab, request->reason[0] != '\0' ? request->reason : "asked for");
}

static const struct ray_rpc_method methods[] = {
    {"lab.status", &rayos__lab__status_request__descriptor, method_status},
    {"lab.events", &rayos__lab__events_request__descriptor, lab_method_events},
    {"lab.wait", &rayos__lab__wait_request__descriptor, lab_method_wait},
    {"lab.console", &rayos__lab__console_request__descriptor, lab_method_console},
    {"lab.console_write", &rayos__lab__console_write_request__descriptor, lab_method_console_write},
    {"lab.chaos", &rayos__lab__chaos_request__descriptor, lab_method_chaos},
    {"lab.screenshot", &rayos__lab__screenshot_request__descriptor, lab_method_screenshot},
    {"lab.exec", &rayos__lab__exec_request__descriptor, lab_method_exec},
    {"lab.put", &rayos__lab__put_request__descriptor, lab_method_put},
    {"lab.get", &rayos__lab__get_request__descriptor, lab_method_get},
    {"lab.ping", &rayos__lab__ping_request__descriptor, lab_method_ping},
    {"lab.run", &rayos__lab__run_request__descriptor, lab_method_run},
    {"lab.run_signal", &rayos__lab__run_signal_request__descriptor, lab_method_run_signal},
    {"lab.down", &rayos__lab__down_request__descriptor, method_down},
    {NULL, NULL, NULL},
};

int lab_control_create(struct lab *lab, struct ray_err *err)
{
    struct lab_control *control = calloc(1, sizeof *control);
    int rc;

    if (control == NULL) {
        return ray_fail(err, RAY_ENOMEM, "control");
    }
    rc = ray_rpc_server_create_unix(&control->server, &lab->loop, LAB_FILE_CONTROL, SOCKET_MODE,
                                    methods, lab, err);
    if (rc != RAY_OK) {
        free(control);
        return rc;
    }
    lab->control = control;
    return RAY_OK;
}

void lab_control_destroy(struct lab *lab)
{
    if (lab->control != NULL) {
        ray_rpc_server_destroy(lab->control->server); /* open calls free themselves */
        free(lab->control);
        lab->control = NULL;
    }
}

void lab_control_changed(struct lab *lab)
{
    if (lab->control != NULL) {
        lab_watchers_pump(lab);
        lab_waiters_check(lab);
    }
}

void lab_control_console_moved(struct lab *lab, struct lab_node *node)
{
    if (lab->control != NULL) {
        lab_viewers_pump(lab, node);
    }
}

void lab_control_stopped(struct lab *lab)
{
    if (lab->control != NULL && lab->control->down != NULL) {
        lab_reply_done(lab->control->down);
        lab->control->down = NULL;
    }
}
