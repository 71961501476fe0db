/* peer_auth_fuzz.c - any bytes to either end. The first byte chooses the end, its kind and how far
 * an honest handshake has come before; then a size for the reads; the rest is fed. Nobody may get
 * through: the honest other end is never asked. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/peer_auth.h"

struct scene {
    struct ray_key *keys[2];
    struct ray_peer_terms terms;
    struct ray_peer_auth *ends[2]; /* opener, answerer */
};

static struct ray_key *make_key(uint8_t number)
{
    /* Always the same, so that runs do not differ: seeds of ones and of twos. */
    static const uint8_t secrets[2][RAY_KEY_SECRET_SIZE] = {
        {0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01,
         0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01,
         0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x8a, 0x88, 0xe3, 0xdd, 0x74, 0x09, 0xf1,
         0x95, 0xfd, 0x52, 0xdb, 0x2d, 0x3c, 0xba, 0x5d, 0x72, 0xca, 0x67, 0x09, 0xbf,
         0x1d, 0x94, 0x12, 0x1b, 0xf3, 0x74, 0x88, 0x01, 0xb4, 0x0f, 0x6f, 0x5c},
        {0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02,
         0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02,
         0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x81, 0x39, 0x77, 0x0e, 0xa8, 0x7d, 0x17,
         0x5f, 0x56, 0xa3, 0x54, 0x66, 0xc3, 0x4c, 0x7e, 0xcc, 0xcb, 0x8d, 0x8a, 0x91,
         0xb4, 0xee, 0x37, 0xa2, 0x5d, 0xf6, 0x0f, 0x5b, 0x8f, 0xc9, 0xb3, 0x94},
    };
    struct ray_key *key = NULL;

    if (ray_key_create(&key, secrets[number], 0, NULL) != RAY_OK) {
        abort();
    }
    return key;
}

static int on_hello(void *arg, const struct ray_hello *hello, struct ray_peer_terms *out_terms,
                    struct ray_err *err)
{
    const struct scene *scene = arg;

    (void)err;
    *out_terms = scene->terms;
    memcpy(out_terms->peer_static, ray_key_static(scene->keys[0]), RAY_KEY_SIZE);
    return hello->kind == RAY_PEER_MEMBER || hello->kind == RAY_PEER_JOIN ||
                   hello->kind == RAY_PEER_CLAIM || hello->kind == RAY_PEER_OPERATOR ||
                   hello->kind == RAY_PEER_FORMER
               ? RAY_OK
               : RAY_EINTERNAL;
}

static void start(struct scene *scene, enum ray_peer_kind kind)
{
    struct ray_hello hello = {.kind = kind};
    struct ray_peer_auth_guard guard = {.on_hello = on_hello, .arg = scene};

    *scene = (struct scene){.keys = {make_key(0), make_key(1)}};
    memcpy(scene->terms.peer_static, ray_key_static(scene->keys[1]), RAY_KEY_SIZE);
    memset(scene->terms.psk, 5, sizeof scene->terms.psk);
    if (kind == RAY_PEER_MEMBER || kind == RAY_PEER_OPERATOR || kind == RAY_PEER_FORMER) {
        hello.cluster.bytes[0] = 1;
    }
    if (kind == RAY_PEER_MEMBER || kind == RAY_PEER_JOIN || kind == RAY_PEER_FORMER) {
        hello.from.bytes[0] = 2;
    }
    hello.to.bytes[0] = 3;
    hello.token.bytes[0] = kind == RAY_PEER_JOIN ? 4 : 0;
    if (ray_peer_auth_open(&scene->ends[0], scene->keys[0], &hello, &scene->terms, "a", 1, NULL) !=
            RAY_OK ||
        ray_peer_auth_answer(&scene->ends[1], scene->keys[1], &guard, "b", 1, NULL) != RAY_OK) {
        abort();
    }
}

/* One honest record from one end to the other. */
static void move(struct scene *scene, unsigned from)
{
    size_t size = 0;
    size_t used = 0;
    const uint8_t *bytes = ray_peer_auth_output(scene->ends[from], &size);

    if (bytes == NULL ||
        ray_peer_auth_receive(scene->ends[1 - from], 1, bytes, size, &used, NULL) != RAY_OK ||
        used != size) {
        abort();
    }
    ray_peer_auth_sent(scene->ends[from], size);
}

static void drop_output(struct ray_peer_auth *auth)
{
    size_t size = 0;

    (void)ray_peer_auth_output(auth, &size);
    ray_peer_auth_sent(auth, size);
}

static void feed(struct ray_peer_auth *victim, const uint8_t *data, size_t size, size_t step)
{
    for (size_t at = 0; at < size;) {
        size_t part = size - at < step ? size - at : step;
        size_t used = 0;

        drop_output(victim);
        if (ray_peer_auth_receive(victim, 1, data + at, part, &used, NULL) != RAY_OK) {
            break;
        }
        if (used == 0) {
            break;
        }
        at += used;
    }
    if (ray_peer_auth_is_done(victim)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scene scene;
    unsigned victim;
    unsigned record_count;

    if (size < 2) {
        return 0;
    }
    victim = data[0] & 1;
    start(&scene, (enum ray_peer_kind)((data[0] >> 2 & 3) + 1));
    record_count = (data[0] >> 1 & 1U) * 2 + 1 - victim; /* opener: 1, 3; answerer: 0, 2 */
    if (victim == 0 && (data[0] >> 2 & 3) + 1 == RAY_PEER_MEMBER) {
        record_count = 1; /* a member has no verdict to wait for */
    }
    for (unsigned i = 0; i < record_count; i++) {
        if (i == record_count - 1 && i % 2 == victim) {
            drop_output(scene.ends[victim]); /* its own last record leads nowhere */
        } else {
            move(&scene, i % 2);
        }
    }
    feed(scene.ends[victim], data + 2, size - 2, (size_t)data[1] + 1);
    for (unsigned i = 0; i < 2; i++) {
        ray_peer_auth_destroy(scene.ends[i]);
        ray_key_destroy(scene.keys[i]);
    }
    return 0;
}
