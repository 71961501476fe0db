/* coordinator/fsm/wire.h - fields of protobuf by hand, for what is packed again and again: the
 * bytes are those that protobuf-c makes of the same message (property_test.c).
 *
 * A field of proto3 that has its default value is left out.
 * Memory: the caller's; who writes has asked for the size before.  Threads: any.  Blocks: never.
 * Trust: ours. */
#ifndef RAY_COORDINATOR_FSM_WIRE_H
#define RAY_COORDINATOR_FSM_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/varint.h"

enum fsm_wire_type { FSM_WIRE_VARINT = 0, FSM_WIRE_BYTES = 2 };

/* Numbers of fields below 16: their tags have one byte. */
static inline size_t fsm_number_size(uint64_t value)
{
    return value == 0 ? 0 : 1 + ray_varint_size(value);
}

static inline uint8_t *fsm_put_number(uint8_t *at, unsigned field, uint64_t value)
{
    if (value == 0) {
        return at;
    }
    *at++ = (uint8_t)(field << 3 | FSM_WIRE_VARINT);
    return ray_varint_put(at, value);
}

/* Also of an empty member of `repeated`, or an empty message. */
static inline size_t fsm_part_size(size_t size)
{
    return 1 + ray_varint_size(size) + size;
}

static inline uint8_t *fsm_put_part_head(uint8_t *at, unsigned field, size_t size)
{
    *at++ = (uint8_t)(field << 3 | FSM_WIRE_BYTES);
    return ray_varint_put(at, size);
}

static inline size_t fsm_bytes_size(size_t size)
{
    return size == 0 ? 0 : fsm_part_size(size);
}

static inline uint8_t *fsm_put_bytes(uint8_t *at, unsigned field, const void *bytes, size_t size)
{
    if (size == 0) {
        return at;
    }
    at = fsm_put_part_head(at, field, size);
    memcpy(at, bytes, size);
    return at + size;
}

#endif
