/* Input: 8 bytes of file size, then the value of a Range header and, behind a newline, that of
 * an If-None-Match. What comes out must lie within the file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/http/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t file_size;
    uint64_t first;
    uint64_t count;
    char *value;
    char *list;

    if (size < sizeof(file_size)) {
        return 0;
    }
    memcpy(&file_size, data, sizeof(file_size));
    value = strndup((const char *)data + sizeof(file_size), size - sizeof(file_size));
    if (value == NULL) {
        return 0;
    }
    list = strchr(value, '\n');
    if (list != NULL) {
        *list++ = '\0';
        (void)ray_http_etag_matches(list, "\"0123\"");
    }
    if (ray_http_range_parse(value, file_size, &first, &count) == RAY_HTTP_RANGE_PART &&
        (count == 0 || first >= file_size || count > file_size - first)) {
        abort();
    }
    free(value);
    return 0;
}
