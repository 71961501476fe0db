/* net/peer_auth.h - how two ends of a connection find out who the other is: the hello in clear,
 * the Noise handshake of the kind it asks for, the proof of identity, the verdict.
 *
 *   kind      pattern  who opens                  the other end
 *   MEMBER    KK       a member                   a member; both static keys in the registry
 *   JOIN      XXpsk3   a node with a token        any member; psk = the token's verifier
 *   CLAIM     XXpsk3   an operator with the code  an unclaimed node; psk = ray_claim_psk
 *   OPERATOR  XK       an operator with a key     a member whose static key the operator has
 *   FORMER    XK       a node that a member       that member, of which it still has the static
 *                      refused                    key: was it removed?
 *
 *   opener                                          answerer
 *     {size, hello in clear, first message}  ->
 *                                            <-  {size, 1, second message} or {size, 0, refusal}
 *   MEMBER:
 *     {size, sealed confirmation, payload}   ->     (the first message could be a replay: only
 *                                                    this one says that the member is there)
 *   others:
 *     {size, third message: proof}           ->
 *                                            <-  {size, sealed verdict, payload or refusal}
 *
 * The hello is the prologue: version, kind, cluster, cluster epoch, both node ids and the token's
 * id are bound by every later byte. A refusal in clear is a hint from nobody in particular; its
 * text is escaped and marked so. Payloads are fresh, authenticated and encrypted.
 *
 * The driver is pure: bytes in, bytes out. Time limits, the number of handshakes at once and the
 * socket are its user's. It never takes bytes beyond the handshake.
 *
 * Memory: create/destroy; secrets in sodium_malloc; at most RAY_PEER_AUTH_RECORD_SIZE_MAX bytes
 * are kept of each direction.
 * Threads: one owner.  Blocks: never.  Trust: every byte is hostile. */
#ifndef RAY_NET_PEER_AUTH_H
#define RAY_NET_PEER_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "net/key.h"
#include "net/noise.h"
#include "net/seal.h"

enum {
    RAY_PEER_AUTH_VERSION = 1,
    RAY_PEER_AUTH_PSK_SIZE = 32,
    RAY_PEER_AUTH_PAYLOAD_SIZE_MAX = 512,
    RAY_PEER_AUTH_RECORD_SIZE_MAX = 1024,
    RAY_HELLO_SIZE = 80, /* on the wire */
};

/* On the wire; never renumbered. */
enum ray_peer_kind {
    RAY_PEER_MEMBER = 1,
    RAY_PEER_JOIN = 2,
    RAY_PEER_CLAIM = 3,
    RAY_PEER_OPERATOR = 4,
    RAY_PEER_FORMER = 5,
};

/* Said in clear, believed by nobody before the handshake ends. */
struct ray_hello {
    uint8_t version; /* set by the driver */
    enum ray_peer_kind kind;
    uint64_t cluster_epoch; /* MEMBER: the opener's; else 0 */
    struct ray_id cluster;  /* MEMBER, OPERATOR, FORMER: of both; JOIN: the token's, may be none */
    struct ray_id from;     /* node id of the opener; none for operators */
    struct ray_id to;       /* MEMBER, FORMER; otherwise may be none: whoever answers there */
    struct ray_id token;    /* JOIN: ray_token_id; else none */
};

/* Who is at the other end, once the handshake is done. */
struct ray_peer {
    struct ray_hello hello;            /* as the opener said it, now proven to be said by him */
    uint8_t identity[RAY_KEY_SIZE];    /* Ed25519; MEMBER: what the terms said */
    uint8_t static_key[RAY_KEY_SIZE];  /* X25519 */
    uint8_t hash[RAY_NOISE_HASH_SIZE]; /* of the handshake: the same at both ends, never twice */
    size_t payload_size;
    uint8_t payload[RAY_PEER_AUTH_PAYLOAD_SIZE_MAX]; /* the peer's */
};

/* What one end must know of the other beforehand; which fields count depends on the kind. */
struct ray_peer_terms {
    uint8_t peer_static[RAY_KEY_SIZE];   /* MEMBER; OPERATOR and FORMER at the opener */
    uint8_t peer_identity[RAY_KEY_SIZE]; /* MEMBER: goes to the result. Openers of other kinds: */
    bool has_peer_identity;              /* when true any other identity is refused */
    uint8_t psk[RAY_PEER_AUTH_PSK_SIZE]; /* JOIN, CLAIM */
    /* At the answerer: what goes to this peer instead of the payload given before. */
    bool has_payload;
    size_t payload_size;
    uint8_t payload[RAY_PEER_AUTH_PAYLOAD_SIZE_MAX];
};

/* The answerer's decisions; both run within receive. */
struct ray_peer_auth_guard {
    /* Whether to go on with this hello; out_terms is zeroed before and wiped after. Here belong:
     * right cluster, `to` is us, the member is in the registry and not removed, the
     * token is valid. A code < 0 refuses: code and text are sent in clear. */
    int (*on_hello)(void *arg, const struct ray_hello *hello, struct ray_peer_terms *out_terms,
                    struct ray_err *err);
    /* The peer is proven: an operator's identity is looked up, a token's use is counted. A code
     * < 0 refuses; except for MEMBER (which has no verdict) the peer is told, encrypted.
     * NULL: everybody proven may come in. */
    int (*on_proven)(void *arg, const struct ray_peer *peer, struct ray_err *err);
    void *arg;
};

struct ray_peer_auth;

/* `key` outlives the driver; the rest is copied. `payload` (at most
 * RAY_PEER_AUTH_PAYLOAD_SIZE_MAX) goes to the peer. The first output is there at once.
 * RAY_EMALFORMED: the hello has fields that its kind has not, or lacks some. */
int ray_peer_auth_open(struct ray_peer_auth **out_auth, const struct ray_key *key,
                       const struct ray_hello *hello, const struct ray_peer_terms *terms,
                       const void *payload, size_t payload_size, struct ray_err *err);
int ray_peer_auth_answer(struct ray_peer_auth **out_auth, const struct ray_key *key,
                         const struct ray_peer_auth_guard *guard, const void *payload,
                         size_t payload_size, struct ray_err *err);
void ray_peer_auth_destroy(struct ray_peer_auth *auth); /* NULL is fine */

/* Takes at most ray_peer_auth_wanted_size bytes; *out_used says how many. RAY_OK: go on, send
 * what output gives, look at is_done. Negative: the handshake has failed; what output still
 * gives (a refusal) may be sent before closing. `now_ns` as for ray_seal_create. */
int ray_peer_auth_receive(struct ray_peer_auth *auth, uint64_t now_ns, const uint8_t *bytes,
                          size_t size, size_t *out_used, struct ray_err *err);
/* How many bytes to read next, at most; 0 as long as output waits and when it is over. */
size_t ray_peer_auth_wanted_size(const struct ray_peer_auth *auth);

/* Bytes to send, borrowed until the next call; NULL when there are none. */
const uint8_t *ray_peer_auth_output(const struct ray_peer_auth *auth, size_t *out_size);
void ray_peer_auth_sent(struct ray_peer_auth *auth, size_t size);

/* Both ends know who the other is. Output may still be waiting; it goes before sealed records. */
bool ray_peer_auth_is_done(const struct ray_peer_auth *auth);
/* Once, when done: the peer, and the seal, which is the caller's then. */
void ray_peer_auth_take(struct ray_peer_auth *auth, struct ray_peer *out_peer,
                        struct ray_seal **out_seal);

/* For fuzzing and for diagnosis. RAY_EMALFORMED; RAY_EUNSUPPORTED: another version. */
int ray_hello_decode(const uint8_t bytes[static RAY_HELLO_SIZE], struct ray_hello *out,
                     struct ray_err *err);
void ray_hello_encode(const struct ray_hello *hello, uint8_t out[static RAY_HELLO_SIZE]);

#endif
