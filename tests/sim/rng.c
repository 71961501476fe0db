#include "tests/sim/rng.h"

#include <assert.h>
#include <string.h>

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

void sim_rng_init(struct sim_rng *rng, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        rng->state[i] = splitmix(&seed);
    }
}

void sim_rng_fork(struct sim_rng *rng, struct sim_rng *out)
{
    sim_rng_init(out, sim_rng_next(rng));
}

uint64_t sim_rng_next(struct sim_rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t sim_rng_below(struct sim_rng *rng, uint64_t limit)
{
    assert(limit > 0);
    /* The bias is limit / 2^64: nothing here can see it. */
    return sim_rng_next(rng) % limit;
}

uint64_t sim_rng_between(struct sim_rng *rng, uint64_t low, uint64_t high)
{
    assert(low <= high && high - low < UINT64_MAX);
    return low + sim_rng_below(rng, high - low + 1);
}

bool sim_rng_one_in(struct sim_rng *rng, uint64_t count)
{
    return sim_rng_below(rng, count) == 0;
}

bool sim_rng_ppm(struct sim_rng *rng, uint32_t ppm)
{
    return ppm > 0 && sim_rng_below(rng, 1000000) < ppm;
}

uint64_t sim_rng_wait(struct sim_rng *rng, uint64_t mean)
{
    /* -ln(u) in 1/256ths by halvings and a straight line within each: no libm, so that two
     * machines agree to the bit. ln 2 is 177/256. */
    uint64_t draw = sim_rng_next(rng) | 1;
    uint64_t zeros = (uint64_t)__builtin_clzll(draw); /* 0..63 */
    uint64_t rest = zeros < 63 ? (draw << (zeros + 1)) >> 56 : 0;
    uint64_t scaled = zeros * 177 + (256U - rest) * 177 / 256;
    uint64_t wait = scaled > 2048 ? mean * 8 : mean / 256 * scaled + mean % 256 * scaled / 256;

    return wait + 1 + sim_rng_below(rng, mean / 256 + 1);
}

void sim_rng_fill(struct sim_rng *rng, void *out, size_t size)
{
    uint8_t *at = out;

    while (size > 0) {
        uint64_t word = sim_rng_next(rng);
        size_t part = size < sizeof word ? size : sizeof word;

        memcpy(at, &word, part);
        at += part;
        size -= part;
    }
}
