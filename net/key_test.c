#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"
#include "net/key.h"

static struct ray_key *make_key(uint8_t number, uint32_t generation)
{
    uint8_t seed[crypto_sign_SEEDBYTES];
    uint8_t identity[RAY_KEY_SIZE];
    uint8_t secret[RAY_KEY_SECRET_SIZE];
    struct ray_key *key = NULL;

    memset(seed, number, sizeof seed);
    (void)crypto_sign_seed_keypair(identity, secret, seed);
    assert_int_equal(ray_key_create(&key, secret, generation, NULL), RAY_OK);
    assert_memory_equal(ray_key_identity(key), identity, sizeof identity);
    return key;
}

static void test_derived_from_one_secret(void **state)
{
    struct ray_key *key = make_key(1, 0);
    struct ray_key *again = make_key(1, 0);
    struct ray_key *next = make_key(1, 1);
    struct ray_key *other = make_key(2, 0);
    uint8_t public_key[RAY_KEY_SIZE];

    (void)state;
    assert_memory_equal(ray_key_static(key), ray_key_static(again), RAY_KEY_SIZE);
    assert_memory_not_equal(ray_key_static(key), ray_key_static(next), RAY_KEY_SIZE);
    assert_memory_not_equal(ray_key_static(key), ray_key_static(other), RAY_KEY_SIZE);
    assert_memory_equal(ray_key_identity(key), ray_key_identity(next), RAY_KEY_SIZE);
    assert_int_equal(ray_key_generation(next), 1);
    (void)crypto_scalarmult_base(public_key, ray_key_static_secret(key));
    assert_memory_equal(public_key, ray_key_static(key), RAY_KEY_SIZE);
    ray_key_destroy(key);
    ray_key_destroy(again);
    ray_key_destroy(next);
    ray_key_destroy(other);
}

/* What is stored and shown elsewhere must never change: computed once with another program. */
static void test_known_answer(void **state)
{
    struct ray_key *key = make_key(0, 0);
    char hex[2 * RAY_KEY_SIZE + 1];
    struct ray_id id;
    char id_text[RAY_ID_TEXT_SIZE];

    (void)state;
    (void)sodium_bin2hex(hex, sizeof hex, ray_key_static(key), RAY_KEY_SIZE);
    assert_string_equal(hex, "cf769e9cbacb2f0a2275b022e8eaa71451c4cf786d80a99fcead5c176712eb51");
    ray_key_node_id(ray_key_identity(key), &id);
    assert_string_equal(ray_id_format(&id, id_text), "65053ae58337785c26e7ea2d950f6cb5");
    ray_key_destroy(key);
}

static void test_halves_must_match(void **state)
{
    uint8_t secret[RAY_KEY_SECRET_SIZE];
    uint8_t identity[RAY_KEY_SIZE];
    struct ray_key *key = NULL;

    (void)state;
    (void)crypto_sign_keypair(identity, secret);
    secret[40] ^= 1;
    assert_int_equal(ray_key_create(&key, secret, 0, NULL), RAY_EMALFORMED);
    assert_null(key);
}

static void test_proof(void **state)
{
    struct ray_key *key = make_key(3, 7);
    struct ray_key *other = make_key(4, 7);
    uint8_t proof[RAY_KEY_PROOF_SIZE];
    uint8_t identity[RAY_KEY_SIZE] = {0};

    (void)state;
    ray_key_proof(key, proof);
    assert_int_equal(ray_key_proof_check(proof, ray_key_static(key), identity, NULL), RAY_OK);
    assert_memory_equal(identity, ray_key_identity(key), RAY_KEY_SIZE);
    assert_int_equal(ray_key_proof_check(proof, ray_key_static(key), NULL, NULL), RAY_OK);
    /* Another's static key cannot be claimed. */
    memset(identity, 0, sizeof identity);
    assert_int_equal(ray_key_proof_check(proof, ray_key_static(other), identity, NULL),
                     RAY_EDENIED);
    assert_int_equal(identity[0], 0);
    for (size_t i = 0; i < sizeof proof; i++) {
        proof[i] ^= (uint8_t)(1U << (i % 8));
        assert_int_equal(ray_key_proof_check(proof, ray_key_static(key), NULL, NULL), RAY_EDENIED);
        proof[i] ^= (uint8_t)(1U << (i % 8));
    }
    ray_key_destroy(key);
    ray_key_destroy(other);
}

static void test_statements(void **state)
{
    struct ray_key *key = make_key(5, 0);
    struct ray_key *other = make_key(6, 0);
    uint8_t signature[RAY_KEY_SIGNATURE_SIZE];
    const uint8_t *identity = ray_key_identity(key);

    (void)state;
    ray_key_sign(key, "recover", "abc", 3, signature);
    assert_int_equal(ray_key_verify(identity, "recover", "abc", 3, signature, NULL), RAY_OK);
    assert_int_equal(ray_key_verify(identity, "confirm-off", "abc", 3, signature, NULL),
                     RAY_EDENIED);
    assert_int_equal(ray_key_verify(identity, "recove", "rabc", 4, signature, NULL), RAY_EDENIED);
    assert_int_equal(ray_key_verify(identity, "recover", "abd", 3, signature, NULL), RAY_EDENIED);
    assert_int_equal(ray_key_verify(ray_key_identity(other), "recover", "abc", 3, signature, NULL),
                     RAY_EDENIED);
    ray_key_sign(key, "recover", NULL, 0, signature);
    assert_int_equal(ray_key_verify(identity, "recover", NULL, 0, signature, NULL), RAY_OK);
    ray_key_destroy(key);
    ray_key_destroy(other);
}

/* ---- files ---- */

static int make_folder(char *path)
{
    assert_non_null(mkdtemp(path));
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void put_file(int dir_fd, const char *name, size_t size)
{
    static const uint8_t bytes[100];
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    (void)close(fd);
}

static void test_files(void **state)
{
    char path[] = "key_test.XXXXXX";
    int dir_fd = make_folder(path);
    struct ray_key *key = NULL;
    struct ray_key *loaded = NULL;
    struct ray_err err = {0};
    struct stat info;
    int fd;

    (void)state;
    assert_int_equal(ray_key_generate(&key, NULL), RAY_OK);
    assert_int_equal(ray_key_save(key, dir_fd, "k", NULL), RAY_OK);
    assert_int_equal(fstatat(dir_fd, "k", &info, 0), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, RAY_KEY_SECRET_SIZE);
    assert_int_equal(ray_key_load(&loaded, dir_fd, "k", 0, NULL), RAY_OK);
    assert_memory_equal(ray_key_static(loaded), ray_key_static(key), RAY_KEY_SIZE);
    ray_key_destroy(loaded);
    fd = openat(dir_fd, "k", O_RDONLY | O_CLOEXEC);
    assert_int_equal(ray_key_load_fd(&loaded, fd, 1, NULL), RAY_OK);
    assert_memory_not_equal(ray_key_static(loaded), ray_key_static(key), RAY_KEY_SIZE);
    ray_key_destroy(loaded);
    /* At its end there is no key. */
    assert_int_equal(ray_key_load_fd(&loaded, fd, 1, NULL), RAY_EMALFORMED);
    (void)close(fd);

    assert_int_equal(ray_key_load(&loaded, dir_fd, "none", 0, &err), RAY_ENOTFOUND);
    for (size_t size = 0; size <= 70; size++) {
        put_file(dir_fd, "bad", size);
        assert_int_equal(ray_key_load(&loaded, dir_fd, "bad", 0, NULL), RAY_EMALFORMED);
    }
    ray_key_destroy(key);
    assert_int_equal(unlinkat(dir_fd, "k", 0), 0);
    assert_int_equal(unlinkat(dir_fd, "bad", 0), 0);
    (void)close(dir_fd);
    assert_int_equal(rmdir(path), 0);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "read"};
    char path[] = "key_test.XXXXXX";
    int dir_fd = make_folder(path);
    struct ray_key *key = make_key(1, 0);

    (void)state;
    assert_int_equal(ray_key_save(key, dir_fd, "k", NULL), RAY_OK);
    ray_key_destroy(key);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            struct ray_key *loaded = NULL;
            int rc;

            ray_test_fault_arm(points[i], n);
            rc = ray_key_load(&loaded, dir_fd, "k", 0, NULL);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                ray_key_destroy(loaded);
                break;
            }
            assert_true(rc < 0);
            assert_null(loaded);
        }
    }
    assert_int_equal(unlinkat(dir_fd, "k", 0), 0);
    (void)close(dir_fd);
    assert_int_equal(rmdir(path), 0);
    ray_key_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derived_from_one_secret),
        cmocka_unit_test(test_known_answer),
        cmocka_unit_test(test_halves_must_match),
        cmocka_unit_test(test_proof),
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
