/* The key is made once. Order: secret first, atomically, so that a power cut leaves either
 * no identity or a whole one; public half and name can always be derived again. */
#include "node/init/system/identity.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/atomic_file.h"
#include "base/fault.h"

#define KEY_FILE "identity/node.key"
#define PUBLIC_FILE "identity/node.pub"
#define NAME_FILE "identity/name"
#define DAMAGED_FILE "identity/node.key.damaged"
#define EPHEMERAL_FOLDER "run/rayos"

static_assert(crypto_sign_PUBLICKEYBYTES == INIT_IDENTITY_KEY_SIZE, "Ed25519 public key");

bool init_identity_is_name(const char *name)
{
    size_t size = strlen(name);

    return size >= 1 && size < INIT_IDENTITY_NAME_SIZE_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == size && name[0] != '-' &&
           name[size - 1] != '-';
}

/* Whether `secret` is what its seed gives; then *out_public is its public half. */
static bool is_key_pair(const uint8_t *secret, uint8_t *out_public)
{
    uint8_t again[crypto_sign_SECRETKEYBYTES];
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    bool is_equal;

    (void)crypto_sign_seed_keypair(public_key, again, secret); /* always 0 */
    is_equal = sodium_memcmp(again, secret, sizeof again) == 0;
    sodium_memzero(again, sizeof again);
    if (is_equal) {
        memcpy(out_public, public_key, sizeof public_key);
    }
    return is_equal;
}

/* RAY_OK, RAY_ENOTFOUND (no file), RAY_EMALFORMED (damaged), or why it cannot be read. */
static int load_key(int data_fd, uint8_t *out_public, struct ray_err *err)
{
    uint8_t *secret = NULL;
    size_t size = 0;
    int rc;

    rc = ray_file_read(data_fd, KEY_FILE, 4096, &secret, &size, err);
    if (rc == RAY_ETOOBIG) {
        return ray_fail(err, RAY_EMALFORMED, "key file above 4096 bytes, not %u",
                        crypto_sign_SECRETKEYBYTES);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (size != crypto_sign_SECRETKEYBYTES) {
        rc = ray_fail(err, RAY_EMALFORMED, "key file of %zu bytes, not %u", size,
                      crypto_sign_SECRETKEYBYTES);
    } else if (!is_key_pair(secret, out_public)) {
        rc = ray_fail(err, RAY_EMALFORMED, "the halves of the key do not match");
    }
    if (secret != NULL) {
        sodium_memzero(secret, size);
    }
    free(secret);
    return rc;
}

static int make_key(int folder_fd, uint8_t *out_public, struct ray_err *err)
{
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    int rc;

    rc = ray_make_dirs(folder_fd, "identity", S_IRWXU, err);
    if (rc != RAY_OK) {
        return rc;
    }
    (void)crypto_sign_keypair(public_key, secret); /* always 0 */
    rc = ray_atomic_write(folder_fd, KEY_FILE, secret, sizeof secret, S_IRUSR | S_IWUSR, err);
    sodium_memzero(secret, sizeof secret);
    if (rc == RAY_OK) {
        memcpy(out_public, public_key, sizeof public_key);
    }
    return rc;
}

/* Moves a damaged key out of the way of whoever opens node.key, keeping its bytes. A second
 * damaged file does not replace the first: it stays where it is. */
static int set_aside(int data_fd, struct ray_err *err)
{
    int errnum = ray_fault(RAY_FAULT_RENAME);

    if (errnum == 0 && renameat2(data_fd, KEY_FILE, data_fd, DAMAGED_FILE, RENAME_NOREPLACE) != 0) {
        errnum = errno;
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "setting the key file aside");
}

/* A key for this boot only, below /run. */
static int use_ephemeral(int root_fd, const char *reason, struct init_identity *out,
                         struct ray_err *err)
{
    int run_fd;
    int rc;

    out->state = INIT_IDENTITY_DAMAGED;
    out->is_persistent = false;
    out->key_folder = "/" EPHEMERAL_FOLDER "/identity";
    (void)snprintf(out->reason, sizeof out->reason, "%s", reason);
    rc = ray_make_dirs(root_fd, EPHEMERAL_FOLDER, 0755, err);
    if (rc != RAY_OK) {
        return rc;
    }
    run_fd = openat(root_fd, EPHEMERAL_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run_fd < 0) {
        return ray_fail_errno(err, errno, "folder /" EPHEMERAL_FOLDER);
    }
    rc = make_key(run_fd, out->public_key, err);
    (void)close(run_fd);
    return rc;
}

static int open_key(int root_fd, int data_fd, bool is_disk, struct init_identity *out,
                    struct ray_err *err)
{
    struct ray_err why = {0};
    int rc = load_key(data_fd, out->public_key, &why);

    if (rc == RAY_OK) {
        out->state = INIT_IDENTITY_LOADED;
        return RAY_OK;
    }
    if (rc == RAY_EMALFORMED) {
        struct ray_err aside = {0};

        /* When that fails it is found again at the next boot. */
        (void)set_aside(data_fd, &aside);
        return use_ephemeral(root_fd, why.text, out, err);
    }
    if (rc != RAY_ENOTFOUND) {
        return use_ephemeral(root_fd, why.text, out, err);
    }
    if (faccessat(data_fd, DAMAGED_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        return use_ephemeral(root_fd, "a damaged key was set aside as " DAMAGED_FILE, out, err);
    }
    out->state = INIT_IDENTITY_CREATED;
    out->is_persistent = is_disk;
    return make_key(data_fd, out->public_key, err);
}

static void describe(struct init_identity *identity)
{
    (void)crypto_generichash(identity->fingerprint, sizeof identity->fingerprint,
                             identity->public_key, sizeof identity->public_key, NULL, 0);
    (void)sodium_bin2hex(identity->fingerprint_hex, sizeof identity->fingerprint_hex,
                         identity->fingerprint, sizeof identity->fingerprint);
    (void)ray_words_format(identity->fingerprint, identity->words);
}

static void choose_name(int data_fd, const char *name_hint, struct init_identity *identity)
{
    char stored[INIT_IDENTITY_NAME_SIZE_MAX];

    if (name_hint != NULL && init_identity_is_name(name_hint)) {
        (void)snprintf(identity->name, sizeof identity->name, "%s", name_hint);
    } else if (identity->state == INIT_IDENTITY_LOADED &&
               ray_file_read_text(data_fd, NAME_FILE, stored, sizeof stored, NULL) == RAY_OK &&
               init_identity_is_name(stored)) {
        (void)snprintf(identity->name, sizeof identity->name, "%s", stored);
    } else {
        (void)snprintf(identity->name, sizeof identity->name, "n-%.8s", identity->fingerprint_hex);
    }
}

/* Writes a small file unless it holds just that already. */
static int keep_file(int data_fd, const char *path, const void *data, size_t size, mode_t mode,
                     struct ray_err *err)
{
    uint8_t *old = NULL;
    size_t old_size = 0;
    bool is_same;

    is_same = ray_file_read(data_fd, path, 4096, &old, &old_size, NULL) == RAY_OK &&
              old_size == size && memcmp(old, data, size) == 0;
    free(old);
    return is_same ? RAY_OK : ray_atomic_write(data_fd, path, data, size, mode, err);
}

int init_identity_open(int root_fd, int data_fd, bool is_disk, const char *name_hint,
                       struct init_identity *out, struct ray_err *err)
{
    struct init_identity identity = {.is_persistent = is_disk, .key_folder = "/var/rayos/identity"};
    int rc;

    if (sodium_init() < 0) {
        return ray_fail(err, RAY_EINTERNAL, "libsodium does not start");
    }
    rc = open_key(root_fd, data_fd, is_disk, &identity, err);
    if (rc != RAY_OK) {
        return ray_wrap(err, rc, "the node's key");
    }
    describe(&identity);
    choose_name(data_fd, name_hint, &identity);
    if (identity.state != INIT_IDENTITY_DAMAGED) {
        struct ray_err kept = {0};

        /* Both can be derived again: a full disk must not stop the node. */
        if (keep_file(data_fd, PUBLIC_FILE, identity.public_key, sizeof identity.public_key, 0644,
                      &kept) != RAY_OK ||
            keep_file(data_fd, NAME_FILE, identity.name, strlen(identity.name), 0644, &kept) !=
                RAY_OK) {
            (void)snprintf(identity.reason, sizeof identity.reason, "not stored: %.140s",
                           kept.text);
        }
    }
    *out = identity;
    return RAY_OK;
}

static const char *state_word(enum init_identity_state state)
{
    switch (state) {
    case INIT_IDENTITY_LOADED:
        return "loaded";
    case INIT_IDENTITY_CREATED:
        return "created";
    case INIT_IDENTITY_DAMAGED:
        return "damaged";
    }
    return "unknown";
}

static int write_json(const struct init_identity *identity, int root_fd, struct ray_err *err)
{
    char key_hex[2 * INIT_IDENTITY_KEY_SIZE + 1];
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char *text = NULL;
    size_t size = 0;
    int rc;

    (void)sodium_bin2hex(key_hex, sizeof key_hex, identity->public_key,
                         sizeof identity->public_key);
    yyjson_mut_doc_set_root(doc, root);
    if (ray_fault(RAY_FAULT_ALLOC) == 0 &&
        yyjson_mut_obj_add_str(doc, root, "name", identity->name) &&
        yyjson_mut_obj_add_str(doc, root, "fingerprint", identity->fingerprint_hex) &&
        yyjson_mut_obj_add_str(doc, root, "words", identity->words) &&
        yyjson_mut_obj_add_str(doc, root, "public_key_hex", key_hex) &&
        yyjson_mut_obj_add_bool(doc, root, "persistent", identity->is_persistent) &&
        yyjson_mut_obj_add_str(doc, root, "state", state_word(identity->state)) &&
        yyjson_mut_obj_add_str(doc, root, "reason", identity->reason) &&
        yyjson_mut_obj_add_str(doc, root, "key_folder", identity->key_folder)) {
        text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, &size);
    }
    rc = text == NULL ? ray_fail(err, RAY_ENOMEM, "identity.json")
                      : ray_atomic_write(root_fd, "run/rayos/identity.json", text, size, 0644, err);
    free(text);
    yyjson_mut_doc_free(doc);
    return rc;
}

/* 32 hex digits and a newline, as machine-id(5) wants; under a hash domain of its own. */
static int write_machine_id(const struct init_identity *identity, int root_fd, struct ray_err *err)
{
    static const uint8_t domain[] = "rayos machine-id";
    uint8_t id[16];
    char text[2 * sizeof id + 2];

    (void)crypto_generichash(id, sizeof id, identity->public_key, sizeof identity->public_key,
                             domain, sizeof domain - 1);
    (void)sodium_bin2hex(text, sizeof text, id, sizeof id);
    text[2 * sizeof id] = '\n';
    return ray_atomic_write(root_fd, "etc/machine-id", text, 2 * sizeof id + 1, 0444, err);
}

int init_identity_publish(const struct init_identity *identity, int root_fd, bool sets_hostname,
                          struct ray_err *err)
{
    char line[INIT_IDENTITY_NAME_SIZE_MAX + 1];
    int rc;

    if (sets_hostname && sethostname(identity->name, strlen(identity->name)) != 0) {
        return ray_fail_errno(err, errno, "hostname %s", identity->name);
    }
    (void)snprintf(line, sizeof line, "%s\n", identity->name);
    rc = ray_make_dirs(root_fd, "etc", 0755, err); /* below a folder of a test there is none */
    if (rc == RAY_OK) {
        rc = ray_atomic_write(root_fd, "etc/hostname", line, strlen(line), 0644, err);
    }
    if (rc == RAY_OK) {
        rc = write_machine_id(identity, root_fd, err);
    }
    if (rc == RAY_OK) {
        rc = ray_make_dirs(root_fd, "run/rayos", 0755, err);
    }
    if (rc == RAY_OK) {
        rc = write_json(identity, root_fd, err);
    }
    return rc;
}
