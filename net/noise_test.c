/* noise_test.c - what must not work: changed, cut, lengthened, repeated, reordered messages,
 * other keys, other prologues. Published vectors: noise_vector_test.c. */
#include <sodium.h>

#include "base/size.h"
#include "base/test.h"
#include "net/noise.h"
#include "net/noise_cipher.h"

enum { MESSAGE_MAX = 512, ROUNDS_MAX = 3 };

static const char payload_text[] = "hello";

struct pair {
    struct ray_noise *ends[2]; /* initiator, responder */
};

/* What may differ between the two ends. */
struct twist {
    bool other_prologue;
    bool other_psk;
    bool other_initiator; /* the responder expects another one (KK) */
    bool other_responder; /* the initiator expects another one (KK, XK) */
};

static void make_secret(uint8_t number, uint8_t out[static RAY_NOISE_KEY_SIZE])
{
    memset(out, number, RAY_NOISE_KEY_SIZE);
}

static struct ray_noise *make_end(enum ray_noise_pattern pattern, bool is_initiator,
                                  const struct twist *twist)
{
    uint8_t secret[RAY_NOISE_KEY_SIZE];
    uint8_t remote_secret[RAY_NOISE_KEY_SIZE];
    uint8_t remote[RAY_NOISE_KEY_SIZE];
    uint8_t psk[RAY_NOISE_KEY_SIZE];
    bool is_deceived = is_initiator ? twist->other_responder : twist->other_initiator;
    bool knows_remote = pattern == RAY_NOISE_KK || (pattern == RAY_NOISE_XK && is_initiator);
    const char *prologue = twist->other_prologue && is_initiator ? "cluster B" : "cluster A";
    struct ray_noise *noise = NULL;
    struct ray_noise_config config;

    make_secret(is_initiator ? 1 : 2, secret);
    make_secret((uint8_t)((is_initiator ? 2 : 1) + (is_deceived ? 10 : 0)), remote_secret);
    (void)crypto_scalarmult_base(remote, remote_secret);
    make_secret(twist->other_psk && is_initiator ? 8 : 7, psk);
    config = (struct ray_noise_config){
        .pattern = pattern,
        .is_initiator = is_initiator,
        .static_secret = secret,
        .remote_static = knows_remote ? remote : NULL,
        .psk = pattern == RAY_NOISE_XXPSK3 ? psk : NULL,
        .prologue = (const uint8_t *)prologue,
        .prologue_size = strlen(prologue),
    };
    assert_int_equal(ray_noise_create(&noise, &config, NULL), RAY_OK);
    return noise;
}

static struct pair make_pair(enum ray_noise_pattern pattern, const struct twist *twist)
{
    static const struct twist none;

    twist = twist == NULL ? &none : twist;
    return (struct pair){{make_end(pattern, true, twist), make_end(pattern, false, twist)}};
}

static void destroy_pair(struct pair *pair)
{
    ray_noise_destroy(pair->ends[0]);
    ray_noise_destroy(pair->ends[1]);
}

static size_t write_message(struct ray_noise *noise, uint8_t out[static MESSAGE_MAX])
{
    size_t size = 0;

    assert_int_equal(
        ray_noise_write(noise, payload_text, sizeof payload_text, out, MESSAGE_MAX, &size, NULL),
        RAY_OK);
    return size;
}

static int read_message(struct ray_noise *noise, const uint8_t *message, size_t size)
{
    uint8_t payload[MESSAGE_MAX];
    uint8_t *exact = ray_test_copy(message, size);
    size_t payload_size = 0;
    int rc = ray_noise_read(noise, exact, size, payload, sizeof payload, &payload_size, NULL);

    free(exact);
    if (rc == RAY_OK) {
        assert_int_equal(payload_size, sizeof payload_text);
        assert_memory_equal(payload, payload_text, payload_size);
    }
    return rc;
}

/* Runs `count` messages of a handshake. */
static void run_messages(struct pair *pair, size_t count)
{
    uint8_t message[MESSAGE_MAX];

    for (size_t i = 0; i < count; i++) {
        size_t size = write_message(pair->ends[i % 2], message);

        assert_int_equal(read_message(pair->ends[1 - i % 2], message, size), RAY_OK);
    }
}

static size_t message_count(enum ray_noise_pattern pattern)
{
    return pattern == RAY_NOISE_KK ? 2 : 3;
}

static const enum ray_noise_pattern all_patterns[] = {RAY_NOISE_KK, RAY_NOISE_XK, RAY_NOISE_XXPSK3};

static void assert_dead(struct ray_noise *noise)
{
    uint8_t bytes[MESSAGE_MAX] = {0};
    size_t size = 0;

    assert_false(ray_noise_is_writer(noise));
    assert_false(ray_noise_is_finished(noise));
    assert_int_equal(ray_noise_write(noise, NULL, 0, bytes, sizeof bytes, &size, NULL),
                     RAY_ECONFLICT);
    assert_int_equal(ray_noise_read(noise, bytes, 64, bytes, sizeof bytes, &size, NULL),
                     RAY_ECONFLICT);
}

static void test_both_ends_agree(void **state)
{
    (void)state;
    for (size_t p = 0; p < RAY_ARRAY_COUNT(all_patterns); p++) {
        struct pair pair = make_pair(all_patterns[p], NULL);
        uint8_t keys[4][RAY_NOISE_KEY_SIZE];

        run_messages(&pair, message_count(all_patterns[p]));
        assert_true(ray_noise_is_finished(pair.ends[0]));
        assert_true(ray_noise_is_finished(pair.ends[1]));
        assert_memory_equal(ray_noise_hash(pair.ends[0]), ray_noise_hash(pair.ends[1]),
                            RAY_NOISE_HASH_SIZE);
        ray_noise_split(pair.ends[0], keys[0], keys[1]);
        ray_noise_split(pair.ends[1], keys[2], keys[3]);
        assert_memory_equal(keys[0], keys[3], RAY_NOISE_KEY_SIZE);
        assert_memory_equal(keys[1], keys[2], RAY_NOISE_KEY_SIZE);
        assert_memory_not_equal(keys[0], keys[1], RAY_NOISE_KEY_SIZE);
        destroy_pair(&pair);
    }
}

/* Each of the messages, each byte in turn, all eight bits of it. */
static void test_every_bit_flipped(void **state)
{
    (void)state;
    for (size_t p = 0; p < RAY_ARRAY_COUNT(all_patterns); p++) {
        for (size_t m = 0; m < message_count(all_patterns[p]); m++) {
            size_t size = 1;

            for (size_t i = 0; i < size; i++) {
                struct pair pair = make_pair(all_patterns[p], NULL);
                uint8_t message[MESSAGE_MAX];
                int rc;

                run_messages(&pair, m);
                size = write_message(pair.ends[m % 2], message);
                message[i] ^= (uint8_t)(1U << (i % 8));
                rc = read_message(pair.ends[1 - m % 2], message, size);
                assert_int_equal(rc, RAY_EDENIED);
                assert_dead(pair.ends[1 - m % 2]);
                destroy_pair(&pair);
            }
        }
    }
}

/* The highest bit of an X25519 key is ignored by the curve, but not by the transcript. */
static void test_masked_bit_of_a_key(void **state)
{
    struct pair pair = make_pair(RAY_NOISE_XK, NULL);
    uint8_t message[MESSAGE_MAX];
    size_t size = write_message(pair.ends[0], message);

    (void)state;
    message[RAY_NOISE_KEY_SIZE - 1] ^= 0x80;
    assert_int_equal(read_message(pair.ends[1], message, size), RAY_EDENIED);
    destroy_pair(&pair);
}

static void test_every_length(void **state)
{
    (void)state;
    for (size_t p = 0; p < RAY_ARRAY_COUNT(all_patterns); p++) {
        for (size_t m = 0; m < message_count(all_patterns[p]); m++) {
            size_t size = 1;

            for (size_t cut = 0; cut <= size + 1; cut++) {
                struct pair pair = make_pair(all_patterns[p], NULL);
                uint8_t message[MESSAGE_MAX] = {0};

                run_messages(&pair, m);
                size = write_message(pair.ends[m % 2], message);
                assert_int_equal(read_message(pair.ends[1 - m % 2], message, cut),
                                 cut == size ? RAY_OK : RAY_EDENIED);
                destroy_pair(&pair);
            }
        }
    }
}

static void test_twists(void **state)
{
    static const struct {
        enum ray_noise_pattern pattern;
        struct twist twist;
        size_t fails_at; /* index of the message that is refused */
    } cases[] = {
        {RAY_NOISE_KK, {.other_prologue = true}, 0},
        {RAY_NOISE_KK, {.other_initiator = true}, 0},
        {RAY_NOISE_KK, {.other_responder = true}, 0},
        {RAY_NOISE_XK, {.other_prologue = true}, 0},
        {RAY_NOISE_XK, {.other_responder = true}, 0},
        {RAY_NOISE_XXPSK3, {.other_prologue = true}, 0},
        {RAY_NOISE_XXPSK3, {.other_psk = true}, 2},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        struct pair pair = make_pair(cases[i].pattern, &cases[i].twist);
        uint8_t message[MESSAGE_MAX];
        size_t m = cases[i].fails_at;
        size_t size;

        run_messages(&pair, m);
        size = write_message(pair.ends[m % 2], message);
        assert_int_equal(read_message(pair.ends[1 - m % 2], message, size), RAY_EDENIED);
        assert_dead(pair.ends[1 - m % 2]);
        destroy_pair(&pair);
    }
}

/* A message of an earlier handshake of the same two. */
static void test_replay(void **state)
{
    (void)state;
    for (size_t p = 0; p < RAY_ARRAY_COUNT(all_patterns); p++) {
        for (size_t m = 1; m < message_count(all_patterns[p]); m++) {
            struct pair old = make_pair(all_patterns[p], NULL);
            struct pair pair = make_pair(all_patterns[p], NULL);
            uint8_t recorded[MESSAGE_MAX];
            uint8_t dropped[MESSAGE_MAX];
            size_t size;

            run_messages(&old, m);
            size = write_message(old.ends[m % 2], recorded);
            run_messages(&pair, m);
            (void)write_message(pair.ends[m % 2], dropped);
            assert_int_equal(read_message(pair.ends[1 - m % 2], recorded, size), RAY_EDENIED);
            destroy_pair(&old);
            destroy_pair(&pair);
        }
    }
}

/* One's own message comes back, or the third message instead of the first. */
static void test_reordered_and_reflected(void **state)
{
    struct pair pair = make_pair(RAY_NOISE_XK, NULL);
    struct pair fresh = make_pair(RAY_NOISE_XK, NULL);
    uint8_t message[MESSAGE_MAX];
    size_t size;

    (void)state;
    size = write_message(pair.ends[0], message);
    assert_int_equal(read_message(pair.ends[0], message, size), RAY_EDENIED);
    destroy_pair(&pair);

    pair = make_pair(RAY_NOISE_XK, NULL);
    run_messages(&pair, 2);
    size = write_message(pair.ends[0], message);
    assert_int_equal(read_message(fresh.ends[1], message, size), RAY_EDENIED);
    destroy_pair(&pair);
    destroy_pair(&fresh);
}

/* Points of small order would make a secret that everybody knows. */
static void test_small_order_keys(void **state)
{
    static const uint8_t points[][RAY_NOISE_KEY_SIZE] = {
        {0},
        {1},
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
         0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
         0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        struct pair pair = make_pair(RAY_NOISE_XK, NULL);
        uint8_t message[MESSAGE_MAX] = {0};

        memcpy(message, points[i], RAY_NOISE_KEY_SIZE);
        assert_int_equal(read_message(pair.ends[1], message, 64), RAY_EDENIED);
        assert_dead(pair.ends[1]);
        destroy_pair(&pair);
    }
    /* As an expected static key, too: then nothing can be written. */
    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        uint8_t secret[RAY_NOISE_KEY_SIZE] = {1};
        uint8_t out[MESSAGE_MAX];
        size_t size = 0;
        struct ray_noise *noise = NULL;
        struct ray_noise_config config = {.pattern = RAY_NOISE_XK,
                                          .is_initiator = true,
                                          .static_secret = secret,
                                          .remote_static = points[i]};

        assert_int_equal(ray_noise_create(&noise, &config, NULL), RAY_OK);
        assert_int_equal(ray_noise_write(noise, NULL, 0, out, sizeof out, &size, NULL),
                         RAY_EDENIED);
        assert_dead(noise);
        ray_noise_destroy(noise);
    }
}

static void test_turns_and_limits(void **state)
{
    static uint8_t big[RAY_NOISE_MESSAGE_SIZE_MAX + 1];
    struct pair pair = make_pair(RAY_NOISE_KK, NULL);
    uint8_t message[MESSAGE_MAX];
    uint8_t tiny[RAY_NOISE_OVERHEAD_SIZE_MAX];
    size_t size = 0;

    (void)state;
    assert_int_equal(ray_noise_write(pair.ends[1], NULL, 0, message, sizeof message, &size, NULL),
                     RAY_ECONFLICT);
    assert_int_equal(
        ray_noise_read(pair.ends[0], message, 48, message, sizeof message, &size, NULL),
        RAY_ECONFLICT);
    assert_int_equal(ray_noise_write(pair.ends[0], "x", 1, tiny, sizeof tiny, &size, NULL),
                     RAY_ETOOBIG);
    assert_int_equal(
        ray_noise_write(pair.ends[0], big, sizeof big - 96, big, sizeof big, &size, NULL),
        RAY_ETOOBIG);
    /* The writer is as before: a size is no failure of the handshake. */
    size = write_message(pair.ends[0], message);
    assert_int_equal(ray_noise_read(pair.ends[1], message, size, tiny, 2, &size, NULL),
                     RAY_ETOOBIG);
    assert_dead(pair.ends[1]);
    destroy_pair(&pair);

    pair = make_pair(RAY_NOISE_KK, NULL);
    assert_int_equal(ray_noise_read(pair.ends[1], big, sizeof big, big, sizeof big, &size, NULL),
                     RAY_EMALFORMED);
    destroy_pair(&pair);
}

static void test_no_memory(void **state)
{
    uint8_t secret[RAY_NOISE_KEY_SIZE] = {1};
    struct ray_noise_config config = {
        .pattern = RAY_NOISE_XXPSK3, .static_secret = secret, .psk = secret};
    struct ray_noise *noise = NULL;

    (void)state;
    ray_test_fault_arm("alloc", 1);
    if (ray_noise_create(&noise, &config, NULL) == RAY_ENOMEM) {
        assert_null(noise);
    }
    if (!ray_test_fault_disarm()) {
        ray_noise_destroy(noise);
    }
    ray_noise_destroy(NULL);
}

/* Rekeying is as revision 34 says: the first 32 bytes of 32 zeros under the largest nonce. */
static void test_rekey(void **state)
{
    static const uint8_t zeros[32];
    uint8_t nonce[12] = {0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255};
    struct ray_noise_cipher cipher = {.key = {5, 6, 7}, .nonce = 9};
    uint8_t expected[32 + 16];
    unsigned long long expected_size = 0;

    (void)state;
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(expected, &expected_size, zeros, sizeof zeros,
                                                    NULL, 0, NULL, nonce, cipher.key);
    ray_noise_cipher_rekey(&cipher);
    assert_memory_equal(cipher.key, expected, 32);
    assert_int_equal(cipher.nonce, 9);
}

static void test_nonces_run_out(void **state)
{
    struct ray_noise_cipher cipher = {.nonce = UINT64_MAX - 1};
    struct ray_noise_cipher other = cipher;
    uint8_t bytes[1 + RAY_NOISE_TAG_SIZE];

    (void)state;
    assert_int_equal(ray_noise_cipher_encrypt(&cipher, NULL, 0, (const uint8_t *)"a", 1, bytes),
                     RAY_OK);
    assert_int_equal(ray_noise_cipher_decrypt(&other, NULL, 0, bytes, sizeof bytes, bytes), RAY_OK);
    assert_int_equal(ray_noise_cipher_encrypt(&cipher, NULL, 0, bytes, 1, bytes), RAY_ECLOSED);
    assert_int_equal(ray_noise_cipher_decrypt(&other, NULL, 0, bytes, sizeof bytes, bytes),
                     RAY_ECLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ends_agree),
        cmocka_unit_test(test_every_bit_flipped),
        cmocka_unit_test(test_masked_bit_of_a_key),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_twists),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_reordered_and_reflected),
        cmocka_unit_test(test_small_order_keys),
        cmocka_unit_test(test_turns_and_limits),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_rekey),
        cmocka_unit_test(test_nonces_run_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
