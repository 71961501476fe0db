/* rpc_call.c - a call on the server's side: what a method may do with it.
 *
 * It is in exactly one list: its session's, or the service's orphans, or (after the service
 * has ended) none. Items flow while it has credit and the carrier's queue is below its high
 * mark; a call that was refused one is blocked until both hold again (rpc_session.c). */
#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/proto_codec.h"
#include "net/rpc_envelope.h"
#include "net/rpc_queue.h"
#include "net/rpc_session_impl.h"

void ray_rpc_call_unlink(struct ray_rpc_call *call)
{
    if (call->session != NULL) {
        TAILQ_REMOVE(&call->session->calls, call, entry);
        call->session->call_count--;
        call->session = NULL;
    } else if (call->service != NULL) {
        TAILQ_REMOVE(&call->service->orphans, call, entry);
    }
    if (call->service != NULL) {
        call->service->call_count--;
        call->service = NULL;
    }
}

void ray_rpc_call_free(struct ray_rpc_call *call)
{
    ray_rpc_call_unlink(call);
    ray_rpc_close_fds(call->fds, call->fd_count);
    free(call);
}

/* ---- sending ---- */

void ray_rpc_session_abort(struct ray_rpc_session *session, int code, const char *what)
{
    struct ray_err err = {0};

    ray_fail(&err, code, "%s", what);
    session->carrier->ops->abort(session->carrier, &err);
}

static int post(struct ray_rpc_session *session, const struct ray_rpc_message *message,
                const int *fds, size_t fd_count, struct ray_err *err)
{
    const struct ray_rpc_carrier_ops *ops = session->carrier->ops;
    const uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = ray_rpc_envelope_encode(message, &session->send_arena, &bytes, &size, err);

    if (rc == RAY_ETOOBIG) {
        return rc;
    }
    if (rc != RAY_OK) {
        ray_rpc_session_abort(session, rc, "no memory to answer the peer");
        return rc;
    }
    rc = ops->send(session->carrier, bytes, size, fds, fd_count);
    if (rc != RAY_OK) {
        ray_rpc_session_abort(session, rc, "the peer does not take its answers");
        return RAY_ECLOSED;
    }
    return RAY_OK;
}

/* Sends one message; a peer that cannot be told is cut off. RAY_ETOOBIG leaves the
 * connection as it is when the message itself is too large. What was sent may be secret: nothing
 * of it stays. */
static int session_post(struct ray_rpc_session *session, const struct ray_rpc_message *message,
                        const int *fds, size_t fd_count, struct ray_err *err)
{
    int rc = post(session, message, fds, fd_count, err);

    ray_arena_wipe(&session->send_arena);
    return rc;
}

int ray_rpc_session_post_err(struct ray_rpc_session *session, uint64_t id,
                             const struct ray_err *why)
{
    struct ray_rpc_message message = {.kind = RAY_RPC_END,
                                      .id = id,
                                      .code = why->code,
                                      .text = why->text,
                                      .next_step = why->next_step,
                                      .takes_bundles = session->carrier->is_bundling};

    assert(why->code != RAY_OK);
    ray_arena_reset(&session->send_arena);
    return session_post(session, &message, NULL, 0, NULL);
}

/* Packs the body and sends it as an item or an end. */
static int session_post_body(struct ray_rpc_session *session, enum ray_rpc_kind kind, uint64_t id,
                             const ProtobufCMessage *body, const int *fds, size_t fd_count,
                             struct ray_err *err)
{
    struct ray_rpc_message message = {
        .kind = kind, .id = id, .takes_bundles = session->carrier->is_bundling};
    int rc;

    ray_arena_reset(&session->send_arena);
    rc = ray_proto_pack(body, RAY_RPC_BODY_SIZE_MAX, &session->send_arena, &message.body,
                        &message.body_size, err);
    return rc != RAY_OK ? rc : session_post(session, &message, fds, fd_count, err);
}

static bool call_is_open(const struct ray_rpc_call *call)
{
    return call->session != NULL && call->session->carrier != NULL && !call->is_canceled;
}

int ray_rpc_reply(struct ray_rpc_call *call, const ProtobufCMessage *body)
{
    return ray_rpc_reply_fds(call, body, NULL, 0);
}

int ray_rpc_reply_fds(struct ray_rpc_call *call, const ProtobufCMessage *body, const int *fds,
                      size_t fd_count)
{
    struct ray_err err = {0};
    int rc = RAY_ECLOSED;

    assert(call != NULL && body != NULL && !call->is_leaving);
    assert(fd_count <= RAY_RPC_FD_COUNT_MAX);
    if (call_is_open(call)) {
        rc = session_post_body(call->session, RAY_RPC_END, call->id, body, fds, fd_count, &err);
        if (rc == RAY_ETOOBIG || rc == RAY_ENOMEM) {
            /* The peer must hear an end; this one is small. */
            (void)ray_rpc_session_post_err(call->session, call->id, &err);
        }
    }
    ray_rpc_call_free(call);
    return rc;
}

int ray_rpc_reply_err(struct ray_rpc_call *call, const struct ray_err *err)
{
    int rc = RAY_ECLOSED;

    assert(call != NULL && err != NULL && err->code != RAY_OK && !call->is_leaving);
    if (call_is_open(call)) {
        rc = ray_rpc_session_post_err(call->session, call->id, err);
    }
    ray_rpc_call_free(call);
    return rc;
}

int ray_rpc_send(struct ray_rpc_call *call, const ProtobufCMessage *item)
{
    const struct ray_rpc_carrier *carrier;
    int rc;

    assert(call != NULL && item != NULL && !call->is_leaving);
    if (!call_is_open(call)) {
        return RAY_ECLOSED;
    }
    carrier = call->session->carrier;
    if (call->credit == 0 || carrier->ops->queued_size(carrier) >= RAY_RPC_QUEUE_HIGH_SIZE) {
        call->is_blocked = true;
        return RAY_EAGAIN;
    }
    rc = session_post_body(call->session, RAY_RPC_ITEM, call->id, item, NULL, 0, NULL);
    if (rc == RAY_OK) {
        call->credit--;
    }
    return rc;
}

/* ---- facts of a call ---- */

const struct ray_rpc_peer *ray_rpc_call_peer(const struct ray_rpc_call *call)
{
    return call->has_peer ? &call->peer : NULL;
}

uint64_t ray_rpc_call_remaining_ms(const struct ray_rpc_call *call)
{
    uint64_t now_ns = ray_clock_monotonic_ns();

    if (call->deadline_ns == 0) {
        return 0;
    }
    return call->deadline_ns > now_ns ? (call->deadline_ns - now_ns) / RAY_NS_PER_MS + 1 : 1;
}

int ray_rpc_call_take_fd(struct ray_rpc_call *call, size_t index)
{
    int fd = index < call->fd_count ? call->fds[index] : -1;

    if (fd >= 0) {
        call->fds[index] = -1;
    }
    return fd;
}

void ray_rpc_call_on_drain(struct ray_rpc_call *call, void (*cb)(void *arg), void *arg)
{
    call->on_drain = cb;
    call->on_drain_arg = arg;
}

void ray_rpc_call_on_cancel(struct ray_rpc_call *call, void (*cb)(void *arg), void *arg)
{
    call->on_cancel = cb;
    call->on_cancel_arg = arg;
}
