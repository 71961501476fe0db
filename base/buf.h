/* base/buf.h - a growing byte buffer with a limit.
 *
 * Memory: owns `data`; fini frees it; a zeroed struct is a valid empty buffer
 * with no limit set, so init it.  Threads: one owner.  Blocks: never.
 * Trust: whatever is appended; growth stops at `size_max` with RAY_ETOOBIG. */
#ifndef RAY_BASE_BUF_H
#define RAY_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct ray_buf {
    uint8_t *data; /* NUL-terminated beyond size, so that text can be read as a string */
    size_t size;
    size_t capacity;
    size_t size_max;
};

void ray_buf_init(struct ray_buf *buf, size_t size_max);
void ray_buf_fini(struct ray_buf *buf);
void ray_buf_clear(struct ray_buf *buf);                    /* keeps the memory */
void ray_buf_wipe(struct ray_buf *buf);                     /* the same; its bytes are zeroed */
int ray_buf_reserve(struct ray_buf *buf, size_t more_size); /* RAY_ENOMEM, RAY_ETOOBIG */
int ray_buf_append(struct ray_buf *buf, const void *bytes, size_t size);
int ray_buf_appendf(struct ray_buf *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void ray_buf_consume(struct ray_buf *buf, size_t size); /* drops the first `size` bytes */
const char *ray_buf_text(const struct ray_buf *buf);    /* "" when empty */

#endif
