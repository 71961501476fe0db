/* base/le.h - numbers as little-endian bytes at any address.
 *
 * Memory: the caller's, who has checked the size.  Threads: any.  Blocks: never.
 * Trust: the bytes may be anything. */
#ifndef RAY_BASE_LE_H
#define RAY_BASE_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void ray_store32le(uint8_t out[static 4], uint32_t value)
{
    value = htole32(value);
    memcpy(out, &value, sizeof value);
}

static inline void ray_store64le(uint8_t out[static 8], uint64_t value)
{
    value = htole64(value);
    memcpy(out, &value, sizeof value);
}

static inline uint32_t ray_load32le(const uint8_t bytes[static 4])
{
    uint32_t value;

    memcpy(&value, bytes, sizeof value);
    return le32toh(value);
}

static inline uint64_t ray_load64le(const uint8_t bytes[static 8])
{
    uint64_t value;

    memcpy(&value, bytes, sizeof value);
    return le64toh(value);
}

#endif
