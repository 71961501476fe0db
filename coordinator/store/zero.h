/* coordinator/store/zero.h - whether bytes of a disk were never written.
 *
 * Memory: none; the caller has checked the size.  Threads: any.  Blocks: never.
 * Trust: values may be anything. */
#ifndef RAY_COORDINATOR_STORE_ZERO_H
#define RAY_COORDINATOR_STORE_ZERO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool coord_is_zero(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

#endif
