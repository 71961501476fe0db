/* seal.c - two CipherStates and the rule when their keys change. The sender decides: the record
 * with FLAG_REKEY is the last under its key. The count since the last change is kept on both
 * sides, so that a peer which never changes keys is noticed. */
#include "net/seal.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/le.h"
#include "net/noise_cipher.h"
#include "net/secret.h"

enum { FLAG_REKEY = 1, HEAD_SIZE_MASK = 0xffffff, EXPORT_VERSION = 1 };

static_assert(RAY_SEAL_PLAIN_SIZE_MAX + RAY_SEAL_TAG_SIZE <= HEAD_SIZE_MASK, "fits in 24 bits");
static_assert((int)RAY_SEAL_KEY_SIZE == (int)RAY_NOISE_KEY_SIZE &&
                  (int)RAY_SEAL_TAG_SIZE == (int)RAY_NOISE_TAG_SIZE,
              "Noise's sizes");

struct direction {
    struct ray_noise_cipher cipher;
    uint64_t count; /* records under this key */
};

struct ray_seal {
    struct direction send;
    struct direction recv;
    uint64_t keyed_ns; /* when the sending key was new */
    bool is_dead;
};

int ray_seal_create(struct ray_seal **out_seal, const uint8_t send_key[static RAY_SEAL_KEY_SIZE],
                    const uint8_t recv_key[static RAY_SEAL_KEY_SIZE], uint64_t now_ns,
                    struct ray_err *err)
{
    struct ray_seal *seal = ray_secret_alloc(sizeof *seal);

    if (seal == NULL) {
        return ray_fail(err, RAY_ENOMEM, "keys of a connection");
    }
    memcpy(seal->send.cipher.key, send_key, RAY_SEAL_KEY_SIZE);
    memcpy(seal->recv.cipher.key, recv_key, RAY_SEAL_KEY_SIZE);
    seal->keyed_ns = now_ns;
    *out_seal = seal;
    return RAY_OK;
}

void ray_seal_destroy(struct ray_seal *seal)
{
    ray_secret_free(seal);
}

bool ray_seal_is_dead(const struct ray_seal *seal)
{
    return seal->is_dead;
}

static void die(struct ray_seal *seal)
{
    sodium_memzero(seal, sizeof *seal);
    seal->is_dead = true;
}

static void rekey(struct direction *direction)
{
    ray_noise_cipher_rekey(&direction->cipher);
    direction->count = 0;
}

/* ---- records ---- */

int ray_seal_encrypt(struct ray_seal *seal, uint64_t now_ns, uint8_t *record, size_t plain_size)
{
    struct direction *send = &seal->send;
    bool is_last;
    int rc;

    if (seal->is_dead) {
        return RAY_ECLOSED;
    }
    if (plain_size > RAY_SEAL_PLAIN_SIZE_MAX) {
        return RAY_ETOOBIG;
    }
    /* A clock that went back counts as old: changing keys once more does no harm. */
    is_last =
        send->count + 1 >= RAY_SEAL_REKEY_COUNT || now_ns - seal->keyed_ns >= RAY_SEAL_REKEY_NS;
    ray_store32le(record, (uint32_t)(plain_size + RAY_SEAL_TAG_SIZE) |
                              (is_last ? (uint32_t)FLAG_REKEY << 24 : 0));
    rc = ray_noise_cipher_encrypt(&send->cipher, record, RAY_SEAL_HEAD_SIZE,
                                  record + RAY_SEAL_HEAD_SIZE, plain_size,
                                  record + RAY_SEAL_HEAD_SIZE);
    if (rc != RAY_OK) {
        die(seal);
        return rc;
    }
    send->count++;
    if (is_last) {
        rekey(send);
        seal->keyed_ns = now_ns;
    }
    return RAY_OK;
}

int ray_seal_record_size(const uint8_t *bytes, size_t size, size_t *out_record_size)
{
    uint32_t head;
    size_t sealed_size;

    if (size < RAY_SEAL_HEAD_SIZE) {
        return RAY_EAGAIN;
    }
    head = ray_load32le(bytes);
    sealed_size = head & HEAD_SIZE_MASK;
    if ((head >> 24 & ~(uint32_t)FLAG_REKEY) != 0 || sealed_size < RAY_SEAL_TAG_SIZE ||
        sealed_size > RAY_SEAL_PLAIN_SIZE_MAX + RAY_SEAL_TAG_SIZE) {
        return RAY_EMALFORMED;
    }
    *out_record_size = RAY_SEAL_HEAD_SIZE + sealed_size;
    return RAY_OK;
}

/* RAY_OK when `record` is whole and its key may still be used. */
static int check_record(const struct ray_seal *seal, const uint8_t *record, size_t record_size)
{
    size_t said_size = 0;

    if (ray_seal_record_size(record, record_size, &said_size) != RAY_OK ||
        said_size != record_size) {
        return RAY_EMALFORMED;
    }
    return seal->recv.count < RAY_SEAL_REKEY_COUNT ? RAY_OK : RAY_EMALFORMED;
}

int ray_seal_decrypt(struct ray_seal *seal, uint8_t *record, size_t record_size,
                     const uint8_t **out_plain, size_t *out_plain_size)
{
    struct direction *recv = &seal->recv;
    uint8_t *sealed = record + RAY_SEAL_HEAD_SIZE;
    int rc;

    if (seal->is_dead) {
        return RAY_ECLOSED;
    }
    rc = check_record(seal, record, record_size);
    if (rc == RAY_OK) {
        rc = ray_noise_cipher_decrypt(&recv->cipher, record, RAY_SEAL_HEAD_SIZE, sealed,
                                      record_size - RAY_SEAL_HEAD_SIZE, sealed);
    }
    if (rc != RAY_OK) {
        die(seal);
        return rc;
    }
    recv->count++;
    if ((record[3] & FLAG_REKEY) != 0) {
        rekey(recv);
    }
    *out_plain = sealed;
    *out_plain_size = record_size - RAY_SEAL_OVERHEAD_SIZE;
    return RAY_OK;
}

/* ---- handing over ---- */

static uint8_t *put_direction(uint8_t *out, const struct direction *direction)
{
    memcpy(out, direction->cipher.key, RAY_SEAL_KEY_SIZE);
    ray_store64le(out + RAY_SEAL_KEY_SIZE, direction->cipher.nonce);
    ray_store64le(out + RAY_SEAL_KEY_SIZE + 8, direction->count);
    return out + RAY_SEAL_KEY_SIZE + 16;
}

static const uint8_t *get_direction(const uint8_t *bytes, struct direction *out)
{
    memcpy(out->cipher.key, bytes, RAY_SEAL_KEY_SIZE);
    out->cipher.nonce = ray_load64le(bytes + RAY_SEAL_KEY_SIZE);
    out->count = ray_load64le(bytes + RAY_SEAL_KEY_SIZE + 8);
    return bytes + RAY_SEAL_KEY_SIZE + 16;
}

int ray_seal_export(struct ray_seal *seal, uint8_t out[static RAY_SEAL_EXPORT_SIZE])
{
    uint8_t *at = out;

    if (seal->is_dead) {
        return RAY_ECLOSED;
    }
    ray_store64le(at, EXPORT_VERSION);
    ray_store64le(at + 8, seal->keyed_ns);
    at += 16;
    at = put_direction(at, &seal->send);
    at = put_direction(at, &seal->recv);
    assert(at == out + RAY_SEAL_EXPORT_SIZE);
    die(seal);
    return RAY_OK;
}

int ray_seal_import(struct ray_seal **out_seal, const uint8_t bytes[static RAY_SEAL_EXPORT_SIZE],
                    struct ray_err *err)
{
    struct ray_seal *seal;

    if (ray_load64le(bytes) != EXPORT_VERSION) {
        return ray_fail(err, RAY_EUNSUPPORTED, "keys of a connection in a form of their own");
    }
    seal = ray_secret_alloc(sizeof *seal);
    if (seal == NULL) {
        return ray_fail(err, RAY_ENOMEM, "keys of a connection");
    }
    seal->keyed_ns = ray_load64le(bytes + 8);
    (void)get_direction(get_direction(bytes + 16, &seal->send), &seal->recv);
    if (seal->send.count >= RAY_SEAL_REKEY_COUNT || seal->recv.count > RAY_SEAL_REKEY_COUNT) {
        ray_seal_destroy(seal);
        return ray_fail(err, RAY_EMALFORMED, "keys of a connection that are used up");
    }
    *out_seal = seal;
    return RAY_OK;
}
