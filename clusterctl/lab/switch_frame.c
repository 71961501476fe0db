/* switch_frame.c - one linear buffer per stream: bytes are read at its end and frames are
 * taken from its begin; what is left moves to the front when the space behind it no longer
 * holds the largest frame. Invariant: begin <= end <= capacity. */
#include "clusterctl/lab/switch_frame.h"

#include <assert.h>
#include <string.h>

static uint32_t load_be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void ray_switch_frame_put_header(uint8_t out[static RAY_SWITCH_FRAME_HEADER_SIZE], size_t size)
{
    assert(size <= RAY_SWITCH_FRAME_SIZE_MAX);
    out[0] = (uint8_t)(size >> 24);
    out[1] = (uint8_t)(size >> 16);
    out[2] = (uint8_t)(size >> 8);
    out[3] = (uint8_t)size;
}

void ray_switch_reader_init(struct ray_switch_reader *reader, uint8_t *memory, size_t capacity)
{
    assert(memory != NULL);
    assert(capacity >= RAY_SWITCH_READER_SIZE_MIN);
    *reader = (struct ray_switch_reader){.data = memory, .capacity = capacity};
}

void ray_switch_reader_reset(struct ray_switch_reader *reader)
{
    reader->begin = 0;
    reader->end = 0;
}

uint8_t *ray_switch_reader_space(struct ray_switch_reader *reader, size_t *out_size)
{
    size_t size = reader->end - reader->begin;

    assert(reader->begin <= reader->end && reader->end <= reader->capacity);
    if (size == 0) {
        ray_switch_reader_reset(reader);
    } else if (reader->capacity - reader->begin < RAY_SWITCH_READER_SIZE_MIN) {
        memmove(reader->data, reader->data + reader->begin, size);
        reader->begin = 0;
        reader->end = size;
    }
    *out_size = reader->capacity - reader->end;
    return reader->data + reader->end;
}

void ray_switch_reader_filled(struct ray_switch_reader *reader, size_t size)
{
    assert(size <= reader->capacity - reader->end);
    reader->end += size;
}

int ray_switch_reader_next(struct ray_switch_reader *reader, const uint8_t **out_frame,
                           size_t *out_size, struct ray_err *err)
{
    size_t have_size = reader->end - reader->begin;
    const uint8_t *header = reader->data + reader->begin;
    uint32_t size;

    if (have_size < RAY_SWITCH_FRAME_HEADER_SIZE) {
        return RAY_EAGAIN;
    }
    size = load_be32(header);
    if (size > RAY_SWITCH_FRAME_SIZE_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "frame of %u bytes, at most %d", size,
                        RAY_SWITCH_FRAME_SIZE_MAX);
    }
    if (have_size - RAY_SWITCH_FRAME_HEADER_SIZE < size) {
        return RAY_EAGAIN;
    }
    *out_frame = header + RAY_SWITCH_FRAME_HEADER_SIZE;
    *out_size = size;
    reader->begin += RAY_SWITCH_FRAME_HEADER_SIZE + (size_t)size;
    return RAY_OK;
}
