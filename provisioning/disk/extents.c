#include "provisioning/disk/extents.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

enum { BLOCK_SIZE = 1 << 20, SPARSE_SIZE = 65536, CAPACITY_MIN = 64 };

static_assert(BLOCK_SIZE % SPARSE_SIZE == 0, "a block is whole pieces");

void extents_init(struct extents *extents)
{
    *extents = (struct extents){0};
}

void extents_fini(struct extents *extents)
{
    free(extents->list);
    *extents = (struct extents){0};
}

static int reserve(struct extents *extents, struct ray_err *err)
{
    size_t capacity = extents->capacity == 0 ? CAPACITY_MIN : extents->capacity * 2;
    struct extent *list;

    if (extents->count < extents->capacity) {
        return RAY_OK;
    }
    if (capacity > EXTENT_COUNT_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "more than %d pieces to copy", EXTENT_COUNT_MAX);
    }
    list = ray_fault(RAY_FAULT_ALLOC) != 0
               ? NULL
               : realloc(extents->list, capacity * sizeof(extents->list[0]));
    if (list == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for the list of pieces");
    }
    extents->list = list;
    extents->capacity = capacity;
    return RAY_OK;
}

int extents_add(struct extents *extents, int fd, uint64_t source_bytes, uint64_t target_bytes,
                uint64_t size_bytes, struct ray_err *err)
{
    struct extent *last = extents->count > 0 ? &extents->list[extents->count - 1] : NULL;
    int rc;

    if (size_bytes == 0) {
        return RAY_OK;
    }
    if (last != NULL && last->fd == fd && last->target_bytes + last->size_bytes == target_bytes &&
        (fd < 0 || last->source_bytes + last->size_bytes == source_bytes)) {
        last->size_bytes += size_bytes;
        return RAY_OK;
    }
    rc = reserve(extents, err);
    if (rc != RAY_OK) {
        return rc;
    }
    assert(extents->list != NULL && extents->count < extents->capacity);
    extents->list[extents->count] = (struct extent){.fd = fd,
                                                    .source_bytes = source_bytes,
                                                    .target_bytes = target_bytes,
                                                    .size_bytes = size_bytes};
    extents->count++;
    return RAY_OK;
}

int extents_add_data(struct extents *extents, int fd, uint64_t source_bytes, uint64_t target_bytes,
                     uint64_t size_bytes, struct ray_err *err)
{
    uint64_t end = source_bytes + size_bytes;
    uint64_t at = source_bytes;

    while (at < end) {
        off_t data = lseek(fd, (off_t)at, SEEK_DATA);
        off_t hole;
        uint64_t piece_end;
        int rc;

        if (data < 0 && errno == ENXIO) {
            return RAY_OK; /* only a hole is left */
        }
        hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
        if (hole < 0) {
            return ray_fail_errno(err, errno, "look for data");
        }
        piece_end = (uint64_t)hole < end ? (uint64_t)hole : end;
        if ((uint64_t)data >= piece_end) {
            return RAY_OK; /* the next data is beyond the range */
        }
        rc =
            extents_add(extents, fd, (uint64_t)data, target_bytes + ((uint64_t)data - source_bytes),
                        piece_end - (uint64_t)data, err);
        if (rc != RAY_OK) {
            return rc;
        }
        at = piece_end;
    }
    return RAY_OK;
}

uint64_t extents_size(const struct extents *extents)
{
    uint64_t size = 0;

    for (size_t i = 0; i < extents->count; i++) {
        size += extents->list[i].size_bytes;
    }
    return size;
}

/* --- reading and writing --- */

/* 0 or an errno. The end of a file within the range is EIO. */
static int read_at(int fd, uint8_t *block, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t count = -1;
        int errnum = ray_fault(RAY_FAULT_READ);

        if (errnum == 0) {
            count = pread(fd, block, size, (off_t)offset);
            errnum = count < 0 ? errno : count == 0 ? EIO : 0;
        }
        if (errnum == EINTR) {
            continue;
        }
        if (errnum != 0) {
            return errnum;
        }
        block += count;
        size -= (size_t)count;
        offset += (uint64_t)count;
    }
    return 0;
}

static int write_at(int fd, const uint8_t *block, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t count = -1;
        int errnum = ray_fault(RAY_FAULT_WRITE);

        if (errnum == 0) {
            count = pwrite(fd, block, size, (off_t)offset);
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
        offset += (uint64_t)count;
    }
    return 0;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, &bytes[1], size - 1) == 0;
}

static int write_sparse(int fd, const uint8_t *block, size_t size, uint64_t offset)
{
    for (size_t at = 0; at < size; at += SPARSE_SIZE) {
        size_t piece = size - at < SPARSE_SIZE ? size - at : SPARSE_SIZE;
        int errnum = is_zero(&block[at], piece) ? 0 : write_at(fd, &block[at], piece, offset + at);

        if (errnum != 0) {
            return errnum;
        }
    }
    return 0;
}

static int source_at(const struct extent *extent, uint8_t *block, size_t size, uint64_t at,
                     struct ray_err *err)
{
    int errnum = 0;

    if (extent->fd < 0) {
        memset(block, 0, size);
        return RAY_OK;
    }
    errnum = read_at(extent->fd, block, size, extent->source_bytes + at);
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "read what is to be written");
}

/* --- all of the list --- */

struct pass {
    const struct extents *extents;
    const struct extents_progress *progress;
    int target_fd;
    uint8_t *block;
    uint8_t *seen; /* NULL: copy; else compare */
    bool is_blank;
    uint64_t done;
    uint64_t total;
};

static int copy_block(const struct pass *pass, size_t size, uint64_t target, struct ray_err *err)
{
    int errnum = pass->is_blank ? write_sparse(pass->target_fd, pass->block, size, target)
                                : write_at(pass->target_fd, pass->block, size, target);

    return errnum == 0 ? RAY_OK
                       : ray_fail_errno(err, errnum, "write %zu bytes at %" PRIu64, size, target);
}

static int compare_block(const struct pass *pass, size_t size, uint64_t target, struct ray_err *err)
{
    int errnum = read_at(pass->target_fd, pass->seen, size, target);

    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "read back %zu bytes at %" PRIu64, size, target);
    }
    if (memcmp(pass->block, pass->seen, size) != 0) {
        (void)ray_fail(err, RAY_EIO, "what was written at %" PRIu64 " reads back as something else",
                       target);
        (void)ray_next(err, "the disk is broken, or smaller than it says: use another");
        return RAY_EIO;
    }
    return RAY_OK;
}

static int run_extent(struct pass *pass, const struct extent *extent, struct ray_err *err)
{
    for (uint64_t at = 0; at < extent->size_bytes;) {
        uint64_t left = extent->size_bytes - at;
        size_t size = left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE;
        int rc = source_at(extent, pass->block, size, at, err);

        if (rc == RAY_OK) {
            rc = pass->seen == NULL ? copy_block(pass, size, extent->target_bytes + at, err)
                                    : compare_block(pass, size, extent->target_bytes + at, err);
        }
        if (rc != RAY_OK) {
            return rc;
        }
        at += size;
        pass->done += size;
        if (pass->progress->cb != NULL) {
            pass->progress->cb(pass->progress->arg, pass->done, pass->total);
        }
    }
    return RAY_OK;
}

static int run(struct pass *pass, struct ray_err *err)
{
    int rc = RAY_OK;

    pass->total = extents_size(pass->extents);
    for (size_t i = 0; rc == RAY_OK && i < pass->extents->count; i++) {
        rc = run_extent(pass, &pass->extents->list[i], err);
    }
    assert(rc != RAY_OK || pass->done == pass->total);
    return rc;
}

static uint8_t *new_block(struct ray_err *err)
{
    uint8_t *block = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(BLOCK_SIZE);

    if (block == NULL) {
        (void)ray_fail(err, RAY_ENOMEM, "no memory for a block");
    }
    return block;
}

int extents_copy(const struct extents *extents, int target_fd, bool is_blank,
                 const struct extents_progress *progress, struct ray_err *err)
{
    struct pass pass = {.extents = extents,
                        .progress = progress,
                        .target_fd = target_fd,
                        .is_blank = is_blank,
                        .block = new_block(err)};
    int rc = pass.block == NULL ? RAY_ENOMEM : run(&pass, err);

    free(pass.block);
    return rc;
}

int extents_compare(const struct extents *extents, int target_fd,
                    const struct extents_progress *progress, struct ray_err *err)
{
    struct pass pass = {.extents = extents,
                        .progress = progress,
                        .target_fd = target_fd,
                        .block = new_block(err),
                        .seen = new_block(err)};
    int rc = pass.block == NULL || pass.seen == NULL ? RAY_ENOMEM : run(&pass, err);

    free(pass.block);
    free(pass.seen);
    return rc;
}
