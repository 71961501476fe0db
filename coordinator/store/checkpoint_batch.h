/* coordinator/store/checkpoint_batch.h - what implementations of checkpoints share: the changes
 * of a batch one by one, and the sum over all records.
 *
 * The sum adds, modulo 2^128, a hash of each record: so one change of one record changes it by
 * two hashes, and at a load it is made anew from what was read.
 * Memory: borrows.  Threads: any.  Blocks: never.  Trust: batches are ours (assert). */
#ifndef RAY_COORDINATOR_STORE_CHECKPOINT_BATCH_H
#define RAY_COORDINATOR_STORE_CHECKPOINT_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/store/checkpoint.h"

enum coord_checkpoint_op_kind {
    COORD_CHECKPOINT_PUT = 1,
    COORD_CHECKPOINT_DELETE = 2,
    COORD_CHECKPOINT_CLEAR = 3,
};

struct coord_checkpoint_op {
    enum coord_checkpoint_op_kind kind;
    const uint8_t *key;
    size_t key_size;
    const uint8_t *value;
    size_t value_size;
};

/* From *at (0 at first) on; false: there is no more. */
bool coord_checkpoint_batch_next(const struct coord_checkpoint_batch *batch, size_t *at,
                                 struct coord_checkpoint_op *out);

struct coord_checkpoint_sum {
    uint64_t low;
    uint64_t high;
    uint64_t count;
};

void coord_checkpoint_sum_add(struct coord_checkpoint_sum *sum, const void *key, size_t key_size,
                              const void *value, size_t value_size);
void coord_checkpoint_sum_subtract(struct coord_checkpoint_sum *sum, const void *key,
                                   size_t key_size, const void *value, size_t value_size);
bool coord_checkpoint_sum_equal(const struct coord_checkpoint_sum *a,
                                const struct coord_checkpoint_sum *b);

/* Head and sum as one record. */
enum { COORD_CHECKPOINT_HEAD_SIZE = 96 };

void coord_checkpoint_head_encode(const struct coord_checkpoint_head *head,
                                  const struct coord_checkpoint_sum *sum, uint8_t *out);
int coord_checkpoint_head_decode(const void *bytes, size_t size, struct coord_checkpoint_head *out,
                                 struct coord_checkpoint_sum *out_sum, struct ray_err *err);

#endif
