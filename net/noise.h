/* net/noise.h - handshakes of the Noise protocol framework (revision 34) with 25519, ChaChaPoly
 * and BLAKE2b, over libsodium's primitives.
 *
 * Pure: bytes in, bytes out; the only thing drawn from outside is the ephemeral key. Most callers
 * want net/peer_auth.h, which says who speaks when and what the payloads are.
 *
 *   KK      both static keys known before     -> e, es, ss   <- e, ee, se
 *   XK      the responder's known before      -> e, es       <- e, ee      -> s, se
 *   XXpsk3  a shared secret                   -> e           <- e, ee, s, es   -> s, se, psk
 *
 * Memory: create/destroy; state lives in sodium_malloc and is wiped.
 * Threads: one owner.  Blocks: never.  Trust: messages are hostile: after one failure the
 * handshake is dead. */
#ifndef RAY_NET_NOISE_H
#define RAY_NET_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    RAY_NOISE_KEY_SIZE = 32,
    RAY_NOISE_HASH_SIZE = 64,
    RAY_NOISE_TAG_SIZE = 16,
    RAY_NOISE_MESSAGE_SIZE_MAX = 65535, /* the framework's own limit */
    RAY_NOISE_OVERHEAD_SIZE_MAX = 2 * RAY_NOISE_KEY_SIZE + 2 * RAY_NOISE_TAG_SIZE,
};

enum ray_noise_pattern {
    RAY_NOISE_KK,
    RAY_NOISE_XK,
    RAY_NOISE_XXPSK3,
};

/* Everything is copied by create. */
struct ray_noise_config {
    enum ray_noise_pattern pattern;
    bool is_initiator;
    const uint8_t *static_secret; /* RAY_NOISE_KEY_SIZE */
    const uint8_t *remote_static; /* KK; XK's initiator; NULL otherwise */
    const uint8_t *psk;           /* XXPSK3; NULL otherwise */
    const uint8_t *ephemeral;     /* only tests with published vectors; NULL: random */
    const uint8_t *prologue;      /* what both must agree on; not sent */
    size_t prologue_size;
};

struct ray_noise;

int ray_noise_create(struct ray_noise **out_noise, const struct ray_noise_config *config,
                     struct ray_err *err);
void ray_noise_destroy(struct ray_noise *noise); /* NULL is fine */

/* Whether the next message is ours to write. False when finished or dead. */
bool ray_noise_is_writer(const struct ray_noise *noise);
bool ray_noise_is_finished(const struct ray_noise *noise);

/* Writes the next message, `payload` in it. RAY_ETOOBIG: `out_max` is too small (the payload's
 * size and RAY_NOISE_OVERHEAD_SIZE_MAX are always enough); RAY_ECONFLICT: not our turn. */
int ray_noise_write(struct ray_noise *noise, const void *payload, size_t payload_size, uint8_t *out,
                    size_t out_max, size_t *out_size, struct ray_err *err);
/* Reads the peer's next message; `out` gets its payload. RAY_EDENIED: not written by whom we
 * talk to, or not for this handshake; RAY_EMALFORMED, RAY_ETOOBIG, RAY_ECONFLICT. */
int ray_noise_read(struct ray_noise *noise, const uint8_t *message, size_t message_size,
                   uint8_t *out, size_t out_max, size_t *out_size, struct ray_err *err);

/* RAY_NOISE_KEY_SIZE bytes; NULL as long as it is not known. */
const uint8_t *ray_noise_remote_static(const struct ray_noise *noise);
/* RAY_NOISE_HASH_SIZE bytes, unique for each finished handshake. */
const uint8_t *ray_noise_hash(const struct ray_noise *noise);

/* The two keys of a finished handshake (RAY_NOISE_KEY_SIZE each); the caller wipes them. */
void ray_noise_split(const struct ray_noise *noise, uint8_t *out_send_key, uint8_t *out_recv_key);

#endif
