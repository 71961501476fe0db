/* rpc_large.c - see rpc_large.h. What counts against the limits is what was announced, so that
 * whoever announces and sends nothing takes no more than his share. */
#include "net/rpc_large.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"

struct ray_rpc_large {
    struct ray_rpc_message request; /* its method is below */
    char method[RAY_RPC_METHOD_SIZE_MAX + 1];
    uint64_t begun_ns;
    size_t size;
    size_t received_size;
    uint8_t body[];
};

static bool has_identity(const struct ray_rpc_peer *peer)
{
    static const uint8_t none[RAY_KEY_SIZE];

    return memcmp(peer->identity, none, sizeof none) != 0;
}

/* Remote peers have no uid. Who has proven an identity may call himself any node. */
static bool is_same_user(const struct ray_rpc_peer *a, const struct ray_rpc_peer *b)
{
    if (a == NULL || b == NULL || a->uid != b->uid) {
        return a == b;
    }
    if (a->uid != RAY_RPC_NO_UID) {
        return true;
    }
    return memcmp(a->identity, b->identity, RAY_KEY_SIZE) == 0 &&
           (has_identity(a) || ray_id_equal(&a->node, &b->node));
}

static size_t held_by(const struct ray_rpc_service *service, const struct ray_rpc_peer *peer)
{
    const struct ray_rpc_session *session;
    size_t size = 0;

    LIST_FOREACH(session, &service->sessions, entry)
    {
        if (session->large != NULL &&
            is_same_user(session->carrier->ops->peer(session->carrier), peer)) {
            size += session->large->size;
        }
    }
    return size;
}

static bool has_room(const struct ray_rpc_session *session, size_t size)
{
    const struct ray_rpc_service *service = session->service;
    const struct ray_rpc_peer *peer = session->carrier->ops->peer(session->carrier);

    if (peer != NULL && peer->uid == 0) {
        return service->large_size + size <= RAY_RPC_LARGE_HELD_MAX;
    }
    return service->large_size + size <= RAY_RPC_LARGE_HELD_MAX - RAY_RPC_LARGE_ROOT_SIZE &&
           held_by(service, peer) + size <= RAY_RPC_LARGE_PER_UID_MAX;
}

static bool is_overdue(const struct ray_rpc_large *large, uint64_t now_ns)
{
    return large != NULL && large->received_size < large->size &&
           now_ns - large->begun_ns >= RAY_RPC_LARGE_TIME_MS_MAX * RAY_NS_PER_MS;
}

/* Whoever sends in earnest is done long before, and hears of it otherwise. */
static void end_overdue(struct ray_rpc_service *service, uint64_t now_ns)
{
    struct ray_rpc_session *session;
    struct ray_err why = {0};

    (void)ray_fail(&why, RAY_ETIMEOUT, "a large request was not whole after %d s",
                   RAY_RPC_LARGE_TIME_MS_MAX / 1000);
    (void)ray_next(&why, "send it again");
    LIST_FOREACH(session, &service->sessions, entry)
    {
        if (is_overdue(session->large, now_ns)) {
            uint64_t id = session->large->request.id;

            ray_rpc_large_drop(session);
            (void)ray_rpc_session_post_err(session, id, &why); /* or the session ends, later */
        }
    }
}

/* Not zeroed: what was announced need not come. */
static struct ray_rpc_large *create(const struct ray_rpc_message *message, uint64_t now_ns)
{
    size_t size = (size_t)message->large_size;
    struct ray_rpc_large *large =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(sizeof *large + size);

    if (large == NULL) {
        return NULL;
    }
    *large = (struct ray_rpc_large){.request = *message, .begun_ns = now_ns, .size = size};
    memcpy(large->method, message->method, strlen(message->method) + 1);
    large->request.kind = RAY_RPC_REQUEST;
    large->request.method = large->method;
    return large;
}

int ray_rpc_large_begin(struct ray_rpc_session *session, const struct ray_rpc_message *message,
                        uint64_t now_ns, struct ray_err *err)
{
    size_t size_max =
        session->service->takes_large ? RAY_RPC_LARGE_SIZE_MAX : RAY_RPC_BODY_SIZE_MAX;
    struct ray_rpc_large *large;

    assert(message->kind == RAY_RPC_LARGE && session->large == NULL);
    if (message->large_size > size_max) {
        (void)ray_fail(err, RAY_ETOOBIG,
                       "%s with %" PRIu64 " bytes, requests here have at most %zu", message->method,
                       message->large_size, size_max);
        (void)ray_next(err, "send less in one request");
        return RAY_ETOOBIG;
    }
    if (!has_room(session, (size_t)message->large_size)) {
        end_overdue(session->service, now_ns);
    }
    if (!has_room(session, (size_t)message->large_size)) {
        (void)ray_fail(err, RAY_EUNAVAILABLE, "too many large requests are under way");
        (void)ray_next(err, "try again later");
        return RAY_EUNAVAILABLE;
    }
    large = create(message, now_ns);
    if (large == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a request of %" PRIu64 " bytes",
                        message->large_size);
    }
    session->large = large;
    session->service->large_size += large->size;
    return RAY_OK;
}

int ray_rpc_large_add(struct ray_rpc_session *session, const struct ray_rpc_message *message,
                      struct ray_rpc_message *out_request, struct ray_err *err)
{
    struct ray_rpc_large *large = session->large;

    assert(message->kind == RAY_RPC_PART);
    if (large == NULL && message->id <= session->last_id) {
        return RAY_EAGAIN; /* of one that was refused or canceled */
    }
    if (large == NULL || message->id != large->request.id ||
        message->body_size > large->size - large->received_size) {
        return ray_fail(err, RAY_EMALFORMED, "rpc part of no request, or too many bytes of one");
    }
    memcpy(large->body + large->received_size, message->body, message->body_size);
    large->received_size += message->body_size;
    if (large->received_size < large->size) {
        return RAY_EAGAIN;
    }
    *out_request = large->request;
    out_request->body = large->body;
    out_request->body_size = large->size;
    return RAY_OK;
}

void ray_rpc_large_drop(struct ray_rpc_session *session)
{
    if (session->large != NULL) {
        assert(session->service->large_size >= session->large->size);
        session->service->large_size -= session->large->size;
        explicit_bzero(session->large->body, session->large->received_size);
        free(session->large);
        session->large = NULL;
    }
}
