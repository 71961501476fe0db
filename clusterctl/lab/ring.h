/* clusterctl/lab/ring.h - the newest bytes of a stream, addressed by their offset since the
 * stream began, so that several readers follow at their own pace.
 *
 * Memory: one block, allocated by init, freed by fini.  Threads: one owner.  Blocks: never.
 * Trust: bytes are opaque; offsets of readers may be too old or, never, in the future. */
#ifndef RAY_CLUSTERCTL_LAB_RING_H
#define RAY_CLUSTERCTL_LAB_RING_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct lab_ring {
    uint8_t *data;
    size_t capacity;
    uint64_t end; /* offset behind the newest byte */
};

int lab_ring_init(struct lab_ring *ring, size_t capacity, struct ray_err *err);
void lab_ring_fini(struct lab_ring *ring);
void lab_ring_append(struct lab_ring *ring, const void *bytes, size_t size);
/* Offset of the oldest byte that is kept. */
uint64_t lab_ring_begin(const struct lab_ring *ring);
/* Bytes from `offset` (at least lab_ring_begin, at most end) that lie together; returns how
 * many, at most size_max; *out_bytes is valid until the next append. */
size_t lab_ring_peek(const struct lab_ring *ring, uint64_t offset, size_t size_max,
                     const uint8_t **out_bytes);

#endif
