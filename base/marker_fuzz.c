/* A line from outside is a marker or not; a marker formatted from its parts is the line again. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/marker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char line[RAY_MARKER_LINE_SIZE_MAX];
    char text[RAY_MARKER_LINE_SIZE_MAX];
    enum ray_marker marker;
    const char *detail;
    size_t detail_size;
    size_t length;

    if (!ray_marker_parse((const char *)data, size, &marker, &detail, &detail_size)) {
        return 0;
    }
    assert(detail_size < sizeof text);
    memcpy(text, detail, detail_size);
    text[detail_size] = '\0';
    length = ray_marker_format(line, marker, ray_marker_info(marker)->has_detail ? text : NULL);
    size -= data[size - 1] == '\n' ? 1 : 0;
    assert(length == size + 1 && memcmp(line, data, size) == 0);
    return 0;
}
