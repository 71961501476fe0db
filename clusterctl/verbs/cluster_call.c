#include "clusterctl/verbs/cluster_call.h"

#include <stdio.h>
#include <string.h>

#include "clusterctl/verbs/node_call.h"
#include "net/rpc.h"

/* What to do when nobody answers, unless the answer says it. */
static int next_step(struct ray_err *err)
{
    if (err->code == RAY_EUNAVAILABLE && err->next_step[0] == '\0') {
        (void)ray_next(err, "start rayosd, or give its --socket");
    }
    return err->code;
}

int cluster_call(const struct ray_args *args, const char *method, const ProtobufCMessage *input,
                 const ProtobufCMessageDescriptor *output, ProtobufCMessage **out_body,
                 struct ray_err *err)
{
    uint64_t timeout_ms = 0;
    int rc = node_call_timeout_ms(args, &timeout_ms, err);

    if (rc == RAY_OK) {
        rc = ray_rpc_call_unix(ray_args_value(args, "socket"), method, input, output, timeout_ms,
                               out_body, err);
    }
    return rc == RAY_OK ? RAY_OK : next_step(err);
}

struct streaming {
    struct ray_loop loop;
    const struct cluster_stream *stream;
    ProtobufCMessage *body;
    struct ray_err *err;
    int code;
};

static void on_item(void *arg, const ProtobufCMessage *item)
{
    const struct streaming *streaming = arg;

    streaming->stream->on_item(streaming->stream->arg, item);
}

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct streaming *streaming = arg;

    streaming->code = result->code;
    if (result->code != RAY_OK) {
        (void)ray_fail(streaming->err, result->code, "%s", result->text);
        (void)ray_next(streaming->err, "%s", result->next_step);
    } else {
        streaming->body = protobuf_c_message_unpack(streaming->stream->output, NULL,
                                                    result->packed_size, result->packed);
    }
    ray_loop_stop(&streaming->loop);
}

static int run_stream(const struct ray_args *args, struct streaming *streaming, uint64_t timeout_ms,
                      struct ray_err *err)
{
    const struct cluster_stream *stream = streaming->stream;
    struct ray_rpc_client *client = NULL;
    int rc =
        ray_rpc_client_create_unix(&client, &streaming->loop, ray_args_value(args, "socket"), err);

    if (rc == RAY_OK) {
        rc =
            ray_rpc_stream_start(client, stream->method, stream->input, stream->item,
                                 stream->output, timeout_ms, on_item, on_end, streaming, NULL, err);
    }
    if (rc == RAY_OK) {
        ray_loop_run(&streaming->loop);
        rc = streaming->code;
    }
    ray_rpc_client_destroy(client);
    return rc;
}

int cluster_stream(const struct ray_args *args, const struct cluster_stream *stream,
                   ProtobufCMessage **out_body, struct ray_err *err)
{
    struct streaming streaming = {.stream = stream, .err = err, .code = RAY_EINTERNAL};
    uint64_t timeout_ms = 0;
    int rc = stream->is_endless ? RAY_OK : node_call_timeout_ms(args, &timeout_ms, err);

    if (rc == RAY_OK) {
        rc = ray_loop_init(&streaming.loop, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    rc = run_stream(args, &streaming, timeout_ms, err);
    ray_loop_fini(&streaming.loop);
    if (rc == RAY_OK && out_body != NULL) {
        *out_body = streaming.body;
    } else if (streaming.body != NULL) {
        protobuf_c_message_free_unpacked(streaming.body, NULL);
    }
    return rc == RAY_OK ? RAY_OK : next_step(err);
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
