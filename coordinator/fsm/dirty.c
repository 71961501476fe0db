/* dirty.c - which records have changed since the last checkpoint. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/fsm/state.h"

void fsm_dirty_add(struct coord_fsm *fsm, struct fsm_item *item)
{
    if (item->is_dirty || fsm->is_all_dirty) {
        return;
    }
    item->is_dirty = true;
    item->dirty_next = &fsm->dirty;
    item->dirty_previous = fsm->dirty.dirty_previous;
    item->dirty_previous->dirty_next = item;
    fsm->dirty.dirty_previous = item;
    fsm->dirty_count++;
}

static void unlink_item(struct coord_fsm *fsm, struct fsm_item *item)
{
    if (!item->is_dirty) {
        return;
    }
    item->dirty_previous->dirty_next = item->dirty_next;
    item->dirty_next->dirty_previous = item->dirty_previous;
    item->dirty_previous = NULL;
    item->dirty_next = NULL;
    item->is_dirty = false;
    fsm->dirty_count--;
}

static bool add_tomb(struct coord_fsm *fsm, const struct fsm_item *item)
{
    if (fsm->tomb_count == fsm->tomb_capacity) {
        size_t capacity = fsm->tomb_capacity > 0 ? fsm->tomb_capacity * 2 : 64;
        struct fsm_tomb *tombs = NULL;

        if (capacity <= FSM_TOMBS_MAX && ray_fault(RAY_FAULT_ALLOC) == 0) {
            tombs = realloc(fsm->tombs, capacity * sizeof *tombs);
        }
        if (tombs == NULL) {
            return false;
        }
        fsm->tombs = tombs;
        fsm->tomb_capacity = capacity;
    }
    memcpy(fsm->tombs[fsm->tomb_count++].key, item->key, sizeof item->key);
    return true;
}

void fsm_dirty_remove(struct coord_fsm *fsm, struct fsm_item *item)
{
    unlink_item(fsm, item);
    if (!fsm->is_all_dirty && !add_tomb(fsm, item)) {
        coord_fsm_dirty_all(fsm);
    }
}

bool coord_fsm_dirty_is_all(const struct coord_fsm *fsm)
{
    return fsm->is_all_dirty;
}

void coord_fsm_dirty_all(struct coord_fsm *fsm)
{
    coord_fsm_dirty_clear(fsm);
    fsm->is_all_dirty = true;
}

void coord_fsm_dirty_clear(struct coord_fsm *fsm)
{
    while (fsm->dirty.dirty_next != &fsm->dirty) {
        unlink_item(fsm, fsm->dirty.dirty_next);
    }
    assert(fsm->dirty_count == 0);
    fsm->tomb_count = 0;
    fsm->is_all_dirty = false;
}

size_t coord_fsm_dirty_count(const struct coord_fsm *fsm)
{
    if (fsm->is_all_dirty) {
        return fsm->objects.count + fsm->sessions.count + 1;
    }
    return fsm->dirty_count + fsm->tomb_count + 1;
}

struct visit {
    struct coord_fsm *fsm;
    int (*each)(void *arg, const struct coord_fsm_record *record, struct ray_err *err);
    void *arg;
};

static int visit_item(const struct visit *visit, const struct fsm_item *item, struct ray_err *err)
{
    struct coord_fsm_record record;
    int rc;

    fsm_arena_reset(&visit->fsm->scratch);
    rc = fsm_item_pack(item, &visit->fsm->scratch, &record.value, &record.value_size, err);
    if (rc != RAY_OK) {
        return rc;
    }
    memcpy(record.key, item->key, sizeof record.key);
    return visit->each(visit->arg, &record, err);
}

static int visit_table(const struct visit *visit, const struct fsm_table *table,
                       struct ray_err *err)
{
    const void *value;
    int rc = RAY_OK;

    /* Objects and sessions begin with their item. */
    for (size_t at = 0; rc == RAY_OK && (value = fsm_table_each(table, &at)) != NULL;) {
        rc = visit_item(visit, value, err);
    }
    return rc;
}

static int visit_changed(const struct visit *visit, struct ray_err *err)
{
    const struct coord_fsm *fsm = visit->fsm;
    int rc = RAY_OK;

    for (size_t i = 0; i < fsm->tomb_count && rc == RAY_OK; i++) {
        struct coord_fsm_record record = {.value = NULL};

        memcpy(record.key, fsm->tombs[i].key, sizeof record.key);
        rc = visit->each(visit->arg, &record, err);
    }
    for (const struct fsm_item *item = fsm->dirty.dirty_next; item != &fsm->dirty && rc == RAY_OK;
         item = item->dirty_next) {
        rc = visit_item(visit, item, err);
    }
    return rc;
}

int coord_fsm_dirty(struct coord_fsm *fsm,
                    int (*each)(void *arg, const struct coord_fsm_record *record,
                                struct ray_err *err),
                    void *arg, struct ray_err *err)
{
    const struct visit visit = {.fsm = fsm, .each = each, .arg = arg};
    const struct ray_id none = {0};
    struct coord_fsm_record machine;
    int rc;

    if (fsm->is_all_dirty) {
        rc = visit_table(&visit, &fsm->objects, err);
        if (rc == RAY_OK) {
            rc = visit_table(&visit, &fsm->sessions, err);
        }
    } else {
        rc = visit_changed(&visit, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    fsm_arena_reset(&fsm->scratch);
    fsm_key(machine.key, FSM_RECORD_MACHINE, 0, &none);
    rc = fsm_machine_pack(fsm, &fsm->scratch, &machine.value, &machine.value_size, err);
    return rc == RAY_OK ? each(arg, &machine, err) : rc;
}
