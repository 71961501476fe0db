/* token.c - the binary form below base64url:
 *
 *   u8 flags, u8 seed count, secret, [cluster id], [fingerprint], {u8 size, seed}..., checksum
 *
 * The checksum finds what was mistyped or cut; it protects nothing. Secrets stay in locked memory;
 * error texts never quote any part of a token. */
#include "net/token.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/size.h"
#include "net/secret.h"

enum {
    FLAG_CLUSTER = 1,
    FLAG_FINGERPRINT = 2,
    CHECKSUM_SIZE = 8,
    BINARY_SIZE_MAX = 2 + RAY_TOKEN_SECRET_SIZE + RAY_ID_SIZE + RAY_TOKEN_FINGERPRINT_SIZE +
                      RAY_TOKEN_SEEDS_MAX * RAY_TOKEN_SEED_SIZE_MAX + CHECKSUM_SIZE,
    VARIANT = sodium_base64_VARIANT_URLSAFE_NO_PADDING,
};

#define PREFIX "rayos-join-1."
static const size_t prefix_size = sizeof PREFIX - 1;

static_assert(sodium_base64_ENCODED_LEN(BINARY_SIZE_MAX, VARIANT) + sizeof PREFIX <=
                  RAY_TOKEN_TEXT_SIZE_MAX,
              "the longest token fits");

int ray_token_generate(struct ray_token **out_token, struct ray_err *err)
{
    struct ray_token *token = ray_secret_alloc(sizeof *token);

    if (token == NULL) {
        return ray_fail(err, RAY_ENOMEM, "token");
    }
    randombytes_buf(token->secret, sizeof token->secret);
    *out_token = token;
    return RAY_OK;
}

void ray_token_destroy(struct ray_token *token)
{
    ray_secret_free(token);
}

/* ---- seeds ---- */

/* "host:port": visible characters, a port from 1 to 65535. */
static bool is_seed(const char *seed, size_t size)
{
    const char *colon;
    uint64_t port;

    if (size == 0 || size >= RAY_TOKEN_SEED_SIZE_MAX || strlen(seed) != size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (seed[i] <= ' ' || seed[i] > '~') {
            return false;
        }
    }
    colon = strrchr(seed, ':');
    return colon != NULL && colon != seed && ray_parse_u64(colon + 1, 1, 65535, &port) == RAY_OK;
}

int ray_token_add_seed(struct ray_token *token, const char *seed, struct ray_err *err)
{
    size_t size = strlen(seed);

    if (token->seed_count == RAY_TOKEN_SEEDS_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "a token has at most %d seeds", RAY_TOKEN_SEEDS_MAX);
    }
    if (!is_seed(seed, size)) {
        return ray_fail(err, RAY_EINVAL, "a seed is host:port, below %d characters",
                        RAY_TOKEN_SEED_SIZE_MAX);
    }
    memcpy(token->seeds[token->seed_count++], seed, size + 1);
    return RAY_OK;
}

/* ---- binary form ---- */

struct cursor {
    const uint8_t *at;
    size_t left;
};

static bool take(struct cursor *cursor, void *out, size_t size)
{
    if (cursor->left < size) {
        return false;
    }
    memcpy(out, cursor->at, size);
    cursor->at += size;
    cursor->left -= size;
    return true;
}

static void checksum(const uint8_t *bytes, size_t size, uint8_t out[static CHECKSUM_SIZE])
{
    uint8_t hash[crypto_generichash_BYTES_MIN];

    (void)crypto_generichash(hash, sizeof hash, bytes, size, NULL, 0);
    memcpy(out, hash, CHECKSUM_SIZE);
}

static bool take_seeds(struct cursor *cursor, size_t count, struct ray_token *out)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t size = 0;

        /* Below the limit, so that the last byte stays NUL. */
        if (!take(cursor, &size, 1) || size >= RAY_TOKEN_SEED_SIZE_MAX ||
            !take(cursor, out->seeds[i], size) || !is_seed(out->seeds[i], size)) {
            return false;
        }
    }
    out->seed_count = count;
    return true;
}

/* `out` is zeroed. */
static bool decode(const uint8_t *bytes, size_t size, struct ray_token *out)
{
    struct cursor cursor = {bytes, size};
    uint8_t sum[CHECKSUM_SIZE];
    uint8_t head[2] = {0};

    if (size < CHECKSUM_SIZE) {
        return false;
    }
    cursor.left -= CHECKSUM_SIZE;
    checksum(bytes, cursor.left, sum);
    if (memcmp(sum, bytes + cursor.left, sizeof sum) != 0) {
        return false;
    }
    if (!take(&cursor, head, sizeof head) || (head[0] & ~(FLAG_CLUSTER | FLAG_FINGERPRINT)) != 0 ||
        head[1] > RAY_TOKEN_SEEDS_MAX || !take(&cursor, out->secret, sizeof out->secret)) {
        return false;
    }
    if ((head[0] & FLAG_CLUSTER) != 0 &&
        (!take(&cursor, out->cluster.bytes, RAY_ID_SIZE) || ray_id_is_none(&out->cluster))) {
        return false;
    }
    out->has_fingerprint = (head[0] & FLAG_FINGERPRINT) != 0;
    if (out->has_fingerprint && !take(&cursor, out->fingerprint, sizeof out->fingerprint)) {
        return false;
    }
    return take_seeds(&cursor, head[1], out) && cursor.left == 0;
}

static size_t put(uint8_t *out, size_t used_size, const void *bytes, size_t size)
{
    assert(used_size + size <= BINARY_SIZE_MAX);
    memcpy(out + used_size, bytes, size);
    return used_size + size;
}

static size_t encode(const struct ray_token *token, uint8_t out[static BINARY_SIZE_MAX])
{
    bool has_cluster = !ray_id_is_none(&token->cluster);
    uint8_t head[2] = {(uint8_t)((has_cluster ? FLAG_CLUSTER : 0) |
                                 (token->has_fingerprint ? FLAG_FINGERPRINT : 0)),
                       (uint8_t)token->seed_count};
    uint8_t sum[CHECKSUM_SIZE];
    size_t size = put(out, 0, head, sizeof head);

    size = put(out, size, token->secret, sizeof token->secret);
    if (has_cluster) {
        size = put(out, size, token->cluster.bytes, RAY_ID_SIZE);
    }
    if (token->has_fingerprint) {
        size = put(out, size, token->fingerprint, sizeof token->fingerprint);
    }
    for (size_t i = 0; i < token->seed_count; i++) {
        uint8_t seed_size = (uint8_t)strlen(token->seeds[i]);

        size = put(out, size, &seed_size, 1);
        size = put(out, size, token->seeds[i], seed_size);
    }
    checksum(out, size, sum);
    return put(out, size, sum, sizeof sum);
}

/* ---- text form ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int parse_line(const char *text, size_t size, uint8_t *binary, struct ray_token *token,
                      struct ray_err *err)
{
    size_t binary_size = 0;

    while (size > 0 && is_blank(text[size - 1])) {
        size--;
    }
    while (size > 0 && is_blank(text[0])) {
        text++;
        size--;
    }
    if (size < prefix_size || memcmp(text, PREFIX, prefix_size) != 0) {
        return ray_fail(err, RAY_EMALFORMED, "not a join token (it begins with " PREFIX ")");
    }
    if (sodium_base642bin(binary, BINARY_SIZE_MAX, text + prefix_size, size - prefix_size, NULL,
                          &binary_size, NULL, VARIANT) != 0 ||
        !decode(binary, binary_size, token)) {
        return ray_fail(err, RAY_EMALFORMED, "the join token is cut short or mistyped");
    }
    return RAY_OK;
}

int ray_token_parse(struct ray_token **out_token, const char *text, size_t size,
                    struct ray_err *err)
{
    uint8_t *binary = NULL;
    struct ray_token *token = NULL;
    int rc;

    if (size > RAY_TOKEN_TEXT_SIZE_MAX + 64) { /* some white space around */
        return ray_fail(err, RAY_EMALFORMED, "a join token has at most %d characters",
                        RAY_TOKEN_TEXT_SIZE_MAX - 1);
    }
    token = ray_secret_alloc(sizeof *token);
    binary = ray_secret_alloc(BINARY_SIZE_MAX);
    rc = token == NULL || binary == NULL ? ray_fail(err, RAY_ENOMEM, "token")
                                         : parse_line(text, size, binary, token, err);
    ray_secret_free(binary);
    if (rc != RAY_OK) {
        ray_token_destroy(token);
        return rc;
    }
    *out_token = token;
    return RAY_OK;
}

/* `name` NULL: `fd` is the file itself, else its folder. */
static int load(struct ray_token **out_token, int fd, const char *name, struct ray_err *err)
{
    enum { TEXT_SIZE = RAY_TOKEN_TEXT_SIZE_MAX + 64 };
    uint8_t *text = ray_secret_alloc(TEXT_SIZE);
    size_t size = 0;
    int rc;

    if (text == NULL) {
        return ray_fail(err, RAY_ENOMEM, "token");
    }
    rc = name == NULL ? ray_secret_read(fd, text, TEXT_SIZE, &size, err)
                      : ray_secret_read_file(fd, name, text, TEXT_SIZE, &size, err);
    if (rc == RAY_ETOOBIG) {
        rc = ray_fail(err, RAY_EMALFORMED, "a join token has at most %d characters",
                      RAY_TOKEN_TEXT_SIZE_MAX - 1);
    } else if (rc == RAY_OK) {
        rc = ray_token_parse(out_token, (const char *)text, size, err);
    }
    ray_secret_free(text);
    return rc;
}

int ray_token_load(struct ray_token **out_token, int dir_fd, const char *name, struct ray_err *err)
{
    assert(name != NULL);
    return load(out_token, dir_fd, name, err);
}

int ray_token_load_fd(struct ray_token **out_token, int fd, struct ray_err *err)
{
    return load(out_token, fd, NULL, err);
}

void ray_token_format(const struct ray_token *token, char out[static RAY_TOKEN_TEXT_SIZE_MAX])
{
    uint8_t binary[BINARY_SIZE_MAX];
    size_t size;

    assert(token->seed_count <= RAY_TOKEN_SEEDS_MAX);
    size = encode(token, binary);
    memcpy(out, PREFIX, prefix_size);
    (void)sodium_bin2base64(out + prefix_size, RAY_TOKEN_TEXT_SIZE_MAX - prefix_size, binary, size,
                            VARIANT);
    sodium_memzero(binary, sizeof binary);
}

/* ---- what the registry knows ---- */

void ray_token_verifier(const uint8_t secret[static RAY_TOKEN_SECRET_SIZE],
                        uint8_t out[static RAY_TOKEN_VERIFIER_SIZE])
{
    static const uint8_t domain[] = "rayos join verifier 1";

    (void)crypto_generichash(out, RAY_TOKEN_VERIFIER_SIZE, secret, RAY_TOKEN_SECRET_SIZE, domain,
                             sizeof domain - 1);
}

void ray_token_id(const uint8_t verifier[static RAY_TOKEN_VERIFIER_SIZE], struct ray_id *out)
{
    static const uint8_t domain[] = "rayos join token id 1";

    (void)crypto_generichash(out->bytes, RAY_ID_SIZE, verifier, RAY_TOKEN_VERIFIER_SIZE, domain,
                             sizeof domain - 1);
}
