/* base/le.h - numbers as little-endian bytes at any address.
 *
 * Memory: the caller's, who has checked the size.  Threads: any.  Blocks: never.
 * Trust: the bytes may be anything. */
#ifndef RAY_BASE_LE_H
#define RAY_BASE_LE_H

#include <stdint.h>

static inline void ray_store32le(uint8_t out[static 4], uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline void ray_store64le(uint8_t out[static 8], uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline uint32_t ray_load32le(const uint8_t bytes[static 4])
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 4; i++) {
        value |= (uint32_t)bytes[i] << (8 * i);
    }
    return value;
}

static inline uint64_t ray_load64le(const uint8_t bytes[static 8])
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

#endif
