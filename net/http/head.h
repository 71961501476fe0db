/* net/http/head.h - the texts of one message head as llhttp hands them out, piece by piece:
 * first the target, if there is one, then names and values of headers.
 *
 * Everything is collected NUL-terminated in one buffer of a fixed size.
 * Memory: init/fini; texts that are returned live until the next append or clear.
 * Threads: one owner.  Blocks: never.
 * Trust: every byte comes from the network; sizes and number are bounded, values have no
 * control bytes. */
#ifndef RAY_NET_HTTP_HEAD_H
#define RAY_NET_HTTP_HEAD_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum { RAY_HTTP_HEADER_COUNT_MAX = 64 };

struct ray_http_head {
    struct ray_buf text;
    struct {
        size_t name_offset;
        size_t value_offset;
    } headers[RAY_HTTP_HEADER_COUNT_MAX];
    size_t count;
    size_t part_offset; /* of the text being collected */
};

/* size_max: of all texts together, without what ends them. */
void ray_http_head_init(struct ray_http_head *head, size_t size_max);
void ray_http_head_fini(struct ray_http_head *head);
void ray_http_head_clear(struct ray_http_head *head);

/* Each returns RAY_OK, RAY_ENOMEM or RAY_ETOOBIG. */
int ray_http_head_append(struct ray_http_head *head, const char *at, size_t size);
int ray_http_head_end_target(struct ray_http_head *head);
int ray_http_head_end_name(struct ray_http_head *head); /* RAY_ECONFLICT: one too many */
/* Also trims white space, and turns tabs into spaces; RAY_EMALFORMED: control bytes. */
int ray_http_head_end_value(struct ray_http_head *head);

/* The target, which is what the buffer begins with. */
const char *ray_http_head_target(const struct ray_http_head *head);
/* The value of the first header of that name, whatever its case; NULL for none. */
const char *ray_http_head_find(const struct ray_http_head *head, const char *name);
size_t ray_http_head_count(const struct ray_http_head *head, const char *name);

#endif
