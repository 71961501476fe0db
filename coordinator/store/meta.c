/* Both copies are written at each change, the first before the second. So what was acknowledged
 * lies there twice, and a copy that rots cannot uncover an older term or vote; a cut leaves at
 * least one copy whole, and the whole one with the higher generation counts. */
#include "coordinator/store/meta.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/le.h"
#include "coordinator/store/crc32c.h"

static const uint8_t magic[8] = {'R', 'A', 'Y', 'M', 'E', 'T', 'A', '\n'};

enum {
    VERSION = 1,
    IDS_AT = 80,
    INCARNATION_AT = IDS_AT + 2 * RAY_ID_SIZE,
    SALT_AT = IDS_AT + 3 * RAY_ID_SIZE,
    BOOTS_AT = 256,
    BOOT_SIZE = RAY_ID_SIZE + 8,
    CRC_AT = COORD_DISK_BLOCK_SIZE - 4,
    COPIES = 2,
};

static_assert(SALT_AT + COORD_WAL_SALT_SIZE <= BOOTS_AT, "one behind the other");
static_assert(BOOTS_AT + COORD_META_BOOTS_MAX * BOOT_SIZE < CRC_AT, "all of it is in one block");

/* ---- boots ---- */

void coord_meta_count_boot(struct coord_meta *meta, const struct ray_id *incarnation)
{
    uint32_t count = meta->boot_count;

    meta->boot_counter++;
    if (count > 0 && ray_id_equal(&meta->boots[count - 1].incarnation, incarnation)) {
        meta->incarnation = *incarnation;
        return;
    }
    if (count == COORD_META_BOOTS_MAX) {
        memmove(&meta->boots[0], &meta->boots[1], (count - 1) * sizeof meta->boots[0]);
        count--;
    }
    meta->boots[count] =
        (struct coord_meta_boot){.incarnation = *incarnation, .since = meta->boot_counter};
    meta->boot_count = count + 1;
    meta->incarnation = *incarnation;
}

bool coord_meta_boots_differ(const struct coord_meta_boot *boots, size_t count, uint64_t counter,
                             const struct ray_id *incarnation)
{
    while (count > 0 && boots[count - 1].since > counter) {
        count--;
    }
    return count > 0 && !ray_id_equal(&boots[count - 1].incarnation, incarnation);
}

/* ---- the block ---- */

static void put_boots(const struct coord_meta *meta, uint8_t *block)
{
    ray_store32le(block + 64, meta->boot_count);
    for (uint32_t i = 0; i < meta->boot_count; i++) {
        uint8_t *at = block + BOOTS_AT + (size_t)i * BOOT_SIZE;

        memcpy(at, meta->boots[i].incarnation.bytes, RAY_ID_SIZE);
        ray_store64le(at + RAY_ID_SIZE, meta->boots[i].since);
    }
}

/* A block from before boots were kept has none. */
static int get_boots(const uint8_t *block, struct coord_meta *out, struct ray_err *err)
{
    out->boot_count = ray_load32le(block + 64);
    if (out->boot_count > COORD_META_BOOTS_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "the meta block is damaged");
    }
    for (uint32_t i = 0; i < out->boot_count; i++) {
        const uint8_t *at = block + BOOTS_AT + (size_t)i * BOOT_SIZE;

        memcpy(out->boots[i].incarnation.bytes, at, RAY_ID_SIZE);
        out->boots[i].since = ray_load64le(at + RAY_ID_SIZE);
    }
    return RAY_OK;
}

void coord_meta_encode(const struct coord_meta *meta, uint64_t generation, uint8_t *block)
{
    memset(block, 0, COORD_DISK_BLOCK_SIZE);
    memcpy(block, magic, sizeof magic);
    ray_store32le(block + 8, VERSION);
    ray_store32le(block + 12, meta->flags);
    ray_store64le(block + 16, generation);
    ray_store64le(block + 24, meta->boot_counter);
    ray_store64le(block + 32, meta->cluster_epoch);
    ray_store64le(block + 40, meta->server_id);
    ray_store64le(block + 48, meta->term);
    ray_store64le(block + 56, meta->vote);
    memcpy(block + IDS_AT, meta->cluster_id.bytes, RAY_ID_SIZE);
    memcpy(block + IDS_AT + RAY_ID_SIZE, meta->node_id.bytes, RAY_ID_SIZE);
    memcpy(block + INCARNATION_AT, meta->incarnation.bytes, RAY_ID_SIZE);
    memcpy(block + SALT_AT, meta->log_salt, COORD_WAL_SALT_SIZE);
    put_boots(meta, block);
    ray_store32le(block + CRC_AT, coord_crc32c(0, block, CRC_AT));
}

int coord_meta_decode(const uint8_t *block, struct coord_meta *out, uint64_t *out_generation,
                      struct ray_err *err)
{
    struct coord_meta meta = {
        .flags = ray_load32le(block + 12),
        .boot_counter = ray_load64le(block + 24),
        .cluster_epoch = ray_load64le(block + 32),
        .server_id = ray_load64le(block + 40),
        .term = ray_load64le(block + 48),
        .vote = ray_load64le(block + 56),
    };

    if (memcmp(block, magic, sizeof magic) != 0 ||
        ray_load32le(block + CRC_AT) != coord_crc32c(0, block, CRC_AT)) {
        return ray_fail(err, RAY_EMALFORMED, "the meta block is damaged");
    }
    if (ray_load32le(block + 8) != VERSION) {
        return ray_fail(err, RAY_EUNSUPPORTED,
                        "the meta block has format %u, this program knows %d",
                        ray_load32le(block + 8), VERSION);
    }
    memcpy(meta.cluster_id.bytes, block + IDS_AT, RAY_ID_SIZE);
    memcpy(meta.node_id.bytes, block + IDS_AT + RAY_ID_SIZE, RAY_ID_SIZE);
    memcpy(meta.incarnation.bytes, block + INCARNATION_AT, RAY_ID_SIZE);
    memcpy(meta.log_salt, block + SALT_AT, COORD_WAL_SALT_SIZE);
    if (get_boots(block, &meta, err) != RAY_OK) {
        return RAY_EMALFORMED;
    }
    *out_generation = ray_load64le(block + 16);
    *out = meta;
    return RAY_OK;
}

static uint8_t *block_get(size_t count)
{
    return ray_fault(RAY_FAULT_ALLOC)
               ? NULL
               : aligned_alloc(COORD_DISK_BLOCK_SIZE, count * COORD_DISK_BLOCK_SIZE);
}

/* `first`: the copy to begin with; the other one is whole as long as that is being written. */
static int write_copies(struct coord_meta_store *store, const struct coord_meta *meta,
                        uint64_t generation, uint64_t first, struct ray_err *err)
{
    uint8_t *block = block_get(1);
    int rc = RAY_OK;

    if (block == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a meta block");
    }
    coord_meta_encode(meta, generation, block);
    for (uint64_t i = 0; i < COPIES && rc == RAY_OK; i++) {
        rc = store->disk->ops->write_now(store->disk, COORD_META_NAME,
                                         (first + i) % COPIES * COORD_DISK_BLOCK_SIZE, block,
                                         COORD_DISK_BLOCK_SIZE, err);
    }
    free(block);
    if (rc != RAY_OK) {
        store->is_failed = true;
        return ray_wrap(err, rc, "term and vote");
    }
    store->now = *meta;
    store->generation = generation;
    return RAY_OK;
}

struct copy {
    struct coord_meta meta;
    uint64_t generation; /* 0: damaged */
    bool is_blank;       /* readable, and nothing was ever written */
};

static bool is_blank(const uint8_t *block)
{
    size_t at = 0;

    while (at < COORD_DISK_BLOCK_SIZE && block[at] == 0) {
        at++;
    }
    return at == COORD_DISK_BLOCK_SIZE;
}

static int read_copy(struct coord_disk *disk, uint64_t at, uint8_t *block, struct copy *out,
                     struct ray_err *err)
{
    int rc = disk->ops->read(disk, COORD_META_NAME, at * COORD_DISK_BLOCK_SIZE, block,
                             COORD_DISK_BLOCK_SIZE, err);

    *out = (struct copy){0};
    if (rc == RAY_OK) {
        out->is_blank = is_blank(block);
        rc = coord_meta_decode(block, &out->meta, &out->generation, err);
    }
    return rc == RAY_EIO || rc == RAY_EMALFORMED ? RAY_OK : rc;
}

/* *out_at: which of them is the newest. */
static int read_newest(struct coord_disk *disk, struct copy *out, uint64_t *out_at,
                       struct ray_err *err)
{
    struct copy copies[COPIES];
    uint8_t *block = block_get(1);
    int rc = RAY_OK;

    if (block == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a meta block");
    }
    for (uint64_t i = 0; i < COPIES && rc == RAY_OK; i++) {
        rc = read_copy(disk, i, block, &copies[i], err);
    }
    free(block);
    if (rc != RAY_OK) {
        return rc;
    }
    /* Who made the file was told so only when the second copy was there. */
    if (copies[0].generation == 0 && copies[1].is_blank) {
        return ray_fail(err, RAY_ENOTFOUND, "the meta block was never written whole");
    }
    *out_at = copies[0].generation >= copies[1].generation ? 0 : 1;
    *out = copies[*out_at];
    if (out->generation == 0) {
        return ray_fail(err, RAY_EMALFORMED, "both copies of the meta block are damaged");
    }
    return RAY_OK;
}

int coord_meta_open(struct coord_meta_store *store, struct coord_disk *disk, struct ray_err *err)
{
    struct copy newest = {.generation = 0};
    uint64_t at = 0;
    int rc = read_newest(disk, &newest, &at, err);

    *store = (struct coord_meta_store){.disk = disk};
    if (rc != RAY_OK) {
        return rc;
    }
    /* Also when they agree: the second may have been read from a cache that forgets. */
    return write_copies(store, &newest.meta, newest.generation, (at + 1) % COPIES, err);
}

int coord_meta_look(struct coord_disk *disk, struct coord_meta *out, struct ray_err *err)
{
    struct copy newest = {.generation = 0};
    uint64_t at = 0;
    int rc = read_newest(disk, &newest, &at, err);

    if (rc == RAY_OK) {
        *out = newest.meta;
    }
    return rc;
}

int coord_meta_write(struct coord_meta_store *store, const struct coord_meta *next,
                     struct ray_err *err)
{
    assert(next->term >= store->now.term);
    assert(next->term > store->now.term || store->now.vote == 0 || next->vote == store->now.vote);
    assert(next->boot_counter >= store->now.boot_counter);
    if (store->is_failed) {
        return ray_fail(err, RAY_EIO, "a write of term and vote failed before");
    }
    return write_copies(store, next, store->generation + 1, 0, err);
}

/* --- making it --- */

static bool is_never_written(struct coord_disk *disk)
{
    struct coord_meta_store old;

    return coord_meta_open(&old, disk, NULL) == RAY_ENOTFOUND;
}

/* Until the first copy is whole there is no term and no vote that could be forgotten. */
static void on_created(void *arg, int status)
{
    struct coord_meta_store *store = arg;

    if (status == RAY_OK || (status == RAY_EEXISTS && is_never_written(store->disk))) {
        status = write_copies(store, &store->first, 1, 0, NULL);
    }
    store->done(store->arg, status);
}

void coord_meta_create(struct coord_meta_store *store, struct coord_disk *disk,
                       const struct coord_meta *first, coord_disk_done *done, void *arg)
{
    *store = (struct coord_meta_store){.disk = disk, .first = *first, .done = done, .arg = arg};
    disk->ops->create(disk, COORD_META_NAME, COPIES * (uint64_t)COORD_DISK_BLOCK_SIZE, on_created,
                      store);
}
