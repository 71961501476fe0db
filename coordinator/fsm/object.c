/* object.c - objects in memory: made, named, sealed (packed and hashed), freed. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/fsm/state.h"
#include "net/proto_codec.h"

enum { SEAL_ROOM_SIZE = 32 };

/* What is allocated behind the common part. */
static size_t kind_size(enum coord_kind kind)
{
    static const size_t sizes[COORD_KIND_COUNT] = {
        [COORD_CLUSTER] = sizeof(struct coord_cluster),
        [COORD_NODE] = sizeof(struct coord_node),
        [COORD_PRINCIPAL] = sizeof(struct coord_principal),
        [COORD_TOKEN] = sizeof(struct coord_token),
        [COORD_VOLUME] = sizeof(struct coord_volume),
        [COORD_GUEST] = sizeof(struct coord_guest),
        [COORD_MIGRATION] = sizeof(struct coord_migration),
        [COORD_PRESENTATION] = sizeof(struct coord_presentation),
        [COORD_OPERATION] = sizeof(struct coord_operation),
        [COORD_POLICY] = sizeof(struct coord_policy_version),
        [COORD_EVENT] = sizeof(struct coord_happening),
    };

    assert(kind > COORD_NONE && kind < COORD_KIND_COUNT);
    return sizes[kind];
}

static void *allocate(size_t size)
{
    return ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, size);
}

struct fsm_object *fsm_object_create(struct coord_fsm *fsm, enum coord_kind kind,
                                     const struct ray_id *id)
{
    struct fsm_object *object = allocate(offsetof(struct fsm_object, pub) +
                                         offsetof(struct coord_object, cluster) + kind_size(kind));

    if (object == NULL) {
        return NULL;
    }
    fsm_key(object->item.key, FSM_RECORD_OBJECT, kind, id);
    object->pub.kind = kind;
    object->pub.id = *id;
    if (!fsm_order_add(&fsm->order[kind], &object->item)) {
        free(object);
        return NULL;
    }
    if (!fsm_table_add(&fsm->objects, fsm_hash64(object->item.key, sizeof object->item.key),
                       object)) {
        fsm_order_remove(&fsm->order[kind], &object->item);
        free(object);
        return NULL;
    }
    if (kind == COORD_CLUSTER) {
        fsm->cluster = object;
    }
    return object;
}

void fsm_object_free(struct coord_fsm *fsm, struct fsm_object *object)
{
    struct coord_object *pub = &object->pub;

    if (pub->kind == COORD_CLUSTER) {
        free(pub->cluster.unknown_nodes);
    } else if (pub->kind == COORD_NODE) {
        (void)fsm_bytes_set(&pub->node.facts, NULL, 0);
    } else if (pub->kind == COORD_OPERATION) {
        (void)fsm_bytes_set(&pub->operation.command, NULL, 0);
        (void)fsm_bytes_set(&pub->operation.rules, NULL, 0);
    }
    (void)fsm_bytes_set(&pub->spec, NULL, 0);
    free((void *)pub->labels);
    fsm_history_free(fsm, object);
    free(object);
}

static uint64_t name_hash(enum coord_kind kind, const char *name)
{
    uint8_t bytes[1 + COORD_NAME_SIZE];
    size_t size = strnlen(name, COORD_NAME_SIZE);

    bytes[0] = (uint8_t)kind;
    memcpy(bytes + 1, name, size);
    return fsm_hash64(bytes, size + 1);
}

struct name_key {
    enum coord_kind kind;
    const char *name;
};

static bool is_same_name(const void *value, const void *key)
{
    const struct fsm_object *object = value;
    const struct name_key *wanted = key;

    return object->pub.kind == wanted->kind && strcmp(object->pub.name, wanted->name) == 0;
}

struct fsm_object *fsm_find_name(const struct coord_fsm *fsm, enum coord_kind kind,
                                 const char *name)
{
    const struct name_key key = {.kind = kind, .name = name};

    if (name[0] == '\0' || strnlen(name, COORD_NAME_SIZE) == COORD_NAME_SIZE) {
        return NULL;
    }
    return fsm_table_find(&fsm->names, name_hash(kind, name), is_same_name, &key);
}

bool fsm_object_rename(struct coord_fsm *fsm, struct fsm_object *object, const char *name)
{
    struct coord_object *pub = &object->pub;
    size_t size = strlen(name);

    assert(size < sizeof pub->name);
    if (strcmp(pub->name, name) == 0) {
        return true;
    }
    if (pub->name[0] != '\0') {
        fsm_table_remove(&fsm->names, name_hash(pub->kind, pub->name), object);
    }
    memset(pub->name, 0, sizeof pub->name);
    if (size > 0 && !fsm_table_add(&fsm->names, name_hash(pub->kind, name), object)) {
        return false;
    }
    memcpy(pub->name, name, size);
    return true;
}

void fsm_object_forget(struct coord_fsm *fsm, struct fsm_object *object)
{
    fsm_sum_subtract(&fsm->sum, &object->record_sum);
    fsm->state_size -= object->packed_size;
    object->record_sum = (struct fsm_sum){0};
    object->packed_size = 0;
    fsm_history_forget(fsm, object);
}

void fsm_object_destroy(struct coord_fsm *fsm, struct fsm_object *object)
{
    const struct coord_home nowhere = {0};

    if (object->pub.kind == COORD_GUEST) {
        fsm_guest_set_home(fsm, object, &nowhere);
    }
    assert(object->home_first == NULL && object->pub.kind != COORD_CLUSTER);
    (void)fsm_object_rename(fsm, object, "");
    fsm_order_remove(&fsm->order[object->pub.kind], &object->item);
    fsm_table_remove(&fsm->objects, fsm_hash64(object->item.key, sizeof object->item.key), object);
    fsm_object_free(fsm, object);
}

int fsm_object_seal(struct coord_fsm *fsm, struct fsm_object *object, struct ray_arena *arena,
                    uint8_t **out_bytes, size_t *out_size, struct ray_err *err)
{
    struct fsm_packing packing;
    uint8_t *bytes = NULL;
    size_t size;

    if (fsm_packing_begin(&packing, &object->pub, arena) == RAY_OK) {
        bytes = ray_arena_alloc(arena, SEAL_ROOM_SIZE + packing.size);
    }
    if (bytes == NULL) {
        return fsm_refuse(err, RAY_ENOMEM, "an object's record");
    }
    bytes += SEAL_ROOM_SIZE;
    (void)fsm_packing_put(&packing, bytes);
    size = packing.size;
    fsm_sum_subtract(&fsm->sum, &object->record_sum);
    fsm->state_size -= object->packed_size;
    object->record_sum = fsm_hash128(bytes, size);
    object->packed_size = (uint32_t)size;
    fsm_sum_add(&fsm->sum, &object->record_sum);
    fsm->state_size += size;
    *out_bytes = bytes;
    *out_size = size;
    return RAY_OK;
}

static void unlink_from_home(struct coord_fsm *fsm, struct fsm_object *guest)
{
    struct fsm_object *node = fsm_find(fsm, COORD_NODE, &guest->pub.guest.home.node);

    if (fsm->is_view && guest->home_previous == NULL &&
        (node == NULL || node->home_first != guest)) {
        return; /* its home was not there when it came */
    }
    if (guest->home_next != NULL) {
        guest->home_next->home_previous = guest->home_previous;
    }
    if (guest->home_previous != NULL) {
        guest->home_previous->home_next = guest->home_next;
    } else {
        assert(node != NULL && node->home_first == guest);
        node->home_first = guest->home_next;
    }
    guest->home_previous = NULL;
    guest->home_next = NULL;
}

void fsm_guest_set_home(struct coord_fsm *fsm, struct fsm_object *guest,
                        const struct coord_home *home)
{
    struct coord_guest *state = &guest->pub.guest;

    if (!ray_id_is_none(&state->home.node)) {
        unlink_from_home(fsm, guest);
    }
    state->home = *home;
    state->has_run = !ray_id_is_none(&home->node);
    if (state->has_run) {
        struct fsm_object *node = fsm_find(fsm, COORD_NODE, &home->node);

        if (node == NULL) {
            assert(fsm->is_view);
            return;
        }
        guest->home_next = node->home_first;
        if (node->home_first != NULL) {
            node->home_first->home_previous = guest;
        }
        node->home_first = guest;
    }
}

bool fsm_bytes_set(struct coord_bytes *bytes, const void *data, size_t size)
{
    uint8_t *copy = NULL;

    if (size > 0 && size == bytes->size) { /* as most changes are: nothing to allocate */
        memmove((uint8_t *)bytes->data, data, size);
        return true;
    }
    if (size > 0) {
        copy = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(size);
        if (copy == NULL) {
            return false;
        }
        memcpy(copy, data, size);
    }
    free((void *)bytes->data);
    *bytes = (struct coord_bytes){.data = copy, .size = (uint32_t)size};
    return true;
}

bool fsm_labels_set(struct coord_object *object, const struct coord_label *labels, size_t count)
{
    struct coord_label *copy = NULL;
    size_t size = count * sizeof *copy;
    char *at;

    for (size_t i = 0; i < count; i++) {
        size += strlen(labels[i].key) + 1 + labels[i].value.size;
    }
    if (count > 0) {
        copy = allocate(size);
        if (copy == NULL) {
            return false;
        }
    }
    at = count > 0 ? (char *)(copy + count) : NULL;
    for (size_t i = 0; i < count; i++) {
        size_t key_size = strlen(labels[i].key) + 1;
        uint32_t value_size = labels[i].value.size;

        copy[i].key = memcpy(at, labels[i].key, key_size);
        at += key_size;
        if (value_size > 0) {
            copy[i].value.data = memcpy(at, labels[i].value.data, value_size);
            copy[i].value.size = value_size;
            at += value_size;
        }
    }
    free((void *)object->labels);
    object->labels = copy;
    object->label_count = (uint32_t)count;
    return true;
}
