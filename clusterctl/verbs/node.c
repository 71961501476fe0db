/* node.c - each verb is one call on one socket and one view of its answer. */
#include "clusterctl/verbs/node.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/claim.h"
#include "clusterctl/verbs/complete.h"
#include "clusterctl/verbs/membership.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/node_disk.h"
#include "clusterctl/verbs/node_leave.h"
#include "clusterctl/verbs/node_logs.h"
#include "clusterctl/verbs/recovery.h"
#include "clusterctl/verbs/service_restart.h"
#include "clusterctl/verbs/shutdown.h"
#include "net/proto/init.pb-c.h"
#include "net/proto/node.pb-c.h"
#include "net/rpc.h"

static const struct ray_args_option read_options[] = {
    OUTPUT_OPTION, NODE_SOCKET_DIR_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};
static const struct ray_args_option metrics_options[] = {
    NODE_SOCKET_DIR_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};

/* A verb that only shows what a method answers. */
static int show(const struct ray_args *args, const char *socket, const char *method,
                const ProtobufCMessage *input, const ProtobufCMessageDescriptor *output,
                const struct output_view *view)
{
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};
    int status;

    if (node_call(args, socket, method, input, output, &body, &err) != RAY_OK) {
        return output_error(&err);
    }
    status = output_message(args, body, view);
    protobuf_c_message_free_unpacked(body, NULL);
    return status;
}

static int run_facts(const struct ray_args *args, void *context)
{
    Rayos__Node__FactsRequest request = RAYOS__NODE__FACTS_REQUEST__INIT;

    (void)context;
    return show(args, "node.sock", "node.facts", &request.base, &rayos__node__facts__descriptor,
                NULL);
}

static int run_health(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {{"CHECK", "name", OUTPUT_AS_TEXT},
                                                   {"STATE", "state", OUTPUT_AS_TEXT},
                                                   {"MESSAGE", "message", OUTPUT_AS_TEXT},
                                                   {"NEXT", "next_step", OUTPUT_AS_TEXT},
                                                   {0}};
    static const struct output_view view = {.list_key = "checks", .columns = columns};
    Rayos__Node__HealthRequest request = RAYOS__NODE__HEALTH_REQUEST__INIT;

    (void)context;
    return show(args, "node.sock", "node.health", &request.base, &rayos__node__health__descriptor,
                &view);
}

/* As it is scraped; there is no other form of it. */
static int run_metrics(const struct ray_args *args, void *context)
{
    Rayos__Node__MetricsRequest request = RAYOS__NODE__METRICS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};

    (void)context;
    if (node_call(args, "node.sock", "node.metrics", &request.base,
                  &rayos__node__metrics__descriptor, &body, &err) != RAY_OK) {
        return output_error(&err);
    }
    (void)fputs(((const Rayos__Node__Metrics *)body)->text, stdout);
    protobuf_c_message_free_unpacked(body, NULL);
    return 0;
}

static int run_status(const struct ray_args *args, void *context)
{
    Rayos__Init__StatusRequest request = RAYOS__INIT__STATUS_REQUEST__INIT;

    (void)context;
    return show(args, "init.sock", "init.status", &request.base, &rayos__init__status__descriptor,
                &(const struct output_view){.name_key = "node_name"});
}

static int run_services(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {{"SERVICE", "name", OUTPUT_AS_TEXT},
                                                   {"STATE", "state", OUTPUT_AS_TEXT},
                                                   {"SINCE", "since_us", OUTPUT_AS_SECONDS},
                                                   {"PID", "pid", OUTPUT_AS_TEXT},
                                                   {"STARTS", "start_count", OUTPUT_AS_TEXT},
                                                   {"FAILURES", "failure_count", OUTPUT_AS_TEXT},
                                                   {"MEMORY", "memory_bytes", OUTPUT_AS_SIZE},
                                                   {"WHY", "why", OUTPUT_AS_TEXT},
                                                   {0}};
    static const struct output_view view = {.list_key = "services", .columns = columns};
    Rayos__Init__StatusRequest request = RAYOS__INIT__STATUS_REQUEST__INIT;

    (void)context;
    return show(args, "init.sock", "init.status", &request.base, &rayos__init__status__descriptor,
                &view);
}

static int run_timeline(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {
        {"STAGE", "name", OUTPUT_AS_TEXT},    {"BEGIN US", "begin_us", OUTPUT_AS_TEXT},
        {"END US", "end_us", OUTPUT_AS_TEXT}, {"RESULT", "result", OUTPUT_AS_TEXT},
        {"ERROR", "error", OUTPUT_AS_TEXT},   {0}};
    static const struct output_view view = {.list_key = "stages", .columns = columns};
    Rayos__Init__BootRequest request = RAYOS__INIT__BOOT_REQUEST__INIT;

    (void)context;
    return show(args, "init.sock", "init.boot", &request.base, &rayos__init__boot__descriptor,
                &view);
}

static int run_crashes(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {{"TIME", "time", OUTPUT_AS_TEXT},
                                                   {"WHAT", "what", OUTPUT_AS_TEXT},
                                                   {"SIGNAL", "signal", OUTPUT_AS_TEXT},
                                                   {"BUILD ID", "build_id", OUTPUT_AS_TEXT},
                                                   {"SIZE", "size_bytes", OUTPUT_AS_SIZE},
                                                   {"FOLDER", "name", OUTPUT_AS_TEXT},
                                                   {0}};
    static const struct output_view view = {.list_key = "crashes", .columns = columns};
    Rayos__Init__CrashesRequest request = RAYOS__INIT__CRASHES_REQUEST__INIT;

    (void)context;
    return show(args, "init.sock", "init.crashes", &request.base, &rayos__init__crashes__descriptor,
                &view);
}

/* ---- the log: a stream, so a loop of its own ---- */

struct log_call {
    struct ray_loop loop;
    int code;
    struct ray_err err;
};

static void on_log_line(void *arg, const ProtobufCMessage *item)
{
    (void)arg;
    (void)printf("%s\n", ((const Rayos__Init__LogLine *)item)->text);
}

static void on_log_end(void *arg, const struct ray_rpc_result *result)
{
    struct log_call *log = arg;

    log->code = result->code;
    if (result->code != RAY_OK) {
        (void)ray_fail(&log->err, result->code, "%s", result->text);
        (void)ray_next(&log->err, "%s", result->next_step);
    }
    ray_loop_stop(&log->loop);
}

static int run_log(const struct ray_args *args, void *context)
{
    Rayos__Init__LogTailRequest request = RAYOS__INIT__LOG_TAIL_REQUEST__INIT;
    struct log_call log = {.code = RAY_EINTERNAL};
    struct ray_rpc_client *client = NULL;
    char path[NODE_CALL_PATH_SIZE_MAX];
    uint64_t lines;
    int rc;

    (void)context;
    if (ray_parse_u64(ray_args_value(args, "lines"), 1, 100000, &lines) != RAY_OK) {
        (void)ray_fail(&log.err, RAY_EUSAGE, "--lines wants a number from 1 to 100000");
        return output_error(&log.err);
    }
    request.lines = (uint32_t)lines;
    rc = node_call_path(args, "init.sock", path, &log.err);
    if (rc == RAY_OK) {
        rc = ray_loop_init(&log.loop, &log.err);
    }
    if (rc == RAY_OK) {
        rc = ray_rpc_client_create_unix(&client, &log.loop, path, &log.err);
    }
    if (rc == RAY_OK) {
        rc = ray_rpc_stream_start(client, "init.log_tail", &request.base,
                                  &rayos__init__log_line__descriptor,
                                  &rayos__init__log_tail_end__descriptor, 30000, on_log_line,
                                  on_log_end, &log, NULL, &log.err);
    }
    if (rc == RAY_OK) {
        ray_loop_run(&log.loop);
        rc = log.code;
    }
    ray_rpc_client_destroy(client);
    ray_loop_fini(&log.loop);
    return rc == RAY_OK ? 0 : output_error(&log.err);
}

/* ---- only where PID 1 is the test image's: elsewhere it answers that there is no such method ----
 */

static int run_test_hang(const struct ray_args *args, void *context)
{
    Rayos__Init__TestHangRequest request = RAYOS__INIT__TEST_HANG_REQUEST__INIT;
    struct ray_err err = {0};
    uint64_t ms;

    (void)context;
    if (ray_parse_u64(ray_args_value(args, "ms"), 1, UINT32_MAX, &ms) != RAY_OK) {
        (void)ray_fail(&err, RAY_EUSAGE, "--ms wants a number of milliseconds");
        return output_error(&err);
    }
    request.ms = (uint32_t)ms;
    return show(args, "init.sock", "init.test_hang", &request.base, &rayos__init__done__descriptor,
                NULL);
}

static int run_test_panic(const struct ray_args *args, void *context)
{
    Rayos__Init__TestPanicRequest request = RAYOS__INIT__TEST_PANIC_REQUEST__INIT;

    (void)context;
    return show(args, "init.sock", "init.test_panic", &request.base, &rayos__init__done__descriptor,
                NULL);
}

static const struct ray_args_option hang_options[] = {
    {.name = "ms", .value_name = "N", .default_value = "60000", .help = "how long"},
    OUTPUT_OPTION,
    NODE_SOCKET_DIR_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};

static const struct ray_args_option log_options[] = {{.name = "lines",
                                                      .short_name = 'n',
                                                      .value_name = "N",
                                                      .default_value = "50",
                                                      .help = "how many of the last lines"},
                                                     NODE_SOCKET_DIR_OPTION,
                                                     {0}};

static const struct ray_args_command node_subcommands[] = {
    {.name = "list",
     .help = "the nodes of the cluster",
     .options = node_list_options,
     .run = node_list},
    {.name = "show",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "one node of the cluster",
     .options = node_show_options,
     .run = node_show,
     .complete = complete_node},
    {.name = "approve",
     .positional = "NAME|ID",
     .positional_min = 1,
     .positional_max = 1,
     .help = "let a node in that waits for it",
     .options = node_approve_options,
     .run = node_approve,
     .complete = complete_node},
    {.name = "claim",
     .positional = "HOST:PORT",
     .positional_min = 1,
     .positional_max = 1,
     .help = "let an unclaimed node in, by the eight words that it shows",
     .options = node_claim_options,
     .run = node_claim},
    {.name = "code",
     .help = "the words by which this unclaimed node is claimed",
     .options = node_code_options,
     .run = node_code},
    {.name = "drain",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "it gets no guests and gives up its part of the log",
     .options = node_drain_options,
     .run = node_drain,
     .complete = complete_node},
    {.name = "undrain",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "take draining back",
     .options = node_undrain_options,
     .run = node_undrain,
     .complete = complete_node},
    {.name = "remove",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "take a node out of the cluster for good",
     .options = node_remove_options,
     .run = node_remove,
     .complete = complete_node},
    {.name = "set",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "change what the cluster knows of a node",
     .options = node_set_options,
     .run = node_set,
     .complete = complete_node},
    {.name = "confirm-off",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "after a recovery: it is off, and runs no guest",
     .options = node_confirm_off_options,
     .run = node_confirm_off,
     .complete = complete_node},
    {.name = "facts", .help = "what this machine is", .options = read_options, .run = run_facts},
    {.name = "health",
     .help = "what is well and what is not, with the next step",
     .options = read_options,
     .run = run_health},
    {.name = "metrics",
     .help = "its numbers as Prometheus reads them",
     .options = metrics_options,
     .run = run_metrics},
    {.name = "status",
     .help = "PID 1: services, watchdog, data, log",
     .options = read_options,
     .run = run_status},
    {.name = "services",
     .help = "the services and their states",
     .options = read_options,
     .run = run_services},
    {.name = "timeline",
     .help = "the steps of this boot in microseconds",
     .options = read_options,
     .run = run_timeline},
    {.name = "crashes",
     .help = "the processes that crashed and what was kept of them",
     .options = read_options,
     .run = run_crashes},
    {.name = "log",
     .help = "the last lines of the node's log",
     .options = log_options,
     .run = run_log},
    {.name = "service-restart",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "stop a service in order and start it again",
     .options = node_service_restart_options,
     .run = node_service_restart},
    {.name = "disk",
     .help = "disks of a node of the cluster, or of this machine",
     .subcommands = node_disk_commands},
    {.name = "logs",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "the log of a node of the cluster",
     .options = node_logs_options,
     .run = node_logs,
     .complete = complete_node},
    {.name = "dmesg",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "the kernel's messages of a node of the cluster",
     .options = node_dmesg_options,
     .run = node_dmesg,
     .complete = complete_node},
    {.name = "shutdown",
     .positional = "[NAME]",
     .positional_max = 1,
     .help = "stop everything in order and switch off: a node of the cluster, or this machine",
     .options = node_shutdown_options,
     .run = node_shutdown,
     .complete = complete_node},
    {.name = "reboot",
     .positional = "[NAME]",
     .positional_max = 1,
     .help = "stop everything in order and boot again: a node of the cluster, or this machine",
     .options = node_shutdown_options,
     .run = node_reboot,
     .complete = complete_node},
    {.name = "test-hang",
     .help = "block PID 1 (test image)",
     .options = hang_options,
     .run = run_test_hang,
     .is_hidden = true},
    {.name = "test-panic",
     .help = "panic the kernel (test image)",
     .options = read_options,
     .run = run_test_panic,
     .is_hidden = true},
    {0}};

const struct ray_args_command node_command = {
    .name = "node",
    .help = "the node that this runs on, and the cluster's nodes",
    .subcommands = node_subcommands,
};
