/* provisioning/store/store.h - the images that a provisioner has, side by side, each named by
 * what is in it.
 *
 *     DIR/<id>/manifest.json rayos.efi vmlinuz initrd added
 *
 * id is the SHA-256 of manifest.json, which names each file's SHA-256: one number for the whole
 * release. A folder comes by rename when all of it is on stable storage, so a damaged or
 * incomplete release is never visible, whatever is interrupted. A file is hashed whole before
 * its first byte is served, and again whenever it is another file than before (device, inode,
 * size, times); the descriptor that is served is the one that was hashed. A failed check holds
 * until the file changes, so that no flood of requests keeps a disk busy.
 *
 * Memory: create/destroy; waits and their strings are the caller's until the callback; what
 * list returns is valid until the loop's next turn, and no longer than the next call that
 * changes the store.
 * Threads: the loop's; copying and hashing run in libuv's pool.
 * Blocks: open (reads the manifests), add_now, remove: on the disk; the others never.
 * Trust: the folder's content may be damaged or change under us; what is added is untrusted. */
#ifndef RAY_PROVISIONING_STORE_STORE_H
#define RAY_PROVISIONING_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "provisioning/store/gc.h"
#include "provisioning/store/manifest.h"

enum {
    PROVISION_STORE_COUNT_MAX = 64,
    PROVISION_STORE_SOURCE_COUNT_MAX = 1 + PROVISION_FILE_COUNT,
};

struct provision_store;

/* Opens the folder, made where it is missing, and removes what an interrupted add or remove has
 * left. One process at a time: RAY_EEXISTS when another has it open. A damaged release does not
 * hinder the others. */
int provision_store_create(struct provision_store **out_store, struct ray_loop *loop,
                           const char *dir, struct ray_err *err);
/* Ends open waits with RAY_ECANCELED; an add in progress comes to its end on disk or leaves
 * nothing. NULL is fine. */
void provision_store_destroy(struct provision_store *store);

/* --- looking --- */

/* X(id, word) */
#define PROVISION_STORE_STATE_MAP(X)                                                               \
    X(UNVERIFIED, "unverified") /* not every file was hashed since the start */                    \
    X(VERIFIED, "verified")     /* every file was, and none has changed since */                   \
    X(DAMAGED, "damaged")       /* a file is missing or is not what the manifest says */

enum provision_store_state {
#define PROVISION_STORE_STATE_ENUM(id, word) PROVISION_STORE_##id,
    PROVISION_STORE_STATE_MAP(PROVISION_STORE_STATE_ENUM)
#undef PROVISION_STORE_STATE_ENUM
};

const char *provision_store_state_word(enum provision_store_state state);

struct provision_store_image {
    char id[PROVISION_SHA256_TEXT_SIZE];
    struct provision_manifest manifest; /* zeroed when manifest.json itself is damaged */
    uint64_t added_us; /* realtime, and later than that of every image added before */
    enum provision_store_state state;
    const char *why; /* DAMAGED: what is wrong; else "" */
};

/* All images, the last added first. Looks at the files' facts (stat), hashes nothing. The table
 * belongs to the store. */
size_t provision_store_list(struct provision_store *store,
                            const struct provision_store_image **out_images);

/* By id; by a unique beginning of an id of at least 6 digits; or by version (the last added of
 * that version). RAY_ENOTFOUND; RAY_ECONFLICT: several ids begin so. */
int provision_store_find(struct provision_store *store, const char *id_or_version,
                         struct provision_store_image *out_image, struct ray_err *err);

/* --- serving --- */

struct provision_store_view {
    const char *id;
    const struct provision_manifest *manifest;
    enum provision_file file;
    int fd; /* borrowed: duplicate it; read it at offsets. Stays good when the image is removed */
};

struct provision_store_wait {
    struct provision_store_wait *next;
    /* `view` is NULL when no verified file can be had: `err` says why: RAY_ENOTFOUND (no such
     * image, the release has no such file, or it is gone), RAY_EMALFORMED, RAY_ECONFLICT (not
     * what the manifest says), RAY_ECANCELED (removed or stopped meanwhile), ...
     * It may use another file, but not change the store. */
    void (*cb)(void *arg, const struct provision_store_view *view, const struct ray_err *err);
    void *arg;
};

/* Calls wait->cb once: from within when the file has not changed since its last check, else
 * after a new one. `id` is a whole id; it is copied. */
void provision_store_use(struct provision_store *store, const char *id, enum provision_file file,
                         struct provision_store_wait *wait);

/* --- changing --- */

struct provision_store_source {
    const char *name; /* manifest.json, rayos.efi, vmlinuz, initrd */
    int fd;           /* of a regular file, readable; its position does not matter */
};

struct provision_store_added {
    char id[PROVISION_SHA256_TEXT_SIZE];
    char version[PROVISION_VERSION_SIZE];
    bool is_new; /* false: it was there already and stays as it is (a damaged one is replaced) */
};

struct provision_store_add_wait {
    void (*cb)(void *arg, const struct provision_store_added *added, const struct ray_err *err);
    void *arg;
};

/* Copies a release into the store: the manifest, and each file that it names, hashed while it
 * is copied. Descriptors are duplicated: the caller may close its own at once.
 * Failures before anything is copied are returned: RAY_EUNAVAILABLE (another add is going on),
 * RAY_EINVAL (unknown or double name, no regular file), RAY_ENOMEM. All others, and success,
 * come by wait->cb: RAY_EMALFORMED, RAY_ECONFLICT (a file is not what the manifest says),
 * RAY_ENOTFOUND (a file that the manifest names is neither given nor in the UKI), RAY_ETOOBIG
 * (limits; the store is full), RAY_ENOSPC, RAY_EIO. */
int provision_store_add(struct provision_store *store, const struct provision_store_source *sources,
                        size_t source_count, struct provision_store_add_wait *wait,
                        struct ray_err *err);

/* The same from a folder like build/image. */
int provision_store_add_dir(struct provision_store *store, const char *dir,
                            struct provision_store_add_wait *wait, struct ray_err *err);

/* For the start, before the loop runs: adds at once. */
int provision_store_add_dir_now(struct provision_store *store, const char *dir,
                                struct provision_store_added *out_added, struct ray_err *err);

/* RAY_ENOTFOUND; RAY_EUNAVAILABLE while an add goes on; RAY_ECONFLICT when `uses` says that it is
 * assigned or was served within the rule's time, unless forced. Transfers that go on keep their
 * descriptors. */
int provision_store_remove(struct provision_store *store, const char *id,
                           const struct provision_gc_rule *rule,
                           const struct provision_gc_use *uses, size_t use_count, uint64_t now_us,
                           bool is_forced, struct ray_err *err);

/* Removes what provision_gc_plan says of the store's images. Returns how many, or the first
 * failure (the rest is tried, too); RAY_EUNAVAILABLE while an add goes on. */
int provision_store_collect(struct provision_store *store, const struct provision_gc_rule *rule,
                            const struct provision_gc_use *uses, size_t use_count, uint64_t now_us,
                            struct ray_err *err);

#endif
