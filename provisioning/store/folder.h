/* provisioning/store/folder.h - one release's folder: found, made, removed.
 *
 *     <id>          a release; comes and goes by rename
 *     .new          being copied
 *     .old-<id>     being removed
 *
 * Memory: the caller's.  Threads: any; one at a time for each store (its owner sees to that).
 * Blocks: on the disk.  Trust: content is untrusted; names in the store are ours. */
#ifndef RAY_PROVISIONING_STORE_FOLDER_H
#define RAY_PROVISIONING_STORE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "provisioning/store/manifest.h"

enum {
    /* "<id>/manifest.json" and the other names */
    STORE_PATH_SIZE = PROVISION_SHA256_TEXT_SIZE + 16,
};

struct store_folder_facts {
    char id[PROVISION_SHA256_TEXT_SIZE];
    struct provision_manifest manifest; /* zeroed unless err.code is RAY_OK */
    uint64_t added_us;                  /* 0: not known */
    struct ray_err err;                 /* why manifest.json is no good */
};

/* Reads manifest.json and the time; what is wrong is in out->err. */
void store_folder_read(int store_fd, const char *id, struct store_folder_facts *out);

/* "<id>/<file>" */
void store_folder_path(const char *id, const char *file, char out[static STORE_PATH_SIZE]);

/* Copies a release: `fds` by enum provision_file, -1: not given. Kernel and initramfs that are not
 * given are taken from the UKI, which has both in it. On success the folder is
 * durable under its id, and *out says so. A folder that has the id already is replaced. After a
 * failure nothing new is visible. */
int store_folder_add(int store_fd, const uint8_t *manifest_text, size_t manifest_size,
                     const struct provision_manifest *manifest,
                     const int fds[static PROVISION_FILE_COUNT], uint64_t added_us, const char *id,
                     struct ray_err *err);

/* Out of sight for good; the files follow, at the latest at the next sweep. */
int store_folder_remove(int store_fd, const char *id, struct ray_err *err);

/* Removes what interrupted adds and removes have left. */
int store_folder_sweep(int store_fd, struct ray_err *err);

/* Ids of all releases, up to count_max; RAY_ETOOBIG beyond. */
int store_folder_list(int store_fd, char (*out_ids)[PROVISION_SHA256_TEXT_SIZE], size_t count_max,
                      size_t *out_count, struct ray_err *err);

#endif
