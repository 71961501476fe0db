/* Batches are used again and again; their memory grows to what was needed once. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/store/wal_impl.h"

enum { POOL_MAX = 4, CAPACITY_FIRST = 16 << 10 };

static uint8_t *blocks_get(size_t size)
{
    return ray_fault(RAY_FAULT_ALLOC) ? NULL : aligned_alloc(COORD_DISK_BLOCK_SIZE, size);
}

struct coord_wal_batch *coord_wal_batch_get(struct coord_wal *wal)
{
    struct coord_wal_batch *batch = wal->pool;
    uint8_t *bytes;
    size_t capacity;

    if (batch != NULL) {
        wal->pool = batch->next;
        wal->pool_count--;
    } else {
        batch = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *batch);
        if (batch == NULL) {
            return NULL;
        }
        batch->bytes = blocks_get(COORD_WAL_SEGMENT_HEAD_SIZE + CAPACITY_FIRST);
        batch->capacity = CAPACITY_FIRST;
        if (batch->bytes == NULL) {
            free(batch);
            return NULL;
        }
    }
    bytes = batch->bytes;
    capacity = batch->capacity;
    *batch = (struct coord_wal_batch){.wal = wal, .bytes = bytes, .capacity = capacity};
    batch->head.size = COORD_WAL_BATCH_HEAD_SIZE;
    return batch;
}

static void batch_free(struct coord_wal_batch *batch)
{
    free(batch->bytes);
    free(batch);
}

void coord_wal_batch_put(struct coord_wal *wal, struct coord_wal_batch *batch)
{
    if (wal->pool_count >= POOL_MAX) {
        batch_free(batch);
        return;
    }
    batch->next = wal->pool;
    wal->pool = batch;
    wal->pool_count++;
}

int coord_wal_batch_reserve(struct coord_wal_batch *batch, uint32_t more)
{
    size_t need = coord_wal_blocks(batch->head.size + more);
    size_t capacity = batch->capacity;
    uint8_t *bytes;

    assert(!batch->is_closed);
    if (need <= capacity) {
        return RAY_OK;
    }
    while (capacity < need) {
        capacity *= 2;
    }
    bytes = blocks_get(COORD_WAL_SEGMENT_HEAD_SIZE + capacity);
    if (bytes == NULL) {
        return RAY_ENOMEM;
    }
    memcpy(bytes + COORD_WAL_SEGMENT_HEAD_SIZE, coord_wal_batch_body(batch), batch->head.size);
    free(batch->bytes);
    batch->bytes = bytes;
    batch->capacity = capacity;
    return RAY_OK;
}

static void list_free(struct coord_wal_batch *batch)
{
    while (batch != NULL) {
        struct coord_wal_batch *next = batch->next;

        batch_free(batch);
        batch = next;
    }
}

void coord_wal_batch_free_all(struct coord_wal *wal)
{
    list_free(wal->oldest);
    list_free(wal->pool);
    wal->oldest = NULL;
    wal->newest = NULL;
    wal->pool = NULL;
    wal->pool_count = 0;
}
