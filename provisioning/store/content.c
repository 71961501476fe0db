#include "provisioning/store/content.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

enum { BLOCK_SIZE = 1 << 20 };

struct provision_identity provision_identity_of(const struct stat *st)
{
    return (struct provision_identity){.device = st->st_dev,
                                       .inode = st->st_ino,
                                       .size = st->st_size,
                                       .changed = st->st_ctim,
                                       .modified = st->st_mtim};
}

struct provision_identity provision_identity_at(int dir_fd, const char *path)
{
    struct stat st;

    return fstatat(dir_fd, path, &st, 0) == 0 ? provision_identity_of(&st)
                                              : (struct provision_identity){0};
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool provision_identity_is_same(const struct provision_identity *a,
                                const struct provision_identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           is_same_time(&a->changed, &b->changed) && is_same_time(&a->modified, &b->modified);
}

int provision_open_file(int dir_fd, const char *path, int *out_fd, struct stat *out_st,
                        struct ray_err *err)
{
    int errnum = ray_fault(RAY_FAULT_OPEN);
    struct stat st = {0};
    int fd = -1;

    if (errnum == 0) {
        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        errnum = fd < 0 ? errno : 0;
    }
    if (errnum == 0 && fstat(fd, &st) != 0) {
        errnum = errno;
    }
    if (errnum == 0 && S_ISREG(st.st_mode)) {
        *out_fd = fd;
        *out_st = st;
        return RAY_OK;
    }
    if (fd >= 0) {
        (void)close(fd); /* read only */
    }
    return errnum != 0 ? ray_fail_errno(err, errnum, "open %s", path)
                       : ray_fail(err, RAY_ECONFLICT, "%s is no regular file", path);
}

/* One block; -1 with *out_errnum when it fails. */
static ssize_t read_block(int fd, uint8_t *block, size_t size, off_t offset, int *out_errnum)
{
    for (;;) {
        ssize_t count = -1;

        *out_errnum = ray_fault(RAY_FAULT_READ);
        if (*out_errnum == 0) {
            count = pread(fd, block, size, offset);
            *out_errnum = count < 0 ? errno : 0;
        }
        if (*out_errnum != EINTR) {
            return count;
        }
    }
}

static uint8_t *new_block(size_t size)
{
    return ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(size);
}

static void finish_hash(crypto_hash_sha256_state *state,
                        char out[static PROVISION_SHA256_TEXT_SIZE])
{
    uint8_t digest[crypto_hash_sha256_BYTES];

    (void)crypto_hash_sha256_final(state, digest); /* like init and update it cannot fail */
    (void)sodium_bin2hex(out, PROVISION_SHA256_TEXT_SIZE, digest, sizeof(digest));
}

void provision_hash_bytes(const void *bytes, size_t size,
                          char out[static PROVISION_SHA256_TEXT_SIZE])
{
    crypto_hash_sha256_state state;

    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, bytes, size);
    finish_hash(&state, out);
}

int provision_hash_file(int fd, const char *name, char out[static PROVISION_SHA256_TEXT_SIZE],
                        struct ray_err *err)
{
    crypto_hash_sha256_state state;
    uint8_t *block = new_block(BLOCK_SIZE);
    off_t offset = 0;
    ssize_t count;
    int errnum = 0;

    if (block == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory to verify %s", name);
    }
    (void)crypto_hash_sha256_init(&state);
    while ((count = read_block(fd, block, BLOCK_SIZE, offset, &errnum)) > 0) {
        (void)crypto_hash_sha256_update(&state, block, (unsigned long long)count);
        offset += count;
    }
    free(block);
    if (count < 0) {
        return ray_fail_errno(err, errnum, "read %s", name);
    }
    finish_hash(&state, out);
    return RAY_OK;
}

int provision_read_file(int fd, const char *name, size_t size_max, uint8_t **out_data,
                        size_t *out_size, struct ray_err *err)
{
    struct stat st;
    uint8_t *data;
    size_t size;
    ssize_t count;
    int errnum = 0;

    if (fstat(fd, &st) != 0) {
        return ray_fail_errno(err, errno, "stat %s", name);
    }
    if (st.st_size < 0 || (uint64_t)st.st_size > size_max) {
        return ray_fail(err, RAY_ETOOBIG, "%s has %jd bytes, at most %zu", name,
                        (intmax_t)st.st_size, size_max);
    }
    size = (size_t)st.st_size;
    data = new_block(size + 1); /* one more: malloc(0) may give NULL */
    if (data == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory to read %s", name);
    }
    for (size_t at = 0; at < size; at += (size_t)count) {
        count = read_block(fd, &data[at], size - at, (off_t)at, &errnum);
        if (count <= 0) {
            free(data);
            return count < 0 ? ray_fail_errno(err, errnum, "read %s", name)
                             : ray_fail(err, RAY_ECONFLICT, "%s became shorter", name);
        }
    }
    *out_data = data;
    *out_size = size;
    return RAY_OK;
}

static int write_block(int fd, const uint8_t *block, size_t size)
{
    while (size > 0) {
        ssize_t count = -1;
        int errnum = ray_fault(RAY_FAULT_WRITE);

        if (errnum == 0) {
            count = write(fd, block, size);
            errnum = count < 0 ? errno : 0;
        }
        if (errnum == EINTR) {
            continue;
        }
        if (errnum != 0) {
            return errnum;
        }
        block += count;
        size -= (size_t)count;
    }
    return 0;
}

struct source {
    int fd;
    uint64_t offset;
    uint64_t size_max; /* bytes of it that are looked at */
    const char *name;
};

/* Copies up to size + 1 bytes: one more tells that the source is longer. */
static int copy_blocks(const struct source *source, int out_fd, uint64_t size, uint8_t *block,
                       crypto_hash_sha256_state *state, struct ray_err *err)
{
    const char *name = source->name;
    uint64_t offset = 0;

    for (;;) {
        uint64_t left = source->size_max - offset;
        int errnum = 0;
        ssize_t count = read_block(source->fd, block, left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE,
                                   (off_t)(source->offset + offset), &errnum);

        if (count < 0) {
            return ray_fail_errno(err, errnum, "read %s", name);
        }
        if (count == 0 ? offset != size : (uint64_t)count > size - offset) {
            return ray_fail(err, RAY_ECONFLICT,
                            "%s has %s than the %" PRIu64 " bytes that the manifest says", name,
                            count == 0 ? "less" : "more", size);
        }
        if (count == 0) {
            return RAY_OK;
        }
        (void)crypto_hash_sha256_update(state, block, (unsigned long long)count);
        errnum = write_block(out_fd, block, (size_t)count);
        if (errnum != 0) {
            return ray_fail_errno(err, errnum, "write %s", name);
        }
        offset += (uint64_t)count;
    }
}

int provision_copy_file(int in_fd, const struct provision_span *part, int out_fd, const char *name,
                        const struct provision_manifest_file *wanted, struct ray_err *err)
{
    struct source source = {.fd = in_fd, .size_max = UINT64_MAX, .name = name};
    char digest[PROVISION_SHA256_TEXT_SIZE];
    crypto_hash_sha256_state state;
    uint8_t *block;
    int errnum;
    int rc;

    assert(wanted->size_bytes > 0 && wanted->size_bytes <= PROVISION_FILE_SIZE_MAX);
    if (part != NULL) {
        source.offset = part->offset;
        source.size_max =
            part->size_bytes < wanted->size_bytes ? part->size_bytes : wanted->size_bytes;
    }
    /* A full disk shows here rather than in the middle. Not every file system can. */
    if (fallocate(out_fd, 0, 0, (off_t)wanted->size_bytes) != 0 && errno == ENOSPC) {
        return ray_fail_errno(err, ENOSPC, "%" PRIu64 " bytes for %s", wanted->size_bytes, name);
    }
    block = new_block(BLOCK_SIZE);
    if (block == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory to copy %s", name);
    }
    (void)crypto_hash_sha256_init(&state);
    rc = copy_blocks(&source, out_fd, wanted->size_bytes, block, &state, err);
    free(block);
    if (rc != RAY_OK) {
        return rc;
    }
    finish_hash(&state, digest);
    if (strcmp(digest, wanted->sha256) != 0) {
        return ray_fail(err, RAY_ECONFLICT,
                        "%s is corrupt: its SHA-256 is %.16s..., the manifest says %.16s...", name,
                        digest, wanted->sha256);
    }
    errnum = ray_fault(RAY_FAULT_FSYNC);
    if (errnum == 0 && fsync(out_fd) != 0) {
        errnum = errno;
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "sync %s", name);
}
