/* marker.c - formatting and strict recognition of the lines in the table.
 *
 * Invariant (fuzzed): every line that format makes is parsed back to the same marker. */
#include "base/marker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct ray_marker_info infos[RAY_MARKER_COUNT] = {
#define MARKER_INFO(id, prefix, has_detail, explanation) {(prefix), (has_detail), (explanation)},
    RAY_MARKER_MAP(MARKER_INFO)
#undef MARKER_INFO
};

const struct ray_marker_info *ray_marker_info(enum ray_marker marker)
{
    assert((unsigned)marker < RAY_MARKER_COUNT);
    return &infos[marker];
}

size_t ray_marker_format(char out[static RAY_MARKER_LINE_SIZE_MAX], enum ray_marker marker,
                         const char *detail)
{
    const struct ray_marker_info *info = ray_marker_info(marker);
    size_t used = strlen(info->prefix);

    assert(info->has_detail || detail == NULL);
    assert(used + 3 < RAY_MARKER_LINE_SIZE_MAX);
    memcpy(out, info->prefix, used);
    if (info->has_detail) {
        /* An empty detail is written as "-", so that the line remains a marker. */
        const char *text = detail != NULL && detail[0] != '\0' ? detail : "-";

        out[used++] = ':';
        used += ray_escape(out + used, RAY_MARKER_LINE_SIZE_MAX - 1 - used, text, strlen(text));
    }
    out[used++] = '\n';
    out[used] = '\0';
    return used;
}

static bool is_printable(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];

        if (byte < 0x20 || byte >= 0x7f) {
            return false;
        }
    }
    return true;
}

bool ray_marker_parse(const char *line, size_t size, enum ray_marker *out_marker,
                      const char **out_detail, size_t *out_detail_size)
{
    if (size > 0 && line[size - 1] == '\n') {
        size--;
    }
    /* The longest line that format makes has a newline and a NUL in the same space. */
    if (size > RAY_MARKER_LINE_SIZE_MAX - 2 || !is_printable(line, size)) {
        return false;
    }
    for (int i = 0; i < RAY_MARKER_COUNT; i++) {
        size_t prefix_size = strlen(infos[i].prefix);

        if (size < prefix_size || memcmp(line, infos[i].prefix, prefix_size) != 0) {
            continue;
        }
        if (!infos[i].has_detail && size == prefix_size) {
            *out_marker = (enum ray_marker)i;
            *out_detail = "";
            *out_detail_size = 0;
            return true;
        }
        if (infos[i].has_detail && size > prefix_size + 1 && line[prefix_size] == ':') {
            *out_marker = (enum ray_marker)i;
            *out_detail = line + prefix_size + 1;
            *out_detail_size = size - prefix_size - 1;
            return true;
        }
    }
    return false;
}
