/* noise_cipher.c - the nonce of Noise's ChaChaPoly is four zero bytes and the counter, little
 * endian; the largest counter is kept for rekeying. */
#include "net/noise_cipher.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/le.h"

static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == RAY_NOISE_KEY_SIZE, "key");
static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == RAY_NOISE_TAG_SIZE, "tag");

enum { NONCE_SIZE = crypto_aead_chacha20poly1305_ietf_NPUBBYTES };

static void put_nonce(uint64_t nonce, uint8_t out[static NONCE_SIZE])
{
    memset(out, 0, NONCE_SIZE);
    ray_store64le(out + 4, nonce);
}

int ray_noise_cipher_encrypt(struct ray_noise_cipher *cipher, const void *ad, size_t ad_size,
                             const uint8_t *plain, size_t size, uint8_t *out)
{
    uint8_t nonce[NONCE_SIZE];

    if (cipher->nonce == UINT64_MAX) {
        return RAY_ECLOSED;
    }
    put_nonce(cipher->nonce, nonce);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt_detached(
        out, out + size, NULL, plain, size, ad, ad_size, NULL, nonce, cipher->key); /* always 0 */
    cipher->nonce++;
    return RAY_OK;
}

int ray_noise_cipher_decrypt(struct ray_noise_cipher *cipher, const void *ad, size_t ad_size,
                             const uint8_t *sealed, size_t size, uint8_t *out)
{
    uint8_t nonce[NONCE_SIZE];
    size_t plain_size;

    if (size < RAY_NOISE_TAG_SIZE) {
        return RAY_EDENIED;
    }
    if (cipher->nonce == UINT64_MAX) {
        return RAY_ECLOSED;
    }
    plain_size = size - RAY_NOISE_TAG_SIZE;
    put_nonce(cipher->nonce, nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(out, NULL, sealed, plain_size,
                                                           sealed + plain_size, ad, ad_size, nonce,
                                                           cipher->key) != 0) {
        return RAY_EDENIED;
    }
    cipher->nonce++;
    return RAY_OK;
}

void ray_noise_cipher_rekey(struct ray_noise_cipher *cipher)
{
    static const uint8_t zeros[RAY_NOISE_KEY_SIZE];
    uint8_t tag[RAY_NOISE_TAG_SIZE];
    uint8_t nonce[NONCE_SIZE];

    put_nonce(UINT64_MAX, nonce);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt_detached(
        cipher->key, tag, NULL, zeros, sizeof zeros, NULL, 0, NULL, nonce, cipher->key);
    sodium_memzero(tag, sizeof tag);
}
