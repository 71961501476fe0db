#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/store/snapshot_file.h"

struct coord_snapshot_reader {
    struct coord_disk *disk;
    char name[COORD_DISK_NAME_SIZE];
    struct coord_snapshot_info info;
    uint8_t *manifest; /* blocks */
    uint64_t manifest_size;
    const uint8_t *hashes; /* in it */
    uint64_t data_offset;
    uint8_t *chunk; /* aligned */
};

void coord_snapshot_reader_destroy(struct coord_snapshot_reader *reader)
{
    if (reader != NULL) {
        free(reader->manifest);
        free(reader->chunk);
        free(reader);
    }
}

static uint8_t *blocks_get(uint64_t size)
{
    return ray_fault(RAY_FAULT_ALLOC)
               ? NULL
               : aligned_alloc(COORD_DISK_BLOCK_SIZE, (size_t)coord_snapshot_blocks(size));
}

static int manifest_read(struct coord_snapshot_reader *reader, struct ray_err *err)
{
    const struct coord_disk_ops *ops = reader->disk->ops;
    int rc = ops->read(reader->disk, reader->name, 0, reader->chunk, COORD_DISK_BLOCK_SIZE, err);

    if (rc == RAY_OK) {
        rc = coord_snapshot_locator_decode(reader->chunk, &reader->manifest_size,
                                           &reader->data_offset, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    reader->manifest = blocks_get(reader->manifest_size);
    if (reader->manifest == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a manifest");
    }
    rc = ops->read(reader->disk, reader->name, COORD_DISK_BLOCK_SIZE, reader->manifest,
                   (size_t)coord_snapshot_blocks(reader->manifest_size), err);
    if (rc == RAY_OK) {
        rc = coord_snapshot_manifest_decode(reader->manifest, (size_t)reader->manifest_size,
                                            &reader->info, &reader->hashes, err);
    }
    return rc;
}

int coord_snapshot_reader_create(struct coord_snapshot_reader **out, struct coord_disk *disk,
                                 uint64_t index, uint64_t term, struct ray_err *err)
{
    struct coord_snapshot_reader *reader =
        ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *reader);
    int rc;

    if (reader == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a snapshot's reader");
    }
    reader->disk = disk;
    coord_snapshot_name(index, term, reader->name);
    reader->chunk = blocks_get(COORD_SNAPSHOT_CHUNK_SIZE);
    rc = reader->chunk != NULL ? manifest_read(reader, err)
                               : ray_fail(err, RAY_ENOMEM, "a snapshot's reader");
    if (rc == RAY_OK && (reader->info.index != index || reader->info.term != term)) {
        rc = ray_fail(err, RAY_EMALFORMED, "a snapshot lies under another's name");
    }
    if (rc != RAY_OK) {
        coord_snapshot_reader_destroy(reader);
        return ray_wrap(err, rc, "snapshot %llu", (unsigned long long)index);
    }
    *out = reader;
    return RAY_OK;
}

const struct coord_snapshot_info *
coord_snapshot_reader_info(const struct coord_snapshot_reader *reader)
{
    return &reader->info;
}

const uint8_t *coord_snapshot_reader_manifest(const struct coord_snapshot_reader *reader,
                                              size_t *out_size)
{
    *out_size = (size_t)reader->manifest_size;
    return reader->manifest;
}

int coord_snapshot_reader_read(struct coord_snapshot_reader *reader, uint32_t chunk,
                               const uint8_t **out_bytes, size_t *out_size, struct ray_err *err)
{
    uint64_t at = (uint64_t)chunk * COORD_SNAPSHOT_CHUNK_SIZE;
    uint8_t hash[COORD_SNAPSHOT_HASH_SIZE];
    size_t size;
    int rc;

    if (chunk >= reader->info.chunk_count) {
        return ray_fail(err, RAY_EINVAL, "chunk %u of %u", chunk, reader->info.chunk_count);
    }
    size = reader->info.size - at < COORD_SNAPSHOT_CHUNK_SIZE ? (size_t)(reader->info.size - at)
                                                              : (size_t)COORD_SNAPSHOT_CHUNK_SIZE;
    rc = reader->disk->ops->read(reader->disk, reader->name, reader->data_offset + at,
                                 reader->chunk, (size_t)coord_snapshot_blocks(size), err);
    if (rc != RAY_OK) {
        return rc;
    }
    coord_snapshot_hash(reader->chunk, size, hash);
    if (memcmp(hash, reader->hashes + (size_t)chunk * COORD_SNAPSHOT_HASH_SIZE, sizeof hash) != 0) {
        return ray_fail(err, RAY_EMALFORMED, "chunk %u of %s has rotted", chunk, reader->name);
    }
    *out_bytes = reader->chunk;
    *out_size = size;
    return RAY_OK;
}

/* --- list --- */

struct found {
    uint64_t index;
    uint64_t term;
};

struct listing {
    struct found found[COORD_SNAPSHOTS_MAX]; /* the newest, oldest first */
    size_t count;
};

static void on_file(void *arg, const char *name, uint64_t size)
{
    struct listing *listing = arg;
    struct found found;

    (void)size;
    if (coord_snapshot_name_parse(name, &found.index, &found.term) != RAY_OK) {
        return;
    }
    if (listing->count == COORD_SNAPSHOTS_MAX) {
        listing->count--;
        memmove(&listing->found[0], &listing->found[1], listing->count * sizeof found);
    }
    listing->found[listing->count++] = found;
}

int coord_snapshot_list(struct coord_disk *disk, struct coord_snapshot_info *out, size_t out_max,
                        size_t *out_count, struct ray_err *err)
{
    struct listing listing = {0};
    size_t count = 0;
    int rc = disk->ops->list(disk, on_file, &listing, err);

    if (rc != RAY_OK) {
        return rc;
    }
    for (size_t i = listing.count; i > 0 && count < out_max; i--) {
        struct coord_snapshot_reader *reader = NULL;

        rc = coord_snapshot_reader_create(&reader, disk, listing.found[i - 1].index,
                                          listing.found[i - 1].term, err);
        if (rc == RAY_OK && reader != NULL) {
            out[count++] = reader->info;
            coord_snapshot_reader_destroy(reader);
        } else if (rc == RAY_ENOMEM) {
            return rc;
        }
    }
    *out_count = count;
    return RAY_OK;
}
