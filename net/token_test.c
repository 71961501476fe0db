#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include "base/test.h"
#include "net/token.h"

static struct ray_token *make_full(void)
{
    struct ray_token *token = NULL;

    assert_int_equal(ray_token_generate(&token, NULL), RAY_OK);
    memset(token->cluster.bytes, 3, RAY_ID_SIZE);
    token->has_fingerprint = true;
    memset(token->fingerprint, 4, RAY_TOKEN_FINGERPRINT_SIZE);
    assert_int_equal(ray_token_add_seed(token, "10.0.0.1:7501", NULL), RAY_OK);
    assert_int_equal(ray_token_add_seed(token, "[fe80::1]:65535", NULL), RAY_OK);
    return token;
}

static void assert_same(const struct ray_token *a, const struct ray_token *b)
{
    assert_memory_equal(a->secret, b->secret, RAY_TOKEN_SECRET_SIZE);
    assert_true(ray_id_equal(&a->cluster, &b->cluster));
    assert_int_equal(a->has_fingerprint, b->has_fingerprint);
    assert_memory_equal(a->fingerprint, b->fingerprint, RAY_TOKEN_FINGERPRINT_SIZE);
    assert_int_equal(a->seed_count, b->seed_count);
    for (size_t i = 0; i < a->seed_count; i++) {
        assert_string_equal(a->seeds[i], b->seeds[i]);
    }
}

static int parse(const char *text, size_t size, struct ray_token **out_token)
{
    char *exact = (char *)ray_test_copy(text, size);
    int rc = ray_token_parse(out_token, exact, size, NULL);

    free(exact);
    return rc;
}

static void check_round_trip(const struct ray_token *token)
{
    char text[RAY_TOKEN_TEXT_SIZE_MAX + 8];
    char *line = text + 2;
    struct ray_token *again = NULL;

    ray_token_format(token, line);
    assert_int_equal(strncmp(line, "rayos-join-1.", 13), 0);
    assert_int_equal(parse(line, strlen(line), &again), RAY_OK);
    assert_same(token, again);
    ray_token_destroy(again);
    text[0] = ' ';
    text[1] = '\t';
    memcpy(line + strlen(line), "\r\n", sizeof "\r\n");
    assert_int_equal(parse(text, strlen(text), &again), RAY_OK);
    assert_same(token, again);
    ray_token_destroy(again);
}

static void test_round_trip(void **state)
{
    struct ray_token *token = make_full();
    struct ray_token *bare = NULL;

    (void)state;
    check_round_trip(token);
    token->has_fingerprint = false;
    memset(token->fingerprint, 0, sizeof token->fingerprint);
    check_round_trip(token);
    ray_token_destroy(token);
    assert_int_equal(ray_token_generate(&bare, NULL), RAY_OK);
    check_round_trip(bare);
    ray_token_destroy(bare);
}

static void test_largest(void **state)
{
    struct ray_token *token = make_full();
    char seed[RAY_TOKEN_SEED_SIZE_MAX];

    (void)state;
    memset(seed, 'h', sizeof seed);
    memcpy(seed + sizeof seed - 6, ":7501", 6);
    while (token->seed_count < RAY_TOKEN_SEEDS_MAX) {
        assert_int_equal(ray_token_add_seed(token, seed, NULL), RAY_OK);
    }
    assert_int_equal(ray_token_add_seed(token, seed, NULL), RAY_ETOOBIG);
    check_round_trip(token);
    ray_token_destroy(token);
}

static void test_seeds(void **state)
{
    static const char *const bad[] = {"",        "host",     ":80",        "host:", "host:0",
                                      "h:65536", "ho st:80", "h\n:8",      "h:8 ",  "h:+8",
                                      "h:0x10",  "h\x7f:80", "\xc3\xa4:80"};
    struct ray_token *token = NULL;
    char longest[RAY_TOKEN_SEED_SIZE_MAX + 1];

    (void)state;
    assert_int_equal(ray_token_generate(&token, NULL), RAY_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ray_token_add_seed(token, bad[i], NULL), RAY_EINVAL);
    }
    memset(longest, 'h', sizeof longest);
    memcpy(longest + sizeof longest - 4, ":80", 4);
    assert_int_equal(ray_token_add_seed(token, longest, NULL), RAY_EINVAL);
    assert_int_equal(token->seed_count, 0);
    ray_token_destroy(token);
}

static void test_mistyped(void **state)
{
    struct ray_token *token = make_full();
    struct ray_token *parsed = NULL;
    char text[RAY_TOKEN_TEXT_SIZE_MAX];
    size_t size;

    (void)state;
    ray_token_format(token, text);
    size = strlen(text);
    for (size_t i = 0; i < size; i++) {
        char old = text[i];

        text[i] = old == 'x' ? 'y' : 'x';
        assert_int_equal(parse(text, size, &parsed), RAY_EMALFORMED);
        text[i] = '\0';
        assert_int_equal(parse(text, size, &parsed), RAY_EMALFORMED);
        text[i] = old;
    }
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(parse(text, cut, &parsed), RAY_EMALFORMED);
    }
    assert_null(parsed);
    ray_token_destroy(token);
}

/* A token with a right checksum over fields that are none. */
static int parse_binary(const uint8_t *fields, size_t size)
{
    uint8_t bytes[256 + 8];
    uint8_t hash[crypto_generichash_BYTES_MIN];
    char text[2048] = "rayos-join-1.";
    struct ray_token *token = NULL;
    int rc;

    memcpy(bytes, fields, size);
    (void)crypto_generichash(hash, sizeof hash, bytes, size, NULL, 0);
    memcpy(bytes + size, hash, 8);
    (void)sodium_bin2base64(text + 13, sizeof text - 13, bytes, size + 8,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    rc = parse(text, strlen(text), &token);
    ray_token_destroy(token);
    return rc;
}

static void test_hostile_fields(void **state)
{
    uint8_t bytes[256] = {0};

    (void)state;
    assert_int_equal(parse_binary(bytes, 34), RAY_OK);
    assert_int_equal(parse_binary(bytes, 33), RAY_EMALFORMED);
    assert_int_equal(parse_binary(bytes, 35), RAY_EMALFORMED); /* something behind */
    bytes[0] = 4;                                              /* unknown flag */
    assert_int_equal(parse_binary(bytes, 34), RAY_EMALFORMED);
    bytes[0] = 1; /* a cluster id of zeros */
    assert_int_equal(parse_binary(bytes, 34 + 16), RAY_EMALFORMED);
    bytes[34] = 1;
    assert_int_equal(parse_binary(bytes, 34 + 16), RAY_OK);
    memset(bytes, 0, sizeof bytes);
    bytes[0] = 2; /* a fingerprint that is cut */
    assert_int_equal(parse_binary(bytes, 34 + 31), RAY_EMALFORMED);
    assert_int_equal(parse_binary(bytes, 34 + 32), RAY_OK);
    memset(bytes, 0, sizeof bytes);
    bytes[1] = RAY_TOKEN_SEEDS_MAX + 1;
    assert_int_equal(parse_binary(bytes, 34 + 9), RAY_EMALFORMED);
    bytes[1] = 1;
    assert_int_equal(parse_binary(bytes, 34 + 1), RAY_EMALFORMED); /* an empty seed */
    bytes[34] = 4;
    memcpy(bytes + 35, "h:80", 4);
    assert_int_equal(parse_binary(bytes, 34 + 5), RAY_OK);
    assert_int_equal(parse_binary(bytes, 34 + 4), RAY_EMALFORMED);
    bytes[36] = '\0'; /* a NUL inside */
    assert_int_equal(parse_binary(bytes, 34 + 5), RAY_EMALFORMED);
    memset(bytes + 35, 'h', 200);
    bytes[34] = RAY_TOKEN_SEED_SIZE_MAX;
    assert_int_equal(parse_binary(bytes, 35 + RAY_TOKEN_SEED_SIZE_MAX), RAY_EMALFORMED);
}

static void test_verifier_and_id(void **state)
{
    uint8_t secret[RAY_TOKEN_SECRET_SIZE] = {1};
    uint8_t verifier[RAY_TOKEN_VERIFIER_SIZE];
    uint8_t other[RAY_TOKEN_VERIFIER_SIZE];
    struct ray_id id;
    struct ray_id other_id;

    (void)state;
    ray_token_verifier(secret, verifier);
    assert_memory_not_equal(secret, verifier, sizeof secret);
    ray_token_id(verifier, &id);
    assert_memory_not_equal(id.bytes, verifier, RAY_ID_SIZE);
    secret[31] = 1;
    ray_token_verifier(secret, other);
    assert_memory_not_equal(verifier, other, sizeof other);
    ray_token_id(other, &other_id);
    assert_false(ray_id_equal(&id, &other_id));
}

static void test_files(void **state)
{
    static const char *const points[] = {"alloc", "open", "read"};
    char path[] = "token_test.XXXXXX";
    char text[RAY_TOKEN_TEXT_SIZE_MAX];
    static char big[RAY_TOKEN_TEXT_SIZE_MAX + 100];
    struct ray_token *token = make_full();
    struct ray_token *loaded = NULL;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    ray_token_format(token, text);
    memcpy(text + strlen(text), "\n", sizeof "\n");
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(ray_token_load(&loaded, AT_FDCWD, path, NULL), RAY_OK);
    assert_same(token, loaded);
    ray_token_destroy(loaded);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(ray_token_load_fd(&loaded, fd, NULL), RAY_OK);
    assert_same(token, loaded);
    ray_token_destroy(loaded);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            int rc;

            loaded = NULL;
            ray_test_fault_arm(points[i], n);
            rc = ray_token_load(&loaded, AT_FDCWD, path, NULL);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                ray_token_destroy(loaded);
                break;
            }
            assert_true(rc < 0);
            assert_null(loaded);
        }
    }
    memset(big, ' ', sizeof big);
    assert_int_equal(write(fd, big, sizeof big), sizeof big);
    assert_int_equal(ray_token_load(&loaded, AT_FDCWD, path, NULL), RAY_EMALFORMED);
    assert_int_equal(ray_token_load(&loaded, AT_FDCWD, "no-such-file", NULL), RAY_ENOTFOUND);
    ray_token_destroy(token);
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
    ray_token_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_largest),
        cmocka_unit_test(test_seeds),          cmocka_unit_test(test_mistyped),
        cmocka_unit_test(test_hostile_fields), cmocka_unit_test(test_verifier_and_id),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
