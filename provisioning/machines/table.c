/* table.c - slots in the order of their MACs; what machines and operators do to them.
 *
 * Records of which no operator has said anything stand in a list by when they were last heard
 * of, so that a flood of MACs costs a step for each, and moves only unknown machines out.
 * The list does not look at the wall clock. */
#include "provisioning/machines/table.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "provisioning/machines/table_internal.h"

enum { EXPIRE_EVERY_MS = 10000 };

void table_problem(struct provision_table *table, const char *fmt, ...)
{
    char text[RAY_ERR_TEXT_SIZE];
    va_list ap;

    if (table->config.on_problem == NULL) {
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* cut to fit */
    va_end(ap);
    table->config.on_problem(table->config.arg, text);
}

/* ---- slots ---- */

size_t table_position(const struct provision_table *table, const struct provision_mac *mac,
                      bool *out_is_found)
{
    size_t low = 0;
    size_t high = table->slot_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(table->slots[middle]->record.mac.bytes, mac->bytes, sizeof(mac->bytes));

        if (order == 0) {
            *out_is_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *out_is_found = false;
    return low;
}

struct table_slot *table_find_slot(const struct provision_table *table,
                                   const struct provision_mac *mac)
{
    bool is_found;
    size_t position = table_position(table, mac, &is_found);

    return is_found ? table->slots[position] : NULL;
}

void table_insert(struct provision_table *table, struct table_slot *slot, size_t position)
{
    assert(position <= table->slot_count);
    assert(table->slot_count < PROVISION_TABLE_MACHINE_COUNT_MAX);
    memmove(&table->slots[position + 1], &table->slots[position],
            (table->slot_count - position) * sizeof(struct table_slot *));
    table->slots[position] = slot;
    table->slot_count++;
}

static void unlist(struct provision_table *table, struct table_slot *slot)
{
    if (!slot->is_listed) {
        return;
    }
    if (slot->older != NULL) {
        slot->older->newer = slot->newer;
    } else {
        table->oldest = slot->newer;
    }
    if (slot->newer != NULL) {
        slot->newer->older = slot->older;
    } else {
        table->newest = slot->older;
    }
    slot->older = NULL;
    slot->newer = NULL;
    slot->is_listed = false;
}

void table_place(struct provision_table *table, struct table_slot *slot)
{
    unlist(table, slot);
    if (provision_record_is_known(&slot->record)) {
        return;
    }
    slot->older = table->newest;
    if (table->newest != NULL) {
        table->newest->newer = slot;
    } else {
        table->oldest = slot;
    }
    table->newest = slot;
    slot->is_listed = true;
}

int table_drop_slot(struct provision_table *table, struct table_slot *slot, uint64_t urgent)
{
    bool is_found;
    size_t position = table_position(table, &slot->record.mac, &is_found);

    assert(is_found);
    if (slot->may_have_file) {
        if (table->removal_count == TABLE_REMOVAL_COUNT_MAX) {
            return RAY_ENOSPC;
        }
        table->removals[table->removal_count++] =
            (struct table_removal){.mac = slot->record.mac, .urgent = urgent};
        table_wake_writer(table);
    }
    unlist(table, slot);
    table->slot_count--;
    memmove(&table->slots[position], &table->slots[position + 1],
            (table->slot_count - position) * sizeof(struct table_slot *));
    free(slot);
    return RAY_OK;
}

/* Room for one more. */
static int make_room(struct provision_table *table, struct ray_err *err)
{
    if (table->slot_count < PROVISION_TABLE_MACHINE_COUNT_MAX) {
        return RAY_OK;
    }
    if (table->oldest != NULL && table_drop_slot(table, table->oldest, 0) == RAY_OK) {
        table->stats.given_way_count++;
        return RAY_OK;
    }
    table->stats.turned_away_count++;
    if (!table->has_said_full) {
        table->has_said_full = true;
        table_problem(table, "the machine table is full: more machines are served, not listed");
    }
    (void)ray_fail(err, RAY_ENOSPC, "the machine table is full: %d machines",
                   PROVISION_TABLE_MACHINE_COUNT_MAX);
    (void)ray_next(err, "run 'clusterctl machine forget' for machines that are gone");
    return RAY_ENOSPC;
}

int table_touch(struct provision_table *table, const struct provision_mac *mac,
                const struct provision_time *now, struct table_slot **out_slot, struct ray_err *err)
{
    struct table_slot *slot = table_find_slot(table, mac);
    bool is_found;
    int rc;

    if (slot != NULL) {
        *out_slot = slot;
        return RAY_OK;
    }
    slot = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*slot));
    if (slot == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a machine");
    }
    rc = make_room(table, err);
    if (rc != RAY_OK) {
        free(slot);
        return rc;
    }
    provision_record_init(&slot->record, mac, now);
    slot->may_have_file = table_cancel_removal(table, mac, &slot->urgent);
    table_insert(table, slot, table_position(table, mac, &is_found));
    assert(!is_found);
    *out_slot = slot;
    return RAY_OK;
}

void table_changed(struct provision_table *table, struct table_slot *slot, uint64_t before)
{
    const struct provision_record *record = &slot->record;

    table_place(table, slot);
    slot->is_dirty = true;
    table_wake_writer(table);
    for (size_t i = 0; i < record->event_count; i++) {
        const struct provision_record_event *event = &record->events[i];

        if (event->sequence > before) {
            table->stats.event_counts[event->kind]++;
            if (table->config.on_event != NULL) {
                table->config.on_event(table->config.arg, record, event);
            }
        }
    }
}

/* ---- life ---- */

void table_watch_tries(struct provision_table *table)
{
    if (table->loop != NULL && !ray_timer_is_active(&table->expire_timer)) {
        ray_timer_start(&table->expire_timer, EXPIRE_EVERY_MS, EXPIRE_EVERY_MS);
    }
}

static void on_expire(void *arg)
{
    const struct provision_time now = provision_time_now();

    provision_table_expire(arg, &now);
}

static int open_folder(struct provision_table *table, struct ray_err *err)
{
    char path[4096];
    int errnum = 0;
    int rc;

    if (snprintf(path, sizeof(path), "%s/" TABLE_FOLDER, table->config.dir) >= (int)sizeof(path)) {
        return ray_fail(err, RAY_ETOOBIG, "the path of the state folder is too long");
    }
    rc = ray_make_dirs(AT_FDCWD, path, 0755, err);
    if (rc != RAY_OK) {
        return rc;
    }
    errnum = ray_fault(RAY_FAULT_OPEN);
    if (errnum == 0) {
        table->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        errnum = table->dir_fd < 0 ? errno : 0;
    }
    return errnum == 0 ? RAY_OK : ray_fail_errno(err, errnum, "open %s", path);
}

static void table_free(struct provision_table *table)
{
    ray_timer_fini(&table->flush_timer);
    ray_timer_fini(&table->expire_timer);
    for (size_t i = 0; i < table->slot_count; i++) {
        free(table->slots[i]);
    }
    if (table->dir_fd >= 0) {
        (void)close(table->dir_fd); /* read only */
    }
    free(table);
}

int provision_table_create(struct provision_table **out_table, struct ray_loop *loop,
                           const struct provision_table_config *config, struct ray_err *err)
{
    struct provision_table *table;
    int rc;

    assert(config->dir != NULL && config->dir[0] != '\0');
    table = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*table));
    if (table == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for the machine table");
    }
    table->loop = loop;
    table->config = *config;
    table->dir_fd = -1;
    rc = open_folder(table, err);
    if (rc == RAY_OK && loop != NULL) {
        rc = ray_timer_init(&table->flush_timer, loop, table_on_flush_timer, table, err);
    }
    if (rc == RAY_OK && loop != NULL) {
        rc = ray_timer_init(&table->expire_timer, loop, on_expire, table, err);
    }
    if (rc == RAY_OK) {
        rc = table_load(table, err);
    }
    table->config.dir = NULL; /* was only borrowed */
    if (rc != RAY_OK) {
        table_free(table);
        return ray_wrap(err, rc, "machine table");
    }
    *out_table = table;
    return RAY_OK;
}

void provision_table_destroy(struct provision_table *table)
{
    struct ray_err err = {0};

    if (table == NULL) {
        return;
    }
    (void)provision_table_flush(table, &err); /* on_problem has said what failed */
    if (err.code == RAY_OK) {
        (void)ray_fail(&err, RAY_ECANCELED, "the service is stopping");
    }
    table_end_syncs(table, &err);
    table_free(table);
}
