/* net/key.h - who somebody is: an Ed25519 identity and the X25519 static key that it signs.
 *
 * Nodes and operators have the same kind of key. One secret is stored, the Ed25519 key as
 * libsodium lays it out (64 bytes; PID 1 makes a node's: identity/node.key). The static key that
 * handshakes use is derived from its seed and a generation number, so there is no second file
 * that could be lost or be of another node; a proof (signature by the identity) ties both for
 * others, who cannot derive it. Raising the generation makes a new static key.
 *
 * Memory: keys live in sodium_malloc (locked, out of cores, guarded) and are wiped by destroy.
 * Threads: a key is read-only after creation.  Blocks: load and save, on the disk.
 * Trust: files are checked; identities, proofs and signatures of others are hostile. */
#ifndef RAY_NET_KEY_H
#define RAY_NET_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

enum {
    RAY_KEY_SIZE = 32, /* of an identity, of a static key: the public halves */
    RAY_KEY_SECRET_SIZE = 64,
    RAY_KEY_SIGNATURE_SIZE = 64,
    RAY_KEY_PROOF_SIZE = RAY_KEY_SIZE + 4 + RAY_KEY_SIGNATURE_SIZE,
    RAY_KEY_FINGERPRINT_SIZE = 32, /* net/words.h shows the first 8 bytes as words */
};

struct ray_key;

/* `secret` is copied; wiping the caller's copy is the caller's. RAY_EMALFORMED: its halves do not
 * belong together. */
int ray_key_create(struct ray_key **out_key, const uint8_t secret[static RAY_KEY_SECRET_SIZE],
                   uint32_t generation, struct ray_err *err);
/* A new identity, generation 0. */
int ray_key_generate(struct ray_key **out_key, struct ray_err *err);
/* A file of exactly RAY_KEY_SECRET_SIZE bytes, or a descriptor at its begin (stays the caller's).
 * RAY_ENOTFOUND, RAY_EMALFORMED, RAY_EIO. */
int ray_key_load(struct ray_key **out_key, int dir_fd, const char *name, uint32_t generation,
                 struct ray_err *err);
int ray_key_load_fd(struct ray_key **out_key, int fd, uint32_t generation, struct ray_err *err);
/* Mode 0600, atomically; replaces a file of that name. */
int ray_key_save(const struct ray_key *key, int dir_fd, const char *name, struct ray_err *err);
void ray_key_destroy(struct ray_key *key); /* NULL is fine */

const uint8_t *ray_key_identity(const struct ray_key *key);      /* RAY_KEY_SIZE, Ed25519 */
const uint8_t *ray_key_static(const struct ray_key *key);        /* RAY_KEY_SIZE, X25519 */
const uint8_t *ray_key_static_secret(const struct ray_key *key); /* X25519; for net/noise */
uint32_t ray_key_generation(const struct ray_key *key);

/* {identity, generation, signature over identity, generation and static key}. */
void ray_key_proof(const struct ray_key *key, uint8_t out[static RAY_KEY_PROOF_SIZE]);
/* Whether `proof` ties `static_key` to an identity, which is then copied out.
 * RAY_EDENIED otherwise. `out_identity` may be NULL. */
int ray_key_proof_check(const uint8_t proof[static RAY_KEY_PROOF_SIZE],
                        const uint8_t static_key[static RAY_KEY_SIZE], uint8_t *out_identity,
                        struct ray_err *err);

/* Signatures of statements (an operator's word for a recovery). `domain` says what kind of
 * statement it is, 1 to 32 characters: a signature of one kind is never one of another. */
void ray_key_sign(const struct ray_key *key, const char *domain, const void *bytes, size_t size,
                  uint8_t out[static RAY_KEY_SIGNATURE_SIZE]);
int ray_key_verify(const uint8_t identity[static RAY_KEY_SIZE], const char *domain,
                   const void *bytes, size_t size,
                   const uint8_t signature[static RAY_KEY_SIGNATURE_SIZE], struct ray_err *err);

/* BLAKE2b-256 of the identity, the same that PID 1 shows. */
void ray_key_fingerprint(const uint8_t identity[static RAY_KEY_SIZE],
                         uint8_t out[static RAY_KEY_FINGERPRINT_SIZE]);
/* The node id of an identity: 16 bytes of a hash of it. A wiped node has a new key, so a new id. */
void ray_key_node_id(const uint8_t identity[static RAY_KEY_SIZE], struct ray_id *out);
/* Of a cluster, as people compare it: a hash of its id. */
void ray_cluster_fingerprint(const struct ray_id *cluster_id,
                             uint8_t out[static RAY_KEY_FINGERPRINT_SIZE]);

#endif
