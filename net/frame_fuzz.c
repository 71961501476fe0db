/* frame_fuzz.c - any bytes, in reads of any size: the first byte chooses the size. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "net/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ray_frame_reader reader;
    struct ray_frame frame;
    size_t step = size > 0 ? (size_t)data[0] + 1 : 1;

    ray_frame_reader_init(&reader, size > 0 && (data[0] & 1) != 0);
    for (size_t at = 1; at < size; at += step) {
        size_t part = size - at < step ? size - at : step;

        if (ray_frame_reader_push(&reader, data + at, part, NULL) != RAY_OK) {
            break;
        }
        int rc;

        while ((rc = ray_frame_reader_next(&reader, &frame, NULL)) == RAY_OK) {
            assert(frame.kind == RAY_FRAME_SYNC ||
                   frame.payload_size <= RAY_FRAME_PAYLOAD_SIZE_MAX);
        }
        if (rc == RAY_EMALFORMED) {
            ray_frame_reader_resync(&reader);
        }
    }
    ray_frame_reader_fini(&reader);
    return 0;
}
