/* world.c - disk, clocks, randomness and the loop's turns, as the replica wants them. */
#include <assert.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <uv.h>

#include "base/atomic_file.h"
#include "coordinator/api/impl.h"
#include "coordinator/store/checkpoint_lmdb.h"
#include "coordinator/store/disk_file.h"

/* libuv's handle outlives its owner by a turn. */
struct member_turn {
    uv_prepare_t uv;
    struct coord_member *member; /* NULL: gone */
};

static uint64_t env_now_ns(void *arg)
{
    (void)arg;
    return ray_clock_boottime_ns();
}

static uint64_t env_realtime_us(void *arg)
{
    (void)arg;
    return ray_clock_realtime_ns() / RAY_NS_PER_US;
}

static void env_random(void *arg, void *out, size_t size)
{
    (void)arg;
    randombytes_buf(out, size);
}

static void env_set_timer(void *arg, uint64_t at_ns)
{
    struct coord_member *m = arg;
    uint64_t now_ns = ray_clock_boottime_ns();

    if (at_ns == UINT64_MAX) {
        ray_timer_stop(&m->timer);
        return;
    }
    /* Rounded up: before its time it would only be asked for again. */
    ray_timer_start(&m->timer,
                    at_ns <= now_ns ? 0 : (at_ns - now_ns + RAY_NS_PER_MS - 1) / RAY_NS_PER_MS, 0);
}

static void env_log(void *arg, enum ray_log_level level, const char *module, const char *text)
{
    struct coord_member *m = arg;

    ray_log(m->config.logger, level, module, "%s", text);
}

static void on_timer(void *arg)
{
    struct coord_member *m = arg;

    if (m->replica != NULL) {
        coord_replica_on_timer(m->replica);
    }
}

/* Before the loop waits: all that this turn brought has been taken in. */
static void on_prepare(uv_prepare_t *uv)
{
    struct member_turn *turn = uv->data;

    if (turn->member != NULL) {
        member_turn(turn->member);
    }
}

static void on_turn_closed(uv_handle_t *uv)
{
    free(uv->data);
}

static int open_turn(struct coord_member *m, struct ray_err *err)
{
    struct member_turn *turn = calloc(1, sizeof *turn);

    if (turn == NULL) {
        return ray_fail(err, RAY_ENOMEM, "the member's turns");
    }
    turn->member = m;
    (void)uv_prepare_init(&m->config.loop->uv, &turn->uv); /* cannot fail */
    turn->uv.data = turn;
    (void)uv_prepare_start(&turn->uv, on_prepare); /* fails without a callback only */
    m->turn = turn;
    return RAY_OK;
}

static int make_folder(const struct coord_member *m, const char *name, char *out, size_t size,
                       struct ray_err *err)
{
    (void)snprintf(out, size, "%s/%s", m->data_dir, name);
    return ray_make_dirs(AT_FDCWD, out, S_IRWXU, err);
}

static int open_disk(struct coord_member *m, struct ray_err *err)
{
    char path[MEMBER_PATH_SIZE + 16];
    int rc = make_folder(m, "raft", path, sizeof path, err);

    if (rc == RAY_OK) {
        rc = coord_disk_file_create(&m->disk, m->config.loop, path, err);
    }
    if (rc == RAY_OK && !coord_disk_file_is_direct(m->disk)) {
        ray_log(m->config.logger, RAY_LOG_NOTICE, "member",
                "%s takes no direct writes: an error of the disk may be told only once", path);
    }
    return rc;
}

static int open_databases(struct coord_member *m, struct ray_err *err)
{
    char path[MEMBER_PATH_SIZE + 16];
    int rc = make_folder(m, "checkpoint", path, sizeof path, err);

    if (rc == RAY_OK) {
        rc = coord_checkpoint_lmdb_create(&m->checkpoint, m->config.loop, path, 0, err);
    }
    if (rc == RAY_OK) {
        rc = make_folder(m, "facts", path, sizeof path, err);
    }
    return rc == RAY_OK ? coord_facts_lmdb_create(&m->facts, path, err) : rc;
}

int member_world_open(struct coord_member *m, struct ray_err *err)
{
    int rc = open_disk(m, err);

    if (rc == RAY_OK) {
        rc = ray_make_dirs(AT_FDCWD, m->run_dir, S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH,
                           err);
    }
    if (rc == RAY_OK) {
        rc = member_incarnation(m->run_dir, &m->incarnation, err);
    }
    if (rc == RAY_OK) {
        rc = open_databases(m, err);
    }
    if (rc == RAY_OK) {
        rc = ray_timer_init(&m->timer, m->config.loop, on_timer, m, err);
    }
    if (rc == RAY_OK) {
        rc = open_turn(m, err);
    }
    m->env = (struct coord_env){.now_ns = env_now_ns,
                                .realtime_us = env_realtime_us,
                                .random = env_random,
                                .set_timer = env_set_timer,
                                .log = env_log,
                                .arg = m};
    return rc;
}

void member_world_close(struct coord_member *m)
{
    if (m->turn != NULL) {
        m->turn->member = NULL;
        uv_close((uv_handle_t *)&m->turn->uv, on_turn_closed);
        m->turn = NULL;
    }
    ray_timer_fini(&m->timer);
    if (m->facts != NULL) {
        m->facts->ops->destroy(m->facts);
    }
    if (m->checkpoint != NULL) {
        m->checkpoint->ops->destroy(m->checkpoint);
    }
    if (m->disk != NULL) {
        m->disk->ops->destroy(m->disk);
    }
}
