/* rpc_large.c - see rpc_large.h. What counts against the limits is what was announced, so that
 * whoever announces and sends nothing takes no more than his share. */
#include "net/rpc_large.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct ray_rpc_large {
    struct ray_rpc_message request; /* its method is below */
    char method[RAY_RPC_METHOD_SIZE_MAX + 1];
    size_t size;
    size_t received_size;
    uint8_t body[];
};

static size_t held_by(const struct ray_rpc_service *service, uid_t uid)
{
    const struct ray_rpc_session *session;
    size_t size = 0;

    LIST_FOREACH(session, &service->sessions, entry)
    {
        const struct ray_rpc_peer *peer =
            session->carrier != NULL ? session->carrier->ops->peer(session->carrier) : NULL;

        if (session->large != NULL && peer != NULL && peer->uid == uid) {
            size += session->large->size;
        }
    }
    return size;
}

static bool has_room(const struct ray_rpc_session *session, size_t size)
{
    const struct ray_rpc_service *service = session->service;
    const struct ray_rpc_peer *peer = session->carrier->ops->peer(session->carrier);

    if (size > RAY_RPC_LARGE_HELD_MAX - service->large_size) {
        return false;
    }
    return peer == NULL || peer->uid == 0 || peer->uid == RAY_RPC_NO_UID ||
           held_by(service, peer->uid) + size <= RAY_RPC_LARGE_PER_UID_MAX;
}

int ray_rpc_large_begin(struct ray_rpc_session *session, const struct ray_rpc_message *message,
                        struct ray_err *err)
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
        (void)ray_fail(err, RAY_EUNAVAILABLE, "too many large requests are under way");
        (void)ray_next(err, "try again later");
        return RAY_EUNAVAILABLE;
    }
    large = ray_rpc_alloc(sizeof *large + (size_t)message->large_size);
    if (large == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a request of %" PRIu64 " bytes",
                        message->large_size);
    }
    memcpy(large->method, message->method, strlen(message->method) + 1);
    large->request = *message;
    large->request.kind = RAY_RPC_REQUEST;
    large->request.method = large->method;
    large->size = (size_t)message->large_size;
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
