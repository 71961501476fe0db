/* rpc_once.c - one call for a program that has nothing else to do: connect, call, wait,
 * disconnect, on a loop of its own. */
#include <assert.h>
#include <stdbool.h>

#include "net/rpc.h"

struct once {
    struct ray_loop loop;
    const ProtobufCMessageDescriptor *output;
    bool is_done;
    int rc;
    ProtobufCMessage *body;
    int *fds; /* NULL: not wanted */
    size_t fd_count;
    struct ray_err err;
};

static void take_fds(struct once *once, const struct ray_rpc_result *result)
{
    assert(result->fd_count <= RAY_RPC_FD_COUNT_MAX);
    for (size_t i = 0; i < result->fd_count; i++) {
        once->fds[i] = result->fds[i];
        result->fds[i] = -1;
    }
    once->fd_count = result->fd_count;
}

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct once *once = arg;

    once->is_done = true;
    once->rc = result->code;
    if (result->code != RAY_OK) {
        ray_fail(&once->err, result->code, "%s", result->text);
        ray_next(&once->err, "%s", result->next_step);
    } else {
        /* The result lives in the connection's arena; the caller wants its own. */
        once->body =
            protobuf_c_message_unpack(once->output, NULL, result->packed_size, result->packed);
        if (once->body == NULL) {
            once->rc = ray_fail(&once->err, RAY_ENOMEM, "no memory for the answer");
        } else if (once->fds != NULL) {
            take_fds(once, result);
        }
    }
    ray_loop_stop(&once->loop);
}

/* Fills once->body and fds. */
static int run(struct once *once, const char *path, const char *method,
               const ProtobufCMessage *input, uint64_t timeout_ms, struct ray_err *err)
{
    struct ray_rpc_client *client = NULL;
    int rc = ray_loop_init(&once->loop, err);

    if (rc == RAY_OK) {
        rc = ray_rpc_client_create_unix(&client, &once->loop, path, err);
    }
    if (rc == RAY_OK) {
        rc = ray_rpc_call_start(client, method, input, NULL, 0, once->output, timeout_ms, NULL,
                                on_end, once, NULL, err);
    }
    if (rc == RAY_OK) {
        while (!once->is_done) {
            ray_loop_once(&once->loop);
        }
        rc = once->rc;
        if (rc != RAY_OK && err != NULL) {
            *err = once->err;
        }
    }
    ray_rpc_client_destroy(client);
    ray_loop_fini(&once->loop);
    return rc;
}

int ray_rpc_call_unix(const char *path, const char *method, const ProtobufCMessage *input,
                      const ProtobufCMessageDescriptor *output, uint64_t timeout_ms,
                      ProtobufCMessage **out_body, struct ray_err *err)
{
    struct once once = {.output = output};
    int rc;

    assert(path != NULL && out_body != NULL);
    rc = run(&once, path, method, input, timeout_ms, err);
    if (rc == RAY_OK) {
        *out_body = once.body;
    }
    return rc;
}

int ray_rpc_call_unix_fds(const char *path, const char *method, const ProtobufCMessage *input,
                          const ProtobufCMessageDescriptor *output, uint64_t timeout_ms,
                          ProtobufCMessage **out_body, int out_fds[static RAY_RPC_FD_COUNT_MAX],
                          size_t *out_fd_count, struct ray_err *err)
{
    struct once once = {.output = output, .fds = out_fds};
    int rc;

    assert(path != NULL && out_body != NULL);
    rc = run(&once, path, method, input, timeout_ms, err);
    if (rc == RAY_OK) {
        *out_body = once.body;
        *out_fd_count = once.fd_count;
    }
    return rc;
}
