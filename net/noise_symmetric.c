/* noise_symmetric.c - HKDF as Noise defines it, over HMAC-BLAKE2b, which libsodium does not have
 * (its keyed BLAKE2b is another function). */
#include "net/noise_symmetric.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { BLOCK_SIZE = 128, HASH_SIZE = RAY_NOISE_HASH_SIZE };

static_assert(crypto_generichash_blake2b_BYTES_MAX == HASH_SIZE, "BLAKE2b-512");

/* HMAC(key, first | second); `out` may be one of the inputs. */
static void hmac(const uint8_t key[static HASH_SIZE], const uint8_t *first, size_t first_size,
                 const uint8_t *second, size_t second_size, uint8_t out[static HASH_SIZE])
{
    crypto_generichash_blake2b_state state;
    uint8_t pad[BLOCK_SIZE];
    uint8_t inner[HASH_SIZE];

    memset(pad, 0x36, sizeof pad);
    for (size_t i = 0; i < HASH_SIZE; i++) {
        pad[i] ^= key[i];
    }
    (void)crypto_generichash_blake2b_init(&state, NULL, 0, HASH_SIZE);
    (void)crypto_generichash_blake2b_update(&state, pad, sizeof pad);
    (void)crypto_generichash_blake2b_update(&state, first, first_size);
    (void)crypto_generichash_blake2b_update(&state, second, second_size);
    (void)crypto_generichash_blake2b_final(&state, inner, sizeof inner);

    for (size_t i = 0; i < sizeof pad; i++) {
        pad[i] ^= 0x36 ^ 0x5c;
    }
    (void)crypto_generichash_blake2b_init(&state, NULL, 0, HASH_SIZE);
    (void)crypto_generichash_blake2b_update(&state, pad, sizeof pad);
    (void)crypto_generichash_blake2b_update(&state, inner, sizeof inner);
    (void)crypto_generichash_blake2b_final(&state, out, HASH_SIZE);
    sodium_memzero(&state, sizeof state);
    sodium_memzero(pad, sizeof pad);
    sodium_memzero(inner, sizeof inner);
}

/* out[0..count), each of HASH_SIZE, one after the other. */
static void hkdf(const uint8_t *chaining_key, const uint8_t *input, size_t input_size, uint8_t *out,
                 uint8_t count)
{
    uint8_t temp[HASH_SIZE];

    hmac(chaining_key, input, input_size, NULL, 0, temp);
    for (uint8_t i = 0; i < count; i++) {
        uint8_t number = (uint8_t)(i + 1);
        size_t before_size = i == 0 ? 0 : HASH_SIZE;

        hmac(temp, i == 0 ? NULL : out + (size_t)(i - 1) * HASH_SIZE, before_size, &number, 1,
             out + (size_t)i * HASH_SIZE);
    }
    sodium_memzero(temp, sizeof temp);
}

static void set_key(struct ray_noise_symmetric *symmetric, const uint8_t *key)
{
    memcpy(symmetric->cipher.key, key, RAY_NOISE_KEY_SIZE);
    symmetric->cipher.nonce = 0;
    symmetric->has_key = true;
}

void ray_noise_symmetric_init(struct ray_noise_symmetric *symmetric, const char *protocol_name)
{
    size_t size = strlen(protocol_name);

    assert(size <= HASH_SIZE); /* longer names would be hashed */
    *symmetric = (struct ray_noise_symmetric){0};
    memcpy(symmetric->hash, protocol_name, size);
    memcpy(symmetric->chaining_key, symmetric->hash, HASH_SIZE);
}

void ray_noise_mix_hash(struct ray_noise_symmetric *symmetric, const void *bytes, size_t size)
{
    crypto_generichash_blake2b_state state;

    (void)crypto_generichash_blake2b_init(&state, NULL, 0, HASH_SIZE);
    (void)crypto_generichash_blake2b_update(&state, symmetric->hash, HASH_SIZE);
    (void)crypto_generichash_blake2b_update(&state, bytes, size);
    (void)crypto_generichash_blake2b_final(&state, symmetric->hash, HASH_SIZE);
}

void ray_noise_mix_key(struct ray_noise_symmetric *symmetric, const uint8_t *bytes, size_t size)
{
    uint8_t out[2 * HASH_SIZE];

    hkdf(symmetric->chaining_key, bytes, size, out, 2);
    memcpy(symmetric->chaining_key, out, HASH_SIZE);
    set_key(symmetric, out + HASH_SIZE);
    sodium_memzero(out, sizeof out);
}

void ray_noise_mix_key_and_hash(struct ray_noise_symmetric *symmetric, const uint8_t *bytes,
                                size_t size)
{
    uint8_t out[3 * HASH_SIZE];

    hkdf(symmetric->chaining_key, bytes, size, out, 3);
    memcpy(symmetric->chaining_key, out, HASH_SIZE);
    ray_noise_mix_hash(symmetric, out + HASH_SIZE, HASH_SIZE);
    set_key(symmetric, out + (size_t)2 * HASH_SIZE);
    sodium_memzero(out, sizeof out);
}

size_t ray_noise_symmetric_tag_size(const struct ray_noise_symmetric *symmetric)
{
    return symmetric->has_key ? RAY_NOISE_TAG_SIZE : 0;
}

void ray_noise_encrypt_and_hash(struct ray_noise_symmetric *symmetric, const void *plain,
                                size_t size, uint8_t *out)
{
    if (symmetric->has_key) {
        int rc = ray_noise_cipher_encrypt(&symmetric->cipher, symmetric->hash, HASH_SIZE, plain,
                                          size, out);

        assert(rc == RAY_OK); /* a handshake key seals two fields at most */
        (void)rc;
    } else if (size > 0) {
        memcpy(out, plain, size);
    }
    ray_noise_mix_hash(symmetric, out, size + ray_noise_symmetric_tag_size(symmetric));
}

int ray_noise_decrypt_and_hash(struct ray_noise_symmetric *symmetric, const uint8_t *sealed,
                               size_t size, uint8_t *out)
{
    if (symmetric->has_key) {
        int rc = ray_noise_cipher_decrypt(&symmetric->cipher, symmetric->hash, HASH_SIZE, sealed,
                                          size, out);

        if (rc != RAY_OK) {
            return rc;
        }
    } else if (size > 0) {
        memcpy(out, sealed, size);
    }
    ray_noise_mix_hash(symmetric, sealed, size);
    return RAY_OK;
}

void ray_noise_symmetric_split(const struct ray_noise_symmetric *symmetric, uint8_t *out_first,
                               uint8_t *out_second)
{
    uint8_t out[2 * HASH_SIZE];

    hkdf(symmetric->chaining_key, NULL, 0, out, 2);
    memcpy(out_first, out, RAY_NOISE_KEY_SIZE);
    memcpy(out_second, out + HASH_SIZE, RAY_NOISE_KEY_SIZE);
    sodium_memzero(out, sizeof out);
}
