#include "base/id.h"

#include <assert.h>
#include <string.h>

static const struct ray_id none;

bool ray_id_is_none(const struct ray_id *id)
{
    return ray_id_equal(id, &none);
}

bool ray_id_equal(const struct ray_id *a, const struct ray_id *b)
{
    return ray_id_compare(a, b) == 0;
}

int ray_id_compare(const struct ray_id *a, const struct ray_id *b)
{
    assert(a != NULL && b != NULL);
    return memcmp(a->bytes, b->bytes, RAY_ID_SIZE);
}

const char *ray_id_format(const struct ray_id *id, char out[static RAY_ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < RAY_ID_SIZE; i++) {
        out[2 * i] = digits[id->bytes[i] >> 4];
        out[2 * i + 1] = digits[id->bytes[i] & 15];
    }
    out[RAY_ID_TEXT_SIZE - 1] = '\0';
    return out;
}

/* -1 when it is no hexadecimal digit. */
static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

int ray_id_parse(const char *text, struct ray_id *out, struct ray_err *err)
{
    struct ray_id id;

    if (strlen(text) != RAY_ID_TEXT_SIZE - 1) {
        return ray_fail(err, RAY_EINVAL, "an id is 32 hexadecimal digits, not '%.40s'", text);
    }
    for (size_t i = 0; i < RAY_ID_SIZE; i++) {
        int high = digit_value(text[2 * i]);
        int low = digit_value(text[2 * i + 1]);

        if (high < 0 || low < 0) {
            return ray_fail(err, RAY_EINVAL, "an id is 32 hexadecimal digits, not '%.40s'", text);
        }
        id.bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (ray_id_is_none(&id)) {
        return ray_fail(err, RAY_EINVAL, "an id of zeros means none");
    }
    *out = id;
    return RAY_OK;
}

int ray_id_from_bytes(const void *bytes, size_t size, struct ray_id *out, struct ray_err *err)
{
    struct ray_id id;

    if (size != RAY_ID_SIZE) {
        return ray_fail(err, RAY_EMALFORMED, "an id of %zu bytes, it has 16", size);
    }
    memcpy(id.bytes, bytes, RAY_ID_SIZE);
    if (ray_id_is_none(&id)) {
        return ray_fail(err, RAY_EMALFORMED, "an id of zeros means none");
    }
    *out = id;
    return RAY_OK;
}
