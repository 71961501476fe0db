/* rpc_fuzz.c - hostile messages at both ends, over a carrier of memory.
 *
 * Input: one byte (bit 0: 1 = at a client with calls in flight, 0 = at a server), then
 * messages, each a length of two bytes (big-endian) and that many bytes. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/loop.h"
#include "net/proto/rpc.pb-c.h"
#include "net/rpc_client.h"
#include "net/rpc_envelope.h"
#include "net/rpc_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Counts what is sent; "full" after some, so that blocking and draining are reached. */
struct memory_carrier {
    struct ray_rpc_carrier base;
    size_t queued_size;
    bool is_aborted;
    bool is_destroyed;
};

static int memory_send(struct ray_rpc_carrier *carrier, const uint8_t *bytes, size_t size,
                       const int *fds, size_t fd_count)
{
    struct memory_carrier *memory = (struct memory_carrier *)carrier;
    struct ray_rpc_message message;
    struct ray_arena arena;

    (void)fds;
    (void)fd_count;
    /* What we send must be what we accept. */
    ray_arena_init(&arena, RAY_RPC_ARENA_SIZE_MAX);
    if (ray_rpc_envelope_decode(bytes, size, &arena, &message, NULL) != RAY_OK) {
        abort();
    }
    ray_arena_fini(&arena);
    memory->queued_size += size + 10000;
    return memory->queued_size > RAY_RPC_QUEUE_SIZE_MAX ? RAY_ETOOBIG : RAY_OK;
}

static size_t memory_queued_size(const struct ray_rpc_carrier *carrier)
{
    return ((const struct memory_carrier *)carrier)->queued_size;
}

static const struct ray_rpc_peer *memory_peer(const struct ray_rpc_carrier *carrier)
{
    (void)carrier;
    return NULL;
}

static void memory_abort(struct ray_rpc_carrier *carrier, const struct ray_err *why)
{
    (void)why;
    ((struct memory_carrier *)carrier)->is_aborted = true;
}

static void memory_destroy(struct ray_rpc_carrier *carrier)
{
    ((struct memory_carrier *)carrier)->is_destroyed = true;
}

static const struct ray_rpc_carrier_ops memory_ops = {.send = memory_send,
                                                      .queued_size = memory_queued_size,
                                                      .peer = memory_peer,
                                                      .abort = memory_abort,
                                                      .destroy = memory_destroy};

/* ---- methods of the server under test ---- */

static void run_echo(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    (void)arg;
    (void)ray_rpc_reply(call, input);
}

struct stream {
    struct ray_rpc_call *call;
};

static void stream_canceled(void *arg)
{
    free(arg);
}

static void stream_pump(void *arg)
{
    static const Rayos__Rpc__Empty empty = RAYOS__RPC__EMPTY__INIT;
    struct stream *stream = arg;

    while (ray_rpc_send(stream->call, &empty.base) == RAY_OK) {
    }
}

static void run_stream(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct stream *stream = calloc(1, sizeof *stream);

    (void)input;
    (void)arg;
    if (stream == NULL) {
        abort();
    }
    stream->call = call;
    ray_rpc_call_on_drain(call, stream_pump, stream);
    ray_rpc_call_on_cancel(call, stream_canceled, stream);
    stream_pump(stream);
}

static const struct ray_rpc_method methods[] = {
    {"e", &rayos__rpc__request__descriptor, run_echo},
    {"s", &rayos__rpc__empty__descriptor, run_stream},
    {NULL, NULL, NULL},
};

/* ---- feeding ---- */

static void feed(struct memory_carrier *memory, const uint8_t *data, size_t size)
{
    const struct ray_rpc_carrier_user *user = &memory->base.user;

    while (size >= 2 && !memory->is_aborted && !memory->is_destroyed) {
        size_t length = (size_t)data[0] << 8 | data[1];

        data += 2;
        size -= 2;
        if (length > size) {
            length = size;
        }
        user->on_message(user->arg, data, length, NULL, 0);
        data += length;
        size -= length;
        if (memory->queued_size > RAY_RPC_QUEUE_HIGH_SIZE && !memory->is_destroyed) {
            memory->queued_size = 0;
            user->on_writable(user->arg);
        }
    }
    if (!memory->is_destroyed) {
        struct ray_err err = {0};

        ray_fail(&err, RAY_ECLOSED, "end of input");
        user->on_close(user->arg, &err);
    }
}

static void feed_server(const uint8_t *data, size_t size)
{
    struct memory_carrier memory = {.base = {.ops = &memory_ops}};
    struct ray_rpc_service service;
    struct ray_rpc_session *session = NULL;

    ray_rpc_service_init(&service, methods, NULL);
    service.takes_large = true;
    if (ray_rpc_session_create(&service, &session, &memory.base.user, NULL) != RAY_OK) {
        abort();
    }
    ray_rpc_session_open(session, &memory.base);
    feed(&memory, data, size);
    ray_rpc_service_fini(&service);
}

static void on_item(void *arg, const ProtobufCMessage *item)
{
    (void)item;
    (void)arg;
}

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    (void)result;
    (*(unsigned *)arg)++;
}

static void feed_client(const uint8_t *data, size_t size)
{
    static const Rayos__Rpc__Empty empty = RAYOS__RPC__EMPTY__INIT;
    struct memory_carrier memory = {.base = {.ops = &memory_ops}};
    struct ray_rpc_client *client = NULL;
    struct ray_loop loop = {0};
    unsigned ends[4] = {0};

    if (ray_loop_init(&loop, NULL) != RAY_OK ||
        ray_rpc_client_create(&client, &loop, &memory.base.user, NULL) != RAY_OK) {
        abort();
    }
    ray_rpc_client_open(client, &memory.base);
    for (size_t i = 0; i < 4; i++) {
        if (ray_rpc_call_start(client, "e", &empty.base, NULL, 0, &rayos__rpc__request__descriptor,
                               0, i % 2 == 0 ? on_item : NULL, on_end, &ends[i], NULL,
                               NULL) != RAY_OK) {
            abort();
        }
    }
    feed(&memory, data, size);
    ray_rpc_client_destroy(client);
    for (size_t i = 0; i < 4; i++) {
        if (ends[i] != 1) {
            abort(); /* every call ends exactly once */
        }
    }
    ray_loop_fini(&loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    if ((data[0] & 1) != 0) {
        feed_client(data + 1, size - 1);
    } else {
        feed_server(data + 1, size - 1);
    }
    return 0;
}
