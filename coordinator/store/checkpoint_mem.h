/* coordinator/store/checkpoint_mem.h - checkpoint and facts in memory, for tests and simulator.
 *
 * The records outlive the object: a store is made once for a node, objects come and go with its
 * processes. The owner decides when a commit ends, with what status, and what a power cut takes
 * back, as LMDB with MDB_NOMETASYNC may: the newest transactions, whole.
 * Memory: create/destroy.  Threads: one.  Blocks: never.  Trust: none. */
#ifndef RAY_COORDINATOR_STORE_CHECKPOINT_MEM_H
#define RAY_COORDINATOR_STORE_CHECKPOINT_MEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "coordinator/store/checkpoint.h"
#include "coordinator/store/facts.h"

struct coord_mem_store;

int coord_mem_store_create(struct coord_mem_store **out, struct ray_err *err);
void coord_mem_store_destroy(struct coord_mem_store *store); /* after its objects; NULL is fine */

/* `on_commit` is called when a commit begins; the owner then calls coord_mem_store_end, not from
 * within it. One object of each kind at a time. */
int coord_checkpoint_mem_create(struct coord_checkpoint **out, struct coord_mem_store *store,
                                void (*on_commit)(void *arg), void *arg, struct ray_err *err);
/* Ends the commit under way: RAY_OK applies it, anything else does not. Does nothing when none
 * is (its object has gone). */
void coord_mem_store_end(struct coord_mem_store *store, int status);
/* A power cut: with `is_last_lost` the last commit that ended is taken back. A commit under way
 * is lost. The objects must have gone. */
void coord_mem_store_cut(struct coord_mem_store *store, bool is_last_lost);
/* Flips a bit of the record number `at` (modulo their count): load must find it. */
void coord_mem_store_rot(struct coord_mem_store *store, size_t at);

int coord_facts_mem_create(struct coord_facts **out, struct coord_mem_store *store,
                           struct ray_err *err);

#endif
