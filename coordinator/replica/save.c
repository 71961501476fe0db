/* save.c - the state machine's changes go to the checkpoint, so that a start replays only the
 * log's end. Never ahead of what the log here has durable: a restart must not know more than its
 * own log.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coordinator/replica/impl.h"

static int put(void *arg, const struct coord_fsm_record *record, struct ray_err *err)
{
    struct coord_checkpoint_batch *batch = arg;
    int rc = record->value == NULL
                 ? coord_checkpoint_delete(batch, record->key, sizeof(record->key))
                 : coord_checkpoint_put(batch, record->key, sizeof(record->key), record->value,
                                        record->value_size);

    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "a checkpoint's batch");
}

/* What is there stays whole, and older: snapshot and log do without it. Later all is written
 * anew, since nobody knows any more what it lacks. */
static void give_up(struct coord_replica *r, const char *why)
{
    coord_fsm_dirty_all(r->fsm);
    r->save_retry_ns = replica_now_ns(r) + REPLICA_SAVE_RETRY_MS * RAY_NS_PER_MS;
    replica_log(r, RAY_LOG_WARN, "checkpoint not written: %s", why);
}

static void on_saved(void *arg, int status)
{
    struct coord_replica *r = arg;

    r->is_saving = false;
    if (r->batch.ops.capacity > REPLICA_SAVE_KEPT_SIZE) { /* a rare, large one */
        coord_checkpoint_batch_fini(&r->batch);
    }
    r->measure.counters.saves += status == RAY_OK;
    r->measure.counters.save_failures += status != RAY_OK;
    if (status != RAY_OK) {
        give_up(r, ray_err_text(status));
    }
}

static size_t count_objects(const struct coord_fsm *fsm)
{
    size_t count = 0;

    for (int kind = COORD_NONE + 1; kind < COORD_KIND_COUNT; kind++) {
        count += coord_fsm_count(fsm, (enum coord_kind)kind);
    }
    return count;
}

void replica_save_loaded(struct coord_replica *r, uint64_t index)
{
    r->saved_index = index;
    r->saved_count = count_objects(r->fsm);
    r->saved_ns = replica_now_ns(r);
}

/* How many members have a smaller number. */
static size_t own_place(const struct coord_replica *r)
{
    const struct coord_config *config = coord_core_configuration(r->core);
    size_t place = 0;

    for (size_t i = 0; i < config->count; i++) {
        place += config->servers[i].id < r->meta.now.server_id;
    }
    return place;
}

/* Not at the same entries as most of the others: while one of three gathers, two commit. */
static bool has_enough(const struct coord_replica *r, uint64_t index)
{
    uint64_t phase =
        own_place(r) % REPLICA_SAVE_PHASES * (REPLICA_SAVE_COUNT / REPLICA_SAVE_PHASES);

    return index >= r->saved_index + REPLICA_SAVE_COUNT / 2 &&
           (index + phase) / REPLICA_SAVE_COUNT > (r->saved_index + phase) / REPLICA_SAVE_COUNT;
}

static bool is_due(const struct coord_replica *r)
{
    uint64_t index = coord_fsm_index(r->fsm);
    uint64_t now_ns = replica_now_ns(r);

    if (r->is_saving || index <= r->saved_index || now_ns < r->save_retry_ns ||
        index > coord_wal_durable_index(r->wal)) {
        return false;
    }
    return has_enough(r, index) || count_objects(r->fsm) >= r->saved_count + REPLICA_SAVE_GROWTH ||
           now_ns - r->saved_ns >= r->config.save_ms * RAY_NS_PER_MS;
}

static int gather(struct coord_replica *r, struct coord_checkpoint_batch *batch,
                  struct ray_err *err)
{
    int rc = RAY_OK;

    coord_checkpoint_batch_reset(batch);
    if (coord_fsm_dirty_is_all(r->fsm)) {
        rc = coord_checkpoint_clear(batch);
    }
    if (rc != RAY_OK) {
        return ray_fail(err, rc, "a checkpoint's batch");
    }
    return coord_fsm_dirty(r->fsm, put, batch, err);
}

void replica_save_turn(struct coord_replica *r)
{
    struct coord_checkpoint_head head = {.applied_index = coord_fsm_index(r->fsm),
                                         .applied_term = coord_fsm_term(r->fsm)};
    struct ray_err err = {0};

    if (!replica_is_running(r) || !is_due(r)) {
        return;
    }
    if (gather(r, &r->batch, &err) != RAY_OK) {
        give_up(r, err.text);
        return;
    }
    coord_fsm_dirty_clear(r->fsm);
    coord_fsm_hash(r->fsm, head.state_hash);
    r->is_saving = true;
    r->saved_ns = replica_now_ns(r);
    r->saved_index = head.applied_index;
    r->saved_count = count_objects(r->fsm);
    r->world.checkpoint->ops->commit(r->world.checkpoint, &r->batch, &head, on_saved, r);
}
