/* coordinator/place/cache.h - what was read from facts and specs, kept from one question to the
 * next: only what has another revision is read again.
 *
 * A view that is made with a cache is equal to one that is made without.
 *
 * Memory: create and destroy; a record of some 100 bytes for each node, guest and volume that the
 * last view had. Threads: the loop's.  Blocks: never.  Trust: as view.h. */
#ifndef RAY_COORDINATOR_PLACE_CACHE_H
#define RAY_COORDINATOR_PLACE_CACHE_H

#include "coordinator/fsm/fsm.h"
#include "coordinator/place/place.h"

struct coord_place_cache;

/* RAY_ENOMEM. Empty; of one state machine, or others that have followed it. */
int coord_place_cache_create(struct coord_place_cache **out_cache, struct ray_err *err);
void coord_place_cache_destroy(struct coord_place_cache *cache);
/* The state machine whose objects it has seen may be gone, and another one have its address: to be
 * called before the next question. What was read is kept. */
void coord_place_cache_forget_objects(struct coord_place_cache *cache);
/* How many facts and specs were read since it was made. */
uint64_t coord_place_cache_read_count(const struct coord_place_cache *cache);

/* ---- for view.c ---- */

enum place_record_kind {
    PLACE_NODES,
    PLACE_GUESTS,
    PLACE_VOLUMES,
    PLACE_RECORD_KINDS,
};

/* What one object says; only what comes out of its facts or spec. */
struct place_record {
    const struct coord_object *object; /* until the next entry is applied */
    struct ray_id id;
    uint64_t revision;
    bool has_image; /* its disk is as large as its image */
    bool has_relations;
    bool has_facts;
    bool has_cpu;
    bool has_kvm;
    uint16_t architecture;
    uint16_t cpu_level;
    struct coord_place_amount amount; /* a node's total, a guest's needs, a volume's disk */
    struct ray_id node;               /* of a volume; none: not known */
};

struct place_records {
    struct place_record *items; /* by id */
    size_t count;
};

/* Fills all from `has_image` on. */
typedef void place_read(void *arg, const struct coord_object *object, struct place_record *out);

/* Brings all objects of a kind up to date: `read` is called for those that have changed. Another
 * cluster than before: everything is read. RAY_ENOMEM. */
int place_cache_renew(struct coord_place_cache *cache, struct coord_fsm *fsm,
                      enum place_record_kind kind, place_read *read, void *arg);
const struct place_records *place_cache_records(const struct coord_place_cache *cache,
                                                enum place_record_kind kind);
/* Nodes as the last view had them, if nothing was applied since; NULL: they are to be made. */
const struct coord_place_node *place_cache_nodes(const struct coord_place_cache *cache,
                                                 const struct coord_fsm *fsm, size_t count);
/* Of this moment; without memory it keeps none. */
void place_cache_keep_nodes(struct coord_place_cache *cache, const struct coord_fsm *fsm,
                            const struct coord_place_node *nodes, size_t count);

#endif
