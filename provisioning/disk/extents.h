/* provisioning/disk/extents.h - a list of byte ranges to be copied from descriptors to the
 * target, and to be compared with it afterwards.
 *
 * Memory: the list is on the heap, init/fini; descriptors are borrowed.
 * Threads: one.  Blocks: on the disk.  Trust: none; ranges are ours. */
#ifndef RAY_PROVISIONING_DISK_EXTENTS_H
#define RAY_PROVISIONING_DISK_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { EXTENT_COUNT_MAX = 65536 };

struct extent {
    int fd; /* -1: zeros */
    uint64_t source_bytes;
    uint64_t target_bytes;
    uint64_t size_bytes;
};

struct extents {
    struct extent *list;
    size_t count;
    size_t capacity;
};

void extents_init(struct extents *extents);
void extents_fini(struct extents *extents);

/* Neighbours are joined. RAY_ENOMEM, RAY_ETOOBIG. A size of 0 adds nothing. */
int extents_add(struct extents *extents, int fd, uint64_t source_bytes, uint64_t target_bytes,
                uint64_t size_bytes, struct ray_err *err);

/* Adds what is written (no hole) of [source, source + size). */
int extents_add_data(struct extents *extents, int fd, uint64_t source_bytes, uint64_t target_bytes,
                     uint64_t size_bytes, struct ray_err *err);

uint64_t extents_size(const struct extents *extents);

struct extents_progress {
    void (*cb)(void *arg, uint64_t done, uint64_t total); /* may be NULL */
    void *arg;
};

/* Copies all. `is_blank`: the target is known to read as zeros, so blocks of zeros are left out
 * and a file stays sparse. RAY_EIO, RAY_ENOSPC, ... */
int extents_copy(const struct extents *extents, int target_fd, bool is_blank,
                 const struct extents_progress *progress, struct ray_err *err);

/* Compares all. RAY_EIO: the target reads as something else. */
int extents_compare(const struct extents *extents, int target_fd,
                    const struct extents_progress *progress, struct ray_err *err);

#endif
