/* provisioning/machines/table_batch.h - a batch of files to write: made on the loop, written by
 * any thread. Private.
 *
 * Memory: a batch is a copy (JSON bytes and names) and shares nothing with the table but the
 * folder's descriptor.  Threads: make and free: the loop's; write: one at a time.
 * Blocks: write, on the disk.  Trust: see table.h. */
#ifndef RAY_PROVISIONING_MACHINES_TABLE_BATCH_H
#define RAY_PROVISIONING_MACHINES_TABLE_BATCH_H

#include <pthread.h>
#include <uv.h>

#include "provisioning/machines/table_internal.h"

enum { TABLE_BATCH_COUNT_MAX = 128 };

enum table_item_kind { TABLE_ITEM_RECORD, TABLE_ITEM_REMOVAL, TABLE_ITEM_GROUPS };

struct table_item {
    enum table_item_kind kind;
    struct provision_mac mac;
    char name[TABLE_FILE_NAME_SIZE];
    uint8_t *data; /* owned */
    size_t size;
    uint64_t urgent;
    int rc;
};

struct table_job {
    uv_work_t work;
    struct provision_table *table; /* NULL: its results were taken already */
    int dir_fd;
    struct table_item items[TABLE_BATCH_COUNT_MAX];
    size_t item_count;
    struct ray_err err; /* of the first item that failed */
    pthread_mutex_t lock;
    pthread_cond_t has_ended;
    bool is_ended;
};

/* Makes a batch of what is dirty, which counts as clean from here on; *out_job is NULL when there
 * is nothing to do. RAY_ENOMEM leaves things dirty. */
int table_batch_make(struct provision_table *table, struct table_job **out_job,
                     struct ray_err *err);
/* Sets rc of each item, and err to the first failure. */
void table_batch_write(struct table_job *job);
void table_batch_free(struct table_job *job);

#endif
