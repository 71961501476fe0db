/* coordinator/store/wal_impl.h - inside of the log, for its own files and tests.
 *
 * wal.c         taking entries, batches, what is durable
 * wal_batch.c   memory of batches
 * wal_open.c    verifying at start; wal_scan.c the walk over what lies on the disk
 * wal_space.c   segments: made ahead, kept in reserve, removed
 * wal_read.c    entries back
 *
 * Memory: wal.h.  Threads: the loop's.  Blocks: never but in open and read.  Trust: none. */
#ifndef RAY_COORDINATOR_STORE_WAL_IMPL_H
#define RAY_COORDINATOR_STORE_WAL_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/store/wal.h"
#include "coordinator/store/wal_format.h"
#include "coordinator/store/wal_index.h"

#define COORD_WAL_RESERVE_NAME "wal-reserve"

struct coord_wal_segment {
    uint64_t number;
    uint32_t size;
};

/* From the first entry taken until it is durable. `bytes` begins with room for a segment's head,
 * so that head and first batch are one write. */
struct coord_wal_batch {
    struct coord_wal_batch *next;
    struct coord_wal *wal;
    uint8_t *bytes;
    size_t capacity; /* behind that room */
    struct coord_wal_batch_head head;
    uint64_t last_index; /* of the log when this is durable; lowered by a later truncation */
    bool begins_segment;
    bool is_root;
    bool is_closed;
    bool is_writing;
    bool is_done;
};

/* Where the next batch goes. offset 0: the segment's head is not written yet. */
struct coord_wal_position {
    uint64_t segment;
    uint32_t offset;
    bool is_root;
};

enum coord_wal_task {
    COORD_WAL_TASK_NONE,
    COORD_WAL_TASK_MAKE,         /* the next segment */
    COORD_WAL_TASK_MAKE_RESERVE, /* wal-reserve */
    COORD_WAL_TASK_TAKE_RESERVE, /* it becomes the next segment */
    COORD_WAL_TASK_REMOVE,       /* the oldest segment */
    COORD_WAL_TASK_REMOVE_RESERVE,
};

struct coord_wal {
    struct coord_disk *disk;
    struct coord_wal_config config;
    struct coord_wal_user user;
    struct coord_wal_index index;

    struct coord_wal_batch *oldest; /* in the order of their numbers */
    struct coord_wal_batch *newest;
    struct coord_wal_batch *pool;
    size_t pool_count;
    size_t in_flight_count;
    size_t queued_size;
    struct coord_wal_position position;
    uint64_t next_batch;
    uint32_t chain; /* own_crc of the last batch that was written */

    uint64_t durable_index;
    uint64_t durable_batch;
    uint64_t durable_segment;  /* of durable_batch; 0: none */
    uint64_t stated_batch;     /* durable_batch in the last head that was written */
    uint64_t last_entry_batch; /* the newest with a record */

    struct coord_wal_segment *segments; /* on the disk, in order, without a gap from the root */
    size_t segment_count;
    size_t segment_capacity;
    uint64_t newest_segment; /* number of the last one that was made */
    uint64_t compact_index;
    enum coord_wal_task task;
    char task_name[COORD_DISK_NAME_SIZE];
    bool has_reserve;
    bool is_reserve_odd; /* of another size than our segments: removed first */
    bool is_space_short; /* the last attempt to make a file met ENOSPC */
    bool may_try;        /* ... and it is worth another */
    enum coord_wal_space told_space;

    uint8_t *window; /* of coord_wal_read */
    int failed_status;
    bool is_rotten;
    bool is_closing;
};

/* --- wal_batch.c --- */

/* NULL: no memory. */
struct coord_wal_batch *coord_wal_batch_get(struct coord_wal *wal);
void coord_wal_batch_put(struct coord_wal *wal, struct coord_wal_batch *batch);
int coord_wal_batch_reserve(struct coord_wal_batch *batch, uint32_t more);
void coord_wal_batch_free_all(struct coord_wal *wal);
static inline uint8_t *coord_wal_batch_body(const struct coord_wal_batch *batch)
{
    return batch->bytes + COORD_WAL_SEGMENT_HEAD_SIZE;
}

/* --- wal_scan.c --- */

struct coord_wal_scan_batch {
    uint64_t number;
    uint64_t segment;
    uint32_t offset;
    uint32_t size; /* whole blocks */
};

/* What lies on the disk. */
struct coord_wal_scan {
    struct coord_disk *disk;
    const struct coord_wal_config *config;
    struct coord_wal_segment *segments;
    size_t count;
    size_t capacity;
    uint64_t reserve_size; /* 0: none */

    size_t start;            /* the segment where the log begins */
    size_t end;              /* the segment where the chain ends */
    uint32_t end_offset;     /* there; 0: its head is damaged or was never written */
    bool is_end_root;        /* the head there is a root's, and nothing follows */
    uint64_t expected_batch; /* the next one */
    uint32_t chain;
    uint64_t stated_batch; /* the highest durable_batch of the chain */
    uint64_t stated_index; /* durable_index of its last batch */
    struct coord_wal_scan_batch last[COORD_WAL_IN_FLIGHT_MAX]; /* newest first; number 0: none */

    bool has_gap;              /* a segment is missing or has lost its size */
    uint64_t seen_batch;       /* the highest that lies behind the end */
    uint64_t proven_batch;     /* the highest that something behind the end proves durable */
    uint64_t dirty_size;       /* bytes behind the end, in blocks that are not zero */
    uint64_t unreadable_count; /* blocks that the medium could not read */

    uint8_t *bytes; /* one segment, behind it one block more: a head looked at alone */
    size_t bytes_size;
    size_t loaded; /* the segment that `bytes` has, + 1; 0: none */
};

/* Lists and walks, filling `index`. Fails only where nothing can be said (wal.h). */
int coord_wal_scan_run(struct coord_wal_scan *scan, struct coord_disk *disk,
                       struct coord_wal_config *config, struct coord_wal_index *index,
                       struct ray_err *err);
/* Zeroes every block behind the end. */
int coord_wal_scan_cut(struct coord_wal_scan *scan, struct ray_err *err);
/* Writes the last batches once more where nothing proves them durable: they may have been read
 * from a cache that a power cut empties. */
int coord_wal_scan_settle(struct coord_wal_scan *scan, struct ray_err *err);
void coord_wal_scan_fini(struct coord_wal_scan *scan);

/* --- wal_space.c --- */

void coord_wal_segment_name(uint64_t number, char out[static COORD_DISK_NAME_SIZE]);
/* Room for more of them. RAY_ENOMEM; the old ones stay. */
int coord_wal_segments_grow(struct coord_wal_segment **segments, size_t *capacity);
/* RAY_EINVAL: not the name of a segment. */
int coord_wal_segment_parse(const char *name, uint64_t *out_number);
bool coord_wal_segment_is_there(const struct coord_wal *wal, uint64_t number);
/* Begins the most urgent task if none is under way. */
void coord_wal_space_step(struct coord_wal *wal);
/* Whether so many bytes of batches, in whole blocks, the largest of `largest`, surely find
 * room. */
bool coord_wal_space_has_room(const struct coord_wal *wal, uint64_t size, uint32_t largest);

/* --- wal.c --- */

/* Tells the owner once. */
void coord_wal_fail(struct coord_wal *wal, int status);
/* Writes what may be written now. */
void coord_wal_submit(struct coord_wal *wal);
void coord_wal_free(struct coord_wal *wal);
bool coord_wal_is_busy(const struct coord_wal *wal);

#endif
