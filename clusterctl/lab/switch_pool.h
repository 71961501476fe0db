/* clusterctl/lab/switch_pool.h - frames in flight: taken from slots of three sizes, counted
 * references, so that a flooded frame is stored once.
 *
 * Memory: all slots are mapped at init without being touched, so an idle pool costs nothing;
 * free slots are reused last in, first out.  Threads: one owner.  Blocks: never.
 * Trust: sizes come from machines; above the limit is a bug of the caller. */
#ifndef RAY_LAB_SWITCH_POOL_H
#define RAY_LAB_SWITCH_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { RAY_SWITCH_POOL_CLASS_COUNT = 3 };

struct ray_switch_frame {
    struct ray_switch_frame *next_free;
    uint8_t *wire; /* header of the stream (4 bytes), then the frame */
    uint32_t size; /* of the frame, without the header */
    uint32_t reference_count;
    uint8_t class_index;
};

struct ray_switch_pool_class {
    uint8_t *slots;
    struct ray_switch_frame *frames;
    struct ray_switch_frame *free_frames;
    size_t slot_size;
    size_t count;
    size_t touched_count; /* frames[touched_count..] were never used */
    size_t used_count;
};

struct ray_switch_pool {
    struct ray_switch_pool_class classes[RAY_SWITCH_POOL_CLASS_COUNT];
};

/* RAY_ENOMEM. `divisor` 1 for the full pool; tests divide its counts. */
int ray_switch_pool_init(struct ray_switch_pool *pool, size_t divisor, struct ray_err *err);
void ray_switch_pool_fini(struct ray_switch_pool *pool); /* safe on zeroed */

/* A copy of the frame with one reference, or NULL when no slot is large enough and free. */
struct ray_switch_frame *ray_switch_pool_copy(struct ray_switch_pool *pool, const uint8_t *bytes,
                                              size_t size);
void ray_switch_pool_ref(struct ray_switch_frame *frame);
void ray_switch_pool_unref(struct ray_switch_pool *pool, struct ray_switch_frame *frame);
size_t ray_switch_pool_used_count(const struct ray_switch_pool *pool);

#endif
