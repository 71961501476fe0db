/* pack.c - records by hand: what is packed at each change, at each checkpoint and at each start.
 *
 * The bytes are those that protobuf-c makes of the same message (property_test.c). Kinds that
 * change seldom have their body from protobuf-c itself. */
#include <assert.h>
#include <string.h>

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

/* Fields of the messages. */
enum { STORED_OBJECT = 1, STORED_CHANGES = 2 };
enum { CHANGE_REVISION = 1, CHANGE_PRINCIPAL, CHANGE_REASON, CHANGE_TIME_US, CHANGE_WHAT };
enum {
    OBJECT_KIND = 1,
    OBJECT_ID,
    OBJECT_NAME,
    OBJECT_REVISION,
    OBJECT_CREATED_REVISION,
    OBJECT_LABELS,
    OBJECT_SPEC,
    OBJECT_IS_GONE,
    OBJECT_GUEST = RAYOS__REGISTRY__OBJECT__BODY_GUEST,
};
enum { LABEL_KEY = 1, LABEL_VALUE };
enum { EPOCH_CLUSTER = 1, EPOCH_INDEX };
enum { HOME_NODE = 1, HOME_INCARNATION };
enum {
    GUEST_WANTED = 1,
    GUEST_HOME,
    GUEST_EPOCH,
    GUEST_ENTRY,
    GUEST_HAS_RUN,
    GUEST_MIGRATION,
    GUEST_VOLUMES,
    GUEST_STATE,
    GUEST_MESSAGE,
    GUEST_IS_STRICT,
    GUEST_EPOCH_FROM,
};

/* None: left out. */
static size_t id_size(const struct ray_id *id)
{
    return ray_id_is_none(id) ? 0 : fsm_part_size(RAY_ID_SIZE);
}

static uint8_t *put_id(uint8_t *at, unsigned field, const struct ray_id *id)
{
    return fsm_put_bytes(at, field, id->bytes, ray_id_is_none(id) ? 0 : RAY_ID_SIZE);
}

/* ---- a guest ---- */

static size_t epoch_size(struct ray_epoch epoch)
{
    return fsm_number_size(epoch.cluster) + fsm_number_size(epoch.index);
}

static uint8_t *put_epoch(uint8_t *at, unsigned field, struct ray_epoch epoch)
{
    at = fsm_put_part_head(at, field, epoch_size(epoch));
    at = fsm_put_number(at, EPOCH_CLUSTER, epoch.cluster);
    return fsm_put_number(at, EPOCH_INDEX, epoch.index);
}

static size_t home_size(const struct coord_home *home)
{
    return id_size(&home->node) + id_size(&home->incarnation);
}

static uint64_t wanted_of(const struct coord_guest *guest)
{
    return guest->is_wanted ? RAYOS__REGISTRY__WANTED__WANTED_RUNNING
                            : RAYOS__REGISTRY__WANTED__WANTED_STOPPED;
}

static size_t guest_size(const struct coord_guest *guest)
{
    size_t size = fsm_number_size(wanted_of(guest)) + fsm_part_size(epoch_size(guest->epoch)) +
                  fsm_number_size((uint64_t)guest->entry) + fsm_number_size(guest->has_run) +
                  id_size(&guest->migration) + guest->volume_count * fsm_part_size(RAY_ID_SIZE) +
                  fsm_number_size((uint64_t)guest->state) + fsm_bytes_size(strlen(guest->message)) +
                  fsm_number_size(guest->is_strict) + fsm_part_size(epoch_size(guest->epoch_from));

    return ray_id_is_none(&guest->home.node) ? size : size + fsm_part_size(home_size(&guest->home));
}

static uint8_t *put_guest(uint8_t *at, const struct coord_guest *guest)
{
    at = fsm_put_number(at, GUEST_WANTED, wanted_of(guest));
    if (!ray_id_is_none(&guest->home.node)) {
        at = fsm_put_part_head(at, GUEST_HOME, home_size(&guest->home));
        at = put_id(at, HOME_NODE, &guest->home.node);
        at = put_id(at, HOME_INCARNATION, &guest->home.incarnation);
    }
    at = put_epoch(at, GUEST_EPOCH, guest->epoch);
    at = fsm_put_number(at, GUEST_ENTRY, (uint64_t)guest->entry);
    at = fsm_put_number(at, GUEST_HAS_RUN, guest->has_run);
    at = put_id(at, GUEST_MIGRATION, &guest->migration);
    for (uint32_t i = 0; i < guest->volume_count; i++) {
        at = put_id(at, GUEST_VOLUMES, &guest->volumes[i]);
    }
    at = fsm_put_number(at, GUEST_STATE, (uint64_t)guest->state);
    at = fsm_put_bytes(at, GUEST_MESSAGE, guest->message, strlen(guest->message));
    at = fsm_put_number(at, GUEST_IS_STRICT, guest->is_strict);
    return put_epoch(at, GUEST_EPOCH_FROM, guest->epoch_from);
}

/* ---- an object ---- */

static size_t label_size(const struct coord_label *label)
{
    return fsm_bytes_size(strlen(label->key)) + fsm_bytes_size(label->value.size);
}

static size_t head_size(const struct coord_object *object)
{
    size_t size = fsm_number_size((uint64_t)object->kind) + id_size(&object->id) +
                  fsm_bytes_size(strlen(object->name)) + fsm_number_size(object->revision) +
                  fsm_number_size(object->created_revision) + fsm_bytes_size(object->spec.size) +
                  fsm_number_size(object->is_gone);

    for (uint32_t i = 0; i < object->label_count; i++) {
        size += fsm_part_size(label_size(&object->labels[i]));
    }
    return size;
}

static uint8_t *put_head(uint8_t *at, const struct coord_object *object)
{
    at = fsm_put_number(at, OBJECT_KIND, (uint64_t)object->kind);
    at = put_id(at, OBJECT_ID, &object->id);
    at = fsm_put_bytes(at, OBJECT_NAME, object->name, strlen(object->name));
    at = fsm_put_number(at, OBJECT_REVISION, object->revision);
    at = fsm_put_number(at, OBJECT_CREATED_REVISION, object->created_revision);
    for (uint32_t i = 0; i < object->label_count; i++) {
        const struct coord_label *label = &object->labels[i];

        at = fsm_put_part_head(at, OBJECT_LABELS, label_size(label));
        at = fsm_put_bytes(at, LABEL_KEY, label->key, strlen(label->key));
        at = fsm_put_bytes(at, LABEL_VALUE, label->value.data, label->value.size);
    }
    at = fsm_put_bytes(at, OBJECT_SPEC, object->spec.data, object->spec.size);
    return fsm_put_number(at, OBJECT_IS_GONE, object->is_gone);
}

/* The tag of a body has two bytes. */
static uint8_t *put_body_head(uint8_t *at, unsigned field, size_t size)
{
    at = ray_varint_put(at, (uint64_t)field << 3 | FSM_WIRE_BYTES);
    return ray_varint_put(at, size);
}

int fsm_packing_begin(struct fsm_packing *out, const struct coord_object *object,
                      struct ray_arena *arena)
{
    Rayos__Registry__Object message = RAYOS__REGISTRY__OBJECT__INIT;

    *out = (struct fsm_packing){.object = object};
    if (object->kind == COORD_GUEST) {
        out->body_field = OBJECT_GUEST;
        out->body_size = guest_size(&object->guest);
    } else if (!fsm_body_message(&message, object, arena)) {
        return RAY_ENOMEM;
    } else if (message.body_case != RAYOS__REGISTRY__OBJECT__BODY__NOT_SET) {
        out->body_field = message.body_case;
        out->body = &message.cluster->base; /* all members of the union are messages */
        out->body_size = protobuf_c_message_get_packed_size(out->body);
    }
    out->size = head_size(object);
    if (out->body_field != 0) {
        out->size += 1 + fsm_part_size(out->body_size);
    }
    return RAY_OK;
}

uint8_t *fsm_packing_put(const struct fsm_packing *packing, uint8_t *at)
{
    uint8_t *end = at + packing->size;

    at = put_head(at, packing->object);
    if (packing->body_field != 0) {
        at = put_body_head(at, packing->body_field, packing->body_size);
        if (packing->body != NULL) {
            at += protobuf_c_message_pack(packing->body, at);
        } else {
            at = put_guest(at, &packing->object->guest);
        }
    }
    assert(at == end);
    return end;
}

/* ---- its record ---- */

static size_t change_size(const struct fsm_change *change)
{
    return fsm_number_size(change->revision) + fsm_bytes_size(change->principal->size) +
           fsm_bytes_size(change->reason->size) + fsm_number_size(change->time_us) +
           fsm_bytes_size(change->what->size);
}

static uint8_t *put_change(uint8_t *at, const struct fsm_change *change, size_t size)
{
    at = fsm_put_part_head(at, STORED_CHANGES, size);
    at = fsm_put_number(at, CHANGE_REVISION, change->revision);
    at = fsm_put_bytes(at, CHANGE_PRINCIPAL, change->principal->bytes, change->principal->size);
    at = fsm_put_bytes(at, CHANGE_REASON, change->reason->bytes, change->reason->size);
    at = fsm_put_number(at, CHANGE_TIME_US, change->time_us);
    return fsm_put_bytes(at, CHANGE_WHAT, change->what->bytes, change->what->size);
}

static int pack_object(const struct fsm_object *object, struct ray_arena *arena,
                       const uint8_t **out_bytes, size_t *out_size, struct ray_err *err)
{
    size_t sizes[COORD_CHANGES_MAX];
    struct fsm_packing packing;
    size_t size;
    uint8_t *bytes;
    uint8_t *at;

    if (fsm_packing_begin(&packing, &object->pub, arena) != RAY_OK) {
        return fsm_refuse(err, RAY_ENOMEM, "an object's record");
    }
    size = fsm_part_size(packing.size);
    for (size_t i = 0; i < object->change_count; i++) {
        sizes[i] = change_size(fsm_history_at(object, i));
        size += fsm_part_size(sizes[i]);
    }
    bytes = allocate(arena, size, err);
    if (bytes == NULL) {
        return RAY_ENOMEM;
    }
    at = fsm_put_part_head(bytes, STORED_OBJECT, packing.size);
    at = fsm_packing_put(&packing, at);
    for (size_t i = 0; i < object->change_count; i++) {
        at = put_change(at, fsm_history_at(object, i), sizes[i]);
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
    size_t body_size;
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
        out->body_size = result->body_size;
    }
    out->size = fsm_number_size(result->sequence) + fsm_number_size(out->code) +
                fsm_bytes_size(out->text_size) + fsm_bytes_size(out->next_step_size) +
                fsm_number_size(result->revision) + fsm_bytes_size(out->body_size);
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
    return fsm_put_bytes(at, RESULT_BODY, parts.body, parts.body_size);
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

/* ---- all ---- */

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

/* ---- an object's record taken apart ---- */

/* The part at the front, of `field`. */
static bool take_part(const uint8_t **at, const uint8_t *end, unsigned field,
                      const uint8_t **out_bytes, size_t *out_size)
{
    uint64_t size;
    size_t head;

    if (*at == end || **at != (field << 3 | FSM_WIRE_BYTES)) {
        return false;
    }
    head = 1 + ray_varint_take(*at + 1, (size_t)(end - *at) - 1, &size);
    if (head == 1 || size > (size_t)(end - *at) - head) {
        return false;
    }
    *out_bytes = *at + head;
    *out_size = (size_t)size;
    *at += head + size;
    return true;
}

/* 0 when the field is not the next one. */
static uint64_t take_number(const uint8_t **at, const uint8_t *end, unsigned field)
{
    uint64_t value = 0;
    size_t size;

    if (*at == end || **at != (field << 3 | FSM_WIRE_VARINT)) {
        return 0;
    }
    size = ray_varint_take(*at + 1, (size_t)(end - *at) - 1, &value);
    if (size > 0) {
        *at += 1 + size;
    }
    return value;
}

/* Empty when the field is not the next one. */
static void take_text(const uint8_t **at, const uint8_t *end, unsigned field,
                      struct fsm_text_part *out)
{
    const uint8_t *bytes = *at;
    size_t size = 0;

    (void)take_part(at, end, field, &bytes, &size);
    *out = (struct fsm_text_part){.bytes = (const char *)bytes, .size = size};
}

bool fsm_stored_open(struct fsm_stored *out, const uint8_t *bytes, size_t size)
{
    *out = (struct fsm_stored){.at = bytes, .end = bytes + size};
    return take_part(&out->at, out->end, STORED_OBJECT, &out->object, &out->object_size);
}

bool fsm_stored_next(struct fsm_stored *stored, struct fsm_stored_change *out)
{
    const uint8_t *next = stored->at;
    const uint8_t *at;
    const uint8_t *end;
    size_t size;

    if (!take_part(&next, stored->end, STORED_CHANGES, &at, &size)) {
        return false;
    }
    end = at + size;
    out->revision = take_number(&at, end, CHANGE_REVISION);
    take_text(&at, end, CHANGE_PRINCIPAL, &out->principal);
    take_text(&at, end, CHANGE_REASON, &out->reason);
    out->time_us = take_number(&at, end, CHANGE_TIME_US);
    take_text(&at, end, CHANGE_WHAT, &out->what);
    if (at != end) {
        return false; /* and it stays the next one: there is more than this version reads */
    }
    stored->at = next;
    return true;
}

bool fsm_stored_is_over(const struct fsm_stored *stored)
{
    return stored->at == stored->end;
}
