/* clusterctl/lab/ring.c - see ring.h. */
#include "clusterctl/lab/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

int lab_ring_init(struct lab_ring *ring, size_t capacity, struct ray_err *err)
{
    assert(capacity > 0);
    *ring = (struct lab_ring){0};
    ring->data = ray_fault(RAY_FAULT_ALLOC) ? NULL : malloc(capacity);
    if (ring->data == NULL) {
        return ray_fail(err, RAY_ENOMEM, "ring of %zu bytes", capacity);
    }
    ring->capacity = capacity;
    return RAY_OK;
}

void lab_ring_fini(struct lab_ring *ring)
{
    free(ring->data);
    *ring = (struct lab_ring){0};
}

void lab_ring_append(struct lab_ring *ring, const void *bytes, size_t size)
{
    const uint8_t *input = bytes;

    if (size > ring->capacity) { /* only the newest fit; the others count as passed by */
        ring->end += size - ring->capacity;
        input += size - ring->capacity;
        size = ring->capacity;
    }
    while (size > 0) {
        size_t at = (size_t)(ring->end % ring->capacity);
        size_t part = ring->capacity - at < size ? ring->capacity - at : size;

        memcpy(ring->data + at, input, part);
        ring->end += part;
        input += part;
        size -= part;
    }
}

uint64_t lab_ring_begin(const struct lab_ring *ring)
{
    return ring->end > ring->capacity ? ring->end - ring->capacity : 0;
}

size_t lab_ring_peek(const struct lab_ring *ring, uint64_t offset, size_t size_max,
                     const uint8_t **out_bytes)
{
    size_t at = (size_t)(offset % ring->capacity);
    uint64_t size;

    assert(offset >= lab_ring_begin(ring) && offset <= ring->end);
    size = ring->end - offset;
    if (size > ring->capacity - at) {
        size = ring->capacity - at;
    }
    if (size > size_max) {
        size = size_max;
    }
    *out_bytes = ring->data + at;
    return (size_t)size;
}
