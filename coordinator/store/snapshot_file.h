/* coordinator/store/snapshot_file.h - names and bytes of snapshot files, for snapshot*.c alone.
 *
 *   locator block | manifest, zeros up to a block | data ...
 *
 * Memory: plain; a removal lives in its owner.  Threads: the loop's.  Blocks: never.
 * Trust: the disk is not trusted. */
#ifndef RAY_COORDINATOR_STORE_SNAPSHOT_FILE_H
#define RAY_COORDINATOR_STORE_SNAPSHOT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/store/snapshot.h"

#define COORD_SNAPSHOT_PREFIX "snap-"
#define COORD_SNAPSHOT_NEW_PREFIX "snapnew-"
#define COORD_SNAPSHOT_RECEIVED_PREFIX "snaprecv-"

enum {
    COORD_SNAPSHOT_MANIFEST_FIXED_SIZE = 104 + COORD_SERVERS_MAX * 16, /* before the hashes */
    COORD_SNAPSHOT_REMOVALS_MAX = 32,
};

void coord_snapshot_name(uint64_t index, uint64_t term, char out[static COORD_DISK_NAME_SIZE]);
/* RAY_EINVAL: not the name of a whole snapshot. */
int coord_snapshot_name_parse(const char *name, uint64_t *out_index, uint64_t *out_term);

/* Locator and manifest for so many chunks, in whole blocks: where the data begins. */
uint64_t coord_snapshot_data_offset(uint32_t chunks);
uint64_t coord_snapshot_blocks(uint64_t size);
uint32_t coord_snapshot_chunks(uint64_t size); /* of so much data; size within the limits */
void coord_snapshot_locator_encode(uint64_t manifest_size, uint64_t data_offset, uint8_t *block);
int coord_snapshot_locator_decode(const uint8_t *block, uint64_t *out_manifest_size,
                                  uint64_t *out_data_offset, struct ray_err *err);
void coord_snapshot_hash(const uint8_t *bytes, size_t size, uint8_t *out);

/* Removes files one after another. */
struct coord_snapshot_removal {
    struct coord_disk *disk;
    char names[COORD_SNAPSHOT_REMOVALS_MAX][COORD_DISK_NAME_SIZE];
    size_t count;
    coord_disk_done *done;
    void *arg;
};

/* Notes what is to go: files that begin with `prefix` but `except` (may be NULL), and, with
 * is_old_too, whole snapshots beyond the newest COORD_SNAPSHOTS_KEPT. Blocks. */
int coord_snapshot_removal_collect(struct coord_snapshot_removal *removal, struct coord_disk *disk,
                                   const char *prefix, const char *except, bool is_old_too,
                                   struct ray_err *err);
/* With something to remove: `done` later, with the first failure but RAY_ENOTFOUND. */
void coord_snapshot_removal_run(struct coord_snapshot_removal *removal, coord_disk_done *done,
                                void *arg);

#endif
