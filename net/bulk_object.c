#include "net/bulk_object.h"

#include <assert.h>
#include <sodium.h>

#include "base/le.h"
#include "net/bulk_object_impl.h"

static_assert(RAY_BULK_PART_HEAD_SIZE + RAY_BULK_CHUNK_SIZE_MAX <= RAY_BULK_MESSAGE_SIZE_MAX,
              "a chunk is one message");
static_assert(RAY_BULK_PART_HEAD_SIZE + RAY_BULK_LIST_COUNT_MAX * RAY_BULK_HASH_SIZE <=
                  RAY_BULK_MESSAGE_SIZE_MAX,
              "a part of the list is one message");

void ray_bulk_chunk_hash(const void *bytes, size_t size, uint8_t out[static RAY_BULK_HASH_SIZE])
{
    (void)crypto_generichash(out, RAY_BULK_HASH_SIZE, bytes, size, NULL, 0);
}

int ray_bulk_chunk_count(uint64_t size_bytes, uint32_t chunk_size, uint32_t *out_count,
                         struct ray_err *err)
{
    uint64_t count;

    if (chunk_size < RAY_BULK_CHUNK_SIZE_MIN || chunk_size > RAY_BULK_CHUNK_SIZE_MAX) {
        return ray_fail(err, RAY_EINVAL, "chunks of %u bytes; from %d to %d", chunk_size,
                        RAY_BULK_CHUNK_SIZE_MIN, RAY_BULK_CHUNK_SIZE_MAX);
    }
    count = size_bytes / chunk_size + (size_bytes % chunk_size != 0 ? 1 : 0);
    if (count > RAY_BULK_CHUNK_COUNT_MAX) {
        return ray_fail(err, RAY_EINVAL, "an object of %llu bytes in chunks of %u",
                        (unsigned long long)size_bytes, chunk_size);
    }
    *out_count = (uint32_t)count;
    return RAY_OK;
}

int ray_bulk_root(uint64_t size_bytes, uint32_t chunk_size, const uint8_t *hashes,
                  uint8_t out[static RAY_BULK_HASH_SIZE], struct ray_err *err)
{
    static const uint8_t domain[] = "rayos object 1";
    uint8_t sizes[12];
    crypto_generichash_state state;
    uint32_t count = 0;
    int rc = ray_bulk_chunk_count(size_bytes, chunk_size, &count, err);

    if (rc != RAY_OK) {
        return rc;
    }
    ray_store64le(sizes, size_bytes);
    ray_store32le(sizes + 8, chunk_size);
    (void)crypto_generichash_init(&state, NULL, 0, RAY_BULK_HASH_SIZE);
    (void)crypto_generichash_update(&state, domain, sizeof domain - 1);
    (void)crypto_generichash_update(&state, sizes, sizeof sizes);
    (void)crypto_generichash_update(&state, hashes, (size_t)count * RAY_BULK_HASH_SIZE);
    (void)crypto_generichash_final(&state, out, RAY_BULK_HASH_SIZE);
    return RAY_OK;
}
