/* rayosd_methods.c - node.facts is answered at once; node.health and node.metrics first ask PID 1,
 * and are answered without it when that takes too long; the cluster's methods are
 * coordinator/api's. */
#include "node/rayosd_methods.h"

#include <assert.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/size.h"
#include "net/proto/init.pb-c.h"
#include "net/proto/node.pb-c.h"
#include "node/facts/facts.h"
#include "node/health/health.h"
#include "node/health/read.h"
#include "node/metrics/metrics.h"
#include "node/rayosd_init.h"
#include "node/rayosd_metrics.h"

enum { CONTEXT_ARENA_SIZE_MAX = 2 * FACTS_ARENA_SIZE_MAX };

/* A call that waits for PID 1. */
struct status_call {
    struct rayosd_context *context;
    struct ray_rpc_call *call;
    struct rayosd_init_ask *ask; /* NULL: could not be reached */
    void (*answer)(struct status_call *waiting, const Rayos__Init__Status *status, const char *why);
};

static void run_facts(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct rayosd_context *context = arg;
    Rayos__Node__Facts *facts = NULL;
    struct ray_err err = {0};

    (void)input; /* has no fields */
    ray_arena_reset(&context->arena);
    if (facts_read(context->root_fd, &context->arena, &facts, NULL, &err) != RAY_OK) {
        (void)ray_rpc_reply_err(call, &err); /* the caller is gone, or not */
        return;
    }
    facts_fit(facts, RAY_RPC_BODY_SIZE_MAX);
    (void)ray_rpc_reply(call, &facts->base);
}

/* Judges and answers. `status` may be NULL, then `why` says why. */
static void answer_health(struct status_call *waiting, const Rayos__Init__Status *status,
                          const char *why)
{
    Rayos__Node__Health *answer = NULL;
    struct health_input input;
    struct ray_err err = {0};

    if (rayosd_judge(waiting->context, status, why, &input, &answer, &err) == RAY_OK) {
        (void)ray_rpc_reply(waiting->call, &answer->base); /* the caller is gone, or not */
    } else {
        (void)ray_rpc_reply_err(waiting->call, &err);
    }
}

static void answer_metrics(struct status_call *waiting, const Rayos__Init__Status *status,
                           const char *why)
{
    Rayos__Node__Metrics answer = RAYOS__NODE__METRICS__INIT;
    struct ray_err err = {0};
    struct ray_buf text;

    ray_buf_init(&text, METRICS_SIZE_MAX);
    if (rayosd_metrics_text(waiting->context, status, why, &text, &err) == RAY_OK) {
        answer.text = (char *)(uintptr_t)ray_buf_text(&text); /* protobuf-c reads only */
        (void)ray_rpc_reply(waiting->call, &answer.base);     /* the caller is gone, or not */
    } else {
        (void)ray_rpc_reply_err(waiting->call, &err);
    }
    ray_buf_fini(&text);
}

static void waiting_free(struct status_call *waiting)
{
    rayosd_init_ask_destroy(waiting->ask);
    free(waiting);
}

/* PID 1 has answered, or did not in time. */
static void on_init_status(void *arg, const Rayos__Init__Status *status, const char *why)
{
    struct status_call *waiting = arg;

    waiting->answer(waiting, status, why);
    waiting_free(waiting);
}

static void on_waiting_cancel(void *arg)
{
    waiting_free(arg);
}

static void run_waiting(struct ray_rpc_call *call, struct rayosd_context *context,
                        void (*answer)(struct status_call *waiting,
                                       const Rayos__Init__Status *status, const char *why))
{
    struct status_call *waiting =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *waiting);
    struct ray_err err = {0};

    if (waiting == NULL) {
        ray_fail(&err, RAY_ENOMEM, "no memory for a call");
        (void)ray_rpc_reply_err(call, &err);
        return;
    }
    *waiting = (struct status_call){.context = context, .call = call, .answer = answer};
    ray_rpc_call_on_cancel(call, on_waiting_cancel, waiting);
    if (rayosd_init_ask(&waiting->ask, context->loop, context->init_path,
                        ray_rpc_call_remaining_ms(call), on_init_status, waiting, &err) != RAY_OK) {
        answer(waiting, NULL, err.text);
        waiting_free(waiting);
    }
}

static void run_health(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    (void)input; /* has no fields */
    run_waiting(call, arg, answer_health);
}

static void run_metrics(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    (void)input; /* has no fields */
    run_waiting(call, arg, answer_metrics);
}

int rayosd_judge(struct rayosd_context *context, const Rayos__Init__Status *status, const char *why,
                 struct health_input *out_input, Rayos__Node__Health **out_health,
                 struct ray_err *err)
{
    int rc;

    ray_arena_reset(&context->arena);
    rc = health_read(context->root_fd, &context->arena, out_input, err);
    if (rc == RAY_OK) {
        out_input->init = status;
        out_input->init_error = why;
        rc = health_judge(out_input, &context->arena, out_health, err);
    }
    return rc;
}

void rayosd_context_init(struct rayosd_context *context, struct ray_loop *loop, int root_fd,
                         const char *init_path)
{
    assert(loop != NULL && root_fd >= 0 && init_path != NULL);
    *context = (struct rayosd_context){.loop = loop, .root_fd = root_fd, .init_path = init_path};
    ray_arena_init(&context->arena, CONTEXT_ARENA_SIZE_MAX);
}

void rayosd_context_fini(struct rayosd_context *context)
{
    ray_arena_fini(&context->arena);
}

static void run_cluster(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const struct rayosd_context *context = arg;

    coord_member_call(context->member, call, input);
}

const struct ray_rpc_method *rayosd_methods(struct rayosd_context *context)
{
    static const struct ray_rpc_method own[] = {
        {"node.facts", &rayos__node__facts_request__descriptor, run_facts},
        {"node.health", &rayos__node__health_request__descriptor, run_health},
        {"node.metrics", &rayos__node__metrics_request__descriptor, run_metrics},
    };
    size_t count = 0;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(own); i++) {
        context->methods[count++] = own[i];
    }
    for (const struct ray_rpc_method *method = coord_member_methods(); method->name != NULL;
         method++) {
        assert(count < RAYOSD_METHODS_MAX - 1);
        context->methods[count] = *method;
        context->methods[count++].run = run_cluster;
    }
    context->methods[count] = (struct ray_rpc_method){0};
    return context->methods;
}
