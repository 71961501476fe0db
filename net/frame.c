/* frame.c - the reader keeps unread bytes in one buffer; a frame is handed out in place and
 * dropped at the next call. A sync block is recognised wherever a frame may begin, and, while
 * not synced, anywhere. */
#include "net/frame.h"

#include <assert.h>
#include <string.h>

#include "base/le.h"

static const uint8_t sync_head[] = {0xff, 0xff, 0xff, 0xff, 'R', 'A', 'Y', 'O',
                                    'S',  '-',  'S',  'Y',  'N', 'C', '-', '1'};

static_assert(sizeof sync_head + 8 == RAY_FRAME_SYNC_SIZE, "head and nonce");

void ray_frame_reader_init(struct ray_frame_reader *reader, bool needs_sync)
{
    assert(reader != NULL);
    *reader = (struct ray_frame_reader){.is_synced = !needs_sync};
    /* A whole frame, and what a read may bring of the next one. */
    ray_buf_init(&reader->buf, 2 * (size_t)RAY_FRAME_PAYLOAD_SIZE_MAX);
}

void ray_frame_reader_fini(struct ray_frame_reader *reader)
{
    if (reader != NULL) {
        ray_buf_fini(&reader->buf);
    }
}

void ray_frame_reader_reset(struct ray_frame_reader *reader)
{
    ray_buf_clear(&reader->buf);
    reader->taken_size = 0;
    reader->is_synced = false;
}

static void drop_taken(struct ray_frame_reader *reader)
{
    if (reader->taken_size > 0) {
        ray_buf_consume(&reader->buf, reader->taken_size);
        reader->taken_size = 0;
    }
}

void ray_frame_reader_resync(struct ray_frame_reader *reader)
{
    drop_taken(reader);
    reader->is_synced = false;
}

int ray_frame_reader_push(struct ray_frame_reader *reader, const void *bytes, size_t size,
                          struct ray_err *err)
{
    int rc;

    drop_taken(reader);
    rc = ray_buf_append(&reader->buf, bytes, size);
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "frame buffer cannot take %zu bytes", size);
}

/* How much of the front cannot be the beginning of a sync block. */
static size_t skip_to_sync(const struct ray_buf *buf)
{
    size_t at = 0;

    while (at < buf->size) {
        size_t left = buf->size - at;
        size_t compared = left < sizeof sync_head ? left : sizeof sync_head;
        const uint8_t *next;

        if (memcmp(buf->data + at, sync_head, compared) == 0) {
            break;
        }
        next = memchr(buf->data + at + 1, sync_head[0], left - 1);
        at = next == NULL ? buf->size : (size_t)(next - buf->data);
    }
    return at;
}

static bool take_sync(struct ray_frame_reader *reader, struct ray_frame *out_frame)
{
    const struct ray_buf *buf = &reader->buf;

    if (buf->size < RAY_FRAME_SYNC_SIZE || memcmp(buf->data, sync_head, sizeof sync_head) != 0) {
        return false;
    }
    *out_frame = (struct ray_frame){.kind = RAY_FRAME_SYNC,
                                    .nonce = ray_load64le(buf->data + sizeof sync_head)};
    reader->taken_size = RAY_FRAME_SYNC_SIZE;
    reader->is_synced = true;
    return true;
}

int ray_frame_reader_next(struct ray_frame_reader *reader, struct ray_frame *out_frame,
                          struct ray_err *err)
{
    struct ray_buf *buf = &reader->buf;
    uint32_t payload_size;

    drop_taken(reader);
    if (!reader->is_synced) {
        ray_buf_consume(buf, skip_to_sync(buf));
    }
    if (take_sync(reader, out_frame)) {
        return RAY_OK;
    }
    if (!reader->is_synced || buf->size < RAY_FRAME_HEADER_SIZE) {
        return RAY_EAGAIN;
    }
    if (memcmp(buf->data, sync_head, RAY_FRAME_HEADER_SIZE) == 0 &&
        buf->size < RAY_FRAME_SYNC_SIZE) {
        return RAY_EAGAIN;
    }
    payload_size = ray_load32le(buf->data);
    /* The limit comes before the sum below, so a hostile size can neither wrap it nor make
     * us wait for gigabytes. */
    if (payload_size > RAY_FRAME_PAYLOAD_SIZE_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "frame of %u bytes, at most %d", payload_size,
                        RAY_FRAME_PAYLOAD_SIZE_MAX);
    }
    if (buf->size - RAY_FRAME_HEADER_SIZE < payload_size) {
        return RAY_EAGAIN;
    }
    *out_frame = (struct ray_frame){.kind = RAY_FRAME_PAYLOAD,
                                    .payload = buf->data + RAY_FRAME_HEADER_SIZE,
                                    .payload_size = payload_size};
    reader->taken_size = RAY_FRAME_HEADER_SIZE + payload_size;
    return RAY_OK;
}

int ray_frame_encode_header(size_t payload_size, uint8_t out[static RAY_FRAME_HEADER_SIZE],
                            struct ray_err *err)
{
    if (payload_size > RAY_FRAME_PAYLOAD_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "frame of %zu bytes, at most %d", payload_size,
                        RAY_FRAME_PAYLOAD_SIZE_MAX);
    }
    ray_store32le(out, (uint32_t)payload_size);
    return RAY_OK;
}

void ray_frame_encode_sync(uint64_t nonce, uint8_t out[static RAY_FRAME_SYNC_SIZE])
{
    memcpy(out, sync_head, sizeof sync_head);
    ray_store64le(out + sizeof sync_head, nonce);
}
