#include "tests/sim/map.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/sim/mem.h"

enum { FIRST_CAPACITY = 64 };

void sim_map_fini(struct sim_map *map)
{
    free(map->slots);
    *map = (struct sim_map){0};
}

static struct sim_map_slot *probe(const struct sim_map *map, uint64_t a, uint64_t b)
{
    size_t at = (size_t)sim_hash_u64(a, b) & (map->capacity - 1);

    while (map->slots[at].is_used && (map->slots[at].a != a || map->slots[at].b != b)) {
        at = (at + 1) & (map->capacity - 1);
    }
    return &map->slots[at];
}

uint64_t *sim_map_get(const struct sim_map *map, uint64_t a, uint64_t b)
{
    if (map->capacity == 0) {
        return NULL;
    }
    struct sim_map_slot *slot = probe(map, a, b);

    return slot->is_used ? &slot->value : NULL;
}

static void grow(struct sim_map *map)
{
    struct sim_map old = *map;

    map->capacity = old.capacity == 0 ? FIRST_CAPACITY : old.capacity * 2;
    map->slots = sim_alloc(map->capacity, sizeof *map->slots);
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.slots[i].is_used) {
            *probe(map, old.slots[i].a, old.slots[i].b) = old.slots[i];
        }
    }
    free(old.slots);
}

uint64_t *sim_map_put(struct sim_map *map, uint64_t a, uint64_t b, uint64_t first, bool *out_is_new)
{
    if (map->count * 2 >= map->capacity) {
        grow(map);
    }
    struct sim_map_slot *slot = probe(map, a, b);

    *out_is_new = !slot->is_used;
    if (!slot->is_used) {
        *slot = (struct sim_map_slot){.a = a, .b = b, .value = first, .is_used = true};
        map->count++;
    }
    return &slot->value;
}
