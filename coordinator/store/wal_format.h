/* coordinator/store/wal_format.h - the bytes of the log: segment heads, batches, records.
 *
 *   segment: head block | batch | batch | ... | zeros
 *   batch:   head, records, zeros up to the next block
 *   record:  head, data, zeros up to 16 bytes
 *
 * Memory: never allocates; what is decoded borrows.  Threads: any.  Blocks: never.
 * Trust: every byte may be anything. */
#ifndef RAY_COORDINATOR_STORE_WAL_FORMAT_H
#define RAY_COORDINATOR_STORE_WAL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coordinator/entry.h"
#include "coordinator/store/disk.h"
#include "coordinator/store/wal.h"

enum {
    COORD_WAL_VERSION = 1,
    COORD_WAL_SEGMENT_HEAD_SIZE = COORD_DISK_BLOCK_SIZE,
    COORD_WAL_BATCH_HEAD_SIZE = 80,
    COORD_WAL_RECORD_HEAD_SIZE = 32,
    COORD_WAL_RECORD_ALIGN = 16,
    COORD_WAL_BATCH_SIZE_MAX = COORD_WAL_BATCH_HEAD_SIZE + COORD_WAL_BATCH_SIZE +
                               COORD_WAL_RECORD_HEAD_SIZE + COORD_ENTRY_SIZE_MAX,
};

struct coord_wal_segment_head {
    bool is_root; /* the log begins here: what is in older segments is void */
    uint64_t segment;
    uint32_t segment_size;
    uint64_t first_index; /* that the first entry of the segment has, unless it truncates */
    uint64_t first_batch;
    uint32_t chain; /* checksum of the batch before; 0 at a root */
};

void coord_wal_segment_head_encode(const struct coord_wal_segment_head *head,
                                   const struct coord_wal_config *config, uint8_t *block);
/* RAY_EMALFORMED: no head, or damaged; RAY_EUNSUPPORTED: newer; RAY_ECONFLICT: whole, but of
 * another cluster or node. */
int coord_wal_segment_head_decode(const uint8_t *block, const struct coord_wal_config *config,
                                  struct coord_wal_segment_head *out, struct ray_err *err);

struct coord_wal_batch_head {
    uint32_t size; /* with this head, without the zeros up to the block */
    uint64_t batch;
    uint64_t segment;
    uint32_t offset; /* in the segment: a batch counts only where it was written */
    uint32_t record_count;
    uint64_t first_index;   /* last index before this batch, + 1 */
    uint64_t durable_index; /* when this was written */
    uint64_t durable_batch; /* this one and all before were durable when this was written */
    uint32_t chain;         /* own_crc of the batch before */
    uint32_t body_crc;      /* of all behind the head, up to the next block */
    uint32_t own_crc;       /* of the head and the salt; set by encode and decode */
};

void coord_wal_batch_head_encode(struct coord_wal_batch_head *head,
                                 const struct coord_wal_config *config, uint8_t *out);
/* Whether the head that lies at `offset` of `segment` is whole, of this log and of that place.
 * `bytes` has COORD_WAL_BATCH_HEAD_SIZE. */
bool coord_wal_batch_head_decode(const uint8_t *bytes, const struct coord_wal_config *config,
                                 uint64_t segment, uint32_t offset,
                                 struct coord_wal_batch_head *out);

/* A size rounded up to whole blocks. */
uint32_t coord_wal_blocks(uint32_t size);

/* On disk; the types of entries are those of enum coord_entry_type. */
enum { COORD_WAL_RECORD_TRUNCATE = 16 }; /* entries from `index` on are void */

struct coord_wal_record {
    uint8_t type;
    uint32_t size; /* of the data */
    uint64_t term; /* 0 in TRUNCATE */
    uint64_t index;
    const uint8_t *data;
};

/* What a record of so much data takes. */
uint32_t coord_wal_record_room(uint32_t data_size);
/* `out` has coord_wal_record_room(record->size) bytes. */
void coord_wal_record_encode(const struct coord_wal_record *record, uint8_t *out);
/* The record at the front of `bytes`; *out_room what it takes. RAY_EMALFORMED. */
int coord_wal_record_decode(const uint8_t *bytes, size_t size, struct coord_wal_record *out,
                            size_t *out_room);

/* A batch at the front of `bytes` (whole blocks): head and body whole, every record well formed,
 * indices without a gap. `each` (may be NULL) gets every record with its offset from `bytes`.
 * RAY_EMALFORMED. */
int coord_wal_batch_check(const uint8_t *bytes, size_t size, const struct coord_wal_config *config,
                          uint64_t segment, uint32_t offset, struct coord_wal_batch_head *out);
void coord_wal_batch_each(const uint8_t *bytes, const struct coord_wal_batch_head *head,
                          void (*each)(void *arg, const struct coord_wal_record *record,
                                       uint32_t offset),
                          void *arg);

#endif
