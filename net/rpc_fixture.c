/* rpc_fixture.c - see rpc_fixture.h. Bodies are rpc.proto's own messages: Item and Credit
 * have the fields that a test needs. */
#include "net/rpc_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/proto_codec.h"

/* ---- methods ---- */

static void run_echo(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    (void)arg;
    (void)ray_rpc_reply(call, input);
}

static void run_fail(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct ray_err err = {0};

    (void)input;
    (void)arg;
    ray_fail(&err, RAY_ENOTFOUND, "no such thing");
    ray_next(&err, "make one");
    (void)ray_rpc_reply_err(call, &err);
}

static void stream_pump(void *arg)
{
    struct fixture *fixture = arg;
    struct fixture_stream *stream = &fixture->stream;
    Rayos__Rpc__Empty empty = RAYOS__RPC__EMPTY__INIT;
    uint8_t *bytes = calloc(1, stream->item_size + 1);

    while (bytes != NULL && stream->next < stream->count) {
        Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
        int rc;

        item.id = stream->next;
        item.body = ray_proto_bytes(bytes, stream->item_size);
        rc = ray_rpc_send(stream->call, &item.base);
        if (rc == RAY_EAGAIN) {
            stream->blocked_count++;
        } else if (rc != RAY_OK) {
            struct ray_err err = {0};

            ray_fail(&err, rc, "item %lu", (unsigned long)stream->next);
            (void)ray_rpc_reply_err(stream->call, &err);
            stream->call = NULL;
        }
        if (rc != RAY_OK) {
            free(bytes);
            return;
        }
        stream->next++;
    }
    free(bytes);
    (void)ray_rpc_reply(stream->call, &empty.base);
    stream->call = NULL;
}

static void stream_canceled(void *arg)
{
    struct fixture *fixture = arg;

    fixture->stream.call = NULL;
    fixture->canceled_count++;
}

static void run_stream(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Rpc__Credit *credit = (const Rayos__Rpc__Credit *)input;
    struct fixture *fixture = arg;

    fixture->stream =
        (struct fixture_stream){.call = call, .count = credit->id, .item_size = credit->count};
    ray_rpc_call_on_drain(call, stream_pump, fixture);
    ray_rpc_call_on_cancel(call, stream_canceled, fixture);
    stream_pump(fixture);
}

static void hold_canceled(void *arg)
{
    struct ray_rpc_call **slot = arg;

    *slot = NULL;
}

static void run_hold(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct fixture *fixture = arg;

    (void)input;
    fixture->remaining_ms = ray_rpc_call_remaining_ms(call);
    fixture->peer = *ray_rpc_call_peer(call);
    fixture->held[fixture->held_count] = call;
    if (!fixture->hold_without_callback) {
        ray_rpc_call_on_cancel(call, hold_canceled, &fixture->held[fixture->held_count]);
    }
    fixture->held_count++;
}

static void run_fd(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct fixture *fixture = arg;

    fixture->received_fd = ray_rpc_call_take_fd(call, 0);
    (void)ray_rpc_reply(call, input);
}

static void run_give(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    int ends[2] = {-1, -1};

    (void)arg;
    if (pipe(ends) != 0 || ray_rpc_reply_fds(call, input, ends, 2) != RAY_OK) {
        abort();
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void run_big(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    uint8_t *bytes = calloc(1, RAY_RPC_BODY_SIZE_MAX);

    (void)input;
    (void)arg;
    item.body = ray_proto_bytes(bytes, bytes != NULL ? RAY_RPC_BODY_SIZE_MAX : 0);
    (void)ray_rpc_reply(call, &item.base);
    free(bytes);
}

static void run_size(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Rpc__Item *item = (const Rayos__Rpc__Item *)input;
    Rayos__Rpc__Item answer = RAYOS__RPC__ITEM__INIT;

    (void)arg;
    for (size_t i = 0; i < item->body.len; i++) {
        answer.id = answer.id * 31 + item->body.data[i];
    }
    (void)ray_rpc_reply(call, &answer.base);
}

static void run_bye(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct fixture *fixture = arg;

    (void)ray_rpc_reply(call, input);
    ray_rpc_server_destroy(fixture->server);
    fixture->server = NULL;
}

static const struct ray_rpc_method methods[] = {
    {"test.echo", &rayos__rpc__item__descriptor, run_echo},
    {"test.fail", &rayos__rpc__empty__descriptor, run_fail},
    {"test.stream", &rayos__rpc__credit__descriptor, run_stream},
    {"test.hold", &rayos__rpc__empty__descriptor, run_hold},
    {"test.fd", &rayos__rpc__empty__descriptor, run_fd},
    {"test.give", &rayos__rpc__empty__descriptor, run_give},
    {"test.big", &rayos__rpc__empty__descriptor, run_big},
    {"test.size", &rayos__rpc__item__descriptor, run_size},
    {"test.bye", &rayos__rpc__empty__descriptor, run_bye},
    {NULL, NULL, NULL},
};

const struct ray_rpc_method *fixture_methods(void)
{
    return methods;
}

/* ---- set-up ---- */

static void on_late(void *arg)
{
    struct fixture *fixture = arg;

    fixture->is_timed_out = true;
}

int fixture_setup(struct fixture *fixture)
{
    const char *tmp = getenv("TMPDIR");
    int rc;

    *fixture = (struct fixture){.received_fd = -1};
    (void)snprintf(fixture->dir, sizeof fixture->dir, "%s/rpc-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(fixture->dir) == NULL) {
        fixture->dir[0] = '\0';
        return -1;
    }
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/sock", fixture->dir);
    rc = ray_loop_init(&fixture->loop, NULL);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&fixture->late, &fixture->loop, on_late, fixture, NULL);
    }
    if (rc == RAY_OK) {
        rc = ray_rpc_server_create_unix(&fixture->server, &fixture->loop, fixture->path, 0600,
                                        methods, fixture, NULL);
    }
    if (rc == RAY_OK) {
        ray_rpc_server_take_large(fixture->server);
        rc = ray_rpc_client_create_unix(&fixture->client, &fixture->loop, fixture->path, NULL);
    }
    return rc == RAY_OK ? 0 : -1;
}

void fixture_teardown(struct fixture *fixture)
{
    ray_rpc_client_destroy(fixture->client);
    ray_rpc_server_destroy(fixture->server);
    fixture_release_held(fixture);
    ray_timer_fini(&fixture->late);
    ray_loop_fini(&fixture->loop);
    if (fixture->received_fd >= 0) {
        (void)close(fixture->received_fd);
    }
    (void)unlink(fixture->path);
    if (fixture->dir[0] != '\0') {
        (void)rmdir(fixture->dir);
    }
}

int fixture_make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    *state = fixture;
    return fixture == NULL ? -1 : fixture_setup(fixture);
}

int fixture_drop(void **state)
{
    fixture_teardown(*state);
    free(*state);
    return 0;
}

void fixture_release_held(struct fixture *fixture)
{
    Rayos__Rpc__Empty empty = RAYOS__RPC__EMPTY__INIT;

    for (size_t i = 0; i < fixture->held_count; i++) {
        if (fixture->held[i] != NULL) {
            (void)ray_rpc_reply(fixture->held[i], &empty.base);
        }
        fixture->held[i] = NULL;
    }
    fixture->held_count = 0;
}

/* ---- the client's side ---- */

void fixture_on_item(void *arg, const ProtobufCMessage *message)
{
    const Rayos__Rpc__Item *item = (const Rayos__Rpc__Item *)message;
    struct fixture_outcome *outcome = arg;

    outcome->item_count++;
    outcome->item_sum += item->id;
}

void fixture_on_end(void *arg, const struct ray_rpc_result *result)
{
    struct fixture_outcome *outcome = arg;

    outcome->has_ended = true;
    outcome->end_count++;
    outcome->code = result->code;
    (void)snprintf(outcome->text, sizeof outcome->text, "%s",
                   result->text != NULL ? result->text : "");
    (void)snprintf(outcome->next_step, sizeof outcome->next_step, "%s",
                   result->next_step != NULL ? result->next_step : "");
    if (result->body != NULL && result->body->descriptor == &rayos__rpc__item__descriptor) {
        const Rayos__Rpc__Item *item = (const Rayos__Rpc__Item *)result->body;

        outcome->id = item->id;
        outcome->body_size = item->body.len;
    }
}

int fixture_call(struct fixture *fixture, const char *method, const ProtobufCMessage *input,
                 uint64_t timeout_ms, struct fixture_outcome *outcome, uint64_t *out_id)
{
    bool is_stream = strcmp(method, "test.stream") == 0;

    *outcome = (struct fixture_outcome){.fixture = fixture};
    /* An end of a stream is empty; unknown fields are none, so Item takes both. */
    return ray_rpc_call_start(
        fixture->client, method, input, NULL, 0, &rayos__rpc__item__descriptor, timeout_ms,
        is_stream ? fixture_on_item : NULL, fixture_on_end, outcome, out_id, NULL);
}

void fixture_run_until(struct fixture *fixture, const bool *flag)
{
    fixture->is_timed_out = false;
    ray_timer_start(&fixture->late, 10000, 0);
    while (!*flag && !fixture->is_timed_out) {
        ray_loop_once(&fixture->loop);
    }
    ray_timer_stop(&fixture->late);
}

int fixture_connect_raw(const struct fixture *fixture)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", fixture->path);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}
