#include "provisioning/store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "provisioning/store/store_internal.h"

enum { ID_PREFIX_LENGTH_MIN = 6 };

const char *provision_store_state_word(enum provision_store_state state)
{
    static const char *const words[] = {
#define STATE_WORD(id, word) [PROVISION_STORE_##id] = (word),
        PROVISION_STORE_STATE_MAP(STATE_WORD)
#undef STATE_WORD
    };

    return words[state];
}

/* --- table --- */

struct store_image *store_find(const struct provision_store *store, const char *id,
                               size_t *out_index)
{
    for (size_t i = 0; i < store->image_count; i++) {
        if (strcmp(store->images[i]->facts.id, id) == 0) {
            *out_index = i;
            return store->images[i];
        }
    }
    return NULL;
}

struct store_image *store_take(struct provision_store *store, size_t index)
{
    struct store_image *image;

    assert(index < store->image_count && store->answer_depth == 0);
    image = store->images[index];
    store->image_count--;
    memmove(&store->images[index], &store->images[index + 1],
            (store->image_count - index) * sizeof(struct store_image *));
    return image;
}

void store_put_first(struct provision_store *store, struct store_image *image)
{
    assert(store->image_count < PROVISION_STORE_COUNT_MAX);
    memmove(&store->images[1], &store->images[0],
            store->image_count * sizeof(struct store_image *));
    store->images[0] = image;
    store->image_count++;
}

static int image_compare(const void *a, const void *b)
{
    const struct store_image *const *x = a;
    const struct store_image *const *y = b;

    if ((*x)->facts.added_us != (*y)->facts.added_us) {
        return (*x)->facts.added_us > (*y)->facts.added_us ? -1 : 1;
    }
    return strcmp((*x)->facts.id, (*y)->facts.id);
}

/* --- opening --- */

static int open_dir(struct provision_store *store, const char *dir, struct ray_err *err)
{
    int rc = ray_make_dirs(AT_FDCWD, dir, 0755, err);
    int errnum;

    if (rc != RAY_OK) {
        return rc;
    }
    errnum = ray_fault(RAY_FAULT_OPEN);
    if (errnum == 0) {
        store->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        errnum = store->dir_fd < 0 ? errno : 0;
    }
    if (errnum == 0 && flock(store->dir_fd, LOCK_EX | LOCK_NB) != 0) {
        errnum = errno;
    }
    if (errnum == EWOULDBLOCK) {
        (void)ray_fail(err, RAY_EEXISTS, "another process uses the images in %s", dir);
        (void)ray_next(err, "stop it, or use another folder");
        return RAY_EEXISTS;
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "open %s", dir);
}

static int load(struct provision_store *store, struct ray_err *err)
{
    char ids[PROVISION_STORE_COUNT_MAX][PROVISION_SHA256_TEXT_SIZE];
    struct store_folder_facts facts;
    size_t count = 0;
    int rc = store_folder_sweep(store->dir_fd, err);

    if (rc == RAY_OK) {
        rc = store_folder_list(store->dir_fd, ids, PROVISION_STORE_COUNT_MAX, &count, err);
    }
    for (size_t i = 0; rc == RAY_OK && i < count; i++) {
        store_folder_read(store->dir_fd, ids[i], &facts);
        rc = store_image_create(&store->images[i], store, &facts, err);
        store->image_count += rc == RAY_OK ? 1 : 0;
    }
    if (rc == RAY_OK) {
        qsort((void *)store->images, store->image_count, sizeof(struct store_image *),
              image_compare);
    }
    return rc;
}

int provision_store_create(struct provision_store **out_store, struct ray_loop *loop,
                           const char *dir, struct ray_err *err)
{
    struct provision_store *store;
    int rc;

    assert(dir[0] != '\0');
    if (sodium_init() < 0) {
        return ray_fail(err, RAY_EINTERNAL, "libsodium does not start");
    }
    store = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*store));
    if (store == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for the images");
    }
    store->loop = loop;
    store->dir_fd = -1;
    rc = open_dir(store, dir, err);
    if (rc == RAY_OK) {
        rc = load(store, err);
        if (rc != RAY_OK) {
            rc = ray_wrap(err, rc, "%s", dir);
        }
    }
    if (rc != RAY_OK) {
        provision_store_destroy(store);
        return rc;
    }
    *out_store = store;
    return RAY_OK;
}

void provision_store_destroy(struct provision_store *store)
{
    if (store == NULL) {
        return;
    }
    store_add_abandon(store);
    while (store->image_count > 0) {
        store_image_destroy(store_take(store, store->image_count - 1), RAY_ECANCELED,
                            "the service is stopping");
    }
    if (store->dir_fd >= 0) {
        (void)close(store->dir_fd); /* unlocks, unless an add has still to end */
    }
    free(store);
}

/* --- looking --- */

static void describe(const struct store_image *image, struct provision_store_image *out)
{
    bool is_verified = true;

    *out = (struct provision_store_image){.manifest = image->facts.manifest,
                                          .added_us = image->facts.added_us,
                                          .state = PROVISION_STORE_DAMAGED,
                                          .why = image->facts.err.text};
    memcpy(out->id, image->facts.id, sizeof(out->id));
    if (image->facts.err.code != RAY_OK) {
        return;
    }
    for (int i = 0; i < PROVISION_FILE_COUNT; i++) {
        enum provision_store_state state = PROVISION_STORE_VERIFIED;

        if (image->facts.manifest.files[i].size_bytes != 0) {
            state = store_file_state(image, (enum provision_file)i, &out->why);
        }
        if (state == PROVISION_STORE_DAMAGED) {
            return;
        }
        is_verified = is_verified && state == PROVISION_STORE_VERIFIED;
    }
    out->state = is_verified ? PROVISION_STORE_VERIFIED : PROVISION_STORE_UNVERIFIED;
    out->why = "";
}

size_t provision_store_list(struct provision_store *store,
                            const struct provision_store_image **out_images)
{
    for (size_t i = 0; i < store->image_count; i++) {
        describe(store->images[i], &store->listed[i]);
    }
    *out_images = store->listed;
    return store->image_count;
}

static bool is_id_prefix(const char *text)
{
    size_t length = strlen(text);

    return length >= ID_PREFIX_LENGTH_MIN && length < PROVISION_SHA256_TEXT_SIZE &&
           strspn(text, "0123456789abcdef") == length;
}

int provision_store_find(struct provision_store *store, const char *id_or_version,
                         struct provision_store_image *out_image, struct ray_err *err)
{
    const struct store_image *found = NULL;
    size_t match_count = 0;

    /* The table has the last added first: of several releases of a version, that one. */
    for (size_t i = store->image_count; i > 0; i--) {
        if (strcmp(store->images[i - 1]->facts.manifest.version, id_or_version) == 0 &&
            id_or_version[0] != '\0') {
            found = store->images[i - 1];
            match_count = 1;
        }
    }
    if (found == NULL && is_id_prefix(id_or_version)) {
        for (size_t i = 0; i < store->image_count; i++) {
            if (strncmp(store->images[i]->facts.id, id_or_version, strlen(id_or_version)) == 0) {
                found = store->images[i];
                match_count++;
            }
        }
    }
    if (match_count > 1) {
        return ray_fail(err, RAY_ECONFLICT, "%zu images begin with %s", match_count, id_or_version);
    }
    if (found == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "there is no image '%s'", id_or_version);
    }
    describe(found, out_image);
    return RAY_OK;
}

/* --- removing --- */

/* An add that goes on may be replacing any of them. */
static int refuse_while_adding(const struct provision_store *store, struct ray_err *err)
{
    if (store->add == NULL) {
        return RAY_OK;
    }
    (void)ray_fail(err, RAY_EUNAVAILABLE, "an image is being added");
    (void)ray_next(err, "try again when it is done");
    return RAY_EUNAVAILABLE;
}

static int remove_at(struct provision_store *store, size_t index, struct ray_err *err)
{
    int rc = store_folder_remove(store->dir_fd, store->images[index]->facts.id, err);

    /* After a failed sync it may come back at the next start; now it is out of sight. */
    if (rc == RAY_OK ||
        provision_identity_at(store->dir_fd, store->images[index]->facts.id).inode == 0) {
        store_image_destroy(store_take(store, index), RAY_ECANCELED, "the image was removed");
    }
    return rc;
}

int provision_store_remove(struct provision_store *store, const char *id,
                           const struct provision_gc_rule *rule,
                           const struct provision_gc_use *uses, size_t use_count, uint64_t now_us,
                           bool is_forced, struct ray_err *err)
{
    size_t index = 0;
    int rc = refuse_while_adding(store, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (store_find(store, id, &index) == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "there is no image %.64s", id);
    }
    if (!is_forced && provision_gc_is_in_use(id, rule, uses, use_count, now_us)) {
        return ray_fail(err, RAY_ECONFLICT, "image %.12s is in use: assigned, or served lately",
                        id);
    }
    return remove_at(store, index, err);
}

int provision_store_collect(struct provision_store *store, const struct provision_gc_rule *rule,
                            const struct provision_gc_use *uses, size_t use_count, uint64_t now_us,
                            struct ray_err *err)
{
    struct provision_gc_image images[PROVISION_STORE_COUNT_MAX];
    bool goes[PROVISION_STORE_COUNT_MAX];
    const struct provision_store_image *listed = NULL;
    size_t count = provision_store_list(store, &listed);
    struct ray_err own = {0};
    int first_rc = RAY_OK;
    int removed_count = 0;
    int rc = refuse_while_adding(store, err);

    if (rc != RAY_OK) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        images[i] = (struct provision_gc_image){
            .id = listed[i].id, .is_damaged = listed[i].state == PROVISION_STORE_DAMAGED};
    }
    (void)provision_gc_plan(images, count, rule, uses, use_count, now_us, goes);
    for (size_t i = count; i > 0; i--) { /* from the end: what is left keeps its index */
        rc = goes[i - 1] ? remove_at(store, i - 1, &own) : RAY_OK;
        removed_count += goes[i - 1] && rc == RAY_OK ? 1 : 0;
        if (rc != RAY_OK && first_rc == RAY_OK) {
            first_rc = rc;
            if (err != NULL) {
                *err = own;
            }
        }
    }
    return first_rc == RAY_OK ? removed_count : first_rc;
}
