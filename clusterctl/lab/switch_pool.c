/* switch_pool.c - per class one mapping of slots and one of descriptors. Pages come into
 * being when a slot is first used; the free list hands out the hottest slot first. */
#include "clusterctl/lab/switch_pool.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fault.h"
#include "clusterctl/lab/switch_frame.h"

static const struct {
    size_t slot_size;
    size_t count;
} class_table[RAY_SWITCH_POOL_CLASS_COUNT] = {
    {2048, 32768}, /* MTU 1500: 64 MiB of addresses */
    {10240, 8192}, /* MTU 9000: 80 MiB */
    {73728, 2048}, /* the largest frame: 144 MiB */
};

static_assert(RAY_SWITCH_FRAME_HEADER_SIZE + RAY_SWITCH_FRAME_SIZE_MAX <= 73728,
              "the largest class holds the largest frame");

static void *map(size_t size)
{
    void *memory;

    if (ray_fault(RAY_FAULT_ALLOC) != 0) {
        return NULL;
    }
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

int ray_switch_pool_init(struct ray_switch_pool *pool, size_t divisor, struct ray_err *err)
{
    assert(divisor > 0 && divisor <= 2048);
    *pool = (struct ray_switch_pool){0};
    for (size_t i = 0; i < RAY_SWITCH_POOL_CLASS_COUNT; i++) {
        struct ray_switch_pool_class *class = &pool->classes[i];

        class->slot_size = class_table[i].slot_size;
        class->count = class_table[i].count / divisor;
        class->slots = map(class->count * class->slot_size);
        class->frames = map(class->count * sizeof *class->frames);
        if (class->slots == NULL || class->frames == NULL) {
            ray_switch_pool_fini(pool);
            return ray_fail(err, RAY_ENOMEM, "frame pool: %zu slots of %zu bytes",
                            class_table[i].count / divisor, class_table[i].slot_size);
        }
    }
    return RAY_OK;
}

void ray_switch_pool_fini(struct ray_switch_pool *pool)
{
    for (size_t i = 0; i < RAY_SWITCH_POOL_CLASS_COUNT; i++) {
        struct ray_switch_pool_class *class = &pool->classes[i];

        if (class->slots != NULL) {
            (void)munmap(class->slots, class->count * class->slot_size); /* only our own pages */
        }
        if (class->frames != NULL) {
            (void)munmap(class->frames, class->count * sizeof *class->frames);
        }
    }
    *pool = (struct ray_switch_pool){0};
}

static struct ray_switch_frame *take(struct ray_switch_pool_class *class, uint8_t class_index)
{
    struct ray_switch_frame *frame = class->free_frames;

    if (frame != NULL) {
        class->free_frames = frame->next_free;
    } else if (class->touched_count < class->count) {
        frame = &class->frames[class->touched_count];
        frame->wire = class->slots + class->touched_count * class->slot_size;
        frame->class_index = class_index;
        class->touched_count++;
    } else {
        return NULL;
    }
    class->used_count++;
    frame->next_free = NULL;
    frame->reference_count = 1;
    return frame;
}

struct ray_switch_frame *ray_switch_pool_copy(struct ray_switch_pool *pool, const uint8_t *bytes,
                                              size_t size)
{
    struct ray_switch_frame *frame = NULL;

    assert(size <= RAY_SWITCH_FRAME_SIZE_MAX);
    for (uint8_t i = 0; i < RAY_SWITCH_POOL_CLASS_COUNT && frame == NULL; i++) {
        if (RAY_SWITCH_FRAME_HEADER_SIZE + size <= pool->classes[i].slot_size) {
            frame = take(&pool->classes[i], i);
        }
    }
    if (frame != NULL) {
        frame->size = (uint32_t)size;
        ray_switch_frame_put_header(frame->wire, size);
        memcpy(frame->wire + RAY_SWITCH_FRAME_HEADER_SIZE, bytes, size);
    }
    return frame;
}

void ray_switch_pool_ref(struct ray_switch_frame *frame)
{
    assert(frame->reference_count > 0 && frame->reference_count < UINT32_MAX);
    frame->reference_count++;
}

void ray_switch_pool_unref(struct ray_switch_pool *pool, struct ray_switch_frame *frame)
{
    struct ray_switch_pool_class *class = &pool->classes[frame->class_index];

    assert(frame->reference_count > 0);
    frame->reference_count--;
    if (frame->reference_count == 0) {
        assert(class->used_count > 0);
        class->used_count--;
        frame->next_free = class->free_frames;
        class->free_frames = frame;
    }
}

size_t ray_switch_pool_used_count(const struct ray_switch_pool *pool)
{
    size_t count = 0;

    for (size_t i = 0; i < RAY_SWITCH_POOL_CLASS_COUNT; i++) {
        count += pool->classes[i].used_count;
    }
    return count;
}
