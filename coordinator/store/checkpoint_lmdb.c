/* Records in one database, head and sum in another, so that both change in one transaction. The
 * worker's thread writes; the loop's only reads, and never while a commit is under way. */
#include "coordinator/store/checkpoint_lmdb.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/store/checkpoint_batch.h"
#include "coordinator/store/lmdb_env.h"
#include "coordinator/store/worker.h"

#define HEAD_KEY "head"

static const size_t map_size_usual = (size_t)16 << 30;

struct checkpoint_lmdb {
    struct coord_checkpoint checkpoint;
    MDB_env *env;
    MDB_dbi records;
    MDB_dbi heads;
    struct coord_worker *worker;
    /* of the commit under way */
    const struct coord_checkpoint_batch *batch;
    struct coord_checkpoint_head head;
    int status;
    coord_checkpoint_done *done;
    void *arg;
};

static struct checkpoint_lmdb *lmdb_of(struct coord_checkpoint *checkpoint)
{
    return (struct checkpoint_lmdb *)checkpoint;
}

static MDB_val val_of(const void *data, size_t size)
{
    /* LMDB does not write through what it is given. */
    union {
        const void *in;
        void *out;
    } pointer = {.in = data};

    return (MDB_val){.mv_size = size, .mv_data = pointer.out};
}

/* RAY_OK with zeros when there is none yet. */
static int head_get(const struct checkpoint_lmdb *lmdb, MDB_txn *txn,
                    struct coord_checkpoint_head *out_head, struct coord_checkpoint_sum *out_sum,
                    struct ray_err *err)
{
    MDB_val key = val_of(HEAD_KEY, strlen(HEAD_KEY));
    MDB_val value;
    int rc = mdb_get(txn, lmdb->heads, &key, &value);

    if (rc == MDB_NOTFOUND) {
        *out_head = (struct coord_checkpoint_head){0};
        *out_sum = (struct coord_checkpoint_sum){0};
        return RAY_OK;
    }
    if (rc != 0) {
        return coord_lmdb_fail(err, rc, "the checkpoint's head");
    }
    return coord_checkpoint_head_decode(value.mv_data, value.mv_size, out_head, out_sum, err);
}

/* --- commit, in the thread --- */

static int record_forget(struct checkpoint_lmdb *lmdb, MDB_txn *txn, MDB_val *key,
                         struct coord_checkpoint_sum *sum)
{
    MDB_val old;
    int rc = mdb_get(txn, lmdb->records, key, &old);

    if (rc == 0) {
        coord_checkpoint_sum_subtract(sum, key->mv_data, key->mv_size, old.mv_data, old.mv_size);
    }
    return rc;
}

static int op_apply(struct checkpoint_lmdb *lmdb, MDB_txn *txn,
                    const struct coord_checkpoint_op *op, struct coord_checkpoint_sum *sum)
{
    MDB_val key = val_of(op->key, op->key_size);
    MDB_val value = val_of(op->value, op->value_size);
    int rc;

    switch (op->kind) {
    case COORD_CHECKPOINT_CLEAR:
        *sum = (struct coord_checkpoint_sum){0};
        return mdb_drop(txn, lmdb->records, 0);
    case COORD_CHECKPOINT_DELETE:
        rc = record_forget(lmdb, txn, &key, sum);
        rc = rc == 0 ? mdb_del(txn, lmdb->records, &key, NULL) : rc;
        return rc == MDB_NOTFOUND ? 0 : rc;
    case COORD_CHECKPOINT_PUT:
    default:
        rc = record_forget(lmdb, txn, &key, sum);
        if (rc != 0 && rc != MDB_NOTFOUND) {
            return rc;
        }
        coord_checkpoint_sum_add(sum, op->key, op->key_size, op->value, op->value_size);
        return mdb_put(txn, lmdb->records, &key, &value, 0);
    }
}

static int batch_apply(struct checkpoint_lmdb *lmdb, MDB_txn *txn)
{
    MDB_val key = val_of(HEAD_KEY, strlen(HEAD_KEY));
    struct coord_checkpoint_head before;
    struct coord_checkpoint_sum sum;
    struct coord_checkpoint_op op;
    uint8_t head[COORD_CHECKPOINT_HEAD_SIZE];
    MDB_val value = val_of(head, sizeof head);
    size_t at = 0;
    int rc = head_get(lmdb, txn, &before, &sum, NULL);

    while (rc == RAY_OK && coord_checkpoint_batch_next(lmdb->batch, &at, &op)) {
        rc = coord_lmdb_code(op_apply(lmdb, txn, &op, &sum));
    }
    if (rc == RAY_OK) {
        coord_checkpoint_head_encode(&lmdb->head, &sum, head);
        rc = coord_lmdb_code(mdb_put(txn, lmdb->heads, &key, &value, 0));
    }
    return rc;
}

static void commit_run(void *arg)
{
    struct checkpoint_lmdb *lmdb = arg;
    MDB_txn *txn = NULL;
    int rc = coord_lmdb_code(mdb_txn_begin(lmdb->env, NULL, 0, &txn));

    if (rc == RAY_OK) {
        rc = batch_apply(lmdb, txn);
        if (rc == RAY_OK && !ray_fault(RAY_FAULT_FSYNC)) {
            rc = coord_lmdb_code(mdb_txn_commit(txn));
        } else {
            mdb_txn_abort(txn);
            rc = rc == RAY_OK ? RAY_EIO : rc;
        }
    }
    lmdb->status = rc;
}

static void commit_done(void *arg, bool is_canceled)
{
    struct checkpoint_lmdb *lmdb = arg;

    lmdb->batch = NULL;
    if (!is_canceled) {
        lmdb->done(lmdb->arg, lmdb->status);
    }
}

static void lmdb_commit(struct coord_checkpoint *checkpoint,
                        const struct coord_checkpoint_batch *batch,
                        const struct coord_checkpoint_head *head, coord_checkpoint_done *done,
                        void *arg)
{
    struct checkpoint_lmdb *lmdb = lmdb_of(checkpoint);

    assert(lmdb->batch == NULL && batch != NULL && head->applied_index > 0);
    lmdb->batch = batch;
    lmdb->head = *head;
    lmdb->done = done;
    lmdb->arg = arg;
    coord_worker_submit(lmdb->worker, commit_run, commit_done, lmdb);
}

/* --- load --- */

static int records_each(const struct checkpoint_lmdb *lmdb, MDB_txn *txn,
                        coord_checkpoint_each *each, void *arg, struct coord_checkpoint_sum *sum)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int rc = mdb_cursor_open(txn, lmdb->records, &cursor);

    if (rc != 0) {
        return rc;
    }
    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); rc == 0;
         rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        coord_checkpoint_sum_add(sum, key.mv_data, key.mv_size, value.mv_data, value.mv_size);
        each(arg, key.mv_data, key.mv_size, value.mv_data, value.mv_size);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int lmdb_load(struct coord_checkpoint *checkpoint, coord_checkpoint_each *each, void *arg,
                     struct coord_checkpoint_head *out_head, struct ray_err *err)
{
    struct checkpoint_lmdb *lmdb = lmdb_of(checkpoint);
    struct coord_checkpoint_sum found = {0};
    struct coord_checkpoint_sum stated;
    struct coord_checkpoint_head head;
    MDB_txn *txn;
    int rc = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &txn);

    assert(lmdb->batch == NULL);
    if (rc != 0) {
        return coord_lmdb_fail(err, rc, "the checkpoint");
    }
    rc = head_get(lmdb, txn, &head, &stated, err);
    if (rc == RAY_OK) {
        int mdb = records_each(lmdb, txn, each, arg, &found);

        rc = mdb == 0 ? RAY_OK : coord_lmdb_fail(err, mdb, "the checkpoint's records");
    }
    mdb_txn_abort(txn);
    if (rc == RAY_OK && !coord_checkpoint_sum_equal(&found, &stated)) {
        rc = ray_fail(err, RAY_EMALFORMED, "the checkpoint's records have rotted");
    }
    if (rc == RAY_OK) {
        *out_head = head;
    }
    return rc;
}

static int lmdb_wipe(struct coord_checkpoint *checkpoint, struct ray_err *err)
{
    struct checkpoint_lmdb *lmdb = lmdb_of(checkpoint);
    MDB_txn *txn;
    int rc = mdb_txn_begin(lmdb->env, NULL, 0, &txn);

    assert(lmdb->batch == NULL);
    if (rc != 0) {
        return coord_lmdb_fail(err, rc, "wiping the checkpoint");
    }
    rc = mdb_drop(txn, lmdb->records, 0);
    rc = rc == 0 ? mdb_drop(txn, lmdb->heads, 0) : rc;
    if (rc != 0) {
        mdb_txn_abort(txn);
    } else {
        rc = mdb_txn_commit(txn);
    }
    rc = rc == 0 ? mdb_env_sync(lmdb->env, 1) : rc;
    return rc == 0 ? RAY_OK : coord_lmdb_fail(err, rc, "wiping the checkpoint");
}

static void lmdb_destroy(struct coord_checkpoint *checkpoint)
{
    struct checkpoint_lmdb *lmdb = lmdb_of(checkpoint);

    coord_worker_destroy(lmdb->worker);
    if (lmdb->env != NULL) {
        (void)mdb_env_sync(lmdb->env, 1); /* best effort: the meta page of the last commit */
        mdb_env_close(lmdb->env);
    }
    free(lmdb);
}

static const struct coord_checkpoint_ops lmdb_ops = {
    .load = lmdb_load,
    .commit = lmdb_commit,
    .wipe = lmdb_wipe,
    .destroy = lmdb_destroy,
};

/* `flags` MDB_RDONLY: nothing is made. */
static int databases_open(struct checkpoint_lmdb *lmdb, unsigned flags, struct ray_err *err)
{
    unsigned dbi_flags = (flags & MDB_RDONLY) != 0 ? 0 : MDB_CREATE;
    MDB_txn *txn;
    int rc = mdb_txn_begin(lmdb->env, NULL, flags, &txn);

    if (rc != 0) {
        return coord_lmdb_fail(err, rc, "the checkpoint");
    }
    rc = mdb_dbi_open(txn, "records", dbi_flags, &lmdb->records);
    rc = rc == 0 ? mdb_dbi_open(txn, "heads", dbi_flags, &lmdb->heads) : rc;
    if (rc != 0) {
        mdb_txn_abort(txn);
    } else {
        rc = mdb_txn_commit(txn);
    }
    return rc == 0 ? RAY_OK : coord_lmdb_fail(err, rc, "the checkpoint");
}

int coord_checkpoint_lmdb_create(struct coord_checkpoint **out, struct ray_loop *loop,
                                 const char *folder, size_t map_size, struct ray_err *err)
{
    struct checkpoint_lmdb *lmdb = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *lmdb);
    int rc;

    if (lmdb == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a checkpoint");
    }
    lmdb->checkpoint.ops = &lmdb_ops;
    rc = coord_lmdb_open(&lmdb->env, folder, "checkpoint.mdb",
                         map_size == 0 ? map_size_usual : map_size, 2, MDB_NOMETASYNC, err);
    rc = rc == RAY_OK ? databases_open(lmdb, 0, err) : rc;
    rc = rc == RAY_OK ? coord_worker_create(&lmdb->worker, loop, err) : rc;
    if (rc != RAY_OK) {
        lmdb_destroy(&lmdb->checkpoint);
        return rc;
    }
    *out = &lmdb->checkpoint;
    return RAY_OK;
}

static void no_record(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                      size_t value_size)
{
    (void)arg;
    (void)key;
    (void)key_size;
    (void)value;
    (void)value_size;
}

int coord_checkpoint_lmdb_look(const char *folder, struct coord_checkpoint_head *out,
                               struct ray_err *err)
{
    struct checkpoint_lmdb lmdb = {.checkpoint.ops = &lmdb_ops};
    int rc = coord_lmdb_open(&lmdb.env, folder, "checkpoint.mdb", map_size_usual, 2,
                             MDB_RDONLY | MDB_NOLOCK, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rc = databases_open(&lmdb, MDB_RDONLY, err);
    rc = rc == RAY_OK ? lmdb_load(&lmdb.checkpoint, no_record, NULL, out, err) : rc;
    mdb_env_close(lmdb.env);
    return rc;
}
