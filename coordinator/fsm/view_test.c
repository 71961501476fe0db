/* view_test.c - a view is what a query with its node in the filter shows of the whole, after any
 * history, wherever the listing began and however its pages lay between the changes. */
#include "base/buf.h"
#include "base/test.h"
#include "base/varint.h"
#include "coordinator/fsm/fsm_fixture.h"
#include "net/proto_codec.h"

enum { GUEST = 100, GUESTS = 4, VOLUME = 200, VOLUMES = 4, MIGRATION = 300, IMAGE = 400 };
enum { ROUNDS = 40, STEPS = 120, NODES = 3 };

static const unsigned nodes[NODES] = {FIX_NODE_A, FIX_NODE_B, FIX_NODE_C};

struct watch {
    struct fix fix;
    struct coord_fsm *view;
    struct ray_id node;
    uint64_t random;
    unsigned next_id;
    struct ray_buf cursor; /* of a list under way */
    struct ray_buf batch;  /* events since the list began, not taken yet */
    uint64_t since;        /* revision that the batch begins after */
    bool is_listing;
    size_t lists;
};

static unsigned draw(struct watch *watch, unsigned count)
{
    watch->random = watch->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(watch->random >> 33) % count;
}

/* ---- what happens ---- */

static void migrate(struct watch *watch, unsigned guest)
{
    unsigned to = nodes[draw(watch, NODES)];

    if (fix_migrate(&watch->fix, MIGRATION + watch->next_id++, guest, to) == RAY_OK &&
        draw(watch, 2) == 0) {
        (void)fix_outcome(&watch->fix, RAY_EPOCH_MIGRATION, guest, fix_incarnation(to), to,
                          fix_incarnation(to), NULL);
    }
}

static void change(struct watch *watch)
{
    struct fix *fix = &watch->fix;
    unsigned guest = GUEST + draw(watch, GUESTS);
    unsigned volume = VOLUME + draw(watch, VOLUMES);
    unsigned node = nodes[draw(watch, NODES)];

    switch (draw(watch, 9)) {
    case 0:
        (void)fix_put_guest(fix, guest, true);
        break;
    case 1:
        (void)fix_put_volume(fix, volume);
        break;
    case 2:
        (void)fix_attach(fix, volume, guest);
        break;
    case 3:
        (void)fix_restart(fix, guest, node);
        break;
    case 4:
        migrate(watch, guest);
        break;
    case 5:
        (void)fix_outcome(fix, RAY_EPOCH_STOPPED, guest, fix_incarnation(node), 0, 0, NULL);
        break;
    case 6:
        (void)fix_put_plain(fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, IMAGE + draw(watch, 5), "",
                            10 + draw(watch, 50));
        break;
    case 7:
        (void)fix_delete(fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, IMAGE + draw(watch, 5));
        break;
    default:
        (void)fix_detach(fix, volume);
        break;
    }
}

/* ---- what a member tells ---- */

static bool is_told(const struct watch *watch, const struct coord_fsm_event *event)
{
    bool is_match = event->is_for_all;

    for (uint32_t i = 0; i < event->node_count && !is_match; i++) {
        is_match = ray_id_equal(&event->nodes[i], &watch->node);
    }
    return is_match;
}

static void put_varint(struct ray_buf *out, uint64_t value)
{
    uint8_t bytes[RAY_VARINT_SIZE_MAX];
    size_t size = (size_t)(ray_varint_put(bytes, value) - bytes);

    assert_int_equal(ray_buf_append(out, bytes, size), RAY_OK);
}

static void note_events(struct watch *watch)
{
    const struct coord_fsm_outcome *outcome = &watch->fix.outcome;

    for (size_t i = 0; i < outcome->event_count; i++) {
        if (is_told(watch, &outcome->events[i])) {
            put_varint(&watch->batch, 1 << 3 | 2);
            put_varint(&watch->batch, outcome->events[i].packed_size);
            assert_int_equal(ray_buf_append(&watch->batch, outcome->events[i].packed,
                                            outcome->events[i].packed_size),
                             RAY_OK);
        }
    }
}

static void ask(struct coord_fsm *fsm, const struct ray_id *node, struct ray_buf *cursor,
                uint32_t count_max, struct ray_buf *out)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    uint8_t packed[256];

    query.node = ray_proto_optional_id(node);
    query.count_max = count_max;
    if (cursor != NULL) {
        query.cursor = ray_proto_bytes(cursor->data, cursor->size);
    }
    assert_true(rayos__registry__query__get_packed_size(&query) <= sizeof packed);
    assert_int_equal(
        coord_fsm_query(fsm, packed, rayos__registry__query__pack(&query, packed), out, NULL),
        RAY_OK);
}

/* ---- the view ---- */

static void list_page(struct watch *watch)
{
    struct ray_buf page;
    struct ray_buf next;

    ray_buf_init(&page, 1 << 20);
    ray_buf_init(&next, 1024);
    if (!watch->is_listing) {
        coord_fsm_destroy(watch->view);
        assert_int_equal(coord_fsm_view_create(&watch->view, &watch->node, NULL), RAY_OK);
        ray_buf_clear(&watch->cursor);
        ray_buf_clear(&watch->batch);
        watch->lists++;
    }
    ask(watch->fix.fsm, &watch->node, watch->is_listing ? &watch->cursor : NULL, 1 + draw(watch, 6),
        &page);
    assert_int_equal(coord_fsm_view_page(watch->view, page.data, page.size, &next, NULL), RAY_OK);
    if (!watch->is_listing) {
        watch->since = coord_fsm_index(watch->view);
        assert_int_equal(watch->since, coord_fsm_index(watch->fix.fsm));
    }
    watch->is_listing = next.size > 0;
    ray_buf_clear(&watch->cursor);
    assert_int_equal(ray_buf_append(&watch->cursor, next.data, next.size), RAY_OK);
    ray_buf_fini(&page);
    ray_buf_fini(&next);
}

static void compare(struct watch *watch)
{
    struct ray_buf whole;
    struct ray_buf part;
    Rayos__Registry__Answer *left;
    Rayos__Registry__Answer *right;

    ray_buf_init(&whole, 1 << 20);
    ray_buf_init(&part, 1 << 20);
    ask(watch->fix.fsm, &watch->node, NULL, 1000, &whole);
    ask(watch->view, &watch->node, NULL, 1000, &part);
    left = rayos__registry__answer__unpack(NULL, whole.size, whole.data);
    right = rayos__registry__answer__unpack(NULL, part.size, part.data);
    assert_int_equal(left->n_entries, right->n_entries);
    assert_int_equal(left->revision, right->revision);
    assert_int_equal(whole.size, part.size);
    assert_memory_equal(whole.data, part.data, whole.size);
    rayos__registry__answer__free_unpacked(left, NULL);
    rayos__registry__answer__free_unpacked(right, NULL);
    ray_buf_fini(&whole);
    ray_buf_fini(&part);
}

static void catch_up(struct watch *watch)
{
    int rc;

    while (watch->is_listing) {
        list_page(watch);
    }
    put_varint(&watch->batch, 2 << 3);
    put_varint(&watch->batch, coord_fsm_index(watch->fix.fsm));
    rc = coord_fsm_view_batch(watch->view, watch->batch.data, watch->batch.size, NULL);
    ray_buf_clear(&watch->batch);
    if (rc == RAY_EAGAIN) {
        do {
            list_page(watch);
        } while (watch->is_listing);
    } else {
        assert_int_equal(rc, RAY_OK);
    }
    compare(watch);
}

static void round_of(struct watch *watch)
{
    for (int i = 0; i < STEPS; i++) {
        uint64_t before = watch->fix.index;

        change(watch);
        /* Some of the helpers apply two entries; those are missed, and listed anew. */
        if (watch->fix.index > before + 1) {
            watch->is_listing = false;
            list_page(watch);
        } else if (watch->fix.index == before + 1) {
            note_events(watch);
        }
        if (watch->is_listing && draw(watch, 3) == 0) {
            list_page(watch);
        }
        if (draw(watch, 4) == 0) {
            catch_up(watch);
        }
    }
    catch_up(watch);
}

static void test_a_view_is_the_filtered_whole(void **state)
{
    size_t most_guests = 0;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct watch watch = {.random = round + 1, .node = fix_id(nodes[1 + round % 2])};

        fix_open_cluster(&watch.fix);
        watch.fix.has_no_twin = true;
        assert_int_equal(fix_add_node(&watch.fix, FIX_NODE_B), RAY_OK);
        assert_int_equal(fix_add_node(&watch.fix, FIX_NODE_C), RAY_OK);
        ray_buf_init(&watch.cursor, 1024);
        ray_buf_init(&watch.batch, 1 << 20);
        list_page(&watch);
        round_of(&watch);
        assert_non_null(coord_fsm_cluster(watch.view));
        assert_non_null(coord_fsm_find(watch.view, COORD_NODE, &watch.node));
        assert_int_equal(coord_fsm_count(watch.view, COORD_TOKEN), 0);
        if (coord_fsm_count(watch.view, COORD_GUEST) > most_guests) {
            most_guests = coord_fsm_count(watch.view, COORD_GUEST);
        }
        coord_fsm_destroy(watch.view);
        ray_buf_fini(&watch.cursor);
        ray_buf_fini(&watch.batch);
        watch.fix.has_no_twin = false;
        fix_close(&watch.fix);
    }
    assert_true(most_guests > 1);
}

/* ---- a name that goes over ---- */

struct told {
    unsigned image;
    const char *name;
    uint64_t revision;
};

static void describe(const struct told *told, struct ray_id *id, Rayos__Registry__Object *out)
{
    *id = fix_id(told->image);
    rayos__registry__object__init(out);
    out->kind = RAYOS__REGISTRY__KIND__KIND_IMAGE;
    out->id = ray_proto_optional_id(id);
    out->name = (char *)(uintptr_t)told->name;
    out->revision = told->revision;
}

static void tell_page(struct coord_fsm *view, const struct told *told, bool is_last)
{
    Rayos__Registry__Answer answer = RAYOS__REGISTRY__ANSWER__INIT;
    Rayos__Registry__Entry entry = RAYOS__REGISTRY__ENTRY__INIT;
    Rayos__Registry__Entry *entries[] = {&entry};
    Rayos__Registry__Object object;
    struct ray_id id;
    struct ray_buf cursor;
    uint8_t more[1] = {1};
    uint8_t packed[512];
    size_t size;

    describe(told, &id, &object);
    entry.object = &object;
    answer.entries = entries;
    answer.n_entries = 1;
    answer.revision = told->revision;
    answer.cursor = (ProtobufCBinaryData){is_last ? 0 : sizeof more, more};
    ray_buf_init(&cursor, 16);
    assert_true(rayos__registry__answer__get_packed_size(&answer) <= sizeof packed);
    size = rayos__registry__answer__pack(&answer, packed);
    assert_int_equal(coord_fsm_view_page(view, packed, size, &cursor, NULL), RAY_OK);
    ray_buf_fini(&cursor);
}

static void tell_event(struct coord_fsm *view, const struct told *told)
{
    Rayos__Registry__WatchBatch batch = RAYOS__REGISTRY__WATCH_BATCH__INIT;
    Rayos__Registry__WatchEvent event = RAYOS__REGISTRY__WATCH_EVENT__INIT;
    Rayos__Registry__WatchEvent *events[] = {&event};
    Rayos__Registry__Object object;
    struct ray_id id;
    uint8_t packed[512];
    size_t size;

    describe(told, &id, &object);
    event.object = &object;
    event.revision = told->revision;
    batch.events = events;
    batch.n_events = 1;
    batch.revision = told->revision;
    assert_true(rayos__registry__watch_batch__get_packed_size(&batch) <= sizeof packed);
    size = rayos__registry__watch_batch__pack(&batch, packed);
    assert_int_equal(coord_fsm_view_batch(view, packed, size, NULL), RAY_OK);
}

static void check_name(struct coord_fsm *view, unsigned image, const char *name)
{
    struct ray_id id = fix_id(image);
    const struct coord_object *object = coord_fsm_find(view, COORD_IMAGE, &id);

    assert_non_null(object);
    assert_string_equal(object->name, name);
}

/* The list begins at 9; A has "x" at 10 and gives it up at 12, B has it at 14. The second page
 * shows B so before the events tell of A. */
static void test_a_name_stays_with_its_last_owner(void **state)
{
    enum { A = IMAGE, B = IMAGE + 1 };
    const struct told a_before = {A, "w", 9}, b_after = {B, "x", 14};
    const struct told events[] = {{A, "x", 10}, {A, "y", 12}, {B, "x", 14}};
    struct coord_fsm *view = NULL;
    struct ray_id node = fix_id(FIX_NODE_A);

    (void)state;
    assert_int_equal(coord_fsm_view_create(&view, &node, NULL), RAY_OK);
    tell_page(view, &a_before, false);
    tell_page(view, &b_after, true);
    assert_int_equal(coord_fsm_index(view), 9);
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        tell_event(view, &events[i]);
        check_name(view, B, "x");
    }
    check_name(view, A, "y");
    coord_fsm_destroy(view);
}

static void test_what_is_refused(void **state)
{
    struct fix fix;
    struct coord_fsm *view = NULL;
    struct ray_id node = fix_id(FIX_NODE_A);
    struct ray_buf page;
    struct ray_buf cursor;
    const uint8_t before[] = {2 << 3, 0};
    const uint8_t resync[] = {2 << 3, 9, 3 << 3, 1};
    const uint8_t nonsense[] = {0xff};

    (void)state;
    fix_open_cluster(&fix);
    ray_buf_init(&page, 1 << 20);
    ray_buf_init(&cursor, 1024);
    ask(fix.fsm, &node, NULL, 0, &page);
    assert_int_equal(coord_fsm_view_create(&view, &node, NULL), RAY_OK);
    assert_int_equal(coord_fsm_view_page(view, nonsense, 1, &cursor, NULL), RAY_EMALFORMED);
    assert_int_equal(coord_fsm_view_page(view, page.data, page.size, &cursor, NULL), RAY_OK);
    assert_int_equal(cursor.size, 0);
    assert_int_equal(coord_fsm_view_batch(view, before, sizeof before, NULL), RAY_EMALFORMED);
    assert_int_equal(coord_fsm_view_batch(view, resync, sizeof resync, NULL), RAY_EAGAIN);
    assert_int_equal(coord_fsm_view_batch(view, nonsense, 1, NULL), RAY_EMALFORMED);
    coord_fsm_destroy(view);
    ray_buf_fini(&page);
    ray_buf_fini(&cursor);
    fix_close(&fix);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_view_is_the_filtered_whole),
        cmocka_unit_test(test_a_name_stays_with_its_last_owner),
        cmocka_unit_test(test_what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
