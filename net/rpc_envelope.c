/* rpc_envelope.c - everything that a decoder must refuse is refused here, so that server
 * and client see only messages whose fields are within their limits. */
#include "net/rpc_envelope.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "net/proto/rpc.pb-c.h"
#include "net/proto_codec.h"
#include "net/rpc.h"

static_assert((int)RAY_RPC_BODY_SIZE_MAX < (int)RAY_RPC_MESSAGE_SIZE_MAX, "an envelope needs room");

static bool is_method_name(const char *name)
{
    size_t size = strnlen(name, RAY_RPC_METHOD_SIZE_MAX + 1);

    if (size == 0 || size > RAY_RPC_METHOD_SIZE_MAX) {
        return false;
    }
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == size;
}

static int take_id(uint64_t id, struct ray_rpc_message *message, struct ray_err *err)
{
    if (id == 0) {
        return ray_fail(err, RAY_EMALFORMED, "rpc message without an id");
    }
    message->id = id;
    return RAY_OK;
}

static int take_body(const ProtobufCBinaryData *body, struct ray_rpc_message *message,
                     struct ray_err *err)
{
    if (body->len > RAY_RPC_BODY_SIZE_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "rpc body of %zu bytes, at most %d", body->len,
                        RAY_RPC_BODY_SIZE_MAX);
    }
    message->body = body->data;
    message->body_size = body->len;
    return RAY_OK;
}

static int take_request(const Rayos__Rpc__Request *request, struct ray_rpc_message *message,
                        struct ray_err *err)
{
    int rc = take_id(request->id, message, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (!is_method_name(request->method)) {
        return ray_fail(err, RAY_EMALFORMED, "rpc method name is not [a-z0-9._-]{1,%d}",
                        RAY_RPC_METHOD_SIZE_MAX);
    }
    if (request->deadline_ms > RAY_RPC_TIMEOUT_MS_MAX || request->credit > RAY_RPC_CREDIT_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "rpc request with deadline or credit out of range");
    }
    message->kind = RAY_RPC_REQUEST;
    message->method = request->method;
    message->timeout_ms = request->deadline_ms;
    message->credit = request->credit;
    message->takes_bundles = request->takes_bundles;
    return take_body(&request->body, message, err);
}

/* How large it may be is for the service to say. */
static int take_large(const Rayos__Rpc__Large *large, struct ray_rpc_message *message,
                      struct ray_err *err)
{
    int rc;

    if (large->request == NULL || large->request->body.len > 0 || large->size == 0) {
        return ray_fail(err, RAY_EMALFORMED, "large rpc request without a head or a size");
    }
    rc = take_request(large->request, message, err);
    message->kind = RAY_RPC_LARGE;
    message->large_size = large->size;
    return rc;
}

static int take_part(const Rayos__Rpc__Part *part, struct ray_rpc_message *message,
                     struct ray_err *err)
{
    int rc = take_id(part->id, message, err);

    message->kind = RAY_RPC_PART;
    if (rc == RAY_OK && part->body.len == 0) {
        return ray_fail(err, RAY_EMALFORMED, "rpc part of no bytes");
    }
    return rc != RAY_OK ? rc : take_body(&part->body, message, err);
}

static int take_end(const Rayos__Rpc__End *end, struct ray_rpc_message *message,
                    struct ray_err *err)
{
    message->kind = RAY_RPC_END;
    message->id = end->id;
    message->code = end->code[0] != '\0' ? ray_err_from_api_code(end->code) : RAY_OK;
    message->text = end->text;
    message->next_step = end->next_step;
    message->takes_bundles = end->takes_bundles;
    if (end->id == 0 && message->code == RAY_OK) {
        return ray_fail(err, RAY_EMALFORMED, "rpc end without an id");
    }
    return take_body(&end->body, message, err);
}

static int take_credit(const Rayos__Rpc__Credit *credit, struct ray_rpc_message *message,
                       struct ray_err *err)
{
    if (credit->count == 0 || credit->count > RAY_RPC_CREDIT_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "rpc credit of %u items", credit->count);
    }
    message->kind = RAY_RPC_CREDIT;
    message->credit = credit->count;
    return take_id(credit->id, message, err);
}

static int take_envelope(const Rayos__Rpc__Envelope *envelope, struct ray_rpc_message *message,
                         struct ray_err *err)
{
    int rc;

    if (envelope->n_bundle > 0) {
        return ray_fail(err, RAY_EMALFORMED, "rpc bundle where a message should be");
    }
    switch (envelope->kind_case) {
    case RAYOS__RPC__ENVELOPE__KIND_REQUEST:
        return take_request(envelope->request, message, err);
    case RAYOS__RPC__ENVELOPE__KIND_ITEM:
        message->kind = RAY_RPC_ITEM;
        rc = take_id(envelope->item->id, message, err);
        return rc != RAY_OK ? rc : take_body(&envelope->item->body, message, err);
    case RAYOS__RPC__ENVELOPE__KIND_END:
        return take_end(envelope->end, message, err);
    case RAYOS__RPC__ENVELOPE__KIND_CANCEL:
        message->kind = RAY_RPC_CANCEL;
        return take_id(envelope->cancel->id, message, err);
    case RAYOS__RPC__ENVELOPE__KIND_CREDIT:
        return take_credit(envelope->credit, message, err);
    case RAYOS__RPC__ENVELOPE__KIND_LARGE:
        return take_large(envelope->large, message, err);
    case RAYOS__RPC__ENVELOPE__KIND_PART:
        return take_part(envelope->part, message, err);
    default:
        return ray_fail(err, RAY_EMALFORMED, "rpc message of no known kind");
    }
}

int ray_rpc_envelope_decode(const uint8_t *bytes, size_t size, struct ray_arena *arena,
                            struct ray_rpc_message *out_message, struct ray_err *err)
{
    struct ray_rpc_message message = {0};
    ProtobufCMessage *envelope = NULL;
    int rc;

    assert(out_message != NULL);
    if (size > RAY_RPC_MESSAGE_SIZE_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "rpc message of %zu bytes, at most %d", size,
                        RAY_RPC_MESSAGE_SIZE_MAX);
    }
    rc = ray_proto_unpack(&rayos__rpc__envelope__descriptor, bytes, size, arena, &envelope, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = take_envelope((const Rayos__Rpc__Envelope *)envelope, &message, err);
    if (rc == RAY_OK) {
        *out_message = message;
    }
    return rc;
}

static void fill_request(const struct ray_rpc_message *message, Rayos__Rpc__Request *request)
{
    assert(message->id != 0 && is_method_name(message->method));
    request->id = message->id;
    request->method = (char *)message->method;
    request->deadline_ms = message->timeout_ms;
    request->credit = message->credit;
    request->takes_bundles = message->takes_bundles;
}

int ray_rpc_envelope_encode(const struct ray_rpc_message *message, struct ray_arena *arena,
                            const uint8_t **out_bytes, size_t *out_size, struct ray_err *err)
{
    Rayos__Rpc__Envelope envelope = RAYOS__RPC__ENVELOPE__INIT;
    Rayos__Rpc__Request request = RAYOS__RPC__REQUEST__INIT;
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    Rayos__Rpc__End end = RAYOS__RPC__END__INIT;
    Rayos__Rpc__Cancel cancel = RAYOS__RPC__CANCEL__INIT;
    Rayos__Rpc__Credit credit = RAYOS__RPC__CREDIT__INIT;
    Rayos__Rpc__Large large = RAYOS__RPC__LARGE__INIT;
    Rayos__Rpc__Part part = RAYOS__RPC__PART__INIT;
    /* protobuf-c's structs know no const; pack only reads. */
    ProtobufCBinaryData body = ray_proto_bytes(message->body, message->body_size);

    if (message->body_size > RAY_RPC_BODY_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "rpc body of %zu bytes, at most %d", message->body_size,
                        RAY_RPC_BODY_SIZE_MAX);
    }
    switch (message->kind) {
    case RAY_RPC_REQUEST:
        fill_request(message, &request);
        request.body = body;
        envelope.kind_case = RAYOS__RPC__ENVELOPE__KIND_REQUEST;
        envelope.request = &request;
        break;
    case RAY_RPC_LARGE:
        assert(message->large_size > 0 && message->body_size == 0);
        fill_request(message, &request);
        large.request = &request;
        large.size = message->large_size;
        envelope.kind_case = RAYOS__RPC__ENVELOPE__KIND_LARGE;
        envelope.large = &large;
        break;
    case RAY_RPC_PART:
        part.id = message->id;
        part.body = body;
        envelope.kind_case = RAYOS__RPC__ENVELOPE__KIND_PART;
        envelope.part = &part;
        break;
    case RAY_RPC_ITEM:
        item.id = message->id;
        item.body = body;
        envelope.kind_case = RAYOS__RPC__ENVELOPE__KIND_ITEM;
        envelope.item = &item;
        break;
    case RAY_RPC_END:
        end.id = message->id;
        end.code = message->code != RAY_OK ? (char *)ray_err_api_code(message->code) : (char *)"";
        end.text = (char *)(message->text != NULL ? message->text : "");
        end.next_step = (char *)(message->next_step != NULL ? message->next_step : "");
        end.body = body;
        end.takes_bundles = message->takes_bundles;
        envelope.kind_case = RAYOS__RPC__ENVELOPE__KIND_END;
        envelope.end = &end;
        break;
    case RAY_RPC_CANCEL:
        cancel.id = message->id;
        envelope.kind_case = RAYOS__RPC__ENVELOPE__KIND_CANCEL;
        envelope.cancel = &cancel;
        break;
    case RAY_RPC_CREDIT:
        credit.id = message->id;
        credit.count = message->credit;
        envelope.kind_case = RAYOS__RPC__ENVELOPE__KIND_CREDIT;
        envelope.credit = &credit;
        break;
    }
    return ray_proto_pack(&envelope.base, RAY_RPC_MESSAGE_SIZE_MAX, arena, out_bytes, out_size,
                          err);
}
