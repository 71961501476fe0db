/* provisioning/store/store_internal.h - what the parts of the store share.
 *
 * store.c opens, lists and removes; store_use.c verifies and hands out; store_add.c copies;
 * folder.c is one release's folder on the disk.
 * Memory: see each struct.  Threads: the loop's, but for what a job owns.
 * Blocks: see functions.  Trust: as store.h. */
#ifndef RAY_PROVISIONING_STORE_STORE_INTERNAL_H
#define RAY_PROVISIONING_STORE_STORE_INTERNAL_H

#include "provisioning/store/content.h"
#include "provisioning/store/folder.h"
#include "provisioning/store/store.h"

/* Result of hashing one file; what it was is in `identity`. */
struct store_check {
    struct provision_identity identity;
    int fd; /* -1 unless err.code is RAY_OK */
    struct ray_err err;
};

struct store_verify_job; /* in the pool; frees itself when its file is gone */
struct store_add_job;

struct store_file {
    struct store_check last; /* the result that holds, when has_checked */
    bool has_checked;
    struct store_verify_job *job; /* NULL: none */
    struct provision_store_wait *waits;
    struct provision_store_wait **waits_end;
};

/* One release. Owned by the store's table. */
struct store_image {
    struct provision_store *store;
    struct store_folder_facts facts;
    struct store_file files[PROVISION_FILE_COUNT];
};

struct provision_store {
    struct ray_loop *loop;
    int dir_fd;                                            /* locked while it is open */
    struct store_image *images[PROVISION_STORE_COUNT_MAX]; /* the last added first */
    size_t image_count;
    struct store_add_job *add; /* NULL: none */
    unsigned answer_depth;     /* callbacks of waits that are running: no image may go now */
    struct provision_store_image listed[PROVISION_STORE_COUNT_MAX];
};

/* store_use.c. The image's waits end with `code` and `text`, its descriptors close. */
int store_image_create(struct store_image **out_image, struct provision_store *store,
                       const struct store_folder_facts *facts, struct ray_err *err);
void store_image_destroy(struct store_image *image, int code, const char *text);
/* What can be said of a file without hashing. */
enum provision_store_state store_file_state(const struct store_image *image,
                                            enum provision_file file, const char **out_why);

/* store.c */
struct store_image *store_find(const struct provision_store *store, const char *id,
                               size_t *out_index);
/* Takes the image out of the table; it is the caller's then. */
struct store_image *store_take(struct provision_store *store, size_t index);
/* Puts it first; the table has room. */
void store_put_first(struct provision_store *store, struct store_image *image);

/* store_add.c. The add's wait ends with RAY_ECANCELED. */
void store_add_abandon(struct provision_store *store);

#endif
