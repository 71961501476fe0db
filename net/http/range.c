/* Numbers saturate instead of wrapping: "bytes=0-99999999999999999999999" is the whole file,
 * and a first byte that large is behind any end. */
#include "net/http/range.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t");
}

/* Reads digits at *at; false when there is none. */
static bool read_number(const char **at, uint64_t *out)
{
    const char *start = *at;
    uint64_t number = 0;

    for (; **at >= '0' && **at <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (__builtin_mul_overflow(number, UINT64_C(10), &number) ||
            __builtin_add_overflow(number, digit, &number)) {
            number = UINT64_MAX;
        }
    }
    *out = number;
    return *at != start;
}

enum ray_http_range ray_http_range_parse(const char *value, uint64_t size, uint64_t *out_first,
                                         uint64_t *out_size)
{
    uint64_t first = 0;
    uint64_t last = 0;
    bool has_first;
    bool has_last;

    assert(out_first != NULL && out_size != NULL);
    *out_first = 0;
    *out_size = size;
    if (value == NULL || strncasecmp(value, "bytes=", 6) != 0) {
        return RAY_HTTP_RANGE_WHOLE;
    }
    value = skip_space(value + 6);
    has_first = read_number(&value, &first);
    if (*value++ != '-') {
        return RAY_HTTP_RANGE_WHOLE;
    }
    has_last = read_number(&value, &last);
    if (*skip_space(value) != '\0' || (!has_first && !has_last) ||
        (has_first && has_last && first > last)) {
        return RAY_HTTP_RANGE_WHOLE;
    }
    if (!has_first) { /* the last `last` bytes */
        if (last == 0 || size == 0) {
            return RAY_HTTP_RANGE_UNSATISFIABLE;
        }
        first = last < size ? size - last : 0;
        last = size - 1;
    } else if (first >= size) {
        return RAY_HTTP_RANGE_UNSATISFIABLE;
    } else if (!has_last || last >= size) {
        last = size - 1;
    }
    assert(first <= last && last < size);
    *out_first = first;
    *out_size = last - first + 1;
    return RAY_HTTP_RANGE_PART;
}

bool ray_http_etag_matches(const char *list, const char *etag)
{
    size_t etag_size = strlen(etag);

    list = skip_space(list);
    if (strcmp(list, "*") == 0) {
        return true;
    }
    while (*list != '\0') {
        const char *end;

        list += strspn(list, " \t,");
        if (strncmp(list, "W/", 2) == 0) {
            list += 2;
        }
        if (*list != '"') {
            return false; /* not a list of tags */
        }
        end = strchr(list + 1, '"');
        if (end == NULL) {
            return false;
        }
        if ((size_t)(end + 1 - list) == etag_size && memcmp(list, etag, etag_size) == 0) {
            return true;
        }
        list = skip_space(end + 1);
    }
    return false;
}
