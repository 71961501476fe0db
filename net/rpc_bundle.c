/* rpc_bundle.c - each message as a field of its own: tag, size, bytes. */
#include "net/rpc_bundle.h"

#include <assert.h>

#include "base/err.h"
#include "base/varint.h"
#include "net/rpc.h"

enum { TAG = 6 << 3 | 2, SIZE_BYTES_MAX = RAY_RPC_BUNDLE_HEAD_SIZE_MAX - 1 };

static_assert((int)RAY_RPC_MESSAGE_SIZE_MAX < 1 << (7 * SIZE_BYTES_MAX), "a size has three bytes");

size_t ray_rpc_bundle_head(uint8_t out[static RAY_RPC_BUNDLE_HEAD_SIZE_MAX], size_t size)
{
    assert(size > 0 && size <= RAY_RPC_MESSAGE_SIZE_MAX);
    out[0] = TAG;
    return (size_t)(ray_varint_put(out + 1, size) - out);
}

bool ray_rpc_bundle_is(const uint8_t *bytes, size_t size)
{
    return size > 0 && bytes[0] == TAG;
}

int ray_rpc_bundle_next(const uint8_t *bytes, size_t size, size_t *at, const uint8_t **out_message,
                        size_t *out_size)
{
    size_t place = *at;
    uint64_t length = 0;
    size_t used;

    assert(place <= size);
    if (!ray_rpc_bundle_is(bytes + place, size - place)) {
        return RAY_EMALFORMED;
    }
    place++;
    used = ray_varint_take_short(bytes + place, size - place, SIZE_BYTES_MAX, &length);
    place += used;
    if (used == 0 || length == 0 || length > size - place) {
        return RAY_EMALFORMED;
    }
    *out_message = bytes + place;
    *out_size = (size_t)length;
    *at = place + (size_t)length;
    return RAY_OK;
}
