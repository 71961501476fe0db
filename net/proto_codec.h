/* net/proto_codec.h - protobuf messages packed into and unpacked from an arena.
 *
 * Memory: everything lives in the caller's arena until its reset; nothing is freed
 * singly, and protobuf_c_message_free_unpacked must not be called on the result.
 * Threads: any; the arena has one owner.  Blocks: never.
 * Trust: the bytes are hostile; the arena's limit bounds what they can make us allocate. */
#ifndef RAY_NET_PROTO_CODEC_H
#define RAY_NET_PROTO_CODEC_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"

/* Fields of a message to be packed; they borrow. protobuf-c only reads what it packs, without
 * saying const. */
static inline ProtobufCBinaryData ray_proto_bytes(const void *bytes, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)bytes};
}

static inline ProtobufCBinaryData ray_proto_id(const struct ray_id *id)
{
    return ray_proto_bytes(id->bytes, RAY_ID_SIZE);
}

/* Empty, so that the field is left out, when there is none. */
static inline ProtobufCBinaryData ray_proto_optional_id(const struct ray_id *id)
{
    return ray_id_is_none(id) ? ray_proto_bytes(NULL, 0) : ray_proto_id(id);
}

/* RAY_EMALFORMED: not a message of this type.  RAY_ETOOBIG: it would need more memory
 * than the arena's limit gives: the same everywhere.  RAY_ENOMEM: there is no memory here.
 * `bytes` may be NULL when size is 0. */
int ray_proto_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size,
                     struct ray_arena *arena, ProtobufCMessage **out_message, struct ray_err *err);

/* RAY_ETOOBIG above size_max; RAY_ENOMEM. *out_bytes is not NULL even when *out_size is 0. */
int ray_proto_pack(const ProtobufCMessage *message, size_t size_max, struct ray_arena *arena,
                   const uint8_t **out_bytes, size_t *out_size, struct ray_err *err);

#endif
