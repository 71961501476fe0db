/* What net/link.h promises, under cuts, resets and deaths; and what datagram mode breaks. */
#include "base/test.h"
#include "tests/sim/net.h"

enum { PLACES = 3, MESSAGES_MAX = 20000 };

struct member {
    struct fixture *fixture;
    uint32_t place;
    struct sim_proc *proc;
    struct ray_link *link;
    uint64_t epochs[PLACES]; /* 0: down */
    uint64_t epoch_max[PLACES];
    uint64_t sent_epochs[PLACES]; /* that next counts in */
    uint32_t next[PLACES];
    uint32_t heard[PLACES];
    unsigned got_count;
    unsigned repeated_count;
    unsigned backward_count;
    unsigned writable_count;
};

struct fixture {
    struct sim_world *world;
    struct sim_clock clock;
    struct sim_net *net;
    struct member members[PLACES];
    struct ray_id ids[PLACES];
    bool is_datagram;
};

static uint32_t place_of(struct fixture *fixture, const struct ray_id *id)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        if (ray_id_equal(&fixture->ids[i], id)) {
            return i;
        }
    }
    fail();
    return 0;
}

static void on_up(void *arg, const struct ray_id *peer, uint64_t epoch)
{
    struct member *member = arg;
    uint32_t other = place_of(member->fixture, peer);

    assert_true(epoch > member->epoch_max[other]);
    member->epoch_max[other] = epoch;
    member->epochs[other] = epoch;
    member->heard[other] = 0;
}

static void on_down(void *arg, const struct ray_id *peer, uint64_t epoch)
{
    struct member *member = arg;
    uint32_t other = place_of(member->fixture, peer);

    assert_int_equal(member->epochs[other], epoch);
    member->epochs[other] = 0;
}

static void on_message(void *arg, const struct ray_id *peer, uint64_t epoch,
                       enum ray_link_channel channel, const uint8_t *bytes, size_t size)
{
    struct member *member = arg;
    uint32_t other = place_of(member->fixture, peer);
    uint32_t values[2]; /* the sender's epoch and number */

    assert_int_equal(channel, RAY_LINK_RAFT);
    assert_int_equal(size, sizeof values);
    memcpy(values, bytes, sizeof values);
    assert_int_equal(epoch, member->epochs[other]);
    member->got_count++;
    if (!member->fixture->is_datagram) {
        /* Whole, in order, once, and of this epoch. */
        assert_int_equal(values[0], epoch);
        assert_int_equal(values[1], member->heard[other]);
    } else {
        member->repeated_count += values[1] + 1 == member->heard[other];
        member->backward_count += values[1] + 1 < member->heard[other];
    }
    member->heard[other] = values[1] + 1;
}

static void on_writable(void *arg, const struct ray_id *peer)
{
    struct member *member = arg;

    (void)peer;
    member->writable_count++;
}

static void send_all(void *arg)
{
    struct member *member = arg;

    for (uint32_t other = 0; other < PLACES; other++) {
        if (other == member->place || member->epochs[other] == 0) {
            continue;
        }
        if (member->sent_epochs[other] != member->epochs[other]) {
            member->sent_epochs[other] = member->epochs[other];
            member->next[other] = 0;
        }
        for (int i = 0; i < 3; i++) {
            uint32_t values[2] = {(uint32_t)member->epochs[other], member->next[other]++};

            assert_int_equal(member->link->ops->send(member->link, &member->fixture->ids[other],
                                                     RAY_LINK_RAFT, (const uint8_t *)values,
                                                     sizeof values),
                             RAY_OK);
        }
    }
}

static void start(struct member *member)
{
    struct fixture *fixture = member->fixture;
    struct ray_err err;

    sim_proc_start(member->proc);
    member->link = sim_net_open(fixture->net, member->place);
    member->link->user = (struct ray_link_user){.on_up = on_up,
                                                .on_down = on_down,
                                                .on_message = on_message,
                                                .on_writable = on_writable,
                                                .arg = member};
    memset(member->epochs, 0, sizeof member->epochs);
    for (uint32_t i = 0; i < PLACES; i++) {
        if (i != member->place) {
            assert_int_equal(
                member->link->ops->add_peer(member->link, &fixture->ids[i], "sim", &err), RAY_OK);
        }
    }
}

static void stop(struct member *member, bool is_power_cut)
{
    sim_net_lost(member->fixture->net, member->place, is_power_cut);
    member->link->ops->destroy(member->link);
    member->link = NULL;
    sim_proc_kill(member->proc);
}

static void set_up(struct fixture *fixture, bool is_datagram)
{
    struct sim_net_config config = {.delay_ns = 100000,
                                    .jitter_ns = 5 * SIM_MS,
                                    .give_up_ns = SIM_S,
                                    .is_datagram = is_datagram,
                                    .loss_ppm = 50000,
                                    .double_ppm = 50000};

    *fixture = (struct fixture){.is_datagram = is_datagram};
    fixture->world = sim_world_create(5);
    sim_clock_init(&fixture->clock, 0, 0);
    fixture->net = sim_net_create(fixture->world, &config);
    for (uint32_t i = 0; i < PLACES; i++) {
        struct member *member = &fixture->members[i];

        memset(fixture->ids[i].bytes, (int)i + 1, RAY_ID_SIZE);
        member->fixture = fixture;
        member->proc = sim_proc_add(fixture->world, &fixture->clock);
        member->place = sim_net_add(fixture->net, member->proc, &fixture->ids[i]);
    }
    for (uint32_t i = 0; i < PLACES; i++) {
        start(&fixture->members[i]);
    }
}

static void tear_down(struct fixture *fixture)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        if (fixture->members[i].link != NULL) {
            stop(&fixture->members[i], true);
        }
    }
    sim_world_drain(fixture->world);
    sim_net_destroy(fixture->net);
    sim_world_destroy(fixture->world);
}

static void run_for(struct fixture *fixture, uint64_t ns)
{
    uint64_t end_ns = fixture->world->now_ns + ns;

    while (sim_world_step(fixture->world, end_ns)) {
    }
}

static void disturb(struct fixture *fixture)
{
    struct sim_rng *rng = &fixture->world->rng;
    uint32_t a = (uint32_t)sim_rng_below(rng, PLACES);
    uint32_t b = (a + 1 + (uint32_t)sim_rng_below(rng, PLACES - 1)) % PLACES;

    switch (sim_rng_below(rng, 8)) {
    case 0:
        sim_net_cut(fixture->net, a, b);
        break;
    case 1:
        sim_net_heal_all(fixture->net);
        break;
    case 2:
        sim_net_reset(fixture->net, a, b);
        break;
    case 3:
        if (fixture->members[a].link == NULL) {
            start(&fixture->members[a]);
        } else if (sim_rng_one_in(rng, 3)) {
            stop(&fixture->members[a], sim_rng_one_in(rng, 2));
        }
        break;
    case 4:
        sim_proc_pause(fixture->members[a].proc,
                       fixture->world->now_ns + sim_rng_below(rng, SIM_S));
        break;
    default:
        break;
    }
}

static unsigned storm(struct fixture *fixture)
{
    unsigned got_count = 0;

    for (int i = 0; i < 3000; i++) {
        if (sim_rng_one_in(&fixture->world->rng, 10)) {
            disturb(fixture);
        }
        for (uint32_t k = 0; k < PLACES; k++) {
            (void)sim_proc_run(fixture->members[k].proc, send_all, &fixture->members[k]);
        }
        run_for(fixture, 10 * SIM_MS);
    }
    for (uint32_t k = 0; k < PLACES; k++) {
        got_count += fixture->members[k].got_count;
    }
    return got_count;
}

static void test_promises(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, false);
    assert_true(storm(&fixture) > 3000);
    /* Healed, everybody is connected. */
    sim_net_heal_all(fixture.net);
    for (uint32_t i = 0; i < PLACES; i++) {
        if (fixture.members[i].link == NULL) {
            start(&fixture.members[i]);
        }
    }
    run_for(&fixture, 5 * SIM_S);
    for (uint32_t i = 0; i < PLACES; i++) {
        for (uint32_t k = 0; k < PLACES; k++) {
            assert_true(i == k || fixture.members[i].epochs[k] > 0);
        }
    }
    tear_down(&fixture);
}

static void test_datagrams(void **state)
{
    struct fixture fixture;
    unsigned repeated_count = 0;
    unsigned backward_count = 0;

    (void)state;
    set_up(&fixture, true);
    assert_true(storm(&fixture) > 3000);
    for (uint32_t k = 0; k < PLACES; k++) {
        repeated_count += fixture.members[k].repeated_count;
        backward_count += fixture.members[k].backward_count;
    }
    assert_true(repeated_count > 0 && backward_count > 0);
    tear_down(&fixture);
}

/* One direction is cut: the other goes on; what was held back comes after the healing. */
static void test_one_direction(void **state)
{
    struct fixture fixture;
    struct member *a = &fixture.members[0];
    struct member *b = &fixture.members[1];

    (void)state;
    set_up(&fixture, false);
    run_for(&fixture, SIM_S);
    sim_net_cut(fixture.net, 0, 1);
    assert_true(sim_net_is_cut(fixture.net, 0, 1) && !sim_net_is_cut(fixture.net, 1, 0));
    (void)sim_proc_run(a->proc, send_all, a);
    (void)sim_proc_run(b->proc, send_all, b);
    sim_net_heal(fixture.net, 0, 2); /* no effect on others */
    while (a->heard[1] < 3 && sim_world_step(fixture.world, 2 * SIM_S)) {
    }
    assert_int_equal(a->heard[1], 3);
    if (b->epochs[0] != 0) {
        assert_int_equal(b->heard[0], 0);
    }
    sim_net_heal(fixture.net, 0, 1);
    run_for(&fixture, SIM_S);
    assert_true(b->epochs[0] != 0);
    tear_down(&fixture);
}

/* The queue has its limit, and tells when there is room again. */
static void test_full(void **state)
{
    struct fixture fixture;
    struct ray_link *link;
    uint8_t *large = calloc(1, RAY_LINK_MESSAGE_SIZE_MAX + 1);
    int rc = RAY_OK;

    (void)state;
    set_up(&fixture, false);
    run_for(&fixture, SIM_S);
    link = fixture.members[0].link;
    assert_int_equal(
        link->ops->send(link, &fixture.ids[1], RAY_LINK_RAFT, large, RAY_LINK_MESSAGE_SIZE_MAX + 1),
        RAY_ETOOBIG);
    for (int i = 0; i < 20 && rc == RAY_OK; i++) {
        rc = link->ops->send(link, &fixture.ids[1], RAY_LINK_WATCH, large,
                             RAY_LINK_MESSAGE_SIZE_MAX);
    }
    assert_int_equal(rc, RAY_EAGAIN);
    assert_true(link->ops->queued_size(link, &fixture.ids[1]) <= RAY_LINK_QUEUE_SIZE_MAX);
    /* The peer that reads such things is not this test's: the connection goes. */
    sim_net_reset(fixture.net, 0, 1);
    link->ops->remove_peer(link, &fixture.ids[1]);
    assert_int_equal(link->ops->send(link, &fixture.ids[1], RAY_LINK_RAFT, large, 1),
                     RAY_EUNAVAILABLE);
    free(large);
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_promises),
        cmocka_unit_test(test_datagrams),
        cmocka_unit_test(test_one_direction),
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
