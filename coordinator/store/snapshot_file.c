#include "coordinator/store/snapshot_file.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/le.h"
#include "coordinator/store/crc32c.h"

static const uint8_t magic[8] = {'R', 'A', 'Y', 'S', 'N', 'A', 'P', '\n'};

enum { VERSION = 1, CRC_AT = COORD_DISK_BLOCK_SIZE - 4, NUMBER_DIGITS = 16 };

void coord_snapshot_name(uint64_t index, uint64_t term, char out[static COORD_DISK_NAME_SIZE])
{
    (void)snprintf(out, COORD_DISK_NAME_SIZE, COORD_SNAPSHOT_PREFIX "%016" PRIx64 "-%016" PRIx64,
                   index, term);
}

static int number_parse(const char *text, uint64_t *out)
{
    uint64_t number = 0;

    for (size_t i = 0; i < NUMBER_DIGITS; i++) {
        char c = text[i];

        if (c >= '0' && c <= '9') {
            number = number << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            number = number << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return RAY_EINVAL;
        }
    }
    *out = number;
    return RAY_OK;
}

int coord_snapshot_name_parse(const char *name, uint64_t *out_index, uint64_t *out_term)
{
    size_t prefix = strlen(COORD_SNAPSHOT_PREFIX);
    uint64_t index;
    uint64_t term;

    if (strlen(name) != prefix + NUMBER_DIGITS + 1 + NUMBER_DIGITS ||
        strncmp(name, COORD_SNAPSHOT_PREFIX, prefix) != 0 || name[prefix + NUMBER_DIGITS] != '-' ||
        number_parse(name + prefix, &index) != RAY_OK ||
        number_parse(name + prefix + NUMBER_DIGITS + 1, &term) != RAY_OK) {
        return RAY_EINVAL;
    }
    *out_index = index;
    *out_term = term;
    return RAY_OK;
}

uint64_t coord_snapshot_blocks(uint64_t size)
{
    return (size + COORD_DISK_BLOCK_SIZE - 1) / COORD_DISK_BLOCK_SIZE * COORD_DISK_BLOCK_SIZE;
}

uint64_t coord_snapshot_data_offset(uint32_t chunks)
{
    return COORD_DISK_BLOCK_SIZE +
           coord_snapshot_blocks(COORD_SNAPSHOT_MANIFEST_FIXED_SIZE +
                                 (uint64_t)chunks * COORD_SNAPSHOT_HASH_SIZE);
}

uint32_t coord_snapshot_chunks(uint64_t size)
{
    assert(size <= (uint64_t)COORD_SNAPSHOT_CHUNKS_MAX * COORD_SNAPSHOT_CHUNK_SIZE);
    return (uint32_t)((size + COORD_SNAPSHOT_CHUNK_SIZE - 1) / COORD_SNAPSHOT_CHUNK_SIZE);
}

void coord_snapshot_locator_encode(uint64_t manifest_size, uint64_t data_offset, uint8_t *block)
{
    memset(block, 0, COORD_DISK_BLOCK_SIZE);
    memcpy(block, magic, sizeof magic);
    ray_store32le(block + 8, VERSION);
    ray_store64le(block + 16, manifest_size);
    ray_store64le(block + 24, data_offset);
    ray_store32le(block + CRC_AT, coord_crc32c(0, block, CRC_AT));
}

int coord_snapshot_locator_decode(const uint8_t *block, uint64_t *out_manifest_size,
                                  uint64_t *out_data_offset, struct ray_err *err)
{
    uint64_t manifest_size = ray_load64le(block + 16);
    uint64_t data_offset = ray_load64le(block + 24);

    if (memcmp(block, magic, sizeof magic) != 0 ||
        ray_load32le(block + CRC_AT) != coord_crc32c(0, block, CRC_AT)) {
        return ray_fail(err, RAY_EMALFORMED, "a snapshot's first block is damaged");
    }
    if (ray_load32le(block + 8) != VERSION) {
        return ray_fail(err, RAY_EUNSUPPORTED, "a snapshot of format %u, this program knows %d",
                        ray_load32le(block + 8), VERSION);
    }
    if (manifest_size < COORD_SNAPSHOT_MANIFEST_FIXED_SIZE ||
        manifest_size > COORD_SNAPSHOT_MANIFEST_SIZE_MAX ||
        data_offset % COORD_DISK_BLOCK_SIZE != 0 ||
        data_offset < COORD_DISK_BLOCK_SIZE + coord_snapshot_blocks(manifest_size)) {
        return ray_fail(err, RAY_EMALFORMED, "a snapshot's first block is wrong");
    }
    *out_manifest_size = manifest_size;
    *out_data_offset = data_offset;
    return RAY_OK;
}

void coord_snapshot_hash(const uint8_t *bytes, size_t size, uint8_t *out)
{
    int rc = crypto_generichash(out, COORD_SNAPSHOT_HASH_SIZE, bytes, size, NULL, 0);

    assert(rc == 0);
    (void)rc;
}

/* --- removal --- */

struct collecting {
    struct coord_snapshot_removal *removal;
    const char *prefix;
    const char *except;
    size_t whole; /* snapshots seen */
    size_t whole_count;
    bool is_old_too;
};

static void count_whole(void *arg, const char *name, uint64_t size)
{
    struct collecting *collecting = arg;
    uint64_t index;
    uint64_t term;

    (void)size;
    if (coord_snapshot_name_parse(name, &index, &term) == RAY_OK) {
        collecting->whole_count++;
    }
}

/* Names come sorted: the oldest snapshots first. What is one too many goes another time. */
static void collect(void *arg, const char *name, uint64_t size)
{
    struct collecting *collecting = arg;
    struct coord_snapshot_removal *removal = collecting->removal;
    bool is_going = strncmp(name, collecting->prefix, strlen(collecting->prefix)) == 0 &&
                    (collecting->except == NULL || strcmp(name, collecting->except) != 0);
    uint64_t index;
    uint64_t term;

    (void)size;
    if (collecting->is_old_too && coord_snapshot_name_parse(name, &index, &term) == RAY_OK) {
        collecting->whole++;
        is_going = collecting->whole + COORD_SNAPSHOTS_KEPT <= collecting->whole_count;
    }
    if (is_going && removal->count < COORD_SNAPSHOT_REMOVALS_MAX) {
        (void)snprintf(removal->names[removal->count++], COORD_DISK_NAME_SIZE, "%s", name);
    }
}

int coord_snapshot_removal_collect(struct coord_snapshot_removal *removal, struct coord_disk *disk,
                                   const char *prefix, const char *except, bool is_old_too,
                                   struct ray_err *err)
{
    struct collecting collecting = {
        .removal = removal, .prefix = prefix, .except = except, .is_old_too = is_old_too};
    int rc;

    removal->disk = disk;
    removal->count = 0;
    rc = disk->ops->list(disk, count_whole, &collecting, err);
    return rc == RAY_OK ? disk->ops->list(disk, collect, &collecting, err) : rc;
}

static void on_removed(void *arg, int status)
{
    struct coord_snapshot_removal *removal = arg;

    removal->count--;
    if (status != RAY_OK && status != RAY_ENOTFOUND) {
        removal->done(removal->arg, status);
    } else if (removal->count == 0) {
        removal->done(removal->arg, RAY_OK);
    } else {
        removal->disk->ops->remove(removal->disk, removal->names[removal->count - 1], on_removed,
                                   removal);
    }
}

void coord_snapshot_removal_run(struct coord_snapshot_removal *removal, coord_disk_done *done,
                                void *arg)
{
    assert(removal->count > 0);
    removal->done = done;
    removal->arg = arg;
    removal->disk->ops->remove(removal->disk, removal->names[removal->count - 1], on_removed,
                               removal);
}
