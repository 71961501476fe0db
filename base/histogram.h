/* base/histogram.h - how long things took: counts of durations by powers of two, from 16
 * microseconds up to 16 s.
 *
 * Memory: a plain struct; zeroed is empty.  Threads: one owner.  Blocks: never.
 * Trust: ours. */
#ifndef RAY_BASE_HISTOGRAM_H
#define RAY_BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { RAY_HISTOGRAM_BUCKETS = 22 };

struct ray_histogram {
    uint64_t counts[RAY_HISTOGRAM_BUCKETS]; /* not cumulative; the last one has no bound */
    uint64_t sum_ns;
};

void ray_histogram_add(struct ray_histogram *histogram, uint64_t duration_ns);
/* What a bucket holds at most, inclusive; UINT64_MAX for the last one. */
uint64_t ray_histogram_bound_ns(size_t bucket);
uint64_t ray_histogram_count(const struct ray_histogram *histogram);

#endif
