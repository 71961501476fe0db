/* dirty.c - records: what they are made of, and which have changed since the last checkpoint. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/fsm/state.h"
#include "coordinator/fsm/wire.h"
#include "net/proto_codec.h"

static uint8_t *allocate(struct ray_arena *arena, size_t size, struct ray_err *err)
{
    uint8_t *bytes = size > COORD_FSM_RECORD_SIZE_MAX ? NULL : ray_arena_alloc(arena, size);

    if (bytes == NULL) {
        (void)ray_fail(err, RAY_ENOMEM, "a record of %zu bytes", size);
    }
    return bytes;
}

/* ---- objects ---- */

/* Fields of StoredObject and Change. */
enum { STORED_OBJECT = 1, STORED_CHANGES = 2 };
enum { CHANGE_REVISION = 1, CHANGE_PRINCIPAL, CHANGE_REASON, CHANGE_TIME_US, CHANGE_WHAT };

static size_t change_size(const struct fsm_change *change)
{
    return fsm_number_size(change->revision) + fsm_bytes_size(change->principal->size) +
           fsm_bytes_size(change->reason->size) + fsm_number_size(change->time_us) +
           fsm_bytes_size(change->what->size);
}

static uint8_t *put_change(uint8_t *at, const struct fsm_change *change)
{
    at = fsm_put_part_head(at, STORED_CHANGES, change_size(change));
    at = fsm_put_number(at, CHANGE_REVISION, change->revision);
    at = fsm_put_bytes(at, CHANGE_PRINCIPAL, change->principal->bytes, change->principal->size);
    at = fsm_put_bytes(at, CHANGE_REASON, change->reason->bytes, change->reason->size);
    at = fsm_put_number(at, CHANGE_TIME_US, change->time_us);
    return fsm_put_bytes(at, CHANGE_WHAT, change->what->bytes, change->what->size);
}

static int pack_object(const struct fsm_object *object, struct ray_arena *arena,
                       const uint8_t **out_bytes, size_t *out_size, struct ray_err *err)
{
    const Rayos__Registry__Object *message = fsm_object_message(&object->pub, arena);
    size_t object_size;
    size_t size;
    uint8_t *bytes;
    uint8_t *at;

    if (message == NULL) {
        return fsm_refuse(err, RAY_ENOMEM, "an object's record");
    }
    object_size = rayos__registry__object__get_packed_size(message);
    size = fsm_part_size(object_size);
    for (size_t i = 0; i < object->change_count; i++) {
        size += fsm_part_size(change_size(fsm_history_at(object, i)));
    }
    bytes = allocate(arena, size, err);
    if (bytes == NULL) {
        return RAY_ENOMEM;
    }
    at = fsm_put_part_head(bytes, STORED_OBJECT, object_size);
    at += rayos__registry__object__pack(message, at);
    for (size_t i = 0; i < object->change_count; i++) {
        at = put_change(at, fsm_history_at(object, i));
    }
    assert(at == bytes + size);
    *out_bytes = bytes;
    *out_size = size;
    return RAY_OK;
}

/* ---- sessions ---- */

/* Fields of StoredSession and StoredResult. */
enum {
    SESSION_ID = 1,
    SESSION_TTL_US,
    SESSION_USED_AT_US,
    SESSION_PRINCIPAL,
    SESSION_LAST_SEQUENCE,
    SESSION_RESULTS,
};
enum {
    RESULT_SEQUENCE = 1,
    RESULT_CODE,
    RESULT_TEXT,
    RESULT_NEXT_STEP,
    RESULT_REVISION,
    RESULT_BODY,
};

/* A result with its texts found. */
struct result_parts {
    uint64_t code; /* as sint32 is written */
    const char *text;
    size_t text_size;
    const char *next_step;
    size_t next_step_size;
    const uint8_t *body;
    size_t size; /* packed */
};

static void take_apart(const struct fsm_stored_result *result, struct result_parts *out)
{
    *out = (struct result_parts){.code = ((uint32_t)result->code << 1) ^
                                         (result->code < 0 ? UINT32_MAX : 0)};
    if (result->bytes != NULL) {
        out->text = (const char *)result->bytes;
        out->text_size = strlen(out->text);
        out->next_step = out->text + out->text_size + 1;
        out->next_step_size = strlen(out->next_step);
        out->body = (const uint8_t *)out->next_step + out->next_step_size + 1;
    }
    out->size = fsm_number_size(result->sequence) + fsm_number_size(out->code) +
                fsm_bytes_size(out->text_size) + fsm_bytes_size(out->next_step_size) +
                fsm_number_size(result->revision) + fsm_bytes_size(result->body_size);
}

static uint8_t *put_result(uint8_t *at, const struct fsm_stored_result *result)
{
    struct result_parts parts;

    take_apart(result, &parts);
    at = fsm_put_part_head(at, SESSION_RESULTS, parts.size);
    at = fsm_put_number(at, RESULT_SEQUENCE, result->sequence);
    at = fsm_put_number(at, RESULT_CODE, parts.code);
    at = fsm_put_bytes(at, RESULT_TEXT, parts.text, parts.text_size);
    at = fsm_put_bytes(at, RESULT_NEXT_STEP, parts.next_step, parts.next_step_size);
    at = fsm_put_number(at, RESULT_REVISION, result->revision);
    return fsm_put_bytes(at, RESULT_BODY, parts.body, result->body_size);
}

static uint64_t first_sequence(const struct fsm_session *session)
{
    return session->last_sequence >= COORD_FSM_SESSION_WINDOW
               ? session->last_sequence - COORD_FSM_SESSION_WINDOW + 1
               : 1;
}

static size_t session_size(const struct fsm_session *session, size_t principal_size)
{
    size_t size = fsm_part_size(RAY_ID_SIZE) + fsm_number_size(session->ttl_us) +
                  fsm_number_size(session->used_at_us) + fsm_bytes_size(principal_size) +
                  fsm_number_size(session->last_sequence);

    for (uint64_t at = first_sequence(session); at <= session->last_sequence; at++) {
        const struct fsm_stored_result *result = fsm_session_result(session, at);
        struct result_parts parts;

        if (result != NULL) {
            take_apart(result, &parts);
            size += fsm_part_size(parts.size);
        }
    }
    return size;
}

static int pack_session(const struct fsm_session *session, struct ray_arena *arena,
                        const uint8_t **out_bytes, size_t *out_size, struct ray_err *err)
{
    size_t principal_size = strlen(session->principal);
    size_t size = session_size(session, principal_size);
    uint8_t *bytes = allocate(arena, size, err);
    uint8_t *to = bytes;

    if (bytes == NULL) {
        return RAY_ENOMEM;
    }
    to = fsm_put_bytes(to, SESSION_ID, session->id.bytes, RAY_ID_SIZE);
    to = fsm_put_number(to, SESSION_TTL_US, session->ttl_us);
    to = fsm_put_number(to, SESSION_USED_AT_US, session->used_at_us);
    to = fsm_put_bytes(to, SESSION_PRINCIPAL, session->principal, principal_size);
    to = fsm_put_number(to, SESSION_LAST_SEQUENCE, session->last_sequence);
    for (uint64_t at = first_sequence(session); at <= session->last_sequence; at++) {
        const struct fsm_stored_result *result = fsm_session_result(session, at);

        if (result != NULL) {
            to = put_result(to, result);
        }
    }
    assert(to == bytes + size);
    *out_bytes = bytes;
    *out_size = size;
    return RAY_OK;
}

/* ---- both ---- */

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
    message.hash = ray_proto_bytes(hash, sizeof hash);
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
