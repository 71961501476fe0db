/* coordinator/store/checkpoint.h - the state machine's records on disk, as of one applied index.
 *
 * So that a start replays only the log's end. Records and applied index change in one
 * transaction; a power cut may take back the last transactions, never half of one. A sum over
 * the hashes of all records is kept with them and verified when they are loaded: where it
 * differs, the checkpoint is worthless (RAY_EMALFORMED), and snapshot and log rebuild it.
 *
 * A struct of functions: checkpoint_lmdb.h for LMDB, checkpoint_mem.h for tests and simulator.
 * Memory: the implementation's constructor and destroy; a batch is borrowed until its callback.
 * Threads: the loop's (LMDB has a thread of its own behind it).  Blocks: load, wipe.
 * Trust: the disk is not trusted; records are ours. */
#ifndef RAY_COORDINATOR_STORE_CHECKPOINT_H
#define RAY_COORDINATOR_STORE_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
    COORD_CHECKPOINT_KEY_SIZE_MAX = 500,
    COORD_CHECKPOINT_VALUE_SIZE_MAX = 1 << 20,
    COORD_CHECKPOINT_BATCH_SIZE_MAX = 256 << 20,
    COORD_CHECKPOINT_STATE_HASH_SIZE = 32,
};

struct coord_checkpoint_head {
    uint64_t applied_index; /* 0: empty */
    uint64_t applied_term;
    uint64_t record_count;                                /* set by load */
    uint8_t state_hash[COORD_CHECKPOINT_STATE_HASH_SIZE]; /* the state machine's own, opaque */
};

/* Changes of one transaction, in order. Zeroed is not valid: init. */
struct coord_checkpoint_batch {
    struct ray_buf ops;
    size_t count;
};

void coord_checkpoint_batch_init(struct coord_checkpoint_batch *batch);
void coord_checkpoint_batch_fini(struct coord_checkpoint_batch *batch);
void coord_checkpoint_batch_reset(struct coord_checkpoint_batch *batch); /* keeps the memory */
/* Copy. RAY_ETOOBIG, RAY_ENOMEM: nothing was added. Keys have at least one byte. */
int coord_checkpoint_put(struct coord_checkpoint_batch *batch, const void *key, size_t key_size,
                         const void *value, size_t value_size);
int coord_checkpoint_delete(struct coord_checkpoint_batch *batch, const void *key, size_t key_size);
/* Deletes all records, those put before in this batch, too: a snapshot is being loaded. */
int coord_checkpoint_clear(struct coord_checkpoint_batch *batch);

struct coord_checkpoint;

typedef void coord_checkpoint_each(void *arg, const uint8_t *key, size_t key_size,
                                   const uint8_t *value, size_t value_size);
/* From the loop, never from within commit. RAY_OK: the transaction is whole, and nothing before
 * it is lost by a power cut (it itself may be). RAY_ENOSPC, RAY_EIO: nothing was changed. */
typedef void coord_checkpoint_done(void *arg, int status);

struct coord_checkpoint_ops {
    /* All records in the order of their keys. RAY_EMALFORMED: damaged, possibly after some calls
     * of `each`: throw away what came, and wipe. An empty one has applied_index 0. */
    int (*load)(struct coord_checkpoint *checkpoint, coord_checkpoint_each *each, void *arg,
                struct coord_checkpoint_head *out_head, struct ray_err *err);
    /* One at a time (assert). head->record_count is ignored. */
    void (*commit)(struct coord_checkpoint *checkpoint, const struct coord_checkpoint_batch *batch,
                   const struct coord_checkpoint_head *head, coord_checkpoint_done *done,
                   void *arg);
    /* Empties it. Not while a commit is under way. */
    int (*wipe)(struct coord_checkpoint *checkpoint, struct ray_err *err);
    /* Waits for a commit under way; its callback does not come any more. */
    void (*destroy)(struct coord_checkpoint *checkpoint);
};

struct coord_checkpoint {
    const struct coord_checkpoint_ops *ops;
};

#endif
