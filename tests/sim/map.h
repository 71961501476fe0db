/* tests/sim/map.h - two numbers to one number; grows, never forgets.
 *
 * Memory: init/fini; a zeroed struct is empty.  Threads: one owner.  Blocks: never.  Trust: none.
 */
#ifndef RAY_TESTS_SIM_MAP_H
#define RAY_TESTS_SIM_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_map_slot {
    uint64_t a;
    uint64_t b;
    uint64_t value;
    bool is_used;
};

struct sim_map {
    struct sim_map_slot *slots;
    size_t count;
    size_t capacity; /* power of two, or 0 */
};

void sim_map_fini(struct sim_map *map);
/* NULL: not there. Borrowed until the next sim_map_put. */
uint64_t *sim_map_get(const struct sim_map *map, uint64_t a, uint64_t b);
/* The value of {a, b}, made as `first` when it was not there (*out_is_new). */
uint64_t *sim_map_put(struct sim_map *map, uint64_t a, uint64_t b, uint64_t first,
                      bool *out_is_new);

#endif
