/* key.c - one secret, everything else derived from it. Each use has a hash domain of its own, so
 * that what is said in one place means nothing in another. */
#include "net/key.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/le.h"
#include "net/secret.h"

static_assert(crypto_sign_PUBLICKEYBYTES == RAY_KEY_SIZE, "Ed25519 public key");
static_assert(crypto_sign_SECRETKEYBYTES == RAY_KEY_SECRET_SIZE, "Ed25519 secret key");
static_assert(crypto_sign_BYTES == RAY_KEY_SIGNATURE_SIZE, "Ed25519 signature");
static_assert(crypto_scalarmult_curve25519_BYTES == RAY_KEY_SIZE, "X25519 key");

enum { GENERATION_SIZE = 4, DIGEST_SIZE = 64 };

#define PROOF_DOMAIN "static-key"

struct ray_key {
    uint8_t secret[RAY_KEY_SECRET_SIZE];
    uint8_t static_secret[RAY_KEY_SIZE];
    uint8_t identity[RAY_KEY_SIZE];
    uint8_t static_public[RAY_KEY_SIZE];
    uint8_t proof[RAY_KEY_PROOF_SIZE];
    uint32_t generation;
};

/* ---- making ---- */

/* The seed is the first half of the secret. */
static void derive_static(struct ray_key *key)
{
    static const uint8_t domain[] = "rayos static key 1";
    uint8_t generation[GENERATION_SIZE];
    crypto_generichash_state state;

    ray_store32le(generation, key->generation);
    (void)crypto_generichash_init(&state, key->secret, crypto_sign_SEEDBYTES, RAY_KEY_SIZE);
    (void)crypto_generichash_update(&state, domain, sizeof domain - 1);
    (void)crypto_generichash_update(&state, generation, sizeof generation);
    (void)crypto_generichash_final(&state, key->static_secret, RAY_KEY_SIZE);
    sodium_memzero(&state, sizeof state);
    (void)crypto_scalarmult_curve25519_base(key->static_public, key->static_secret);
}

/* What a proof signs. */
static void proof_statement(const uint8_t *generation, const uint8_t *static_key,
                            uint8_t out[static GENERATION_SIZE + RAY_KEY_SIZE])
{
    memcpy(out, generation, GENERATION_SIZE);
    memcpy(out + GENERATION_SIZE, static_key, RAY_KEY_SIZE);
}

static void make_proof(struct ray_key *key)
{
    uint8_t statement[GENERATION_SIZE + RAY_KEY_SIZE];
    uint8_t *generation = key->proof + RAY_KEY_SIZE;

    memcpy(key->proof, key->identity, RAY_KEY_SIZE);
    ray_store32le(generation, key->generation);
    proof_statement(generation, key->static_public, statement);
    ray_key_sign(key, PROOF_DOMAIN, statement, sizeof statement, generation + GENERATION_SIZE);
}

/* The secret is in place: everything else, or RAY_EMALFORMED. */
static int complete(struct ray_key *key, uint32_t generation, struct ray_err *err)
{
    uint8_t again[RAY_KEY_SECRET_SIZE];
    bool is_pair;

    (void)crypto_sign_seed_keypair(key->identity, again, key->secret); /* always 0 */
    is_pair = sodium_memcmp(again, key->secret, sizeof again) == 0;
    sodium_memzero(again, sizeof again);
    if (!is_pair) {
        return ray_fail(err, RAY_EMALFORMED, "the halves of the key do not match");
    }
    key->generation = generation;
    derive_static(key);
    make_proof(key);
    (void)sodium_mprotect_readonly(key); /* a guard against our own bugs only */
    return RAY_OK;
}

static int finish(struct ray_key *key, uint32_t generation, struct ray_key **out_key,
                  struct ray_err *err)
{
    int rc = complete(key, generation, err);

    if (rc != RAY_OK) {
        ray_key_destroy(key);
        return rc;
    }
    *out_key = key;
    return RAY_OK;
}

int ray_key_create(struct ray_key **out_key, const uint8_t secret[static RAY_KEY_SECRET_SIZE],
                   uint32_t generation, struct ray_err *err)
{
    struct ray_key *key = ray_secret_alloc(sizeof *key);

    if (key == NULL) {
        return ray_fail(err, RAY_ENOMEM, "key");
    }
    memcpy(key->secret, secret, RAY_KEY_SECRET_SIZE);
    return finish(key, generation, out_key, err);
}

int ray_key_generate(struct ray_key **out_key, struct ray_err *err)
{
    struct ray_key *key = ray_secret_alloc(sizeof *key);

    if (key == NULL) {
        return ray_fail(err, RAY_ENOMEM, "key");
    }
    (void)crypto_sign_keypair(key->identity, key->secret); /* always 0 */
    return finish(key, 0, out_key, err);
}

/* `name` NULL: `fd` is the file itself, else its folder. */
static int load(struct ray_key **out_key, int fd, const char *name, uint32_t generation,
                struct ray_err *err)
{
    struct ray_key *key = ray_secret_alloc(sizeof *key);
    size_t size = 0;
    int rc;

    if (key == NULL) {
        return ray_fail(err, RAY_ENOMEM, "key");
    }
    rc = name == NULL
             ? ray_secret_read(fd, key->secret, RAY_KEY_SECRET_SIZE, &size, err)
             : ray_secret_read_file(fd, name, key->secret, RAY_KEY_SECRET_SIZE, &size, err);
    if (rc == RAY_ETOOBIG || (rc == RAY_OK && size != RAY_KEY_SECRET_SIZE)) {
        rc = ray_fail(err, RAY_EMALFORMED, "a key file has %d bytes", RAY_KEY_SECRET_SIZE);
    }
    if (rc != RAY_OK) {
        ray_key_destroy(key);
        return rc;
    }
    return finish(key, generation, out_key, err);
}

int ray_key_load(struct ray_key **out_key, int dir_fd, const char *name, uint32_t generation,
                 struct ray_err *err)
{
    assert(name != NULL);
    return load(out_key, dir_fd, name, generation, err);
}

int ray_key_load_fd(struct ray_key **out_key, int fd, uint32_t generation, struct ray_err *err)
{
    return load(out_key, fd, NULL, generation, err);
}

int ray_key_save(const struct ray_key *key, int dir_fd, const char *name, struct ray_err *err)
{
    return ray_atomic_write(dir_fd, name, key->secret, RAY_KEY_SECRET_SIZE, S_IRUSR | S_IWUSR, err);
}

void ray_key_destroy(struct ray_key *key)
{
    ray_secret_free(key);
}

/* ---- reading ---- */

const uint8_t *ray_key_identity(const struct ray_key *key)
{
    return key->identity;
}

const uint8_t *ray_key_static(const struct ray_key *key)
{
    return key->static_public;
}

const uint8_t *ray_key_static_secret(const struct ray_key *key)
{
    return key->static_secret;
}

uint32_t ray_key_generation(const struct ray_key *key)
{
    return key->generation;
}

/* ---- statements ---- */

/* Ed25519 signs this hash of domain and bytes, so that statements may have any size. */
static void digest(const char *domain, const void *bytes, size_t size,
                   uint8_t out[static DIGEST_SIZE])
{
    static const uint8_t prefix[] = "rayos statement 1";
    size_t domain_size = strlen(domain);
    uint8_t domain_length = (uint8_t)domain_size;
    crypto_generichash_state state;

    assert(domain_size >= 1 && domain_size <= 32);
    (void)crypto_generichash_init(&state, NULL, 0, DIGEST_SIZE);
    (void)crypto_generichash_update(&state, prefix, sizeof prefix - 1);
    (void)crypto_generichash_update(&state, &domain_length, 1);
    (void)crypto_generichash_update(&state, (const uint8_t *)domain, domain_size);
    (void)crypto_generichash_update(&state, bytes, size);
    (void)crypto_generichash_final(&state, out, DIGEST_SIZE);
}

void ray_key_sign(const struct ray_key *key, const char *domain, const void *bytes, size_t size,
                  uint8_t out[static RAY_KEY_SIGNATURE_SIZE])
{
    uint8_t hash[DIGEST_SIZE];

    digest(domain, bytes, size, hash);
    (void)crypto_sign_detached(out, NULL, hash, sizeof hash, key->secret); /* always 0 */
}

int ray_key_verify(const uint8_t identity[static RAY_KEY_SIZE], const char *domain,
                   const void *bytes, size_t size,
                   const uint8_t signature[static RAY_KEY_SIGNATURE_SIZE], struct ray_err *err)
{
    uint8_t hash[DIGEST_SIZE];

    digest(domain, bytes, size, hash);
    if (crypto_sign_verify_detached(signature, hash, sizeof hash, identity) != 0) {
        return ray_fail(err, RAY_EDENIED, "the signature is not that of the key (%s)", domain);
    }
    return RAY_OK;
}

void ray_key_proof(const struct ray_key *key, uint8_t out[static RAY_KEY_PROOF_SIZE])
{
    memcpy(out, key->proof, RAY_KEY_PROOF_SIZE);
}

int ray_key_proof_check(const uint8_t proof[static RAY_KEY_PROOF_SIZE],
                        const uint8_t static_key[static RAY_KEY_SIZE], uint8_t *out_identity,
                        struct ray_err *err)
{
    uint8_t statement[GENERATION_SIZE + RAY_KEY_SIZE];
    const uint8_t *generation = proof + RAY_KEY_SIZE;
    int rc;

    proof_statement(generation, static_key, statement);
    rc = ray_key_verify(proof, PROOF_DOMAIN, statement, sizeof statement,
                        generation + GENERATION_SIZE, err);
    if (rc == RAY_OK && out_identity != NULL) {
        memcpy(out_identity, proof, RAY_KEY_SIZE);
    }
    return rc;
}

/* ---- names ---- */

void ray_key_fingerprint(const uint8_t identity[static RAY_KEY_SIZE],
                         uint8_t out[static RAY_KEY_FINGERPRINT_SIZE])
{
    (void)crypto_generichash(out, RAY_KEY_FINGERPRINT_SIZE, identity, RAY_KEY_SIZE, NULL, 0);
}

void ray_key_node_id(const uint8_t identity[static RAY_KEY_SIZE], struct ray_id *out)
{
    static const uint8_t domain[] = "rayos node id 1 "; /* a key has at least 16 bytes */

    (void)crypto_generichash(out->bytes, RAY_ID_SIZE, identity, RAY_KEY_SIZE, domain,
                             sizeof domain - 1);
}

void ray_cluster_fingerprint(const struct ray_id *cluster_id,
                             uint8_t out[static RAY_KEY_FINGERPRINT_SIZE])
{
    static const uint8_t domain[] = "rayos cluster";
    crypto_generichash_state state;

    /* None of them can fail with these sizes. */
    (void)crypto_generichash_init(&state, NULL, 0, RAY_KEY_FINGERPRINT_SIZE);
    (void)crypto_generichash_update(&state, domain, sizeof domain);
    (void)crypto_generichash_update(&state, cluster_id->bytes, sizeof cluster_id->bytes);
    (void)crypto_generichash_final(&state, out, RAY_KEY_FINGERPRINT_SIZE);
}
