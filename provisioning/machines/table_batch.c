/* table_batch.c - copies of what is dirty, and their way to the disk. */
#include "provisioning/machines/table_batch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "provisioning/machines/record_json.h"

enum { FILE_MODE = 0640 };

/* ---- made ---- */

static int batch_new(const struct provision_table *table, struct table_job **out_job,
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

void table_batch_free(struct table_job *job)
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
    struct table_item *item = &job->items[job->item_count];
    int rc;

    assert(job->item_count < TABLE_BATCH_COUNT_MAX);
    *item = (struct table_item){.kind = TABLE_ITEM_GROUPS, .urgent = table->groups_urgent};
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
    struct table_item *item = &job->items[job->item_count];

    assert(job->item_count < TABLE_BATCH_COUNT_MAX);
    *item = (struct table_item){
        .kind = TABLE_ITEM_REMOVAL, .mac = removal->mac, .urgent = removal->urgent};
    (void)table_file_name(&removal->mac, item->name);
    removal->is_in_flight = true;
    job->item_count++;
}

static int put_record(struct table_slot *slot, struct table_job *job)
{
    struct table_item *item = &job->items[job->item_count];
    int rc;

    assert(job->item_count < TABLE_BATCH_COUNT_MAX);
    *item = (struct table_item){
        .kind = TABLE_ITEM_RECORD, .mac = slot->record.mac, .urgent = slot->urgent};
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

    if (table->groups_are_dirty && job->item_count < TABLE_BATCH_COUNT_MAX) {
        rc = put_groups(table, job);
    }
    for (size_t i = 0; i < table->removal_count && job->item_count < TABLE_BATCH_COUNT_MAX; i++) {
        struct table_removal *removal = &table->removals[i];

        if (!removal->is_in_flight && (!only_urgent || removal->urgent != 0)) {
            put_removal(removal, job);
        }
    }
    for (size_t n = 0; rc == RAY_OK && n < table->slot_count; n++) {
        size_t index = (table->next_slot + n) % table->slot_count;
        struct table_slot *slot = table->slots[index];

        if (job->item_count == TABLE_BATCH_COUNT_MAX) {
            table->next_slot = index;
            break;
        }
        if (slot->is_dirty && (!only_urgent || slot->urgent != 0)) {
            rc = put_record(slot, job);
        }
    }
    return rc;
}

int table_batch_make(struct provision_table *table, struct table_job **out_job, struct ray_err *err)
{
    struct table_job *job = NULL;
    int rc = batch_new(table, &job, err);

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
        table_batch_free(job);
        *out_job = NULL;
        return rc;
    }
    job->err = (struct ray_err){0}; /* what was no memory for comes next time */
    *out_job = job;
    return RAY_OK;
}

/* ---- written ---- */

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
void table_batch_write(struct table_job *job)
{
    for (size_t i = 0; i < job->item_count; i++) {
        struct table_item *item = &job->items[i];
        struct ray_err err = {0};

        item->rc = item->kind == TABLE_ITEM_REMOVAL
                       ? remove_file(job->dir_fd, item->name, &err)
                       : ray_atomic_write(job->dir_fd, item->name, item->data, item->size,
                                          FILE_MODE, &err);
        if (item->rc != RAY_OK && job->err.code == RAY_OK) {
            job->err = err;
        }
    }
}
