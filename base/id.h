/* base/id.h - random 128-bit identities: clusters, nodes, incarnations, guests, sessions.
 *
 * An identity is never reused. All zeros means "none".
 * Memory: plain values.  Threads: any.  Blocks: never.  Trust: texts are hostile. */
#ifndef RAY_BASE_ID_H
#define RAY_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { RAY_ID_SIZE = 16, RAY_ID_TEXT_SIZE = 33 };

struct ray_id {
    uint8_t bytes[RAY_ID_SIZE];
};

bool ray_id_is_none(const struct ray_id *id);
bool ray_id_equal(const struct ray_id *a, const struct ray_id *b);
/* Byte order, the same everywhere: negative, 0, positive. */
int ray_id_compare(const struct ray_id *a, const struct ray_id *b);

/* 32 lower-case hexadecimal digits; returns `out`. */
const char *ray_id_format(const struct ray_id *id, char out[static RAY_ID_TEXT_SIZE]);
/* Exactly 32 hexadecimal digits, not all zero; RAY_EINVAL otherwise. */
int ray_id_parse(const char *text, struct ray_id *out, struct ray_err *err);
/* From a field of a message: exactly 16 bytes, not all zero; RAY_EMALFORMED otherwise. */
int ray_id_from_bytes(const void *bytes, size_t size, struct ray_id *out, struct ray_err *err);

#endif
