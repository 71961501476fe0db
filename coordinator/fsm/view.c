/* view.c - the part of the registry that concerns one node, out of what a member tells of it.
 *
 * An object is taken when it is newer than what is here, so that pages of different revisions and
 * the events since the first of them come to the same end in whatever way they overlap. What does
 * not concern the node any more leaves after each batch. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/fsm/state.h"
#include "coordinator/mutant.h"
#include "net/proto_codec.h"

int coord_fsm_view_create(struct coord_fsm **out_view, const struct ray_id *node,
                          struct ray_err *err)
{
    int rc = coord_fsm_create(out_view, err);

    assert(!ray_id_is_none(node));
    if (rc == RAY_OK) {
        (*out_view)->is_view = true;
        (*out_view)->view_node = *node;
    }
    return rc;
}

static int unpack(struct coord_fsm *view, const ProtobufCMessageDescriptor *type,
                  const uint8_t *bytes, size_t size, ProtobufCMessage **out, struct ray_err *err)
{
    assert(view->is_view);
    fsm_arena_reset(&view->arena);
    return ray_proto_unpack(type, bytes, size, &view->arena, out, err);
}

/* What reading does not set when the message has it not. */
static void clear(struct coord_fsm *view, struct fsm_object *object)
{
    const struct coord_home nowhere = {0};

    (void)fsm_object_rename(view, object, "");
    if (object->pub.kind == COORD_GUEST) {
        fsm_guest_set_home(view, object, &nowhere);
        object->pub.guest.migration_to = nowhere;
    } else if (object->pub.kind == COORD_CLUSTER) {
        free(object->pub.cluster.unknown_nodes);
        object->pub.cluster = (struct coord_cluster){0};
    }
}

static int identify(const Rayos__Registry__Object *message, enum coord_kind *out_kind,
                    struct ray_id *out_id, struct ray_err *err)
{
    if (message == NULL || message->kind <= RAYOS__REGISTRY__KIND__KIND_NONE ||
        (int)message->kind >= (int)COORD_KIND_COUNT) {
        return fsm_refuse(err, RAY_EMALFORMED, "an object of no kind that is known here");
    }
    *out_kind = (enum coord_kind)message->kind;
    return fsm_id(&message->id, "object", out_id, err);
}

/* A name goes over to its new owner, whichever of the two came first: the one that has it as of the
 * later revision. The other's own news come, or it had them. False: it is not for `owner`. */
static bool take_name(struct coord_fsm *view, const Rayos__Registry__Object *message,
                      const struct fsm_object *owner)
{
    struct fsm_object *other = fsm_find_name(view, owner->pub.kind, message->name);

    if (other == NULL || other == owner) {
        return true;
    }
    if (other->pub.revision > message->revision) {
        return false;
    }
    (void)fsm_object_rename(view, other, "");
    return true;
}

static int put(struct coord_fsm *view, const Rayos__Registry__Object *message, bool *out_is_new,
               struct ray_err *err)
{
    struct fsm_object *object;
    Rayos__Registry__Object taken;
    enum coord_kind kind;
    struct ray_id id;
    char no_name[1] = "";
    int rc = identify(message, &kind, &id, err);

    if (rc != RAY_OK) {
        return rc;
    }
    object = fsm_find(view, kind, &id);
    *out_is_new = object == NULL;
    if (object != NULL && object->pub.revision >= message->revision) {
        return RAY_OK;
    }
    if (object == NULL) {
        if (view->objects.count >= COORD_FSM_OBJECTS_MAX ||
            (kind == COORD_CLUSTER && view->cluster != NULL)) {
            return fsm_refuse(err, RAY_ETOOBIG, "too many objects in a view, or two clusters");
        }
        object = fsm_object_create(view, kind, &id);
        if (object == NULL) {
            return fsm_refuse(err, RAY_ENOMEM, "an object of a view");
        }
    }
    clear(view, object);
    taken = *message;
    if (!take_name(view, message, object)) {
        taken.name = no_name;
    }
    fsm_arena_reset(&view->scratch);
    return fsm_object_read(view, object, &taken, err);
}

static bool is_held(const struct fsm_object *object)
{
    return object->pub.kind == COORD_CLUSTER ||
           object->home_first != NULL; /* a node that has guests here */
}

static int drop(struct coord_fsm *view, const Rayos__Registry__WatchEvent *event,
                struct ray_err *err)
{
    struct fsm_object *object;
    enum coord_kind kind;
    struct ray_id id;
    int rc = identify(event->object, &kind, &id, err);

    if (rc != RAY_OK) {
        return rc;
    }
    object = fsm_find(view, kind, &id);
    if (object != NULL && object->pub.revision <= event->revision && !is_held(object)) {
        fsm_object_destroy(view, object);
    }
    return RAY_OK;
}

/* Where open migrations lead, whichever of guest and migration came first. */
static void link_migrations(struct coord_fsm *view)
{
    const struct coord_object *object = coord_fsm_next(view, COORD_MIGRATION, NULL);

    while (object != NULL) {
        struct ray_id id = object->id;
        struct fsm_object *guest = fsm_find(view, COORD_GUEST, &object->migration.guest);

        if (guest != NULL && object->migration.state == COORD_MIGRATION_OPEN &&
            ray_id_equal(&guest->pub.guest.migration, &id)) {
            guest->pub.guest.migration_to = object->migration.to;
        }
        object = coord_fsm_next(view, COORD_MIGRATION, &id);
    }
}

static bool concerns_node(const struct coord_fsm *view, const struct coord_object *object)
{
    struct ray_id nodes[COORD_FSM_OBJECT_NODES_MAX];
    bool is_match;
    size_t count = coord_fsm_object_nodes(view, object, nodes, &is_match);

    for (size_t i = 0; i < count && !is_match; i++) {
        is_match = ray_id_equal(&nodes[i], &view->view_node);
    }
    return is_match;
}

static void sweep_kind(struct coord_fsm *view, enum coord_kind kind)
{
    const struct coord_object *object = coord_fsm_next(view, kind, NULL);

    while (object != NULL) {
        struct ray_id id = object->id;
        struct fsm_object *found = fsm_find(view, kind, &id);

        if (!concerns_node(view, object) && !is_held(found)) {
            fsm_object_destroy(view, found);
        }
        object = coord_fsm_next(view, kind, &id);
    }
}

/* Guests before what hangs on them, and before the nodes that they hold. */
static void sweep(struct coord_fsm *view)
{
    sweep_kind(view, COORD_GUEST);
    for (int kind = COORD_NONE + 1; kind < COORD_KIND_COUNT; kind++) {
        sweep_kind(view, (enum coord_kind)kind);
    }
}

static int as_damage(int rc)
{
    return rc == RAY_OK || rc == RAY_ENOMEM || rc == RAY_ETOOBIG || rc == RAY_EUNSUPPORTED
               ? rc
               : RAY_EMALFORMED;
}

int coord_fsm_view_page(struct coord_fsm *view, const uint8_t *bytes, size_t size,
                        struct ray_buf *out_cursor, struct ray_err *err)
{
    const Rayos__Registry__Answer *answer;
    ProtobufCMessage *message = NULL;
    bool is_new;
    int rc = unpack(view, &rayos__registry__answer__descriptor, bytes, size, &message, err);

    if (rc != RAY_OK) {
        return rc;
    }
    answer = (const Rayos__Registry__Answer *)message;
    for (size_t i = 0; rc == RAY_OK && i < answer->n_entries; i++) {
        rc = put(view, answer->entries[i]->object, &is_new, err);
    }
    if (view->index == 0 || answer->revision < view->index || RAY_MUTANT(FSM_VIEW_LAST_PAGE)) {
        view->index = answer->revision;
    }
    view->grant_generation++;
    if (rc == RAY_OK && answer->cursor.len > 0) {
        rc = ray_buf_append(out_cursor, answer->cursor.data, answer->cursor.len);
    } else if (rc == RAY_OK) {
        link_migrations(view);
        sweep(view);
    }
    return as_damage(rc);
}

static int apply(struct coord_fsm *view, const Rayos__Registry__WatchBatch *batch,
                 bool *out_has_new_guest, struct ray_err *err)
{
    int rc = RAY_OK;

    for (size_t i = 0; rc == RAY_OK && i < batch->n_events; i++) {
        const Rayos__Registry__WatchEvent *event = batch->events[i];
        bool is_new = false;

        if (event->revision <= view->index || event->revision > batch->revision) {
            return fsm_refuse(err, RAY_EMALFORMED, "events out of order");
        }
        rc = event->is_deleted ? drop(view, event, err) : put(view, event->object, &is_new, err);
        *out_has_new_guest |= is_new && event->object->kind == RAYOS__REGISTRY__KIND__KIND_GUEST;
    }
    return rc;
}

int coord_fsm_view_batch(struct coord_fsm *view, const uint8_t *bytes, size_t size,
                         struct ray_err *err)
{
    const Rayos__Registry__WatchBatch *batch;
    ProtobufCMessage *message = NULL;
    bool has_new_guest = false;
    int rc = unpack(view, &rayos__registry__watch_batch__descriptor, bytes, size, &message, err);

    if (rc != RAY_OK) {
        return rc;
    }
    batch = (const Rayos__Registry__WatchBatch *)message;
    if (batch->is_resync) {
        return fsm_refuse(err, RAY_EAGAIN, "too far behind: to be listed anew");
    }
    if (batch->revision < view->index) {
        return fsm_refuse(err, RAY_EMALFORMED, "a batch from before");
    }
    rc = apply(view, batch, &has_new_guest, err);
    if (rc == RAY_OK && batch->n_events > 0) {
        link_migrations(view);
        sweep(view);
        view->grant_generation++;
    }
    if (rc != RAY_OK) {
        return as_damage(rc);
    }
    view->index = batch->revision;
    return has_new_guest ? fsm_refuse(err, RAY_EAGAIN, "a guest has come: to be listed anew")
                         : RAY_OK;
}
