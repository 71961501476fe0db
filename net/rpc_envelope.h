/* net/rpc_envelope.h - the bytes of one rpc message: pure encoding, decoding and checks.
 *
 * Private to net/rpc*.c and its tests.
 * Memory: results live in the caller's arena; texts and bodies of a decoded message, too.
 * Threads: any.  Blocks: never.  Trust: decode takes hostile bytes and checks every field. */
#ifndef RAY_NET_RPC_ENVELOPE_H
#define RAY_NET_RPC_ENVELOPE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum {
    RAY_RPC_CREDIT_MAX = 1024,        /* items that may be under way in one call */
    RAY_RPC_ARENA_SIZE_MAX = 4 << 20, /* what one message may need when it is unpacked */
};
#define RAY_RPC_TIMEOUT_MS_MAX (UINT64_C(1000) * 3600 * 24 * 366)

enum ray_rpc_kind {
    RAY_RPC_REQUEST,
    RAY_RPC_ITEM,
    RAY_RPC_END,
    RAY_RPC_CANCEL,
    RAY_RPC_CREDIT,
    RAY_RPC_LARGE, /* a request; its body comes in parts */
    RAY_RPC_PART,
};

/* One message, flat; fields that its kind does not have are zero. */
struct ray_rpc_message {
    enum ray_rpc_kind kind;
    uint64_t id;           /* 0 only in an end: the connection is refused */
    const char *method;    /* request, large */
    uint64_t timeout_ms;   /* request, large; 0: none */
    uint32_t credit;       /* request, large, credit */
    bool takes_bundles;    /* request, large, end */
    uint64_t large_size;   /* large: of the body that follows */
    int code;              /* end: RAY_OK or an error */
    const char *text;      /* end */
    const char *next_step; /* end */
    const uint8_t *body;   /* request, part, item, end */
    size_t body_size;
};

/* RAY_EMALFORMED: the peer is broken or hostile, close the connection. RAY_ETOOBIG: the
 * same, it would need too much memory. */
int ray_rpc_envelope_decode(const uint8_t *bytes, size_t size, struct ray_arena *arena,
                            struct ray_rpc_message *out_message, struct ray_err *err);

/* RAY_ETOOBIG: the body or the whole is too large. RAY_ENOMEM. `message` is ours and only
 * asserted. */
int ray_rpc_envelope_encode(const struct ray_rpc_message *message, struct ray_arena *arena,
                            const uint8_t **out_bytes, size_t *out_size, struct ray_err *err);

#endif
