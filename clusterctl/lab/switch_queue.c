/* switch_queue.c - two rings. Invariants: times never fall from head to tail; only the head
 * of a port queue can be partly sent. */
#include "clusterctl/lab/switch_queue.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "clusterctl/lab/switch_frame.h"

static size_t wire_size(const struct ray_switch_frame *frame)
{
    return RAY_SWITCH_FRAME_HEADER_SIZE + (size_t)frame->size;
}

void ray_switch_queue_init(struct ray_switch_queue *queue)
{
    *queue = (struct ray_switch_queue){0};
}

static void queue_drop_head(struct ray_switch_queue *queue, struct ray_switch_pool *pool)
{
    assert(queue->count > 0);
    ray_switch_pool_unref(pool, queue->entries[queue->head].frame);
    queue->entries[queue->head] = (struct ray_switch_queue_entry){0};
    queue->head = (queue->head + 1) % RAY_SWITCH_QUEUE_COUNT_MAX;
    queue->count--;
    queue->sent_size = 0;
}

void ray_switch_queue_clear(struct ray_switch_queue *queue, struct ray_switch_pool *pool)
{
    while (queue->count > 0) {
        queue_drop_head(queue, pool);
    }
}

bool ray_switch_queue_push(struct ray_switch_queue *queue, struct ray_switch_frame *frame,
                           uint64_t now_ns)
{
    size_t tail = (queue->head + queue->count) % RAY_SWITCH_QUEUE_COUNT_MAX;

    if (queue->count == RAY_SWITCH_QUEUE_COUNT_MAX) {
        return false;
    }
    ray_switch_pool_ref(frame);
    queue->entries[tail] = (struct ray_switch_queue_entry){.frame = frame, .queued_ns = now_ns};
    queue->count++;
    return true;
}

static bool is_too_old(const struct ray_switch_queue_entry *entry, uint64_t now_ns)
{
    return now_ns > entry->queued_ns &&
           now_ns - entry->queued_ns > RAY_SWITCH_QUEUE_AGE_MS_MAX * RAY_NS_PER_MS;
}

size_t ray_switch_queue_expire(struct ray_switch_queue *queue, struct ray_switch_pool *pool,
                               uint64_t now_ns)
{
    struct ray_switch_queue_entry begun = {0};
    size_t sent_size = queue->sent_size;
    size_t dropped_count = 0;

    /* A partly sent head steps aside while those behind it are looked at. */
    if (sent_size > 0) {
        begun = queue->entries[queue->head];
        queue->head = (queue->head + 1) % RAY_SWITCH_QUEUE_COUNT_MAX;
        queue->count--;
    }
    while (queue->count > 0 && is_too_old(&queue->entries[queue->head], now_ns)) {
        queue_drop_head(queue, pool);
        dropped_count++;
    }
    if (sent_size > 0) {
        queue->head = (queue->head + RAY_SWITCH_QUEUE_COUNT_MAX - 1) % RAY_SWITCH_QUEUE_COUNT_MAX;
        queue->entries[queue->head] = begun;
        queue->count++;
        queue->sent_size = sent_size;
    }
    return dropped_count;
}

size_t ray_switch_queue_peek(const struct ray_switch_queue *queue, struct iovec *vectors,
                             size_t vector_count)
{
    size_t count = queue->count < vector_count ? queue->count : vector_count;

    for (size_t i = 0; i < count; i++) {
        const struct ray_switch_frame *frame =
            queue->entries[(queue->head + i) % RAY_SWITCH_QUEUE_COUNT_MAX].frame;
        size_t skip_size = i == 0 ? queue->sent_size : 0;

        assert(skip_size < wire_size(frame));
        vectors[i] = (struct iovec){.iov_base = frame->wire + skip_size,
                                    .iov_len = wire_size(frame) - skip_size};
    }
    return count;
}

size_t ray_switch_queue_sent(struct ray_switch_queue *queue, struct ray_switch_pool *pool,
                             size_t size, uint64_t *out_frame_bytes)
{
    uint64_t frame_bytes = 0;
    size_t done_count = 0;

    while (size > 0) {
        const struct ray_switch_frame *frame;
        size_t rest_size;

        assert(queue->count > 0);
        frame = queue->entries[queue->head].frame;
        rest_size = wire_size(frame) - queue->sent_size;
        if (size < rest_size) {
            queue->sent_size += size;
            break;
        }
        size -= rest_size;
        frame_bytes += frame->size;
        done_count++;
        queue_drop_head(queue, pool);
    }
    *out_frame_bytes = frame_bytes;
    return done_count;
}

int ray_switch_line_init(struct ray_switch_line *line, struct ray_err *err)
{
    *line = (struct ray_switch_line){0};
    if (ray_fault(RAY_FAULT_ALLOC) == 0) {
        line->entries = calloc(RAY_SWITCH_LINE_COUNT_MAX, sizeof *line->entries);
    }
    if (line->entries == NULL) {
        return ray_fail(err, RAY_ENOMEM, "delay line of %d frames", RAY_SWITCH_LINE_COUNT_MAX);
    }
    return RAY_OK;
}

size_t ray_switch_line_clear(struct ray_switch_line *line, struct ray_switch_pool *pool)
{
    struct ray_switch_frame *frame = ray_switch_line_release(line);
    size_t count = 0;

    if (frame != NULL) {
        ray_switch_pool_unref(pool, frame);
        count++;
    }
    while ((frame = ray_switch_line_pop(line, UINT64_MAX)) != NULL) {
        ray_switch_pool_unref(pool, frame);
        count++;
    }
    assert(line->size == 0);
    return count;
}

void ray_switch_line_fini(struct ray_switch_line *line, struct ray_switch_pool *pool)
{
    if (line->entries != NULL) {
        (void)ray_switch_line_clear(line, pool); /* the count matters to no one any more */
    }
    free(line->entries);
    *line = (struct ray_switch_line){0};
}

static bool line_has_space(const struct ray_switch_line *line, const struct ray_switch_frame *frame)
{
    return line->count < RAY_SWITCH_LINE_COUNT_MAX &&
           frame->size <= RAY_SWITCH_LINE_SIZE_MAX - line->size;
}

/* Puts a reference that the caller holds at the tail. */
static void line_append(struct ray_switch_line *line, struct ray_switch_frame *frame,
                        uint64_t at_ns)
{
    size_t tail = (line->head + line->count) % RAY_SWITCH_LINE_COUNT_MAX;

    assert(line->count < RAY_SWITCH_LINE_COUNT_MAX);
    line->entries[tail] = (struct ray_switch_line_entry){.frame = frame, .at_ns = at_ns};
    line->count++;
    line->size += frame->size;
}

bool ray_switch_line_push(struct ray_switch_line *line, struct ray_switch_frame *frame,
                          uint64_t at_ns)
{
    struct ray_switch_frame *late;

    if (!line_has_space(line, frame)) {
        return false;
    }
    ray_switch_pool_ref(frame);
    line_append(line, frame, at_ns);
    /* With the last slot gone the held frame waits for the next chance. */
    if (line->late.frame != NULL && line->count < RAY_SWITCH_LINE_COUNT_MAX) {
        late = ray_switch_line_release(line);
        line_append(line, late, at_ns);
    }
    return true;
}

bool ray_switch_line_hold(struct ray_switch_line *line, struct ray_switch_frame *frame,
                          uint64_t at_ns)
{
    if (line->late.frame != NULL || !line_has_space(line, frame)) {
        return false;
    }
    ray_switch_pool_ref(frame);
    line->late = (struct ray_switch_line_entry){.frame = frame, .at_ns = at_ns};
    line->size += frame->size;
    return true;
}

struct ray_switch_frame *ray_switch_line_release(struct ray_switch_line *line)
{
    struct ray_switch_frame *frame = line->late.frame;

    if (frame != NULL) {
        assert(line->size >= frame->size);
        line->size -= frame->size;
        line->late = (struct ray_switch_line_entry){0};
    }
    return frame;
}

struct ray_switch_frame *ray_switch_line_pop(struct ray_switch_line *line, uint64_t now_ns)
{
    struct ray_switch_frame *frame;

    if (line->count > 0 && line->entries[line->head].at_ns <= now_ns) {
        frame = line->entries[line->head].frame;
        assert(line->size >= frame->size);
        line->size -= frame->size;
        line->entries[line->head] = (struct ray_switch_line_entry){0};
        line->head = (line->head + 1) % RAY_SWITCH_LINE_COUNT_MAX;
        line->count--;
        return frame;
    }
    if (line->late.frame != NULL && line->late.at_ns <= now_ns) {
        return ray_switch_line_release(line);
    }
    return NULL;
}

bool ray_switch_line_is_empty(const struct ray_switch_line *line)
{
    return line->count == 0;
}

uint64_t ray_switch_line_deadline_ns(const struct ray_switch_line *line)
{
    uint64_t at_ns = line->count > 0 ? line->entries[line->head].at_ns : UINT64_MAX;

    if (line->late.frame != NULL && line->late.at_ns < at_ns) {
        at_ns = line->late.at_ns;
    }
    return at_ns;
}
