/* rpc_once.c - one call for a program that has nothing else to do: connect, call, wait,
 * disconnect, on a loop of its own. */
#include <assert.h>
#include <stdbool.h>

#include "net/rpc.h"

struct once {
    struct ray_loop *loop;
    const ProtobufCMessageDescriptor *output;
    bool is_done;
    int rc;
    ProtobufCMessage *body;
    struct ray_err *err;
};

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct once *once = arg;

    once->is_done = true;
    once->rc = result->code;
    if (result->code != RAY_OK) {
        ray_fail(once->err, result->code, "%s", result->text);
        ray_next(once->err, "%s", result->next_step);
    } else {
        /* The result lives in the connection's arena; the caller wants its own. */
        once->body =
            protobuf_c_message_unpack(once->output, NULL, result->packed_size, result->packed);
        if (once->body == NULL) {
            once->rc = ray_fail(once->err, RAY_ENOMEM, "no memory for the answer");
        }
    }
    ray_loop_stop(once->loop);
}

int ray_rpc_call_unix(const char *path, const char *method, const ProtobufCMessage *input,
                      const ProtobufCMessageDescriptor *output, uint64_t timeout_ms,
                      ProtobufCMessage **out_body, struct ray_err *err)
{
    struct ray_err own_err = {0};
    struct ray_loop loop = {0};
    struct ray_rpc_client *client = NULL;
    struct once once = {.loop = &loop, .output = output, .err = err != NULL ? err : &own_err};
    int rc;

    assert(path != NULL && out_body != NULL);
    rc = ray_loop_init(&loop, err);
    if (rc == RAY_OK) {
        rc = ray_rpc_client_create_unix(&client, &loop, path, err);
    }
    if (rc == RAY_OK) {
        rc = ray_rpc_call_start(client, method, input, NULL, 0, output, timeout_ms, NULL, on_end,
                                &once, NULL, err);
    }
    if (rc == RAY_OK) {
        while (!once.is_done) {
            ray_loop_once(&loop);
        }
        rc = once.rc;
    }
    ray_rpc_client_destroy(client);
    ray_loop_fini(&loop);
    if (rc == RAY_OK) {
        *out_body = once.body;
    }
    return rc;
}
