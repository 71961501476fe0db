/* coordinator/store/wal.h - the replicated log on this node's disk.
 *
 * Segments of zeroed blocks hold batches; a batch is written whole, on a block boundary, once,
 * and at most two are under way. Each batch names the last batch that was durable when it was
 * written, which tells a torn tail from rot after a crash (README.md has the picture).
 *
 * Memory: create/destroy; entries given are copied, entries read belong to a span. It keeps 24
 * bytes for each entry of the log.
 * Threads: the loop's.  Blocks: open, read, discard; nothing else.
 * Trust: what the disk gives may be anything. */
#ifndef RAY_COORDINATOR_STORE_WAL_H
#define RAY_COORDINATOR_STORE_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "coordinator/entry.h"
#include "coordinator/store/disk.h"

enum {
    COORD_WAL_SALT_SIZE = 16,
    COORD_WAL_SEGMENT_SIZE = 16 << 20,    /* the usual one */
    COORD_WAL_SEGMENT_SIZE_MIN = 4 << 12, /* takes entries of up to 11 KiB: tests, simulator */
    COORD_WAL_SEGMENT_SIZE_MAX = 1 << 28,
    COORD_WAL_BATCH_SIZE = 256 << 10, /* of records; one larger entry is a batch of its own */
    COORD_WAL_BATCH_ENTRIES_MAX = 4096,
    COORD_WAL_IN_FLIGHT_MAX = 2,
    COORD_WAL_QUEUE_SIZE_MAX = 64 << 20, /* not yet durable */
    COORD_WAL_ENTRIES_MAX = 1 << 24,     /* of the log at one time */
};

struct coord_wal;

struct coord_wal_config {
    struct ray_id cluster_id;
    struct ray_id node_id;
    /* Random, from the meta block: so that no client can write a command that looks like a
     * batch. */
    uint8_t salt[COORD_WAL_SALT_SIZE];
    /* Multiple of COORD_DISK_BLOCK_SIZE; 0: COORD_WAL_SEGMENT_SIZE. A log that is there keeps
     * its own. */
    uint32_t segment_size;
    uint32_t batch_size; /* 0: COORD_WAL_BATCH_SIZE */
    /* An index above the newest snapshot's that is known to have been durable here by other
     * means (the checkpoint's applied index); a log that ends below it has rotted. 0: none. */
    uint64_t known_index;
};

enum coord_wal_space {
    COORD_WAL_SPACE_OK = 0,
    /* The next segment or the reserve could not be made: take no new work, be no leader. What
     * comes from a leader is still taken until the last segment is full (RAY_ENOSPC). */
    COORD_WAL_SPACE_FULL = 1,
};

/* All come from the disk's callbacks, never from within a call of the owner, who must not
 * destroy the log in them. */
struct coord_wal_user {
    /* Entries up to `index` are durable as they are in the log now; only ever lowered by an
     * append that truncates or a reset. */
    void (*on_durable)(void *arg, uint64_t index);
    /* A write failed. The log takes nothing any more; what was not reported durable may be old,
     * new or torn. Close, and let the next start verify it. Once. */
    void (*on_failed)(void *arg, int status);
    void (*on_space)(void *arg, enum coord_wal_space space);
    void *arg;
};

enum coord_wal_outcome {
    COORD_WAL_CLEAN = 0,
    COORD_WAL_TAIL = 1, /* batches under way at a crash were cut; nothing acknowledged was lost */
    /* Something that was durable is damaged or missing: this node must not vote. Entries before
     * rot_index can be read; only coord_wal_reset makes the log writable again. */
    COORD_WAL_ROT = 2,
};

struct coord_wal_recovery {
    enum coord_wal_outcome outcome;
    uint64_t first_index;   /* of the log; last_index + 1 when it is empty */
    uint64_t last_index;    /* 0: empty and never had an entry */
    uint64_t last_term;     /* of that entry; 0: the log is empty */
    uint64_t durable_index; /* the highest that a batch in use states; a lower bound */
    uint64_t rot_index;     /* ROT: the first entry that cannot be trusted */
    uint64_t cut_size;      /* TAIL: bytes that were zeroed */
    char text[160];         /* TAIL, ROT: what, for the log; "" when clean */
};

/* Verifies the whole log, cuts a torn tail and makes sure that what it found is on stable
 * storage. `disk` outlives the log. RAY_ECONFLICT: the log of another cluster or node;
 * RAY_EUNSUPPORTED: of a newer format; RAY_EIO where not even reading works (a block that the
 * medium cannot read is rot, not an error). */
int coord_wal_open(struct coord_wal **out, struct coord_disk *disk,
                   const struct coord_wal_config *config, const struct coord_wal_user *user,
                   struct coord_wal_recovery *recovery, struct ray_err *err);
/* The same in two steps, so that the owner can do other things while the log is read, beside the
 * loop's thread where the disk can. What begins with RAY_OK ends with `end` or `cancel`; until
 * then nothing of the log is written. `end` frees the opening whatever comes; known_index
 * replaces the configuration's. */
struct coord_wal_opening;
int coord_wal_open_begin(struct coord_wal_opening **out, struct coord_disk *disk,
                         const struct coord_wal_config *config, struct ray_err *err);
int coord_wal_open_end(struct coord_wal_opening *opening, uint64_t known_index,
                       const struct coord_wal_user *user, struct coord_wal **out,
                       struct coord_wal_recovery *recovery, struct ray_err *err);
/* In the place of `end`: only what it would find; the disk needs no more than list and read. */
int coord_wal_open_look(struct coord_wal_opening *opening, uint64_t known_index,
                        struct coord_wal_recovery *recovery, struct ray_err *err);
void coord_wal_open_cancel(struct coord_wal_opening *opening); /* NULL is fine */
/* Forgets what is not durable; no callback comes any more. NULL is fine. */
void coord_wal_destroy(struct coord_wal *wal);

/* Takes `count` entries with consecutive indices, from at most last_index + 1; a first one at or
 * below last_index truncates (never at or below what was compacted). All or nothing:
 * RAY_EAGAIN: COORD_WAL_QUEUE_SIZE_MAX; RAY_ETOOBIG: an entry beyond COORD_ENTRY_SIZE_MAX or
 * the segment size, or COORD_WAL_ENTRIES_MAX; RAY_ENOSPC; RAY_EIO after a failure;
 * RAY_EDENIED after ROT; RAY_ENOMEM, after which the log has failed. */
int coord_wal_append(struct coord_wal *wal, const struct coord_entry *entries, size_t count,
                     struct ray_err *err);
/* Whether an append of these would find room, whatever they truncate; only sizes are looked at. */
bool coord_wal_has_room(const struct coord_wal *wal, const struct coord_entry *entries,
                        size_t count);
/* At the end of a turn: begins writing. A batch goes out when the disk is idle or it is full. */
void coord_wal_flush(struct coord_wal *wal);
/* When idle, and at a clean stop: an empty batch that vouches for the last one, whose rot could
 * not be told from a torn tail otherwise. Does nothing when that is vouched for already. Follow
 * with flush. */
void coord_wal_seal(struct coord_wal *wal);

/* The log starts anew after `index`, empty: a snapshot up to there is durable. on_durable(index)
 * tells when the old log is gone for good. Also the way out of ROT. */
int coord_wal_reset(struct coord_wal *wal, uint64_t index, struct ray_err *err);
/* Entries up to `index` (at most the durable index) are not needed any more. Segments are
 * removed one after another; first_index moves only with them. */
void coord_wal_compact(struct coord_wal *wal, uint64_t index);
/* About once a second: tries again to get space after SPACE_FULL. */
void coord_wal_tick(struct coord_wal *wal);

uint64_t coord_wal_first_index(const struct coord_wal *wal);
uint64_t coord_wal_last_index(const struct coord_wal *wal);
uint64_t coord_wal_durable_index(const struct coord_wal *wal);
enum coord_wal_space coord_wal_space(const struct coord_wal *wal);
size_t coord_wal_queued_size(const struct coord_wal *wal); /* taken and not yet durable */
uint64_t coord_wal_disk_size(const struct coord_wal *wal); /* of all segments */
/* Without reading: term, index, type and size; data is NULL. RAY_ENOTFOUND outside the log. */
int coord_wal_info(const struct coord_wal *wal, uint64_t index, struct coord_entry *out);

/* Entries read back, in one block. Zeroed is valid. */
struct coord_wal_span {
    struct coord_entry *entries;
    size_t count;
    void *memory;
};

/* From `first`, at most `count_max` entries and, beyond the first, at most `size_max` bytes of
 * data; also those that are not yet durable. RAY_ENOTFOUND: `first` is outside the log;
 * RAY_EMALFORMED, RAY_EIO: rot since the log was opened, the node must be quarantined. */
int coord_wal_read(struct coord_wal *wal, uint64_t first, size_t count_max, size_t size_max,
                   struct coord_wal_span *out, struct ray_err *err);
void coord_wal_span_fini(struct coord_wal_span *span);

#endif
