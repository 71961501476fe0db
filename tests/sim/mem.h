/* tests/sim/mem.h - memory of the simulator: there, or the run ends.
 *
 * Memory: the caller frees with free().  Threads: any.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_MEM_H
#define RAY_TESTS_SIM_MEM_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed. */
void *sim_alloc(size_t count, size_t size);
/* Room for one more element behind `count`: returns `array`, grown by doubling. */
void *sim_grow(void *array, size_t count, size_t *capacity, size_t size);

/* A fast hash, the same on every machine; for agreement and reproduction, not against malice. */
uint64_t sim_hash(uint64_t seed, const void *bytes, size_t size);
uint64_t sim_hash_u64(uint64_t seed, uint64_t value);

#endif
