/* coordinator/store/wal_index.h - where each entry of the log lies.
 *
 * Memory: init/fini; a ring that doubles up to COORD_WAL_ENTRIES_MAX.  Threads: one owner.
 * Blocks: never.  Trust: none. */
#ifndef RAY_COORDINATOR_STORE_WAL_INDEX_H
#define RAY_COORDINATOR_STORE_WAL_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct coord_wal_place {
    uint64_t term;
    uint32_t segment; /* less than 2^32 segments are ever made (2^56 bytes of 16 MiB ones) */
    uint32_t offset;  /* of the record in the segment */
    uint32_t size;    /* of the data */
    uint8_t type;
};

struct coord_wal_index {
    struct coord_wal_place *ring;
    size_t capacity; /* a power of two, or 0 */
    size_t head;
    size_t count;
    uint64_t first; /* index of the first entry, or of the next when there is none */
};

void coord_wal_index_init(struct coord_wal_index *index, uint64_t first);
void coord_wal_index_fini(struct coord_wal_index *index);
uint64_t coord_wal_index_next(const struct coord_wal_index *index); /* that push will give */
/* So that as many pushes cannot fail. RAY_ETOOBIG, RAY_ENOMEM. */
int coord_wal_index_reserve(struct coord_wal_index *index, size_t more);
int coord_wal_index_push(struct coord_wal_index *index, const struct coord_wal_place *place);
/* Entries from `from` on go. Before the first: the log is empty and begins there. */
void coord_wal_index_truncate(struct coord_wal_index *index, uint64_t from);
/* Entries below `first` go. */
void coord_wal_index_drop(struct coord_wal_index *index, uint64_t first);
/* NULL outside the log. Valid until the next change. */
const struct coord_wal_place *coord_wal_index_get(const struct coord_wal_index *index, uint64_t at);

#endif
