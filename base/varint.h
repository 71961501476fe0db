/* base/varint.h - numbers in one to ten bytes, seven bits each, the lowest first.
 *
 * Zeros above the number are allowed where it is read, as in protobuf: who writes before it knows
 * the number leaves room for it.
 * Memory: the caller's; who writes has asked for the size before.  Threads: any.  Blocks: never.
 * Trust: what is taken is hostile.  Source: protobuf.dev, Encoding. */
#ifndef RAY_BASE_VARINT_H
#define RAY_BASE_VARINT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RAY_VARINT_SIZE_MAX = 10,
    RAY_VARINT_HEAD_SIZE_MAX = 5, /* of the key and the length of a field; protobuf-c's limit */
};

static inline size_t ray_varint_size(uint64_t value)
{
    /* Zero has a byte too. */
    return ((size_t)(63 - __builtin_clzll(value | 1)) / 7) + 1;
}

/* Returns the end, as the next one. */
static inline uint8_t *ray_varint_put(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* Exactly `size` bytes, at least ray_varint_size(value). */
static inline uint8_t *ray_varint_put_padded(uint8_t *at, uint64_t value, size_t size)
{
    assert(size >= ray_varint_size(value) && size <= RAY_VARINT_SIZE_MAX);
    for (; size > 1; size--) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* The number at the front of `bytes`: how many of them it has. 0: it does not end within them or
 * is more than 64 bits; *out is untouched. */
static inline size_t ray_varint_take(const uint8_t *bytes, size_t size, uint64_t *out)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size && i < RAY_VARINT_SIZE_MAX; i++) {
        /* The tenth byte has room for one bit. */
        if (i == RAY_VARINT_SIZE_MAX - 1 && bytes[i] > 1) {
            break;
        }
        value |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
        if (bytes[i] < 0x80) {
            *out = value;
            return i + 1;
        }
    }
    return 0;
}

/* As ray_varint_take, for what may have at most `size_max` bytes. */
static inline size_t ray_varint_take_short(const uint8_t *bytes, size_t size, size_t size_max,
                                           uint64_t *out)
{
    return ray_varint_take(bytes, size < size_max ? size : size_max, out);
}

#endif
