/* grant_codec_fuzz.c - the first byte says what the others are: 0 a renewal, else an answer. What
 * is decoded must survive encoding. */
#include <stdlib.h>

#include "coordinator/lease/grant_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void renew(const uint8_t *data, size_t size, struct ray_arena *arena)
{
    struct coord_lease_renew message;
    const uint8_t *bytes;

    if (coord_lease_renew_decode(data, size, arena, &message, NULL) == RAY_OK &&
        (coord_lease_renew_encode(&message, arena, &bytes, &size, NULL) != RAY_OK ||
         coord_lease_renew_decode(bytes, size, arena, &message, NULL) != RAY_OK)) {
        abort();
    }
}

static void answer(const uint8_t *data, size_t size, struct ray_arena *arena)
{
    struct coord_lease_answer message;
    const uint8_t *bytes;

    if (coord_lease_answer_decode(data, size, arena, &message, NULL) == RAY_OK &&
        (coord_lease_answer_encode(&message, arena, &bytes, &size, NULL) != RAY_OK ||
         coord_lease_answer_decode(bytes, size, arena, &message, NULL) != RAY_OK)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ray_arena arena;

    if (size == 0) {
        return 0;
    }
    ray_arena_init(&arena, 4 * (size_t)COORD_LEASE_ARENA_SIZE_MAX);
    if (data[0] == 0) {
        renew(data + 1, size - 1, &arena);
    } else {
        answer(data + 1, size - 1, &arena);
    }
    ray_arena_fini(&arena);
    return 0;
}
