/* One database of checksum and value by key; every change is synced before its call returns. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/le.h"
#include "coordinator/store/checkpoint_lmdb.h"
#include "coordinator/store/crc32c.h"
#include "coordinator/store/lmdb_env.h"

enum { CRC_SIZE = 4 };

static const size_t map_size = (size_t)1 << 30;

struct facts_lmdb {
    struct coord_facts facts;
    MDB_env *env;
    MDB_dbi database;
};

static struct facts_lmdb *lmdb_of(struct coord_facts *facts)
{
    return (struct facts_lmdb *)facts;
}

static MDB_val key_val(const char *key)
{
    union {
        const void *in;
        void *out;
    } pointer = {.in = key};

    return (MDB_val){.mv_size = strlen(key), .mv_data = pointer.out};
}

static int key_check(const char *key, struct ray_err *err)
{
    size_t size = strlen(key);

    return size > 0 && size <= COORD_FACTS_KEY_SIZE_MAX
               ? RAY_OK
               : ray_fail(err, RAY_EINVAL, "a fact's key of %zu bytes", size);
}

static uint32_t crc_of(const void *key, size_t key_size, const uint8_t *value, size_t size)
{
    return coord_crc32c(coord_crc32c(0, key, key_size), value, size);
}

static int value_check(const MDB_val *key, const MDB_val *stored, const uint8_t **out_value,
                       size_t *out_size, struct ray_err *err)
{
    const uint8_t *bytes = stored->mv_data;

    if (stored->mv_size < CRC_SIZE ||
        ray_load32le(bytes) !=
            crc_of(key->mv_data, key->mv_size, bytes + CRC_SIZE, stored->mv_size - CRC_SIZE)) {
        return ray_fail(err, RAY_EMALFORMED, "the fact '%.*s' has rotted",
                        (int)(key->mv_size < COORD_FACTS_KEY_SIZE_MAX ? key->mv_size
                                                                      : COORD_FACTS_KEY_SIZE_MAX),
                        (const char *)key->mv_data);
    }
    *out_value = bytes + CRC_SIZE;
    *out_size = stored->mv_size - CRC_SIZE;
    return RAY_OK;
}

static int facts_get(struct coord_facts *facts, const char *key, struct ray_buf *out,
                     struct ray_err *err)
{
    struct facts_lmdb *lmdb = lmdb_of(facts);
    MDB_val name = key_val(key);
    MDB_val stored;
    const uint8_t *value = NULL;
    size_t size = 0;
    MDB_txn *txn;
    int mdb;
    int rc = key_check(key, err);

    if (rc != RAY_OK) {
        return rc;
    }
    mdb = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &txn);
    if (mdb != 0) {
        return coord_lmdb_fail(err, mdb, key);
    }
    mdb = mdb_get(txn, lmdb->database, &name, &stored);
    rc =
        mdb == 0 ? value_check(&name, &stored, &value, &size, err) : coord_lmdb_fail(err, mdb, key);
    if (rc == RAY_OK) {
        ray_buf_clear(out);
        rc = ray_buf_append(out, value, size);
        rc = rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "the fact '%s'", key);
    }
    mdb_txn_abort(txn);
    return rc;
}

static int txn_end(MDB_txn *txn, int mdb, const char *key, struct ray_err *err)
{
    if (mdb != 0 || ray_fault(RAY_FAULT_FSYNC)) {
        mdb_txn_abort(txn);
        return mdb != 0 ? coord_lmdb_fail(err, mdb, key) : ray_fail(err, RAY_EIO, "%s", key);
    }
    mdb = mdb_txn_commit(txn);
    return mdb == 0 ? RAY_OK : coord_lmdb_fail(err, mdb, key);
}

static int facts_put(struct coord_facts *facts, const char *key, const void *value, size_t size,
                     struct ray_err *err)
{
    struct facts_lmdb *lmdb = lmdb_of(facts);
    MDB_val name = key_val(key);
    MDB_val stored = {.mv_size = CRC_SIZE + size};
    MDB_txn *txn;
    int mdb;
    int rc = key_check(key, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (size > COORD_FACTS_VALUE_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "the fact '%s' of %zu bytes", key, size);
    }
    mdb = mdb_txn_begin(lmdb->env, NULL, 0, &txn);
    if (mdb != 0) {
        return coord_lmdb_fail(err, mdb, key);
    }
    mdb = mdb_put(txn, lmdb->database, &name, &stored, MDB_RESERVE);
    if (mdb == 0) {
        uint8_t *bytes = stored.mv_data;

        if (size > 0) {
            memcpy(bytes + CRC_SIZE, value, size);
        }
        ray_store32le(bytes, crc_of(key, strlen(key), bytes + CRC_SIZE, size));
    }
    return txn_end(txn, mdb, key, err);
}

static int facts_remove(struct coord_facts *facts, const char *key, struct ray_err *err)
{
    struct facts_lmdb *lmdb = lmdb_of(facts);
    MDB_val name = key_val(key);
    MDB_txn *txn;
    int mdb;
    int rc = key_check(key, err);

    if (rc != RAY_OK) {
        return rc;
    }
    mdb = mdb_txn_begin(lmdb->env, NULL, 0, &txn);
    if (mdb != 0) {
        return coord_lmdb_fail(err, mdb, key);
    }
    mdb = mdb_del(txn, lmdb->database, &name, NULL);
    return txn_end(txn, mdb, key, err);
}

static int list_from(MDB_cursor *cursor, const char *prefix,
                     void (*each)(void *arg, const char *key, const uint8_t *value, size_t size),
                     void *arg, struct ray_err *err)
{
    size_t prefix_size = strlen(prefix);
    MDB_val name = key_val(prefix);
    MDB_val stored;
    int mdb = mdb_cursor_get(cursor, &name, &stored, prefix_size > 0 ? MDB_SET_RANGE : MDB_FIRST);

    while (mdb == 0 && name.mv_size >= prefix_size &&
           memcmp(name.mv_data, prefix, prefix_size) == 0) {
        char key[COORD_FACTS_KEY_SIZE_MAX + 1] = "";
        const uint8_t *value = NULL;
        size_t size = 0;
        int rc = value_check(&name, &stored, &value, &size, err);

        if (rc == RAY_OK && name.mv_size > COORD_FACTS_KEY_SIZE_MAX) {
            rc = ray_fail(err, RAY_EMALFORMED, "a fact's key has rotted");
        }
        if (rc != RAY_OK) {
            return rc;
        }
        memcpy(key, name.mv_data, name.mv_size);
        each(arg, key, value, size);
        mdb = mdb_cursor_get(cursor, &name, &stored, MDB_NEXT);
    }
    return mdb == 0 || mdb == MDB_NOTFOUND ? RAY_OK : coord_lmdb_fail(err, mdb, "the facts");
}

static int facts_list(struct coord_facts *facts, const char *prefix,
                      void (*each)(void *arg, const char *key, const uint8_t *value, size_t size),
                      void *arg, struct ray_err *err)
{
    struct facts_lmdb *lmdb = lmdb_of(facts);
    MDB_cursor *cursor;
    MDB_txn *txn;
    int rc;
    int mdb = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &txn);

    if (mdb != 0) {
        return coord_lmdb_fail(err, mdb, "the facts");
    }
    mdb = mdb_cursor_open(txn, lmdb->database, &cursor);
    if (mdb != 0) {
        mdb_txn_abort(txn);
        return coord_lmdb_fail(err, mdb, "the facts");
    }
    rc = list_from(cursor, prefix, each, arg, err);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return rc;
}

static void facts_destroy(struct coord_facts *facts)
{
    struct facts_lmdb *lmdb = lmdb_of(facts);

    if (lmdb->env != NULL) {
        mdb_env_close(lmdb->env);
    }
    free(lmdb);
}

static const struct coord_facts_ops facts_ops = {
    .get = facts_get,
    .put = facts_put,
    .remove = facts_remove,
    .list = facts_list,
    .destroy = facts_destroy,
};

static int database_open(struct facts_lmdb *lmdb, struct ray_err *err)
{
    MDB_txn *txn;
    int mdb = mdb_txn_begin(lmdb->env, NULL, 0, &txn);

    if (mdb != 0) {
        return coord_lmdb_fail(err, mdb, "the facts");
    }
    mdb = mdb_dbi_open(txn, "facts", MDB_CREATE, &lmdb->database);
    return txn_end(txn, mdb, "the facts", err);
}

int coord_facts_lmdb_create(struct coord_facts **out, const char *folder, struct ray_err *err)
{
    struct facts_lmdb *lmdb = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *lmdb);
    int rc;

    if (lmdb == NULL) {
        return ray_fail(err, RAY_ENOMEM, "facts");
    }
    lmdb->facts.ops = &facts_ops;
    rc = coord_lmdb_open(&lmdb->env, folder, "facts.mdb", map_size, 1, 0, err);
    rc = rc == RAY_OK ? database_open(lmdb, err) : rc;
    if (rc != RAY_OK) {
        facts_destroy(&lmdb->facts);
        return rc;
    }
    *out = &lmdb->facts;
    return RAY_OK;
}
