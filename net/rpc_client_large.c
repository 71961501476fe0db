/* rpc_client_large.c - a request that needs several messages: its head, then its body in parts.
 *
 * All of it goes at once, so the carrier must have room before the first part; one that fails in
 * between is canceled, and the server forgets its parts. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/rpc_client_impl.h"

static int post_parts(struct ray_rpc_client *client, uint64_t id, const uint8_t *body, size_t size,
                      struct ray_err *err)
{
    int rc = RAY_OK;

    for (size_t at = 0; at < size && rc == RAY_OK; at += RAY_RPC_BODY_SIZE_MAX) {
        struct ray_rpc_message part = {.kind = RAY_RPC_PART, .id = id, .body = body + at};

        part.body_size = size - at < RAY_RPC_BODY_SIZE_MAX ? size - at : RAY_RPC_BODY_SIZE_MAX;
        ray_arena_reset(&client->send_arena);
        rc = ray_rpc_client_post(client, &part, NULL, 0, err);
    }
    return rc;
}

static int post_all(struct ray_rpc_client *client, const struct ray_rpc_message *head,
                    const uint8_t *body, size_t size, bool *out_has_begun, struct ray_err *err)
{
    struct ray_rpc_message large = *head;
    int rc;

    large.kind = RAY_RPC_LARGE;
    large.large_size = size;
    ray_arena_reset(&client->send_arena);
    rc = ray_rpc_client_post(client, &large, NULL, 0, err);
    if (rc != RAY_OK) {
        return rc;
    }
    *out_has_begun = true;
    rc = post_parts(client, head->id, body, size, err);
    if (rc != RAY_OK) {
        ray_rpc_client_post_cancel(client, head->id);
    }
    return rc;
}

int ray_rpc_client_post_large(struct ray_rpc_client *client, const struct ray_rpc_message *head,
                              const ProtobufCMessage *input, size_t size, bool *out_has_begun,
                              struct ray_err *err)
{
    uint8_t *body;
    int rc;

    assert(size > RAY_RPC_BODY_SIZE_MAX && size <= RAY_RPC_LARGE_SIZE_MAX);
    if (client->carrier->ops->queued_size(client->carrier) >= RAY_RPC_QUEUE_HIGH_SIZE) {
        return ray_fail(err, RAY_EAGAIN, "%zu bytes wait to be sent already",
                        client->carrier->ops->queued_size(client->carrier));
    }
    body = ray_rpc_alloc(size);
    if (body == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a request of %zu bytes", size);
    }
    (void)protobuf_c_message_pack(input, body);
    rc = post_all(client, head, body, size, out_has_begun, err);
    explicit_bzero(body, size);
    free(body);
    return rc;
}
