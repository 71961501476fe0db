/* net/frame.h - length-prefixed frames on a byte stream that may be cut at any point.
 *
 * A frame is a u32 little-endian size and that many bytes. A stream without connections of
 * its own (a virtio-serial port) begins each session with a sync block, RAY_FRAME_SYNC_SIZE
 * bytes that no frame can begin with: the reader drops everything up to the block and tells
 * its nonce, by which both ends know that they speak in the same session.
 *
 * Memory: init/fini on caller memory; one buffer bounded by the largest frame.
 * Threads: one owner.  Blocks: never.  Trust: every byte is hostile. */
#ifndef RAY_NET_FRAME_H
#define RAY_NET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
    RAY_FRAME_HEADER_SIZE = 4,
    RAY_FRAME_SYNC_SIZE = 24, /* 4 bytes 0xff, 12 bytes of text, 8 bytes nonce */
    RAY_FRAME_PAYLOAD_SIZE_MAX = 1 << 20,
};

struct ray_frame_reader {
    struct ray_buf buf;
    size_t taken_size; /* bytes at the front of buf that the last frame used */
    bool is_synced;    /* false: skip to the next sync block */
};

enum ray_frame_kind {
    RAY_FRAME_PAYLOAD,
    RAY_FRAME_SYNC,
};

struct ray_frame {
    enum ray_frame_kind kind;
    const uint8_t *payload; /* borrowed until the next call on the reader */
    size_t payload_size;
    uint64_t nonce; /* of RAY_FRAME_SYNC */
};

/* needs_sync: whether payloads count only after a sync block. */
void ray_frame_reader_init(struct ray_frame_reader *reader, bool needs_sync);
void ray_frame_reader_fini(struct ray_frame_reader *reader);
/* Forgets everything read; the next thing must be a sync block. */
void ray_frame_reader_reset(struct ray_frame_reader *reader);

/* After a malformed frame: what was read behind it is kept and searched for a sync block. */
void ray_frame_reader_resync(struct ray_frame_reader *reader);

/* Adds bytes that were read. RAY_ETOOBIG: more than a frame is waiting; call next first. */
int ray_frame_reader_push(struct ray_frame_reader *reader, const void *bytes, size_t size,
                          struct ray_err *err);

/* RAY_OK: *out_frame is set.  RAY_EAGAIN: more bytes are needed.
 * RAY_EMALFORMED: a size above the limit; resync, or close the stream. */
int ray_frame_reader_next(struct ray_frame_reader *reader, struct ray_frame *out_frame,
                          struct ray_err *err);

/* RAY_ETOOBIG when payload_size is above the limit. */
int ray_frame_encode_header(size_t payload_size, uint8_t out[static RAY_FRAME_HEADER_SIZE],
                            struct ray_err *err);
void ray_frame_encode_sync(uint64_t nonce, uint8_t out[static RAY_FRAME_SYNC_SIZE]);

#endif
