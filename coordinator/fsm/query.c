/* query.c - reading pages of objects. A page ends at its count, its size, or after so many objects
 * looked at that the loop would wait: then with fewer entries than wanted, even none. */
#include <assert.h>
#include <string.h>

#include "coordinator/fsm/state.h"
#include "net/proto_codec.h"

enum { COUNT_DEFAULT = 100, SCAN_COUNT_MAX = 20000, LABEL_FILTERS_MAX = 16 };

struct question {
    const Rayos__Registry__Query *query;
    struct ray_id node;
    size_t count_max;
    struct ray_arena *arena;
    Rayos__Registry__Entry **entries;
    size_t count;
    size_t size;
    bool is_one; /* asked for by id or name */
};

static bool has_label(const struct coord_object *object, const Rayos__Registry__Label *wanted)
{
    for (uint32_t i = 0; i < object->label_count; i++) {
        const struct coord_label *label = &object->labels[i];

        if (strcmp(label->key, wanted->key) == 0) {
            return label->value.size == wanted->value.len &&
                   (wanted->value.len == 0 ||
                    memcmp(label->value.data, wanted->value.data, wanted->value.len) == 0);
        }
    }
    return false;
}

static bool is_wanted(const struct coord_fsm *fsm, const struct question *question,
                      const struct coord_object *object)
{
    struct ray_id nodes[COORD_FSM_OBJECT_NODES_MAX];
    bool is_match = ray_id_is_none(&question->node);

    if (!is_match) {
        size_t count = coord_fsm_object_nodes(fsm, object, nodes, &is_match);

        for (size_t i = 0; i < count && !is_match; i++) {
            is_match = ray_id_equal(&nodes[i], &question->node);
        }
    }
    for (size_t i = 0; i < question->query->n_labels && is_match; i++) {
        is_match = has_label(object, question->query->labels[i]);
    }
    return is_match;
}

/* RAY_EAGAIN: the page is full without it. */
static int add_entry(struct question *question, const struct fsm_object *object)
{
    Rayos__Registry__Entry *entry = ray_arena_alloc(question->arena, sizeof *entry);
    size_t size;
    int rc;

    if (entry == NULL) {
        return RAY_ENOMEM;
    }
    rayos__registry__entry__init(entry);
    entry->object = fsm_object_message(&object->pub, question->arena);
    if (entry->object == NULL) {
        return RAY_ENOMEM;
    }
    if (question->is_one && object->pub.kind == COORD_OPERATION &&
        object->pub.operation.command.size > 0) {
        rc = fsm_operation_show(entry->object, question->arena);
        if (rc != RAY_OK) {
            return rc;
        }
    } else {
        (void)fsm_object_hide(entry->object);
    }
    if (question->query->with_changes) {
        entry->changes = fsm_changes_message(object, question->arena, &entry->n_changes);
        if (entry->changes == NULL) {
            return RAY_ENOMEM;
        }
    }
    size = rayos__registry__entry__get_packed_size(entry) + 8;
    if (question->size + size > COORD_FSM_PAGE_SIZE_MAX && question->count > 0) {
        return RAY_EAGAIN;
    }
    question->size += size;
    question->entries[question->count++] = entry;
    return RAY_OK;
}

/* Goes through the order from `key` on; *out_next is where the next page begins after. */
static int scan(struct coord_fsm *fsm, struct question *question,
                uint8_t key[static COORD_FSM_RECORD_KEY_SIZE], bool *out_has_more)
{
    size_t scanned = 0;
    unsigned last_kind = question->query->kind == RAYOS__REGISTRY__KIND__KIND_NONE
                             ? COORD_KIND_COUNT - 1
                             : (unsigned)question->query->kind;

    for (unsigned kind = key[1]; kind <= last_kind; kind++) {
        struct fsm_order *order = &fsm->order[kind];

        for (size_t i = fsm_order_above(order, key); i < order->count; i++) {
            const struct fsm_object *object = fsm_at(fsm, (enum coord_kind)kind, i);
            int rc = RAY_OK;

            *out_has_more = true;
            if (question->count == question->count_max || scanned++ == SCAN_COUNT_MAX) {
                return RAY_OK;
            }
            if (is_wanted(fsm, question, &object->pub)) {
                rc = add_entry(question, object);
            }
            if (rc == RAY_EAGAIN) {
                return RAY_OK;
            }
            if (rc != RAY_OK) {
                return rc;
            }
            memcpy(key, object->item.key, COORD_FSM_RECORD_KEY_SIZE);
            *out_has_more = false;
        }
    }
    return RAY_OK;
}

static int find_one(const struct coord_fsm *fsm, struct question *question, struct ray_err *err)
{
    const Rayos__Registry__Query *query = question->query;
    enum coord_kind kind = (enum coord_kind)query->kind;
    const struct fsm_object *object;
    struct ray_id id;
    int rc;

    if (query->id.len > 0) {
        rc = fsm_id(&query->id, "object", &id, err);
        if (rc != RAY_OK) {
            return rc;
        }
        object = fsm_find(fsm, kind, &id);
    } else {
        object = fsm_find_name(fsm, kind, query->name);
    }
    if (object == NULL) {
        return fsm_refuse(err, RAY_ENOTFOUND, "no such object");
    }
    question->is_one = true;
    return add_entry(question, object);
}

static int read_key(const Rayos__Registry__Query *query,
                    uint8_t key[static COORD_FSM_RECORD_KEY_SIZE], struct ray_err *err)
{
    const struct ray_id none = {0};
    unsigned first =
        query->kind == RAYOS__REGISTRY__KIND__KIND_NONE ? COORD_CLUSTER : (unsigned)query->kind;

    if (query->cursor.len == 0) {
        fsm_key(key, FSM_RECORD_OBJECT, first, &none);
        return RAY_OK;
    }
    if (query->cursor.len != COORD_FSM_RECORD_KEY_SIZE ||
        query->cursor.data[0] != FSM_RECORD_OBJECT || query->cursor.data[1] < first ||
        query->cursor.data[1] >= COORD_KIND_COUNT) {
        return fsm_refuse(err, RAY_EINVAL, "the cursor is of another query");
    }
    memcpy(key, query->cursor.data, COORD_FSM_RECORD_KEY_SIZE);
    return RAY_OK;
}

static int check_query(const Rayos__Registry__Query *query, struct question *question,
                       struct ray_err *err)
{
    bool is_one = query->id.len > 0 || query->name[0] != '\0';

    if (query->kind < (int)COORD_NONE || query->kind >= (int)COORD_KIND_COUNT ||
        (is_one && query->kind == (int)COORD_NONE)) {
        return fsm_refuse(err, RAY_EINVAL, "no such kind, or none with an id or name");
    }
    if (query->n_labels > LABEL_FILTERS_MAX) {
        return fsm_refuse(err, RAY_ETOOBIG, "at most %d labels are looked for", LABEL_FILTERS_MAX);
    }
    question->count_max = query->count_max > 0 ? query->count_max : COUNT_DEFAULT;
    if (question->count_max > COORD_FSM_PAGE_COUNT_MAX) {
        question->count_max = COORD_FSM_PAGE_COUNT_MAX;
    }
    return fsm_optional_id(&query->node, "node", &question->node, err);
}

static int answer(struct coord_fsm *fsm, struct question *question, struct ray_buf *out,
                  struct ray_err *err)
{
    const Rayos__Registry__Query *query = question->query;
    Rayos__Registry__Answer message = RAYOS__REGISTRY__ANSWER__INIT;
    uint8_t key[COORD_FSM_RECORD_KEY_SIZE];
    bool has_more = false;
    size_t size;
    int rc;

    question->entries = ray_arena_alloc(question->arena, question->count_max * sizeof(void *));
    if (question->entries == NULL) {
        return fsm_refuse(err, RAY_ENOMEM, "a page of an answer");
    }
    if (query->id.len > 0 || query->name[0] != '\0') {
        rc = find_one(fsm, question, err);
    } else {
        rc = read_key(query, key, err);
        if (rc == RAY_OK) {
            rc = scan(fsm, question, key, &has_more);
        }
    }
    if (rc != RAY_OK) {
        return rc == RAY_ENOMEM ? fsm_refuse(err, rc, "a page of an answer") : rc;
    }
    message.revision = fsm->index;
    message.entries = question->entries;
    message.n_entries = question->count;
    if (has_more) {
        message.cursor = ray_proto_bytes(key, sizeof key);
    }
    size = rayos__registry__answer__get_packed_size(&message);
    rc = ray_buf_reserve(out, size);
    if (rc != RAY_OK) {
        return fsm_refuse(err, rc, "an answer of %zu bytes", size);
    }
    (void)rayos__registry__answer__pack(&message, out->data + out->size);
    out->size += size;
    return RAY_OK;
}

int coord_fsm_query(struct coord_fsm *fsm, const uint8_t *bytes, size_t size, struct ray_buf *out,
                    struct ray_err *err)
{
    struct question question = {.arena = &fsm->scratch};
    ProtobufCMessage *message;
    int rc;

    fsm_arena_reset(&fsm->scratch);
    rc = ray_proto_unpack(&rayos__registry__query__descriptor, bytes, size, &fsm->scratch, &message,
                          err);
    if (rc != RAY_OK) {
        return rc;
    }
    question.query = (const Rayos__Registry__Query *)message;
    rc = check_query(question.query, &question, err);
    return rc == RAY_OK ? answer(fsm, &question, out, err) : rc;
}
