/* table.c - open addressing with linear probing; a removed slot is closed by moving up what
 * follows, so that there are no tombstones. The sorted array takes new items at its end and
 * merges them in when it is read: a load in order costs nothing, a thousand new guests one merge.
 */
#include "coordinator/fsm/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/size.h"
#include "coordinator/fsm/state.h"

enum { TABLE_CAPACITY_MIN = 64, ORDER_CAPACITY_MIN = 16 };

void fsm_table_fini(struct fsm_table *table)
{
    free(table->slots);
    *table = (struct fsm_table){0};
}

void *fsm_table_find(const struct fsm_table *table, uint64_t hash,
                     bool (*is_same)(const void *value, const void *key), const void *key)
{
    size_t mask = table->capacity - 1;

    if (table->capacity == 0) {
        return NULL;
    }
    for (size_t i = hash & mask; table->slots[i].value != NULL; i = (i + 1) & mask) {
        if (table->slots[i].hash == hash && is_same(table->slots[i].value, key)) {
            return table->slots[i].value;
        }
    }
    return NULL;
}

static void put(struct fsm_table_slot *slots, size_t capacity, uint64_t hash, void *value)
{
    size_t i = hash & (capacity - 1);

    while (slots[i].value != NULL) {
        i = (i + 1) & (capacity - 1);
    }
    slots[i] = (struct fsm_table_slot){.hash = hash, .value = value};
}

static bool grow(struct fsm_table *table)
{
    size_t capacity = table->capacity > 0 ? table->capacity * 2 : TABLE_CAPACITY_MIN;
    struct fsm_table_slot *slots;

    slots = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(capacity, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->slots[i].value != NULL) {
            put(slots, capacity, table->slots[i].hash, table->slots[i].value);
        }
    }
    free(table->slots);
    table->slots = slots;
    table->capacity = capacity;
    return true;
}

bool fsm_table_add(struct fsm_table *table, uint64_t hash, void *value)
{
    assert(value != NULL);
    if (table->count >= table->capacity - table->capacity / 4 && !grow(table)) {
        return false;
    }
    put(table->slots, table->capacity, hash, value);
    table->count++;
    return true;
}

void fsm_table_remove(struct fsm_table *table, uint64_t hash, const void *value)
{
    size_t mask = table->capacity - 1;
    size_t hole = hash & mask;

    assert(table->count > 0);
    while (table->slots[hole].value != value) {
        assert(table->slots[hole].value != NULL);
        hole = (hole + 1) & mask;
    }
    for (size_t i = (hole + 1) & mask; table->slots[i].value != NULL; i = (i + 1) & mask) {
        size_t home = table->slots[i].hash & mask;

        /* It may move into the hole unless its home lies after the hole, in the circle. */
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            table->slots[hole] = table->slots[i];
            hole = i;
        }
    }
    table->slots[hole] = (struct fsm_table_slot){0};
    table->count--;
}

void *fsm_table_each(const struct fsm_table *table, size_t *at)
{
    while (*at < table->capacity) {
        void *value = table->slots[(*at)++].value;

        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}

void fsm_order_fini(struct fsm_order *order)
{
    free(order->items);
    *order = (struct fsm_order){0};
}

static int compare_keys(const struct fsm_item *a, const struct fsm_item *b)
{
    return memcmp(a->key, b->key, sizeof a->key);
}

bool fsm_order_add(struct fsm_order *order, struct fsm_item *item)
{
    if (order->count == order->capacity) {
        size_t capacity = order->capacity > 0 ? order->capacity * 2 : ORDER_CAPACITY_MIN;
        struct fsm_item **items = NULL;

        if (ray_fault(RAY_FAULT_ALLOC) == 0) {
            items = realloc(order->items, capacity * sizeof(struct fsm_item *));
        }
        if (items == NULL) {
            return false;
        }
        order->items = items;
        order->capacity = capacity;
    }
    if (order->sorted_count == order->count &&
        (order->count == 0 || compare_keys(order->items[order->count - 1], item) < 0)) {
        order->sorted_count++;
    }
    order->items[order->count++] = item;
    return true;
}

static int compare_items(const void *a, const void *b)
{
    struct fsm_item *const *left = a;
    struct fsm_item *const *right = b;

    return compare_keys(*left, *right);
}

void fsm_order_sort(struct fsm_order *order)
{
    struct fsm_item **items = order->items;
    size_t tail_count = order->count - order->sorted_count;
    struct fsm_item **tail;

    if (tail_count == 0) {
        return;
    }
    qsort(items + order->sorted_count, tail_count, sizeof *items, compare_items);
    /* Merging from the back needs the tail out of the way; without memory for that, sort all. */
    tail = malloc(tail_count * sizeof(struct fsm_item *));
    if (tail == NULL) {
        qsort(items, order->count, sizeof *items, compare_items);
        order->sorted_count = order->count;
        return;
    }
    memcpy(tail, items + order->sorted_count, tail_count * sizeof(struct fsm_item *));
    for (size_t left = order->sorted_count, right = tail_count; right > 0;) {
        if (left > 0 && compare_keys(items[left - 1], tail[right - 1]) > 0) {
            items[left + right - 1] = items[left - 1];
            left--;
        } else {
            items[left + right - 1] = tail[right - 1];
            right--;
        }
    }
    free(tail);
    order->sorted_count = order->count;
}

size_t fsm_order_above(struct fsm_order *order, const uint8_t *key)
{
    size_t low = 0;
    size_t high;

    fsm_order_sort(order);
    high = order->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(order->items[middle]->key, key, sizeof order->items[middle]->key) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void fsm_order_remove(struct fsm_order *order, const struct fsm_item *item)
{
    size_t above = fsm_order_above(order, item->key);

    assert(above > 0 && order->items[above - 1] == item);
    memmove(order->items + above - 1, order->items + above,
            (order->count - above) * sizeof(struct fsm_item *));
    order->count--;
    order->sorted_count--;
}
