/* peer_auth.c - the order of records around Noise. Both ends walk the same steps:
 *
 *   opener:   (open writes 1)  WAIT_SECOND -> MEMBER: writes 3, DONE; else writes 3, WAIT_VERDICT
 *   answerer: WAIT_FIRST -> writes 2, WAIT_THIRD -> MEMBER: DONE; else writes 4, DONE
 *
 * A failure leads to FAILED, from where nothing leads on. Before the handshake is finished all
 * that is kept of the peer is one record. */
#include "net/peer_auth.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

enum {
    LENGTH_SIZE = 2,
    TYPE_REFUSED = 0, /* first byte of the second record and of the verdict */
    TYPE_ACCEPTED = 1,
    REFUSAL_TEXT_SIZE = 200,
    BODY_SIZE_MAX = RAY_PEER_AUTH_RECORD_SIZE_MAX - LENGTH_SIZE,
};

static_assert(RAY_HELLO_SIZE + RAY_NOISE_OVERHEAD_SIZE_MAX <= BODY_SIZE_MAX, "first record");
static_assert(1 + RAY_NOISE_OVERHEAD_SIZE_MAX + RAY_PEER_AUTH_PAYLOAD_SIZE_MAX <= BODY_SIZE_MAX,
              "second");
static_assert(RAY_NOISE_OVERHEAD_SIZE_MAX + RAY_KEY_PROOF_SIZE + RAY_PEER_AUTH_PAYLOAD_SIZE_MAX <=
                  BODY_SIZE_MAX,
              "third");
static_assert(1 + RAY_SEAL_OVERHEAD_SIZE + RAY_PEER_AUTH_PAYLOAD_SIZE_MAX <= BODY_SIZE_MAX,
              "verdict");

enum step { WAIT_FIRST, WAIT_SECOND, WAIT_THIRD, WAIT_VERDICT, DONE, TAKEN, FAILED };

struct ray_peer_auth {
    enum step step;
    const struct ray_key *key;
    struct ray_peer_auth_guard guard; /* answerer */
    bool has_wanted_identity;         /* opener */
    uint8_t wanted_identity[RAY_KEY_SIZE];
    struct ray_noise *noise;
    struct ray_seal *seal;
    struct ray_peer peer;
    uint8_t payload[RAY_PEER_AUTH_PAYLOAD_SIZE_MAX]; /* ours */
    size_t payload_size;
    uint8_t input[RAY_PEER_AUTH_RECORD_SIZE_MAX];
    size_t input_size;
    uint8_t output[RAY_PEER_AUTH_RECORD_SIZE_MAX];
    size_t output_size;
    size_t output_sent;
};

/* ---- records out ---- */

/* Where the body of the next record goes. */
static uint8_t *begin_record(struct ray_peer_auth *auth)
{
    assert(auth->output_sent == auth->output_size); /* else nothing would have been taken */
    auth->output_sent = 0;
    auth->output_size = 0;
    return auth->output + LENGTH_SIZE;
}

static void end_record(struct ray_peer_auth *auth, size_t body_size)
{
    assert(body_size <= BODY_SIZE_MAX);
    auth->output[0] = (uint8_t)body_size;
    auth->output[1] = (uint8_t)(body_size >> 8);
    auth->output_size = LENGTH_SIZE + body_size;
}

/* {TYPE_REFUSED, code, text}; returns its size. */
static size_t put_refusal(uint8_t *out, const struct ray_err *why)
{
    char text[REFUSAL_TEXT_SIZE];
    size_t text_size = ray_escape(text, sizeof text, why->text, strlen(why->text));

    out[0] = TYPE_REFUSED;
    out[1] = (uint8_t)-why->code;
    memcpy(out + 2, text, text_size);
    return 2 + text_size;
}

/* ---- records in ---- */

/* What a refusal says; `who` tells how far it can be believed. */
static int get_refusal(const uint8_t *body, size_t size, const char *who, struct ray_err *err)
{
    char text[REFUSAL_TEXT_SIZE];
    int code = size >= 2 ? -(int)body[1] : RAY_EDENIED;

    if (code >= 0 || strcmp(ray_err_name(code), "RAY_E?") == 0) {
        code = RAY_EDENIED;
    }
    (void)ray_escape(text, sizeof text, body + (size < 2 ? size : 2), size < 2 ? 0 : size - 2);
    return ray_fail(err, code, "%s refuses: %s", who, text);
}

/* ---- begin and end ---- */

static struct ray_peer_auth *create(const struct ray_key *key, const void *payload,
                                    size_t payload_size)
{
    struct ray_peer_auth *auth;

    assert(key != NULL && payload_size <= RAY_PEER_AUTH_PAYLOAD_SIZE_MAX);
    auth = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *auth);
    if (auth == NULL) {
        return NULL;
    }
    auth->key = key;
    if (payload_size > 0) {
        memcpy(auth->payload, payload, payload_size);
    }
    auth->payload_size = payload_size;
    return auth;
}

void ray_peer_auth_destroy(struct ray_peer_auth *auth)
{
    if (auth == NULL) {
        return;
    }
    ray_noise_destroy(auth->noise);
    ray_seal_destroy(auth->seal);
    free(auth);
}

static enum ray_noise_pattern pattern_of(enum ray_peer_kind kind)
{
    switch (kind) {
    case RAY_PEER_MEMBER:
        return RAY_NOISE_KK;
    case RAY_PEER_OPERATOR:
    case RAY_PEER_FORMER:
        return RAY_NOISE_XK;
    case RAY_PEER_JOIN:
    case RAY_PEER_CLAIM:
        break;
    }
    return RAY_NOISE_XXPSK3;
}

static int start_noise(struct ray_peer_auth *auth, bool is_initiator,
                       const struct ray_peer_terms *terms, struct ray_err *err)
{
    enum ray_peer_kind kind = auth->peer.hello.kind;
    enum ray_noise_pattern pattern = pattern_of(kind);
    bool knows_static = pattern == RAY_NOISE_KK || (pattern == RAY_NOISE_XK && is_initiator);
    uint8_t prologue[RAY_HELLO_SIZE];

    ray_hello_encode(&auth->peer.hello, prologue);
    if (kind == RAY_PEER_MEMBER) {
        memcpy(auth->peer.identity, terms->peer_identity, RAY_KEY_SIZE);
    }
    return ray_noise_create(&auth->noise,
                            &(struct ray_noise_config){
                                .pattern = pattern,
                                .is_initiator = is_initiator,
                                .static_secret = ray_key_static_secret(auth->key),
                                .remote_static = knows_static ? terms->peer_static : NULL,
                                .psk = pattern == RAY_NOISE_XXPSK3 ? terms->psk : NULL,
                                .prologue = prologue,
                                .prologue_size = sizeof prologue,
                            },
                            err);
}

/* The first record: hello and first message, whose payload is empty. */
static int write_first(struct ray_peer_auth *auth, struct ray_err *err)
{
    uint8_t *body = begin_record(auth);
    size_t size = 0;
    int rc;

    ray_hello_encode(&auth->peer.hello, body);
    rc = ray_noise_write(auth->noise, NULL, 0, body + RAY_HELLO_SIZE,
                         BODY_SIZE_MAX - RAY_HELLO_SIZE, &size, err);
    if (rc == RAY_OK) {
        end_record(auth, RAY_HELLO_SIZE + size);
    }
    return rc;
}

int ray_peer_auth_open(struct ray_peer_auth **out_auth, const struct ray_key *key,
                       const struct ray_hello *hello, const struct ray_peer_terms *terms,
                       const void *payload, size_t payload_size, struct ray_err *err)
{
    struct ray_peer_auth *auth = create(key, payload, payload_size);
    uint8_t bytes[RAY_HELLO_SIZE];
    struct ray_hello checked;
    int rc;

    if (auth == NULL) {
        return ray_fail(err, RAY_ENOMEM, "handshake");
    }
    auth->peer.hello = *hello;
    auth->peer.hello.version = RAY_PEER_AUTH_VERSION;
    auth->has_wanted_identity = terms->has_peer_identity && hello->kind != RAY_PEER_MEMBER;
    memcpy(auth->wanted_identity, terms->peer_identity, RAY_KEY_SIZE);
    ray_hello_encode(&auth->peer.hello, bytes);
    rc = ray_hello_decode(bytes, &checked, err); /* what the peer would say to it */
    if (rc == RAY_OK) {
        rc = start_noise(auth, true, terms, err);
    }
    if (rc == RAY_OK) {
        rc = write_first(auth, err);
    }
    if (rc != RAY_OK) {
        ray_peer_auth_destroy(auth);
        return rc;
    }
    auth->step = WAIT_SECOND;
    *out_auth = auth;
    return RAY_OK;
}

int ray_peer_auth_answer(struct ray_peer_auth **out_auth, const struct ray_key *key,
                         const struct ray_peer_auth_guard *guard, const void *payload,
                         size_t payload_size, struct ray_err *err)
{
    struct ray_peer_auth *auth;

    assert(guard->on_hello != NULL);
    auth = create(key, payload, payload_size);
    if (auth == NULL) {
        return ray_fail(err, RAY_ENOMEM, "handshake");
    }
    auth->guard = *guard;
    auth->step = WAIT_FIRST;
    *out_auth = auth;
    return RAY_OK;
}

/* ---- steps ---- */

/* The keys of the finished handshake become the seal. */
static int finish_noise(struct ray_peer_auth *auth, uint64_t now_ns, struct ray_err *err)
{
    uint8_t send_key[RAY_NOISE_KEY_SIZE];
    uint8_t recv_key[RAY_NOISE_KEY_SIZE];
    int rc;

    memcpy(auth->peer.hash, ray_noise_hash(auth->noise), RAY_NOISE_HASH_SIZE);
    memcpy(auth->peer.static_key, ray_noise_remote_static(auth->noise), RAY_KEY_SIZE);
    ray_noise_split(auth->noise, send_key, recv_key);
    rc = ray_seal_create(&auth->seal, send_key, recv_key, now_ns, err);
    sodium_memzero(send_key, sizeof send_key);
    sodium_memzero(recv_key, sizeof recv_key);
    ray_noise_destroy(auth->noise);
    auth->noise = NULL;
    return rc;
}

/* Writes a sealed record of {prefix, payload}. */
static int write_sealed(struct ray_peer_auth *auth, uint64_t now_ns, const uint8_t *bytes,
                        size_t size)
{
    uint8_t *body = begin_record(auth);
    int rc;

    if (size > 0) {
        memcpy(body + RAY_SEAL_HEAD_SIZE, bytes, size);
    }
    rc = ray_seal_encrypt(auth->seal, now_ns, body, size);
    if (rc == RAY_OK) {
        end_record(auth, size + RAY_SEAL_OVERHEAD_SIZE);
    }
    return rc;
}

static int set_peer_payload(struct ray_peer_auth *auth, const uint8_t *bytes, size_t size,
                            struct ray_err *err)
{
    if (size > RAY_PEER_AUTH_PAYLOAD_SIZE_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "handshake: a payload of %zu bytes", size);
    }
    if (size > 0) {
        memcpy(auth->peer.payload, bytes, size);
    }
    auth->peer.payload_size = size;
    return RAY_OK;
}

/* The body is a sealed record and nothing else. */
static int open_sealed(struct ray_peer_auth *auth, uint8_t *body, size_t size,
                       const uint8_t **out_plain, size_t *out_plain_size, struct ray_err *err)
{
    if (ray_seal_decrypt(auth->seal, body, size, out_plain, out_plain_size) != RAY_OK) {
        return ray_fail(err, RAY_EDENIED, "handshake: the last record proves nothing");
    }
    return RAY_OK;
}

static bool is_member(const struct ray_peer_auth *auth)
{
    return auth->peer.hello.kind == RAY_PEER_MEMBER;
}

/* A member's payload is for its eyes only: the first message held proof enough for that, even a
 * replayed one. Others get who we are, and our payload with the verdict. */
static int write_second(struct ray_peer_auth *auth, struct ray_err *err)
{
    uint8_t proof[RAY_KEY_PROOF_SIZE];
    uint8_t *body = begin_record(auth);
    size_t size = 0;
    int rc;

    body[0] = TYPE_ACCEPTED;
    ray_key_proof(auth->key, proof);
    rc = ray_noise_write(auth->noise, is_member(auth) ? auth->payload : proof,
                         is_member(auth) ? auth->payload_size : sizeof proof, body + 1,
                         BODY_SIZE_MAX - 1, &size, err);
    if (rc == RAY_OK) {
        end_record(auth, 1 + size);
        auth->step = WAIT_THIRD;
    }
    return rc;
}

/* Answerer: hello and first message; writes the second. */
static int take_first(struct ray_peer_auth *auth, uint8_t *body, size_t size, struct ray_err *err)
{
    struct ray_peer_terms terms = {0};
    uint8_t nothing[1];
    size_t nothing_size = 0;
    int rc;

    if (size < RAY_HELLO_SIZE) {
        return ray_fail(err, RAY_EMALFORMED, "a hello of %zu bytes", size);
    }
    rc = ray_hello_decode(body, &auth->peer.hello, err);
    if (rc == RAY_OK) {
        rc = auth->guard.on_hello(auth->guard.arg, &auth->peer.hello, &terms, err);
    }
    if (rc == RAY_OK && terms.has_payload) {
        assert(terms.payload_size <= sizeof auth->payload);
        memcpy(auth->payload, terms.payload, terms.payload_size);
        auth->payload_size = terms.payload_size;
    }
    if (rc == RAY_OK) {
        rc = start_noise(auth, false, &terms, err);
    }
    sodium_memzero(&terms, sizeof terms);
    if (rc == RAY_OK) {
        rc = ray_noise_read(auth->noise, body + RAY_HELLO_SIZE, size - RAY_HELLO_SIZE, nothing, 0,
                            &nothing_size, err);
    }
    return rc == RAY_OK ? write_second(auth, err) : rc;
}

/* Opener of a kind with proofs: who answers? */
static int check_answerer(struct ray_peer_auth *auth, const uint8_t *payload, size_t size,
                          struct ray_err *err)
{
    int rc;

    if (size != RAY_KEY_PROOF_SIZE) {
        return ray_fail(err, RAY_EMALFORMED, "handshake: a proof of %zu bytes", size);
    }
    rc = ray_key_proof_check(payload, ray_noise_remote_static(auth->noise), auth->peer.identity,
                             err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (auth->has_wanted_identity &&
        sodium_memcmp(auth->peer.identity, auth->wanted_identity, RAY_KEY_SIZE) != 0) {
        return ray_fail(err, RAY_EDENIED, "another node answers than the one that was meant");
    }
    return RAY_OK;
}

/* {proof, payload}, for the answerer's eyes only. */
static int write_third(struct ray_peer_auth *auth, struct ray_err *err)
{
    uint8_t payload[RAY_KEY_PROOF_SIZE + RAY_PEER_AUTH_PAYLOAD_SIZE_MAX];
    uint8_t *body = begin_record(auth);
    size_t size = 0;
    int rc;

    ray_key_proof(auth->key, payload);
    memcpy(payload + RAY_KEY_PROOF_SIZE, auth->payload, auth->payload_size);
    rc = ray_noise_write(auth->noise, payload, RAY_KEY_PROOF_SIZE + auth->payload_size, body,
                         BODY_SIZE_MAX, &size, err);
    if (rc == RAY_OK) {
        end_record(auth, size);
    }
    return rc;
}

/* Opener: the second message, or a refusal that anybody may have written. */
static int take_second(struct ray_peer_auth *auth, uint64_t now_ns, uint8_t *body, size_t size,
                       struct ray_err *err)
{
    uint8_t payload[BODY_SIZE_MAX];
    size_t payload_size = 0;
    int rc;

    if (size < 1 || body[0] > TYPE_ACCEPTED) {
        return ray_fail(err, RAY_EMALFORMED, "not a RayOS node");
    }
    if (body[0] == TYPE_REFUSED) {
        return get_refusal(body, size, "somebody (unproven) at the peer's address", err);
    }
    rc = ray_noise_read(auth->noise, body + 1, size - 1, payload, sizeof payload, &payload_size,
                        err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (!is_member(auth)) {
        rc = check_answerer(auth, payload, payload_size, err);
        if (rc == RAY_OK) {
            rc = write_third(auth, err);
        }
        if (rc == RAY_OK) {
            rc = finish_noise(auth, now_ns, err);
        }
        auth->step = WAIT_VERDICT;
        return rc;
    }
    rc = set_peer_payload(auth, payload, payload_size, err);
    if (rc == RAY_OK) {
        rc = finish_noise(auth, now_ns, err);
    }
    if (rc == RAY_OK) {
        rc = write_sealed(auth, now_ns, auth->payload, auth->payload_size);
    }
    auth->step = DONE;
    return rc;
}

static int ask_guard(const struct ray_peer_auth *auth, struct ray_err *err)
{
    return auth->guard.on_proven == NULL ? RAY_OK
                                         : auth->guard.on_proven(auth->guard.arg, &auth->peer, err);
}

/* Answerer: the member's confirmation. */
static int take_confirmation(struct ray_peer_auth *auth, uint8_t *body, size_t size,
                             struct ray_err *err)
{
    const uint8_t *plain = NULL;
    size_t plain_size = 0;
    int rc = open_sealed(auth, body, size, &plain, &plain_size, err);

    if (rc == RAY_OK) {
        rc = set_peer_payload(auth, plain, plain_size, err);
    }
    if (rc == RAY_OK) {
        rc = ask_guard(auth, err);
    }
    auth->step = DONE;
    return rc;
}

static int write_verdict(struct ray_peer_auth *auth, uint64_t now_ns, const struct ray_err *refusal)
{
    uint8_t bytes[1 + RAY_PEER_AUTH_PAYLOAD_SIZE_MAX];

    if (refusal != NULL) {
        size_t size = put_refusal(bytes, refusal);

        return write_sealed(auth, now_ns, bytes, size);
    }
    bytes[0] = TYPE_ACCEPTED;
    memcpy(bytes + 1, auth->payload, auth->payload_size);
    return write_sealed(auth, now_ns, bytes, 1 + auth->payload_size);
}

/* Answerer: third message; the guard decides, the verdict says what. */
static int take_third(struct ray_peer_auth *auth, uint64_t now_ns, const uint8_t *body, size_t size,
                      struct ray_err *err)
{
    uint8_t payload[BODY_SIZE_MAX];
    size_t payload_size = 0;
    struct ray_err refusal = {0};
    int rc;

    rc = ray_noise_read(auth->noise, body, size, payload, sizeof payload, &payload_size, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (payload_size < RAY_KEY_PROOF_SIZE) {
        return ray_fail(err, RAY_EMALFORMED, "handshake: a proof of %zu bytes", payload_size);
    }
    rc = ray_key_proof_check(payload, ray_noise_remote_static(auth->noise), auth->peer.identity,
                             err);
    if (rc == RAY_OK) {
        rc = set_peer_payload(auth, payload + RAY_KEY_PROOF_SIZE, payload_size - RAY_KEY_PROOF_SIZE,
                              err);
    }
    if (rc == RAY_OK) {
        rc = finish_noise(auth, now_ns, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    auth->step = DONE;
    rc = ask_guard(auth, &refusal);
    if (rc != RAY_OK) {
        refusal.code = rc;
        (void)write_verdict(auth, now_ns, &refusal); /* the refusal itself is what counts */
        return ray_fail(err, rc, "%s", refusal.text);
    }
    return write_verdict(auth, now_ns, NULL);
}

static int take_verdict(struct ray_peer_auth *auth, uint8_t *body, size_t size, struct ray_err *err)
{
    const uint8_t *plain = NULL;
    size_t plain_size = 0;
    int rc = open_sealed(auth, body, size, &plain, &plain_size, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (plain_size < 1 || plain[0] > TYPE_ACCEPTED) {
        return ray_fail(err, RAY_EMALFORMED, "handshake: no verdict");
    }
    if (plain[0] == TYPE_REFUSED) {
        return get_refusal(plain, plain_size, "the peer", err);
    }
    auth->step = DONE;
    return set_peer_payload(auth, plain + 1, plain_size - 1, err);
}

/* ---- bytes ---- */

static size_t body_size(const struct ray_peer_auth *auth)
{
    return auth->input[0] | (size_t)auth->input[1] << 8;
}

size_t ray_peer_auth_wanted_size(const struct ray_peer_auth *auth)
{
    /* What a peer sends before it has our answer waits in its socket. */
    if (auth->step >= DONE || auth->output_sent < auth->output_size) {
        return 0;
    }
    return auth->input_size < LENGTH_SIZE ? LENGTH_SIZE - auth->input_size
                                          : LENGTH_SIZE + body_size(auth) - auth->input_size;
}

static int take_record(struct ray_peer_auth *auth, uint64_t now_ns, struct ray_err *err)
{
    uint8_t *body = auth->input + LENGTH_SIZE;
    size_t size = body_size(auth);

    switch (auth->step) {
    case WAIT_FIRST:
        return take_first(auth, body, size, err);
    case WAIT_SECOND:
        return take_second(auth, now_ns, body, size, err);
    case WAIT_THIRD:
        if (!is_member(auth)) {
            return take_third(auth, now_ns, body, size, err);
        }
        /* Nothing is split before somebody has answered our fresh key. */
        if (auth->seal == NULL) {
            int rc = finish_noise(auth, now_ns, err);

            if (rc != RAY_OK) {
                return rc;
            }
        }
        return take_confirmation(auth, body, size, err);
    case WAIT_VERDICT:
        return take_verdict(auth, body, size, err);
    case DONE:
    case TAKEN:
    case FAILED:
        break;
    }
    return ray_fail(err, RAY_ECLOSED, "the handshake is over");
}

/* Wipes what was agreed; a refusal in clear goes out only to whoever said hello. */
static int fail(struct ray_peer_auth *auth, enum step step, int code, const struct ray_err *why)
{
    ray_noise_destroy(auth->noise);
    auth->noise = NULL;
    ray_seal_destroy(auth->seal);
    auth->seal = NULL;
    auth->step = FAILED;
    if (step == WAIT_FIRST) {
        struct ray_err refusal = *why;

        refusal.code = code;
        end_record(auth, put_refusal(begin_record(auth), &refusal));
    }
    return code;
}

/* RAY_OK: `auth->input` holds a whole record. RAY_EAGAIN: not yet. */
static int gather(struct ray_peer_auth *auth, const uint8_t *bytes, size_t size, size_t *used)
{
    while (*used < size && ray_peer_auth_wanted_size(auth) > 0) {
        size_t wanted_size = ray_peer_auth_wanted_size(auth);
        size_t part = size - *used < wanted_size ? size - *used : wanted_size;

        memcpy(auth->input + auth->input_size, bytes + *used, part);
        auth->input_size += part;
        *used += part;
        if (auth->input_size == LENGTH_SIZE &&
            (body_size(auth) == 0 || body_size(auth) > BODY_SIZE_MAX)) {
            return RAY_EMALFORMED;
        }
    }
    return auth->input_size < LENGTH_SIZE || auth->input_size < LENGTH_SIZE + body_size(auth)
               ? RAY_EAGAIN
               : RAY_OK;
}

int ray_peer_auth_receive(struct ray_peer_auth *auth, uint64_t now_ns, const uint8_t *bytes,
                          size_t size, size_t *out_used, struct ray_err *err)
{
    struct ray_err why = {0};
    enum step step = auth->step;
    int rc;

    *out_used = 0;
    if (step >= DONE) {
        return step == FAILED ? ray_fail(err, RAY_ECLOSED, "the handshake has failed") : RAY_OK;
    }
    rc = gather(auth, bytes, size, out_used);
    if (rc == RAY_EAGAIN) {
        return RAY_OK;
    }
    if (rc == RAY_OK) {
        rc = take_record(auth, now_ns, &why);
    } else {
        (void)ray_fail(&why, rc, "handshake: a record of %zu bytes", body_size(auth));
    }
    sodium_memzero(auth->input, sizeof auth->input);
    auth->input_size = 0;
    if (rc != RAY_OK) {
        rc = fail(auth, step, rc, &why);
        return ray_fail(err, rc, "%s", why.text);
    }
    return RAY_OK;
}

const uint8_t *ray_peer_auth_output(const struct ray_peer_auth *auth, size_t *out_size)
{
    *out_size = auth->output_size - auth->output_sent;
    return *out_size > 0 ? auth->output + auth->output_sent : NULL;
}

void ray_peer_auth_sent(struct ray_peer_auth *auth, size_t size)
{
    assert(size <= auth->output_size - auth->output_sent);
    auth->output_sent += size;
}

bool ray_peer_auth_is_done(const struct ray_peer_auth *auth)
{
    return auth->step == DONE;
}

void ray_peer_auth_take(struct ray_peer_auth *auth, struct ray_peer *out_peer,
                        struct ray_seal **out_seal)
{
    assert(auth->step == DONE);
    *out_peer = auth->peer;
    *out_seal = auth->seal;
    auth->seal = NULL;
    auth->step = TAKEN;
}
