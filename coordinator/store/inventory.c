/* inventory.c - each part is looked at as a start would, and none repaired. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/size.h"
#include "coordinator/store/checkpoint_lmdb.h"
#include "coordinator/store/disk_file.h"
#include "coordinator/store/inventory_api.h"
#include "coordinator/store/meta.h"
#include "coordinator/store/snapshot.h"
#include "coordinator/store/wal.h"

static int path_of(const char *root, const char *name, char out[static PATH_MAX],
                   struct ray_err *err)
{
    return snprintf(out, PATH_MAX, "%s/%s", root, name) < PATH_MAX
               ? RAY_OK
               : ray_fail(err, RAY_ETOOBIG, "the path of %s", name);
}

static void read_name(const char *root, struct coord_inventory *out)
{
    char path[PATH_MAX];
    char name[COORD_INVENTORY_NAME_SIZE / 4];

    if (path_of(root, "identity/name", path, NULL) == RAY_OK &&
        ray_file_read_text(AT_FDCWD, path, name, sizeof name, NULL) == RAY_OK) {
        (void)ray_escape(out->node, sizeof out->node, name, strlen(name));
    }
}

/* ---- who, term and vote ---- */

static int read_meta(struct coord_disk *disk, const char *root, struct coord_meta *meta,
                     struct coord_inventory *out, struct ray_err *err)
{
    int rc = coord_meta_look(disk, meta, err);

    if (rc == RAY_ENOTFOUND) {
        (void)ray_fail(err, rc, "%s holds no membership: its node is in no cluster", root);
        (void)ray_next(err, "name the folder that rayosd has as --root, or its data folder");
    } else if (rc == RAY_EMALFORMED) {
        (void)ray_next(err, "choose another survivor (docs/how-to/lost-membership.md)");
    } else if (rc == RAY_EUNSUPPORTED) {
        (void)ray_next(err, "take the clusterctl of the image that this node ran");
    }
    if (rc != RAY_OK) {
        return rc;
    }
    out->node_id = meta->node_id;
    out->cluster_id = meta->cluster_id;
    out->cluster_epoch = meta->cluster_epoch;
    out->server_id = meta->server_id;
    out->term = meta->term;
    out->vote = meta->vote;
    out->is_quarantined = (meta->flags & COORD_META_QUARANTINED) != 0;
    out->is_removed = (meta->flags & COORD_META_REMOVED) != 0;
    out->is_refilling = (meta->flags & COORD_META_REFILL) != 0;
    return RAY_OK;
}

/* ---- what it has ---- */

static void read_checkpoint(const char *root, struct coord_inventory *out)
{
    struct coord_checkpoint_head head = {0};
    struct ray_err why = {0};
    char path[PATH_MAX];
    int rc = path_of(root, "checkpoint", path, &why);

    rc = rc == RAY_OK ? coord_checkpoint_lmdb_look(path, &head, &why) : rc;
    if (rc == RAY_OK) {
        out->checkpoint_index = head.applied_index;
    } else if (rc != RAY_ENOTFOUND) {
        (void)ray_escape(out->checkpoint_trouble, sizeof out->checkpoint_trouble, why.text,
                         strlen(why.text));
    }
}

static int read_snapshots(struct coord_disk *disk, const struct coord_meta *meta,
                          struct coord_snapshot_info *out, struct ray_err *err)
{
    struct coord_snapshot_info infos[COORD_SNAPSHOTS_MAX];
    size_t count = 0;
    int rc = coord_snapshot_list(disk, infos, COORD_SNAPSHOTS_MAX, &count, err);

    for (size_t i = 0; rc == RAY_OK && i < count; i++) {
        if (ray_id_equal(&infos[i].cluster_id, &meta->cluster_id)) {
            *out = infos[i];
            break;
        }
    }
    return rc;
}

static int read_log(struct coord_disk *disk, const struct coord_meta *meta, uint64_t known_index,
                    struct coord_wal_recovery *out, struct ray_err *err)
{
    struct coord_wal_config config = {.cluster_id = meta->cluster_id, .node_id = meta->node_id};
    struct coord_wal_opening *opening = NULL;
    int rc;

    memcpy(config.salt, meta->log_salt, sizeof config.salt);
    rc = coord_wal_open_begin(&opening, disk, &config, err);
    return rc == RAY_OK ? coord_wal_open_look(opening, known_index, out, err) : rc;
}

static int read_state(struct coord_disk *disk, const struct coord_meta *meta, const char *root,
                      struct coord_inventory *out, struct ray_err *err)
{
    struct coord_snapshot_info snapshot = {.index = 0};
    struct coord_wal_recovery log;
    uint64_t known_index;
    int rc;

    read_checkpoint(root, out);
    rc = read_snapshots(disk, meta, &snapshot, err);
    if (rc != RAY_OK) {
        return rc;
    }
    known_index = out->checkpoint_index > snapshot.index ? out->checkpoint_index : 0;
    rc = read_log(disk, meta, known_index, &log, err);
    if (rc != RAY_OK) {
        return rc;
    }
    out->snapshot_index = snapshot.index;
    out->first_index = log.first_index;
    out->last_index = log.last_index;
    out->last_term = log.last_term;
    out->durable_index = log.durable_index;
    if (snapshot.index > log.last_index ||
        (snapshot.index == log.last_index && log.last_term == 0)) {
        out->last_index = snapshot.index;
        out->last_term = snapshot.term;
    }
    out->is_rotten = log.outcome == COORD_WAL_ROT;
    (void)snprintf(out->log_trouble, sizeof out->log_trouble, "%s", log.text);
    return RAY_OK;
}

int coord_inventory_read(const char *root, struct coord_inventory *out, struct ray_err *err)
{
    struct coord_disk *disk = NULL;
    struct coord_meta meta;
    char path[PATH_MAX];
    int rc = path_of(root, "raft", path, err);

    *out = (struct coord_inventory){.term = 0};
    rc = rc == RAY_OK ? coord_disk_file_look(&disk, path, err) : rc;
    if (rc == RAY_ECONFLICT) {
        (void)ray_next(err, "ask the node itself: clusterctl cluster inventory; or stop rayosd");
    } else if (rc == RAY_ENOTFOUND) {
        (void)ray_next(err, "name the folder that rayosd has as --root, or its data folder");
    }
    if (rc != RAY_OK) {
        return rc;
    }
    rc = read_meta(disk, root, &meta, out, err);
    rc = rc == RAY_OK ? read_state(disk, &meta, root, out, err) : rc;
    disk->ops->destroy(disk);
    if (rc == RAY_OK) {
        read_name(root, out);
    }
    return rc;
}
