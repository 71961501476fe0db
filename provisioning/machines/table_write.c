/* table_write.c - what is dirty goes to the folder in batches.
 *
 * A batch is a copy (JSON bytes, names), so that the pool's thread shares nothing with the
 * table. There is at most one, so that an older state never replaces a newer one. What is in
 * a batch counts as clean; a file that was not written makes it dirty again, with the number of
 * the operator's change that waits for it. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "provisioning/machines/record_json.h"
#include "provisioning/machines/table_internal.h"

enum { ITEM_COUNT_MAX = 128, RETRY_AFTER_MS = 5000, FILE_MODE = 0640 };

enum item_kind { ITEM_RECORD, ITEM_REMOVAL, ITEM_GROUPS };

struct item {
    enum item_kind kind;
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
    struct item items[ITEM_COUNT_MAX];
    size_t item_count;
    struct ray_err err; /* of the first item that failed */
    pthread_mutex_t lock;
    pthread_cond_t has_ended;
    bool is_ended;
};

/* The earlier of two changes, where 0 is none. */
static uint64_t earlier(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0) {
        return a + b;
    }
    return a < b ? a : b;
}

/* ---- a batch: made ---- */

static int job_new(const struct provision_table *table, struct table_job **out_job,
                   struct ray_err *err)
{
    struct table_job *job = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*job));

    if (job == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory to write records");
    }
    if (pthread_mutex_init(&job->lock, NULL) != 0) {
        free(job);
        return ray_fail(err, RAY_ENOMEM, "no lock to write records");
    }
    if (pthread_cond_init(&job->has_ended, NULL) != 0) {
        (void)pthread_mutex_destroy(&job->lock);
        free(job);
        return ray_fail(err, RAY_ENOMEM, "no lock to write records");
    }
    job->work.data = job;
    job->dir_fd = table->dir_fd;
    *out_job = job;
    return RAY_OK;
}

static void job_free(struct table_job *job)
{
    for (size_t i = 0; i < job->item_count; i++) {
        free(job->items[i].data);
    }
    (void)pthread_cond_destroy(&job->has_ended);
    (void)pthread_mutex_destroy(&job->lock);
    free(job);
}

static int put_groups(struct provision_table *table, struct table_job *job)
{
    struct item *item = &job->items[job->item_count];
    int rc;

    assert(job->item_count < ITEM_COUNT_MAX);
    *item = (struct item){.kind = ITEM_GROUPS, .urgent = table->groups_urgent};
    (void)snprintf(item->name, sizeof(item->name), TABLE_GROUPS_FILE);
    rc = provision_groups_format(table->groups, table->group_count, &item->data, &item->size,
                                 &job->err);
    if (rc == RAY_OK) {
        table->groups_are_dirty = false;
        table->groups_urgent = 0;
        job->item_count++;
    }
    return rc;
}

static void put_removal(struct table_removal *removal, struct table_job *job)
{
    struct item *item = &job->items[job->item_count];

    assert(job->item_count < ITEM_COUNT_MAX);
    *item = (struct item){.kind = ITEM_REMOVAL, .mac = removal->mac, .urgent = removal->urgent};
    (void)table_file_name(&removal->mac, item->name);
    removal->is_in_flight = true;
    job->item_count++;
}

static int put_record(struct table_slot *slot, struct table_job *job)
{
    struct item *item = &job->items[job->item_count];
    int rc;

    assert(job->item_count < ITEM_COUNT_MAX);
    *item = (struct item){.kind = ITEM_RECORD, .mac = slot->record.mac, .urgent = slot->urgent};
    (void)table_file_name(&slot->record.mac, item->name);
    rc = provision_record_format(&slot->record, &item->data, &item->size, &job->err);
    if (rc == RAY_OK) {
        slot->is_dirty = false;
        slot->urgent = 0;
        slot->may_have_file = true;
        job->item_count++;
    }
    return rc;
}

/* What waits for an operator goes first; then the others, from where the last batch ended. */
static int fill(struct provision_table *table, struct table_job *job, bool only_urgent)
{
    int rc = RAY_OK;

    if (table->groups_are_dirty && job->item_count < ITEM_COUNT_MAX) {
        rc = put_groups(table, job);
    }
    for (size_t i = 0; i < table->removal_count && job->item_count < ITEM_COUNT_MAX; i++) {
        struct table_removal *removal = &table->removals[i];

        if (!removal->is_in_flight && (!only_urgent || removal->urgent != 0)) {
            put_removal(removal, job);
        }
    }
    for (size_t n = 0; rc == RAY_OK && n < table->slot_count; n++) {
        size_t index = (table->next_slot + n) % table->slot_count;
        struct table_slot *slot = table->slots[index];

        if (job->item_count == ITEM_COUNT_MAX) {
            table->next_slot = index;
            break;
        }
        if (slot->is_dirty && (!only_urgent || slot->urgent != 0)) {
            rc = put_record(slot, job);
        }
    }
    return rc;
}

/* ---- a batch: written ---- */

static int sync_folder(int dir_fd)
{
    int rc;

    do {
        rc = ray_fault(RAY_FAULT_FSYNC) != 0 ? -1 : fsync(dir_fd);
    } while (rc < 0 && errno == EINTR);
    return rc;
}

static int remove_file(int dir_fd, const char *name, struct ray_err *err)
{
    if (ray_fault(RAY_FAULT_RENAME) != 0 || (unlinkat(dir_fd, name, 0) != 0 && errno != ENOENT)) {
        return ray_fail_errno(err, errno, "remove %s", name);
    }
    return sync_folder(dir_fd) == 0 ? RAY_OK : ray_fail_errno(err, errno, "sync after %s", name);
}

/* Every item is tried: one bad file must not hold up the others. */
static void write_items(struct table_job *job)
{
    for (size_t i = 0; i < job->item_count; i++) {
        struct item *item = &job->items[i];
        struct ray_err err = {0};

        item->rc = item->kind == ITEM_REMOVAL
                       ? remove_file(job->dir_fd, item->name, &err)
                       : ray_atomic_write(job->dir_fd, item->name, item->data, item->size,
                                          FILE_MODE, &err);
        if (item->rc != RAY_OK && job->err.code == RAY_OK) {
            job->err = err;
        }
    }
}

/* ---- a batch: its results ---- */

static void take_record(struct provision_table *table, const struct item *item)
{
    struct table_slot *slot = table_find_slot(table, &item->mac);

    if (item->rc != RAY_OK && slot != NULL) {
        slot->is_dirty = true;
        slot->urgent = earlier(slot->urgent, item->urgent);
    }
}

static void take_removal(struct provision_table *table, const struct item *item)
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

static void take_groups(struct provision_table *table, const struct item *item)
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
        const struct item *item = &job->items[i];

        if (item->rc == RAY_OK) {
            table->stats.write_count++;
        } else {
            table->stats.write_failure_count++;
        }
        switch (item->kind) {
        case ITEM_RECORD:
            take_record(table, item);
            break;
        case ITEM_REMOVAL:
            take_removal(table, item);
            break;
        case ITEM_GROUPS:
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

    write_items(job);
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
    bool was_full = job->item_count == ITEM_COUNT_MAX;
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
    job_free(job);
}

/* Makes a batch; *out_job is NULL when there is nothing to do. RAY_ENOMEM leaves things dirty. */
static int make_job(struct provision_table *table, struct table_job **out_job, struct ray_err *err)
{
    struct table_job *job = NULL;
    int rc = job_new(table, &job, err);

    if (rc != RAY_OK) {
        return rc;
    }
    assert(job != NULL);
    rc = fill(table, job, true);
    if (rc == RAY_OK) {
        rc = fill(table, job, false);
    }
    if (job->item_count == 0) {
        if (err != NULL) {
            *err = job->err;
        }
        job_free(job);
        *out_job = NULL;
        return rc;
    }
    job->err = (struct ray_err){0}; /* what was no memory for comes next time */
    *out_job = job;
    return RAY_OK;
}

static void start_job(struct provision_table *table)
{
    struct table_job *job = NULL;
    struct ray_err err = {0};
    int rc;

    assert(table->job == NULL && table->loop != NULL);
    ray_timer_stop(&table->flush_timer);
    rc = make_job(table, &job, &err);
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
        rc = make_job(table, &job, err);
        if (rc != RAY_OK) {
            return rc;
        }
        assert(job != NULL);
        write_items(job);
        take_results(table, job);
        rc = job->err.code;
        if (rc != RAY_OK && err != NULL) {
            *err = job->err;
        }
        job_free(job);
        if (rc != RAY_OK) {
            return rc;
        }
    }
}
