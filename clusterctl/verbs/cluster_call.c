/* cluster_call.c - a call is a stream without items. */
#include "clusterctl/verbs/cluster_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/size.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/context/reach.h"
#include "clusterctl/context/store.h"
#include "clusterctl/context/troubles.h"
#include "clusterctl/verbs/node_call.h"
#include "net/rpc.h"

static const char own_socket[] = "/run/rayos/node.sock";

enum {
    REFRESH_S = 600, /* so often the members are asked who the members are */
    REFRESH_TIMEOUT_MS = 2000,
    RESUME_PAUSE_MS = 200,
    WELL_NS = 1000000000, /* a stream that lasted so long was well: the time begins anew */
};

/* ---- where to ---- */

struct route {
    const char *socket; /* NULL: by the context */
    struct context context;
    struct ray_key *key;
};

static int find_context(const char *given, char out[static CONTEXT_NAME_SIZE], struct ray_err *err)
{
    int rc;

    if (given != NULL && !context_is_name(given)) {
        return ray_fail(err, RAY_EUSAGE, "'%.64s' is no name of a context", given);
    }
    if (given != NULL) {
        (void)snprintf(out, CONTEXT_NAME_SIZE, "%s", given);
        return RAY_OK;
    }
    rc = context_chosen(out, err);
    if (rc == RAY_ENOTFOUND) {
        rc = ray_fail(err, RAY_EUNAVAILABLE,
                      "no cluster to call: no member runs here, and no context is chosen");
        (void)ray_next(err,
                       "clusterctl context list; or on a node: start rayosd; or give --socket");
    }
    return rc;
}

static bool is_named_by_environment(void)
{
    const char *name = getenv("RAYOS_CONTEXT");

    return name != NULL && name[0] != '\0';
}

static int find_route(const struct ray_args *args, bool is_here, struct route *out,
                      struct ray_err *err)
{
    const char *socket = ray_args_value(args, "socket");
    const char *given = ray_args_value(args, "context");
    char name[CONTEXT_NAME_SIZE];
    int rc;

    if (given != NULL && (socket != NULL || is_here)) {
        (void)ray_fail(err, RAY_EUSAGE, "%s",
                       is_here ? "this is done on the node itself, not by --context"
                               : "either --socket or --context");
        return RAY_EUSAGE;
    }
    if (socket != NULL || is_here ||
        (given == NULL && !is_named_by_environment() && access(own_socket, F_OK) == 0)) {
        out->socket = socket != NULL ? socket : own_socket;
        return RAY_OK;
    }
    rc = find_context(given, name, err);
    rc = rc == RAY_OK ? context_load(name, &out->context, err) : rc;
    return rc == RAY_OK ? context_open_key(&out->context, &out->key, err) : rc;
}

/* ---- one try ---- */

struct call {
    struct ray_loop *loop;
    const struct cluster_stream *stream;
    size_t item_count; /* of this try */
    bool is_over;
    ProtobufCMessage *body;
    struct ray_err *err;
    int code;
};

static void on_item(void *arg, const ProtobufCMessage *item)
{
    struct call *call = arg;

    call->item_count++;
    call->stream->on_item(call->stream->arg, item);
}

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct call *call = arg;

    call->is_over = true;
    call->code = result->code;
    if (result->code != RAY_OK) {
        (void)ray_fail(call->err, result->code, "%s", result->text);
        (void)ray_next(call->err, "%s", result->next_step);
        return;
    }
    call->body =
        protobuf_c_message_unpack(call->stream->output, NULL, result->packed_size, result->packed);
    if (call->body == NULL) {
        call->code = ray_fail(call->err, RAY_ENOMEM, "no memory for the answer");
    }
}

static int run_call(struct call *call, struct ray_rpc_client *client, uint64_t timeout_ms)
{
    const struct cluster_stream *stream = call->stream;
    uint64_t limit_ms = stream->is_endless ? 0 : timeout_ms;
    int rc = stream->on_item == NULL
                 ? ray_rpc_call_start(client, stream->method, stream->input, NULL, 0,
                                      stream->output, limit_ms, NULL, on_end, call, NULL, call->err)
                 : ray_rpc_stream_start(client, stream->method, stream->input, stream->item,
                                        stream->output, limit_ms, on_item, on_end, call, NULL,
                                        call->err);

    while (rc == RAY_OK && !call->is_over) {
        ray_loop_once(call->loop);
    }
    return rc == RAY_OK ? call->code : rc;
}

/* What to do when nobody answers, unless the answer says it. */
static int next_step(struct ray_err *err)
{
    if (err->code == RAY_EUNAVAILABLE && err->next_step[0] == '\0') {
        (void)ray_next(err, "start rayosd, or give its --socket");
    }
    return err->code;
}

static int by_socket(struct call *call, const char *socket, uint64_t timeout_ms)
{
    struct ray_rpc_client *client = NULL;
    int rc = ray_rpc_client_create_unix(&client, call->loop, socket, call->err);

    rc = rc == RAY_OK ? run_call(call, client, timeout_ms) : rc;
    ray_rpc_client_destroy(client);
    return rc == RAY_OK || call->err == NULL ? rc : next_step(call->err);
}

/* ---- by a context ---- */

struct tour {
    struct call *call;
    struct route *route;
    uint64_t timeout_ms;
    uint64_t end_ns;
    bool has_asked; /* some member took the call */
    struct context_troubles troubles;
};

/* Whether the method may run a second time where it is not known whether it did: it only reads, or
 * its session makes it one. */
static bool is_repeatable(const char *method)
{
    static const char *const names[] = {
        "events",        "registry.query",   "registry.watch",  "session.open", "session.keep",
        "session.close", "registry.propose", "cluster.members", "node.plan",    "place.ask"};
    static const char *const endings[] = {".list", ".show", ".status"};
    size_t size = strlen(method);

    for (size_t i = 0; i < RAY_ARRAY_COUNT(names); i++) {
        if (strcmp(method, names[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(endings); i++) {
        size_t ending_size = strlen(endings[i]);

        if (size > ending_size && strcmp(method + size - ending_size, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What a member said, or its silence, is no reason to give up. */
static bool may_go_on(const struct call *call, int code)
{
    bool is_elsewhere = code == RAY_EUNAVAILABLE || code == RAY_ECLOSED || code == RAY_ECANCELED;

    if (call->item_count > 0 && call->stream->on_again == NULL) {
        return false;
    }
    return code == RAY_ENOQUORUM || (is_elsewhere && is_repeatable(call->stream->method));
}

static uint64_t left_ms(const struct tour *tour)
{
    uint64_t now_ns = ray_clock_monotonic_ns();

    return tour->end_ns > now_ns ? (tour->end_ns - now_ns) / RAY_NS_PER_MS : 0;
}

/* Now and then, and after a member was passed over: the answer has come, so that nothing of this
 * is an error. */
static void refresh(struct tour *tour, struct ray_rpc_client *client, size_t index)
{
    Rayos__Cluster__MembersRequest request = RAYOS__CLUSTER__MEMBERS_REQUEST__INIT;
    struct context *context = &tour->route->context;
    bool is_due = context_age_s(context->name) >= REFRESH_S;
    bool is_new = context_prefer(context, index);
    ProtobufCMessage *body = NULL;

    if ((is_due || is_new || tour->troubles.code != RAY_OK) &&
        reach_call(tour->call->loop, client, "cluster.members", &request.base,
                   &rayos__cluster__joined__descriptor, REFRESH_TIMEOUT_MS, &body,
                   NULL) == RAY_OK) {
        bool is_changed = false;

        (void)context_take(context, (const Rayos__Cluster__Joined *)body, &is_changed, NULL);
        protobuf_c_message_free_unpacked(body, NULL);
        is_new = is_new || is_changed || is_due;
    }
    if (is_new) {
        (void)context_save(context, NULL); /* as it was, it serves, too */
    }
}

/* Asks one member. RAY_EAGAIN: the next one. */
static int ask(struct tour *tour, size_t index)
{
    const struct context_member *member = &tour->route->context.members[index];
    struct call *call = tour->call;
    struct ray_rpc_client *client = NULL;
    struct ray_err why = {0};
    uint64_t begun_ns;
    int rc;

    if (left_ms(tour) == 0) {
        return RAY_EAGAIN;
    }
    call->is_over = false;
    call->err = &why;
    rc = reach_member(call->loop, member, &tour->route->context.cluster_id, tour->route->key,
                      left_ms(tour), &client, &why);
    if (rc != RAY_OK) {
        context_troubles_add(&tour->troubles, member->address, &why);
        return RAY_EAGAIN;
    }
    if (call->item_count > 0) {
        call->stream->on_again(call->stream->arg);
        call->item_count = 0;
    }
    tour->has_asked = true;
    begun_ns = ray_clock_monotonic_ns();
    rc = run_call(call, client, left_ms(tour) + 1);
    if (rc == RAY_OK) {
        refresh(tour, client, index);
    }
    ray_rpc_client_destroy(client);
    if (rc == RAY_OK) {
        return RAY_OK;
    }
    if (call->stream->is_endless && ray_clock_monotonic_ns() - begun_ns > WELL_NS) {
        tour->end_ns = ray_clock_monotonic_ns() + tour->timeout_ms * RAY_NS_PER_MS;
    }
    context_troubles_add(&tour->troubles, member->address, &why);
    return may_go_on(call, rc) ? RAY_EAGAIN : rc;
}

/* All of them, once. */
static int ask_all(struct tour *tour, struct ray_err *err)
{
    size_t count = tour->route->context.member_count;
    int rc = RAY_EAGAIN;

    tour->troubles = (struct context_troubles){.code = RAY_OK};
    for (size_t i = 0; i < count && rc == RAY_EAGAIN; i++) {
        rc = ask(tour, i);
    }
    return rc == RAY_OK ? RAY_OK
                        : context_troubles_fail(&tour->troubles, tour->route->context.name, err);
}

static int by_context(struct call *call, struct route *route, uint64_t timeout_ms,
                      struct ray_err *err)
{
    const struct timespec pause = {.tv_nsec = RESUME_PAUSE_MS * (long)RAY_NS_PER_MS};
    struct tour tour = {.call = call, .route = route, .timeout_ms = timeout_ms};
    bool may_resume = call->stream->is_endless && call->stream->on_again != NULL;
    int rc;

    tour.end_ns = ray_clock_monotonic_ns() + timeout_ms * RAY_NS_PER_MS;
    rc = ask_all(&tour, err);
    while (may_resume && tour.has_asked && may_go_on(call, rc) && left_ms(&tour) > 0) {
        (void)nanosleep(&pause, NULL); /* a shorter one is as good */
        rc = ask_all(&tour, err);
    }
    return rc;
}

/* ---- both ---- */

static int run_route(struct call *call, struct route *route, uint64_t timeout_ms,
                     struct ray_err *err)
{
    struct ray_loop loop;
    int rc = ray_loop_init(&loop, err);

    if (rc != RAY_OK) {
        return rc;
    }
    call->loop = &loop;
    call->err = err;
    rc = route->socket != NULL ? by_socket(call, route->socket, timeout_ms)
                               : by_context(call, route, timeout_ms, err);
    ray_loop_fini(&loop);
    call->loop = NULL;
    return rc;
}

static int run(const struct ray_args *args, const struct cluster_stream *stream, bool is_here,
               ProtobufCMessage **out_body, struct ray_err *err)
{
    struct route route = {.socket = NULL};
    struct call call = {.stream = stream, .code = RAY_EINTERNAL};
    struct ray_err own = {0};
    uint64_t timeout_ms = 0;
    int rc;

    err = err == NULL ? &own : err;
    rc = node_call_timeout_ms(args, &timeout_ms, err);
    rc = rc == RAY_OK ? find_route(args, is_here, &route, err) : rc;
    rc = rc == RAY_OK ? run_route(&call, &route, timeout_ms, err) : rc;
    ray_key_destroy(route.key);
    if (rc == RAY_OK && out_body != NULL) {
        *out_body = call.body;
    } else if (call.body != NULL) {
        protobuf_c_message_free_unpacked(call.body, NULL);
    }
    return rc;
}

int cluster_stream(const struct ray_args *args, const struct cluster_stream *stream,
                   ProtobufCMessage **out_body, struct ray_err *err)
{
    return run(args, stream, false, out_body, err);
}

static struct cluster_stream stream_of(const char *method, const ProtobufCMessage *input,
                                       const ProtobufCMessageDescriptor *output)
{
    return (struct cluster_stream){.method = method, .input = input, .output = output};
}

int cluster_call(const struct ray_args *args, const char *method, const ProtobufCMessage *input,
                 const ProtobufCMessageDescriptor *output, ProtobufCMessage **out_body,
                 struct ray_err *err)
{
    const struct cluster_stream stream = stream_of(method, input, output);

    return run(args, &stream, false, out_body, err);
}

int cluster_call_here(const struct ray_args *args, const char *method,
                      const ProtobufCMessage *input, const ProtobufCMessageDescriptor *output,
                      ProtobufCMessage **out_body, struct ray_err *err)
{
    const struct cluster_stream stream = stream_of(method, input, output);

    return run(args, &stream, true, out_body, err);
}

/* ---- each of them ---- */

bool cluster_is_here(const struct ray_args *args)
{
    struct route route = {.socket = NULL};
    bool is_here = find_route(args, false, &route, NULL) == RAY_OK && route.socket != NULL;

    ray_key_destroy(route.key);
    return is_here;
}

static int ask_alone(const struct route *route, const struct context_member *member,
                     uint64_t timeout_ms, struct ray_err *err)
{
    Rayos__Cluster__StatusRequest request = RAYOS__CLUSTER__STATUS_REQUEST__INIT;
    struct ray_rpc_client *client = NULL;
    ProtobufCMessage *body = NULL;
    struct ray_loop loop;
    int rc = ray_loop_init(&loop, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rc = reach_member(&loop, member, &route->context.cluster_id, route->key, timeout_ms, &client,
                      err);
    if (rc == RAY_OK) {
        rc = reach_call(&loop, client, "cluster.status", &request.base,
                        &rayos__cluster__status__descriptor, timeout_ms, &body, err);
    }
    if (body != NULL) {
        protobuf_c_message_free_unpacked(body, NULL);
    }
    ray_rpc_client_destroy(client);
    ray_loop_fini(&loop);
    return rc;
}

int cluster_each_member(const struct ray_args *args,
                        void (*on_member)(void *arg, const char *address,
                                          const struct ray_err *why),
                        void *arg, struct ray_err *err)
{
    struct route route = {.socket = NULL};
    uint64_t timeout_ms = 0;
    int rc = node_call_timeout_ms(args, &timeout_ms, err);

    rc = rc == RAY_OK ? find_route(args, false, &route, err) : rc;
    for (size_t i = 0; rc == RAY_OK && route.socket == NULL && i < route.context.member_count;
         i++) {
        struct ray_err why = {0};

        (void)ask_alone(&route, &route.context.members[i], timeout_ms, &why); /* `why` has it */
        on_member(arg, route.context.members[i].address, &why);
    }
    ray_key_destroy(route.key);
    return rc;
}

const char *cluster_reason(const struct ray_args *args, char *out, size_t out_size)
{
    const char *given = ray_args_value(args, "reason");
    size_t size = 0;

    if (given != NULL) {
        return given;
    }
    out[0] = '\0';
    for (size_t i = 0; i < args->depth && size < out_size; i++) {
        int n = snprintf(out + size, out_size - size, "%s%s", i == 0 ? "" : " ", args->path[i]);

        size += n > 0 ? (size_t)n : 0;
    }
    return out;
}

const struct ray_args_option cluster_read_options[] = {CLUSTER_LINEARIZABLE_OPTION,
                                                       OUTPUT_OPTION,
                                                       CLUSTER_SOCKET_OPTION,
                                                       NODE_TIMEOUT_OPTION("30"),
                                                       {0}};
