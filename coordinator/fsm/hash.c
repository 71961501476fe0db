/* hash.c - the keys are constants: every replica must find the same. */
#include "coordinator/fsm/hash.h"

#include <sodium.h>

#include "base/le.h"

static const uint8_t table_key[crypto_shorthash_KEYBYTES] = "rayos table key";
static const uint8_t state_key[crypto_shorthash_siphashx24_KEYBYTES] = "rayos state key";

uint64_t fsm_hash64(const void *bytes, size_t size)
{
    uint8_t out[crypto_shorthash_BYTES];

    (void)crypto_shorthash(out, bytes, size, table_key); /* cannot fail */
    return ray_load64le(out);
}

struct fsm_sum fsm_hash128(const void *bytes, size_t size)
{
    uint8_t out[crypto_shorthash_siphashx24_BYTES];

    (void)crypto_shorthash_siphashx24(out, bytes, size, state_key); /* cannot fail */
    return (struct fsm_sum){{ray_load64le(out), ray_load64le(out + 8)}};
}

void fsm_sum_add(struct fsm_sum *sum, const struct fsm_sum *part)
{
    sum->lanes[0] += part->lanes[0];
    sum->lanes[1] += part->lanes[1];
}

void fsm_sum_subtract(struct fsm_sum *sum, const struct fsm_sum *part)
{
    sum->lanes[0] -= part->lanes[0];
    sum->lanes[1] -= part->lanes[1];
}
