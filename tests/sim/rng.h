/* tests/sim/rng.h - the only randomness of a run: xoshiro256** (Blackman and Vigna), seeded.
 *
 * Memory: plain struct.  Threads: one owner.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_RNG_H
#define RAY_TESTS_SIM_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_rng {
    uint64_t state[4];
};

void sim_rng_init(struct sim_rng *rng, uint64_t seed);
/* Another stream, so that more draws in one part do not shift those of another. */
void sim_rng_fork(struct sim_rng *rng, struct sim_rng *out);

uint64_t sim_rng_next(struct sim_rng *rng);
uint64_t sim_rng_below(struct sim_rng *rng, uint64_t limit); /* 0..limit-1; limit > 0 */
/* `low`..`high`, both ends included. */
uint64_t sim_rng_between(struct sim_rng *rng, uint64_t low, uint64_t high);
bool sim_rng_one_in(struct sim_rng *rng, uint64_t count); /* true once in `count` */
bool sim_rng_ppm(struct sim_rng *rng, uint32_t ppm);
/* A waiting time with this mean, never 0: exponential, cut at about eight times the mean. */
uint64_t sim_rng_wait(struct sim_rng *rng, uint64_t mean);
void sim_rng_fill(struct sim_rng *rng, void *out, size_t size);

#endif
