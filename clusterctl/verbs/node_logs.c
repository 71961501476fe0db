/* node_logs.c - a stream from that node's PID 1, by way of whichever member was asked. A line says
 * when it was written by the clock of that node's boot, so nobody could go on behind it at another
 * member: a stream that is lost is an error. */
#include "clusterctl/verbs/node_logs.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/size.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/node_find.h"
#include "clusterctl/verbs/since.h"
#include "net/proto/cluster.pb-c.h"
#include "net/proto/init.pb-c.h"

enum { LINES_MAX = 5000, US_PER_S = 1000000, NS_PER_US = 1000, LINE_SIZE = 4 * 4096 + 1 };

static void on_line(void *arg, const ProtobufCMessage *item)
{
    const char *text = ((const Rayos__Init__LogLine *)item)->text;
    char escaped[LINE_SIZE];

    (void)ray_escape(escaped, sizeof escaped, text, strlen(text));
    (void)printf("%s\n", escaped);
    if (*(const bool *)arg) {
        (void)fflush(stdout); /* whoever follows sees it now */
    }
}

/* "10m": how long ago that is by this machine's clock; log lines tell no time of day. */
static int parse_age(const char *text, uint64_t *out_us, struct ray_err *err)
{
    struct timespec now = {.tv_sec = 0};
    struct since since = {.time_us = 0};
    uint64_t now_us;
    int rc;

    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    now_us = (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / NS_PER_US;
    rc = since_parse(text, now_us, &since, err);
    if (rc == RAY_OK && since.time_us == 0) {
        rc = ray_fail(err, RAY_EUSAGE, "--since wants a time, or '10m': ten minutes ago");
    }
    if (rc == RAY_OK) {
        *out_us = since.time_us < now_us ? now_us - since.time_us : 1;
    }
    return rc;
}

static int read_options(const struct ray_args *args, Rayos__Cluster__LogsRequest *request,
                        struct ray_err *err)
{
    const char *since = request->is_kernel ? NULL : ray_args_value(args, "since");
    const char *unit = request->is_kernel ? NULL : ray_args_value(args, "unit");
    uint64_t lines;

    if (ray_parse_u64(ray_args_value(args, "lines"), 1, LINES_MAX, &lines) != RAY_OK) {
        return ray_fail(err, RAY_EUSAGE, "--lines wants a number from 1 to %d", LINES_MAX);
    }
    request->lines = (uint32_t)lines;
    request->is_following = ray_args_flag(args, "follow");
    if (unit != NULL) {
        request->unit = (char *)(uintptr_t)unit;
    }
    return since == NULL ? RAY_OK : parse_age(since, &request->age_us, err);
}

static int read_log(const struct ray_args *args, Rayos__Cluster__LogsRequest *request,
                    struct ray_err *err)
{
    bool is_following = request->is_following;
    const struct cluster_stream stream = {.method = "node.logs",
                                          .input = &request->base,
                                          .item = &rayos__init__log_line__descriptor,
                                          .output = &rayos__init__log_tail_end__descriptor,
                                          .on_item = on_line,
                                          .arg = &is_following,
                                          .is_endless = is_following};

    return cluster_stream(args, &stream, NULL, err);
}

static int run(const struct ray_args *args, bool is_kernel)
{
    Rayos__Cluster__LogsRequest request = RAYOS__CLUSTER__LOGS_REQUEST__INIT;
    Rayos__Cluster__Order order = RAYOS__CLUSTER__ORDER__INIT;
    const Rayos__Cluster__NodeStatus *node = NULL;
    Rayos__Cluster__Nodes *nodes = NULL;
    struct ray_err err = {0};
    int rc;

    request.is_kernel = is_kernel;
    rc = read_options(args, &request, &err);
    if (rc == RAY_OK) {
        rc = node_list_fetch(args, false, &nodes, &err);
    }
    if (rc == RAY_OK) {
        rc = node_find(nodes, NULL, args->positionals[0], &node, &err);
    }
    if (rc == RAY_OK) {
        order.node = node->id;
        request.order = &order;
        rc = read_log(args, &request, &err);
    }
    node_list_free(nodes);
    return rc == RAY_OK ? 0 : output_error(&err);
}

int node_logs(const struct ray_args *args, void *context)
{
    (void)context;
    return run(args, false);
}

int node_dmesg(const struct ray_args *args, void *context)
{
    (void)context;
    return run(args, true);
}

#define LINES_OPTION                                                                               \
    {.name = "lines",                                                                              \
     .short_name = 'n',                                                                            \
     .value_name = "N",                                                                            \
     .default_value = "50",                                                                        \
     .help = "how many of the last lines"}
#define FOLLOW_OPTION {.name = "follow", .short_name = 'f', .help = "wait for those to come"}

const struct ray_args_option node_logs_options[] = {
    LINES_OPTION,
    FOLLOW_OPTION,
    {.name = "since",
     .value_name = "TIME",
     .help = "only those from then on ('10m': ten minutes ago; '2026-11-21 10:30', UTC)"},
    {.name = "unit", .value_name = "SERVICE", .help = "only those of this service or module"},
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};

const struct ray_args_option node_dmesg_options[] = {
    LINES_OPTION, FOLLOW_OPTION, CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};
