/* touch.c - what an entry changes: noted before, given revision, history, hash and event after.
 *
 * An object that an entry touches several times has one change and one event. */
#include <assert.h>
#include <string.h>

#include "base/size.h"
#include "base/varint.h"
#include "coordinator/fsm/state.h"
#include "coordinator/mutant.h"
#include "net/proto_codec.h"

enum { EVENT_HEAD_SIZE_MAX = 24, BOUNDED_AMONG = 512, BOUNDED_MAX = 4, SAID_MAX = 64 };

const char fsm_denied_word[] = "policy-denied";

static void note_nodes(const struct coord_fsm *fsm, struct fsm_touched *touched)
{
    touched->node_count = (uint32_t)coord_fsm_object_nodes(fsm, &touched->object->pub,
                                                           touched->nodes, &touched->was_for_all);
}

/* Every handler has a limit on what it touches, below this one; NULL: not kept. */
static struct fsm_touched *add(struct fsm_apply *apply, struct fsm_object *object)
{
    struct coord_fsm *fsm = apply->fsm;
    struct fsm_touched *touched;

    if (fsm->touched_count == COORD_FSM_EVENTS_MAX) {
        apply->is_fatal = true;
        (void)ray_fail(apply->err, RAY_ETOOBIG, "one entry changes more than %d objects",
                       COORD_FSM_EVENTS_MAX);
        return NULL;
    }
    touched = &fsm->touched[fsm->touched_count++];
    *touched = (struct fsm_touched){.object = object};
    object->touch_slot = (uint32_t)fsm->touched_count;
    return touched;
}

static int touch(struct fsm_apply *apply, struct fsm_object *object, bool is_quiet)
{
    struct coord_fsm *fsm = apply->fsm;
    struct fsm_touched *touched;

    if (object->touch_slot != 0) {
        fsm->touched[object->touch_slot - 1].is_quiet &= is_quiet;
        return RAY_OK;
    }
    if (!RAY_MUTANT(FSM_LATE_DUMP) && fsm_dump_save(fsm, &object->item) != RAY_OK) {
        return RAY_ENOMEM;
    }
    touched = add(apply, object);
    if (touched == NULL) {
        return RAY_ETOOBIG;
    }
    touched->is_quiet = is_quiet;
    note_nodes(fsm, touched);
    return RAY_OK;
}

int fsm_touch(struct fsm_apply *apply, struct fsm_object *object)
{
    return touch(apply, object, false);
}

int fsm_touch_quiet(struct fsm_apply *apply, struct fsm_object *object)
{
    return touch(apply, object, true);
}

int fsm_object_new(struct fsm_apply *apply, enum coord_kind kind, const struct ray_id *id,
                   const char *name, struct fsm_object **out)
{
    struct fsm_object *object = fsm_object_create(apply->fsm, kind, id);
    struct fsm_touched *touched;

    if (object == NULL || !fsm_object_rename(apply->fsm, object, name)) {
        return RAY_ENOMEM; /* what is in the tables goes with the halted state machine */
    }
    object->pub.created_revision = apply->index;
    touched = add(apply, object);
    if (touched == NULL) {
        return RAY_ETOOBIG;
    }
    *out = object;
    return RAY_OK;
}

int fsm_remove(struct fsm_apply *apply, struct fsm_object *object)
{
    int rc = fsm_touch(apply, object);

    if (rc != RAY_OK) {
        return rc;
    }
    apply->fsm->touched[object->touch_slot - 1].is_removed = true;
    return RAY_OK;
}

void fsm_happening_id(uint64_t sequence, struct ray_id *out)
{
    *out = (struct ray_id){0};
    for (int i = 0; i < 8; i++) {
        out->bytes[RAY_ID_SIZE - 1 - i] = (uint8_t)(sequence >> (8 * i));
    }
}

static struct fsm_object *find_happening(const struct coord_fsm *fsm, uint64_t sequence)
{
    struct ray_id id;

    fsm_happening_id(sequence, &id);
    return fsm_find(fsm, COORD_EVENT, &id);
}

static void copy_text(char *out, size_t out_size, const char *text)
{
    size_t size = strnlen(text, out_size - 1);

    memcpy(out, text, size);
    out[size] = '\0';
}

static int remove_oldest(struct fsm_apply *apply)
{
    struct coord_fsm *fsm = apply->fsm;
    struct fsm_object *oldest = NULL;
    int rc;

    if (fsm->event_sequence > COORD_EVENTS_KEPT_MAX) {
        oldest = find_happening(fsm, fsm->event_sequence - COORD_EVENTS_KEPT_MAX);
    }
    if (oldest == NULL) {
        return RAY_OK;
    }
    rc = fsm_remove(apply, oldest);
    if (rc == RAY_OK) {
        fsm->touched[oldest->touch_slot - 1].is_silent = true;
    }
    return rc;
}

int fsm_happen(struct fsm_apply *apply, const char *what, enum coord_kind kind,
               const struct ray_id *id, const char *text)
{
    struct coord_fsm *fsm = apply->fsm;
    struct fsm_object *object = find_happening(fsm, fsm->event_sequence);
    struct coord_happening *happening;
    struct ray_id own_id;
    int rc;

    /* A clone that asks again and again must not push everything else out. */
    if (object != NULL && strcmp(object->pub.happening.what, what) == 0 &&
        strcmp(object->pub.happening.text, text) == 0 &&
        strcmp(object->pub.happening.principal, apply->header->principal) == 0 &&
        object->pub.happening.object_kind == kind &&
        ray_id_equal(&object->pub.happening.object_id, id)) {
        return RAY_OK;
    }
    fsm_happening_id(++fsm->event_sequence, &own_id);
    rc = fsm_object_new(apply, COORD_EVENT, &own_id, "", &object);
    if (rc != RAY_OK) {
        return rc;
    }
    happening = &object->pub.happening;
    happening->sequence = fsm->event_sequence;
    copy_text(happening->what, sizeof happening->what, what);
    copy_text(happening->text, sizeof happening->text, text);
    happening->object_kind = kind;
    happening->object_id = *id;
    happening->time_us = apply->header->time_us;
    copy_text(happening->principal, sizeof happening->principal, apply->header->principal);
    fsm->touched[object->touch_slot - 1].is_quiet = true;
    return remove_oldest(apply);
}

bool fsm_is_own_word(const char *what)
{
    static const char *const words[] = {
        "approval-asked",  "approval-denied",    "approved",         "cluster-recovered",
        "confirmed-off",   "duplicate-identity", "feature-raised",   "node-approved",
        "node-disk",       "node-joined",        "node-power",       "node-quarantined",
        "node-removed",    "node-returned",      "policy-confirmed", "policy-denied",
        "policy-reverted", "policy-set",
    };

    for (size_t i = 0; i < RAY_ARRAY_COUNT(words); i++) {
        if (strcmp(what, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* `what` NULL: of no word of ours. */
static bool is_of(const struct coord_happening *happening, const char *what)
{
    return what != NULL ? strcmp(happening->what, what) == 0 : !fsm_is_own_word(happening->what);
}

/* The newest of that kind by who asks, of the events that are looked at; NULL when there are fewer
 * than `max`. */
static struct fsm_object *find_own(const struct fsm_apply *apply, const char *what, size_t max)
{
    const struct coord_fsm *fsm = apply->fsm;
    struct fsm_object *newest = NULL;
    size_t count = 0;

    for (uint64_t i = 0; i < BOUNDED_AMONG && i < fsm->event_sequence; i++) {
        struct fsm_object *object = find_happening(fsm, fsm->event_sequence - i);

        if (object == NULL || !is_of(&object->pub.happening, what) ||
            strcmp(object->pub.happening.principal, apply->header->principal) != 0) {
            continue;
        }
        newest = newest == NULL ? object : newest;
        if (++count == max) {
            return newest;
        }
    }
    return NULL;
}

/* Over the newest of his, instead of one more. */
static int rewrite(struct fsm_apply *apply, struct fsm_object *object,
                   const struct coord_happening *now)
{
    struct coord_happening *happening = &object->pub.happening;
    int rc;

    if (strcmp(happening->what, now->what) == 0 && strcmp(happening->text, now->text) == 0 &&
        happening->object_kind == now->object_kind &&
        ray_id_equal(&happening->object_id, &now->object_id)) {
        return RAY_OK;
    }
    rc = fsm_touch_quiet(apply, object);
    if (rc == RAY_OK) {
        memcpy(happening->what, now->what, sizeof happening->what);
        memcpy(happening->text, now->text, sizeof happening->text);
        happening->object_kind = now->object_kind;
        happening->object_id = now->object_id;
        happening->time_us = apply->header->time_us;
    }
    return rc;
}

static int happen_bounded(struct fsm_apply *apply, struct fsm_object *newest, const char *what,
                          enum coord_kind kind, const struct ray_id *id, const char *text)
{
    struct coord_happening now = {.object_kind = kind, .object_id = *id};

    if (newest == NULL) {
        return fsm_happen(apply, what, kind, id, text);
    }
    copy_text(now.what, sizeof now.what, what);
    copy_text(now.text, sizeof now.text, text);
    return rewrite(apply, newest, &now);
}

int fsm_happen_bounded(struct fsm_apply *apply, const char *what, enum coord_kind kind,
                       const struct ray_id *id, const char *text)
{
    return happen_bounded(apply, find_own(apply, what, BOUNDED_MAX), what, kind, id, text);
}

int fsm_happen_said(struct fsm_apply *apply, const char *what, enum coord_kind kind,
                    const struct ray_id *id, const char *text)
{
    return happen_bounded(apply, find_own(apply, NULL, SAID_MAX), what, kind, id, text);
}

int fsm_happen_denied(struct fsm_apply *apply, const char *text)
{
    const struct ray_id none = {0};

    return fsm_happen_bounded(apply, fsm_denied_word, COORD_NONE, &none, text);
}

static int add_change(struct fsm_apply *apply, struct fsm_object *object)
{
    struct coord_fsm *fsm = apply->fsm;
    bool is_decision = apply->decision != NULL && object->pub.kind == COORD_OPERATION;
    const Rayos__Registry__Header *header = is_decision ? apply->decision : apply->header;
    const char *what = is_decision ? "operation-decide" : apply->what;
    const char *principal = header->principal;
    const char *reason = header->reason;
    const struct fsm_change last = fsm_history_last(object);
    const struct fsm_change change = {
        .revision = apply->index,
        .time_us = apply->header->time_us,
        .principal = fsm_text_get(fsm, last.principal, principal, strlen(principal)),
        .reason = fsm_text_get(fsm, last.reason, reason, strlen(reason)),
        .what = fsm_text_get(fsm, last.what, what, strlen(what)),
    };

    return fsm_history_add(fsm, object, &change);
}

static void add_nodes(struct coord_fsm_event *event, const struct ray_id *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool is_known = false;

        for (size_t j = 0; j < event->node_count && !is_known; j++) {
            is_known = ray_id_equal(&event->nodes[j], &nodes[i]);
        }
        if (!is_known) {
            assert(event->node_count < COORD_FSM_EVENT_NODES_MAX);
            event->nodes[event->node_count++] = nodes[i];
        }
    }
}

static struct coord_fsm_event *add_event(struct coord_fsm *fsm, const struct fsm_touched *touched)
{
    const struct coord_object *pub = &touched->object->pub;
    struct coord_fsm_event *event = &fsm->events[fsm->event_count];
    struct ray_id nodes[COORD_FSM_OBJECT_NODES_MAX];
    bool is_for_all;
    size_t count = coord_fsm_object_nodes(fsm, pub, nodes, &is_for_all);

    *event = (struct coord_fsm_event){
        .revision = fsm->index,
        .sub_index = (uint32_t)fsm->event_count,
        .kind = pub->kind,
        .id = pub->id,
        .is_deleted = touched->is_removed,
        .is_for_all = is_for_all || touched->was_for_all,
    };
    add_nodes(event, touched->nodes, touched->node_count);
    add_nodes(event, nodes, count);
    fsm->event_count++;
    return event;
}

/* The packed object becomes a packed WatchEvent by a few bytes in front of it: revision, sub
 * index, and the object's tag and size. */
static void wrap_event(struct coord_fsm_event *event, uint8_t *bytes, size_t size)
{
    uint8_t head[EVENT_HEAD_SIZE_MAX];
    uint8_t *at = head;

    *at++ = 1 << 3;
    at = ray_varint_put(at, event->revision);
    if (event->sub_index > 0) {
        *at++ = 2 << 3;
        at = ray_varint_put(at, event->sub_index);
    }
    *at++ = 3 << 3 | 2;
    at = ray_varint_put(at, size);
    event->packed_size = (size_t)(at - head) + size;
    event->packed = memcpy(bytes - (at - head), head, (size_t)(at - head));
}

static int finish_removed(struct fsm_apply *apply, const struct fsm_touched *touched)
{
    struct coord_fsm *fsm = apply->fsm;
    struct fsm_object *object = touched->object;
    Rayos__Registry__Object message = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__WatchEvent told = RAYOS__REGISTRY__WATCH_EVENT__INIT;

    if (!touched->is_silent) {
        struct coord_fsm_event *event = add_event(fsm, touched);
        uint8_t *bytes;

        message.kind = (Rayos__Registry__Kind)object->pub.kind;
        message.id = ray_proto_id(&object->pub.id);
        message.name = object->pub.name;
        message.revision = apply->index;
        told.revision = event->revision;
        told.sub_index = event->sub_index;
        told.object = &message;
        told.is_deleted = true;
        event->packed_size = rayos__registry__watch_event__get_packed_size(&told);
        bytes = ray_arena_alloc(&fsm->arena, event->packed_size);
        if (bytes == NULL) {
            return RAY_ENOMEM;
        }
        (void)rayos__registry__watch_event__pack(&told, bytes);
        event->packed = bytes;
    }
    fsm_object_forget(fsm, object);
    fsm_dirty_remove(fsm, &object->item);
    return RAY_OK;
}

/* As fsm_object_seal gives it, for those who watch. */
static int pack_hidden(struct fsm_apply *apply, const struct fsm_object *object,
                       uint8_t **out_bytes, size_t *out_size)
{
    struct ray_arena *arena = &apply->fsm->arena;
    Rayos__Registry__Object *message = fsm_object_message(&object->pub, arena);
    uint8_t *bytes = NULL;

    if (message != NULL) {
        (void)fsm_object_hide(message);
        *out_size = rayos__registry__object__get_packed_size(message);
        bytes = ray_arena_alloc(arena, EVENT_HEAD_SIZE_MAX + *out_size);
    }
    if (bytes == NULL) {
        return fsm_refuse(apply->err, RAY_ENOMEM, "an event without what is not told");
    }
    *out_bytes = bytes + EVENT_HEAD_SIZE_MAX;
    (void)rayos__registry__object__pack(message, *out_bytes);
    return RAY_OK;
}

static bool has_secret(const struct coord_object *object)
{
    return object->kind == COORD_TOKEN || object->kind == COORD_OPERATION ||
           (object->kind == COORD_NODE && object->node.has_join_token);
}

static int finish_changed(struct fsm_apply *apply, const struct fsm_touched *touched)
{
    struct fsm_object *object = touched->object;
    uint8_t *bytes;
    size_t size;
    int rc;

    object->pub.revision = apply->index;
    if (!touched->is_quiet) {
        rc = add_change(apply, object);
        if (rc != RAY_OK) {
            return rc;
        }
    }
    rc = fsm_object_seal(apply->fsm, object, &apply->fsm->arena, &bytes, &size, apply->err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (has_secret(&object->pub)) {
        rc = pack_hidden(apply, object, &bytes, &size);
        if (rc != RAY_OK) {
            return rc;
        }
    }
    wrap_event(add_event(apply->fsm, touched), bytes, size);
    fsm_dirty_add(apply->fsm, &object->item);
    return RAY_OK;
}

static bool concerns_grants(enum coord_kind kind)
{
    return kind == COORD_GUEST || kind == COORD_NODE || kind == COORD_PRESENTATION ||
           kind == COORD_CLUSTER;
}

int fsm_finish(struct fsm_apply *apply)
{
    struct coord_fsm *fsm = apply->fsm;

    for (size_t i = 0; i < fsm->touched_count; i++) {
        const struct fsm_touched *touched = &fsm->touched[i];
        int rc;

        touched->object->touch_slot = 0;
        if (concerns_grants(touched->object->pub.kind)) {
            fsm->grant_generation++;
        }
        rc = touched->is_removed ? finish_removed(apply, touched) : finish_changed(apply, touched);
        if (rc != RAY_OK) {
            return rc;
        }
    }
    /* Freed at the end: what concerns a node is found through other objects. */
    for (size_t i = 0; i < fsm->touched_count; i++) {
        if (fsm->touched[i].is_removed) {
            fsm_object_destroy(fsm, fsm->touched[i].object);
        }
    }
    fsm->touched_count = 0;
    return RAY_OK;
}
