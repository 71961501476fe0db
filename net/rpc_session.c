/* rpc_session.c - requests become calls, calls end by reply, cancel or close.
 *
 * A method may do anything in its run or a callback: end this call or others, or destroy
 * the server. So a session in use is held (hold_count) and freed by the last release, and
 * when it closes, all accounting with the service is done before the first callback.
 */
#include "net/rpc_session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/proto_codec.h"
#include "net/rpc_envelope.h"
#include "net/rpc_large.h"
#include "net/rpc_session_impl.h"

static void session_release(struct ray_rpc_session *session)
{
    assert(session->hold_count > 0);
    session->hold_count--;
    if (session->hold_count == 0) {
        assert(session->carrier == NULL && TAILQ_EMPTY(&session->calls));
        assert(session->large == NULL);
        ray_arena_fini(&session->receive_arena);
        ray_arena_fini(&session->send_arena);
        free(session);
    }
}

/* ---- calls ---- */

/* Tells the method that nobody waits; then the call is gone. */
static void call_leave(struct ray_rpc_call *call)
{
    assert(call->on_cancel != NULL);
    ray_rpc_call_unlink(call);
    call->is_canceled = true;
    call->is_leaving = true;
    call->on_cancel(call->on_cancel_arg);
    ray_rpc_call_free(call);
}

static struct ray_rpc_call *call_find(struct ray_rpc_session *session, uint64_t id)
{
    struct ray_rpc_call *call;

    TAILQ_FOREACH(call, &session->calls, entry)
    {
        if (call->id == id) {
            return call;
        }
    }
    return NULL;
}

/* ---- receiving ---- */

static const struct ray_rpc_method *method_find(const struct ray_rpc_service *service,
                                                const char *name)
{
    for (const struct ray_rpc_method *method = service->methods; method->name != NULL; method++) {
        if (strcmp(method->name, name) == 0) {
            return method;
        }
    }
    return NULL;
}

/* Method and input of a request, or why it is refused. */
static int request_check(struct ray_rpc_session *session, const struct ray_rpc_message *message,
                         const struct ray_rpc_method **out_method, ProtobufCMessage **out_input,
                         struct ray_err *err)
{
    const struct ray_rpc_method *method = method_find(session->service, message->method);

    if (session->call_count >= RAY_RPC_CALLS_PER_CONN_MAX) {
        ray_fail(err, RAY_EUNAVAILABLE, "%zu calls are in flight on this connection, at most %d",
                 session->call_count, RAY_RPC_CALLS_PER_CONN_MAX);
        return ray_next(err, "wait for calls to end");
    }
    if (session->service->call_count >= RAY_RPC_CALLS_PER_SERVER_MAX) {
        ray_fail(err, RAY_EUNAVAILABLE, "the service has %zu calls in flight, at most %d",
                 session->service->call_count, RAY_RPC_CALLS_PER_SERVER_MAX);
        return ray_next(err, "try again later");
    }
    if (method == NULL) {
        ray_fail(err, RAY_ENOTFOUND, "no method '%s' here", message->method);
        return ray_next(err, "use a program and a service of the same version");
    }
    *out_method = method;
    return ray_proto_unpack(method->input, message->body, message->body_size,
                            &session->receive_arena, out_input, err);
}

static struct ray_rpc_call *call_create(struct ray_rpc_session *session,
                                        const struct ray_rpc_message *message, int *fds,
                                        size_t fd_count)
{
    const struct ray_rpc_peer *peer = session->carrier->ops->peer(session->carrier);
    struct ray_rpc_call *call = ray_rpc_alloc(sizeof *call);

    if (call == NULL) {
        return NULL;
    }
    call->session = session;
    call->service = session->service;
    call->id = message->id;
    call->credit = message->credit;
    if (message->timeout_ms > 0) {
        call->deadline_ns = ray_clock_monotonic_ns() + message->timeout_ms * RAY_NS_PER_MS;
    }
    if (peer != NULL) {
        call->peer = *peer;
        call->has_peer = true;
    }
    for (size_t i = 0; i < fd_count; i++) {
        call->fds[i] = fds[i];
        fds[i] = -1;
    }
    call->fd_count = fd_count;
    TAILQ_INSERT_TAIL(&session->calls, call, entry);
    session->call_count++;
    session->service->call_count++;
    return call;
}

/* A connection that breaks the rules ends; the peer hears why, where it still listens. */
static void session_refuse(struct ray_rpc_session *session, const struct ray_err *why)
{
    (void)ray_rpc_session_post_err(session, 0, why);
    session->carrier->ops->abort(session->carrier, why);
}

/* Whether the head of a request, or of one in parts, is in order; else the connection ends. */
static bool take_head(struct ray_rpc_session *session, const struct ray_rpc_message *message)
{
    struct ray_err err = {0};

    if (message->id <= session->last_id || session->large != NULL) {
        (void)ray_fail(&err, RAY_EMALFORMED,
                       "rpc request whose id does not rise, or between the parts of another");
        session_refuse(session, &err);
        return false;
    }
    session->last_id = message->id;
    if (message->takes_bundles && session->carrier->can_bundle) {
        session->carrier->is_bundling = true;
    }
    return true;
}

static void run_request(struct ray_rpc_session *session, const struct ray_rpc_message *message,
                        int *fds, size_t fd_count)
{
    const struct ray_rpc_method *method = NULL;
    ProtobufCMessage *input = NULL;
    struct ray_rpc_call *call = NULL;
    struct ray_err err = {0};

    if (request_check(session, message, &method, &input, &err) == RAY_OK) {
        call = call_create(session, message, fds, fd_count);
        if (call == NULL) {
            ray_fail(&err, RAY_ENOMEM, "no memory for a call");
        }
    }
    if (call == NULL) {
        (void)ray_rpc_session_post_err(session, message->id,
                                       &err); /* cuts the peer off if it fails */
        return;
    }
    assert(method != NULL && input != NULL);
    method->run(call, input, session->service->methods_arg);
}

static void receive_large(struct ray_rpc_session *session, const struct ray_rpc_message *message)
{
    struct ray_err err = {0};

    if (take_head(session, message) &&
        ray_rpc_large_begin(session, message, ray_clock_monotonic_ns(), &err) != RAY_OK) {
        (void)ray_rpc_session_post_err(session, message->id, &err);
    }
}

static void receive_part(struct ray_rpc_session *session, const struct ray_rpc_message *message)
{
    struct ray_rpc_message request;
    struct ray_err err = {0};
    int rc = ray_rpc_large_add(session, message, &request, &err);

    if (rc == RAY_OK) {
        run_request(session, &request, NULL, 0);
        if (session->service != NULL) {
            ray_rpc_large_drop(session);
        }
    } else if (rc != RAY_EAGAIN) {
        session_refuse(session, &err);
    }
}

static void receive_cancel(struct ray_rpc_session *session, uint64_t id)
{
    struct ray_rpc_call *call = call_find(session, id);

    if (call == NULL && id == session->last_id) {
        ray_rpc_large_drop(session); /* perhaps its parts are still to come */
        return;
    }
    if (call == NULL || call->is_canceled) {
        return; /* it ended while the cancel was under way */
    }
    call->is_canceled = true;
    if (call->on_cancel != NULL) {
        call_leave(call);
    }
}

/* Lets blocked calls send again, each in its turn. */
static void session_drain(struct ray_rpc_session *session)
{
    for (;;) {
        const struct ray_rpc_carrier *carrier = session->carrier;
        struct ray_rpc_call *call;

        if (carrier == NULL || carrier->ops->queued_size(carrier) >= RAY_RPC_QUEUE_HIGH_SIZE) {
            return;
        }
        TAILQ_FOREACH(call, &session->calls, entry)
        {
            if (call->is_blocked && call->credit > 0 && !call->is_canceled &&
                call->on_drain != NULL) {
                break;
            }
        }
        if (call == NULL) {
            return;
        }
        call->is_blocked = false;
        TAILQ_REMOVE(&session->calls, call, entry);
        TAILQ_INSERT_TAIL(&session->calls, call, entry);
        call->on_drain(call->on_drain_arg);
    }
}

static void receive_credit(struct ray_rpc_session *session, const struct ray_rpc_message *message)
{
    struct ray_rpc_call *call = call_find(session, message->id);

    if (call == NULL) {
        return; /* it ended while the credit was under way */
    }
    if (call->credit > RAY_RPC_CREDIT_MAX - message->credit) {
        struct ray_err err = {0};

        (void)ray_fail(&err, RAY_EMALFORMED, "rpc credit above its limit");
        session_refuse(session, &err);
        return;
    }
    call->credit += message->credit;
    session_drain(session);
}

static void receive(struct ray_rpc_session *session, const struct ray_rpc_message *message,
                    int *fds, size_t fd_count)
{
    struct ray_err err = {0};

    switch (message->kind) {
    case RAY_RPC_REQUEST:
        if (take_head(session, message)) {
            run_request(session, message, fds, fd_count);
        }
        break;
    case RAY_RPC_LARGE:
        receive_large(session, message);
        break;
    case RAY_RPC_PART:
        receive_part(session, message);
        break;
    case RAY_RPC_CANCEL:
        receive_cancel(session, message->id);
        break;
    case RAY_RPC_CREDIT:
        receive_credit(session, message);
        break;
    case RAY_RPC_ITEM:
    case RAY_RPC_END:
        (void)ray_fail(&err, RAY_EMALFORMED, "rpc message that only a server sends");
        session_refuse(session, &err);
        break;
    }
}

static void on_message(void *arg, const uint8_t *bytes, size_t size, int *fds, size_t fd_count)
{
    struct ray_rpc_session *session = arg;
    struct ray_rpc_message message;
    struct ray_err err = {0};

    session->hold_count++;
    ray_arena_reset(&session->receive_arena);
    if (ray_rpc_envelope_decode(bytes, size, &session->receive_arena, &message, &err) != RAY_OK) {
        session_refuse(session, &err);
    } else {
        receive(session, &message, fds, fd_count);
    }
    ray_arena_wipe(&session->receive_arena); /* requests may be secret */
    ray_arena_trim(&session->receive_arena, RAY_RPC_MESSAGE_SIZE_MAX);
    session_release(session);
}

static void on_refused(void *arg, const struct ray_err *why)
{
    struct ray_rpc_session *session = arg;

    session->hold_count++;
    session_refuse(session, why);
    session_release(session);
}

static void on_writable(void *arg)
{
    struct ray_rpc_session *session = arg;

    session->hold_count++;
    session_drain(session);
    session_release(session);
}

/* ---- life ---- */

/* Calls with a callback hear of it last, when nothing here points to the service. */
static void session_close(struct ray_rpc_session *session)
{
    struct ray_rpc_service *service = session->service;
    struct ray_rpc_call *call, *next;

    assert(service != NULL);
    if (session->carrier != NULL) {
        session->carrier->ops->destroy(session->carrier);
        session->carrier = NULL;
    }
    ray_rpc_large_drop(session);
    session->service = NULL;
    LIST_REMOVE(session, entry);
    service->session_count--;
    for (call = TAILQ_FIRST(&session->calls); call != NULL; call = next) {
        next = TAILQ_NEXT(call, entry);
        if (call->on_cancel != NULL && !call->is_canceled) {
            service->call_count--;
            call->service = NULL;
            continue;
        }
        TAILQ_REMOVE(&session->calls, call, entry);
        session->call_count--;
        call->session = NULL;
        TAILQ_INSERT_TAIL(&service->orphans, call, entry);
    }
    while ((call = TAILQ_FIRST(&session->calls)) != NULL) {
        call_leave(call);
    }
    session_release(session);
}

static void on_close(void *arg, const struct ray_err *why)
{
    (void)why; /* a server does not report why a peer left */
    session_close(arg);
}

int ray_rpc_session_create(struct ray_rpc_service *service, struct ray_rpc_session **out_session,
                           struct ray_rpc_carrier_user *out_user, struct ray_err *err)
{
    struct ray_rpc_session *session = ray_rpc_alloc(sizeof *session);

    if (session == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a connection");
    }
    session->service = service;
    session->hold_count = 1;
    TAILQ_INIT(&session->calls);
    ray_arena_init(&session->receive_arena, RAY_RPC_ARENA_SIZE_MAX);
    ray_arena_init(&session->send_arena, RAY_RPC_SEND_ARENA_SIZE_MAX);
    LIST_INSERT_HEAD(&service->sessions, session, entry);
    service->session_count++;
    *out_session = session;
    *out_user = (struct ray_rpc_carrier_user){.on_message = on_message,
                                              .on_refused = on_refused,
                                              .on_writable = on_writable,
                                              .on_close = on_close,
                                              .arg = session};
    return RAY_OK;
}

void ray_rpc_session_open(struct ray_rpc_session *session, struct ray_rpc_carrier *carrier)
{
    assert(session->carrier == NULL && carrier != NULL);
    session->carrier = carrier;
}

void ray_rpc_session_discard(struct ray_rpc_session *session)
{
    assert(session->carrier == NULL);
    session_close(session);
}

void ray_rpc_service_init(struct ray_rpc_service *service, const struct ray_rpc_method *methods,
                          void *methods_arg)
{
    assert(methods != NULL);
    *service = (struct ray_rpc_service){.methods = methods, .methods_arg = methods_arg};
    LIST_INIT(&service->sessions);
    TAILQ_INIT(&service->orphans);
}

void ray_rpc_service_fini(struct ray_rpc_service *service)
{
    struct ray_rpc_session *session;
    struct ray_rpc_call *call;

    while ((session = LIST_FIRST(&service->sessions)) != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see that LIST_REMOVE unlinks */
        session_close(session);
    }
    while ((call = TAILQ_FIRST(&service->orphans)) != NULL) {
        TAILQ_REMOVE(&service->orphans, call, entry);
        service->call_count--;
        call->service = NULL;
    }
    assert(service->session_count == 0 && service->call_count == 0);
}

void ray_rpc_service_recheck(struct ray_rpc_service *service,
                             bool (*may_stay)(void *arg, const struct ray_rpc_peer *peer),
                             void *arg)
{
    struct ray_rpc_session *session = LIST_FIRST(&service->sessions);

    while (session != NULL) {
        struct ray_rpc_session *next = LIST_NEXT(session, entry);

        if (session->carrier != NULL &&
            !may_stay(arg, session->carrier->ops->peer(session->carrier))) {
            session_close(session);
        }
        session = next;
    }
}

size_t ray_rpc_service_uid_count(const struct ray_rpc_service *service, uid_t uid)
{
    const struct ray_rpc_session *session;
    size_t count = 0;

    LIST_FOREACH(session, &service->sessions, entry)
    {
        const struct ray_rpc_peer *peer =
            session->carrier != NULL ? session->carrier->ops->peer(session->carrier) : NULL;

        count += peer != NULL && peer->uid == uid ? 1 : 0;
    }
    return count;
}
