/* net/bulk_object_impl.h - the messages of an object's transfer; little endian.
 *
 *   WANT  {1, version, has_root, 0, u32 first chunk, u32 window, root}
 *   HEAD  {2, 0, 0, 0, u32 chunk size, u64 object size, root}
 *   LIST  {3, 0, 0, 0, u32 first index, hashes...}
 *   CHUNK {4, 0, 0, 0, u32 index, bytes...}
 *   GIVE  {5, 0, 0, 0, u32 chunks taken}
 *
 * Private to net/bulk_*.c.
 * Memory: none.  Threads: any.  Blocks: never.  Trust: lengths are checked by the reader. */
#ifndef RAY_NET_BULK_OBJECT_IMPL_H
#define RAY_NET_BULK_OBJECT_IMPL_H

#include <stdint.h>

#include "base/le.h"
#include "net/bulk.h"
#include "net/bulk_object.h"

enum ray_bulk_type {
    RAY_BULK_WANT = 1,
    RAY_BULK_HEAD = 2,
    RAY_BULK_LIST = 3,
    RAY_BULK_CHUNK = 4,
    RAY_BULK_GIVE = 5,
};

enum {
    RAY_BULK_OBJECT_VERSION = 1,
    RAY_BULK_WANT_SIZE = 12 + RAY_BULK_HASH_SIZE,
    RAY_BULK_HEAD_SIZE = 16 + RAY_BULK_HASH_SIZE,
    RAY_BULK_PART_HEAD_SIZE = 8, /* of LIST, CHUNK, GIVE */
    RAY_BULK_LIST_COUNT_MAX = 4096,
};

/* {type, 0, 0, 0, number} */
static inline void ray_bulk_put_part(uint8_t *out, enum ray_bulk_type type, uint32_t number)
{
    out[0] = (uint8_t)type;
    out[1] = out[2] = out[3] = 0;
    ray_store32le(out + 4, number);
}

/* The size of chunk `index` of `count`. */
static inline size_t ray_bulk_chunk_size(const struct ray_bulk_object *object, uint32_t count,
                                         uint32_t index)
{
    uint64_t before = (uint64_t)index * object->chunk_size;

    return index + 1 < count ? object->chunk_size : (size_t)(object->size_bytes - before);
}

#endif
