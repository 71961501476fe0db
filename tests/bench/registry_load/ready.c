/* ready.c - comes back when the member at the first socket shows its state linearizably: a
 * member that begins is asked again and again, from before it listens. */
#include <stdio.h>

#include "tests/bench/registry_load/load.h"

enum { RETRY_MS = 2 };

struct ready {
    struct ray_loop loop;
    struct ray_timer timer;
    struct ray_rpc_client *conn;
    const char *socket;
};

static void on_status(void *arg, const struct ray_rpc_result *result)
{
    struct ready *ready = arg;

    if (result->code == RAY_OK) {
        ray_loop_stop(&ready->loop);
    } else if (result->code != RAY_ECANCELED) {
        ray_timer_start(&ready->timer, RETRY_MS, 0);
    }
}

static void ask(void *arg)
{
    Rayos__Cluster__StatusRequest request = RAYOS__CLUSTER__STATUS_REQUEST__INIT;
    struct ready *ready = arg;

    ray_rpc_client_destroy(ready->conn);
    ready->conn = NULL;
    request.is_linearizable = true;
    if (ray_rpc_client_create_unix(&ready->conn, &ready->loop, ready->socket, NULL) != RAY_OK ||
        ray_rpc_call_start(ready->conn, "cluster.status", &request.base, NULL, 0,
                           &rayos__cluster__status__descriptor, 0, NULL, on_status, ready, NULL,
                           NULL) != RAY_OK) {
        ray_timer_start(&ready->timer, RETRY_MS, 0);
    }
}

void load_ready(const char *socket)
{
    struct ready ready = {.socket = socket};
    struct ray_err err = {0};

    if (ray_loop_init(&ready.loop, &err) != RAY_OK ||
        ray_timer_init(&ready.timer, &ready.loop, ask, &ready, &err) != RAY_OK) {
        load_die("ready", err.text);
    }
    ask(&ready);
    ray_loop_run(&ready.loop);
    ray_rpc_client_destroy(ready.conn);
    ray_timer_fini(&ready.timer);
    ray_loop_fini(&ready.loop);
}
