/* clusterctl/lab/switch_frame.h - frames on QEMU's stream sockets: a 4-byte big-endian
 * length, then that many bytes of Ethernet frame.
 *
 * Memory: never allocates; a reader works on memory given at init (capacity
 * RAY_SWITCH_READER_SIZE_MIN or more); frames borrow from it until the next space call.
 * Threads: one owner.  Blocks: never (pure).  Trust: every byte comes from a machine that
 * may be broken or hostile. */
#ifndef RAY_LAB_SWITCH_FRAME_H
#define RAY_LAB_SWITCH_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    RAY_SWITCH_FRAME_HEADER_SIZE = 4,
    RAY_SWITCH_FRAME_SIZE_MAX = 69632, /* QEMU's own limit: NET_BUFSIZE */
    RAY_SWITCH_FRAME_SIZE_MIN = 14,    /* an Ethernet header */
    RAY_SWITCH_READER_SIZE_MIN = RAY_SWITCH_FRAME_HEADER_SIZE + RAY_SWITCH_FRAME_SIZE_MAX,
};

struct ray_switch_reader {
    uint8_t *data; /* borrowed */
    size_t capacity;
    size_t begin; /* the first byte that was not taken yet */
    size_t end;   /* one past the last byte that was read */
};

void ray_switch_reader_init(struct ray_switch_reader *reader, uint8_t *memory, size_t capacity);

/* Forgets everything, a half-read frame too: the stream begins anew. */
void ray_switch_reader_reset(struct ray_switch_reader *reader);

/* Where the next bytes go; *out_size is never 0 when all complete frames were taken. */
uint8_t *ray_switch_reader_space(struct ray_switch_reader *reader, size_t *out_size);
void ray_switch_reader_filled(struct ray_switch_reader *reader, size_t size);

/* Takes the next frame.
 * RAY_OK:         *out_frame and *out_size are set.
 * RAY_EAGAIN:     less than one frame is there; nothing was written.
 * RAY_EMALFORMED: a length above the limit; there is no way to find the next frame. */
int ray_switch_reader_next(struct ray_switch_reader *reader, const uint8_t **out_frame,
                           size_t *out_size, struct ray_err *err);

void ray_switch_frame_put_header(uint8_t out[static RAY_SWITCH_FRAME_HEADER_SIZE], size_t size);

#endif
