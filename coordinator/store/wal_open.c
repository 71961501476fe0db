/* What the scan found becomes a decision: what was never vouched for is a tail and is cut; what
 * was durable and is not there is rot, and then nothing on the disk is touched. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "coordinator/mutant.h"
#include "coordinator/store/wal_impl.h"

static enum coord_wal_outcome judge(const struct coord_wal_scan *scan,
                                    const struct coord_wal_config *config,
                                    const struct coord_wal_index *index)
{
    bool is_rot = scan->has_gap || scan->proven_batch >= scan->expected_batch ||
                  config->known_index >= coord_wal_index_next(index);

    if (RAY_MUTANT(STORE_ROT_AS_TAIL)) {
        is_rot = false;
    }
    if (RAY_MUTANT(STORE_TAIL_AS_ROT)) {
        is_rot = is_rot || scan->dirty_size > 0;
    }
    if (is_rot) {
        return COORD_WAL_ROT;
    }
    return scan->dirty_size > 0 ? COORD_WAL_TAIL : COORD_WAL_CLEAN;
}

static void describe(const struct coord_wal_scan *scan, const struct coord_wal_config *config,
                     uint64_t last_index, struct coord_wal_recovery *out)
{
    const char *what = out->outcome == COORD_WAL_ROT ? "rot" : "a torn tail";
    uint64_t number = scan->count > 0 ? scan->segments[scan->end].number : 0;

    if (out->outcome == COORD_WAL_CLEAN) {
        return;
    }
    (void)snprintf(out->text, sizeof out->text,
                   "%s behind index %" PRIu64 " (segment %" PRIu64 " at %" PRIu32 ", batch %" PRIu64
                   ", proven %" PRIu64 ", known index %" PRIu64 ", unreadable %" PRIu64 "%s)",
                   what, last_index, number, scan->end_offset, scan->expected_batch,
                   scan->proven_batch, config->known_index, scan->unreadable_count,
                   scan->has_gap ? ", a segment is missing" : "");
}

static void report(const struct coord_wal *wal, const struct coord_wal_scan *scan,
                   struct coord_wal_recovery *recovery)
{
    uint64_t last_index = coord_wal_last_index(wal);
    const struct coord_wal_place *last = coord_wal_index_get(&wal->index, last_index);
    struct coord_wal_recovery out = {
        .outcome = judge(scan, &wal->config, &wal->index),
        .first_index = coord_wal_first_index(wal),
        .last_index = last_index,
        .last_term = last == NULL ? 0 : last->term,
        .durable_index = scan->stated_index < last_index ? scan->stated_index : last_index,
    };

    if (out.outcome == COORD_WAL_ROT) {
        out.rot_index = last_index + 1;
    } else {
        out.cut_size = scan->dirty_size;
    }
    describe(scan, &wal->config, last_index, &out);
    *recovery = out;
}

/* The log goes on where the scan ended. */
static void take_over(struct coord_wal *wal, struct coord_wal_scan *scan)
{
    bool has_batch = scan->last[0].number != 0;

    wal->segments = scan->segments;
    wal->segment_count = scan->count;
    wal->segment_capacity = scan->capacity;
    scan->segments = NULL;
    wal->has_reserve = scan->reserve_size == wal->config.segment_size;
    wal->is_reserve_odd = scan->reserve_size != 0 && !wal->has_reserve;
    wal->chain = scan->chain;
    wal->next_batch = scan->expected_batch;
    wal->durable_batch = scan->expected_batch - 1;
    wal->durable_segment = has_batch ? scan->last[0].segment : 0;
    wal->stated_batch = scan->stated_batch;
    wal->last_entry_batch = wal->index.count > 0 ? wal->durable_batch : 0;
    wal->durable_index = coord_wal_last_index(wal);
    wal->position = (struct coord_wal_position){
        .segment = scan->count > 0 ? wal->segments[scan->end].number : 1,
        .offset = scan->end_offset,
    };
    wal->newest_segment = wal->position.segment - 1;
    if (scan->count > 0) {
        wal->newest_segment = wal->segments[scan->count - 1].number;
    }
    if (!has_batch) {
        /* Nothing but, perhaps, a head: written again with the first batch. */
        wal->position.offset = 0;
        wal->position.is_root = scan->is_end_root || scan->end_offset == 0;
    } else if (scan->end_offset == COORD_WAL_SEGMENT_HEAD_SIZE) {
        wal->position.offset = 0;
    }
}

/* Behind everything that was ever written. */
static void take_over_rotten(struct coord_wal *wal, const struct coord_wal_scan *scan)
{
    uint64_t seen = scan->seen_batch > scan->proven_batch ? scan->seen_batch : scan->proven_batch;

    wal->is_rotten = true;
    if (wal->durable_batch < seen) {
        wal->durable_batch = seen;
    }
    wal->next_batch = wal->durable_batch + 1;
    wal->durable_segment = 0;
    wal->position = (struct coord_wal_position){.segment = wal->newest_segment + 1};
}

static int config_take(struct coord_wal *wal, const struct coord_wal_config *config,
                       struct ray_err *err)
{
    wal->config = *config;
    if (wal->config.segment_size == 0) {
        wal->config.segment_size = COORD_WAL_SEGMENT_SIZE;
    }
    if (wal->config.batch_size == 0) {
        wal->config.batch_size = COORD_WAL_BATCH_SIZE;
    }
    if (wal->config.segment_size % COORD_DISK_BLOCK_SIZE != 0 ||
        wal->config.segment_size < COORD_WAL_SEGMENT_SIZE_MIN ||
        wal->config.segment_size > COORD_WAL_SEGMENT_SIZE_MAX ||
        wal->config.batch_size > COORD_WAL_BATCH_SIZE) {
        return ray_fail(err, RAY_EINVAL, "segments of %u bytes, batches of %u",
                        wal->config.segment_size, wal->config.batch_size);
    }
    return RAY_OK;
}

static int open_scanned(struct coord_wal *wal, struct coord_wal_scan *scan,
                        struct coord_wal_recovery *recovery, struct ray_err *err)
{
    struct coord_wal_recovery found;
    int rc = RAY_OK;

    report(wal, scan, &found);
    if (found.outcome != COORD_WAL_ROT) {
        if (found.outcome == COORD_WAL_TAIL) {
            rc = coord_wal_scan_cut(scan, err);
        }
        if (rc == RAY_OK) {
            rc = coord_wal_scan_settle(scan, err);
        }
        if (rc != RAY_OK) {
            return rc;
        }
    }
    take_over(wal, scan);
    if (found.outcome == COORD_WAL_ROT) {
        take_over_rotten(wal, scan);
    }
    *recovery = found;
    return RAY_OK;
}

/* `scan`, `rc` and `err` belong to the other thread until it is joined. */
struct coord_wal_opening {
    struct coord_disk *disk;
    struct coord_wal *wal; /* NULL: taken */
    struct coord_wal_scan scan;
    struct ray_err err;
    int rc;
    bool is_beside;
};

static void run_scan(void *arg)
{
    struct coord_wal_opening *opening = arg;
    struct coord_wal *wal = opening->wal;

    opening->rc =
        coord_wal_scan_run(&opening->scan, wal->disk, &wal->config, &wal->index, &opening->err);
}

static void join(struct coord_wal_opening *opening)
{
    if (opening->is_beside) {
        opening->disk->ops->join_beside(opening->disk);
        opening->is_beside = false;
    }
}

int coord_wal_open_begin(struct coord_wal_opening **out, struct coord_disk *disk,
                         const struct coord_wal_config *config, struct ray_err *err)
{
    struct coord_wal *wal = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *wal);
    struct coord_wal_opening *opening =
        ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *opening);
    int rc;

    assert(out != NULL && disk != NULL);
    if (wal == NULL || opening == NULL) {
        free(opening);
        free(wal);
        return ray_fail(err, RAY_ENOMEM, "the log");
    }
    wal->disk = disk;
    coord_wal_index_init(&wal->index, 1);
    opening->disk = disk;
    opening->wal = wal;
    rc = config_take(wal, config, err);
    if (rc != RAY_OK) {
        coord_wal_open_cancel(opening);
        return rc;
    }
    opening->is_beside = disk->ops->begin_beside != NULL;
    if (opening->is_beside) {
        disk->ops->begin_beside(disk, run_scan, opening);
    } else {
        run_scan(opening);
    }
    *out = opening;
    return RAY_OK;
}

void coord_wal_open_cancel(struct coord_wal_opening *opening)
{
    if (opening != NULL) {
        join(opening);
        coord_wal_scan_fini(&opening->scan);
        if (opening->wal != NULL) {
            coord_wal_free(opening->wal);
        }
        free(opening);
    }
}

int coord_wal_open_end(struct coord_wal_opening *opening, uint64_t known_index,
                       const struct coord_wal_user *user, struct coord_wal **out,
                       struct coord_wal_recovery *recovery, struct ray_err *err)
{
    struct coord_wal *wal;
    int rc;

    assert(opening != NULL && out != NULL && user != NULL && recovery != NULL);
    assert(user->on_durable != NULL && user->on_failed != NULL && user->on_space != NULL);
    join(opening);
    wal = opening->wal;
    wal->user = *user;
    wal->config.known_index = known_index;
    rc = opening->rc;
    if (rc != RAY_OK && err != NULL) {
        *err = opening->err;
    }
    if (rc == RAY_OK) {
        rc = open_scanned(wal, &opening->scan, recovery, err);
    }
    if (rc == RAY_OK) {
        opening->wal = NULL;
    }
    coord_wal_open_cancel(opening);
    if (rc == RAY_OK) {
        coord_wal_space_step(wal);
        *out = wal;
    }
    return rc;
}

int coord_wal_open_look(struct coord_wal_opening *opening, uint64_t known_index,
                        struct coord_wal_recovery *recovery, struct ray_err *err)
{
    int rc;

    assert(opening != NULL && recovery != NULL);
    join(opening);
    opening->wal->config.known_index = known_index;
    rc = opening->rc;
    if (rc == RAY_OK) {
        report(opening->wal, &opening->scan, recovery);
    } else if (err != NULL) {
        *err = opening->err;
    }
    coord_wal_open_cancel(opening);
    return rc;
}

int coord_wal_open(struct coord_wal **out, struct coord_disk *disk,
                   const struct coord_wal_config *config, const struct coord_wal_user *user,
                   struct coord_wal_recovery *recovery, struct ray_err *err)
{
    struct coord_wal_opening *opening = NULL;
    int rc = coord_wal_open_begin(&opening, disk, config, err);

    return rc == RAY_OK ? coord_wal_open_end(opening, config->known_index, user, out, recovery, err)
                        : rc;
}
