/* coordinator/core/log.h - the newest entries of the log in memory, by index.
 *
 * A ring of slots over blocks of bytes, one block per append; the oldest entries leave when
 * the byte limit is passed, but none above the floor (what is not yet stored).
 * Memory: init/fini; append copies. An entry's bytes stay until it is truncated, evicted or
 * cleared.  Threads: the owner's.  Blocks: never.  Trust: none. */
#ifndef RAY_COORDINATOR_CORE_LOG_H
#define RAY_COORDINATOR_CORE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coordinator/entry.h"

struct coord_log_block;
struct coord_log_slot;

struct coord_log {
    struct coord_log_slot *slots; /* slot of index i: i & (slot_count - 1) */
    size_t slot_count;            /* power of two */
    uint64_t first_index;         /* of the oldest held; next_index when empty */
    uint64_t next_index;
    size_t held_size; /* entries' bytes and a fixed cost each */
    size_t size_max;
};

void coord_log_init(struct coord_log *log, size_t size_max);
void coord_log_fini(struct coord_log *log);

/* Forgets everything; the next append is at next_index. */
void coord_log_clear(struct coord_log *log, uint64_t next_index);

/* Appends at next_index, in order. RAY_ENOMEM changes nothing. */
int coord_log_append(struct coord_log *log, const struct coord_entry *entries, size_t count);

/* Drops what is at or above `index`. */
void coord_log_truncate(struct coord_log *log, uint64_t index);

/* Drops the oldest until the limit is kept, never one above `floor_index`. */
void coord_log_evict(struct coord_log *log, uint64_t floor_index);

/* What the entries held above `index` cost. */
size_t coord_log_size_above(const struct coord_log *log, uint64_t index);

/* False: not held. *out borrows. */
bool coord_log_get(const struct coord_log *log, uint64_t index, struct coord_entry *out);

#endif
