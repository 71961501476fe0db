/* The order is the point: every byte of a release is on stable storage before rename shows it,
 * and out of sight before the first byte of it goes. */
#include "provisioning/store/folder.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "base/size.h"
#include "provisioning/store/content.h"

#define NEW_NAME ".new"
#define OLD_PREFIX ".old-"
#define ADDED_NAME "added"

enum { FILE_MODE = 0644, FOLDER_MODE = 0755, SWEEP_COUNT_MAX = 64 };

void store_folder_path(const char *id, const char *file, char out[static STORE_PATH_SIZE])
{
    int length = snprintf(out, STORE_PATH_SIZE, "%s/%s", id, file);

    assert(length > 0 && length < STORE_PATH_SIZE);
}

static int open_folder(int dir_fd, const char *name, struct ray_err *err)
{
    int fd = ray_fault(RAY_FAULT_OPEN) != 0
                 ? -1
                 : openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd >= 0 ? fd : ray_fail_errno(err, errno, "open folder %s", name);
}

static int sync_folder(int fd, const char *name, struct ray_err *err)
{
    int errnum = ray_fault(RAY_FAULT_FSYNC);

    if (errnum == 0 && fsync(fd) != 0) {
        errnum = errno;
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "sync folder %s", name);
}

static int rename_folder(int store_fd, const char *from, const char *to, struct ray_err *err)
{
    int errnum = ray_fault(RAY_FAULT_RENAME);

    if (errnum == 0 && renameat(store_fd, from, store_fd, to) != 0) {
        errnum = errno;
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "rename %s to %s", from, to);
}

/* --- reading --- */

static uint64_t read_added(int store_fd, const char *id)
{
    char path[STORE_PATH_SIZE];
    char text[32];
    uint64_t added_us = 0;

    store_folder_path(id, ADDED_NAME, path);
    if (ray_file_read_text(store_fd, path, text, sizeof(text), NULL) != RAY_OK ||
        ray_parse_u64(text, 0, UINT64_MAX, &added_us) != RAY_OK) {
        return 0; /* it sorts as the oldest, nothing more depends on it */
    }
    return added_us;
}

void store_folder_read(int store_fd, const char *id, struct store_folder_facts *out)
{
    char digest[PROVISION_SHA256_TEXT_SIZE];
    char path[STORE_PATH_SIZE];
    uint8_t *text = NULL;
    size_t size = 0;
    int rc;

    *out = (struct store_folder_facts){.added_us = read_added(store_fd, id)};
    (void)snprintf(out->id, sizeof(out->id), "%s", id);
    store_folder_path(id, PROVISION_MANIFEST_FILE, path);
    rc = ray_file_read(store_fd, path, PROVISION_MANIFEST_SIZE_MAX, &text, &size, &out->err);
    if (rc == RAY_OK) {
        provision_hash_bytes(text, size, digest);
        if (strcmp(digest, id) != 0) {
            rc = ray_fail(&out->err, RAY_ECONFLICT,
                          PROVISION_MANIFEST_FILE " is corrupt: its SHA-256 is %.16s...", digest);
        }
    }
    if (rc == RAY_OK) {
        rc = provision_manifest_parse(text, size, &out->manifest, &out->err);
    }
    free(text);
    out->err.code = rc;
}

static int id_compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

int store_folder_list(int store_fd, char (*out_ids)[PROVISION_SHA256_TEXT_SIZE], size_t count_max,
                      size_t *out_count, struct ray_err *err)
{
    const struct dirent *entry;
    size_t count = 0;
    int rc = RAY_OK;
    DIR *dir;
    int fd = open_folder(store_fd, ".", err);

    if (fd < 0) {
        return fd;
    }
    dir = fdopendir(fd);
    if (dir == NULL) {
        rc = ray_fail_errno(err, errno, "list the images");
        (void)close(fd); /* read only */
        return rc;
    }
    while (rc == RAY_OK && (entry = readdir(dir)) != NULL) {
        if (!provision_is_sha256(entry->d_name)) {
            continue;
        }
        if (count == count_max) {
            rc = ray_fail(err, RAY_ETOOBIG, "more than %zu images", count_max);
            break;
        }
        memcpy(out_ids[count], entry->d_name, PROVISION_SHA256_TEXT_SIZE);
        count++;
    }
    (void)closedir(dir); /* read only */
    if (rc == RAY_OK) {
        qsort(out_ids, count, sizeof(out_ids[0]), id_compare); /* no order of a file system */
        *out_count = count;
    }
    return rc;
}

/* --- removing --- */

/* A folder with files in it; what else is in it was not put there by us and stays. */
static int delete_folder(int store_fd, const char *name, struct ray_err *err)
{
    const struct dirent *entry;
    DIR *dir;
    int fd = open_folder(store_fd, name, err);

    if (fd < 0) {
        return fd;
    }
    dir = fdopendir(fd);
    if (dir == NULL) {
        int rc = ray_fail_errno(err, errno, "open folder %s", name);
        (void)close(fd); /* read only */
        return rc;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            (void)unlinkat(fd, entry->d_name, 0); /* rmdir below tells when one is left */
        }
    }
    (void)closedir(dir); /* read only */
    return unlinkat(store_fd, name, AT_REMOVEDIR) == 0
               ? RAY_OK
               : ray_fail_errno(err, errno, "remove folder %s", name);
}

int store_folder_sweep(int store_fd, struct ray_err *err)
{
    char names[SWEEP_COUNT_MAX][NAME_MAX + 1];
    const struct dirent *entry;
    size_t count = 0;
    DIR *dir;
    int fd = open_folder(store_fd, ".", err);

    if (fd < 0) {
        return fd;
    }
    dir = fdopendir(fd);
    if (dir == NULL) {
        int rc = ray_fail_errno(err, errno, "list the images");
        (void)close(fd); /* read only */
        return rc;
    }
    /* Names first: what is removed while it is listed may or may not be seen. What does not
     * fit waits for the next start. */
    while (count < RAY_ARRAY_COUNT(names) && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, NEW_NAME) == 0 ||
            strncmp(entry->d_name, OLD_PREFIX, sizeof(OLD_PREFIX) - 1) == 0) {
            (void)snprintf(names[count], sizeof(names[count]), "%s", entry->d_name);
            count++;
        }
    }
    (void)closedir(dir); /* read only */
    for (size_t i = 0; i < count; i++) {
        (void)delete_folder(store_fd, names[i], NULL); /* what stays hinders nobody */
    }
    return RAY_OK;
}

int store_folder_remove(int store_fd, const char *id, struct ray_err *err)
{
    char old[sizeof(OLD_PREFIX) + PROVISION_SHA256_TEXT_SIZE];
    int rc;

    assert(provision_is_sha256(id));
    (void)snprintf(old, sizeof(old), OLD_PREFIX "%s", id); /* fits */
    (void)delete_folder(store_fd, old, NULL);              /* if an earlier one has stayed */
    rc = rename_folder(store_fd, id, old, err);
    if (rc == RAY_OK) {
        rc = sync_folder(store_fd, "of images", err);
        (void)delete_folder(store_fd, old, NULL); /* it is out of sight; sweep gets the rest */
    }
    return rc;
}

/* --- adding --- */

static int find_in_uki(int uki_fd, enum provision_file file, struct provision_span *out,
                       struct ray_err *err)
{
    struct ray_err why = {0};
    int rc = uki_fd < 0 || file == PROVISION_FILE_UKI
                 ? ray_fail(&why, RAY_ENOTFOUND, "the manifest names it")
                 : provision_uki_find(uki_fd, file, out, &why);

    if (rc == RAY_OK) {
        return rc;
    }
    return ray_fail(err, rc == RAY_EMALFORMED ? RAY_ENOTFOUND : rc, "%s is missing; %s",
                    provision_file_name(file), why.text);
}

static int copy_one(int folder_fd, enum provision_file file,
                    const int fds[static PROVISION_FILE_COUNT],
                    const struct provision_manifest_file *wanted, struct ray_err *err)
{
    const char *name = provision_file_name(file);
    bool is_in_uki = fds[file] < 0;
    int errnum = ray_fault(RAY_FAULT_OPEN);
    struct provision_span part = {0};
    int fd = -1;
    int rc = is_in_uki ? find_in_uki(fds[PROVISION_FILE_UKI], file, &part, err) : RAY_OK;

    if (rc != RAY_OK) {
        return rc;
    }
    if (errnum == 0) {
        fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    FILE_MODE);
        errnum = fd < 0 ? errno : 0;
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "make %s", name);
    }
    rc = provision_copy_file(fds[is_in_uki ? PROVISION_FILE_UKI : file], is_in_uki ? &part : NULL,
                             fd, name, wanted, err);
    if (close(fd) != 0 && rc == RAY_OK) {
        rc = ray_fail_errno(err, errno, "write %s", name);
    }
    return rc;
}

static int fill(int folder_fd, const uint8_t *manifest_text, size_t manifest_size,
                const struct provision_manifest *manifest,
                const int fds[static PROVISION_FILE_COUNT], uint64_t added_us, struct ray_err *err)
{
    char added[32];
    int rc = RAY_OK;

    for (int i = 0; rc == RAY_OK && i < PROVISION_FILE_COUNT; i++) {
        if (manifest->files[i].size_bytes != 0) {
            rc = copy_one(folder_fd, (enum provision_file)i, fds, &manifest->files[i], err);
        }
    }
    (void)snprintf(added, sizeof(added), "%" PRIu64 "\n", added_us); /* fits */
    if (rc == RAY_OK) {
        rc = ray_atomic_write(folder_fd, ADDED_NAME, added, strlen(added), FILE_MODE, err);
    }
    if (rc == RAY_OK) {
        rc = ray_atomic_write(folder_fd, PROVISION_MANIFEST_FILE, manifest_text, manifest_size,
                              FILE_MODE, err);
    }
    return rc == RAY_OK ? sync_folder(folder_fd, NEW_NAME, err) : rc;
}

/* From .new to its name. A damaged one in its place goes first: it is of no use to anybody. */
static int show(int store_fd, const char *id, struct ray_err *err)
{
    int rc = RAY_OK;

    if (faccessat(store_fd, id, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        rc = store_folder_remove(store_fd, id, err);
    }
    if (rc == RAY_OK) {
        rc = rename_folder(store_fd, NEW_NAME, id, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    rc = sync_folder(store_fd, "of images", err);
    if (rc != RAY_OK) {
        (void)store_folder_remove(store_fd, id, NULL); /* not durable is not added */
    }
    return rc;
}

int store_folder_add(int store_fd, const uint8_t *manifest_text, size_t manifest_size,
                     const struct provision_manifest *manifest,
                     const int fds[static PROVISION_FILE_COUNT], uint64_t added_us, const char *id,
                     struct ray_err *err)
{
    int folder_fd = -1;
    int rc = RAY_OK;

    assert(provision_is_sha256(id));
    (void)delete_folder(store_fd, NEW_NAME, NULL); /* if an earlier one has stayed */
    if (mkdirat(store_fd, NEW_NAME, FOLDER_MODE) != 0) {
        return ray_fail_errno(err, errno, "make folder %s", NEW_NAME);
    }
    folder_fd = open_folder(store_fd, NEW_NAME, err);
    rc = folder_fd < 0 ? folder_fd : RAY_OK;
    if (rc == RAY_OK) {
        rc = fill(folder_fd, manifest_text, manifest_size, manifest, fds, added_us, err);
        (void)close(folder_fd); /* a folder, synced */
    }
    if (rc == RAY_OK) {
        rc = show(store_fd, id, err);
    }
    if (rc != RAY_OK) {
        (void)delete_folder(store_fd, NEW_NAME, NULL); /* sweep gets what stays */
    }
    return rc;
}
