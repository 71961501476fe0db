/* watch_test.c - ring and hub: in order, once, without gaps, whole revisions; filters, credit,
 * resync. */
#include "base/test.h"
#include "coordinator/mutant.h"
#include "coordinator/watch/hub.h"
#include "net/proto/registry.pb-c.h"
#include "net/proto_codec.h"

enum { SENT_MAX = 4096, NODES = 3 };

/* What one watcher has got. */
struct got {
    uint64_t revisions[SENT_MAX];
    uint32_t subs[SENT_MAX];
    size_t count;
    uint64_t bookmark;
    uint64_t resync_revision;
    unsigned batch_count;
    unsigned resync_count;
    int next_rc; /* what the link answers; RAY_OK by default */
};

struct world {
    struct coord_watch_ring ring;
    struct coord_watch_hub *hub;
    struct got got[8];
    uint64_t revision;
    uint64_t now_ms;
};

static struct ray_id id_of(uint8_t number)
{
    struct ray_id id = {.bytes = {[15] = number}};

    return id;
}

static int on_send(void *arg, uint64_t watcher, const uint8_t *bytes, size_t size)
{
    struct world *world = arg;
    struct got *got = &world->got[watcher];
    Rayos__Registry__WatchBatch *batch;

    if (got->next_rc != RAY_OK) {
        return got->next_rc;
    }
    batch = rayos__registry__watch_batch__unpack(NULL, size, bytes);
    assert_non_null(batch);
    got->batch_count++;
    if (batch->is_resync) {
        assert_int_equal(batch->n_events, 0);
        got->resync_count++;
        got->resync_revision = batch->revision;
        got->bookmark = batch->revision;
    }
    for (size_t i = 0; i < batch->n_events; i++) {
        const Rayos__Registry__WatchEvent *event = batch->events[i];

        /* Above every bookmark, in order. */
        assert_true(event->revision > got->bookmark);
        assert_true(event->revision <= batch->revision);
        assert_non_null(event->object);
        assert_true(got->count < SENT_MAX);
        got->revisions[got->count] = event->revision;
        got->subs[got->count++] = event->sub_index;
    }
    assert_true(batch->revision >= got->bookmark);
    got->bookmark = batch->revision;
    rayos__registry__watch_batch__free_unpacked(batch, NULL);
    return RAY_OK;
}

static void open_world(struct world *world, size_t count_max, size_t size_max)
{
    *world = (struct world){.revision = 100, .now_ms = 1000};
    for (size_t i = 0; i < 8; i++) {
        world->got[i].bookmark = 0;
    }
    coord_watch_ring_init(&world->ring, count_max, size_max, world->revision);
    assert_int_equal(coord_watch_hub_create(&world->hub, &world->ring, on_send, world, NULL),
                     RAY_OK);
}

static void close_world(struct world *world)
{
    coord_watch_hub_destroy(world->hub);
    coord_watch_ring_fini(&world->ring);
}

/* One revision with `count` events about the nodes 1, 2, ... in turn. */
static void happen(struct world *world, size_t count)
{
    struct coord_fsm_event events[COORD_FSM_EVENTS_MAX] = {0};
    uint8_t packed[COORD_FSM_EVENTS_MAX][64];

    world->revision++;
    for (size_t i = 0; i < count; i++) {
        Rayos__Registry__WatchEvent message = RAYOS__REGISTRY__WATCH_EVENT__INIT;
        Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;

        message.revision = world->revision;
        message.sub_index = (uint32_t)i;
        message.object = &object;
        object.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
        events[i].revision = world->revision;
        events[i].sub_index = (uint32_t)i;
        events[i].kind = i % 2 == 0 ? COORD_GUEST : COORD_VOLUME;
        events[i].node_count = 1;
        events[i].nodes[0] = id_of((uint8_t)(1 + i % NODES));
        events[i].packed = packed[i];
        events[i].packed_size = rayos__registry__watch_event__pack(&message, packed[i]);
    }
    assert_int_equal(coord_watch_ring_append(&world->ring, world->revision, events, count, NULL),
                     RAY_OK);
}

static void tick(struct world *world)
{
    world->now_ms += COORD_WATCH_TICK_MS;
    coord_watch_hub_tick(world->hub, world->now_ms);
}

struct request {
    uint64_t after_revision;
    bool is_from_now;
    bool with_pulse;
    uint32_t credit;
    uint8_t node;
    Rayos__Registry__Kind kind;
};

static int watch(struct world *world, uint64_t watcher, struct request request)
{
    Rayos__Registry__WatchRequest message = RAYOS__REGISTRY__WATCH_REQUEST__INIT;
    Rayos__Registry__WatchFilter filter = RAYOS__REGISTRY__WATCH_FILTER__INIT;
    struct ray_id node = id_of(request.node);
    uint8_t bytes[128];
    size_t size;

    message.after_revision = request.after_revision;
    message.from_now = request.is_from_now;
    message.with_pulse = request.with_pulse;
    message.credit = request.credit;
    message.filter = &filter;
    if (request.node != 0) {
        filter.node = ray_proto_id(&node);
    }
    if (request.kind != 0) {
        filter.kinds = &request.kind;
        filter.n_kinds = 1;
    }
    size = rayos__registry__watch_request__pack(&message, bytes);
    return coord_watch_hub_add(world->hub, watcher, world->now_ms, bytes, size, NULL);
}

static int give_credit(struct world *world, uint64_t watcher, uint32_t credit)
{
    Rayos__Registry__WatchCredit message = RAYOS__REGISTRY__WATCH_CREDIT__INIT;
    uint8_t bytes[16];
    size_t size;

    message.credit = credit;
    size = rayos__registry__watch_credit__pack(&message, bytes);
    return coord_watch_hub_credit(world->hub, watcher, bytes, size, NULL);
}

static void test_in_order(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, 1000, 1 << 20);
    assert_int_equal(watch(&world, 0, (struct request){.is_from_now = true, .credit = 1000}),
                     RAY_OK);
    for (size_t i = 0; i < 30; i++) {
        happen(&world, i % 5);
        if (i % 3 == 0) {
            tick(&world);
        }
    }
    tick(&world);
    assert_int_equal(world.got[0].count, 6 * (1 + 2 + 3 + 4));
    for (size_t i = 1; i < world.got[0].count; i++) {
        const struct got *got = &world.got[0];

        assert_true(
            got->revisions[i] > got->revisions[i - 1] ||
            (got->revisions[i] == got->revisions[i - 1] && got->subs[i] == got->subs[i - 1] + 1));
    }
    assert_int_equal(world.got[0].bookmark, world.revision);
    close_world(&world);
}

static void test_filters(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, 1000, 1 << 20);
    assert_int_equal(
        watch(&world, 1, (struct request){.is_from_now = true, .credit = 1000, .node = 1}), RAY_OK);
    assert_int_equal(watch(&world, 2,
                           (struct request){.is_from_now = true,
                                            .credit = 1000,
                                            .kind = RAYOS__REGISTRY__KIND__KIND_VOLUME}),
                     RAY_OK);
    assert_int_equal(
        watch(&world, 3, (struct request){.is_from_now = true, .credit = 1000, .node = 99}),
        RAY_OK);
    for (size_t i = 0; i < 10; i++) {
        happen(&world, 6);
    }
    tick(&world);
    assert_int_equal(world.got[1].count, 20);
    assert_int_equal(world.got[2].count, 30);
    assert_int_equal(world.got[3].count, 0);
    /* Nothing for it: only, after a while, a bookmark. */
    assert_int_equal(world.got[3].batch_count, 0);
    assert_int_equal(coord_watch_hub_next_ms(world.hub, world.now_ms),
                     1000 + COORD_WATCH_BOOKMARK_MS);
    world.now_ms = 1000 + COORD_WATCH_BOOKMARK_MS - COORD_WATCH_TICK_MS;
    tick(&world);
    assert_int_equal(world.got[3].batch_count, 1);
    assert_int_equal(world.got[3].bookmark, world.revision);
    assert_true(coord_watch_hub_next_ms(world.hub, world.now_ms) == UINT64_MAX);
    close_world(&world);
}

/* Who asked for it hears each second that there is nothing new; others hear nothing. */
static void test_pulse(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, 1000, 1 << 20);
    assert_int_equal(
        watch(&world, 1, (struct request){.is_from_now = true, .credit = 1000, .with_pulse = true}),
        RAY_OK);
    assert_int_equal(watch(&world, 2, (struct request){.is_from_now = true, .credit = 1000}),
                     RAY_OK);
    /* It has been at a replica that is ahead of this one. */
    assert_int_equal(
        watch(&world, 3,
              (struct request){.after_revision = 200, .credit = 1000, .with_pulse = true}),
        RAY_OK);
    tick(&world);
    for (size_t i = 1; i <= 5; i++) {
        uint64_t next_ms = coord_watch_hub_next_ms(world.hub, world.now_ms);

        assert_int_equal(next_ms, 1000 + i * COORD_WATCH_BOOKMARK_MS);
        world.now_ms = next_ms - COORD_WATCH_TICK_MS;
        tick(&world);
        assert_int_equal(world.got[1].batch_count, i);
    }
    assert_int_equal(world.got[1].count, 0);
    assert_int_equal(world.got[1].bookmark, world.revision);
    assert_int_equal(world.got[2].batch_count, 0);
    assert_int_equal(world.got[3].batch_count, 0);
    close_world(&world);
}

static void test_resume(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, 1000, 1 << 20);
    for (size_t i = 0; i < 10; i++) {
        happen(&world, 2);
    }
    assert_int_equal(watch(&world, 0, (struct request){.after_revision = 104, .credit = 100}),
                     RAY_OK);
    assert_int_equal(watch(&world, 1, (struct request){.after_revision = 99, .credit = 100}),
                     RAY_OK);
    assert_int_equal(watch(&world, 2, (struct request){.after_revision = 112, .credit = 100}),
                     RAY_OK);
    assert_int_equal(watch(&world, 0, (struct request){.credit = 1}), RAY_EEXISTS);
    tick(&world);
    assert_int_equal(world.got[0].count, 12);
    assert_int_equal(world.got[0].revisions[0], 105);
    assert_int_equal(world.got[1].resync_count, 1);
    assert_int_equal(world.got[1].resync_revision, 110);
    /* Ahead of this replica: nothing until it has caught up, and then no event twice. */
    assert_int_equal(world.got[2].batch_count, 0);
    for (size_t i = 0; i < 4; i++) {
        happen(&world, 1);
    }
    tick(&world);
    assert_int_equal(world.got[2].count, 2);
    assert_int_equal(world.got[2].revisions[0], 113);
    assert_int_equal(world.got[1].count, 4);
    close_world(&world);
}

static void test_credit(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, 1000, 1 << 20);
    assert_int_equal(watch(&world, 0, (struct request){.is_from_now = true, .credit = 5}), RAY_OK);
    for (size_t i = 0; i < 5; i++) {
        happen(&world, 3);
    }
    tick(&world);
    assert_int_equal(world.got[0].count, 6); /* whole revisions: overdrawn by one event */
    assert_int_equal(world.got[0].bookmark, 102);
    tick(&world);
    assert_int_equal(world.got[0].count, 6);
    assert_int_equal(give_credit(&world, 0, 1), RAY_OK); /* pays it back */
    tick(&world);
    assert_int_equal(world.got[0].count, 6);
    assert_int_equal(give_credit(&world, 0, 100), RAY_OK);
    tick(&world);
    assert_int_equal(world.got[0].count, 15);
    assert_int_equal(give_credit(&world, 0, COORD_WATCH_CREDIT_MAX), RAY_ETOOBIG);
    assert_int_equal(give_credit(&world, 7, 1), RAY_ENOTFOUND);
    close_world(&world);
}

/* Slower than the ring: told so once it has credit, then it goes on from there. */
static void test_slow_watcher(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, 10, 1 << 20);
    assert_int_equal(watch(&world, 0, (struct request){.is_from_now = true}), RAY_OK);
    assert_int_equal(watch(&world, 1, (struct request){.is_from_now = true, .credit = 100}),
                     RAY_OK);
    for (size_t i = 0; i < 20; i++) {
        happen(&world, 2);
        tick(&world);
    }
    assert_int_equal(world.got[1].count, 40);
    assert_int_equal(world.got[1].resync_count, 0);
    assert_int_equal(world.got[0].batch_count, 0);
    assert_int_equal(give_credit(&world, 0, 100), RAY_OK);
    tick(&world);
    assert_int_equal(world.got[0].resync_count, 1);
    assert_int_equal(world.got[0].resync_revision, world.revision);
    happen(&world, 2);
    tick(&world);
    assert_int_equal(world.got[0].count, 2);
    close_world(&world);
}

static void test_link(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, 100, 1 << 20);
    assert_int_equal(watch(&world, 0, (struct request){.is_from_now = true, .credit = 100}),
                     RAY_OK);
    assert_int_equal(watch(&world, 1, (struct request){.is_from_now = true, .credit = 100}),
                     RAY_OK);
    world.got[0].next_rc = RAY_EAGAIN;
    world.got[1].next_rc = RAY_ECLOSED;
    happen(&world, 3);
    tick(&world);
    assert_int_equal(coord_watch_hub_count(world.hub), 1);
    assert_int_equal(coord_watch_hub_next_ms(world.hub, world.now_ms),
                     world.now_ms + COORD_WATCH_TICK_MS);
    world.got[0].next_rc = RAY_OK;
    tick(&world);
    assert_int_equal(world.got[0].count, 3);
    coord_watch_hub_remove(world.hub, 0);
    coord_watch_hub_remove(world.hub, 0);
    assert_int_equal(coord_watch_hub_count(world.hub), 0);
    assert_true(coord_watch_hub_next_ms(world.hub, world.now_ms) == UINT64_MAX);
    close_world(&world);
}

/* One batch per tick, and not more often however often it is asked. */
static void test_ticks(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, 100, 1 << 20);
    assert_int_equal(watch(&world, 0, (struct request){.is_from_now = true, .credit = 100}),
                     RAY_OK);
    happen(&world, 1);
    tick(&world);
    happen(&world, 1);
    coord_watch_hub_tick(world.hub, world.now_ms + COORD_WATCH_TICK_MS - 1);
    assert_int_equal(world.got[0].batch_count, 1);
    assert_int_equal(coord_watch_hub_next_ms(world.hub, world.now_ms),
                     world.now_ms + COORD_WATCH_TICK_MS);
    coord_watch_hub_tick(world.hub, world.now_ms + COORD_WATCH_TICK_MS);
    assert_int_equal(world.got[0].batch_count, 2);
    close_world(&world);
}

static void test_batches_are_limited(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, 10000, 4 << 20);
    assert_int_equal(watch(&world, 0, (struct request){.is_from_now = true, .credit = 60000}),
                     RAY_OK);
    for (size_t i = 0; i < 30; i++) {
        happen(&world, 100);
    }
    tick(&world);
    assert_int_equal(world.got[0].count, 1100); /* ends with the revision that passes 1024 */
    tick(&world);
    tick(&world);
    assert_int_equal(world.got[0].count, 3000);
    close_world(&world);
}

static void test_ring_limits(void **state)
{
    struct world world;
    size_t size;

    (void)state;
    open_world(&world, 5, 1 << 20);
    happen(&world, 2);
    happen(&world, 2);
    assert_true(coord_watch_ring_has_after(&world.ring, 100));
    happen(&world, 2); /* six: the first revision leaves, whole */
    assert_int_equal(world.ring.count, 4);
    assert_false(coord_watch_ring_has_after(&world.ring, 100));
    assert_true(coord_watch_ring_has_after(&world.ring, 101));
    assert_false(coord_watch_ring_has_after(&world.ring, 104));
    happen(&world, 6); /* larger than the ring: nothing is left, and that is known */
    assert_int_equal(world.ring.count, 0);
    assert_false(coord_watch_ring_has_after(&world.ring, 103));
    assert_true(coord_watch_ring_has_after(&world.ring, 104));
    happen(&world, 1);
    size = world.ring.size;
    close_world(&world);

    open_world(&world, 100, size * 3);
    for (size_t i = 0; i < 10; i++) {
        happen(&world, 1);
    }
    assert_int_equal(world.ring.count, 3);
    coord_watch_ring_restart(&world.ring, 500);
    assert_int_equal(world.ring.size, 0);
    assert_true(coord_watch_ring_has_after(&world.ring, 500));
    assert_null(coord_watch_ring_at(&world.ring, 0));
    close_world(&world);
}

static void test_bad_requests(void **state)
{
    struct world world;

    (void)state;
    open_world(&world, 100, 1 << 20);
    assert_int_equal(coord_watch_hub_add(world.hub, 0, 0, (const uint8_t *)"\xff", 1, NULL),
                     RAY_EMALFORMED);
    assert_int_equal(watch(&world, 0, (struct request){.credit = COORD_WATCH_CREDIT_MAX + 1}),
                     RAY_EINVAL);
    assert_int_equal(watch(&world, 0, (struct request){.kind = (Rayos__Registry__Kind)50}),
                     RAY_EINVAL);
    for (uint64_t i = COORD_WATCH_WATCHERS_MAX; i > 0; i--) {
        assert_int_equal(watch(&world, i, (struct request){.is_from_now = true}), RAY_OK);
    }
    assert_int_equal(watch(&world, 0, (struct request){.is_from_now = true}), RAY_ETOOBIG);
    close_world(&world);
}

/* Memory ends: the ring forgets, watchers are told to begin anew, nothing is missed in silence. */
static void test_out_of_memory(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct world world;
        struct coord_fsm_event event = {.kind = COORD_GUEST};
        Rayos__Registry__WatchEvent message = RAYOS__REGISTRY__WATCH_EVENT__INIT;
        Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
        uint8_t packed[64];
        bool has_fired;

        open_world(&world, 1000, 1 << 20);
        assert_int_equal(watch(&world, 0, (struct request){.is_from_now = true, .credit = 1000}),
                         RAY_OK);
        ray_test_fault_arm("alloc", n);
        for (size_t i = 0; i < 100; i++) {
            event.revision = ++world.revision;
            message.revision = event.revision;
            message.object = &object;
            event.packed = packed;
            event.packed_size = rayos__registry__watch_event__pack(&message, packed);
            (void)coord_watch_ring_append(&world.ring, event.revision, &event, 1, NULL);
            if (i % 10 == 9) {
                tick(&world);
            }
        }
        has_fired = ray_test_fault_disarm();
        tick(&world);
        assert_int_equal(world.got[0].bookmark, world.revision);
        assert_true(world.got[0].count == 100 || world.got[0].resync_count == 1);
        close_world(&world);
        if (!has_fired) {
            assert_int_equal(world.got[0].count, 100);
            break;
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_pulse),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_credit),
        cmocka_unit_test(test_slow_watcher),
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_batches_are_limited),
        cmocka_unit_test(test_ring_limits),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_out_of_memory),
    };

    if (ray_mutant_from_env(NULL) != RAY_OK) {
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
