/* coordinator/store/lmdb_env.h - an LMDB environment of one file and its errors, for
 * checkpoint_lmdb.c and facts_lmdb.c alone.
 *
 * Memory: open/close.  Threads: LMDB's rules.  Blocks: on the disk.  Trust: none. */
#ifndef RAY_COORDINATOR_STORE_LMDB_ENV_H
#define RAY_COORDINATOR_STORE_LMDB_ENV_H

#include <lmdb.h>
#include <stddef.h>

#include "base/err.h"

/* The file `name` of `folder`, with its lock file beside it. `flags` beyond MDB_NOSUBDIR. */
int coord_lmdb_open(MDB_env **out, const char *folder, const char *name, size_t map_size,
                    unsigned databases, unsigned flags, struct ray_err *err);
/* RAY_OK for MDB_SUCCESS. */
int coord_lmdb_code(int rc);
int coord_lmdb_fail(struct ray_err *err, int rc, const char *what);

#endif
