/* query_test.c - pages, filters, and what clients may put. */
#include "base/test.h"
#include "coordinator/fsm/fsm_fixture.h"
#include "net/proto_codec.h"

enum { GUEST = 200, IMAGE = 600 };

struct asked {
    Rayos__Registry__Answer *answer;
    int rc;
};

static struct asked ask(struct fix *fix, const Rayos__Registry__Query *query)
{
    struct asked asked = {0};
    struct ray_buf out;
    uint8_t bytes[1024];
    size_t size = rayos__registry__query__get_packed_size(query);

    assert_true(size <= sizeof bytes);
    (void)rayos__registry__query__pack(query, bytes);
    ray_buf_init(&out, 1 << 20);
    asked.rc = coord_fsm_query(fix->fsm, bytes, size, &out, NULL);
    if (asked.rc == RAY_OK) {
        asked.answer = rayos__registry__answer__unpack(NULL, out.size, out.data);
        assert_non_null(asked.answer);
    }
    ray_buf_fini(&out);
    return asked;
}

static size_t count_pages(struct fix *fix, Rayos__Registry__Query *query, size_t *out_pages)
{
    uint8_t cursor[COORD_FSM_RECORD_KEY_SIZE];
    struct ray_id last = {0};
    size_t count = 0;

    *out_pages = 0;
    query->cursor = (ProtobufCBinaryData){0};
    for (;;) {
        struct asked asked = ask(fix, query);
        bool has_more;

        assert_int_equal(asked.rc, RAY_OK);
        count += asked.answer->n_entries;
        (*out_pages)++;
        for (size_t i = 0; i < asked.answer->n_entries; i++) {
            struct ray_id id;

            memcpy(id.bytes, asked.answer->entries[i]->object->id.data, RAY_ID_SIZE);
            assert_true(query->kind == 0 || ray_id_compare(&last, &id) < 0);
            last = id;
        }
        has_more = asked.answer->cursor.len > 0;
        if (has_more) {
            assert_int_equal(asked.answer->cursor.len, sizeof cursor);
            memcpy(cursor, asked.answer->cursor.data, sizeof cursor);
        }
        rayos__registry__answer__free_unpacked(asked.answer, NULL);
        if (!has_more) {
            return count;
        }
        query->cursor = ray_proto_bytes(cursor, sizeof cursor);
    }
}

static void test_pages(void **state)
{
    struct fix fix;
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    size_t pages;

    (void)state;
    fix_open_cluster(&fix);
    for (unsigned i = 0; i < 250; i++) {
        /* Not in order. */
        assert_int_equal(
            fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, IMAGE + i * 37 % 250, "", 10),
            RAY_OK);
    }
    query.kind = RAYOS__REGISTRY__KIND__KIND_IMAGE;
    assert_int_equal(count_pages(&fix, &query, &pages), 250);
    assert_int_equal(pages, 3);
    query.count_max = 125;
    assert_int_equal(count_pages(&fix, &query, &pages), 250);
    assert_int_equal(pages, 2);
    query.count_max = UINT32_MAX;
    assert_int_equal(count_pages(&fix, &query, &pages), 250);
    assert_int_equal(pages, 1);
    query.kind = RAYOS__REGISTRY__KIND__KIND_NONE;
    query.count_max = 7;
    assert_int_equal(count_pages(&fix, &query, &pages), 254); /* cluster, node, admin, token */
    query.kind = RAYOS__REGISTRY__KIND__KIND_POLICY;
    assert_int_equal(count_pages(&fix, &query, &pages), 0);
    fix_close(&fix);
}

/* Large objects end a page before its count. */
static void test_page_size(void **state)
{
    struct fix fix;
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    size_t pages;

    (void)state;
    fix_open_cluster(&fix);
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, IMAGE + i, "",
                                       COORD_FSM_SPEC_SIZE_MAX),
                         RAY_OK);
    }
    query.kind = RAYOS__REGISTRY__KIND__KIND_IMAGE;
    assert_int_equal(count_pages(&fix, &query, &pages), 30);
    assert_int_equal(pages, 3); /* 11 of 64 KiB each */
    fix_close(&fix);
}

static void test_filters(void **state)
{
    struct fix fix;
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    struct ray_id node_a = fix_id(FIX_NODE_A);
    struct ray_id node_b = fix_id(FIX_NODE_B);
    size_t pages;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_add_node(&fix, FIX_NODE_B), RAY_OK);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(fix_put_guest(&fix, GUEST + i, true), RAY_OK);
        if (i % 3 > 0) {
            assert_int_equal(fix_restart(&fix, GUEST + i, i % 3 == 1 ? FIX_NODE_A : FIX_NODE_B),
                             RAY_OK);
        }
    }
    query.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    query.node = ray_proto_optional_id(&node_a);
    assert_int_equal(count_pages(&fix, &query, &pages), 3);
    query.node = ray_proto_optional_id(&node_b);
    query.kind = RAYOS__REGISTRY__KIND__KIND_NONE;
    /* Guests, itself, the cluster, and A, which is a voter. */
    assert_int_equal(count_pages(&fix, &query, &pages), 6);
    fix_close(&fix);
}

static void test_one(void **state)
{
    struct fix fix;
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    struct ray_id id = fix_id(GUEST);
    struct asked asked;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_put_guest(&fix, GUEST, true), RAY_OK);
    query.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    query.name = (char *)"guest-200";
    for (int i = 0; i < 2; i++) {
        asked = ask(&fix, &query);
        assert_int_equal(asked.rc, RAY_OK);
        assert_int_equal(asked.answer->n_entries, 1);
        assert_int_equal(asked.answer->entries[0]->object->guest->wanted,
                         RAYOS__REGISTRY__WANTED__WANTED_RUNNING);
        assert_int_equal(asked.answer->entries[0]->n_changes, 0); /* not asked for */
        rayos__registry__answer__free_unpacked(asked.answer, NULL);
        query.name = (char *)"";
        query.id = ray_proto_optional_id(&id);
    }
    id = fix_id(999);
    assert_int_equal(ask(&fix, &query).rc, RAY_ENOTFOUND);
    query.kind = RAYOS__REGISTRY__KIND__KIND_NONE;
    assert_int_equal(ask(&fix, &query).rc, RAY_EINVAL);
    query.kind = (Rayos__Registry__Kind)99;
    assert_int_equal(ask(&fix, &query).rc, RAY_EINVAL);
    query.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    query.id = ray_proto_bytes("12345", 5);
    assert_int_equal(ask(&fix, &query).rc, RAY_EINVAL);
    query.id = (ProtobufCBinaryData){0};
    query.cursor = ray_proto_bytes("12345", 5);
    assert_int_equal(ask(&fix, &query).rc, RAY_EINVAL);
    assert_int_equal(coord_fsm_query(fix.fsm, (const uint8_t *)"\xff", 1, NULL, NULL),
                     RAY_EMALFORMED);
    fix_close(&fix);
}

struct label_change {
    const char *set;
    const char *value;
    const char *remove;
};

static int change_label(struct fix *fix, Rayos__Registry__Kind kind, unsigned id,
                        const struct label_change *change)
{
    struct fix_command command;
    Rayos__Registry__ObjectLabel request = RAYOS__REGISTRY__OBJECT_LABEL__INIT;
    Rayos__Registry__Label label = RAYOS__REGISTRY__LABEL__INIT;
    Rayos__Registry__Label *labels[] = {&label};
    char *removed[] = {(char *)change->remove};
    struct ray_id object_id = fix_id(id);

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL;
    command.message.object_label = &request;
    request.kind = kind;
    request.id = ray_proto_optional_id(&object_id);
    if (change->set != NULL) {
        label.key = (char *)change->set;
        label.value = ray_proto_bytes(change->value, strlen(change->value));
        request.set = labels;
        request.n_set = 1;
    }
    if (change->remove != NULL) {
        request.remove = removed;
        request.n_remove = 1;
    }
    return fix_apply(fix, &command);
}

static void test_labels(void **state)
{
    static const struct label_change b = {"b", "2", NULL};
    static const struct label_change a = {"a", "1", NULL};
    static const struct label_change c = {"c", "3", "a"};
    static const struct label_change a_again = {"a", "4", "a"};
    static const struct label_change empty = {"", "4", NULL};
    struct fix fix;
    const struct coord_object *object;
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    Rayos__Registry__Label wanted = RAYOS__REGISTRY__LABEL__INIT;
    Rayos__Registry__Label *list[] = {&wanted};
    size_t pages;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_put_guest(&fix, GUEST, true), RAY_OK);
    assert_int_equal(change_label(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST, &b), RAY_OK);
    assert_int_equal(change_label(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST, &a), RAY_OK);
    assert_int_equal(change_label(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST, &c), RAY_OK);
    object = fix_find(&fix, COORD_GUEST, GUEST);
    assert_int_equal(object->label_count, 2);
    assert_string_equal(object->labels[0].key, "b");
    assert_string_equal(object->labels[1].key, "c");
    assert_int_equal(change_label(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST, &a_again),
                     RAY_OK);
    object = fix_find(&fix, COORD_GUEST, GUEST);
    assert_int_equal(object->label_count, 3);
    assert_memory_equal(object->labels[0].value.data, "4", 1);
    assert_int_equal(change_label(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST, &empty),
                     RAY_EINVAL);
    assert_int_equal(change_label(&fix, RAYOS__REGISTRY__KIND__KIND_NONE, GUEST, &a), RAY_EINVAL);
    assert_int_equal(change_label(&fix, RAYOS__REGISTRY__KIND__KIND_CLUSTER, FIX_CLUSTER, &a),
                     RAY_OK);
    query.labels = list;
    query.n_labels = 1;
    wanted.key = (char *)"a";
    wanted.value = ray_proto_bytes("4", 1);
    assert_int_equal(count_pages(&fix, &query, &pages), 1);
    wanted.value = ray_proto_bytes("9", 1);
    assert_int_equal(count_pages(&fix, &query, &pages), 0);
    fix_close(&fix);
}

static void test_label_limits(void **state)
{
    struct fix fix;
    char key[COORD_LABEL_KEY_SIZE_MAX + 2];
    char value[COORD_LABEL_VALUE_SIZE_MAX + 2];
    struct label_change change = {key, value, NULL};

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_put_guest(&fix, GUEST, true), RAY_OK);
    memset(key, 'k', sizeof key);
    memset(value, 'v', sizeof value);
    key[COORD_LABEL_KEY_SIZE_MAX] = '\0';
    value[COORD_LABEL_VALUE_SIZE_MAX] = '\0';
    assert_int_equal(change_label(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST, &change), RAY_OK);
    key[0] = 'l'; /* two of these are more than all together may be */
    assert_int_equal(change_label(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST, &change),
                     RAY_ETOOBIG);
    value[COORD_LABEL_VALUE_SIZE_MAX] = 'v';
    value[COORD_LABEL_VALUE_SIZE_MAX + 1] = '\0';
    assert_int_equal(change_label(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST, &change),
                     RAY_ETOOBIG);
    key[COORD_LABEL_KEY_SIZE_MAX] = 'k';
    key[COORD_LABEL_KEY_SIZE_MAX + 1] = '\0';
    value[1] = '\0';
    assert_int_equal(change_label(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST, &change),
                     RAY_EINVAL);
    /* Many small ones. */
    for (unsigned i = 1; i <= COORD_LABELS_MAX; i++) {
        (void)snprintf(key, sizeof key, "n%u", i);
        assert_int_equal(change_label(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST, &change),
                         i < COORD_LABELS_MAX ? RAY_OK : RAY_ETOOBIG);
    }
    fix_close(&fix);
}

struct put_flags {
    bool is_create;
    bool is_update;
    uint64_t expected;
};

static int put_image(struct fix *fix, unsigned id, const char *name, struct put_flags flags)
{
    struct fix_command command;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    struct ray_id object_id = fix_id(id);

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.message.object_put = &put;
    object.kind = RAYOS__REGISTRY__KIND__KIND_IMAGE;
    object.id = ray_proto_optional_id(&object_id);
    object.name = (char *)name;
    put.object = &object;
    put.is_create = flags.is_create;
    put.is_update = flags.is_update;
    put.expected_revision = flags.expected;
    return fix_apply(fix, &command);
}

static void test_put_conditions(void **state)
{
    struct fix fix;
    uint64_t revision;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(put_image(&fix, IMAGE, "a", (struct put_flags){.is_update = true}),
                     RAY_ENOTFOUND);
    assert_int_equal(put_image(&fix, IMAGE, "a", (struct put_flags){.expected = 3}), RAY_ENOTFOUND);
    assert_int_equal(put_image(&fix, IMAGE, "a", (struct put_flags){.is_create = true}), RAY_OK);
    revision = fix.index;
    assert_int_equal(put_image(&fix, IMAGE, "a", (struct put_flags){.is_create = true}),
                     RAY_EEXISTS);
    assert_int_equal(put_image(&fix, IMAGE + 1, "a", (struct put_flags){0}), RAY_EEXISTS);
    assert_int_equal(put_image(&fix, IMAGE, "b", (struct put_flags){.expected = revision}), RAY_OK);
    assert_int_equal(put_image(&fix, IMAGE, "c", (struct put_flags){.expected = revision}),
                     RAY_ECONFLICT);
    assert_int_equal(put_image(&fix, IMAGE, "", (struct put_flags){.is_update = true}), RAY_OK);
    assert_non_null(coord_fsm_find_name(fix.fsm, COORD_IMAGE, "b"));
    assert_null(coord_fsm_find_name(fix.fsm, COORD_IMAGE, "a"));
    assert_int_equal(put_image(&fix, IMAGE + 1, "a", (struct put_flags){0}), RAY_OK);
    assert_int_equal(put_image(&fix, IMAGE + 2, "with space", (struct put_flags){0}), RAY_EINVAL);
    fix_close(&fix);
}

static void test_what_is_not_put(void **state)
{
    struct fix fix;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_CLUSTER, 9, "", 1),
                     RAY_EINVAL);
    assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_NODE, 9, "x", 1), RAY_EINVAL);
    assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_EVENT, 9, "", 1), RAY_EINVAL);
    assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_MIGRATION, 9, "", 1),
                     RAY_EINVAL);
    assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_PRESENTATION, 9, "", 1),
                     RAY_EINVAL);
    assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, 9, "x", 1),
                     RAY_EINVAL);
    assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_TOKEN, 9, "", 1), RAY_EINVAL);
    assert_int_equal(fix_put_plain(&fix, (Rayos__Registry__Kind)77, 9, "", 1), RAY_EINVAL);
    assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, IMAGE, "",
                                   COORD_FSM_SPEC_SIZE_MAX + 1),
                     RAY_ETOOBIG);
    assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_VOLUME, IMAGE, "",
                                   COORD_FSM_VOLUME_SPEC_SIZE_MAX + 1),
                     RAY_ETOOBIG);
    assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_POLICY, IMAGE, "", 1),
                     RAY_EINVAL);
    assert_int_equal(fix_put_plain(&fix, RAYOS__REGISTRY__KIND__KIND_OPERATION, IMAGE, "op", 1),
                     RAY_OK);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_NODE, FIX_NODE_A), RAY_EINVAL);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_CLUSTER, FIX_CLUSTER),
                     RAY_EINVAL);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_PRINCIPAL, FIX_ADMIN),
                     RAY_ECONFLICT); /* the last admin */
    assert_int_equal(fix_token_put(&fix, FIX_TOKEN, 1, 0, false), RAY_EEXISTS);
    assert_int_equal(fix_token_put(&fix, 31, 0, 0, false), RAY_EINVAL);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_TOKEN, FIX_TOKEN), RAY_OK);
    fix_close(&fix);
}

static int present(struct fix *fix, unsigned id, unsigned guest, unsigned node)
{
    struct fix_command command;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Presentation body = RAYOS__REGISTRY__PRESENTATION__INIT;
    struct ray_id object_id = fix_id(id);
    struct ray_id guest_id = fix_id(guest);
    struct ray_id node_id = fix_id(node);

    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.message.object_put = &put;
    object.kind = RAYOS__REGISTRY__KIND__KIND_PRESENTATION;
    object.id = ray_proto_optional_id(&object_id);
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_PRESENTATION;
    object.presentation = &body;
    body.guest = ray_proto_optional_id(&guest_id);
    body.node = ray_proto_optional_id(&node_id);
    body.surface = (char *)"desktop";
    put.object = &object;
    return fix_apply(fix, &command);
}

static void test_presentations(void **state)
{
    struct fix fix;
    const struct coord_presentation *presentation;
    uint64_t first;

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(present(&fix, 700, GUEST, FIX_NODE_A), RAY_ENOTFOUND);
    assert_int_equal(fix_put_guest(&fix, GUEST, true), RAY_OK);
    assert_int_equal(present(&fix, 700, GUEST, FIX_NODE_B), RAY_ENOTFOUND);
    assert_int_equal(present(&fix, 700, GUEST, FIX_NODE_A), RAY_OK);
    presentation = &fix_find(&fix, COORD_PRESENTATION, 700)->presentation;
    assert_string_equal(presentation->surface, "desktop");
    first = presentation->epoch.index;
    assert_int_equal(first, fix.index);
    assert_int_equal(present(&fix, 700, GUEST, FIX_NODE_A), RAY_OK);
    presentation = &fix_find(&fix, COORD_PRESENTATION, 700)->presentation;
    assert_true(presentation->epoch.index > first);
    for (unsigned i = 1; i < COORD_FSM_GUEST_PRESENTATIONS_MAX; i++) {
        assert_int_equal(present(&fix, 700 + i, GUEST, FIX_NODE_A), RAY_OK);
    }
    assert_int_equal(present(&fix, 800, GUEST, FIX_NODE_A), RAY_ECONFLICT);
    assert_int_equal(fix_delete(&fix, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST), RAY_OK);
    assert_int_equal(coord_fsm_count(fix.fsm, COORD_PRESENTATION), 0);
    fix_close(&fix);
}

static bool has_bytes(const uint8_t *bytes, size_t size, const uint8_t *part, size_t part_size)
{
    for (size_t i = 0; i + part_size <= size; i++) {
        if (memcmp(bytes + i, part, part_size) == 0) {
            return true;
        }
    }
    return false;
}

/* Who knows a token's hash can join: nobody is told, neither who asks nor who watches. */
static void test_tokens_are_told_without_their_hash(void **state)
{
    struct fix fix;
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    const struct coord_fsm_event *event;
    struct ray_buf out;
    struct ray_buf dump;
    uint8_t hash[COORD_KEY_SIZE];
    uint8_t packed[64];

    (void)state;
    fix_open_cluster(&fix);
    assert_int_equal(fix_token_put(&fix, 31, 3, 0, true), RAY_OK);
    memcpy(hash, fix_find(&fix, COORD_TOKEN, 31)->token.hash, sizeof hash);
    event = fix_event(&fix, COORD_TOKEN, 31);
    assert_non_null(event);
    /* The first half is its id. */
    assert_true(has_bytes(event->packed, event->packed_size, hash, RAY_ID_SIZE));
    assert_false(has_bytes(event->packed, event->packed_size, hash + RAY_ID_SIZE, 8));

    query.kind = RAYOS__REGISTRY__KIND__KIND_TOKEN;
    query.with_changes = true;
    assert_true(rayos__registry__query__get_packed_size(&query) <= sizeof packed);
    ray_buf_init(&out, 1 << 20);
    assert_int_equal(
        coord_fsm_query(fix.fsm, packed, rayos__registry__query__pack(&query, packed), &out, NULL),
        RAY_OK);
    assert_true(has_bytes(out.data, out.size, hash, RAY_ID_SIZE));
    assert_false(has_bytes(out.data, out.size, hash + RAY_ID_SIZE, 8));
    ray_buf_fini(&out);

    fix_dump(fix.fsm, &dump); /* but replicas have it */
    assert_true(has_bytes(dump.data, dump.size, hash, sizeof hash));
    ray_buf_fini(&dump);
    fix_close(&fix);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_page_size),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_label_limits),
        cmocka_unit_test(test_put_conditions),
        cmocka_unit_test(test_what_is_not_put),
        cmocka_unit_test(test_presentations),
        cmocka_unit_test(test_tokens_are_told_without_their_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
