#include "coordinator/store/lmdb_env.h"

#include <errno.h>
#include <stdio.h>

enum { PATH_SIZE = 4096, MODE = 0600 };

int coord_lmdb_code(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return RAY_OK;
    case MDB_NOTFOUND:
        return RAY_ENOTFOUND;
    case MDB_MAP_FULL:
        return RAY_ENOSPC;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return RAY_EMALFORMED;
    case MDB_PANIC:
        return RAY_EIO;
    default:
        return rc > 0 ? ray_err_from_errno(rc) : RAY_EINTERNAL;
    }
}

int coord_lmdb_fail(struct ray_err *err, int rc, const char *what)
{
    return ray_fail(err, coord_lmdb_code(rc), "%s: %s", what, mdb_strerror(rc));
}

int coord_lmdb_open(MDB_env **out, const char *folder, const char *name, size_t map_size,
                    unsigned databases, unsigned flags, struct ray_err *err)
{
    char path[PATH_SIZE];
    MDB_env *env;
    int dead;
    int rc;

    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= PATH_SIZE) {
        return ray_fail(err, RAY_ETOOBIG, "the path of %s", name);
    }
    rc = mdb_env_create(&env);
    if (rc != 0) {
        return coord_lmdb_fail(err, rc, path);
    }
    rc = mdb_env_set_mapsize(env, map_size);
    rc = rc == 0 ? mdb_env_set_maxdbs(env, databases) : rc;
    rc = rc == 0 ? mdb_env_open(env, path, flags | MDB_NOSUBDIR, MODE) : rc;
    rc = rc == 0 ? mdb_reader_check(env, &dead) : rc;
    if (rc != 0) {
        mdb_env_close(env);
        return coord_lmdb_fail(err, rc, path);
    }
    *out = env;
    return RAY_OK;
}
