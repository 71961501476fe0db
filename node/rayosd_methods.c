/* rayosd_methods.c - node.facts is answered at once; node.health first asks PID 1, and is
 * answered without it when that takes too long; the cluster's methods are coordinator/api's. */
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

enum { INIT_TIMEOUT_MS = 2000, CONTEXT_ARENA_SIZE_MAX = 2 * FACTS_ARENA_SIZE_MAX };

/* A node.health that waits for PID 1. */
struct health_call {
    struct rayosd_context *context;
    struct ray_rpc_call *call;
    struct ray_rpc_client *init; /* NULL: could not be reached */
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
static void health_answer(const struct health_call *health, const Rayos__Init__Status *status,
                          const char *why)
{
    struct rayosd_context *context = health->context;
    Rayos__Node__Health *answer = NULL;
    struct health_input input;
    struct ray_err err = {0};
    int rc;

    ray_arena_reset(&context->arena);
    rc = health_read(context->root_fd, &context->arena, &input, &err);
    if (rc == RAY_OK) {
        input.init = status;
        input.init_error = why;
        rc = health_judge(&input, &context->arena, &answer, &err);
    }
    if (rc == RAY_OK) {
        (void)ray_rpc_reply(health->call, &answer->base); /* the caller is gone, or not */
    } else {
        (void)ray_rpc_reply_err(health->call, &err);
    }
}

static void health_free(struct health_call *health)
{
    ray_rpc_client_destroy(health->init);
    free(health);
}

/* PID 1 has answered, or did not in time. */
static void on_init_status(void *arg, const struct ray_rpc_result *result)
{
    struct health_call *health = arg;

    if (health->call == NULL) {
        return; /* on_cancel destroys the client, which ends this call */
    }
    health_answer(health, (const Rayos__Init__Status *)result->body, result->text);
    health->call = NULL;
    health_free(health);
}

static void on_health_cancel(void *arg)
{
    struct health_call *health = arg;

    health->call = NULL;
    health_free(health);
}

/* RAY_OK: on_init_status follows. */
static int ask_init(struct health_call *health, struct ray_err *err)
{
    Rayos__Init__StatusRequest request = RAYOS__INIT__STATUS_REQUEST__INIT;
    uint64_t timeout_ms = ray_rpc_call_remaining_ms(health->call);
    int rc = ray_rpc_client_create_unix(&health->init, health->context->loop,
                                        health->context->init_path, err);

    if (timeout_ms == 0 || timeout_ms > INIT_TIMEOUT_MS) {
        timeout_ms = INIT_TIMEOUT_MS;
    }
    if (rc == RAY_OK) {
        rc = ray_rpc_call_start(health->init, "init.status", &request.base, NULL, 0,
                                &rayos__init__status__descriptor, timeout_ms, NULL, on_init_status,
                                health, NULL, err);
    }
    return rc;
}

static void run_health(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct health_call *health = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *health);
    struct ray_err err = {0};

    (void)input; /* has no fields */
    if (health == NULL) {
        ray_fail(&err, RAY_ENOMEM, "no memory for a call");
        (void)ray_rpc_reply_err(call, &err);
        return;
    }
    health->context = arg;
    health->call = call;
    ray_rpc_call_on_cancel(call, on_health_cancel, health);
    if (ask_init(health, &err) != RAY_OK) {
        health_answer(health, NULL, err.text);
        health->call = NULL;
        health_free(health);
    }
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
