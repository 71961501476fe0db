/* The caller of `node reboot` is a process of the node that goes down, so it ends in one of three
 * ways once PID 1 has accepted the order, and all of them mean success: the services are stopped
 * and PID 1 sends SIGTERM to whoever is left (it waits some seconds for them, time for a last
 * look); PID 1 closes its socket, before it unmounts; or the caller itself belongs to a service
 * and is killed with it, which nobody can report.
 *
 * Until the order is accepted SIGTERM is what it always is. One that comes while the order is under
 * way may be PID 1's: the answer was sent before it and is read first. */
#include "clusterctl/verbs/shutdown.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/node_power.h"
#include "clusterctl/verbs/shutdown_view.h"
#include "net/rpc.h"

enum {
    POLL_MS = 100,
    ANSWER_MS = 1000, /* for the answer that is waited for after SIGTERM */
};

enum phase {
    PHASE_LOOK,     /* what runs before the order */
    PHASE_ORDER,    /* the order is under way */
    PHASE_FOLLOW,   /* accepted */
    PHASE_DONE,     /* the node goes down */
    PHASE_FAILED,   /* err says why */
    PHASE_SIGNALED, /* SIGTERM, and not by this shutdown */
};

struct shutdown_call {
    const char *mode;
    const char *reason;
    bool is_followed;
    bool is_signaled; /* SIGTERM has come: what is under way is waited for, shortly */
    uint64_t timeout_ms;
    enum phase phase;
    struct shutdown_view view;
    struct ray_loop loop;
    struct ray_rpc_client *client;
    struct ray_timer poll;
    struct ray_timer limit;
    struct ray_signal sigterm;
    struct ray_err err;
};

static void end(struct shutdown_call *call, enum phase phase)
{
    if (call->phase < PHASE_DONE) {
        call->phase = phase;
    }
    ray_loop_stop(&call->loop);
}

/* Line by line: whoever reads us may see no other after it. */
static void flush(void)
{
    (void)fflush(stdout); /* the node goes down whether or not somebody reads */
}

static void start_call(struct shutdown_call *call, const char *method,
                       const ProtobufCMessage *input, const ProtobufCMessageDescriptor *output,
                       void (*on_end)(void *arg, const struct ray_rpc_result *result))
{
    /* call->limit is the time for all of them. */
    if (ray_rpc_call_start(call->client, method, input, NULL, 0, output, 0, NULL, on_end, call,
                           NULL, &call->err) != RAY_OK) {
        end(call, call->phase == PHASE_FOLLOW ? PHASE_DONE : PHASE_FAILED);
    }
}

static void fail(struct shutdown_call *call, const struct ray_rpc_result *result)
{
    if (call->phase >= PHASE_DONE) {
        return; /* ended before its answer: the reason is known */
    }
    (void)ray_fail(&call->err, result->code, "%s", result->text);
    (void)ray_next(&call->err, "%s",
                   result->next_step[0] != '\0' ? result->next_step : "clusterctl node status");
    end(call, PHASE_FAILED);
}

/* ---- following ---- */

static void on_status(void *arg, const struct ray_rpc_result *result)
{
    struct shutdown_call *call = arg;

    if (result->code != RAY_OK) {
        end(call, PHASE_DONE); /* PID 1 has closed its socket, or we have */
        return;
    }
    shutdown_view_update(&call->view, (const Rayos__Init__Status *)result->body, stdout);
    flush();
    if (call->is_signaled) {
        end(call, PHASE_DONE);
    } else {
        ray_timer_start(&call->poll, POLL_MS, 0);
    }
}

static void ask_status(struct shutdown_call *call,
                       void (*on_end)(void *arg, const struct ray_rpc_result *result))
{
    Rayos__Init__StatusRequest request = RAYOS__INIT__STATUS_REQUEST__INIT;

    start_call(call, "init.status", &request.base, &rayos__init__status__descriptor, on_end);
}

static void on_poll(void *arg)
{
    ask_status(arg, on_status);
}

static void on_close(void *arg)
{
    struct shutdown_call *call = arg;

    if (call->phase == PHASE_FOLLOW) {
        end(call, PHASE_DONE);
    }
}

/* ---- the order ---- */

static void on_accepted(void *arg, const struct ray_rpc_result *result)
{
    struct shutdown_call *call = arg;

    if (result->code != RAY_OK) {
        fail(call, result);
        return;
    }
    (void)printf("%s has begun (reason: %s)\n", call->mode, call->reason);
    flush();
    call->phase = PHASE_FOLLOW;
    if (!call->is_followed) {
        ray_loop_stop(&call->loop);
    } else {
        ask_status(call, on_status);
    }
}

static void on_look(void *arg, const struct ray_rpc_result *result)
{
    struct shutdown_call *call = arg;
    Rayos__Init__ShutdownRequest request = RAYOS__INIT__SHUTDOWN_REQUEST__INIT;

    if (result->code != RAY_OK) {
        fail(call, result);
        return;
    }
    shutdown_view_begin(&call->view, (const Rayos__Init__Status *)result->body);
    call->phase = PHASE_ORDER;
    request.mode = (char *)(uintptr_t)call->mode;
    request.reason = (char *)(uintptr_t)call->reason;
    start_call(call, "init.shutdown", &request.base, &rayos__init__done__descriptor, on_accepted);
}

static void on_sigterm(void *arg, int signum)
{
    struct shutdown_call *call = arg;

    (void)signum;
    if (call->phase == PHASE_LOOK || call->is_signaled) {
        end(call, call->phase == PHASE_FOLLOW ? PHASE_DONE : PHASE_SIGNALED);
        return;
    }
    call->is_signaled = true;
    ray_timer_start(&call->limit, ANSWER_MS, 0);
    if (ray_timer_is_active(&call->poll)) { /* no look is under way: one more */
        ray_timer_start(&call->poll, 0, 0);
    }
}

static void on_limit(void *arg)
{
    struct shutdown_call *call = arg;
    char left[128];

    if (call->is_signaled) {
        end(call, call->phase == PHASE_FOLLOW ? PHASE_DONE : PHASE_SIGNALED);
        return;
    }
    if (call->phase == PHASE_FOLLOW) {
        shutdown_view_left(&call->view, left, sizeof left);
        (void)ray_fail(&call->err, RAY_ETIMEOUT,
                       "%s has begun, but is not done after %llu s; still running: %s", call->mode,
                       (unsigned long long)(call->timeout_ms / 1000), left);
        (void)ray_next(&call->err, "clusterctl node services; 60 s after its begin PID 1 ends it "
                                   "by force");
    } else {
        (void)ray_fail(&call->err, RAY_ETIMEOUT, "PID 1 does not answer");
        (void)ray_next(&call->err, "the power button, or Ctrl-Alt-Del on the node's keyboard");
    }
    end(call, PHASE_FAILED);
}

static int start(struct shutdown_call *call, const char *path)
{
    int rc = ray_loop_init(&call->loop, &call->err);

    if (rc == RAY_OK) {
        rc = ray_timer_init(&call->poll, &call->loop, on_poll, call, &call->err);
    }
    if (rc == RAY_OK) {
        rc = ray_timer_init(&call->limit, &call->loop, on_limit, call, &call->err);
    }
    if (rc == RAY_OK) {
        rc = ray_signal_init(&call->sigterm, &call->loop, SIGTERM, on_sigterm, call, &call->err);
    }
    if (rc == RAY_OK) {
        rc = ray_rpc_client_create_unix(&call->client, &call->loop, path, &call->err);
    }
    if (rc == RAY_OK) {
        ray_rpc_client_on_close(call->client, on_close, call);
        ray_timer_start(&call->limit, call->timeout_ms, 0);
        ask_status(call, on_look);
    }
    return rc;
}

/* Leaves the phase in which it ended. */
static enum phase follow(struct shutdown_call *call, const char *path)
{
    if (start(call, path) != RAY_OK) {
        (void)node_call_next(&call->err);
        call->phase = PHASE_FAILED;
    } else if (call->phase < PHASE_DONE) { /* the first call may fail at once */
        ray_loop_run(&call->loop);
    }
    ray_rpc_client_destroy(call->client);
    ray_signal_fini(&call->sigterm);
    ray_timer_fini(&call->limit);
    ray_timer_fini(&call->poll);
    ray_loop_fini(&call->loop);
    return call->phase;
}

static int shut_down(const struct ray_args *args, const char *mode)
{
    const char *reason = ray_args_value(args, "reason");
    char fallback[64];
    char path[NODE_CALL_PATH_SIZE_MAX];
    struct shutdown_call call = {.mode = mode, .is_followed = !ray_args_flag(args, "no-wait")};

    (void)snprintf(fallback, sizeof fallback, "clusterctl node %s", args->command->name);
    call.reason = reason == NULL ? fallback : reason;
    if (ray_args_flag(args, "dry-run")) {
        (void)printf("would stop all services in order, then %s (reason: %s)\n", mode, call.reason);
        return 0;
    }
    if (node_call_timeout_ms(args, &call.timeout_ms, &call.err) != RAY_OK ||
        node_call_path(args, "init.sock", path, &call.err) != RAY_OK) {
        return output_error(&call.err);
    }
    switch (follow(&call, path)) {
    case PHASE_DONE:
        (void)printf("node: going down (%s)\n", mode);
        return 0;
    case PHASE_FOLLOW: /* --no-wait */
        return 0;
    case PHASE_SIGNALED:
        (void)raise(SIGTERM); /* its handler is gone: this ends us */
        return 1;
    default:
        return output_error(&call.err);
    }
}

/* With a name: a node of the cluster. */
static int run(const struct ray_args *args, const char *mode)
{
    struct ray_err err = {0};

    if (args->positional_count > 0) {
        return node_power(args, mode);
    }
    if (ray_args_flag(args, "drain") || ray_args_flag(args, "yes") ||
        ray_args_value(args, "socket") != NULL || ray_args_value(args, "context") != NULL) {
        (void)ray_fail(&err, RAY_EUSAGE, "without a name it is this machine, of no cluster");
        (void)ray_next(&err, "give the name of a node: clusterctl node list");
        return output_error(&err);
    }
    return shut_down(args, mode);
}

int node_shutdown(const struct ray_args *args, void *context)
{
    (void)context;
    return run(args, "poweroff");
}

int node_reboot(const struct ray_args *args, void *context)
{
    (void)context;
    return run(args, "reboot");
}

/* The default time is longer than the 60 s after which PID 1 uses force, and a boot. */
const struct ray_args_option node_shutdown_options[] = {
    {.name = "reason", .value_name = "TEXT", .help = "why, for the log"},
    {.name = "no-wait", .help = "end as soon as PID 1 has accepted the order"},
    {.name = "dry-run", .help = "say what would happen, change nothing"},
    {.name = "drain", .help = "NAME: move its guests and give up its vote before"},
    {.name = "yes", .help = "NAME: do not ask for the name"},
    CLUSTER_SOCKET_OPTION,
    NODE_SOCKET_DIR_OPTION,
    NODE_TIMEOUT_OPTION("300"),
    {0}};
