/* link_queue.c - messages are copied once, to where they are going to be sealed. A block grows
 * as long as it is the last one, so that a turn's messages become one record. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "net/link_impl.h"

static struct link_block *block_resize(struct link_block *block, size_t capacity)
{
    size_t size = sizeof *block + capacity + RAY_SEAL_OVERHEAD_SIZE;
    struct link_block *resized = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : realloc(block, size);

    if (resized != NULL) {
        resized->capacity = capacity;
    }
    return resized;
}

static int add_block(struct link_queue *queue, size_t needed)
{
    size_t capacity = needed < LINK_BLOCK_SIZE_FIRST ? LINK_BLOCK_SIZE_FIRST : needed;
    struct link_block *block = block_resize(NULL, capacity);

    if (block == NULL) {
        return RAY_ENOMEM;
    }
    block->next = NULL;
    block->size = 0;
    if (queue->last == NULL) {
        queue->first = block;
    } else {
        queue->last->next = block;
    }
    queue->last = block;
    return RAY_OK;
}

/* Only the last block grows, and whoever points to it is here. */
static int grow_last(struct link_queue *queue, size_t capacity)
{
    struct link_block *old = queue->last;
    struct link_block **link = &queue->first;
    struct link_block *block;

    while (*link != old) {
        link = &(*link)->next;
    }
    block = block_resize(old, capacity);
    if (block == NULL) {
        return RAY_ENOMEM;
    }
    *link = block;
    queue->last = block;
    return RAY_OK;
}

/* Room for `needed` bytes at the end of the last block. */
static int make_room(struct link_queue *queue, size_t needed)
{
    struct link_block *last = queue->last;
    size_t capacity;

    if (last == NULL || last->size + needed > LINK_BLOCK_SIZE_MAX) {
        return add_block(queue, needed);
    }
    if (last->size + needed <= last->capacity) {
        return RAY_OK;
    }
    for (capacity = last->capacity; capacity < last->size + needed; capacity *= 2) {
    }
    return grow_last(queue, capacity);
}

int link_queue_add(struct link_queue *queue, enum ray_link_channel channel, const uint8_t *bytes,
                   size_t size)
{
    int rc = make_room(queue, RAY_LINK_ITEM_HEAD_SIZE + size);
    uint8_t *to;

    if (rc != RAY_OK) {
        return rc;
    }
    to = queue->last->bytes + RAY_SEAL_HEAD_SIZE + queue->last->size;
    ray_link_item_head((uint8_t)channel, size, to);
    if (size > 0) {
        memcpy(to + RAY_LINK_ITEM_HEAD_SIZE, bytes, size);
    }
    queue->last->size += RAY_LINK_ITEM_HEAD_SIZE + size;
    queue->size += RAY_LINK_ITEM_HEAD_SIZE + size;
    return RAY_OK;
}

int link_queue_add_empty(struct link_queue *queue)
{
    return queue->first != NULL ? RAY_OK : add_block(queue, 0);
}

struct link_block *link_queue_take(struct link_queue *queue)
{
    struct link_block *block = queue->first;

    if (block == NULL) {
        return NULL;
    }
    queue->first = block->next;
    if (queue->first == NULL) {
        queue->last = NULL;
    }
    assert(queue->size >= block->size);
    queue->size -= block->size;
    block->next = NULL;
    return block;
}

void link_queue_clear(struct link_queue *queue)
{
    struct link_block *block;

    while ((block = link_queue_take(queue)) != NULL) {
        free(block);
    }
}
