/* hash.c - the keys are constants: every replica must find the same. */
#include "coordinator/fsm/hash.h"

#include <sodium.h>

static const uint8_t table_key[crypto_shorthash_KEYBYTES] = "rayos table key";
static const uint8_t state_key[crypto_shorthash_siphashx24_KEYBYTES] = "rayos state key";

void fsm_store64(uint8_t out[static 8], uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

uint64_t fsm_load64(const uint8_t in[static 8])
{
    uint64_t value = 0;

    for (int i = 7; i >= 0; i--) {
        value = value << 8 | in[i];
    }
    return value;
}

uint64_t fsm_hash64(const void *bytes, size_t size)
{
    uint8_t out[crypto_shorthash_BYTES];

    (void)crypto_shorthash(out, bytes, size, table_key); /* cannot fail */
    return fsm_load64(out);
}

struct fsm_sum fsm_hash128(const void *bytes, size_t size)
{
    uint8_t out[crypto_shorthash_siphashx24_BYTES];

    (void)crypto_shorthash_siphashx24(out, bytes, size, state_key); /* cannot fail */
    return (struct fsm_sum){{fsm_load64(out), fsm_load64(out + 8)}};
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
