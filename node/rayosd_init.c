#include "node/rayosd_init.h"

#include <stdlib.h>

#include "base/fault.h"
#include "net/rpc.h"

struct rayosd_init_ask {
    struct ray_rpc_client *client;
    rayosd_init_status *on_status; /* NULL: nobody waits any more */
    void *arg;
};

static void on_answer(void *arg, const struct ray_rpc_result *result)
{
    struct rayosd_init_ask *ask = arg;
    rayosd_init_status *on_status = ask->on_status;

    ask->on_status = NULL;
    if (on_status != NULL) { /* else the end of the client ends the call */
        on_status(ask->arg, (const Rayos__Init__Status *)result->body, result->text);
    }
}

static int start(struct rayosd_init_ask *ask, struct ray_loop *loop, const char *init_path,
                 uint64_t timeout_ms, struct ray_err *err)
{
    Rayos__Init__StatusRequest request = RAYOS__INIT__STATUS_REQUEST__INIT;
    int rc = ray_rpc_client_create_unix(&ask->client, loop, init_path, err);

    if (timeout_ms == 0 || timeout_ms > RAYOSD_INIT_TIMEOUT_MS) {
        timeout_ms = RAYOSD_INIT_TIMEOUT_MS;
    }
    return rc == RAY_OK ? ray_rpc_call_start(ask->client, "init.status", &request.base, NULL, 0,
                                             &rayos__init__status__descriptor, timeout_ms, NULL,
                                             on_answer, ask, NULL, err)
                        : rc;
}

int rayosd_init_ask(struct rayosd_init_ask **out_ask, struct ray_loop *loop, const char *init_path,
                    uint64_t timeout_ms, rayosd_init_status *on_status, void *arg,
                    struct ray_err *err)
{
    struct rayosd_init_ask *ask = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *ask);
    int rc;

    if (ask == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a call");
    }
    ask->on_status = on_status;
    ask->arg = arg;
    rc = start(ask, loop, init_path, timeout_ms, err);
    if (rc != RAY_OK) {
        rayosd_init_ask_destroy(ask);
        return rc;
    }
    *out_ask = ask;
    return RAY_OK;
}

void rayosd_init_ask_destroy(struct rayosd_init_ask *ask)
{
    if (ask == NULL) {
        return;
    }
    ask->on_status = NULL;
    ray_rpc_client_destroy(ask->client);
    free(ask);
}
