/* buf.c - capacity doubles until size_max; one byte more is always kept for the NUL. */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/size.h"

enum { BUF_FIRST_CAPACITY = 256 };

void ray_buf_init(struct ray_buf *buf, size_t size_max)
{
    assert(buf != NULL);
    *buf = (struct ray_buf){.size_max = size_max};
}

void ray_buf_fini(struct ray_buf *buf)
{
    if (buf == NULL) {
        return;
    }
    free(buf->data);
    *buf = (struct ray_buf){.size_max = buf->size_max};
}

void ray_buf_clear(struct ray_buf *buf)
{
    buf->size = 0;
    if (buf->data != NULL) {
        buf->data[0] = '\0';
    }
}

void ray_buf_wipe(struct ray_buf *buf)
{
    if (buf->data != NULL) {
        explicit_bzero(buf->data, buf->size);
    }
    ray_buf_clear(buf);
}

int ray_buf_reserve(struct ray_buf *buf, size_t more_size)
{
    size_t capacity = buf->capacity;
    size_t needed;
    uint8_t *data;

    assert(buf->size <= buf->capacity);
    if (!ray_add_size(buf->size, more_size, &needed) || needed > buf->size_max) {
        return RAY_ETOOBIG;
    }
    if (needed <= capacity && buf->data != NULL) {
        return RAY_OK;
    }
    if (capacity < BUF_FIRST_CAPACITY) {
        capacity = BUF_FIRST_CAPACITY;
    }
    while (capacity < needed) {
        if (!ray_mul_size(capacity, 2, &capacity)) {
            capacity = needed;
        }
    }
    if (capacity > buf->size_max) {
        capacity = buf->size_max;
    }
    /* size_max may be SIZE_MAX: then there is no room for the NUL. */
    data = capacity == SIZE_MAX || ray_fault(RAY_FAULT_ALLOC) != 0
               ? NULL
               : realloc(buf->data, capacity + 1);
    if (data == NULL) {
        return RAY_ENOMEM;
    }
    data[buf->size] = '\0';
    buf->data = data;
    buf->capacity = capacity;
    return RAY_OK;
}

int ray_buf_append(struct ray_buf *buf, const void *bytes, size_t size)
{
    int rc = ray_buf_reserve(buf, size);

    if (rc != RAY_OK) {
        return rc;
    }
    if (size > 0) {
        assert(bytes != NULL);
        memcpy(buf->data + buf->size, bytes, size);
        buf->size += size;
    }
    buf->data[buf->size] = '\0';
    return RAY_OK;
}

int ray_buf_appendf(struct ray_buf *buf, const char *fmt, ...)
{
    va_list ap;
    int length;
    int rc;

    va_start(ap, fmt);
    length = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (length < 0) {
        return RAY_EINVAL;
    }
    rc = ray_buf_reserve(buf, (size_t)length);
    if (rc != RAY_OK) {
        return rc;
    }
    va_start(ap, fmt);
    (void)vsnprintf((char *)buf->data + buf->size, (size_t)length + 1, fmt, ap);
    va_end(ap);
    buf->size += (size_t)length;
    return RAY_OK;
}

void ray_buf_consume(struct ray_buf *buf, size_t size)
{
    assert(size <= buf->size);
    if (size == 0) {
        return;
    }
    buf->size -= size;
    memmove(buf->data, buf->data + size, buf->size);
    buf->data[buf->size] = '\0';
}

const char *ray_buf_text(const struct ray_buf *buf)
{
    return buf->data != NULL ? (const char *)buf->data : "";
}
