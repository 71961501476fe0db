/* hello.c - the first bytes of a connection, a fixed block:
 *
 *   0 "RAYN"  4 version  5 kind  6 u16 zero  8 u64 cluster epoch (little endian)
 *   16 cluster id  32 from  48 to  64 token id */
#include <assert.h>
#include <string.h>

#include "base/le.h"
#include "net/peer_auth.h"

static const uint8_t magic[4] = {'R', 'A', 'Y', 'N'};

static_assert(64 + RAY_ID_SIZE == RAY_HELLO_SIZE, "the last field ends the block");

void ray_hello_encode(const struct ray_hello *hello, uint8_t out[static RAY_HELLO_SIZE])
{
    memset(out, 0, RAY_HELLO_SIZE);
    memcpy(out, magic, sizeof magic);
    out[4] = hello->version;
    out[5] = (uint8_t)hello->kind;
    ray_store64le(out + 8, hello->cluster_epoch);
    memcpy(out + 16, hello->cluster.bytes, RAY_ID_SIZE);
    memcpy(out + 32, hello->from.bytes, RAY_ID_SIZE);
    memcpy(out + 48, hello->to.bytes, RAY_ID_SIZE);
    memcpy(out + 64, hello->token.bytes, RAY_ID_SIZE);
}

/* Which fields a kind has: a hello with others is malformed, so that nobody comes to rely on
 * fields that mean nothing. */
static bool is_complete(const struct ray_hello *hello)
{
    bool has_cluster = !ray_id_is_none(&hello->cluster);
    bool has_from = !ray_id_is_none(&hello->from);
    bool has_to = !ray_id_is_none(&hello->to);
    bool has_token = !ray_id_is_none(&hello->token);

    switch (hello->kind) {
    case RAY_PEER_MEMBER:
        return has_cluster && has_from && has_to && !has_token;
    case RAY_PEER_JOIN:
        return has_from && has_token && hello->cluster_epoch == 0;
    case RAY_PEER_CLAIM:
        return !has_cluster && !has_from && !has_token && hello->cluster_epoch == 0;
    case RAY_PEER_OPERATOR:
        return has_cluster && !has_from && !has_token && hello->cluster_epoch == 0;
    case RAY_PEER_FORMER:
        return has_cluster && has_from && has_to && !has_token && hello->cluster_epoch == 0;
    }
    return false;
}

int ray_hello_decode(const uint8_t bytes[static RAY_HELLO_SIZE], struct ray_hello *out,
                     struct ray_err *err)
{
    struct ray_hello hello = {.version = bytes[4], .kind = (enum ray_peer_kind)bytes[5]};

    if (memcmp(bytes, magic, sizeof magic) != 0) {
        return ray_fail(err, RAY_EMALFORMED, "not a RayOS node or client");
    }
    if (hello.version != RAY_PEER_AUTH_VERSION) {
        return ray_fail(err, RAY_EUNSUPPORTED, "handshake version %u, here %d", hello.version,
                        RAY_PEER_AUTH_VERSION);
    }
    hello.cluster_epoch = ray_load64le(bytes + 8);
    memcpy(hello.cluster.bytes, bytes + 16, RAY_ID_SIZE);
    memcpy(hello.from.bytes, bytes + 32, RAY_ID_SIZE);
    memcpy(hello.to.bytes, bytes + 48, RAY_ID_SIZE);
    memcpy(hello.token.bytes, bytes + 64, RAY_ID_SIZE);
    if (bytes[6] != 0 || bytes[7] != 0 || !is_complete(&hello)) {
        return ray_fail(err, RAY_EMALFORMED, "a hello of kind %u with fields that do not fit",
                        bytes[5]);
    }
    *out = hello;
    return RAY_OK;
}
