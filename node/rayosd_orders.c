/* rayosd_orders.c - what PID 1 answers is the answer. */
#include "node/rayosd_orders.h"

#include <stdio.h>

#include "net/proto/cluster.pb-c.h"
#include "net/proto/init.pb-c.h"
#include "net/rpc_pipe.h"

enum {
    ORDER_TIMEOUT_MS = 20000,
    DISK_TIMEOUT_MS = 600000, /* the caller has a time of its own */
    REASON_SIZE = 201,
};

static void refuse(struct ray_rpc_call *call, const struct ray_err *err)
{
    (void)ray_rpc_reply_err(call, err); /* the caller is gone, or not */
}

static void ask_init(struct ray_loop *loop, const char *init_path, struct ray_rpc_call *call,
                     const struct ray_rpc_pipe_to *to, const ProtobufCMessage *input)
{
    struct ray_rpc_client *client = NULL;
    struct ray_err err = {0};

    if (ray_rpc_client_create_unix(&client, loop, init_path, &err) == RAY_OK) {
        ray_rpc_pipe(call, client, to, input, NULL, NULL);
        return;
    }
    if (err.code == RAY_EUNAVAILABLE || err.code == RAY_ENOTFOUND) {
        (void)ray_fail(&err, RAY_EUNSUPPORTED, "rayosd runs here without a PID 1 of RayOS");
        (void)ray_next(&err, "do it there by the means of that system");
    }
    refuse(call, &err);
}

/* Who, and why: PID 1 writes it into its log. */
static void describe(const Rayos__Cluster__Order *order, char out[static REASON_SIZE])
{
    (void)snprintf(out, REASON_SIZE, "%.64s%s%s", order->principal,
                   order->reason[0] != '\0' ? ": " : "", order->reason);
}

static void power(struct ray_loop *loop, const char *init_path, struct ray_rpc_call *call,
                  const Rayos__Cluster__PowerRequest *request)
{
    static const struct ray_rpc_pipe_to to = {.method = "init.shutdown",
                                              .output = &rayos__init__done__descriptor,
                                              .timeout_ms = ORDER_TIMEOUT_MS,
                                              .whom = "its PID 1"};
    Rayos__Init__ShutdownRequest order = RAYOS__INIT__SHUTDOWN_REQUEST__INIT;
    char reason[REASON_SIZE];

    describe(request->order, reason);
    order.mode = request->mode;
    order.reason = reason;
    ask_init(loop, init_path, call, &to, &order.base);
}

static void logs(struct ray_loop *loop, const char *init_path, struct ray_rpc_call *call,
                 const Rayos__Cluster__LogsRequest *request)
{
    Rayos__Init__LogTailRequest node = RAYOS__INIT__LOG_TAIL_REQUEST__INIT;
    Rayos__Init__KernelLogRequest kernel = RAYOS__INIT__KERNEL_LOG_REQUEST__INIT;
    const struct ray_rpc_pipe_to to = {.method =
                                           request->is_kernel ? "init.kernel_log" : "init.log_tail",
                                       .item = &rayos__init__log_line__descriptor,
                                       .output = &rayos__init__log_tail_end__descriptor,
                                       .timeout_ms = request->is_following ? 0 : ORDER_TIMEOUT_MS,
                                       .whom = "its PID 1"};

    node.lines = request->lines;
    node.unit = request->unit;
    node.age_us = request->age_us;
    node.is_following = request->is_following;
    kernel.lines = request->lines;
    kernel.is_following = request->is_following;
    ask_init(loop, init_path, call, &to, request->is_kernel ? &kernel.base : &node.base);
}

static void disks(struct ray_loop *loop, const char *init_path, struct ray_rpc_call *call)
{
    static const struct ray_rpc_pipe_to to = {.method = "init.disks",
                                              .output = &rayos__init__disks__descriptor,
                                              .timeout_ms = DISK_TIMEOUT_MS,
                                              .whom = "its PID 1"};
    const Rayos__Init__DisksRequest order = RAYOS__INIT__DISKS_REQUEST__INIT;

    ask_init(loop, init_path, call, &to, &order.base);
}

static void disk_prepare(struct ray_loop *loop, const char *init_path, struct ray_rpc_call *call,
                         const Rayos__Cluster__DiskPrepareRequest *request)
{
    static const struct ray_rpc_pipe_to to = {.method = "init.disk_prepare",
                                              .output = &rayos__init__disk_prepared__descriptor,
                                              .timeout_ms = DISK_TIMEOUT_MS,
                                              .whom = "its PID 1"};
    Rayos__Init__DiskPrepareRequest order = RAYOS__INIT__DISK_PREPARE_REQUEST__INIT;
    char reason[REASON_SIZE];

    describe(request->order, reason);
    order.disk = request->disk;
    order.serial = request->serial;
    order.is_wiped = request->is_wiped;
    order.reason = reason;
    ask_init(loop, init_path, call, &to, &order.base);
}

void rayosd_order(struct ray_loop *loop, const char *init_path, struct ray_rpc_call *call,
                  const ProtobufCMessage *input)
{
    struct ray_err err = {0};

    if (input->descriptor == &rayos__cluster__power_request__descriptor) {
        power(loop, init_path, call, (const Rayos__Cluster__PowerRequest *)input);
    } else if (input->descriptor == &rayos__cluster__logs_request__descriptor) {
        logs(loop, init_path, call, (const Rayos__Cluster__LogsRequest *)input);
    } else if (input->descriptor == &rayos__cluster__disks_request__descriptor) {
        disks(loop, init_path, call);
    } else if (input->descriptor == &rayos__cluster__disk_prepare_request__descriptor) {
        disk_prepare(loop, init_path, call, (const Rayos__Cluster__DiskPrepareRequest *)input);
    } else {
        (void)ray_fail(&err, RAY_EUNSUPPORTED, "rayosd does not know this order");
        (void)ray_next(&err, "use a program and a node of the same version");
        refuse(call, &err);
    }
}
