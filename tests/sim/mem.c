#include "tests/sim/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 16 };

void *sim_alloc(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);

    if (memory == NULL) {
        abort();
    }
    return memory;
}

void *sim_grow(void *array, size_t count, size_t *capacity, size_t size)
{
    assert(count <= *capacity);
    if (count < *capacity) {
        return array;
    }
    size_t wanted = *capacity == 0 ? FIRST_CAPACITY : *capacity * 2;
    void *grown = reallocarray(array, wanted, size);

    if (grown == NULL) {
        abort();
    }
    *capacity = wanted;
    return grown;
}

uint64_t sim_hash_u64(uint64_t seed, uint64_t value)
{
    uint64_t x = (seed ^ value) * UINT64_C(0x9e3779b97f4a7c15);

    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    return x ^ (x >> 29);
}

uint64_t sim_hash(uint64_t seed, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t hash = sim_hash_u64(seed, size);
    uint64_t word;

    for (; size >= sizeof word; size -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 31;
    }
    word = 0;
    if (size > 0) {
        memcpy(&word, at, size);
    }
    return sim_hash_u64(hash, word);
}
