/* rpc_client_receive.c - what a client makes of a server's words.
 *
 * Ids rise, so a message for an id that was given out but is no longer in the list is a
 * late one and dropped; for an id never given out it is hostile. */
#include <assert.h>

#include "net/proto_codec.h"
#include "net/rpc_client_impl.h"

/* Credit goes back in halves of the window, not item by item. */
enum { CREDIT_BATCH_COUNT = RAY_RPC_STREAM_WINDOW / 2 };

static void client_abort(struct ray_rpc_client *client, const char *what)
{
    struct ray_err err = {0};

    ray_fail(&err, RAY_EMALFORMED, "%s", what);
    client->carrier->ops->abort(client->carrier, &err);
}

void ray_rpc_client_give_credit(struct ray_rpc_client *client, uint64_t id)
{
    struct ray_rpc_client_call *call =
        ray_rpc_client_find(client, id); /* the callback may have ended it */

    if (call == NULL || call->is_canceled || call->is_held || call->consumed < CREDIT_BATCH_COUNT) {
        return;
    }
    ray_rpc_client_post_or_abort(
        client,
        &(struct ray_rpc_message){.kind = RAY_RPC_CREDIT, .id = id, .credit = call->consumed});
    call->window += call->consumed;
    call->consumed = 0;
}

static void receive_item(struct ray_rpc_client *client, struct ray_rpc_client_call *call,
                         const struct ray_rpc_message *message)
{
    ProtobufCMessage *item = NULL;
    struct ray_err err = {0};
    uint64_t id = call->id;
    int rc;

    if (call->window == 0) {
        client_abort(client, "more items than there was credit for");
        return;
    }
    call->window--;
    if (call->on_item == NULL) {
        rc = ray_fail(&err, RAY_EMALFORMED, "items came where one answer was expected");
    } else {
        rc = ray_proto_unpack(call->item, message->body, message->body_size, &client->receive_arena,
                              &item, &err);
    }
    if (rc != RAY_OK) {
        ray_rpc_client_post_cancel(client, id);
        ray_rpc_client_fail(client, call, &err);
        return;
    }
    assert(call->on_item != NULL);
    call->consumed++;
    call->on_item(call->arg, item);
    if (!client->is_destroyed) {
        ray_rpc_client_give_credit(client, id);
    }
}

static void receive_end(struct ray_rpc_client *client, struct ray_rpc_client_call *call,
                        const struct ray_rpc_message *message, int *fds, size_t fd_count)
{
    struct ray_rpc_result result = {
        .code = message->code, .text = message->text, .next_step = message->next_step};
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};

    if (message->code == RAY_OK) {
        if (ray_proto_unpack(call->output, message->body, message->body_size,
                             &client->receive_arena, &body, &err) != RAY_OK) {
            ray_rpc_client_fail(client, call, &err);
            return;
        }
        result.body = body;
        result.packed = message->body;
        result.packed_size = message->body_size;
        result.fds = fds;
        result.fd_count = fd_count;
    }
    ray_rpc_client_end(client, call, &result);
}

static void receive(struct ray_rpc_client *client, const struct ray_rpc_message *message, int *fds,
                    size_t fd_count)
{
    struct ray_rpc_client_call *call;

    if (message->takes_bundles && client->wants_bundles && client->carrier->can_bundle) {
        client->carrier->is_bundling = true;
    }
    if (message->kind == RAY_RPC_END && message->id == 0) {
        struct ray_err err = {0};

        ray_fail(&err, message->code, "%s", message->text);
        ray_next(&err, "%s", message->next_step);
        client->carrier->ops->abort(client->carrier, &err);
        return;
    }
    if ((message->kind != RAY_RPC_ITEM && message->kind != RAY_RPC_END) ||
        message->id > client->last_id) {
        client_abort(client, "rpc message that no server sends");
        return;
    }
    call = ray_rpc_client_find(client, message->id);
    if (call == NULL || call->is_canceled) {
        return; /* it was under way when the call ended here */
    }
    if (message->kind == RAY_RPC_ITEM) {
        receive_item(client, call, message);
    } else {
        receive_end(client, call, message, fds, fd_count);
    }
}

void ray_rpc_client_on_message(void *arg, const uint8_t *bytes, size_t size, int *fds,
                               size_t fd_count)
{
    struct ray_rpc_client *client = arg;
    struct ray_rpc_message message;
    struct ray_err err = {0};

    client->hold_count++;
    ray_arena_reset(&client->receive_arena);
    if (ray_rpc_envelope_decode(bytes, size, &client->receive_arena, &message, &err) != RAY_OK) {
        client->carrier->ops->abort(client->carrier, &err);
    } else {
        receive(client, &message, fds, fd_count); /* the carrier closes what is not taken */
    }
    ray_arena_wipe(&client->receive_arena); /* answers may be secret */
    ray_arena_trim(&client->receive_arena, RAY_RPC_MESSAGE_SIZE_MAX);
    ray_rpc_client_release(client);
}
