/* coordinator/store/snapshot.h - snapshots as files of chunks that are checked one by one.
 *
 * A snapshot is a manifest (what it is, and the BLAKE2b hash of each chunk) and chunks of 256
 * KiB, all full but the last. It gets its name, "snap-<index>-<term>", only when it is whole and
 * on stable storage; two generations are kept. The manifest's bytes also travel: a receiver
 * starts with them, asks for the chunks that it lacks, in any order, and resumes after a restart.
 *
 * Memory: create/destroy.  Threads: the loop's.  Blocks: list, open, read, receiver_create.
 * Trust: disk and manifests and chunks from peers are hostile. */
#ifndef RAY_COORDINATOR_STORE_SNAPSHOT_H
#define RAY_COORDINATOR_STORE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "coordinator/entry.h"
#include "coordinator/store/disk.h"

enum {
    COORD_SNAPSHOT_CHUNK_SIZE = 256 << 10,
    COORD_SNAPSHOT_CHUNKS_MAX = 16384, /* 4 GiB */
    COORD_SNAPSHOT_HASH_SIZE = 32,
    COORD_SNAPSHOT_HEAD_SIZE = 4096,
    COORD_SNAPSHOT_MANIFEST_SIZE_MAX =
        COORD_SNAPSHOT_HEAD_SIZE + COORD_SNAPSHOT_CHUNKS_MAX * COORD_SNAPSHOT_HASH_SIZE,
    COORD_SNAPSHOTS_KEPT = 2,
    COORD_SNAPSHOTS_MAX = 8, /* that list returns */
};

struct coord_snapshot_info {
    struct ray_id cluster_id;
    uint64_t index; /* of the last entry that it covers; not 0 */
    uint64_t term;
    struct coord_config config; /* as of `index` */
    uint64_t config_index;      /* of the entry that made it */
    uint64_t size;              /* of the data */
    uint32_t chunk_count;
    uint8_t root[COORD_SNAPSHOT_HASH_SIZE]; /* hash of all the above and the chunks' hashes */
};

/* The whole snapshots on this disk whose manifest is right, newest first. */
int coord_snapshot_list(struct coord_disk *disk, struct coord_snapshot_info *out, size_t out_max,
                        size_t *out_count, struct ray_err *err);

/* --- writing what this node makes --- */

struct coord_snapshot_writer;

/* `info`: cluster_id, index, term, config, config_index. `size_max`: the most that will be put;
 * the file is made that large. on_writable comes after a RAY_EAGAIN (and once at the start). */
int coord_snapshot_writer_create(struct coord_snapshot_writer **out, struct coord_disk *disk,
                                 const struct coord_snapshot_info *info, uint64_t size_max,
                                 void (*on_writable)(void *arg), void *arg, struct ray_err *err);
/* Takes as much as there is room for; *out_taken may be less than `size`. RAY_EAGAIN: nothing,
 * wait for on_writable; RAY_ETOOBIG: beyond size_max; or what the disk said: destroy it. */
int coord_snapshot_writer_put(struct coord_snapshot_writer *writer, const uint8_t *bytes,
                              size_t size, size_t *out_taken);
/* Writes the rest, renames, removes generations beyond COORD_SNAPSHOTS_KEPT; then done. */
void coord_snapshot_writer_finish(struct coord_snapshot_writer *writer, coord_disk_done *done,
                                  void *arg);
/* After done: what was made. */
const struct coord_snapshot_info *
coord_snapshot_writer_info(const struct coord_snapshot_writer *writer);
/* Any time, also from its callbacks. An unfinished file goes when the next one is begun. It may
 * live on unseen until the disk has answered. NULL is fine. */
void coord_snapshot_writer_destroy(struct coord_snapshot_writer *writer);

/* --- reading, for loading and for sending --- */

struct coord_snapshot_reader;

/* RAY_ENOTFOUND; RAY_EMALFORMED: the manifest is damaged. */
int coord_snapshot_reader_create(struct coord_snapshot_reader **out, struct coord_disk *disk,
                                 uint64_t index, uint64_t term, struct ray_err *err);
const struct coord_snapshot_info *
coord_snapshot_reader_info(const struct coord_snapshot_reader *reader);
/* To send first; lives as long as the reader. */
const uint8_t *coord_snapshot_reader_manifest(const struct coord_snapshot_reader *reader,
                                              size_t *out_size);
/* One chunk, checked; the reader's until its next read. RAY_EMALFORMED: rot. */
int coord_snapshot_reader_read(struct coord_snapshot_reader *reader, uint32_t chunk,
                               const uint8_t **out_bytes, size_t *out_size, struct ray_err *err);
void coord_snapshot_reader_destroy(struct coord_snapshot_reader *reader);

/* --- receiving from a peer --- */

struct coord_snapshot_receiver;

/* Checks the manifest (RAY_EMALFORMED, RAY_ECONFLICT: of another cluster). An unfinished file of
 * the same snapshot is taken up, its chunks verified; one of another snapshot is replaced.
 * on_ready comes when chunks can be put, and after each RAY_EAGAIN. */
int coord_snapshot_receiver_create(struct coord_snapshot_receiver **out, struct coord_disk *disk,
                                   const struct ray_id *cluster_id, const uint8_t *manifest,
                                   size_t manifest_size, void (*on_ready)(void *arg), void *arg,
                                   struct ray_err *err);
const struct coord_snapshot_info *
coord_snapshot_receiver_info(const struct coord_snapshot_receiver *receiver);
/* The first chunk from `from` on that is not there; chunk_count: none. */
uint32_t coord_snapshot_receiver_missing(const struct coord_snapshot_receiver *receiver,
                                         uint32_t from);
/* RAY_EMALFORMED: it has not the hash that the manifest says; RAY_EAGAIN: wait for on_ready;
 * a chunk that is there already is RAY_OK; or what the disk said: destroy it. */
int coord_snapshot_receiver_put(struct coord_snapshot_receiver *receiver, uint32_t chunk,
                                const uint8_t *bytes, size_t size, struct ray_err *err);
/* RAY_EAGAIN through `done`: chunks are missing. Otherwise renames, removes old generations. */
void coord_snapshot_receiver_finish(struct coord_snapshot_receiver *receiver, coord_disk_done *done,
                                    void *arg);
/* Any time, also from its callbacks. What came stays for the next attempt. NULL is fine. */
void coord_snapshot_receiver_destroy(struct coord_snapshot_receiver *receiver);

/* --- pure --- */

/* Manifest's bytes; `hashes` has chunk_count * COORD_SNAPSHOT_HASH_SIZE bytes. Sets info->root.
 * Returns the size written to `out` (COORD_SNAPSHOT_MANIFEST_SIZE_MAX is enough). */
size_t coord_snapshot_manifest_encode(struct coord_snapshot_info *info, const uint8_t *hashes,
                                      uint8_t *out);
/* *out_hashes borrows from `bytes`; `size` is exact. RAY_EMALFORMED, RAY_EUNSUPPORTED. */
int coord_snapshot_manifest_decode(const uint8_t *bytes, size_t size,
                                   struct coord_snapshot_info *out, const uint8_t **out_hashes,
                                   struct ray_err *err);

#endif
