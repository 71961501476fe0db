/* identity_test.c - made once, loaded ever after, and a damaged key is never replaced in
 * silence. */
#include <sodium.h>
#include <yyjson.h>

#include "node/init/system/fake_root.h"
#include "node/init/system/identity.h"

#define KEY "data/identity/node.key"
#define DAMAGED "data/identity/node.key.damaged"

static int open_data(const struct fake_root *root)
{
    int fd;

    assert_int_equal(ray_make_dirs(root->fd, "data", 0755, NULL), RAY_OK);
    fd = openat(root->fd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void read_key(const struct fake_root *root, const char *path, uint8_t out[static 64])
{
    uint8_t *data = NULL;
    size_t size = 0;

    assert_int_equal(ray_file_read(root->fd, path, 4096, &data, &size, NULL), RAY_OK);
    assert_int_equal(size, 64);
    memcpy(out, data, 64);
    free(data);
}

static void test_create_and_load(void **state)
{
    struct fake_root *root = *state;
    struct init_identity first;
    struct init_identity again;
    int data_fd = open_data(root);
    struct ray_err err = {0};
    uint8_t secret[64];
    uint8_t hash[32];
    struct stat st;

    assert_int_equal(init_identity_open(root->fd, data_fd, true, NULL, &first, &err), RAY_OK);
    assert_int_equal(first.state, INIT_IDENTITY_CREATED);
    assert_true(first.is_persistent);
    assert_string_equal(first.reason, "");
    assert_int_equal(fstatat(root->fd, KEY, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    read_key(root, KEY, secret);
    assert_memory_equal(secret + 32, first.public_key, 32);
    (void)crypto_generichash(hash, 32, first.public_key, 32, NULL, 0);
    assert_memory_equal(hash, first.fingerprint, 32);
    assert_memory_equal(first.name, "n-", 2);
    assert_memory_equal(first.name + 2, first.fingerprint_hex, 8);
    assert_int_equal(strlen(first.name), 10);

    assert_int_equal(init_identity_open(root->fd, data_fd, true, NULL, &again, &err), RAY_OK);
    assert_int_equal(again.state, INIT_IDENTITY_LOADED);
    assert_memory_equal(again.public_key, first.public_key, 32);
    assert_string_equal(again.words, first.words);
    assert_string_equal(again.name, first.name);
    (void)close(data_fd);
}

static void test_names(void **state)
{
    static const char *const good[] = {"a", "node-1", "0", "abcdefghijklmnopqrstuvwxyz012345"};
    static const char *const bad[] = {"",    "-a",  "a-",    "A",
                                      "a_b", "a.b", "\x1b[", "abcdefghijklmnopqrstuvwxyz0123456"};
    struct fake_root *root = *state;
    struct init_identity identity;
    int data_fd = open_data(root);

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(init_identity_is_name(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(init_identity_is_name(bad[i]));
        assert_int_equal(init_identity_open(root->fd, data_fd, true, bad[i], &identity, NULL),
                         RAY_OK);
        assert_memory_equal(identity.name, "n-", 2);
    }
    /* A hint holds and is kept, until there is another one. */
    assert_int_equal(init_identity_open(root->fd, data_fd, true, "node1", &identity, NULL), RAY_OK);
    assert_string_equal(identity.name, "node1");
    assert_int_equal(init_identity_open(root->fd, data_fd, true, NULL, &identity, NULL), RAY_OK);
    assert_string_equal(identity.name, "node1");
    assert_int_equal(init_identity_open(root->fd, data_fd, true, "b", &identity, NULL), RAY_OK);
    assert_string_equal(identity.name, "b");
    fake_put(root, "data/identity/name", "Bad Name\n");
    assert_int_equal(init_identity_open(root->fd, data_fd, true, NULL, &identity, NULL), RAY_OK);
    assert_memory_equal(identity.name, "n-", 2);
    (void)close(data_fd);
}

static void check_damaged(const struct fake_root *root, int data_fd, const char *why)
{
    struct init_identity identity;
    struct ray_err err = {0};
    uint8_t secret[64];

    assert_int_equal(init_identity_open(root->fd, data_fd, true, NULL, &identity, &err), RAY_OK);
    assert_int_equal(identity.state, INIT_IDENTITY_DAMAGED);
    assert_false(identity.is_persistent);
    assert_string_equal(identity.key_folder, "/run/rayos/identity");
    assert_non_null(strstr(identity.reason, why));
    assert_false(fake_has(root, KEY));
    assert_true(fake_has(root, DAMAGED));
    read_key(root, "run/rayos/identity/node.key", secret);
    assert_memory_equal(secret + 32, identity.public_key, 32);
}

static void test_damaged(void **state)
{
    struct fake_root *root = *state;
    struct init_identity first;
    struct init_identity identity;
    int data_fd = open_data(root);
    uint8_t secret[64];
    char text[4096];

    assert_int_equal(init_identity_open(root->fd, data_fd, true, NULL, &first, NULL), RAY_OK);
    read_key(root, KEY, secret);
    /* One bit, in either half. */
    secret[40] ^= 1;
    fake_put_bytes(root, KEY, secret, 64);
    check_damaged(root, data_fd, "do not match");
    /* The next boot says so again, and makes nothing new on the disk. */
    check_damaged(root, data_fd, "set aside");
    /* A person puts the good key back: the old identity is there again. */
    secret[40] ^= 1;
    fake_put_bytes(root, KEY, secret, 64);
    assert_int_equal(init_identity_open(root->fd, data_fd, true, NULL, &identity, NULL), RAY_OK);
    assert_int_equal(identity.state, INIT_IDENTITY_LOADED);
    assert_memory_equal(identity.public_key, first.public_key, 32);
    /* Damaged a second time: the first evidence is not overwritten. */
    fake_put_bytes(root, KEY, secret, 63);
    assert_int_equal(init_identity_open(root->fd, data_fd, true, NULL, &identity, NULL), RAY_OK);
    assert_int_equal(identity.state, INIT_IDENTITY_DAMAGED);
    assert_true(fake_has(root, KEY));
    /* A person removes both: a new identity. */
    assert_int_equal(unlinkat(root->fd, KEY, 0), 0);
    assert_int_equal(unlinkat(root->fd, DAMAGED, 0), 0);
    assert_int_equal(init_identity_open(root->fd, data_fd, true, NULL, &identity, NULL), RAY_OK);
    assert_int_equal(identity.state, INIT_IDENTITY_CREATED);
    assert_memory_not_equal(identity.public_key, first.public_key, 32);
    (void)fake_get(root, "data/identity/name", text);
    (void)close(data_fd);
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = {0, 1, 32, 63, 65, 128, 4096, 4097};
    struct fake_root *root = *state;
    int data_fd = open_data(root);
    static uint8_t bytes[4097];

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fake_put_bytes(root, KEY, bytes, sizes[i]);
        check_damaged(root, data_fd, "key file");
        assert_int_equal(unlinkat(root->fd, DAMAGED, 0), 0);
    }
    (void)close(data_fd);
}

static void test_ram(void **state)
{
    struct fake_root *root = *state;
    struct init_identity identity;
    int data_fd = open_data(root);

    assert_int_equal(init_identity_open(root->fd, data_fd, false, "x", &identity, NULL), RAY_OK);
    assert_int_equal(identity.state, INIT_IDENTITY_CREATED);
    assert_false(identity.is_persistent);
    (void)close(data_fd);
}

/* A fault while the key is made leaves no key or a whole one; one while it is loaded
 * never ends in a new key on the disk. */
static void check_faults(const struct fake_root *root, const char *point, bool is_there)
{
    int data_fd = open_data(root);
    uint8_t before[64];

    if (is_there) {
        assert_int_equal(
            init_identity_open(root->fd, data_fd, true, NULL, &(struct init_identity){0}, NULL),
            RAY_OK);
        read_key(root, KEY, before);
    }
    for (unsigned n = 1;; n++) {
        struct init_identity identity;
        struct ray_err err = {0};
        uint8_t after[64];
        int rc;

        if (!is_there) {
            (void)unlinkat(root->fd, KEY, 0);
        }
        ray_test_fault_arm(point, n);
        rc = init_identity_open(root->fd, data_fd, true, NULL, &identity, &err);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_true(rc == RAY_OK || err.text[0] != '\0');
        if (fake_has(root, KEY)) {
            read_key(root, KEY, after);
        }
        if (is_there) {
            assert_memory_equal(before, after, 64);
        }
    }
    (void)close(data_fd);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"open", "write", "fsync", "rename", "read", "alloc"};

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        check_faults(*state, points[i], false);
        check_faults(*state, points[i], true);
    }
}

static void test_publish(void **state)
{
    struct fake_root *root = *state;
    struct init_identity identity;
    int data_fd = open_data(root);
    char text[4096];
    char id[33];
    yyjson_doc *doc;

    assert_int_equal(ray_make_dirs(root->fd, "etc", 0755, NULL), RAY_OK);
    assert_int_equal(init_identity_open(root->fd, data_fd, true, "node1", &identity, NULL), RAY_OK);
    assert_int_equal(init_identity_publish(&identity, root->fd, false, NULL), RAY_OK);
    assert_string_equal(fake_get(root, "etc/hostname", text), "node1\n");
    (void)fake_get(root, "etc/machine-id", text);
    assert_int_equal(strlen(text), 33);
    assert_int_equal(strspn(text, "0123456789abcdef"), 32);
    memcpy(id, text, 32);
    id[32] = '\0';
    assert_null(strstr(identity.fingerprint_hex, id));
    (void)fake_get(root, "run/rayos/identity.json", text);
    doc = yyjson_read(text, strlen(text), 0);
    assert_non_null(doc);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "name")), "node1");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "words")),
                        identity.words);
    assert_true(yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(doc), "persistent")));
    yyjson_doc_free(doc);
    for (unsigned n = 1;; n++) {
        ray_test_fault_arm("write", n);
        if (init_identity_publish(&identity, root->fd, false, NULL) == RAY_OK) {
            assert_false(ray_test_fault_disarm());
            break;
        }
        assert_true(ray_test_fault_disarm());
    }
    (void)close(data_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_and_load, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_names, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_damaged, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_sizes, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_ram, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_faults, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_publish, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
