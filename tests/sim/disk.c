/* Files are arrays of blocks that are made when first written. An operation takes effect when its
 * callback is due, or at a crash as far as the crash lets it. */
#include "tests/sim/disk.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/mem.h"

enum {
    SECTOR_SIZE = 512,
    BLOCK = COORD_DISK_BLOCK_SIZE,
    KIND_COUNT = 32, /* of files, by the first letter of their names */
};

struct block {
    uint8_t *bytes;       /* NULL: zeros */
    uint64_t begun_after; /* writes of this kind of file begun when this one was done */
    bool is_unreadable;
};

struct file {
    char name[COORD_DISK_NAME_SIZE];
    uint64_t size;
    struct block *blocks;
};

enum op_kind { OP_CREATE, OP_WRITE, OP_RENAME, OP_REMOVE };

static const char *const op_names[] = {"create", "write", "rename", "remove"};

struct op {
    struct sim_disk *disk;
    struct op *next;
    enum op_kind kind;
    char name[COORD_DISK_NAME_SIZE];
    char other[COORD_DISK_NAME_SIZE];
    uint64_t offset; /* CREATE: the size */
    size_t size;
    const uint8_t *memory; /* the caller's */
    uint8_t *copy;
    uint64_t number; /* of the writes that began */
    int status;
    bool is_settled; /* took effect or never will; only the memory is left */
    coord_disk_done *done;
    void *arg;
};

struct sim_coord_disk {
    struct coord_disk base;
    struct sim_disk *disk;
    struct sim_proc *proc;
};

struct sim_disk {
    struct sim_world *world;
    struct sim_disk_config config;
    struct sim_rng rng;
    struct file *files; /* sorted by name */
    size_t file_count;
    size_t file_capacity;
    struct op *ops; /* under way, newest first */
    struct sim_coord_disk *user;
    uint64_t write_count;
    struct {
        uint64_t begun_count; /* writes */
        uint64_t done_number; /* of the newest among those that are done */
    } kinds[KIND_COUNT];
    uint64_t cut_countdown;
    uint64_t used_size;
};

/* ---- files ---- */

static struct file *find(const struct sim_disk *disk, const char *name)
{
    size_t low = 0;
    size_t high = disk->file_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(disk->files[middle].name, name);

        if (order == 0) {
            return &disk->files[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static void set_name(char out[static COORD_DISK_NAME_SIZE], const char *name)
{
    size_t length = strlen(name);

    assert(length > 0 && length < COORD_DISK_NAME_SIZE);
    memcpy(out, name, length + 1);
}

static size_t block_count(const struct file *file)
{
    return (size_t)((file->size + BLOCK - 1) / BLOCK);
}

static struct file *add_file(struct sim_disk *disk, const char *name, uint64_t size)
{
    disk->files =
        sim_grow(disk->files, disk->file_count, &disk->file_capacity, sizeof *disk->files);
    size_t at = disk->file_count++;

    while (at > 0 && strcmp(disk->files[at - 1].name, name) > 0) {
        disk->files[at] = disk->files[at - 1];
        at--;
    }
    struct file *file = &disk->files[at];

    *file = (struct file){.size = size};
    set_name(file->name, name);
    file->blocks = sim_alloc(block_count(file), sizeof *file->blocks);
    disk->used_size += size;
    return file;
}

static void remove_file(struct sim_disk *disk, struct file *file)
{
    size_t at = (size_t)(file - disk->files);

    for (size_t i = 0; i < block_count(file); i++) {
        free(file->blocks[i].bytes);
    }
    free(file->blocks);
    disk->used_size -= file->size;
    disk->file_count--;
    memmove(file, file + 1, (disk->file_count - at) * sizeof *file);
}

static struct block *block_at(struct file *file, uint64_t offset)
{
    assert(offset % BLOCK == 0 && offset < file->size);
    struct block *block = &file->blocks[offset / BLOCK];

    if (block->bytes == NULL) {
        block->bytes = sim_alloc(1, BLOCK);
    }
    return block;
}

/* ---- what an operation does ---- */

/* Sectors of `op` for which `mask` says so (sector modulo 64). */
static void put_sectors(struct sim_disk *disk, const struct op *op, uint64_t mask)
{
    struct file *file = find(disk, op->name);

    if (file == NULL || op->offset + op->size > file->size) {
        return;
    }
    for (size_t at = 0; at < op->size; at += SECTOR_SIZE) {
        if ((mask >> (at / SECTOR_SIZE % 64) & 1) == 0) {
            continue;
        }
        struct block *block = block_at(file, (op->offset + at) / BLOCK * BLOCK);

        memcpy(block->bytes + (op->offset + at) % BLOCK, op->copy + at, SECTOR_SIZE);
    }
}

static size_t kind_of(const char *name)
{
    return (unsigned char)name[0] % KIND_COUNT;
}

static void note_written(struct sim_disk *disk, const struct op *op)
{
    struct file *file = find(disk, op->name);

    for (size_t at = 0; file != NULL && at < op->size; at += BLOCK) {
        struct block *block = block_at(file, op->offset + at);

        block->begun_after = disk->kinds[kind_of(op->name)].begun_count;
        block->is_unreadable = false; /* the medium gives the block another place */
    }
    uint64_t *done_number = &disk->kinds[kind_of(op->name)].done_number;

    *done_number = op->number > *done_number ? op->number : *done_number;
}

static void put_file(struct sim_disk *disk, const struct op *op, uint64_t size)
{
    if (find(disk, op->name) == NULL) {
        add_file(disk, op->name, size);
    }
}

static void put_rename(struct sim_disk *disk, const struct op *op)
{
    struct file *from = find(disk, op->name);
    struct file *old = find(disk, op->other);

    if (from == NULL || strcmp(op->name, op->other) == 0) {
        return;
    }
    if (old != NULL) {
        remove_file(disk, old);
        from = find(disk, op->name);
        assert(from != NULL);
    }
    struct file moved = *from;
    struct file *there;

    *from = (struct file){.size = 0};
    set_name(from->name, op->name);
    from->blocks = NULL;
    disk->used_size -= moved.size;
    remove_file(disk, from);
    there = add_file(disk, op->other, moved.size);
    free(there->blocks);
    there->blocks = moved.blocks;
}

static void take_effect(struct sim_disk *disk, const struct op *op)
{
    struct file *file;

    switch (op->kind) {
    case OP_CREATE:
        put_file(disk, op, op->offset);
        break;
    case OP_WRITE:
        put_sectors(disk, op, UINT64_MAX);
        note_written(disk, op);
        break;
    case OP_RENAME:
        put_rename(disk, op);
        break;
    case OP_REMOVE:
        file = find(disk, op->name);
        if (file != NULL) {
            remove_file(disk, file);
        }
        break;
    default:
        assert(false);
    }
}

/* Some sectors: a beginning, an end, or any. */
static uint64_t torn_mask(struct sim_rng *rng)
{
    uint64_t some = sim_rng_next(rng);
    unsigned cut = (unsigned)sim_rng_between(rng, 1, 15);

    switch (sim_rng_below(rng, 3)) {
    case 0:
        return (UINT64_C(1) << cut) - 1;
    case 1:
        return ~((UINT64_C(1) << cut) - 1);
    default:
        return some;
    }
}

static void take_part(struct sim_disk *disk, const struct op *op)
{
    /* Names come and go whole (a file is made under another name and renamed). */
    if (op->kind == OP_WRITE) {
        put_sectors(disk, op, torn_mask(&disk->rng));
    }
}

static void settle(struct sim_disk *disk, struct op *op, bool is_power_cut)
{
    uint64_t choice = sim_rng_below(&disk->rng, is_power_cut ? 3 : 2);

    if (op->is_settled) {
        return;
    }
    op->is_settled = true;
    sim_trace(disk->world, "disk: %s %s%s%s at %" PRIu64 " size %zu: %s", op_names[op->kind],
              op->name, op->other[0] != '\0' ? " to " : "", op->other, op->offset, op->size,
              op->status != RAY_OK || choice == 0 ? "lost"
              : choice == 1                       ? "done"
                                                  : "in part");
    if (op->status != RAY_OK || choice == 0) {
        return;
    }
    if (choice == 1) {
        take_effect(disk, op);
    } else {
        take_part(disk, op);
    }
}

/* ---- operations under way ---- */

static void op_free(struct op *op)
{
    struct op **at = &op->disk->ops;

    while (*at != op) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = op->next;
    free(op->copy);
    free(op);
}

static void finish(void *arg, uint64_t tag, bool is_alive)
{
    struct op *op = arg;
    struct sim_disk *disk = op->disk;

    (void)tag;
    if (is_alive && !op->is_settled) {
        coord_disk_done *done = op->done;
        void *done_arg = op->arg;
        int status = op->status;

        /* Who changes the memory of a write under way writes something else. */
        assert(op->kind != OP_WRITE || memcmp(op->memory, op->copy, op->size) == 0);
        if (status == RAY_OK) {
            take_effect(disk, op);
        } else if (status == RAY_EIO && sim_rng_one_in(&disk->rng, 2)) {
            take_part(disk, op);
        }
        op_free(op);
        done(done_arg, status);
        return;
    }
    op_free(op);
}

static uint64_t delay_ns(struct sim_disk *disk)
{
    uint64_t delay = disk->config.delay_ns + sim_rng_below(&disk->rng, disk->config.jitter_ns + 1);

    if (sim_rng_ppm(&disk->rng, disk->config.stall_ppm)) {
        delay += sim_rng_below(&disk->rng, disk->config.stall_ns + 1);
    }
    return delay;
}

static bool is_overlapping(const struct op *a, const struct op *b)
{
    return a->kind == OP_WRITE && b->kind == OP_WRITE && strcmp(a->name, b->name) == 0 &&
           a->offset < b->offset + b->size && b->offset < a->offset + a->size;
}

static void begin(struct sim_coord_disk *user, struct op op)
{
    struct sim_disk *disk = user->disk;

    if (!sim_proc_is_live(user->proc)) {
        /* A ghost's: it never began, and its owner learns that at destroy. */
        op.is_settled = true;
    }
    for (const struct op *other = disk->ops; other != NULL; other = other->next) {
        assert(other->is_settled || op.is_settled || !is_overlapping(other, &op));
    }
    struct op *kept = sim_alloc(1, sizeof *kept);

    *kept = op;
    kept->disk = disk;
    kept->next = disk->ops;
    disk->ops = kept;
    sim_world_note(disk->world, op.offset ^ op.size);
    sim_proc_post(user->proc, disk->world->now_ns + delay_ns(disk), finish, kept, 0);
}

/* Whether the power fails now. */
static bool is_cut_now(struct sim_coord_disk *user)
{
    struct sim_disk *disk = user->disk;

    if (disk->cut_countdown == 0 || !sim_proc_is_live(user->proc) || !user->proc->is_in_turn) {
        return false;
    }
    disk->cut_countdown--;
    return disk->cut_countdown == 0;
}

/* ---- struct coord_disk ---- */

static struct sim_coord_disk *user_of(struct coord_disk *base)
{
    return (struct sim_coord_disk *)base;
}

static int disk_list(struct coord_disk *base,
                     void (*each)(void *arg, const char *name, uint64_t size), void *arg,
                     struct ray_err *err)
{
    const struct sim_disk *disk = user_of(base)->disk;

    (void)err;
    for (size_t i = 0; i < disk->file_count; i++) {
        each(arg, disk->files[i].name, disk->files[i].size);
    }
    return RAY_OK;
}

static int disk_read(struct coord_disk *base, const char *name, uint64_t offset, void *out,
                     size_t size, struct ray_err *err)
{
    struct file *file = find(user_of(base)->disk, name);
    uint8_t *to = out;

    assert(offset % BLOCK == 0 && size % BLOCK == 0 && (uintptr_t)out % BLOCK == 0);
    if (file == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "%s: not there", name);
    }
    if (offset + size > file->size) {
        return ray_fail(err, RAY_EMALFORMED, "%s: shorter than %" PRIu64, name, offset + size);
    }
    for (size_t at = 0; at < size; at += BLOCK) {
        if (file->blocks[(offset + at) / BLOCK].is_unreadable) {
            return ray_fail(err, RAY_EIO, "%s: the medium cannot read %" PRIu64, name, offset + at);
        }
    }
    for (size_t at = 0; at < size; at += BLOCK) {
        const struct block *block = &file->blocks[(offset + at) / BLOCK];

        if (block->bytes != NULL) {
            memcpy(to + at, block->bytes, BLOCK);
        } else {
            memset(to + at, 0, BLOCK);
        }
    }
    return RAY_OK;
}

static void disk_create(struct coord_disk *base, const char *name, uint64_t size,
                        coord_disk_done *done, void *arg)
{
    struct sim_disk *disk = user_of(base)->disk;
    struct op op = {.kind = OP_CREATE, .offset = size, .done = done, .arg = arg};

    assert(size % BLOCK == 0);
    set_name(op.name, name);
    if (find(disk, name) != NULL) {
        op.status = RAY_EEXISTS;
    } else if (disk->used_size + size > disk->config.capacity) {
        op.status = RAY_ENOSPC;
    } else if (sim_rng_ppm(&disk->rng, disk->config.error_ppm)) {
        op.status = RAY_EIO;
    }
    begin(user_of(base), op);
}

static struct op write_op(struct sim_disk *disk, const char *name, uint64_t offset,
                          const void *bytes, size_t size)
{
    struct op op = {.kind = OP_WRITE, .offset = offset, .size = size, .memory = bytes};
    const struct file *file = find(disk, name);

    assert(offset % BLOCK == 0 && size % BLOCK == 0 && (uintptr_t)bytes % BLOCK == 0);
    set_name(op.name, name);
    op.copy = sim_alloc(1, size);
    memcpy(op.copy, bytes, size);
    op.number = ++disk->kinds[kind_of(name)].begun_count;
    disk->write_count++;
    if (file == NULL) {
        op.status = RAY_ENOTFOUND;
    } else if (offset + size > file->size) {
        op.status = RAY_EINVAL; /* never grows */
    } else if (sim_rng_ppm(&disk->rng, disk->config.error_ppm)) {
        op.status = RAY_EIO;
    }
    return op;
}

static void disk_write(struct coord_disk *base, const char *name, uint64_t offset,
                       const void *bytes, size_t size, coord_disk_done *done, void *arg)
{
    struct sim_coord_disk *user = user_of(base);
    struct op op = write_op(user->disk, name, offset, bytes, size);

    op.done = done;
    op.arg = arg;
    begin(user, op);
    if (is_cut_now(user)) {
        sim_proc_die(user->proc);
    }
}

static int disk_write_now(struct coord_disk *base, const char *name, uint64_t offset,
                          const void *bytes, size_t size, struct ray_err *err)
{
    struct sim_coord_disk *user = user_of(base);
    struct sim_disk *disk = user->disk;
    struct op op = write_op(disk, name, offset, bytes, size);

    if (is_cut_now(user)) {
        settle(disk, &op, true);
        sim_proc_die(user->proc);
    } else if (sim_proc_is_live(user->proc) && op.status == RAY_OK) {
        take_effect(disk, &op);
        sim_proc_pause(user->proc, disk->world->now_ns + delay_ns(disk));
    } else if (sim_proc_is_live(user->proc) && op.status == RAY_EIO &&
               sim_rng_one_in(&disk->rng, 2)) {
        take_part(disk, &op);
    }
    free(op.copy);
    return op.status == RAY_OK ? RAY_OK : ray_fail(err, op.status, "%s: write failed", name);
}

static void disk_rename(struct coord_disk *base, const char *from, const char *to,
                        coord_disk_done *done, void *arg)
{
    struct op op = {.kind = OP_RENAME, .done = done, .arg = arg};

    set_name(op.name, from);
    set_name(op.other, to);
    if (find(user_of(base)->disk, from) == NULL) {
        op.status = RAY_ENOTFOUND;
    }
    begin(user_of(base), op);
}

static void disk_remove(struct coord_disk *base, const char *name, coord_disk_done *done, void *arg)
{
    struct op op = {.kind = OP_REMOVE, .done = done, .arg = arg};

    set_name(op.name, name);
    if (find(user_of(base)->disk, name) == NULL) {
        op.status = RAY_ENOTFOUND;
    }
    begin(user_of(base), op);
}

static uint64_t disk_free_size(struct coord_disk *base)
{
    const struct sim_disk *disk = user_of(base)->disk;

    if (disk->config.capacity == UINT64_MAX) {
        return UINT64_MAX;
    }
    return disk->config.capacity > disk->used_size ? disk->config.capacity - disk->used_size : 0;
}

static void disk_destroy(struct coord_disk *base)
{
    struct sim_coord_disk *user = user_of(base);

    if (user == NULL) {
        return;
    }
    struct sim_disk *disk = user->disk;

    assert(disk->user == user);
    /* The events behind the operations free them; here only their owners are told, oldest
     * first. */
    for (;;) {
        struct op *oldest = NULL;

        for (struct op *op = disk->ops; op != NULL; op = op->next) {
            oldest = op->done != NULL ? op : oldest;
        }
        if (oldest == NULL) {
            break;
        }
        coord_disk_done *done = oldest->done;

        settle(disk, oldest, false);
        oldest->done = NULL;
        done(oldest->arg, RAY_ECANCELED);
    }
    disk->user = NULL;
    free(user);
}

static const struct coord_disk_ops disk_ops = {.list = disk_list,
                                               .read = disk_read,
                                               .create = disk_create,
                                               .write = disk_write,
                                               .write_now = disk_write_now,
                                               .rename = disk_rename,
                                               .remove = disk_remove,
                                               .free_size = disk_free_size,
                                               .destroy = disk_destroy};

/* ---- the disk ---- */

struct sim_disk *sim_disk_create(struct sim_world *world, const struct sim_disk_config *config)
{
    struct sim_disk *disk = sim_alloc(1, sizeof *disk);

    disk->world = world;
    disk->config = *config;
    sim_rng_fork(&world->rng, &disk->rng);
    return disk;
}

void sim_disk_destroy(struct sim_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    assert(disk->user == NULL && disk->ops == NULL);
    sim_disk_wipe(disk);
    free(disk->files);
    free(disk);
}

void sim_disk_set_config(struct sim_disk *disk, const struct sim_disk_config *config)
{
    disk->config = *config;
}

const struct sim_disk_config *sim_disk_config(const struct sim_disk *disk)
{
    return &disk->config;
}

struct coord_disk *sim_disk_open(struct sim_disk *disk, struct sim_proc *proc)
{
    assert(disk->user == NULL);
    struct sim_coord_disk *user = sim_alloc(1, sizeof *user);

    user->base.ops = &disk_ops;
    user->disk = disk;
    user->proc = proc;
    disk->user = user;
    return &user->base;
}

void sim_disk_crash(struct sim_disk *disk, bool is_power_cut)
{
    /* Oldest last in the list; their order on the medium is free anyway. */
    for (struct op *op = disk->ops; op != NULL; op = op->next) {
        settle(disk, op, is_power_cut);
    }
    disk->cut_countdown = 0;
}

void sim_disk_cut_within(struct sim_disk *disk, uint64_t count)
{
    disk->cut_countdown = count;
}

bool sim_disk_rot(struct sim_disk *disk, const char *prefix, uint64_t age, bool is_unreadable)
{
    struct block *chosen = NULL;
    uint64_t seen = 0;

    for (size_t i = 0; i < disk->file_count; i++) {
        const struct file *file = &disk->files[i];

        if (strncmp(file->name, prefix, strlen(prefix)) != 0) {
            continue;
        }
        for (size_t k = 0; k < block_count(file); k++) {
            struct block *block = &file->blocks[k];

            if (block->bytes != NULL && block->begun_after > 0 &&
                block->begun_after + age <= disk->kinds[kind_of(prefix)].done_number &&
                sim_rng_one_in(&disk->rng, ++seen)) {
                chosen = block;
            }
        }
    }
    if (chosen == NULL) {
        return false;
    }
    if (is_unreadable) {
        chosen->is_unreadable = true;
    } else {
        uint64_t bit = sim_rng_below(&disk->rng, (uint64_t)BLOCK * 8);

        chosen->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    return true;
}

void sim_disk_heal(struct sim_disk *disk)
{
    for (size_t i = 0; i < disk->file_count; i++) {
        for (size_t k = 0; k < block_count(&disk->files[i]); k++) {
            disk->files[i].blocks[k].is_unreadable = false;
        }
    }
}

void sim_disk_wipe(struct sim_disk *disk)
{
    assert(disk->user == NULL);
    while (disk->file_count > 0) {
        remove_file(disk, &disk->files[disk->file_count - 1]);
    }
}

void sim_disk_clone(const struct sim_disk *from, struct sim_disk *to)
{
    sim_disk_wipe(to);
    for (size_t i = 0; i < from->file_count; i++) {
        const struct file *source = &from->files[i];
        struct file *copy = add_file(to, source->name, source->size);

        for (size_t k = 0; k < block_count(source); k++) {
            if (source->blocks[k].bytes != NULL) {
                copy->blocks[k].bytes = sim_alloc(1, BLOCK);
                memcpy(copy->blocks[k].bytes, source->blocks[k].bytes, BLOCK);
            }
        }
    }
}

uint64_t sim_disk_write_count(const struct sim_disk *disk)
{
    return disk->write_count;
}

bool sim_disk_is_empty(const struct sim_disk *disk)
{
    return disk->file_count == 0;
}
