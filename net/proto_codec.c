/* proto_codec.c - protobuf-c asks an allocator for each part of a message; this one hands
 * out arena memory and remembers a refusal, because protobuf-c reports "malformed" and
 * "no memory" alike. */
#include "net/proto_codec.h"

#include <assert.h>
#include <stdbool.h>

struct arena_allocator {
    ProtobufCAllocator pb;
    struct ray_arena *arena;
    bool is_exhausted; /* the arena's limit: the same wherever these bytes are unpacked */
    bool has_failed;   /* no memory */
};

static void *arena_alloc(void *arg, size_t size)
{
    struct arena_allocator *allocator = arg;
    void *memory = NULL;

    if (!ray_arena_has_room(allocator->arena, size)) {
        allocator->is_exhausted = true;
        return NULL;
    }
    memory = ray_arena_alloc(allocator->arena, size);
    if (memory == NULL) {
        allocator->has_failed = true;
    }
    return memory;
}

static void arena_free(void *arg, void *memory)
{
    (void)arg; /* the arena's reset frees all */
    (void)memory;
}

int ray_proto_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size,
                     struct ray_arena *arena, ProtobufCMessage **out_message, struct ray_err *err)
{
    static const uint8_t none[1];
    struct arena_allocator allocator = {.arena = arena};
    ProtobufCMessage *message;

    assert(type != NULL && arena != NULL && out_message != NULL);
    assert(bytes != NULL || size == 0);
    allocator.pb = (ProtobufCAllocator){
        .alloc = arena_alloc, .free = arena_free, .allocator_data = &allocator};
    message = protobuf_c_message_unpack(type, &allocator.pb, size, bytes != NULL ? bytes : none);
    if (message == NULL && allocator.has_failed) {
        return ray_fail(err, RAY_ENOMEM, "%s of %zu bytes", type->name, size);
    }
    if (message == NULL && allocator.is_exhausted) {
        return ray_fail(err, RAY_ETOOBIG, "%s of %zu bytes needs too much memory", type->name,
                        size);
    }
    if (message == NULL) {
        return ray_fail(err, RAY_EMALFORMED, "%zu bytes are no %s", size, type->name);
    }
    *out_message = message;
    return RAY_OK;
}

int ray_proto_pack(const ProtobufCMessage *message, size_t size_max, struct ray_arena *arena,
                   const uint8_t **out_bytes, size_t *out_size, struct ray_err *err)
{
    size_t size, packed_size;
    uint8_t *bytes;

    assert(message != NULL && arena != NULL && out_bytes != NULL && out_size != NULL);
    size = protobuf_c_message_get_packed_size(message);
    if (size > size_max) {
        return ray_fail(err, RAY_ETOOBIG, "%s of %zu bytes, at most %zu", message->descriptor->name,
                        size, size_max);
    }
    bytes = ray_arena_alloc(arena, size > 0 ? size : 1);
    if (bytes == NULL) {
        return ray_fail(err, RAY_ENOMEM, "%s of %zu bytes", message->descriptor->name, size);
    }
    packed_size = protobuf_c_message_pack(message, bytes);
    assert(packed_size == size);
    *out_bytes = bytes;
    *out_size = packed_size;
    return RAY_OK;
}
