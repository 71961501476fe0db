/* provisioning/store/content.h - the bytes of files: which file it is, what it hashes to, a copy
 * of it.
 *
 * Memory: a block while it works.  Threads: any.  Blocks: on the disk.
 * Trust: files may change under us; what is copied is what was hashed. */
#ifndef RAY_PROVISIONING_STORE_CONTENT_H
#define RAY_PROVISIONING_STORE_CONTENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"
#include "provisioning/store/manifest.h"
#include "provisioning/store/uki.h"

/* What tells one state of a file from another; zeroed: no file. */
struct provision_identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
    struct timespec modified;
};

struct provision_identity provision_identity_of(const struct stat *st);
/* Zeroed when there is none, or no way to it. */
struct provision_identity provision_identity_at(int dir_fd, const char *path);
bool provision_identity_is_same(const struct provision_identity *a,
                                const struct provision_identity *b);

/* A regular file for reading; a FIFO does not make it wait. RAY_ECONFLICT when it is none. */
int provision_open_file(int dir_fd, const char *path, int *out_fd, struct stat *out_st,
                        struct ray_err *err);

/* `name` is for the error text. */
int provision_hash_file(int fd, const char *name, char out[static PROVISION_SHA256_TEXT_SIZE],
                        struct ray_err *err);

/* The whole of a descriptor's file, from offset 0; free(*out_data). RAY_ETOOBIG. */
int provision_read_file(int fd, const char *name, size_t size_max, uint8_t **out_data,
                        size_t *out_size, struct ray_err *err);

/* Copies exactly `wanted` from in_fd to the empty file out_fd and syncs it: the whole of in_fd, or
 * the beginning of `part` of it. RAY_ECONFLICT when size or digest are others. */
int provision_copy_file(int in_fd, const struct provision_span *part, int out_fd, const char *name,
                        const struct provision_manifest_file *wanted, struct ray_err *err);

void provision_hash_bytes(const void *bytes, size_t size,
                          char out[static PROVISION_SHA256_TEXT_SIZE]);

#endif
