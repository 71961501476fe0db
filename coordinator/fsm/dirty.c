/* dirty.c - records: what they are made of, and which have changed since the last checkpoint. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/fsm/state.h"
#include "net/proto_codec.h"

static int pack_object(const struct fsm_object *object, struct ray_arena *arena,
                       const uint8_t **out_bytes, size_t *out_size, struct ray_err *err)
{
    Rayos__Registry__StoredObject message = RAYOS__REGISTRY__STORED_OBJECT__INIT;

    message.object = fsm_object_message(&object->pub, arena);
    message.changes = fsm_changes_message(object, arena, &message.n_changes);
    if (message.object == NULL || message.changes == NULL) {
        return fsm_refuse(err, RAY_ENOMEM, "an object's record");
    }
    return ray_proto_pack(&message.base, COORD_FSM_RECORD_SIZE_MAX, arena, out_bytes, out_size,
                          err);
}

static void result_message(const struct fsm_stored_result *result,
                           Rayos__Registry__StoredResult *message)
{
    rayos__registry__stored_result__init(message);
    message->sequence = result->sequence;
    message->code = result->code;
    message->revision = result->revision;
    if (result->bytes != NULL) {
        message->text = (char *)result->bytes;
        message->next_step = message->text + strlen(message->text) + 1;
        if (result->body_size > 0) {
            message->body.data = (uint8_t *)message->next_step + strlen(message->next_step) + 1;
            message->body.len = result->body_size;
        }
    }
}

static uint64_t first_sequence(const struct fsm_session *session)
{
    return session->last_sequence >= COORD_FSM_SESSION_WINDOW
               ? session->last_sequence - COORD_FSM_SESSION_WINDOW + 1
               : 1;
}

static int pack_session(const struct fsm_session *session, struct ray_arena *arena,
                        const uint8_t **out_bytes, size_t *out_size, struct ray_err *err)
{
    Rayos__Registry__StoredSession message = RAYOS__REGISTRY__STORED_SESSION__INIT;
    Rayos__Registry__StoredResult *results =
        ray_arena_alloc(arena, COORD_FSM_SESSION_WINDOW * sizeof *results);
    Rayos__Registry__StoredResult **list =
        ray_arena_alloc(arena, COORD_FSM_SESSION_WINDOW * sizeof(void *));

    if (results == NULL || list == NULL) {
        return fsm_refuse(err, RAY_ENOMEM, "a session's record");
    }
    message.id = (ProtobufCBinaryData){.len = RAY_ID_SIZE, .data = (uint8_t *)session->id.bytes};
    message.ttl_us = session->ttl_us;
    message.used_at_us = session->used_at_us;
    message.principal = (char *)session->principal;
    message.last_sequence = session->last_sequence;
    message.results = list;
    for (uint64_t at = first_sequence(session); at <= session->last_sequence; at++) {
        const struct fsm_stored_result *result = fsm_session_result(session, at);

        if (result != NULL) {
            result_message(result, &results[message.n_results]);
            list[message.n_results] = &results[message.n_results];
            message.n_results++;
        }
    }
    return ray_proto_pack(&message.base, COORD_FSM_RECORD_SIZE_MAX, arena, out_bytes, out_size,
                          err);
}

int fsm_item_pack(const struct fsm_item *item, struct ray_arena *arena, const uint8_t **out_bytes,
                  size_t *out_size, struct ray_err *err)
{
    if (item->key[0] == FSM_RECORD_SESSION) {
        return pack_session((const struct fsm_session *)item, arena, out_bytes, out_size, err);
    }
    return pack_object((const struct fsm_object *)item, arena, out_bytes, out_size, err);
}

int fsm_machine_pack(const struct coord_fsm *fsm, struct ray_arena *arena,
                     const uint8_t **out_bytes, size_t *out_size, struct ray_err *err)
{
    Rayos__Registry__StoredMachine message = RAYOS__REGISTRY__STORED_MACHINE__INIT;
    uint8_t hash[COORD_HASH_SIZE];

    coord_fsm_hash(fsm, hash);
    message.version = COORD_FSM_COMMAND_VERSION;
    message.index = fsm->index;
    message.term = fsm->term;
    message.clock_us = fsm->clock_us;
    message.tick_term = fsm->tick_term;
    message.tick_now_us = fsm->tick_now_us;
    message.tick_term_clock_us = fsm->tick_term_clock_us;
    message.event_sequence = fsm->event_sequence;
    message.record_count = fsm->objects.count + fsm->sessions.count;
    message.hash = (ProtobufCBinaryData){.len = sizeof hash, .data = hash};
    return ray_proto_pack(&message.base, COORD_FSM_RECORD_SIZE_MAX, arena, out_bytes, out_size,
                          err);
}

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
