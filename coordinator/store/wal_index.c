#include "coordinator/store/wal_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fault.h"
#include "coordinator/store/wal.h"

enum { CAPACITY_FIRST = 256 };

void coord_wal_index_init(struct coord_wal_index *index, uint64_t first)
{
    assert(first > 0);
    *index = (struct coord_wal_index){.first = first};
}

void coord_wal_index_fini(struct coord_wal_index *index)
{
    if (index != NULL) {
        free(index->ring);
        *index = (struct coord_wal_index){.first = 1};
    }
}

uint64_t coord_wal_index_next(const struct coord_wal_index *index)
{
    return index->first + index->count;
}

int coord_wal_index_reserve(struct coord_wal_index *index, size_t more)
{
    size_t capacity = index->capacity == 0 ? CAPACITY_FIRST : index->capacity;
    struct coord_wal_place *ring;

    assert(index->count <= COORD_WAL_ENTRIES_MAX);
    if (more > COORD_WAL_ENTRIES_MAX - index->count) {
        return RAY_ETOOBIG;
    }
    while (capacity < index->count + more) {
        capacity *= 2;
    }
    if (capacity == index->capacity) {
        return RAY_OK;
    }
    ring = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(capacity, sizeof *ring);
    if (ring == NULL) {
        return RAY_ENOMEM;
    }
    for (size_t i = 0; i < index->count; i++) {
        ring[i] = index->ring[(index->head + i) & (index->capacity - 1)];
    }
    free(index->ring);
    index->ring = ring;
    index->capacity = capacity;
    index->head = 0;
    return RAY_OK;
}

int coord_wal_index_push(struct coord_wal_index *index, const struct coord_wal_place *place)
{
    int rc = coord_wal_index_reserve(index, 1);

    if (rc == RAY_OK) {
        index->ring[(index->head + index->count) & (index->capacity - 1)] = *place;
        index->count++;
    }
    return rc;
}

void coord_wal_index_truncate(struct coord_wal_index *index, uint64_t from)
{
    assert(from > 0 && from <= coord_wal_index_next(index));
    if (from < index->first) {
        index->first = from;
        index->count = 0;
    } else {
        index->count = (size_t)(from - index->first);
    }
}

void coord_wal_index_drop(struct coord_wal_index *index, uint64_t first)
{
    size_t gone;

    assert(first <= coord_wal_index_next(index));
    if (first <= index->first) {
        return;
    }
    gone = (size_t)(first - index->first);
    index->head = index->capacity == 0 ? 0 : (index->head + gone) & (index->capacity - 1);
    index->count -= gone;
    index->first = first;
}

const struct coord_wal_place *coord_wal_index_get(const struct coord_wal_index *index, uint64_t at)
{
    if (at < index->first || at - index->first >= index->count) {
        return NULL;
    }
    return &index->ring[(index->head + (size_t)(at - index->first)) & (index->capacity - 1)];
}
