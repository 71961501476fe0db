/* net/noise_cipher.h - Noise's CipherState: ChaCha20-Poly1305 under a key and a counting nonce.
 *
 * For net/noise*.c and net/seal.c.
 * Memory: a plain struct that lives in its owner's locked memory.  Threads: one owner.
 * Blocks: never.  Trust: ciphertexts are hostile. */
#ifndef RAY_NET_NOISE_CIPHER_H
#define RAY_NET_NOISE_CIPHER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/noise.h"

struct ray_noise_cipher {
    uint8_t key[RAY_NOISE_KEY_SIZE];
    uint64_t nonce; /* of the next message; UINT64_MAX is never used for one */
};

/* `out` gets size + RAY_NOISE_TAG_SIZE bytes and may be `plain` itself.
 * RAY_ECLOSED: the nonces are used up. */
int ray_noise_cipher_encrypt(struct ray_noise_cipher *cipher, const void *ad, size_t ad_size,
                             const uint8_t *plain, size_t size, uint8_t *out);
/* `size` with the tag; `out` gets size - RAY_NOISE_TAG_SIZE bytes and may be `sealed` itself.
 * RAY_EDENIED: not that message under that key; the nonce stays. */
int ray_noise_cipher_decrypt(struct ray_noise_cipher *cipher, const void *ad, size_t ad_size,
                             const uint8_t *sealed, size_t size, uint8_t *out);
/* The next key, from which this one cannot be found. The nonce goes on. */
void ray_noise_cipher_rekey(struct ray_noise_cipher *cipher);

#endif
