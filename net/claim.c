/* claim.c - tries count when they begin, so that guesses in parallel are no more than guesses in
 * turn: begun and failed ones together never pass the limit. A success gives its try back. */
#include "net/claim.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/fault.h"
#include "net/secret.h"

enum {
    CODE_SIZE = RAY_WORDS_COUNT,
    STRETCH_MEMORY = 16 << 20,
    STRETCH_PASSES = 3,
};

struct ray_claim {
    char text[RAY_WORDS_TEXT_SIZE];
    uint8_t psk[RAY_CLAIM_PSK_SIZE];
    unsigned open_count;
    unsigned failed_count;
    bool has_code;
};

/* Argon2id is for low entropy; 64 bits have enough to be out of reach with it, for good. */
static int stretch(const uint8_t code[static CODE_SIZE], uint8_t out[static RAY_CLAIM_PSK_SIZE],
                   struct ray_err *err)
{
    static const uint8_t salt[crypto_pwhash_SALTBYTES] = {'r', 'a', 'y', 'o', 's', ' ', 'c',
                                                          'l', 'a', 'i', 'm', ' ', '1'};
    char text[2 * CODE_SIZE + 1];
    bool is_done;

    (void)sodium_bin2hex(text, sizeof text, code, CODE_SIZE);
    is_done = ray_fault(RAY_FAULT_ALLOC) == 0 &&
              crypto_pwhash(out, RAY_CLAIM_PSK_SIZE, text, sizeof text - 1, salt, STRETCH_PASSES,
                            STRETCH_MEMORY, crypto_pwhash_ALG_ARGON2ID13) == 0;
    sodium_memzero(text, sizeof text);
    return is_done
               ? RAY_OK
               : ray_fail(err, RAY_ENOMEM, "%d MiB for the key of a code", STRETCH_MEMORY >> 20);
}

int ray_claim_renew(struct ray_claim *claim, struct ray_err *err)
{
    uint8_t code[CODE_SIZE];
    int rc;

    assert(claim->open_count == 0);
    claim->has_code = false;
    randombytes_buf(code, sizeof code);
    rc = stretch(code, claim->psk, err);
    if (rc == RAY_OK) {
        (void)ray_words_format(code, claim->text);
        claim->failed_count = 0;
        claim->has_code = true;
    }
    sodium_memzero(code, sizeof code);
    return rc;
}

int ray_claim_create(struct ray_claim **out_claim, struct ray_err *err)
{
    struct ray_claim *claim = ray_secret_alloc(sizeof *claim);
    int rc;

    if (claim == NULL) {
        return ray_fail(err, RAY_ENOMEM, "one-time code");
    }
    rc = ray_claim_renew(claim, err);
    if (rc != RAY_OK) {
        ray_claim_destroy(claim);
        return rc;
    }
    *out_claim = claim;
    return RAY_OK;
}

void ray_claim_destroy(struct ray_claim *claim)
{
    ray_secret_free(claim);
}

const char *ray_claim_code(const struct ray_claim *claim)
{
    return claim->has_code ? claim->text : "";
}

int ray_claim_begin(struct ray_claim *claim, uint8_t out_psk[static RAY_CLAIM_PSK_SIZE],
                    struct ray_err *err)
{
    if (!claim->has_code || claim->open_count + claim->failed_count >= RAY_CLAIM_TRIES_MAX) {
        return ray_fail(err, RAY_EUNAVAILABLE, "no try is left for the code; look for a new one");
    }
    claim->open_count++;
    memcpy(out_psk, claim->psk, RAY_CLAIM_PSK_SIZE);
    return RAY_OK;
}

int ray_claim_end(struct ray_claim *claim, bool is_proven, struct ray_err *err)
{
    int rc;

    assert(claim->open_count > 0);
    claim->open_count--;
    if (!is_proven) {
        claim->failed_count++;
    }
    if (claim->failed_count < RAY_CLAIM_TRIES_MAX) {
        return RAY_OK;
    }
    assert(claim->open_count == 0);
    rc = ray_claim_renew(claim, err);
    return rc != RAY_OK ? rc : ray_fail(err, RAY_ECONFLICT, "a new one-time code was made");
}

int ray_claim_psk(const char *code, uint8_t out_psk[static RAY_CLAIM_PSK_SIZE], struct ray_err *err)
{
    uint8_t bytes[CODE_SIZE];
    uint8_t psk[RAY_CLAIM_PSK_SIZE];
    int rc;

    if (sodium_init() < 0) {
        return ray_fail(err, RAY_EINTERNAL, "libsodium does not start");
    }
    rc = ray_words_parse(code, bytes, CODE_SIZE, err);
    if (rc == RAY_OK) {
        rc = stretch(bytes, psk, err);
    }
    if (rc == RAY_OK) {
        memcpy(out_psk, psk, sizeof psk);
    }
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(psk, sizeof psk);
    return rc;
}
