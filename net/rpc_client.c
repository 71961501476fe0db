/* rpc_client.c - the calling side of a connection.
 *
 * Every call ends exactly once: by the server's End, its deadline, cancel, close or
 * destroy. It is unlinked before its on_end runs, so the callback may do anything, also
 * destroy the client: that is held while in use and freed by the last release. One timer
 * serves all deadlines; it also delivers the ends that must not come from within a call
 * of the user's (cancel). */
#include "net/rpc_client.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/proto_codec.h"
#include "net/rpc_client_impl.h"
#include "net/rpc_envelope.h"
#include "net/rpc_unix.h"

static_assert((int)RAY_RPC_STREAM_WINDOW <= (int)RAY_RPC_CREDIT_MAX, "a peer would refuse it");

void ray_rpc_client_release(struct ray_rpc_client *client)
{
    assert(client->hold_count > 0);
    client->hold_count--;
    if (client->hold_count == 0) {
        assert(client->carrier == NULL && TAILQ_EMPTY(&client->calls));
        ray_arena_fini(&client->receive_arena);
        ray_arena_fini(&client->send_arena);
        free(client);
    }
}

/* ---- ends ---- */

struct ray_rpc_client_call *ray_rpc_client_find(struct ray_rpc_client *client, uint64_t id)
{
    struct ray_rpc_client_call *call;

    TAILQ_FOREACH(call, &client->calls, entry)
    {
        if (call->id == id) {
            return call;
        }
    }
    return NULL;
}

void ray_rpc_client_end(struct ray_rpc_client *client, struct ray_rpc_client_call *call,
                        const struct ray_rpc_result *result)
{
    TAILQ_REMOVE(&client->calls, call, entry);
    client->call_count--;
    call->on_end(call->arg, result);
    free(call);
}

void ray_rpc_client_fail(struct ray_rpc_client *client, struct ray_rpc_client_call *call,
                         const struct ray_err *why)
{
    struct ray_rpc_result result = {
        .code = why->code, .text = why->text, .next_step = why->next_step};

    assert(why->code != RAY_OK);
    ray_rpc_client_end(client, call, &result);
}

static void fail_all(struct ray_rpc_client *client, const struct ray_err *why)
{
    struct ray_rpc_client_call *call;

    while ((call = TAILQ_FIRST(&client->calls)) != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see that TAILQ_REMOVE unlinks */
        ray_rpc_client_fail(client, call, why);
    }
}

/* ---- sending ---- */

static int post(struct ray_rpc_client *client, const struct ray_rpc_message *message,
                const int *fds, size_t fd_count, struct ray_err *err)
{
    const uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = ray_rpc_envelope_encode(message, &client->send_arena, &bytes, &size, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rc = client->carrier->ops->send(client->carrier, bytes, size, fds, fd_count);
    return rc != RAY_OK ? ray_fail(err, rc, "cannot send the call") : RAY_OK;
}

int ray_rpc_client_post(struct ray_rpc_client *client, const struct ray_rpc_message *message,
                        const int *fds, size_t fd_count, struct ray_err *err)
{
    int rc = post(client, message, fds, fd_count, err);

    ray_arena_wipe(&client->send_arena);
    return rc;
}

void ray_rpc_client_post_or_abort(struct ray_rpc_client *client,
                                  const struct ray_rpc_message *message)
{
    struct ray_err err = {0};
    int rc;

    if (client->carrier == NULL) {
        return;
    }
    ray_arena_reset(&client->send_arena);
    rc = ray_rpc_client_post(client, message, NULL, 0, &err);
    if (rc != RAY_OK && rc != RAY_ECLOSED) { /* closed: what is still to be read ends it */
        client->carrier->ops->abort(client->carrier, &err);
    }
}

void ray_rpc_client_post_cancel(struct ray_rpc_client *client, uint64_t id)
{
    struct ray_rpc_message message = {.kind = RAY_RPC_CANCEL, .id = id};

    ray_rpc_client_post_or_abort(client, &message);
}

/* ---- deadlines ---- */

/* Looks through all calls: for those with a deadline, and for ends that are owed. */
static void timer_arm(struct ray_rpc_client *client)
{
    uint64_t now_ns = ray_clock_monotonic_ns();
    uint64_t first_ns = UINT64_MAX;
    const struct ray_rpc_client_call *call;

    TAILQ_FOREACH(call, &client->calls, entry)
    {
        if (call->is_canceled) {
            first_ns = 0;
        } else if (call->deadline_ns != 0 && call->deadline_ns < first_ns) {
            first_ns = call->deadline_ns;
        }
    }
    if (first_ns == UINT64_MAX) {
        ray_timer_stop(&client->timer);
        return;
    }
    ray_timer_start(&client->timer, first_ns > now_ns ? (first_ns - now_ns) / RAY_NS_PER_MS + 1 : 0,
                    0);
}

static struct ray_rpc_client_call *find_due(struct ray_rpc_client *client, uint64_t now_ns)
{
    struct ray_rpc_client_call *call;

    TAILQ_FOREACH(call, &client->calls, entry)
    {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see that TAILQ_REMOVE unlinks */
        if (call->is_canceled || (call->deadline_ns != 0 && call->deadline_ns <= now_ns)) {
            return call;
        }
    }
    return NULL;
}

static void on_timer(void *arg)
{
    struct ray_rpc_client *client = arg;
    uint64_t now_ns = ray_clock_monotonic_ns();
    struct ray_rpc_client_call *call;

    client->hold_count++;
    while ((call = find_due(client, now_ns)) != NULL) {
        struct ray_err err = {0};

        if (call->is_canceled) {
            ray_fail(&err, RAY_ECANCELED, "the call was canceled");
        } else {
            ray_fail(&err, RAY_ETIMEOUT, "no answer in time");
            ray_rpc_client_post_cancel(client, call->id);
        }
        ray_rpc_client_fail(client, call, &err);
    }
    if (!client->is_destroyed) {
        timer_arm(client);
    }
    ray_rpc_client_release(client);
}

static void on_writable(void *arg)
{
    (void)arg; /* a full queue refused the call; nothing waits here */
}

static void on_close(void *arg, const struct ray_err *why)
{
    struct ray_rpc_client *client = arg;

    client->hold_count++;
    client->why = *why;
    client->carrier->ops->destroy(client->carrier);
    client->carrier = NULL;
    fail_all(client, &client->why);
    if (!client->is_destroyed && client->on_close != NULL) {
        client->on_close(client->on_close_arg);
    }
    ray_rpc_client_release(client);
}

/* ---- public ---- */

/* Packs the input and sends the request. */
static int send_request(struct ray_rpc_client *client, const struct ray_rpc_message *head,
                        const ProtobufCMessage *input, const int *fds, size_t fd_count,
                        struct ray_err *err)
{
    struct ray_rpc_message message = *head;
    size_t size = protobuf_c_message_get_packed_size(input);
    int rc;

    if (size > (fd_count > 0 ? RAY_RPC_BODY_SIZE_MAX : RAY_RPC_LARGE_SIZE_MAX)) {
        (void)ray_fail(err, RAY_ETOOBIG, "%s with %zu bytes, a request has at most %d",
                       message.method, size,
                       fd_count > 0 ? RAY_RPC_BODY_SIZE_MAX : RAY_RPC_LARGE_SIZE_MAX);
        (void)ray_next(err, "send less in one request");
        return RAY_ETOOBIG;
    }
    if (size > RAY_RPC_BODY_SIZE_MAX) {
        bool has_begun = false;

        rc = ray_rpc_client_post_large(client, head, input, size, &has_begun, err);
        client->last_id = has_begun ? head->id : client->last_id;
        return rc;
    }
    ray_arena_reset(&client->send_arena);
    rc = ray_proto_pack(input, RAY_RPC_BODY_SIZE_MAX, &client->send_arena, &message.body,
                        &message.body_size, err);
    return rc != RAY_OK ? rc : ray_rpc_client_post(client, &message, fds, fd_count, err);
}

/* Sends `request` and notes the call, whose fields the caller has set but the id. */
static int call_start(struct ray_rpc_client *client, const struct ray_rpc_message *request,
                      const ProtobufCMessage *input, const int *fds, size_t fd_count,
                      const struct ray_rpc_client_call *fields, uint64_t *out_id,
                      struct ray_err *err)
{
    struct ray_rpc_client_call *call;
    int rc;

    assert(input != NULL && fields->output != NULL && fields->on_end != NULL);
    assert(fd_count <= RAY_RPC_FD_COUNT_MAX && request->timeout_ms <= RAY_RPC_TIMEOUT_MS_MAX);
    if (client->carrier == NULL) {
        return ray_fail(err, RAY_ECLOSED, "%s", client->why.text);
    }
    if (client->call_count >= RAY_RPC_CALLS_PER_CONN_MAX) {
        return ray_fail(err, RAY_EAGAIN, "%zu calls are in flight, at most %d", client->call_count,
                        RAY_RPC_CALLS_PER_CONN_MAX);
    }
    call = ray_rpc_alloc(sizeof *call);
    if (call == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a call");
    }
    rc = send_request(client, request, input, fds, fd_count, err);
    if (rc != RAY_OK) {
        free(call);
        return rc;
    }
    *call = *fields;
    call->id = request->id;
    call->window = request->credit;
    if (request->timeout_ms > 0) {
        call->deadline_ns = ray_clock_monotonic_ns() + request->timeout_ms * RAY_NS_PER_MS;
    }
    client->last_id = request->id;
    client->call_count++;
    TAILQ_INSERT_TAIL(&client->calls, call, entry);
    if (call->deadline_ns != 0) {
        timer_arm(client);
    }
    if (out_id != NULL) {
        *out_id = request->id;
    }
    return RAY_OK;
}

int ray_rpc_call_start(struct ray_rpc_client *client, const char *method,
                       const ProtobufCMessage *input, const int *fds, size_t fd_count,
                       const ProtobufCMessageDescriptor *output, uint64_t timeout_ms,
                       void (*on_item)(void *arg, const ProtobufCMessage *item),
                       void (*on_end)(void *arg, const struct ray_rpc_result *result), void *arg,
                       uint64_t *out_id, struct ray_err *err)
{
    struct ray_rpc_message request = {.kind = RAY_RPC_REQUEST,
                                      .id = client->last_id + 1,
                                      .method = method,
                                      .timeout_ms = timeout_ms,
                                      .takes_bundles = client->wants_bundles,
                                      .credit = on_item != NULL ? RAY_RPC_STREAM_WINDOW : 0};
    struct ray_rpc_client_call fields = {
        .item = output, .output = output, .on_item = on_item, .on_end = on_end, .arg = arg};

    return call_start(client, &request, input, fds, fd_count, &fields, out_id, err);
}

int ray_rpc_stream_start(struct ray_rpc_client *client, const char *method,
                         const ProtobufCMessage *input, const ProtobufCMessageDescriptor *item,
                         const ProtobufCMessageDescriptor *output, uint64_t timeout_ms,
                         void (*on_item)(void *arg, const ProtobufCMessage *item),
                         void (*on_end)(void *arg, const struct ray_rpc_result *result), void *arg,
                         uint64_t *out_id, struct ray_err *err)
{
    struct ray_rpc_message request = {.kind = RAY_RPC_REQUEST,
                                      .id = client->last_id + 1,
                                      .method = method,
                                      .timeout_ms = timeout_ms,
                                      .takes_bundles = client->wants_bundles,
                                      .credit = RAY_RPC_STREAM_WINDOW};
    struct ray_rpc_client_call fields = {
        .item = item, .output = output, .on_item = on_item, .on_end = on_end, .arg = arg};

    assert(item != NULL && on_item != NULL);
    return call_start(client, &request, input, NULL, 0, &fields, out_id, err);
}

void ray_rpc_call_cancel(struct ray_rpc_client *client, uint64_t id)
{
    struct ray_rpc_client_call *call = ray_rpc_client_find(client, id);

    if (call == NULL || call->is_canceled) {
        return;
    }
    call->is_canceled = true;
    ray_rpc_client_post_cancel(client, id);
    timer_arm(client);
}

void ray_rpc_call_hold(struct ray_rpc_client *client, uint64_t id, bool is_held)
{
    struct ray_rpc_client_call *call = ray_rpc_client_find(client, id);

    if (call != NULL && !call->is_canceled) {
        call->is_held = is_held;
        ray_rpc_client_give_credit(client, id);
    }
}

void ray_rpc_client_on_close(struct ray_rpc_client *client, void (*cb)(void *arg), void *arg)
{
    client->on_close = cb;
    client->on_close_arg = arg;
}

int ray_rpc_client_create(struct ray_rpc_client **out_client, struct ray_loop *loop,
                          struct ray_rpc_carrier_user *out_user, struct ray_err *err)
{
    struct ray_rpc_client *client = ray_rpc_alloc(sizeof *client);
    int rc;

    if (client == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a connection");
    }
    client->loop = loop;
    client->hold_count = 1;
    TAILQ_INIT(&client->calls);
    ray_arena_init(&client->receive_arena, RAY_RPC_ARENA_SIZE_MAX);
    ray_arena_init(&client->send_arena, RAY_RPC_CLIENT_SEND_ARENA_SIZE_MAX);
    rc = ray_timer_init(&client->timer, loop, on_timer, client, err);
    if (rc != RAY_OK) {
        ray_rpc_client_release(client);
        return rc;
    }
    *out_client = client;
    *out_user = (struct ray_rpc_carrier_user){.on_message = ray_rpc_client_on_message,
                                              .on_writable = on_writable,
                                              .on_close = on_close,
                                              .arg = client};
    return RAY_OK;
}

void ray_rpc_client_open(struct ray_rpc_client *client, struct ray_rpc_carrier *carrier)
{
    assert(client->carrier == NULL && carrier != NULL);
    client->carrier = carrier;
}

void ray_rpc_client_bundle(struct ray_rpc_client *client)
{
    client->wants_bundles = true;
}

int ray_rpc_client_create_unix(struct ray_rpc_client **out_client, struct ray_loop *loop,
                               const char *path, struct ray_err *err)
{
    struct ray_rpc_client *client = NULL;
    struct ray_rpc_carrier *carrier = NULL;
    struct ray_rpc_carrier_user user;
    int fd = -1;
    int rc = ray_rpc_unix_connect(path, &fd, err);

    if (rc == RAY_OK) {
        rc = ray_rpc_client_create(&client, loop, &user, err);
    }
    if (rc == RAY_OK) {
        rc = ray_rpc_unix_carrier_create(&carrier, loop, fd, &user, err);
    }
    if (rc != RAY_OK) {
        if (fd >= 0) {
            (void)close(fd); /* nothing was written */
        }
        ray_rpc_client_destroy(client);
        return rc;
    }
    assert(client != NULL);
    ray_rpc_client_open(client, carrier);
    *out_client = client;
    return RAY_OK;
}

void ray_rpc_client_destroy(struct ray_rpc_client *client)
{
    struct ray_err err = {0};

    if (client == NULL || client->is_destroyed) {
        return;
    }
    client->is_destroyed = true;
    ray_timer_fini(&client->timer);
    if (client->carrier != NULL) {
        client->carrier->ops->destroy(client->carrier);
        client->carrier = NULL;
    }
    ray_fail(&err, RAY_ECANCELED, "the connection was closed here");
    client->why = err;
    fail_all(client, &err);
    ray_rpc_client_release(client);
}
