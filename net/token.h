/* net/token.h - join tokens: what a node needs to become a member, as one line of text.
 *
 *   rayos-join-1.<base64url of {flags, secret, cluster id, fingerprint, seeds, checksum}>
 *
 * Tokens travel by file, descriptor or credential, never as an argument. The registry holds the
 * verifier (a hash of the secret) and knows the token by its id (a hash of the verifier). The
 * verifier is the handshake's psk: whoever has it can join, or play a member to whoever joins, as
 * long as the token is valid; it is kept like a secret. The id is public.
 *
 * Memory: create functions allocate by sodium_malloc; destroy wipes.  Threads: any.
 * Blocks: load, on the disk.  Trust: text is hostile. */
#ifndef RAY_NET_TOKEN_H
#define RAY_NET_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

enum {
    RAY_TOKEN_SECRET_SIZE = 32,
    RAY_TOKEN_VERIFIER_SIZE = 32,
    RAY_TOKEN_FINGERPRINT_SIZE = 32,
    RAY_TOKEN_SEEDS_MAX = 8,
    RAY_TOKEN_SEED_SIZE_MAX = 128,  /* "host:port", with NUL */
    RAY_TOKEN_TEXT_SIZE_MAX = 1600, /* with NUL */
};

struct ray_token {
    uint8_t secret[RAY_TOKEN_SECRET_SIZE];
    struct ray_id cluster; /* none: any cluster that knows the token */
    bool has_fingerprint;
    uint8_t fingerprint[RAY_TOKEN_FINGERPRINT_SIZE]; /* of the cluster */
    size_t seed_count;
    char seeds[RAY_TOKEN_SEEDS_MAX][RAY_TOKEN_SEED_SIZE_MAX];
};

/* A new secret; the other fields are empty and the caller's to fill. */
int ray_token_generate(struct ray_token **out_token, struct ray_err *err);
/* Adds "host:port" (visible ASCII). RAY_EINVAL, RAY_ETOOBIG. */
int ray_token_add_seed(struct ray_token *token, const char *seed, struct ray_err *err);
/* White space around is ignored. RAY_EMALFORMED: not a token, or mistyped. */
int ray_token_parse(struct ray_token **out_token, const char *text, size_t size,
                    struct ray_err *err);
/* A file, or a descriptor read to its end (stays the caller's). */
int ray_token_load(struct ray_token **out_token, int dir_fd, const char *name, struct ray_err *err);
int ray_token_load_fd(struct ray_token **out_token, int fd, struct ray_err *err);
void ray_token_destroy(struct ray_token *token); /* NULL is fine */

/* One line without its end; the text is secret. */
void ray_token_format(const struct ray_token *token, char out[static RAY_TOKEN_TEXT_SIZE_MAX]);

void ray_token_verifier(const uint8_t secret[static RAY_TOKEN_SECRET_SIZE],
                        uint8_t out[static RAY_TOKEN_VERIFIER_SIZE]);
void ray_token_id(const uint8_t verifier[static RAY_TOKEN_VERIFIER_SIZE], struct ray_id *out);

#endif
