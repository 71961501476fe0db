/* rpc_pipe.c - an item that the caller has no room for is kept, and the service held, until there
 * is room again; the end waits for the items before it.
 *
 * Invariant: as long as `call` is set, it is open. Ends of ours that come from within a callback of
 * the client destroy it there, which it allows. */
#include "net/rpc_pipe.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/rpc_carrier.h"

/* What a held service may still send, behind the one that there was no room for. */
enum { PLACES = RAY_RPC_STREAM_WINDOW + 1, WHOM_SIZE = 128 };

struct kept {
    uint8_t *bytes;
    size_t size;
};

struct pipe {
    struct ray_rpc_call *call; /* NULL: ended */
    struct ray_rpc_client *client;
    uint64_t call_id;
    const ProtobufCMessageDescriptor *item;
    const ProtobufCMessageDescriptor *output;
    struct kept waiting[PLACES];
    size_t waiting_first;
    size_t waiting_count;
    bool has_ended; /* the service; then `end`, or `err` */
    ProtobufCMessage *end;
    struct ray_err err;
    char whom[WHOM_SIZE];
    void (*on_over)(void *arg);
    void *arg;
};

static void drop_first(struct pipe *pipe)
{
    free(pipe->waiting[pipe->waiting_first].bytes);
    pipe->waiting_first = (pipe->waiting_first + 1) % PLACES;
    pipe->waiting_count--;
}

/* The call is gone. */
static void over(struct pipe *pipe)
{
    struct ray_rpc_client *client = pipe->client;

    pipe->call = NULL;
    pipe->client = NULL;
    ray_rpc_client_destroy(client); /* a call under way ends in on_end, which sees that */
    while (pipe->waiting_count > 0) {
        drop_first(pipe);
    }
    if (pipe->end != NULL) {
        protobuf_c_message_free_unpacked(pipe->end, NULL);
    }
    if (pipe->on_over != NULL) {
        pipe->on_over(pipe->arg);
    }
    free(pipe);
}

static void answer(struct pipe *pipe)
{
    struct ray_rpc_call *call = pipe->call;

    pipe->call = NULL;
    if (pipe->end != NULL) {
        (void)ray_rpc_reply(call, pipe->end); /* the caller is gone, or not */
    } else {
        (void)ray_rpc_reply_err(call, &pipe->err);
    }
    over(pipe);
}

static void fail(struct pipe *pipe, int code, const char *why)
{
    if (pipe->end != NULL) {
        protobuf_c_message_free_unpacked(pipe->end, NULL);
        pipe->end = NULL;
    }
    (void)ray_fail(&pipe->err, code, "%s", why);
    answer(pipe);
}

/* ---- towards the caller ---- */

static int send_kept(struct pipe *pipe)
{
    const struct kept *kept = &pipe->waiting[pipe->waiting_first];
    ProtobufCMessage *item = protobuf_c_message_unpack(pipe->item, NULL, kept->size, kept->bytes);
    int rc = RAY_ENOMEM;

    if (item != NULL) {
        rc = ray_rpc_send(pipe->call, item);
        protobuf_c_message_free_unpacked(item, NULL);
    }
    return rc;
}

static void on_drain(void *arg)
{
    struct pipe *pipe = arg;

    while (pipe->waiting_count > 0) {
        int rc = send_kept(pipe);

        if (rc == RAY_EAGAIN || rc == RAY_ECLOSED) {
            return; /* on_drain or on_cancel follows */
        }
        if (rc != RAY_OK) {
            fail(pipe, rc, "an answer could not be handed on");
            return;
        }
        drop_first(pipe);
    }
    if (pipe->has_ended) {
        answer(pipe);
    } else {
        ray_rpc_call_hold(pipe->client, pipe->call_id, false);
    }
}

static void on_cancel(void *arg)
{
    over(arg);
}

/* ---- from the service ---- */

static int keep(struct pipe *pipe, const ProtobufCMessage *item)
{
    struct kept *kept = &pipe->waiting[(pipe->waiting_first + pipe->waiting_count) % PLACES];

    if (pipe->waiting_count == PLACES) {
        return RAY_ETOOBIG; /* more than the service may send while it is held */
    }
    kept->size = protobuf_c_message_get_packed_size(item);
    kept->bytes = ray_rpc_alloc(kept->size + 1);
    if (kept->bytes == NULL) {
        return RAY_ENOMEM;
    }
    (void)protobuf_c_message_pack(item, kept->bytes);
    pipe->waiting_count++;
    return RAY_OK;
}

static void on_item(void *arg, const ProtobufCMessage *item)
{
    struct pipe *pipe = arg;
    int rc = RAY_EAGAIN;

    if (pipe->call == NULL) {
        return;
    }
    if (pipe->waiting_count == 0) {
        rc = ray_rpc_send(pipe->call, item);
    }
    if (rc == RAY_EAGAIN) {
        ray_rpc_call_hold(pipe->client, pipe->call_id, true);
        rc = keep(pipe, item);
    }
    if (rc != RAY_OK && rc != RAY_ECLOSED) { /* closed: on_cancel follows */
        fail(pipe, rc, "an answer could not be handed on");
    }
}

/* The service's own word, but for a connection that is gone. */
static void take_error(struct pipe *pipe, const struct ray_rpc_result *result)
{
    if (result->code == RAY_ECLOSED || result->code == RAY_ECANCELED) {
        (void)ray_fail(&pipe->err, RAY_EUNAVAILABLE, "%s was lost before it had answered",
                       pipe->whom);
        (void)ray_next(&pipe->err, "look whether it is up, and ask again");
    } else if (result->code == RAY_ETIMEOUT) {
        (void)ray_fail(&pipe->err, RAY_ETIMEOUT, "%s does not answer", pipe->whom);
        (void)ray_next(&pipe->err, "look whether it is up, and ask again");
    } else {
        (void)ray_fail(&pipe->err, result->code, "%s", result->text);
        (void)ray_next(&pipe->err, "%s", result->next_step);
    }
}

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct pipe *pipe = arg;

    if (pipe->call == NULL) {
        return; /* it ends because we have */
    }
    pipe->has_ended = true;
    if (result->code != RAY_OK) {
        take_error(pipe, result);
    } else {
        pipe->end =
            protobuf_c_message_unpack(pipe->output, NULL, result->packed_size, result->packed);
        if (pipe->end == NULL) {
            (void)ray_fail(&pipe->err, RAY_ENOMEM, "no memory for an answer");
        }
    }
    if (pipe->waiting_count == 0) {
        answer(pipe);
    }
}

/* ---- beginning ---- */

static int start(struct pipe *pipe, const struct ray_rpc_pipe_to *to, const ProtobufCMessage *input)
{
    return to->item != NULL
               ? ray_rpc_stream_start(pipe->client, to->method, input, to->item, to->output,
                                      to->timeout_ms, on_item, on_end, pipe, &pipe->call_id,
                                      &pipe->err)
               : ray_rpc_call_start(pipe->client, to->method, input, NULL, 0, to->output,
                                    to->timeout_ms, NULL, on_end, pipe, &pipe->call_id, &pipe->err);
}

void ray_rpc_pipe(struct ray_rpc_call *call, struct ray_rpc_client *client,
                  const struct ray_rpc_pipe_to *to, const ProtobufCMessage *input,
                  void (*on_over)(void *arg), void *arg)
{
    struct pipe *pipe = ray_rpc_alloc(sizeof *pipe);
    struct ray_err err = {0};

    assert(call != NULL && client != NULL && to->output != NULL);
    if (pipe == NULL) {
        (void)ray_fail(&err, RAY_ENOMEM, "no memory to hand a call on");
        (void)ray_rpc_reply_err(call, &err);
        ray_rpc_client_destroy(client);
        if (on_over != NULL) {
            on_over(arg);
        }
        return;
    }
    *pipe = (struct pipe){.call = call,
                          .client = client,
                          .item = to->item,
                          .output = to->output,
                          .on_over = on_over,
                          .arg = arg};
    (void)snprintf(pipe->whom, sizeof pipe->whom, "%s", to->whom);
    ray_rpc_call_on_drain(call, on_drain, pipe);
    ray_rpc_call_on_cancel(call, on_cancel, pipe);
    if (start(pipe, to, input) != RAY_OK) {
        answer(pipe);
    }
}
