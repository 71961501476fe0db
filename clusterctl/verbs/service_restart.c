/* service_restart.c - PID 1 answers at once; how it goes on is seen by looking again. */
#include "clusterctl/verbs/service_restart.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/node_call.h"
#include "net/proto/init.pb-c.h"

enum { POLL_MS = 100, STATE_SIZE = 32 };

struct look {
    char state[STATE_SIZE];
    char why[128];
    char last_exit[128];
    uint32_t start_count;
};

/* What PID 1 says of the service. */
static int look_at(const struct ray_args *args, const char *name, struct look *out,
                   struct ray_err *err)
{
    Rayos__Init__StatusRequest request = RAYOS__INIT__STATUS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    const Rayos__Init__Status *status;
    int rc = node_call(args, "init.sock", "init.status", &request.base,
                       &rayos__init__status__descriptor, &body, err);

    if (rc != RAY_OK) {
        return rc;
    }
    status = (const Rayos__Init__Status *)body;
    rc = RAY_ENOTFOUND;
    for (size_t i = 0; i < status->n_services && rc != RAY_OK; i++) {
        const Rayos__Init__Service *service = status->services[i];

        if (strcmp(service->name, name) == 0) {
            (void)ray_escape(out->state, sizeof out->state, service->state, strlen(service->state));
            (void)ray_escape(out->why, sizeof out->why, service->why, strlen(service->why));
            (void)ray_escape(out->last_exit, sizeof out->last_exit, service->last_exit,
                             strlen(service->last_exit));
            out->start_count = service->start_count;
            rc = RAY_OK;
        }
    }
    protobuf_c_message_free_unpacked(body, NULL);
    if (rc != RAY_OK) {
        (void)ray_fail(err, rc, "no service '%s'", name);
        (void)ray_next(err, "clusterctl node services");
    }
    return rc;
}

static const char *reason_of(const struct ray_args *args)
{
    const char *reason = ray_args_value(args, "reason");

    return reason != NULL ? reason : "clusterctl node service-restart";
}

static int order(const struct ray_args *args, const char *name, struct ray_err *err)
{
    Rayos__Init__ServiceRestartRequest request = RAYOS__INIT__SERVICE_RESTART_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    int rc;

    request.name = (char *)(uintptr_t)name;
    request.reason = (char *)(uintptr_t)reason_of(args);
    rc = node_call(args, "init.sock", "init.service_restart", &request.base,
                   &rayos__init__done__descriptor, &body, err);
    if (rc == RAY_OK) {
        protobuf_c_message_free_unpacked(body, NULL);
    } else if (rc == RAY_ENOTFOUND && err->next_step[0] == '\0') {
        (void)ray_next(err, "clusterctl node services");
    }
    return rc;
}

static bool is_state(const struct look *look, const char *state)
{
    return strcmp(look->state, state) == 0;
}

static int fail_to_start(const char *name, const struct look *look, int code, struct ray_err *err)
{
    (void)ray_fail(err, code, "service %s is %s%s%s%s%s", name, look->state,
                   look->why[0] != '\0' ? ": " : "", look->why,
                   look->last_exit[0] != '\0' ? "; last " : "", look->last_exit);
    (void)ray_next(err, "clusterctl node log");
    return code;
}

/* Until it was started once more and is ready (or done, if that is its way). */
static int follow(const struct ray_args *args, const char *name, uint32_t old_start_count,
                  struct ray_err *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * (long)RAY_NS_PER_MS};
    uint64_t begin_ns = ray_clock_monotonic_ns();
    uint64_t timeout_ms = 0;
    char last[STATE_SIZE] = "";
    int rc = node_call_timeout_ms(args, &timeout_ms, err);

    while (rc == RAY_OK) {
        struct look look = {0};
        uint64_t took_ms;

        rc = look_at(args, name, &look, err);
        if (rc != RAY_OK) {
            break;
        }
        took_ms = (ray_clock_monotonic_ns() - begin_ns) / RAY_NS_PER_MS;
        if (strcmp(last, look.state) != 0) {
            (void)printf("%s: %s (%.1f s)\n", name, look.state, (double)took_ms / 1000);
            (void)fflush(stdout); /* progress: whoever waits sees it now */
            (void)snprintf(last, sizeof last, "%s", look.state);
        }
        if (look.start_count != old_start_count &&
            (is_state(&look, "ready") || is_state(&look, "stopped"))) {
            return RAY_OK;
        }
        if (look.start_count != old_start_count && is_state(&look, "gave-up")) {
            return fail_to_start(name, &look, RAY_EUNAVAILABLE, err);
        }
        if (took_ms >= timeout_ms) {
            return fail_to_start(name, &look, RAY_ETIMEOUT, err);
        }
        (void)nanosleep(&pause, NULL); /* a shorter one is as good */
    }
    return rc;
}

int node_service_start_count(const struct ray_args *args, const char *name, uint32_t *out_count,
                             struct ray_err *err)
{
    struct look look = {0};
    int rc = look_at(args, name, &look, err);

    if (rc == RAY_OK) {
        *out_count = look.start_count;
    }
    return rc;
}

int node_service_wait(const struct ray_args *args, const char *name, uint32_t old_start_count,
                      struct ray_err *err)
{
    return follow(args, name, old_start_count, err);
}

int node_service_restart(const struct ray_args *args, void *context)
{
    const char *name = args->positionals[0];
    struct look look = {0};
    struct ray_err err = {0};
    int rc;

    (void)context;
    rc = look_at(args, name, &look, &err);
    if (rc == RAY_OK && ray_args_flag(args, "dry-run")) {
        (void)printf("would restart service %s, which is %s (reason: %s)\n", name, look.state,
                     reason_of(args));
        return 0;
    }
    rc = rc == RAY_OK ? order(args, name, &err) : rc;
    if (rc == RAY_OK && ray_args_flag(args, "no-wait")) {
        (void)printf("service %s was told to restart\n", name);
        return 0;
    }
    rc = rc == RAY_OK ? follow(args, name, look.start_count, &err) : rc;
    return rc == RAY_OK ? 0 : output_error(&err);
}

const struct ray_args_option node_service_restart_options[] = {
    {.name = "reason", .value_name = "TEXT", .help = "why, for the log"},
    {.name = "no-wait", .help = "end as soon as PID 1 has accepted the order"},
    {.name = "dry-run", .help = "say what would happen, change nothing"},
    NODE_SOCKET_DIR_OPTION,
    NODE_TIMEOUT_OPTION("60"),
    {0}};
