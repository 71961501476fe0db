/* base/size.h - arithmetic on sizes that come from outside.
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: inputs are hostile. */
#ifndef RAY_BASE_SIZE_H
#define RAY_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAY_ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* true: *out is the exact result; false: it does not fit and *out is untouched. */
static inline bool ray_add_size(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

static inline bool ray_mul_size(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *out = product;
    return true;
}

/* Rounds up to a multiple of `align` (a power of two). */
static inline bool ray_align_size(size_t size, size_t align, size_t *out)
{
    size_t sum;
    if (!ray_add_size(size, align - 1, &sum)) {
        return false;
    }
    *out = sum & ~(align - 1);
    return true;
}

/* Decimal with optional K, M, G, T (powers of 1024), also as KiB and so on: "512M", "2GiB". The
 * whole of `text` must be the number.  RAY_EINVAL or RAY_ETOOBIG otherwise. */
int ray_parse_size(const char *text, uint64_t *out_bytes);

/* Whole decimal number within [min, max]; RAY_EINVAL otherwise. */
int ray_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* "1.5 GiB" for people; returns `out`. */
const char *ray_format_size(uint64_t bytes, char out[static 16]);

#endif
