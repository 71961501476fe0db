#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "node/init/notify_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct notify_message message;

    notify_message_parse((const char *)data, size, &message);
    assert(notify_fd_name_is_valid(message.fd_name, strlen(message.fd_name)));
    assert(strlen(message.status) < sizeof message.status);
    assert(message.marker_count <= NOTIFY_MARKER_COUNT_MAX);
    for (size_t i = 0; i < message.marker_count; i++) {
        char line[RAY_MARKER_LINE_SIZE_MAX];
        assert(message.markers[i].marker < RAY_MARKER_COUNT);
        assert(ray_marker_format(line, message.markers[i].marker, message.markers[i].detail) <
               sizeof line);
    }
    return 0;
}
