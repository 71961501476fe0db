#include "coordinator/lease/grant.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"

enum { PPM = 1000000 };

int coord_lease_timing_check(const struct coord_lease_timing *timing, struct ray_err *err)
{
    assert(timing != NULL);
    if (timing->grant_ns == 0 || timing->grant_ns > COORD_LEASE_TIME_MAX_NS ||
        timing->margin_ns == 0 || timing->margin_ns > COORD_LEASE_TIME_MAX_NS) {
        return ray_fail(err, RAY_EINVAL, "grant time and stop margin are between 1 ns and %llu s",
                        (unsigned long long)(COORD_LEASE_TIME_MAX_NS / 1000000000));
    }
    if (timing->drift_ppm > COORD_LEASE_DRIFT_PPM_MAX) {
        return ray_fail(err, RAY_EINVAL, "drift of %u ppm, at most %d", timing->drift_ppm,
                        COORD_LEASE_DRIFT_PPM_MAX);
    }
    return RAY_OK;
}

struct coord_lease_timing coord_lease_timing_max(const struct coord_lease_timing *a,
                                                 const struct coord_lease_timing *b)
{
    assert(a != NULL && b != NULL);
    return (struct coord_lease_timing){
        .grant_ns = a->grant_ns > b->grant_ns ? a->grant_ns : b->grant_ns,
        .margin_ns = a->margin_ns > b->margin_ns ? a->margin_ns : b->margin_ns,
        .drift_ppm = a->drift_ppm > b->drift_ppm ? a->drift_ppm : b->drift_ppm,
    };
}

uint64_t coord_lease_wait_ns(const struct coord_lease_timing *timing)
{
    uint64_t sum_ns;
    uint64_t slow;

    assert(timing != NULL && timing->grant_ns <= COORD_LEASE_TIME_MAX_NS);
    /* Twice the limit: a strict guest's watchdog is part of the margin. */
    assert(timing->margin_ns <= 2 * COORD_LEASE_TIME_MAX_NS);
    assert(timing->drift_ppm <= COORD_LEASE_DRIFT_PPM_MAX);
    sum_ns = timing->grant_ns + timing->margin_ns;
    slow = (uint64_t)PPM - timing->drift_ppm;
    /* At most 1.8e12 * 1.1e6, far below 2^64. */
    return (sum_ns * ((uint64_t)PPM + timing->drift_ppm) + slow - 1) / slow;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct coord_lease_pair *left = a;
    const struct coord_lease_pair *right = b;

    return ray_id_compare(&left->id, &right->id);
}

void coord_lease_sort(struct coord_lease_pair *pairs, size_t count)
{
    assert(pairs != NULL || count == 0);
    if (count > 1) {
        qsort(pairs, count, sizeof *pairs, compare_pairs);
    }
}

struct coord_lease_hash coord_lease_hash_of(const struct coord_lease_pair *pairs, size_t count)
{
    enum { PAIR_SIZE = RAY_ID_SIZE + 4 * 8 + 2 };
    struct coord_lease_hash hash;
    crypto_generichash_state state;
    uint8_t bytes[PAIR_SIZE];

    assert((pairs != NULL || count == 0) && count <= COORD_LEASE_PAIRS_MAX);
    (void)crypto_generichash_init(&state, NULL, 0, sizeof hash.bytes);
    for (size_t i = 0; i < count; i++) {
        assert(i == 0 || ray_id_compare(&pairs[i - 1].id, &pairs[i].id) < 0);
        memcpy(bytes, pairs[i].id.bytes, RAY_ID_SIZE);
        ray_store64le(bytes + RAY_ID_SIZE, pairs[i].epoch.cluster);
        ray_store64le(bytes + RAY_ID_SIZE + 8, pairs[i].epoch.index);
        ray_store64le(bytes + RAY_ID_SIZE + 16, pairs[i].from.cluster);
        ray_store64le(bytes + RAY_ID_SIZE + 24, pairs[i].from.index);
        bytes[RAY_ID_SIZE + 32] = (uint8_t)pairs[i].origin;
        bytes[RAY_ID_SIZE + 33] = (uint8_t)pairs[i].kind;
        (void)crypto_generichash_update(&state, bytes, sizeof bytes);
    }
    (void)crypto_generichash_final(&state, hash.bytes, sizeof hash.bytes);
    return hash;
}

bool coord_lease_hash_equal(const struct coord_lease_hash *a, const struct coord_lease_hash *b)
{
    assert(a != NULL && b != NULL);
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
