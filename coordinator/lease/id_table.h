/* coordinator/lease/id_table.h - a hash table of identities with a fixed number of places; each
 * identity in it has a place number, by which the owner keeps what belongs to it in arrays.
 *
 * Memory: create and destroy.  Threads: one owner.  Blocks: never.
 * Trust: identities are random by those whom the registry has admitted; chains may be made long
 * only by as many members. */
#ifndef RAY_COORDINATOR_LEASE_ID_TABLE_H
#define RAY_COORDINATOR_LEASE_ID_TABLE_H

#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

#define COORD_ID_TABLE_NONE UINT32_MAX

struct coord_id_table {
    uint32_t capacity;
    uint32_t count;
    uint32_t bucket_mask;
    /* Links are a place + 1, 0 is none: memory that was never used is right as it comes. */
    uint32_t used_count; /* places that were ever in use; those above have no link */
    uint32_t free_head;
    uint32_t *heads;    /* of buckets */
    uint32_t *nexts;    /* of places */
    struct ray_id *ids; /* of places; none: free */
};

int coord_id_table_init(struct coord_id_table *table, uint32_t capacity, struct ray_err *err);
void coord_id_table_fini(struct coord_id_table *table);
void coord_id_table_clear(struct coord_id_table *table);
/* COORD_ID_TABLE_NONE: not there. */
uint32_t coord_id_table_find(const struct coord_id_table *table, const struct ray_id *id);
/* Must not be there. COORD_ID_TABLE_NONE: full. */
uint32_t coord_id_table_insert(struct coord_id_table *table, const struct ray_id *id);
void coord_id_table_remove(struct coord_id_table *table, uint32_t place);

#endif
