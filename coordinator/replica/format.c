/* format.c - the first state of a member on an empty disk.
 *
 * The log comes first, the meta block last: as long as that is missing there is no membership,
 * and whatever a crash left is removed by the next attempt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/core/config.h"
#include "coordinator/replica/impl.h"

struct formatting {
    struct coord_replica_world world;
    struct coord_meta meta;
    struct coord_meta_store store;
    struct coord_wal *wal;
    uint32_t segment_size;
    bool is_founder;
    char name[COORD_DISK_NAME_SIZE]; /* of the file that is being removed */
    int status;
    coord_disk_done *done;
    void *arg;
};

static void end(void *arg, int status)
{
    struct formatting *formatting = arg;
    coord_disk_done *done = formatting->done;
    void *done_arg = formatting->arg;

    if (formatting->status != RAY_OK) {
        status = formatting->status;
    }
    coord_wal_destroy(formatting->wal);
    free(formatting);
    done(done_arg, status);
}

/* Out of a callback of the log, which must not be destroyed there: by way of the disk. */
static void leave(struct formatting *formatting, int status)
{
    formatting->status = status;
    formatting->world.disk->ops->remove(formatting->world.disk, "no-such-file", end, formatting);
}

static void on_durable(void *arg, uint64_t index)
{
    struct formatting *formatting = arg;

    if (index == 1) {
        coord_meta_create(&formatting->store, formatting->world.disk, &formatting->meta, end,
                          formatting);
    }
}

static void on_failed(void *arg, int status)
{
    leave(arg, status);
}

static void on_space(void *arg, enum coord_wal_space space)
{
    (void)arg;
    (void)space; /* a disk too small for one entry fails the append */
}

static int write_first_entry(struct formatting *formatting)
{
    struct coord_config config = {
        .servers = {{.id = formatting->meta.server_id, .role = COORD_VOTER}}, .count = 1};
    uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_entry entry = {.term = 1, .index = 1, .type = COORD_ENTRY_CHANGE, .data = bytes};
    struct coord_wal_config log = {.cluster_id = formatting->meta.cluster_id,
                                   .node_id = formatting->meta.node_id,
                                   .segment_size = formatting->segment_size};
    struct coord_wal_user user = {
        .on_durable = on_durable, .on_failed = on_failed, .on_space = on_space, .arg = formatting};
    struct coord_wal_recovery recovery;
    int rc;

    memcpy(log.salt, formatting->meta.log_salt, sizeof(log.salt));
    rc = coord_wal_open(&formatting->wal, formatting->world.disk, &log, &user, &recovery, NULL);
    if (rc == RAY_OK) {
        entry.size = (uint32_t)coord_config_encode(&config, bytes);
        rc = coord_wal_append(formatting->wal, &entry, 1, NULL);
    }
    if (rc == RAY_OK) {
        coord_wal_flush(formatting->wal);
    }
    return rc;
}

static void note_name(void *arg, const char *name, uint64_t size)
{
    struct formatting *formatting = arg;

    (void)size;
    (void)snprintf(formatting->name, sizeof(formatting->name), "%s", name);
}

static void on_removed(void *arg, int status);

/* One old file after another, then the new ones. */
static void go_on(struct formatting *formatting)
{
    struct coord_disk *disk = formatting->world.disk;
    int rc;

    formatting->name[0] = '\0';
    rc = disk->ops->list(disk, note_name, formatting, NULL);
    if (rc == RAY_OK && formatting->name[0] != '\0') {
        disk->ops->remove(disk, formatting->name, on_removed, formatting);
        return;
    }
    if (rc == RAY_OK && formatting->is_founder) {
        rc = write_first_entry(formatting);
        if (rc == RAY_OK) {
            return;
        }
    }
    if (rc != RAY_OK) {
        leave(formatting, rc);
        return;
    }
    coord_meta_create(&formatting->store, disk, &formatting->meta, end, formatting);
}

static void on_removed(void *arg, int status)
{
    struct formatting *formatting = arg;

    if (status != RAY_OK) {
        leave(formatting, status);
    } else {
        go_on(formatting);
    }
}

int coord_replica_format(const struct coord_replica_world *world,
                         const struct coord_replica_birth *birth, coord_disk_done *done, void *arg,
                         struct ray_err *err)
{
    struct formatting *formatting;
    struct coord_meta_store store;
    int rc = coord_meta_open(&store, world->disk, err);

    if (rc == RAY_OK) {
        return ray_fail(err, RAY_EEXISTS, "this node is a member already");
    }
    /* Both copies damaged: there was a member, and what it has may be of use to somebody. */
    if (rc != RAY_ENOTFOUND) {
        return rc;
    }
    rc = world->checkpoint->ops->wipe(world->checkpoint, err);
    if (rc != RAY_OK) {
        return rc;
    }
    formatting = calloc(1, sizeof(*formatting));
    if (formatting == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a member's first state");
    }
    formatting->world = *world;
    formatting->segment_size = birth->segment_size;
    formatting->is_founder = birth->is_founder;
    formatting->done = done;
    formatting->arg = arg;
    formatting->meta = (struct coord_meta){.cluster_id = birth->cluster_id,
                                           .node_id = birth->node_id,
                                           .server_id = birth->server_id,
                                           .boot_counter = birth->boot_counter,
                                           .cluster_epoch = birth->cluster_epoch,
                                           .term = birth->is_founder ? 1 : 0};
    world->env->random(world->env->arg, formatting->meta.log_salt,
                       sizeof(formatting->meta.log_salt));
    go_on(formatting);
    return RAY_OK;
}
