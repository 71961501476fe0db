/* load.c - a state machine out of records. Whoever sent them may have been wrong: every record
 * must come out of what was read from it byte for byte, what refers to each other must fit, and
 * the whole must have the hash that the first record says. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/le.h"
#include "coordinator/fsm/state.h"
#include "net/proto_codec.h"

enum { FRAME_SIZE = 4, PENDING_SIZE_MAX = 4 << 20, PIECE_SIZE_MAX = 1 << 20 };

struct coord_fsm_load {
    struct coord_fsm *fsm;
    struct ray_buf pending; /* begun frames */
    uint8_t last_key[COORD_FSM_RECORD_KEY_SIZE];
    bool has_machine;
    uint64_t record_count;
    uint64_t wanted_count;
    uint8_t hash[COORD_HASH_SIZE];
};

int coord_fsm_load_begin(struct coord_fsm_load **out_load, struct ray_err *err)
{
    struct coord_fsm_load *load = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *load);
    int rc;

    if (load == NULL) {
        return fsm_refuse(err, RAY_ENOMEM, "loading a state machine");
    }
    rc = coord_fsm_create(&load->fsm, err);
    if (rc != RAY_OK) {
        free(load);
        return rc;
    }
    ray_buf_init(&load->pending, PENDING_SIZE_MAX);
    *out_load = load;
    return RAY_OK;
}

void coord_fsm_load_set_level(struct coord_fsm_load *load, uint32_t level)
{
    coord_fsm_set_level(load->fsm, level);
}

void coord_fsm_load_cancel(struct coord_fsm_load *load)
{
    if (load == NULL) {
        return;
    }
    coord_fsm_destroy(load->fsm);
    ray_buf_fini(&load->pending);
    free(load);
}

static int unpack_bytes(struct coord_fsm_load *load, const ProtobufCMessageDescriptor *type,
                        const uint8_t *bytes, size_t size, ProtobufCMessage **out,
                        struct ray_err *err)
{
    int rc;

    if (size > COORD_FSM_RECORD_SIZE_MAX) {
        return fsm_refuse(err, RAY_EMALFORMED, "a record of %zu bytes", size);
    }
    fsm_arena_reset(&load->fsm->scratch);
    rc = ray_proto_unpack(type, bytes, size, &load->fsm->scratch, out, err);
    return rc == RAY_OK ? fsm_strict(*out, err) : rc;
}

static int unpack(struct coord_fsm_load *load, const ProtobufCMessageDescriptor *type,
                  const struct coord_fsm_record *record, ProtobufCMessage **out,
                  struct ray_err *err)
{
    return unpack_bytes(load, type, record->value, record->value_size, out, err);
}

static int read_machine(struct coord_fsm_load *load, const struct coord_fsm_record *record,
                        struct ray_err *err)
{
    struct coord_fsm *fsm = load->fsm;
    const Rayos__Registry__StoredMachine *machine;
    ProtobufCMessage *message;
    int rc = unpack(load, &rayos__registry__stored_machine__descriptor, record, &message, err);

    if (rc != RAY_OK) {
        return rc;
    }
    machine = (const Rayos__Registry__StoredMachine *)message;
    if (machine->version != COORD_FSM_COMMAND_VERSION) {
        return fsm_refuse(err, RAY_EUNSUPPORTED, "a state of version %u", machine->version);
    }
    if (machine->tick_term_clock_us > machine->clock_us || machine->tick_term > machine->term ||
        machine->clock_us > UINT64_MAX / 2) {
        return fsm_refuse(err, RAY_EMALFORMED, "a state whose clock is impossible");
    }
    fsm->index = machine->index;
    fsm->term = machine->term;
    fsm->clock_us = machine->clock_us;
    fsm->tick_term = machine->tick_term;
    fsm->tick_now_us = machine->tick_now_us;
    fsm->tick_term_clock_us = machine->tick_term_clock_us;
    fsm->event_sequence = machine->event_sequence;
    load->wanted_count = machine->record_count;
    load->has_machine = true;
    return fsm_fixed(&machine->hash, "hash of the state", load->hash, sizeof load->hash, err);
}

/* The record again, from what we have read; and not a byte else. */
static int compare(struct coord_fsm_load *load, const struct fsm_item *item,
                   const struct coord_fsm_record *record, struct ray_err *err)
{
    const uint8_t *bytes;
    size_t size;
    int rc = fsm_item_pack(item, &load->fsm->scratch, &bytes, &size, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (size != record->value_size || memcmp(bytes, record->value, size) != 0) {
        return fsm_refuse(err, RAY_EMALFORMED, "a record that we would have written otherwise");
    }
    return RAY_OK;
}

/* A text of a change; it may be any, but for a NUL. */
static bool is_text(const struct fsm_text_part *part, size_t size_max)
{
    return part->size <= size_max && memchr(part->bytes, '\0', part->size) == NULL;
}

static int read_change(struct coord_fsm *fsm, struct fsm_object *object,
                       const struct fsm_stored_change *in, struct ray_err *err)
{
    const struct fsm_change last = fsm_history_last(object);
    struct fsm_change change = {.revision = in->revision, .time_us = in->time_us};

    if (object->change_count == COORD_CHANGES_MAX) {
        return fsm_refuse(err, RAY_EMALFORMED, "more than %d changes of one object",
                          COORD_CHANGES_MAX);
    }
    if (!is_text(&in->principal, COORD_NAME_SIZE - 1) || !is_text(&in->what, COORD_NAME_SIZE - 1) ||
        !is_text(&in->reason, COORD_FSM_REASON_SIZE_MAX)) {
        return fsm_refuse(err, RAY_EMALFORMED, "a change with an impossible text");
    }
    change.principal = fsm_text_get(fsm, last.principal, in->principal.bytes, in->principal.size);
    change.reason = fsm_text_get(fsm, last.reason, in->reason.bytes, in->reason.size);
    change.what = fsm_text_get(fsm, last.what, in->what.bytes, in->what.size);
    return fsm_history_add(fsm, object, &change);
}

/* What pack.c does not take apart: from a newer version, or damaged. */
static int refuse_record(struct coord_fsm_load *load, const struct coord_fsm_record *record,
                         struct ray_err *err)
{
    ProtobufCMessage *message;
    int rc = unpack(load, &rayos__registry__stored_object__descriptor, record, &message, err);

    return rc != RAY_OK
               ? rc
               : fsm_refuse(err, RAY_EMALFORMED, "a record that we would have written otherwise");
}

static int read_changes(struct coord_fsm_load *load, struct fsm_object *object,
                        struct fsm_stored *stored, struct ray_err *err)
{
    struct fsm_stored_change change;
    int rc = RAY_OK;

    while (rc == RAY_OK && fsm_stored_next(stored, &change)) {
        rc = read_change(load->fsm, object, &change, err);
    }
    return rc;
}

static bool is_of_key(const Rayos__Registry__Object *message, const uint8_t *key,
                      struct ray_id *out_id)
{
    return key[1] > COORD_NONE && key[1] < COORD_KIND_COUNT && (int)message->kind == key[1] &&
           fsm_id(&message->id, "object", out_id, NULL) == RAY_OK &&
           memcmp(out_id->bytes, key + 2, RAY_ID_SIZE) == 0;
}

static int read_object(struct coord_fsm_load *load, const struct coord_fsm_record *record,
                       struct ray_err *err)
{
    struct coord_fsm *fsm = load->fsm;
    const Rayos__Registry__Object *in;
    ProtobufCMessage *message;
    struct fsm_object *object;
    struct fsm_stored stored;
    struct ray_id id;
    uint8_t *bytes;
    size_t size;
    int rc;

    if (!fsm_stored_open(&stored, record->value, record->value_size)) {
        return refuse_record(load, record, err);
    }
    rc = unpack_bytes(load, &rayos__registry__object__descriptor, stored.object, stored.object_size,
                      &message, err);
    if (rc != RAY_OK) {
        return rc;
    }
    in = (const Rayos__Registry__Object *)message;
    if (!is_of_key(in, record->key, &id)) {
        return fsm_refuse(err, RAY_EMALFORMED, "a record that is not of its key");
    }
    object = fsm_object_create(fsm, (enum coord_kind)record->key[1], &id);
    if (object == NULL) {
        return RAY_ENOMEM;
    }
    rc = fsm_object_read(fsm, object, in, err);
    if (rc == RAY_OK) {
        rc = read_changes(load, object, &stored, err);
    }
    if (rc == RAY_OK && !fsm_stored_is_over(&stored)) {
        rc = refuse_record(load, record, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_object_seal(fsm, object, &fsm->scratch, &bytes, &size, err);
    }
    return rc == RAY_OK ? compare(load, &object->item, record, err) : rc;
}

static int read_result(struct coord_fsm *fsm, struct fsm_session *session,
                       const Rayos__Registry__StoredResult *in, struct ray_err *err)
{
    const struct coord_fsm_result result = {
        .code = in->code,
        .text = in->text,
        .next_step = in->next_step,
        .revision = in->revision,
        .body = in->body.data,
        .body_size = in->body.len,
    };

    if (in->sequence <= session->last_sequence) {
        return fsm_refuse(err, RAY_EMALFORMED, "results of a session are not sorted");
    }
    if (ray_err_checked(in->code) != in->code) {
        return fsm_refuse(err, RAY_EMALFORMED, "no result has code %d", in->code);
    }
    return fsm_session_store(fsm, session, in->sequence, &result);
}

static int fill_session(struct coord_fsm_load *load, struct fsm_session *session,
                        const Rayos__Registry__StoredSession *in, struct ray_err *err)
{
    int rc =
        fsm_line(in->principal, "principal", session->principal, sizeof session->principal, err);

    if (rc == RAY_OK &&
        (in->n_results > COORD_FSM_SESSION_WINDOW || in->ttl_us < COORD_FSM_SESSION_TTL_MIN_US ||
         in->ttl_us > COORD_FSM_SESSION_TTL_MAX_US || in->used_at_us > load->fsm->clock_us)) {
        rc = fsm_refuse(err, RAY_EMALFORMED, "a session that is impossible");
    }
    session->ttl_us = in->ttl_us;
    session->used_at_us = in->used_at_us;
    for (size_t i = 0; i < in->n_results && rc == RAY_OK; i++) {
        rc = read_result(load->fsm, session, in->results[i], err);
    }
    return rc;
}

static int read_session(struct coord_fsm_load *load, const struct coord_fsm_record *record,
                        struct ray_err *err)
{
    const Rayos__Registry__StoredSession *stored;
    struct fsm_session *session;
    ProtobufCMessage *message;
    struct ray_id id;
    int rc = unpack(load, &rayos__registry__stored_session__descriptor, record, &message, err);

    if (rc != RAY_OK) {
        return rc;
    }
    stored = (const Rayos__Registry__StoredSession *)message;
    if (record->key[1] != 0 || fsm_id(&stored->id, "session", &id, NULL) != RAY_OK ||
        memcmp(id.bytes, record->key + 2, RAY_ID_SIZE) != 0) {
        return fsm_refuse(err, RAY_EMALFORMED, "a record that is not of its key");
    }
    session = fsm_session_create(load->fsm, &id);
    if (session == NULL) {
        return RAY_ENOMEM;
    }
    rc = fill_session(load, session, stored, err);
    if (rc != RAY_OK) {
        return rc;
    }
    fsm_session_seal(load->fsm, session);
    return compare(load, &session->item, record, err);
}

static int read_record(struct coord_fsm_load *load, const struct coord_fsm_record *record,
                       struct ray_err *err)
{
    static const uint8_t machine_key[COORD_FSM_RECORD_KEY_SIZE] = {FSM_RECORD_MACHINE};

    if (!load->has_machine) {
        if (memcmp(record->key, machine_key, sizeof machine_key) != 0) {
            return fsm_refuse(err, RAY_EMALFORMED, "the first record is not the machine's");
        }
        return read_machine(load, record, err);
    }
    if (memcmp(record->key, load->last_key, sizeof load->last_key) <= 0 ||
        load->record_count >= COORD_FSM_OBJECTS_MAX + COORD_FSM_SESSIONS_MAX) {
        return fsm_refuse(err, RAY_EMALFORMED, "records are not sorted, or too many");
    }
    load->record_count++;
    if (record->key[0] == FSM_RECORD_OBJECT) {
        return read_object(load, record, err);
    }
    if (record->key[0] == FSM_RECORD_SESSION) {
        return read_session(load, record, err);
    }
    return fsm_refuse(err, RAY_EUNSUPPORTED, "a record of type %u", record->key[0]);
}

/* What a field may not be is "invalid" in a command; in a record it is damage. */
static int as_damage(int rc)
{
    return rc == RAY_OK || rc == RAY_ENOMEM || rc == RAY_EUNSUPPORTED ? rc : RAY_EMALFORMED;
}

int coord_fsm_load_record(struct coord_fsm_load *load, const struct coord_fsm_record *record,
                          struct ray_err *err)
{
    int rc = record->value != NULL ? read_record(load, record, err) : RAY_EMALFORMED;

    if (rc == RAY_OK) {
        memcpy(load->last_key, record->key, sizeof load->last_key);
    }
    return as_damage(rc);
}

/* All whole frames in the buffer. */
static int read_frames(struct coord_fsm_load *load, struct ray_err *err)
{
    struct ray_buf *pending = &load->pending;
    size_t at = 0;
    int rc = RAY_OK;

    while (pending->size - at >= FRAME_SIZE) {
        size_t size = ray_load32le(pending->data + at);
        struct coord_fsm_record record;

        if (size < COORD_FSM_RECORD_KEY_SIZE ||
            size > COORD_FSM_RECORD_KEY_SIZE + COORD_FSM_RECORD_SIZE_MAX) {
            return fsm_refuse(err, RAY_EMALFORMED, "a record of %zu bytes", size);
        }
        if (pending->size - at - FRAME_SIZE < size) {
            break;
        }
        memcpy(record.key, pending->data + at + FRAME_SIZE, sizeof record.key);
        record.value = pending->data + at + FRAME_SIZE + COORD_FSM_RECORD_KEY_SIZE;
        record.value_size = size - COORD_FSM_RECORD_KEY_SIZE;
        rc = coord_fsm_load_record(load, &record, err);
        if (rc != RAY_OK) {
            return rc;
        }
        at += FRAME_SIZE + size;
    }
    if (at > 0) {
        ray_buf_consume(pending, at);
    }
    return RAY_OK;
}

int coord_fsm_load_bytes(struct coord_fsm_load *load, const uint8_t *bytes, size_t size,
                         struct ray_err *err)
{
    while (size > 0) {
        size_t piece = size < PIECE_SIZE_MAX ? size : PIECE_SIZE_MAX;
        int rc = ray_buf_append(&load->pending, bytes, piece);

        if (rc != RAY_OK) {
            return fsm_refuse(err, rc, "%zu bytes of a snapshot", piece);
        }
        rc = read_frames(load, err);
        if (rc != RAY_OK) {
            return rc;
        }
        bytes += piece;
        size -= piece;
    }
    return RAY_OK;
}

static bool is_listed(const struct coord_guest *guest, const struct ray_id *volume)
{
    size_t count = 0;

    for (uint32_t i = 0; i < guest->volume_count; i++) {
        count += ray_id_equal(&guest->volumes[i], volume);
    }
    return count == 1;
}

/* A volume and its guest know of each other, and the writer is the guest's run. */
static bool is_volume_right(const struct coord_fsm *fsm, const struct coord_object *object)
{
    const struct coord_volume *volume = &object->volume;
    const struct fsm_object *guest;

    if (ray_id_is_none(&volume->guest)) {
        return !volume->has_writer && !volume->is_detaching && !object->is_gone;
    }
    guest = fsm_find(fsm, COORD_GUEST, &volume->guest);
    return guest != NULL && is_listed(&guest->pub.guest, &object->id) &&
           volume->has_writer == guest->pub.guest.has_run &&
           (!volume->has_writer || ray_epoch_equal(volume->writer_epoch, guest->pub.guest.epoch));
}

static bool is_guest_right(const struct coord_fsm *fsm, const struct coord_object *object)
{
    const struct coord_guest *guest = &object->guest;
    const struct fsm_object *migration;

    for (uint32_t i = 0; i < guest->volume_count; i++) {
        const struct fsm_object *volume = fsm_find(fsm, COORD_VOLUME, &guest->volumes[i]);

        if (volume == NULL || !ray_id_equal(&volume->pub.volume.guest, &object->id)) {
            return false;
        }
    }
    if (object->is_gone && !guest->has_run) {
        return false;
    }
    if (ray_id_is_none(&guest->migration)) {
        return true;
    }
    migration = fsm_find(fsm, COORD_MIGRATION, &guest->migration);
    return guest->has_run && migration != NULL &&
           migration->pub.migration.state == COORD_MIGRATION_OPEN &&
           ray_id_equal(&migration->pub.migration.guest, &object->id);
}

static bool is_event_right(const struct coord_fsm *fsm, const struct coord_object *object)
{
    uint64_t sequence = object->happening.sequence;
    struct ray_id id;

    fsm_happening_id(sequence, &id);
    return ray_id_equal(&id, &object->id) && sequence <= fsm->event_sequence &&
           fsm->event_sequence - sequence < COORD_EVENTS_KEPT_MAX;
}

static bool is_object_right(const struct coord_fsm *fsm, const struct coord_object *object)
{
    switch (object->kind) {
    case COORD_VOLUME:
        return is_volume_right(fsm, object);
    case COORD_GUEST:
        return is_guest_right(fsm, object);
    case COORD_EVENT:
        return is_event_right(fsm, object);
    case COORD_POLICY:
        return fsm_policy_is_right(fsm, object);
    case COORD_OPERATION:
        return fsm_operation_is_right(object);
    default:
        return !object->is_gone;
    }
}

static int check_whole(const struct coord_fsm_load *load, struct ray_err *err)
{
    const struct coord_fsm *fsm = load->fsm;
    const struct fsm_object *object;
    uint8_t hash[COORD_HASH_SIZE];

    if (!load->has_machine || load->pending.size > 0 || load->record_count != load->wanted_count) {
        return fsm_refuse(err, RAY_EMALFORMED, "the snapshot is not whole");
    }
    if (fsm->order[COORD_CLUSTER].count != (fsm->objects.count > 0 ? 1 : 0) ||
        fsm->order[COORD_NODE].count > COORD_FSM_NODES_MAX) {
        return fsm_refuse(err, RAY_EMALFORMED, "a state of several clusters, or none");
    }
    for (size_t at = 0; (object = fsm_table_each(&fsm->objects, &at)) != NULL;) {
        if (!is_object_right(fsm, &object->pub)) {
            return fsm_refuse(err, RAY_EMALFORMED, "an object of kind %d does not fit the others",
                              (int)object->pub.kind);
        }
    }
    coord_fsm_hash(fsm, hash);
    if (memcmp(hash, load->hash, sizeof hash) != 0) {
        return fsm_refuse(err, RAY_EMALFORMED, "the state has another hash than its record says");
    }
    return RAY_OK;
}

int coord_fsm_load_end(struct coord_fsm_load *load, bool is_clean, struct coord_fsm **out_fsm,
                       struct ray_err *err)
{
    int rc = check_whole(load, err);

    if (rc == RAY_OK) {
        struct coord_fsm *fsm = load->fsm;

        load->fsm = NULL;
        fsm->session_check_at_us = 0; /* looked up at the next tick */
        fsm->is_all_dirty = !is_clean;
        *out_fsm = fsm;
    }
    coord_fsm_load_cancel(load);
    return rc;
}
