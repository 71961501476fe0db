/* net/noise_symmetric.h - Noise's SymmetricState: chaining key, transcript hash, cipher.
 *
 * Private to net/noise*.c.
 * Memory: a plain struct in its owner's locked memory.  Threads: one owner.  Blocks: never.
 * Trust: what is mixed in may be hostile. */
#ifndef RAY_NET_NOISE_SYMMETRIC_H
#define RAY_NET_NOISE_SYMMETRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/noise.h"
#include "net/noise_cipher.h"

struct ray_noise_symmetric {
    struct ray_noise_cipher cipher;
    bool has_key;
    uint8_t chaining_key[RAY_NOISE_HASH_SIZE];
    uint8_t hash[RAY_NOISE_HASH_SIZE];
};

void ray_noise_symmetric_init(struct ray_noise_symmetric *symmetric, const char *protocol_name);
void ray_noise_mix_hash(struct ray_noise_symmetric *symmetric, const void *bytes, size_t size);
void ray_noise_mix_key(struct ray_noise_symmetric *symmetric, const uint8_t *bytes, size_t size);
void ray_noise_mix_key_and_hash(struct ray_noise_symmetric *symmetric, const uint8_t *bytes,
                                size_t size);

/* How much longer than its plain text an encrypted field is now: 0 before there is a key. */
size_t ray_noise_symmetric_tag_size(const struct ray_noise_symmetric *symmetric);
/* `out` gets size + tag size. */
void ray_noise_encrypt_and_hash(struct ray_noise_symmetric *symmetric, const void *plain,
                                size_t size, uint8_t *out);
/* `size` with the tag; `out` gets size - tag size. RAY_EDENIED. */
int ray_noise_decrypt_and_hash(struct ray_noise_symmetric *symmetric, const uint8_t *sealed,
                               size_t size, uint8_t *out);

void ray_noise_symmetric_split(const struct ray_noise_symmetric *symmetric, uint8_t *out_first,
                               uint8_t *out_second);

#endif
