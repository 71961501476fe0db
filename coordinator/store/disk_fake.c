#include "coordinator/store/disk_fake.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct coord_fake_disk *fake_of(struct coord_disk *disk)
{
    return (struct coord_fake_disk *)disk;
}

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void name_copy(char out[static COORD_DISK_NAME_SIZE], const char *name)
{
    assert(strlen(name) < COORD_DISK_NAME_SIZE);
    (void)snprintf(out, COORD_DISK_NAME_SIZE, "%s", name);
}

struct coord_fake_file *coord_fake_disk_find(struct coord_fake_disk *fake, const char *name)
{
    for (size_t i = 0; i < fake->file_count; i++) {
        if (strcmp(fake->files[i].name, name) == 0) {
            return &fake->files[i];
        }
    }
    return NULL;
}

/* --- what operations do --- */

static int apply_create(struct coord_fake_disk *fake, const char *name, uint64_t size)
{
    uint64_t used = size;
    size_t at = 0;

    if (coord_fake_disk_find(fake, name) != NULL) {
        return RAY_EEXISTS;
    }
    for (size_t i = 0; i < fake->file_count; i++) {
        used += fake->files[i].size;
        at += strcmp(fake->files[i].name, name) < 0 ? 1 : 0;
    }
    if (fake->size_max > 0 && used > fake->size_max) {
        return RAY_ENOSPC;
    }
    assert(fake->file_count < COORD_FAKE_FILES_MAX);
    memmove(&fake->files[at + 1], &fake->files[at],
            (fake->file_count - at) * sizeof fake->files[0]);
    fake->file_count++;
    fake->files[at] =
        (struct coord_fake_file){.size = size, .bytes = must(calloc(1, size > 0 ? size : 1))};
    name_copy(fake->files[at].name, name);
    return RAY_OK;
}

static int apply_remove(struct coord_fake_disk *fake, const char *name)
{
    struct coord_fake_file *file = coord_fake_disk_find(fake, name);

    if (file == NULL) {
        return RAY_ENOTFOUND;
    }
    free(file->bytes);
    fake->file_count--;
    memmove(file, file + 1, (size_t)(&fake->files[fake->file_count] - file) * sizeof *file);
    return RAY_OK;
}

static int apply_rename(struct coord_fake_disk *fake, const char *from, const char *to)
{
    struct coord_fake_file *file = coord_fake_disk_find(fake, from);
    uint64_t limit = fake->size_max;
    uint8_t *bytes;

    if (file == NULL) {
        return RAY_ENOTFOUND;
    }
    bytes = file->bytes;
    file->bytes = NULL;
    uint64_t size = file->size;

    (void)apply_remove(fake, from);
    (void)apply_remove(fake, to);
    fake->size_max = 0;
    (void)apply_create(fake, to, size);
    fake->size_max = limit;
    file = must(coord_fake_disk_find(fake, to));
    free(file->bytes);
    file->bytes = bytes;
    return RAY_OK;
}

static bool is_sector_in(const struct coord_fake_cut *cut, size_t sector, size_t count)
{
    switch (cut->fate) {
    case COORD_FAKE_LOST:
        return false;
    case COORD_FAKE_HEAD:
        return sector < cut->sectors;
    case COORD_FAKE_TAIL:
        return sector + cut->sectors >= count;
    case COORD_FAKE_MASK:
        return (cut->mask >> (sector % 64) & 1) != 0;
    case COORD_FAKE_WHOLE:
    default:
        return true;
    }
}

static int apply_write(struct coord_fake_disk *fake, const struct coord_fake_op *op,
                       const struct coord_fake_cut *cut)
{
    struct coord_fake_file *file = coord_fake_disk_find(fake, op->name);
    size_t count = op->size / COORD_FAKE_SECTOR_SIZE;

    if (file == NULL) {
        return RAY_ENOTFOUND;
    }
    assert(op->offset + op->size <= file->size);
    for (size_t i = 0; i < count; i++) {
        if (is_sector_in(cut, i, count)) {
            memcpy(file->bytes + op->offset + i * COORD_FAKE_SECTOR_SIZE,
                   op->copy + i * COORD_FAKE_SECTOR_SIZE, COORD_FAKE_SECTOR_SIZE);
        }
    }
    return RAY_OK;
}

static int apply(struct coord_fake_disk *fake, const struct coord_fake_op *op,
                 const struct coord_fake_cut *cut)
{
    if (cut->fate == COORD_FAKE_LOST) {
        return RAY_OK;
    }
    switch (op->kind) {
    case COORD_FAKE_CREATE:
        return apply_create(fake, op->name, op->offset);
    case COORD_FAKE_WRITE:
        return apply_write(fake, op, cut);
    case COORD_FAKE_RENAME:
        return apply_rename(fake, op->name, op->to);
    case COORD_FAKE_REMOVE:
    default:
        return apply_remove(fake, op->name);
    }
}

void coord_fake_disk_cut(struct coord_fake_disk *fake, const struct coord_fake_cut *cuts)
{
    for (size_t i = 0; i < fake->op_count; i++) {
        (void)apply(fake, &fake->ops[i], &cuts[i]);
        free(fake->ops[i].copy);
    }
    fake->op_count = 0;
}

void coord_fake_disk_complete(struct coord_fake_disk *fake, size_t at)
{
    const struct coord_fake_cut whole = {.fate = COORD_FAKE_WHOLE};
    struct coord_fake_op op = fake->ops[at];
    int status = RAY_OK;

    assert(at < fake->op_count);
    fake->op_count--;
    memmove(&fake->ops[at], &fake->ops[at + 1], (fake->op_count - at) * sizeof op);
    if (op.kind == COORD_FAKE_WRITE) {
        assert(memcmp(op.copy, op.bytes, op.size) == 0);
        status = fake->write_status;
        fake->write_status = RAY_OK;
    }
    if (status == RAY_OK) {
        status = apply(fake, &op, &whole);
    }
    free(op.copy);
    op.done(op.arg, status);
}

void coord_fake_disk_run(struct coord_fake_disk *fake)
{
    for (size_t i = 0; fake->op_count > 0; i++) {
        assert(i < 100000);
        coord_fake_disk_complete(fake, 0);
    }
}

/* --- struct coord_disk --- */

static int fake_list(struct coord_disk *disk,
                     void (*each)(void *arg, const char *name, uint64_t size), void *arg,
                     struct ray_err *err)
{
    struct coord_fake_disk *fake = fake_of(disk);

    (void)err;
    for (size_t i = 0; i < fake->file_count; i++) {
        each(arg, fake->files[i].name, fake->files[i].size);
    }
    return RAY_OK;
}

static void check_place(uint64_t offset, const void *bytes, size_t size)
{
    assert(offset % COORD_DISK_BLOCK_SIZE == 0 && size % COORD_DISK_BLOCK_SIZE == 0 && size > 0);
    assert((uintptr_t)bytes % COORD_DISK_BLOCK_SIZE == 0);
    (void)offset, (void)bytes, (void)size;
}

static int fake_read(struct coord_disk *disk, const char *name, uint64_t offset, void *out,
                     size_t size, struct ray_err *err)
{
    struct coord_fake_disk *fake = fake_of(disk);
    const struct coord_fake_file *file = coord_fake_disk_find(fake, name);

    check_place(offset, out, size);
    if (file == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "no file %s", name);
    }
    if (strcmp(name, fake->bad_name) == 0 && fake->bad_offset >= offset &&
        fake->bad_offset < offset + size) {
        return ray_fail(err, RAY_EIO, "%s cannot be read", name);
    }
    if (offset > file->size || size > file->size - offset) {
        return ray_fail(err, RAY_EMALFORMED, "%s ends early", name);
    }
    memcpy(out, file->bytes + offset, size);
    return RAY_OK;
}

static struct coord_fake_op *op_add(struct coord_fake_disk *fake, enum coord_fake_kind kind,
                                    const char *name, coord_disk_done *done, void *arg)
{
    struct coord_fake_op *op = &fake->ops[fake->op_count++];

    assert(fake->op_count <= COORD_FAKE_OPS_MAX);
    *op = (struct coord_fake_op){.kind = kind, .done = done, .arg = arg};
    name_copy(op->name, name);
    return op;
}

static void fake_create(struct coord_disk *disk, const char *name, uint64_t size,
                        coord_disk_done *done, void *arg)
{
    op_add(fake_of(disk), COORD_FAKE_CREATE, name, done, arg)->offset = size;
}

static void fake_write(struct coord_disk *disk, const char *name, uint64_t offset,
                       const void *bytes, size_t size, coord_disk_done *done, void *arg)
{
    struct coord_fake_op *op = op_add(fake_of(disk), COORD_FAKE_WRITE, name, done, arg);

    check_place(offset, bytes, size);
    op->offset = offset;
    op->bytes = bytes;
    op->size = size;
    op->copy = must(malloc(size));
    memcpy(op->copy, bytes, size);
}

static int fake_write_now(struct coord_disk *disk, const char *name, uint64_t offset,
                          const void *bytes, size_t size, struct ray_err *err)
{
    struct coord_fake_disk *fake = fake_of(disk);
    struct coord_fake_op op = {.offset = offset, .size = size};
    struct coord_fake_cut cut = {.fate = COORD_FAKE_WHOLE};
    int rc;

    check_place(offset, bytes, size);
    if (fake->is_off) {
        return ray_fail(err, RAY_EIO, "the power is off");
    }
    fake->now_count++;
    if (fake->now_until_cut == 0) {
        fake->is_off = true;
        cut = (struct coord_fake_cut){.fate = COORD_FAKE_HEAD, .sectors = fake->now_sectors};
    } else if (fake->now_until_cut > 0) {
        fake->now_until_cut--;
    }
    name_copy(op.name, name);
    op.copy = must(malloc(size));
    memcpy(op.copy, bytes, size);
    rc = apply_write(fake, &op, &cut);
    free(op.copy);
    if (rc == RAY_OK && fake->is_off) {
        rc = RAY_EIO;
    }
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "writing %s", name);
}

static void fake_rename(struct coord_disk *disk, const char *from, const char *to,
                        coord_disk_done *done, void *arg)
{
    name_copy(op_add(fake_of(disk), COORD_FAKE_RENAME, from, done, arg)->to, to);
}

static void fake_remove(struct coord_disk *disk, const char *name, coord_disk_done *done, void *arg)
{
    (void)op_add(fake_of(disk), COORD_FAKE_REMOVE, name, done, arg);
}

static uint64_t fake_free_size(struct coord_disk *disk)
{
    const struct coord_fake_disk *fake = fake_of(disk);
    uint64_t used = 0;

    for (size_t i = 0; i < fake->file_count; i++) {
        used += fake->files[i].size;
    }
    if (fake->size_max == 0) {
        return UINT64_MAX;
    }
    return used < fake->size_max ? fake->size_max - used : 0;
}

static void fake_destroy(struct coord_disk *disk)
{
    struct coord_fake_disk *fake = fake_of(disk);

    while (fake->op_count > 0) {
        struct coord_fake_op op = fake->ops[--fake->op_count];

        free(op.copy);
        if (op.done != NULL) {
            op.done(op.arg, RAY_ECANCELED);
        }
    }
    for (size_t i = 0; i < fake->file_count; i++) {
        free(fake->files[i].bytes);
    }
    free(fake);
}

static const struct coord_disk_ops fake_ops = {
    .list = fake_list,
    .read = fake_read,
    .create = fake_create,
    .write = fake_write,
    .write_now = fake_write_now,
    .rename = fake_rename,
    .remove = fake_remove,
    .free_size = fake_free_size,
    .destroy = fake_destroy,
};

struct coord_fake_disk *coord_fake_disk_create(void)
{
    struct coord_fake_disk *fake = must(calloc(1, sizeof *fake));

    fake->disk.ops = &fake_ops;
    fake->now_until_cut = -1;
    return fake;
}

struct coord_fake_disk *coord_fake_disk_copy(const struct coord_fake_disk *from)
{
    struct coord_fake_disk *fake = must(malloc(sizeof *fake));

    *fake = *from;
    for (size_t i = 0; i < fake->file_count; i++) {
        uint8_t *bytes = must(malloc(fake->files[i].size + 1));

        memcpy(bytes, from->files[i].bytes, fake->files[i].size);
        fake->files[i].bytes = bytes;
    }
    for (size_t i = 0; i < fake->op_count; i++) {
        struct coord_fake_op *op = &fake->ops[i];

        op->done = NULL;
        if (op->copy != NULL) {
            op->copy = must(malloc(op->size));
            memcpy(op->copy, from->ops[i].copy, op->size);
        }
    }
    return fake;
}

void coord_fake_disk_destroy(struct coord_fake_disk *fake)
{
    fake->disk.ops->destroy(&fake->disk);
}
