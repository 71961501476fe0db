/* switch_frame_fuzz.c - a stream in pieces: the first byte of the input sets their size. The
 * frames must not depend on the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "clusterctl/lab/switch_frame.h"

struct result {
    size_t count;
    uint64_t hash;
    int rc;
};

static struct result run(const uint8_t *data, size_t size, size_t piece_size)
{
    uint8_t *memory = malloc(RAY_SWITCH_READER_SIZE_MIN);
    struct ray_switch_reader reader;
    struct result result = {.rc = RAY_EAGAIN};

    if (memory == NULL) {
        abort();
    }
    ray_switch_reader_init(&reader, memory, RAY_SWITCH_READER_SIZE_MIN);
    while (size > 0 && result.rc == RAY_EAGAIN) {
        size_t space_size;
        uint8_t *space = ray_switch_reader_space(&reader, &space_size);
        size_t now_size = size < piece_size ? size : piece_size;
        const uint8_t *frame;
        size_t frame_size;

        now_size = now_size < space_size ? now_size : space_size;
        if (now_size == 0) {
            abort();
        }
        memcpy(space, data, now_size);
        ray_switch_reader_filled(&reader, now_size);
        data += now_size;
        size -= now_size;
        while ((result.rc = ray_switch_reader_next(&reader, &frame, &frame_size, NULL)) == RAY_OK) {
            result.count++;
            for (size_t i = 0; i < frame_size; i++) {
                result.hash = result.hash * 31 + frame[i];
            }
        }
    }
    free(memory);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result in_pieces;
    struct result at_once;

    if (size == 0) {
        return 0;
    }
    in_pieces = run(data + 1, size - 1, (size_t)data[0] + 1);
    at_once = run(data + 1, size - 1, SIZE_MAX);
    if (in_pieces.count != at_once.count || in_pieces.hash != at_once.hash ||
        in_pieces.rc != at_once.rc) {
        abort();
    }
    return 0;
}
