/* noise.c - HandshakeState: a pattern is a table of tokens for each message, and reading and
 * writing walk the same table. Invariant: `message_index` counts whole messages; a message that
 * fails in the middle wipes everything and leaves the handshake dead. */
#include "net/noise.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "net/noise_symmetric.h"
#include "net/secret.h"

enum { KEY_SIZE = RAY_NOISE_KEY_SIZE, MESSAGES_MAX = 3, TOKENS_MAX = 4 };

static_assert(crypto_scalarmult_curve25519_BYTES == KEY_SIZE, "X25519");

enum token { T_END, T_E, T_S, T_EE, T_ES, T_SE, T_SS, T_PSK };

struct pattern {
    const char *protocol_name;
    bool knows_initiator; /* pre-message: the initiator's static key */
    bool knows_responder;
    bool has_psk;
    unsigned message_count;
    enum token messages[MESSAGES_MAX][TOKENS_MAX + 1];
};

static const struct pattern patterns[] = {
    [RAY_NOISE_KK] = {"Noise_KK_25519_ChaChaPoly_BLAKE2b",
                      true,
                      true,
                      false,
                      2,
                      {{T_E, T_ES, T_SS}, {T_E, T_EE, T_SE}}},
    [RAY_NOISE_XK] = {"Noise_XK_25519_ChaChaPoly_BLAKE2b",
                      false,
                      true,
                      false,
                      3,
                      {{T_E, T_ES}, {T_E, T_EE}, {T_S, T_SE}}},
    [RAY_NOISE_XXPSK3] = {"Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b",
                          false,
                          false,
                          true,
                          3,
                          {{T_E}, {T_E, T_EE, T_S, T_ES}, {T_S, T_SE, T_PSK}}},
};

struct ray_noise {
    const struct pattern *pattern;
    struct ray_noise_symmetric symmetric;
    uint8_t static_secret[KEY_SIZE];
    uint8_t static_public[KEY_SIZE];
    uint8_t ephemeral_secret[KEY_SIZE];
    uint8_t ephemeral_public[KEY_SIZE];
    uint8_t remote_static[KEY_SIZE];
    uint8_t remote_ephemeral[KEY_SIZE];
    uint8_t psk[KEY_SIZE];
    unsigned message_index;
    bool is_initiator;
    bool has_remote_static;
    bool is_ephemeral_given;
    bool is_dead;
};

/* ---- begin and end ---- */

/* Pre-messages: the initiator's key first, whoever we are. */
static void mix_known_keys(struct ray_noise *noise)
{
    const struct pattern *pattern = noise->pattern;
    const uint8_t *initiator = noise->is_initiator ? noise->static_public : noise->remote_static;
    const uint8_t *responder = noise->is_initiator ? noise->remote_static : noise->static_public;

    if (pattern->knows_initiator) {
        ray_noise_mix_hash(&noise->symmetric, initiator, KEY_SIZE);
    }
    if (pattern->knows_responder) {
        ray_noise_mix_hash(&noise->symmetric, responder, KEY_SIZE);
    }
}

static void copy_keys(struct ray_noise *noise, const struct ray_noise_config *config)
{
    memcpy(noise->static_secret, config->static_secret, KEY_SIZE);
    (void)crypto_scalarmult_curve25519_base(noise->static_public, noise->static_secret);
    if (config->remote_static != NULL) {
        memcpy(noise->remote_static, config->remote_static, KEY_SIZE);
        noise->has_remote_static = true;
    }
    if (config->psk != NULL) {
        memcpy(noise->psk, config->psk, KEY_SIZE);
    }
    if (config->ephemeral != NULL) {
        memcpy(noise->ephemeral_secret, config->ephemeral, KEY_SIZE);
        noise->is_ephemeral_given = true;
    }
}

int ray_noise_create(struct ray_noise **out_noise, const struct ray_noise_config *config,
                     struct ray_err *err)
{
    const struct pattern *pattern = &patterns[config->pattern];
    bool knows_peer = config->is_initiator ? pattern->knows_responder : pattern->knows_initiator;
    struct ray_noise *noise;

    assert(config->static_secret != NULL);
    assert((config->remote_static != NULL) == knows_peer);
    assert((config->psk != NULL) == pattern->has_psk);
    noise = ray_secret_alloc(sizeof *noise);
    if (noise == NULL) {
        return ray_fail(err, RAY_ENOMEM, "handshake");
    }
    noise->pattern = pattern;
    noise->is_initiator = config->is_initiator;
    copy_keys(noise, config);
    ray_noise_symmetric_init(&noise->symmetric, pattern->protocol_name);
    ray_noise_mix_hash(&noise->symmetric, config->prologue, config->prologue_size);
    mix_known_keys(noise);
    *out_noise = noise;
    return RAY_OK;
}

void ray_noise_destroy(struct ray_noise *noise)
{
    ray_secret_free(noise);
}

static int die(struct ray_noise *noise, struct ray_err *err, int code, const char *text)
{
    const struct pattern *pattern = noise->pattern;

    sodium_memzero(noise, sizeof *noise);
    noise->pattern = pattern;
    noise->is_dead = true;
    return ray_fail(err, code, "handshake: %s", text);
}

bool ray_noise_is_finished(const struct ray_noise *noise)
{
    return !noise->is_dead && noise->message_index == noise->pattern->message_count;
}

static bool is_under_way(const struct ray_noise *noise)
{
    return !noise->is_dead && noise->message_index < noise->pattern->message_count;
}

bool ray_noise_is_writer(const struct ray_noise *noise)
{
    return is_under_way(noise) && (noise->message_index % 2 == 0) == noise->is_initiator;
}

/* ---- tokens ---- */

static const uint8_t *dh_secret(const struct ray_noise *noise, enum token token)
{
    bool is_static = token == T_SS || token == (enum token)(noise->is_initiator ? T_SE : T_ES);

    return is_static ? noise->static_secret : noise->ephemeral_secret;
}

static const uint8_t *dh_public(const struct ray_noise *noise, enum token token)
{
    bool is_static = token == T_SS || token == (enum token)(noise->is_initiator ? T_ES : T_SE);

    return is_static ? noise->remote_static : noise->remote_ephemeral;
}

/* A key of small order gives an all-zero secret: refused. */
static bool mix_dh(struct ray_noise *noise, enum token token)
{
    uint8_t shared[KEY_SIZE];
    bool is_good =
        crypto_scalarmult_curve25519(shared, dh_secret(noise, token), dh_public(noise, token)) == 0;

    if (is_good) {
        ray_noise_mix_key(&noise->symmetric, shared, sizeof shared);
    }
    sodium_memzero(shared, sizeof shared);
    return is_good;
}

static void mix_ephemeral(struct ray_noise *noise, const uint8_t *ephemeral)
{
    ray_noise_mix_hash(&noise->symmetric, ephemeral, KEY_SIZE);
    if (noise->pattern->has_psk) {
        ray_noise_mix_key(&noise->symmetric, ephemeral, KEY_SIZE);
    }
}

/* Returns how many bytes were written, or -1. */
static int write_token(struct ray_noise *noise, enum token token, uint8_t *out)
{
    switch (token) {
    case T_E:
        if (!noise->is_ephemeral_given) {
            randombytes_buf(noise->ephemeral_secret, KEY_SIZE);
        }
        (void)crypto_scalarmult_curve25519_base(noise->ephemeral_public, noise->ephemeral_secret);
        memcpy(out, noise->ephemeral_public, KEY_SIZE);
        mix_ephemeral(noise, noise->ephemeral_public);
        return KEY_SIZE;
    case T_S: {
        size_t tag_size = ray_noise_symmetric_tag_size(&noise->symmetric);

        ray_noise_encrypt_and_hash(&noise->symmetric, noise->static_public, KEY_SIZE, out);
        return (int)(KEY_SIZE + tag_size);
    }
    case T_PSK:
        ray_noise_mix_key_and_hash(&noise->symmetric, noise->psk, KEY_SIZE);
        return 0;
    default:
        return mix_dh(noise, token) ? 0 : -1;
    }
}

/* Returns how many bytes were read, or -1. */
static int read_token(struct ray_noise *noise, enum token token, const uint8_t *bytes, size_t size)
{
    size_t tag_size = ray_noise_symmetric_tag_size(&noise->symmetric);

    switch (token) {
    case T_E:
        if (size < KEY_SIZE) {
            return -1;
        }
        memcpy(noise->remote_ephemeral, bytes, KEY_SIZE);
        mix_ephemeral(noise, noise->remote_ephemeral);
        return KEY_SIZE;
    case T_S:
        if (size < KEY_SIZE + tag_size ||
            ray_noise_decrypt_and_hash(&noise->symmetric, bytes, KEY_SIZE + tag_size,
                                       noise->remote_static) != RAY_OK) {
            return -1;
        }
        noise->has_remote_static = true;
        return (int)(KEY_SIZE + tag_size);
    case T_PSK:
        ray_noise_mix_key_and_hash(&noise->symmetric, noise->psk, KEY_SIZE);
        return 0;
    default:
        return mix_dh(noise, token) ? 0 : -1;
    }
}

/* ---- messages ---- */

int ray_noise_write(struct ray_noise *noise, const void *payload, size_t payload_size, uint8_t *out,
                    size_t out_max, size_t *out_size, struct ray_err *err)
{
    const enum token *tokens;
    size_t used_size = 0;

    if (!ray_noise_is_writer(noise)) {
        return ray_fail(err, RAY_ECONFLICT, "handshake: not our turn to write");
    }
    if (payload_size > RAY_NOISE_MESSAGE_SIZE_MAX - RAY_NOISE_OVERHEAD_SIZE_MAX ||
        out_max < payload_size + RAY_NOISE_OVERHEAD_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "handshake: payload of %zu bytes", payload_size);
    }
    tokens = noise->pattern->messages[noise->message_index];
    for (size_t i = 0; tokens[i] != T_END; i++) {
        int size = write_token(noise, tokens[i], out + used_size);

        if (size < 0) {
            return die(noise, err, RAY_EDENIED, "the peer's key is none");
        }
        used_size += (size_t)size;
    }
    *out_size = used_size + payload_size + ray_noise_symmetric_tag_size(&noise->symmetric);
    ray_noise_encrypt_and_hash(&noise->symmetric, payload, payload_size, out + used_size);
    assert(*out_size <= out_max);
    noise->message_index++;
    return RAY_OK;
}

int ray_noise_read(struct ray_noise *noise, const uint8_t *message, size_t message_size,
                   uint8_t *out, size_t out_max, size_t *out_size, struct ray_err *err)
{
    const enum token *tokens;
    size_t used_size = 0;
    size_t tag_size;

    if (!is_under_way(noise) || ray_noise_is_writer(noise)) {
        return ray_fail(err, RAY_ECONFLICT, "handshake: not our turn to read");
    }
    if (message_size > RAY_NOISE_MESSAGE_SIZE_MAX) {
        return die(noise, err, RAY_EMALFORMED, "message too long");
    }
    tokens = noise->pattern->messages[noise->message_index];
    for (size_t i = 0; tokens[i] != T_END; i++) {
        int size = read_token(noise, tokens[i], message + used_size, message_size - used_size);

        if (size < 0) {
            return die(noise, err, RAY_EDENIED, "the message proves nothing");
        }
        used_size += (size_t)size;
    }
    tag_size = ray_noise_symmetric_tag_size(&noise->symmetric);
    if (message_size - used_size < tag_size) {
        return die(noise, err, RAY_EDENIED, "message too short");
    }
    if (message_size - used_size - tag_size > out_max) {
        return die(noise, err, RAY_ETOOBIG, "payload too long");
    }
    if (ray_noise_decrypt_and_hash(&noise->symmetric, message + used_size, message_size - used_size,
                                   out) != RAY_OK) {
        return die(noise, err, RAY_EDENIED, "the message proves nothing");
    }
    *out_size = message_size - used_size - tag_size;
    noise->message_index++;
    return RAY_OK;
}

const uint8_t *ray_noise_remote_static(const struct ray_noise *noise)
{
    return noise->has_remote_static ? noise->remote_static : NULL;
}

const uint8_t *ray_noise_hash(const struct ray_noise *noise)
{
    assert(ray_noise_is_finished(noise));
    return noise->symmetric.hash;
}

void ray_noise_split(const struct ray_noise *noise, uint8_t *out_send_key, uint8_t *out_recv_key)
{
    assert(ray_noise_is_finished(noise));
    if (noise->is_initiator) {
        ray_noise_symmetric_split(&noise->symmetric, out_send_key, out_recv_key);
    } else {
        ray_noise_symmetric_split(&noise->symmetric, out_recv_key, out_send_key);
    }
}
