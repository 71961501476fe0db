/* net/spec_walk.h - whether bytes are a message of that type and nothing but it, as a feature level
 * has it, before protobuf-c sees them: it would take unknown fields, and a field twice.
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: the bytes are hostile. */
#ifndef RAY_NET_SPEC_WALK_H
#define RAY_NET_SPEC_WALK_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Only strings, bytes, messages, bools, enums, uint32 and uint64 are known here; strings are
 * UTF-8 without control characters but line feed and tab. RAY_EUNSUPPORTED, RAY_EINVAL. */
int ray_spec_walk(const ProtobufCMessageDescriptor *type, uint32_t level, const uint8_t *bytes,
                  size_t size, struct ray_err *err);

#endif
