/* state.c - the state machine as a whole: made, freed, looked into. */
#include "coordinator/fsm/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/le.h"

static_assert((int)COORD_EVENT == (int)RAYOS__REGISTRY__KIND__KIND_EVENT, "kinds of the schema");
static_assert((int)COORD_GUEST == (int)RAYOS__REGISTRY__KIND__KIND_GUEST, "kinds of the schema");
static_assert((int)COORD_NODE_REMOVED == (int)RAYOS__REGISTRY__NODE_STATE__NODE_REMOVED, "states");
static_assert((int)COORD_NODE_VOTER == (int)RAYOS__REGISTRY__ROLE__ROLE_VOTER, "roles");
static_assert((int)RAY_EPOCH_RESTART == (int)RAYOS__REGISTRY__ORIGIN__ORIGIN_RESTART, "entries");
static_assert((int)COORD_MIGRATION_CLOSED ==
                  (int)RAYOS__REGISTRY__MIGRATION_STATE__MIGRATION_CLOSED,
              "migrations");

void fsm_key(uint8_t out[static COORD_FSM_RECORD_KEY_SIZE], enum fsm_record_type type,
             unsigned kind, const struct ray_id *id)
{
    out[0] = (uint8_t)type;
    out[1] = (uint8_t)kind;
    memcpy(out + 2, id->bytes, RAY_ID_SIZE);
}

/* The arena keeps one block, so make it one that fits almost every entry. */
void fsm_arena_reset(struct ray_arena *arena)
{
    if (arena->used_size > FSM_ARENA_KEPT_SIZE || arena->blocks == NULL) {
        ray_arena_fini(arena);
        (void)ray_arena_alloc(arena, FSM_ARENA_KEPT_SIZE); /* without it: slower */
    }
    ray_arena_reset(arena);
}

int coord_fsm_create(struct coord_fsm **out_fsm, struct ray_err *err)
{
    struct coord_fsm *fsm = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *fsm);

    assert(out_fsm != NULL);
    if (fsm == NULL) {
        return fsm_refuse(err, RAY_ENOMEM, "state machine");
    }
    ray_arena_init(&fsm->arena, FSM_ARENA_SIZE_MAX);
    ray_arena_init(&fsm->scratch, FSM_ARENA_SIZE_MAX);
    fsm->dirty.dirty_next = &fsm->dirty;
    fsm->dirty.dirty_previous = &fsm->dirty;
    fsm->session_check_at_us = UINT64_MAX;
    fsm->is_all_dirty = true;
    fsm->level_max = COORD_FSM_FEATURE_LEVEL;
    *out_fsm = fsm;
    return RAY_OK;
}

void coord_fsm_set_level(struct coord_fsm *fsm, uint32_t level)
{
    assert(level > 0);
    fsm->level_max = level;
}

void coord_fsm_destroy(struct coord_fsm *fsm)
{
    void *value;

    if (fsm == NULL) {
        return;
    }
    coord_fsm_dump_end(fsm);
    for (size_t at = 0; (value = fsm_table_each(&fsm->objects, &at)) != NULL;) {
        fsm_object_free(fsm, value);
    }
    for (size_t at = 0; (value = fsm_table_each(&fsm->sessions, &at)) != NULL;) {
        fsm_session_free(value);
    }
    assert(fsm->texts.count == 0);
    fsm_table_fini(&fsm->objects);
    fsm_table_fini(&fsm->names);
    fsm_table_fini(&fsm->sessions);
    fsm_table_fini(&fsm->texts);
    for (size_t kind = 0; kind < COORD_KIND_COUNT; kind++) {
        fsm_order_fini(&fsm->order[kind]);
    }
    fsm_order_fini(&fsm->session_order);
    coord_policy_destroy(fsm->policy);
    free(fsm->tombs);
    ray_arena_fini(&fsm->arena);
    ray_arena_fini(&fsm->scratch);
    free(fsm);
}

static bool is_same_key(const void *value, const void *key)
{
    const struct fsm_item *item = value;

    return memcmp(item->key, key, sizeof item->key) == 0;
}

struct fsm_object *fsm_find(const struct coord_fsm *fsm, enum coord_kind kind,
                            const struct ray_id *id)
{
    uint8_t key[COORD_FSM_RECORD_KEY_SIZE];

    fsm_key(key, FSM_RECORD_OBJECT, kind, id);
    return fsm_table_find(&fsm->objects, fsm_hash64(key, sizeof key), is_same_key, key);
}

struct fsm_object *fsm_object_of(struct fsm_item *item)
{
    assert(item->key[0] == FSM_RECORD_OBJECT);
    return (struct fsm_object *)item; /* its first member */
}

struct fsm_object *fsm_at(const struct coord_fsm *fsm, enum coord_kind kind, size_t index)
{
    assert(index < fsm->order[kind].sorted_count);
    return fsm_object_of(fsm->order[kind].items[index]);
}

uint64_t coord_fsm_index(const struct coord_fsm *fsm)
{
    return fsm->index;
}

uint64_t coord_fsm_term(const struct coord_fsm *fsm)
{
    return fsm->term;
}

bool coord_fsm_is_halted(const struct coord_fsm *fsm)
{
    return fsm->halt_code != RAY_OK;
}

void coord_fsm_hash(const struct coord_fsm *fsm, uint8_t out[static COORD_HASH_SIZE])
{
    const uint64_t words[] = {fsm->sum.lanes[0], fsm->sum.lanes[1],       fsm->index,
                              fsm->term,         fsm->clock_us,           fsm->tick_term,
                              fsm->tick_now_us,  fsm->tick_term_clock_us, fsm->event_sequence};
    uint8_t bytes[sizeof words];
    struct fsm_sum sum;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        ray_store64le(bytes + 8 * i, words[i]);
    }
    sum = fsm_hash128(bytes, sizeof bytes);
    ray_store64le(out, sum.lanes[0]);
    ray_store64le(out + 8, sum.lanes[1]);
}

bool coord_fsm_last_hash(const struct coord_fsm *fsm, uint64_t *out_index,
                         uint8_t out_hash[static COORD_HASH_SIZE])
{
    size_t slot = fsm->index / COORD_FSM_HASH_INTERVAL % FSM_HASHES_KEPT;

    if (fsm->hashes[slot].index == 0) {
        return false;
    }
    *out_index = fsm->hashes[slot].index;
    memcpy(out_hash, fsm->hashes[slot].hash, COORD_HASH_SIZE);
    return true;
}

const struct coord_object *coord_fsm_cluster(const struct coord_fsm *fsm)
{
    return fsm->cluster != NULL ? &fsm->cluster->pub : NULL;
}

const struct coord_object *coord_fsm_find(const struct coord_fsm *fsm, enum coord_kind kind,
                                          const struct ray_id *id)
{
    const struct fsm_object *object = fsm_find(fsm, kind, id);

    return object != NULL ? &object->pub : NULL;
}

const struct coord_object *coord_fsm_find_name(const struct coord_fsm *fsm, enum coord_kind kind,
                                               const char *name)
{
    const struct fsm_object *object = fsm_find_name(fsm, kind, name);

    return object != NULL ? &object->pub : NULL;
}

const struct coord_object *coord_fsm_find_raft_id(struct coord_fsm *fsm, uint64_t raft_id)
{
    struct fsm_order *order = &fsm->order[COORD_NODE];

    fsm_order_sort(order);
    for (size_t i = 0; i < order->count; i++) {
        const struct fsm_object *object = fsm_at(fsm, COORD_NODE, i);

        if (object->pub.node.raft_id == raft_id && raft_id != 0) {
            return &object->pub;
        }
    }
    return NULL;
}

size_t coord_fsm_voter_count(struct coord_fsm *fsm)
{
    const struct fsm_order *order = &fsm->order[COORD_NODE];
    size_t count = 0;

    for (size_t i = 0; i < order->count; i++) {
        count += fsm_at(fsm, COORD_NODE, i)->pub.node.role == COORD_NODE_VOTER;
    }
    return count;
}

const struct coord_object *coord_fsm_next(struct coord_fsm *fsm, enum coord_kind kind,
                                          const struct ray_id *after)
{
    const struct ray_id none = {0};
    uint8_t key[COORD_FSM_RECORD_KEY_SIZE];
    size_t index;

    assert(kind > COORD_NONE && kind < COORD_KIND_COUNT);
    fsm_key(key, FSM_RECORD_OBJECT, kind, after != NULL ? after : &none);
    index = fsm_order_above(&fsm->order[kind], key);
    return index < fsm->order[kind].count ? &fsm_at(fsm, kind, index)->pub : NULL;
}

const struct coord_object *coord_fsm_next_at_home(const struct coord_fsm *fsm,
                                                  const struct ray_id *node,
                                                  const struct coord_object *after)
{
    const struct fsm_object *object;
    const struct fsm_object *next;

    if (after == NULL) {
        object = fsm_find(fsm, COORD_NODE, node);
        next = object != NULL ? object->home_first : NULL;
    } else {
        object = fsm_find(fsm, COORD_GUEST, &after->id);
        next = object != NULL ? object->home_next : NULL;
    }
    return next != NULL ? &next->pub : NULL;
}

size_t coord_fsm_count(const struct coord_fsm *fsm, enum coord_kind kind)
{
    assert(kind > COORD_NONE && kind < COORD_KIND_COUNT);
    return fsm->order[kind].count;
}

uint64_t coord_fsm_grant_generation(const struct coord_fsm *fsm)
{
    return fsm->grant_generation;
}

size_t coord_fsm_session_count(const struct coord_fsm *fsm)
{
    return fsm->sessions.count;
}

/* For somebody to confirm it or to approve it. */
static bool has_waiting(const struct coord_fsm *fsm)
{
    const struct fsm_order *policies = &fsm->order[COORD_POLICY];
    const struct fsm_order *operations = &fsm->order[COORD_OPERATION];
    bool result = false;

    for (size_t i = 0; i < policies->count && !result; i++) {
        result = fsm_object_of(policies->items[i])->pub.policy.confirm_by_us != 0;
    }
    for (size_t i = 0; i < operations->count && !result; i++) {
        result = fsm_object_of(operations->items[i])->pub.operation.expires_at_us != 0;
    }
    return result;
}

bool coord_fsm_can_expire(const struct coord_fsm *fsm)
{
    const struct fsm_order *tokens = &fsm->order[COORD_TOKEN];

    if (fsm->sessions.count > 0) {
        return true;
    }
    for (size_t i = 0; i < tokens->count; i++) {
        if (fsm_object_of(tokens->items[i])->pub.token.expires_at_us != 0) {
            return true;
        }
    }
    return has_waiting(fsm);
}

uint64_t coord_fsm_clock_us(const struct coord_fsm *fsm)
{
    return fsm->clock_us;
}

static size_t add_node(struct ray_id *out, size_t count, const struct ray_id *node)
{
    if (!ray_id_is_none(node)) {
        out[count++] = *node;
    }
    return count;
}

static size_t add_guest_nodes(struct ray_id *out, size_t count, const struct coord_guest *guest)
{
    count = add_node(out, count, &guest->home.node);
    return add_node(out, count, &guest->migration_to.node);
}

static size_t find_guest_nodes(const struct coord_fsm *fsm, struct ray_id *out, size_t count,
                               const struct ray_id *guest_id)
{
    const struct fsm_object *guest = fsm_find(fsm, COORD_GUEST, guest_id);

    return guest != NULL ? add_guest_nodes(out, count, &guest->pub.guest) : count;
}

size_t coord_fsm_object_nodes(const struct coord_fsm *fsm, const struct coord_object *object,
                              struct ray_id out[static COORD_FSM_OBJECT_NODES_MAX],
                              bool *out_is_for_all)
{
    *out_is_for_all = false;
    switch (object->kind) {
    case COORD_NODE:
        *out_is_for_all = object->node.role != COORD_NODE_OBSERVER;
        return add_node(out, 0, &object->id);
    case COORD_VOLUME:
        return find_guest_nodes(fsm, out, 0, &object->volume.guest);
    case COORD_GUEST:
        return add_guest_nodes(out, 0, &object->guest);
    case COORD_MIGRATION:
        return add_node(out, add_node(out, 0, &object->migration.from.node),
                        &object->migration.to.node);
    case COORD_PRESENTATION:
        return find_guest_nodes(fsm, out, add_node(out, 0, &object->presentation.node),
                                &object->presentation.guest);
    case COORD_OPERATION:
        return add_node(out, 0, &object->operation.node);
    case COORD_CLUSTER:
    case COORD_POLICY:
    case COORD_NETWORK:
    case COORD_IMAGE:
        *out_is_for_all = true;
        return 0;
    case COORD_NONE:
    case COORD_PRINCIPAL:
    case COORD_TOKEN:
    case COORD_EVENT:
    case COORD_KIND_COUNT:
        break;
    }
    return 0;
}
