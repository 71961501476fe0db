/* net/spec_fixture.h - specs of any kind and size, for tests and benches to which their contents
 * are nothing: all of it is the description, which each kind has as its first field.
 *
 * Memory: the caller's.  Threads: any.  Blocks: never.  Trust: tests only. */
#ifndef RAY_NET_SPEC_FIXTURE_H
#define RAY_NET_SPEC_FIXTURE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/varint.h"

enum { SPEC_FIX_HEAD_SIZE_MAX = 4 };

/* Writes the beginning of a spec that has `size` bytes in all, at least 2 and at most 1 MiB; text
 * is to follow. Returns its size. */
static inline size_t spec_fix_head(uint8_t out[static SPEC_FIX_HEAD_SIZE_MAX], size_t size)
{
    size_t length_size = size < 130 ? 1 : size < (1 << 14) ? 2 : 3;

    assert(size >= 2 && size <= 1 << 20);
    out[0] = 1 << 3 | 2;
    (void)ray_varint_put_padded(out + 1, size - 1 - length_size, length_size);
    return 1 + length_size;
}

#endif
