#include "base/histogram.h"

#include <assert.h>

enum { FIRST_BOUND_US = 16, NS_PER_US = 1000 };

uint64_t ray_histogram_bound_ns(size_t bucket)
{
    assert(bucket < RAY_HISTOGRAM_BUCKETS);
    return bucket == RAY_HISTOGRAM_BUCKETS - 1 ? UINT64_MAX
                                               : ((uint64_t)FIRST_BOUND_US * NS_PER_US) << bucket;
}

void ray_histogram_add(struct ray_histogram *histogram, uint64_t duration_ns)
{
    size_t bucket = 0;

    while (duration_ns > ray_histogram_bound_ns(bucket)) {
        bucket++;
    }
    histogram->counts[bucket]++;
    histogram->sum_ns += duration_ns;
}

uint64_t ray_histogram_count(const struct ray_histogram *histogram)
{
    uint64_t count = 0;

    for (size_t i = 0; i < RAY_HISTOGRAM_BUCKETS; i++) {
        count += histogram->counts[i];
    }
    return count;
}
