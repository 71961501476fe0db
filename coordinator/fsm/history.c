/* history.c - the last changes of an object. Principals and reasons repeat, so each text is kept
 * once and counted; a change is five words. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/le.h"
#include "coordinator/fsm/state.h"

struct text_key {
    const char *bytes;
    size_t size;
};

static bool is_same_text(const void *value, const void *key)
{
    const struct fsm_text *text = value;
    const struct text_key *wanted = key;

    return text->size == wanted->size && memcmp(text->bytes, wanted->bytes, wanted->size) == 0;
}

struct fsm_text *fsm_text_get(struct coord_fsm *fsm, struct fsm_text *likely, const char *bytes,
                              size_t size)
{
    const struct text_key key = {.bytes = bytes, .size = size};
    struct fsm_text *text = likely;
    uint64_t hash;

    if (text != NULL && is_same_text(text, &key)) {
        text->use_count++;
        return text;
    }
    hash = fsm_hash64(bytes, size);
    text = fsm_table_find(&fsm->texts, hash, is_same_text, &key);
    if (text != NULL) {
        text->use_count++;
        return text;
    }
    text = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(sizeof *text + size + 1);
    if (text == NULL) {
        return NULL;
    }
    *text = (struct fsm_text){.hash = hash, .use_count = 1, .size = (uint32_t)size};
    memcpy(text->bytes, bytes, size);
    text->bytes[size] = '\0';
    if (!fsm_table_add(&fsm->texts, hash, text)) {
        free(text);
        return NULL;
    }
    return text;
}

static void drop_text(struct coord_fsm *fsm, struct fsm_text *text)
{
    if (text == NULL) {
        return;
    }
    assert(text->use_count > 0);
    if (--text->use_count == 0) {
        fsm_table_remove(&fsm->texts, text->hash, text);
        free(text);
    }
}

static struct fsm_sum change_sum(const struct fsm_object *object, const struct fsm_change *change)
{
    uint8_t bytes[COORD_FSM_RECORD_KEY_SIZE + 5 * sizeof(uint64_t)];
    uint8_t *at = bytes + COORD_FSM_RECORD_KEY_SIZE;

    memcpy(bytes, object->item.key, COORD_FSM_RECORD_KEY_SIZE);
    ray_store64le(at, change->revision);
    ray_store64le(at + 8, change->time_us);
    ray_store64le(at + 16, change->principal->hash);
    ray_store64le(at + 24, change->reason->hash);
    ray_store64le(at + 32, change->what->hash);
    return fsm_hash128(bytes, sizeof bytes);
}

static void drop_change(struct coord_fsm *fsm, const struct fsm_change *change)
{
    drop_text(fsm, change->principal);
    drop_text(fsm, change->reason);
    drop_text(fsm, change->what);
}

static bool grow(struct fsm_object *object)
{
    size_t capacity = object->change_capacity > 0 ? (size_t)object->change_capacity * 2 : 2;
    struct fsm_change *changes = NULL;

    assert(object->change_first == 0);
    if (ray_fault(RAY_FAULT_ALLOC) == 0) {
        changes = realloc(object->changes, capacity * sizeof *changes);
    }
    if (changes == NULL) {
        return false;
    }
    object->changes = changes;
    object->change_capacity = (uint8_t)capacity;
    return true;
}

int fsm_history_add(struct coord_fsm *fsm, struct fsm_object *object,
                    const struct fsm_change *change)
{
    struct fsm_sum sum;

    if (change->principal == NULL || change->reason == NULL || change->what == NULL) {
        drop_change(fsm, change);
        return RAY_ENOMEM;
    }
    if (object->change_count == COORD_CHANGES_MAX) {
        struct fsm_change *oldest = &object->changes[object->change_first];

        sum = change_sum(object, oldest);
        fsm_sum_subtract(&fsm->sum, &sum);
        drop_change(fsm, oldest);
        *oldest = *change;
        object->change_first = (uint8_t)((object->change_first + 1) % COORD_CHANGES_MAX);
    } else {
        if (object->change_count == object->change_capacity && !grow(object)) {
            drop_change(fsm, change);
            return RAY_ENOMEM;
        }
        object->changes[object->change_count++] = *change;
    }
    sum = change_sum(object, change);
    fsm_sum_add(&fsm->sum, &sum);
    return RAY_OK;
}

const struct fsm_change *fsm_history_at(const struct fsm_object *object, size_t index)
{
    assert(index < object->change_count);
    return &object->changes[(object->change_first + index) % object->change_count];
}

struct fsm_change fsm_history_last(const struct fsm_object *object)
{
    return object->change_count > 0 ? *fsm_history_at(object, object->change_count - 1U)
                                    : (struct fsm_change){0};
}

void fsm_history_forget(struct coord_fsm *fsm, const struct fsm_object *object)
{
    for (size_t i = 0; i < object->change_count; i++) {
        struct fsm_sum sum = change_sum(object, &object->changes[i]);

        fsm_sum_subtract(&fsm->sum, &sum);
    }
}

void fsm_history_free(struct coord_fsm *fsm, struct fsm_object *object)
{
    for (size_t i = 0; i < object->change_count; i++) {
        drop_change(fsm, &object->changes[i]);
    }
    free(object->changes);
    object->changes = NULL;
    object->change_count = 0;
    object->change_capacity = 0;
}
