/* table_write.c - when what is dirty goes to the folder, and who hears of it.
 *
 * There is at most one batch at a time, so that an older state never replaces a newer one. What is
 * in a batch counts as clean; a file that was not written makes it dirty again, with the number of
 * the operator's change that waits for it. */
#include <assert.h>
#include <string.h>

#include "provisioning/machines/table_batch.h"

enum { RETRY_AFTER_MS = 5000 };

/* The earlier of two changes, where 0 is none. */
static uint64_t earlier(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0) {
        return a + b;
    }
    return a < b ? a : b;
}

/* ---- results of a batch ---- */

static void take_record(struct provision_table *table, const struct table_item *item)
{
    struct table_slot *slot = table_find_slot(table, &item->mac);

    if (item->rc != RAY_OK && slot != NULL) {
        slot->is_dirty = true;
        slot->urgent = earlier(slot->urgent, item->urgent);
    }
}

static void take_removal(struct provision_table *table, const struct table_item *item)
{
    for (size_t i = 0; i < table->removal_count; i++) {
        struct table_removal *removal = &table->removals[i];

        if (!removal->is_in_flight || memcmp(&removal->mac, &item->mac, sizeof(item->mac)) != 0) {
            continue;
        }
        removal->is_in_flight = false;
        if (item->rc == RAY_OK) {
            *removal = table->removals[--table->removal_count];
        }
        return;
    }
}

static void take_groups(struct provision_table *table, const struct table_item *item)
{
    if (item->rc != RAY_OK) {
        table->groups_are_dirty = true;
        table->groups_urgent = earlier(table->groups_urgent, item->urgent);
    }
}

/* The earliest change of an operator that is not durable; 0 none. */
static uint64_t earliest_urgent(const struct provision_table *table)
{
    uint64_t urgent = table->groups_urgent;

    for (size_t i = 0; i < table->removal_count; i++) {
        urgent = earlier(urgent, table->removals[i].urgent);
    }
    for (size_t i = 0; i < table->slot_count; i++) {
        urgent = earlier(urgent, table->slots[i]->urgent);
    }
    return urgent;
}

/* Answers the syncs for which everything is durable, and, with an error, all others. The list
 * is cut first: a callback may sync again. */
static void answer_syncs(struct provision_table *table, const struct ray_err *err)
{
    const struct ray_err good = {0};
    uint64_t urgent = earliest_urgent(table);
    struct provision_table_sync *ready = NULL;
    struct provision_table_sync **ready_end = &ready;
    struct provision_table_sync **link = &table->syncs;

    while (*link != NULL) {
        struct provision_table_sync *sync = *link;

        if (err->code == RAY_OK && urgent != 0 && urgent <= sync->change) {
            link = &sync->next;
            continue;
        }
        *link = sync->next;
        sync->next = NULL;
        *ready_end = sync;
        ready_end = &sync->next;
    }
    while (ready != NULL) {
        struct provision_table_sync *sync = ready;

        ready = sync->next;
        sync->cb(sync->arg, urgent != 0 && urgent <= sync->change ? err : &good);
    }
}

void table_end_syncs(struct provision_table *table, const struct ray_err *err)
{
    assert(err->code != RAY_OK);
    answer_syncs(table, err);
}

static void take_results(struct provision_table *table, const struct table_job *job)
{
    for (size_t i = 0; i < job->item_count; i++) {
        const struct table_item *item = &job->items[i];

        if (item->rc == RAY_OK) {
            table->stats.write_count++;
        } else {
            table->stats.write_failure_count++;
        }
        switch (item->kind) {
        case TABLE_ITEM_RECORD:
            take_record(table, item);
            break;
        case TABLE_ITEM_REMOVAL:
            take_removal(table, item);
            break;
        case TABLE_ITEM_GROUPS:
            take_groups(table, item);
            break;
        }
    }
    if (job->err.code != RAY_OK && !table->is_failing) {
        table_problem(table, "the machine table cannot be written, it will be tried again: %s",
                      job->err.text);
    } else if (job->err.code == RAY_OK && table->is_failing) {
        table_problem(table, "the machine table is written again");
    }
    table->is_failing = job->err.code != RAY_OK;
    answer_syncs(table, &job->err);
}

/* ---- when ---- */

static bool is_anything_dirty(const struct provision_table *table)
{
    if (table->groups_are_dirty || table->removal_count > 0) {
        return true;
    }
    for (size_t i = 0; i < table->slot_count; i++) {
        if (table->slots[i]->is_dirty) {
            return true;
        }
    }
    return false;
}

static void job_run(uv_work_t *work)
{
    struct table_job *job = work->data;

    table_batch_write(job);
    (void)pthread_mutex_lock(&job->lock);
    job->is_ended = true;
    (void)pthread_cond_signal(&job->has_ended);
    (void)pthread_mutex_unlock(&job->lock);
}

static void start_job(struct provision_table *table);

static void job_done(uv_work_t *work, int status)
{
    struct table_job *job = work->data;
    struct provision_table *table = job->table;
    bool was_full = job->item_count == TABLE_BATCH_COUNT_MAX;
    bool has_failed = job->err.code != RAY_OK;

    assert(status == 0); /* nobody cancels it */
    (void)status;
    if (table != NULL) {
        table->job = NULL;
        take_results(table, job);
        if (table->job == NULL && !has_failed && (was_full || table->syncs != NULL)) {
            start_job(table);
        } else if (is_anything_dirty(table)) {
            table_wake_writer(table);
        }
    }
    table_batch_free(job);
}

static void start_job(struct provision_table *table)
{
    struct table_job *job = NULL;
    struct ray_err err = {0};
    int rc;

    assert(table->job == NULL && table->loop != NULL);
    ray_timer_stop(&table->flush_timer);
    rc = table_batch_make(table, &job, &err);
    if (rc == RAY_OK && job != NULL) {
        int status = uv_queue_work(&table->loop->uv, &job->work, job_run, job_done);

        assert(status == 0); /* fails only without a work function */
        (void)status;
        job->table = table;
        table->job = job;
        return;
    }
    if (rc != RAY_OK) {
        table->is_failing = true;
        table_wake_writer(table);
    }
    answer_syncs(table, &err);
}

void table_on_flush_timer(void *arg)
{
    struct provision_table *table = arg;

    if (table->job == NULL) {
        start_job(table);
    }
}

void table_wake_writer(struct provision_table *table)
{
    if (table->loop != NULL && table->job == NULL && !ray_timer_is_active(&table->flush_timer)) {
        ray_timer_start(&table->flush_timer,
                        table->is_failing ? RETRY_AFTER_MS : PROVISION_TABLE_FLUSH_AFTER_MS, 0);
    }
}

bool table_cancel_removal(struct provision_table *table, const struct provision_mac *mac,
                          uint64_t *io_urgent)
{
    for (size_t i = 0; i < table->removal_count; i++) {
        struct table_removal *removal = &table->removals[i];

        if (memcmp(&removal->mac, mac, sizeof(*mac)) == 0) {
            *io_urgent = earlier(*io_urgent, removal->urgent);
            *removal = table->removals[--table->removal_count];
            return true;
        }
    }
    return false;
}

void provision_table_sync(struct provision_table *table, struct provision_table_sync *sync)
{
    const struct ray_err good = {0};
    uint64_t urgent = earliest_urgent(table);
    struct provision_table_sync **link = &table->syncs;

    assert(table->loop != NULL);
    sync->change = table->change;
    sync->next = NULL;
    if (urgent == 0 && table->job == NULL) {
        sync->cb(sync->arg, &good);
        return;
    }
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = sync;
    if (table->job == NULL) {
        start_job(table);
    }
}

void provision_table_sync_cancel(struct provision_table *table, struct provision_table_sync *sync)
{
    for (struct provision_table_sync **link = &table->syncs; *link != NULL; link = &(*link)->next) {
        if (*link == sync) {
            *link = sync->next;
            sync->next = NULL;
            return;
        }
    }
}

/* Waits for the batch that is in the pool and takes its results; its callback only frees it. */
static void wait_for_job(struct provision_table *table)
{
    struct table_job *job = table->job;

    if (job == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&job->lock);
    while (!job->is_ended) {
        (void)pthread_cond_wait(&job->has_ended, &job->lock);
    }
    (void)pthread_mutex_unlock(&job->lock);
    job->table = NULL;
    table->job = NULL;
    take_results(table, job);
}

int provision_table_flush(struct provision_table *table, struct ray_err *err)
{
    for (;;) {
        struct table_job *job = NULL;
        int rc;

        wait_for_job(table); /* here, because whom it answers may begin the next */
        if (!is_anything_dirty(table)) {
            return RAY_OK;
        }
        rc = table_batch_make(table, &job, err);
        if (rc != RAY_OK) {
            return rc;
        }
        assert(job != NULL);
        table_batch_write(job);
        take_results(table, job);
        rc = job->err.code;
        if (rc != RAY_OK && err != NULL) {
            *err = job->err;
        }
        table_batch_free(job);
        if (rc != RAY_OK) {
            return rc;
        }
    }
}
