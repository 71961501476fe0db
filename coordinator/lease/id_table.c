#include "coordinator/lease/id_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

static void reset(struct coord_id_table *table)
{
    memset(table->heads, 0, ((size_t)table->bucket_mask + 1) * sizeof *table->heads);
    memset(table->ids, 0, table->used_count * sizeof *table->ids);
    table->count = 0;
    table->used_count = 0;
    table->free_head = 0;
}

int coord_id_table_init(struct coord_id_table *table, uint32_t capacity, struct ray_err *err)
{
    uint32_t bucket_count = 1;

    assert(table != NULL && capacity > 0 && capacity <= (1U << 24));
    while (bucket_count < capacity) {
        bucket_count *= 2;
    }
    *table = (struct coord_id_table){.capacity = capacity, .bucket_mask = bucket_count - 1};
    if (ray_fault(RAY_FAULT_ALLOC) == 0) {
        table->heads = calloc(bucket_count, sizeof *table->heads);
        table->nexts = calloc(capacity, sizeof *table->nexts);
        table->ids = calloc(capacity, sizeof *table->ids);
    }
    if (table->heads == NULL || table->nexts == NULL || table->ids == NULL) {
        coord_id_table_fini(table);
        return ray_fail(err, RAY_ENOMEM, "table of %u identities", capacity);
    }
    return RAY_OK;
}

void coord_id_table_fini(struct coord_id_table *table)
{
    if (table == NULL) {
        return;
    }
    free(table->heads);
    free(table->nexts);
    free(table->ids);
    *table = (struct coord_id_table){0};
}

void coord_id_table_clear(struct coord_id_table *table)
{
    assert(table != NULL && table->heads != NULL);
    if (table->count > 0) {
        reset(table);
    }
}

static uint32_t *bucket_of(const struct coord_id_table *table, const struct ray_id *id)
{
    uint64_t words[2];
    uint64_t mixed;

    memcpy(words, id->bytes, sizeof words);
    mixed = (words[0] ^ (words[1] >> 29)) * UINT64_C(0x9e3779b97f4a7c15);
    mixed ^= words[1] * UINT64_C(0xc2b2ae3d27d4eb4f);
    return &table->heads[(mixed >> 32) & table->bucket_mask];
}

uint32_t coord_id_table_find(const struct coord_id_table *table, const struct ray_id *id)
{
    uint32_t link;

    assert(table != NULL && id != NULL);
    link = *bucket_of(table, id);
    while (link != 0 && !ray_id_equal(&table->ids[link - 1], id)) {
        link = table->nexts[link - 1];
    }
    return link == 0 ? COORD_ID_TABLE_NONE : link - 1;
}

static uint32_t take_place(struct coord_id_table *table)
{
    uint32_t place;

    if (table->free_head == 0) {
        return table->used_count < table->capacity ? table->used_count++ : COORD_ID_TABLE_NONE;
    }
    place = table->free_head - 1;
    table->free_head = table->nexts[place];
    return place;
}

uint32_t coord_id_table_insert(struct coord_id_table *table, const struct ray_id *id)
{
    uint32_t *bucket;
    uint32_t place;

    assert(!ray_id_is_none(id) && coord_id_table_find(table, id) == COORD_ID_TABLE_NONE);
    place = take_place(table);
    if (place == COORD_ID_TABLE_NONE) {
        return place;
    }
    bucket = bucket_of(table, id);
    table->ids[place] = *id;
    table->nexts[place] = *bucket;
    *bucket = place + 1;
    table->count++;
    return place;
}

void coord_id_table_remove(struct coord_id_table *table, uint32_t place)
{
    uint32_t *link;

    assert(table != NULL && place < table->capacity && !ray_id_is_none(&table->ids[place]));
    link = bucket_of(table, &table->ids[place]);
    while (*link != place + 1) {
        assert(*link != 0);
        link = &table->nexts[*link - 1];
    }
    *link = table->nexts[place];
    table->nexts[place] = table->free_head;
    table->ids[place] = (struct ray_id){{0}};
    table->free_head = place + 1;
    table->count--;
}
