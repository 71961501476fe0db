/* provisioning/machines/json.h - yyjson as this folder uses it. Private.
 *
 * Memory: through malloc with the fault point `alloc`; a document is freed by its user.
 * Threads: any.  Blocks: never.  Trust: bytes may be hostile; yyjson does not recurse, and
 * needs at most 12 bytes for each one read. */
#ifndef RAY_PROVISIONING_MACHINES_JSON_H
#define RAY_PROVISIONING_MACHINES_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

#include "base/err.h"

/* The allocator for yyjson calls; stateless. */
extern const yyjson_alc provision_json_alc;

/* RAY_EMALFORMED unless it is one JSON object; RAY_ENOMEM. */
int provision_json_read(const void *json, size_t size, yyjson_doc **out_doc, struct ray_err *err);

/* A text of printable ASCII shorter than `size_max`; NULL when it is missing or otherwise. */
const char *provision_json_text(yyjson_val *object, const char *key, size_t size_max);

#endif
