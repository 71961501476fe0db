/* noise_vector_test.c - both roles of each published vector (tests/vectors/noise.txt, the
 * argument): what we write is byte by byte what was published, and what was published is read. */
#include <sodium.h>

#include "base/size.h"
#include "base/test.h"
#include "net/noise.h"
#include "net/noise_cipher.h"

enum { VALUE_SIZE_MAX = 256, MESSAGES_MAX = 8, LINE_SIZE_MAX = 1024 };

struct value {
    bool is_set;
    size_t size;
    uint8_t bytes[VALUE_SIZE_MAX];
};

struct side {
    struct value prologue, static_secret, ephemeral, remote_static, psk;
};

struct vector {
    char protocol[80];
    struct side init, resp;
    struct value hash;
    struct value payloads[MESSAGES_MAX], messages[MESSAGES_MAX];
    size_t message_count;
};

static const char *vectors_path;

/* ---- the file ---- */

static void parse_value(const char *hex, struct value *out)
{
    out->is_set = true;
    out->size = 0;
    if (strcmp(hex, "-") != 0) {
        assert_int_equal(
            sodium_hex2bin(out->bytes, sizeof out->bytes, hex, strlen(hex), NULL, &out->size, NULL),
            0);
        assert_int_equal(out->size * 2, strlen(hex));
    }
}

static void parse_line(struct vector *vector, const char *key, const char *first,
                       const char *second)
{
    const struct {
        const char *key;
        struct value *value;
    } fields[] = {
        {"init_prologue", &vector->init.prologue},
        {"init_static", &vector->init.static_secret},
        {"init_ephemeral", &vector->init.ephemeral},
        {"init_remote_static", &vector->init.remote_static},
        {"init_psk", &vector->init.psk},
        {"resp_prologue", &vector->resp.prologue},
        {"resp_static", &vector->resp.static_secret},
        {"resp_ephemeral", &vector->resp.ephemeral},
        {"resp_remote_static", &vector->resp.remote_static},
        {"resp_psk", &vector->resp.psk},
        {"handshake_hash", &vector->hash},
    };

    if (strcmp(key, "protocol") == 0) {
        *vector = (struct vector){0};
        (void)snprintf(vector->protocol, sizeof vector->protocol, "%s", first);
        return;
    }
    if (strcmp(key, "message") == 0) {
        assert_true(vector->message_count < MESSAGES_MAX);
        parse_value(first, &vector->payloads[vector->message_count]);
        parse_value(second, &vector->messages[vector->message_count++]);
        return;
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(fields); i++) {
        if (strcmp(key, fields[i].key) == 0) {
            parse_value(first, fields[i].value);
            return;
        }
    }
    fail_msg("unknown field %s", key);
}

/* ---- one role ---- */

static enum ray_noise_pattern pattern_of(const char *protocol)
{
    if (strcmp(protocol, "Noise_KK_25519_ChaChaPoly_BLAKE2b") == 0) {
        return RAY_NOISE_KK;
    }
    if (strcmp(protocol, "Noise_XK_25519_ChaChaPoly_BLAKE2b") == 0) {
        return RAY_NOISE_XK;
    }
    assert_string_equal(protocol, "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b");
    return RAY_NOISE_XXPSK3;
}

static struct ray_noise *start(const struct vector *vector, bool is_initiator)
{
    const struct side *side = is_initiator ? &vector->init : &vector->resp;
    struct ray_noise *noise = NULL;
    struct ray_noise_config config = {
        .pattern = pattern_of(vector->protocol),
        .is_initiator = is_initiator,
        .static_secret = side->static_secret.bytes,
        .remote_static = side->remote_static.is_set ? side->remote_static.bytes : NULL,
        .psk = side->psk.is_set ? side->psk.bytes : NULL,
        .ephemeral = side->ephemeral.bytes,
        .prologue = side->prologue.bytes,
        .prologue_size = side->prologue.size,
    };

    assert_int_equal(ray_noise_create(&noise, &config, NULL), RAY_OK);
    return noise;
}

static void check_bytes(const uint8_t *bytes, size_t size, const struct value *expected)
{
    assert_int_equal(size, expected->size);
    assert_memory_equal(bytes, expected->bytes, size);
}

/* Returns how many messages belonged to the handshake. */
static size_t run_handshake(struct ray_noise *noise, const struct vector *vector)
{
    uint8_t out[VALUE_SIZE_MAX + RAY_NOISE_OVERHEAD_SIZE_MAX];
    size_t out_size = 0;
    size_t index = 0;

    while (!ray_noise_is_finished(noise)) {
        const struct value *payload = &vector->payloads[index];
        const struct value *message = &vector->messages[index];

        assert_true(index < vector->message_count);
        if (ray_noise_is_writer(noise)) {
            assert_int_equal(ray_noise_write(noise, payload->bytes, payload->size, out, sizeof out,
                                             &out_size, NULL),
                             RAY_OK);
            check_bytes(out, out_size, message);
        } else {
            assert_int_equal(ray_noise_read(noise, message->bytes, message->size, out, sizeof out,
                                            &out_size, NULL),
                             RAY_OK);
            check_bytes(out, out_size, payload);
        }
        index++;
    }
    return index;
}

static void run_transport(struct ray_noise_cipher *cipher, bool is_ours,
                          const struct value *payload, const struct value *message)
{
    uint8_t out[VALUE_SIZE_MAX + RAY_NOISE_TAG_SIZE];

    if (is_ours) {
        assert_int_equal(
            ray_noise_cipher_encrypt(cipher, NULL, 0, payload->bytes, payload->size, out), RAY_OK);
        check_bytes(out, payload->size + RAY_NOISE_TAG_SIZE, message);
    } else {
        assert_int_equal(
            ray_noise_cipher_decrypt(cipher, NULL, 0, message->bytes, message->size, out), RAY_OK);
        check_bytes(out, message->size - RAY_NOISE_TAG_SIZE, payload);
    }
}

static void run_role(const struct vector *vector, bool is_initiator)
{
    struct ray_noise *noise = start(vector, is_initiator);
    struct ray_noise_cipher send = {0};
    struct ray_noise_cipher recv = {0};
    size_t index = run_handshake(noise, vector);

    assert_true(index < vector->message_count);
    if (vector->hash.is_set) {
        check_bytes(ray_noise_hash(noise), RAY_NOISE_HASH_SIZE, &vector->hash);
    }
    ray_noise_split(noise, send.key, recv.key);
    for (; index < vector->message_count; index++) {
        bool is_ours = (index % 2 == 0) == is_initiator;

        run_transport(is_ours ? &send : &recv, is_ours, &vector->payloads[index],
                      &vector->messages[index]);
    }
    ray_noise_destroy(noise);
}

static void test_published_vectors(void **state)
{
    static struct vector vector;
    char line[LINE_SIZE_MAX];
    unsigned counts[3] = {0};
    FILE *file = fopen(vectors_path, "r");

    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        char *save = NULL;
        const char *key = strtok_r(line, " \n", &save);
        const char *first = strtok_r(NULL, " \n", &save);
        const char *second = strtok_r(NULL, " \n", &save);

        if (key == NULL || key[0] == '#') {
            continue;
        }
        if (strcmp(key, "end") != 0) {
            parse_line(&vector, key, first, second);
            continue;
        }
        run_role(&vector, true);
        run_role(&vector, false);
        counts[pattern_of(vector.protocol)]++;
    }
    (void)fclose(file);
    /* As many as the file has: none was passed over. */
    assert_int_equal(counts[RAY_NOISE_KK], 3);
    assert_int_equal(counts[RAY_NOISE_XK], 3);
    assert_int_equal(counts[RAY_NOISE_XXPSK3], 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_published_vectors)};

    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s VECTORS\n", argv[0]);
        return 2;
    }
    vectors_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
