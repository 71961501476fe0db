/* coordinator/fsm/table.h - a hash table of pointers, and a sorted array of items.
 *
 * Nothing that is visible outside of the state machine depends on the order in a table.
 * Memory: init and fini; what the pointers point to is the caller's.
 * Threads: one owner.  Blocks: never.  Trust: hashes are keyed, but the key is no secret. */
#ifndef RAY_COORDINATOR_FSM_TABLE_H
#define RAY_COORDINATOR_FSM_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fsm_table_slot {
    uint64_t hash;
    void *value; /* NULL: free */
};

struct fsm_table {
    struct fsm_table_slot *slots;
    size_t capacity; /* 0 or a power of two */
    size_t count;
};

void fsm_table_fini(struct fsm_table *table);
/* The value with that hash for which is_same says yes; NULL. */
void *fsm_table_find(const struct fsm_table *table, uint64_t hash,
                     bool (*is_same)(const void *value, const void *key), const void *key);
bool fsm_table_add(struct fsm_table *table, uint64_t hash, void *value); /* false: no memory */
void fsm_table_remove(struct fsm_table *table, uint64_t hash, const void *value);
/* Every value once, in no order; *at starts at 0; NULL at the end. */
void *fsm_table_each(const struct fsm_table *table, size_t *at);

struct fsm_item;

/* Sorted by key; the end is sorted only when somebody looks. */
struct fsm_order {
    struct fsm_item **items;
    size_t count;
    size_t sorted_count;
    size_t capacity;
};

void fsm_order_fini(struct fsm_order *order);
bool fsm_order_add(struct fsm_order *order, struct fsm_item *item); /* false: no memory */
void fsm_order_remove(struct fsm_order *order, const struct fsm_item *item);
void fsm_order_sort(struct fsm_order *order);
/* Index of the first item whose key is above `key`; count when there is none. Sorts first. */
size_t fsm_order_above(struct fsm_order *order, const uint8_t *key);

#endif
