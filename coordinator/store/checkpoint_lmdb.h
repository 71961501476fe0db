/* coordinator/store/checkpoint_lmdb.h - checkpoint and facts in LMDB.
 *
 * The checkpoint runs with MDB_NOMETASYNC in "checkpoint.mdb" of the folder, the facts with full
 * sync in "facts.mdb". Never on a network file system.
 * Memory: made here, freed by their destroy.  Threads: the loop's; a commit runs in a thread.
 * Blocks: opening, and what the structs of functions say.  Trust: the files are not trusted, but
 * LMDB itself maps them: a hostile file is beyond it, rot of records is found. */
#ifndef RAY_COORDINATOR_STORE_CHECKPOINT_LMDB_H
#define RAY_COORDINATOR_STORE_CHECKPOINT_LMDB_H

#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"
#include "coordinator/store/checkpoint.h"
#include "coordinator/store/facts.h"

/* `map_size` 0: 16 GiB of address space (the file grows as it is needed). The files are made
 * when they are not there. RAY_EMALFORMED: not LMDB's, or damaged: remove the file. */
int coord_checkpoint_lmdb_create(struct coord_checkpoint **out, struct ray_loop *loop,
                                 const char *folder, size_t map_size, struct ray_err *err);
/* Its head, after all records were verified; nothing on the disk is changed, not even a lock: only
 * where nobody else has it open. RAY_ENOTFOUND: there is none; RAY_EMALFORMED as above. */
int coord_checkpoint_lmdb_look(const char *folder, struct coord_checkpoint_head *out,
                               struct ray_err *err);
int coord_facts_lmdb_create(struct coord_facts **out, const char *folder, struct ray_err *err);

#endif
