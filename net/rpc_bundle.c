/* rpc_bundle.c - each message as a field of its own: tag, size, bytes. */
#include "net/rpc_bundle.h"

#include <assert.h>

#include "base/err.h"
#include "net/rpc.h"

enum { TAG = 6 << 3 | 2, SIZE_BYTES_MAX = RAY_RPC_BUNDLE_HEAD_SIZE_MAX - 1 };

static_assert((int)RAY_RPC_MESSAGE_SIZE_MAX < 1 << (7 * SIZE_BYTES_MAX), "a size has three bytes");

size_t ray_rpc_bundle_head(uint8_t out[static RAY_RPC_BUNDLE_HEAD_SIZE_MAX], size_t size)
{
    size_t at = 0;

    assert(size > 0 && size <= RAY_RPC_MESSAGE_SIZE_MAX);
    out[at++] = TAG;
    for (; size > 0x7f; size >>= 7) {
        out[at++] = (uint8_t)(size | 0x80);
    }
    out[at++] = (uint8_t)size;
    return at;
}

bool ray_rpc_bundle_is(const uint8_t *bytes, size_t size)
{
    return size > 0 && bytes[0] == TAG;
}

int ray_rpc_bundle_next(const uint8_t *bytes, size_t size, size_t *at, const uint8_t **out_message,
                        size_t *out_size)
{
    size_t place = *at;
    size_t length = 0;
    uint8_t byte = 0x80;

    assert(place <= size);
    if (!ray_rpc_bundle_is(bytes + place, size - place)) {
        return RAY_EMALFORMED;
    }
    place++;
    for (unsigned i = 0; i < SIZE_BYTES_MAX && place < size && byte > 0x7f; i++) {
        byte = bytes[place++];
        length |= (size_t)(byte & 0x7f) << (7 * i);
    }
    if (byte > 0x7f || length == 0 || length > size - place) {
        return RAY_EMALFORMED;
    }
    *out_message = bytes + place;
    *out_size = length;
    *at = place + length;
    return RAY_OK;
}
