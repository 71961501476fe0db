/* link_test.c - both kinds of links over loopback: link_test uv | nng. What is checked of every
 * message is in link_fixture.c: whole, in order, once, in its own epoch. */
#include <poll.h>
#include <sodium.h>
#include <unistd.h>

#include "base/test.h"
#include "net/link_fixture.h"
#include "net/link_nng.h"
#include "net/link_proxy.h"
#include "net/link_uv.h"

static world_create create; /* which kind; set by main */

/* A link that an end has not yet found dead takes messages, too: repeats until some arrive. */
static void prove_linked(struct world_node *a, struct world_node *b)
{
    uint64_t a_total = a->peers[b->index].total, b_total = b->peers[a->index].total;

    for (int i = 0; a->peers[b->index].total == a_total || b->peers[a->index].total == b_total;
         i++) {
        assert_true(i < 1000);
        assert_true(world_run_until_linked(a, b));
        (void)world_send(a, b, 100);
        (void)world_send(b, a, 100);
        world_turns(a->world, 1, 20);
    }
}

/* ---- messages ---- */

static void test_order(void **state)
{
    struct world *world = world_make_pair(create);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];

    (void)state;
    for (int turn = 0; turn < 100; turn++) {
        for (int i = 0; i < 20; i++) {
            size_t size = WORLD_MESSAGE_SIZE_MIN + randombytes_uniform(3000);

            assert_int_equal(world_send(a, b, size), RAY_OK);
            assert_int_equal(world_send(b, a, size), RAY_OK);
        }
        world_turns(world, 1, 1);
    }
    world_run_until_total(b, a, 2000);
    world_run_until_total(a, b, 2000);
    assert_int_equal(a->peers[1].up_count, 1);
    assert_int_equal(a->link->ops->queued_size(a->link, &b->id), 0);
    world_drop(world);
}

static void test_big(void **state)
{
    struct world *world = world_make_pair(create);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
    uint8_t *bytes = calloc(1, RAY_LINK_MESSAGE_SIZE_MAX + 1);

    (void)state;
    assert_non_null(bytes);
    for (uint64_t i = 0; i < 12; i++) {
        assert_int_equal(world_send(a, b, RAY_LINK_MESSAGE_SIZE_MAX - (i % 3)), RAY_OK);
        assert_int_equal(world_send(a, b, 100), RAY_OK);
        world_run_until_total(b, a, 2 * (i + 1));
    }
    assert_int_equal(
        a->link->ops->send(a->link, &b->id, RAY_LINK_RPC, bytes, RAY_LINK_MESSAGE_SIZE_MAX + 1),
        RAY_ETOOBIG);
    assert_int_equal(a->link->ops->send(a->link, &b->id, RAY_LINK_RPC, bytes, 0), RAY_OK);
    world_run_until_total(b, a, 25);
    assert_int_equal(b->peers[0].last_size, 0);
    assert_int_equal(a->peers[1].down_count, 0);
    free(bytes);
    world_drop(world);
}

static bool has_room(void *arg)
{
    return ((const struct world_peer *)arg)->writable_count > 0;
}

static void test_back_pressure(void **state)
{
    struct world *world = world_make_pair(create);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
    unsigned sent = 0;
    size_t queued;
    int rc;

    (void)state;
    for (;;) { /* the loop does not turn: nobody reads */
        rc = world_send(a, b, 100000);
        if (rc != RAY_OK) {
            break;
        }
        sent++;
        assert_true(sent < 200);
        a->link->ops->flush(a->link);
    }
    queued = a->link->ops->queued_size(a->link, &b->id);
    assert_int_equal(rc, RAY_EAGAIN);
    assert_true(queued <= RAY_LINK_QUEUE_SIZE_MAX && queued > RAY_LINK_QUEUE_SIZE_MAX - 100100);
    assert_int_equal(a->peers[1].writable_count, 0); /* never from within */
    assert_true(world_run_until(world, has_room, &a->peers[1]));
    assert_true(a->link->ops->queued_size(a->link, &b->id) < RAY_LINK_QUEUE_SIZE_MAX / 2);
    world_run_until_total(b, a, sent);
    assert_int_equal(a->peers[1].writable_count, 1);
    assert_int_equal(world_send(a, b, 100), RAY_OK);
    world_run_until_total(b, a, sent + 1);
    world_drop(world);
}

static void test_one_record_per_turn(void **state)
{
    struct world *world = world_make(create, 2);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
    struct proxy proxy;
    uint64_t before;

    (void)state;
    proxy_setup(&proxy, &world->loop, b->port);
    world_add_at(a, b, proxy.port);
    assert_true(world_run_until_linked(a, b));
    world_turns(world, 5, 5);
    before = proxy.lines[0].forwarded[0];
    for (int i = 0; i < 10; i++) {
        assert_int_equal(world_send(a, b, 100), RAY_OK);
    }
    world_run_until_total(b, a, 10);
    /* Ten items, but one record: its head and tag, and NNG's length before it. */
    assert_true(proxy.lines[0].forwarded[0] - before <= 10 * 104 + 20 + 8);
    proxy_teardown(&proxy);
    world_drop(world);
}

/* ---- epochs ---- */

static void test_reconnect(void **state)
{
    struct world *world = world_make(create, 2);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];

    (void)state;
    world_add(a, b);
    world_add(b, a);
    for (unsigned round = 0; round < 12; round++) {
        struct world_node *stopped = round % 2 == 0 ? b : a;
        struct world_node *stays = round % 2 == 0 ? a : b;

        assert_true(world_run_until_linked(a, b));
        for (unsigned i = 0; i < 200; i++) { /* some are lost with the epoch, none is late */
            (void)world_send(a, b, 1000 + i);
            (void)world_send(b, a, 1000 + i);
            if (i % (round + 5) == 0) {
                ray_loop_once(&world->loop);
            }
        }
        world_stop(stopped);
        world_run_until_down(stays, stopped);
        assert_int_equal(world_send(stays, stopped, 100), RAY_EUNAVAILABLE);
        assert_int_equal(world_start(stopped), RAY_OK);
        world_add(stopped, stays);
    }
    assert_true(world_run_until_linked(a, b));
    world_drop(world);
}

/* The connection is cut at every stage of handshake and messages, from either end's bytes. */
static void test_cut(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 1400; at += at < 500 ? 23 : 101) {
        struct world *world = world_make(create, 2);
        struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
        struct proxy proxy;

        proxy_setup(&proxy, &world->loop, b->port);
        proxy.harm = PROXY_CUT;
        proxy.harm_from = (int)(at % 2);
        proxy.harm_at = at;
        world_add_at(a, b, proxy.port);
        assert_true(world_run_until_linked(a, b));
        for (int i = 0; i < 40 && proxy.harm_count == 0; i++) {
            (void)world_send(a, b, 100);
            (void)world_send(b, a, 100);
            world_turns(world, 1, 20);
        }
        assert_int_equal(proxy.harm_count, 1);
        prove_linked(a, b);
        proxy_teardown(&proxy);
        world_drop(world);
    }
}

/* A flipped bit anywhere ends the connection, and nothing wrong is delivered. */
static void test_flip(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 1100; at += 37) {
        struct world *world = world_make(create, 2);
        struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
        struct proxy proxy;
        bool is_cut = false;

        proxy_setup(&proxy, &world->loop, b->port);
        proxy.harm = PROXY_FLIP;
        proxy.harm_at = at;
        world_add_at(a, b, proxy.port);
        /* A flipped size in the clear may make the answerer wait for more: the time limit of
         * handshakes ends that, which is not worth five seconds here. */
        if (at > 1) {
            assert_true(world_run_until_linked(a, b));
            for (int i = 0; i < 400 && b->peers[0].total < 40; i++) {
                (void)world_send(a, b, 100);
                world_turns(world, 1, 20);
                if (proxy.harm_count == 1 && !is_cut && i % 20 == 0) {
                    is_cut = true;
                    proxy_cut_all(&proxy); /* a longer record is waited for */
                    assert_true(world_run_until_linked(a, b));
                }
            }
            assert_true(b->peers[0].total >= 40);
            assert_int_equal(proxy.harm_count, 1);
        }
        proxy_teardown(&proxy);
        world_drop(world);
    }
}

static void test_both_dial(void **state)
{
    (void)state;
    for (int round = 0; round < 25; round++) {
        struct world *world = world_make(create, 2);
        struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
        unsigned ups;

        world_add(a, b);
        world_add(b, a);
        assert_true(world_run_until_linked(a, b));
        world_turns(world, 30, 2);
        assert_true(world_run_until_linked(a, b));
        ups = a->peers[1].up_count + b->peers[0].up_count;
        assert_true(ups <= 4); /* at most one change of mind at each end */
        assert_int_equal(world_send(a, b, 100), RAY_OK);
        assert_int_equal(world_send(b, a, 100), RAY_OK);
        world_run_until_total(b, a, 1);
        world_run_until_total(a, b, 1);
        world_turns(world, 10, 2);
        assert_int_equal(a->peers[1].up_count + b->peers[0].up_count, ups);
        world_drop(world);
    }
}

/* The end that dialled has lost its connection without the other's knowing. The other would
 * keep it, but asks, and then takes the new one. */
static void test_half_dead(void **state)
{
    struct world *world = world_make(create, 2);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
    struct proxy proxy;

    (void)state;
    if (ray_id_compare(&a->id, &b->id) > 0) {
        a = &world->nodes[1];
        b = &world->nodes[0];
    }
    proxy_setup(&proxy, &world->loop, b->port); /* the smaller id dials, and would win */
    world_add_at(a, b, proxy.port);
    assert_true(world_run_until_linked(a, b));
    assert_int_equal(proxy.line_count, 1);
    /* b's half dies; a still waits on its own. */
    ray_poll_fini(&proxy.lines[0].polls[1]);
    (void)close(proxy.lines[0].fds[1]);
    proxy.lines[0].fds[1] = -1;
    world_run_until_down(b, a);
    assert_true(a->peers[b->index].epoch != 0);
    /* b is refused for the sake of the old one, on which a then sends to find out: that ends it,
     * as nothing else would. */
    world_add(b, a);
    world_run_until_down(a, b);
    assert_true(world_run_until_linked(a, b));
    assert_int_equal(a->peers[b->index].up_count, 2);
    proxy_teardown(&proxy);
    world_drop(world);
}

static void test_moved_and_removed(void **state)
{
    struct world *world = world_make_pair(create);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
    struct proxy proxy;
    uint64_t epoch = a->peers[1].epoch;

    (void)state;
    world_add(a, b); /* the same address: nothing happens */
    world_turns(world, 3, 1);
    assert_int_equal(a->peers[1].epoch, epoch);
    proxy_setup(&proxy, &world->loop, b->port);
    world_add_at(a, b, proxy.port);
    world_run_until_down(a, b);
    assert_true(world_run_until_linked(a, b));
    assert_int_equal(proxy.line_count, 1);
    a->link->ops->remove_peer(a->link, &b->id);
    assert_int_equal(world_send(a, b, 100), RAY_EUNAVAILABLE);
    world_run_until_down(b, a);
    assert_int_equal(a->peers[1].epoch, 0);
    world_turns(world, 30, 5);
    assert_int_equal(proxy.line_count, 1); /* not dialled again */
    assert_int_equal(a->peers[1].up_count, 2);
    proxy_teardown(&proxy);
    world_drop(world);
}

/* A link goes while another's message waits for the loop: that one is not lost with it. (What the
 * ring of NNG's events does then is in link_ring_test.c.) */
static void test_removed_beside(void **state)
{
    struct world *world = world_make(create, 3);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1], *c = &world->nodes[2];
    struct pollfd loop = {.fd = uv_backend_fd(&world->loop.uv), .events = POLLIN};

    (void)state;
    world_add(a, b);
    world_add(a, c);
    assert_true(world_run_until_linked(a, b));
    assert_true(world_run_until_linked(a, c));
    world_turns(world, 5, 5);
    for (uint64_t round = 1; round <= 5; round++) {
        assert_int_equal(world_send(c, a, 100), RAY_OK);
        c->link->ops->flush(c->link);
        assert_int_equal(poll(&loop, 1, 30000), 1); /* something has come; the loop stands */
        a->link->ops->remove_peer(a->link, &b->id);
        world_run_until_total(a, c, round);
        world_add(a, b);
        assert_true(world_run_until_linked(a, b));
    }
    world_drop(world);
}

/* ---- who may ---- */

static void test_wrong_key(void **state)
{
    struct world *world = world_make(create, 2);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];

    (void)state;
    b->peers[0].has_wrong_key = true; /* b's registry has another key for a */
    world_add(a, b);
    world_run_until_trouble(a, b, "handshake");
    b->peers[0].has_wrong_key = false;
    a->peers[1].has_wrong_key = true; /* and the other way round */
    world_turns(world, 20, 10);
    assert_int_equal(a->peers[1].up_count + b->peers[0].up_count, 0);
    a->peers[1].has_wrong_key = false;
    assert_true(world_run_until_linked(a, b));
    world_drop(world);
}

static void test_revoked_while_up(void **state)
{
    struct world *world = world_make_pair(create);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];

    (void)state;
    b->peers[0].is_revoked = true;
    ray_link_recheck(b->link);
    assert_int_equal(world_send(b, a, 100), RAY_EUNAVAILABLE); /* at once */
    world_run_until_down(a, b);
    assert_int_equal(b->peers[0].epoch, 0);
    assert_int_equal(b->peers[0].down_count, 1);
    world_run_until_trouble(a, b, "not a member");
    assert_int_equal(b->peers[0].up_count, 1);
    b->peers[0].is_revoked = false;
    ray_link_recheck(b->link);
    assert_true(world_run_until_linked(a, b));
    world_drop(world);
}

static void test_unknown_becomes_known(void **state)
{
    struct world *world = world_make(create, 2);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];

    (void)state;
    a->peers[1].is_unknown = true;
    world_add(a, b);
    world_run_until_trouble(a, b, "does not name");
    a->peers[1].is_unknown = false;
    ray_link_recheck(a->link);
    assert_true(world_run_until_linked(a, b));
    /* A new key ends the link, too. */
    a->peers[1].has_wrong_key = true;
    ray_link_recheck(a->link);
    world_run_until_down(a, b);
    world_drop(world);
}

static void test_other_cluster(void **state)
{
    struct world *world = world_make_pair(create);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
    struct ray_id other = {{1}};
    uint64_t epoch;

    (void)state;
    ray_link_set_cluster(a->link, &world->cluster, 1); /* as it was */
    world_turns(world, 3, 1);
    assert_int_equal(a->peers[1].down_count, 0);
    ray_link_set_cluster(a->link, &world->cluster, 2);
    world_run_until_down(a, b);
    world_run_until_trouble(a, b, "cluster epoch");
    ray_link_set_cluster(b->link, &world->cluster, 2);
    assert_true(world_run_until_linked(a, b));
    epoch = b->peers[0].epoch;
    ray_link_set_cluster(a->link, &other, 2);
    world_run_until_down(a, b);
    world_run_until_trouble(a, b, "another cluster");
    ray_link_set_cluster(b->link, &other, 2);
    assert_true(world_run_until_linked(a, b));
    assert_true(b->peers[0].epoch > epoch);
    world_drop(world);
}

static bool is_told(void *arg)
{
    return ((struct world_peer *)arg)->told_count > 0;
}

/* Whoever dials: the older one hears of the later epoch, from the peer itself; there is no link. */
static void test_epochs(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++) {
        struct world *world = world_make(create, 2);
        struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
        struct world_node *old = later == 0 ? b : a, *new = later == 0 ? a : b;

        ray_link_set_cluster(new->link, &world->cluster, world->cluster_epoch + 7);
        world_add(a, b); /* a dials */
        assert_true(world_run_until(world, is_told, &old->peers[new->index]));
        assert_int_equal(old->peers[new->index].told_epoch, world->cluster_epoch + 7);
        world_run_until_trouble(a, b, "cluster epoch");
        assert_int_equal(new->peers[old->index].told_count, 0);
        assert_int_equal(a->peers[1].up_count + b->peers[0].up_count, 0);
        ray_link_set_cluster(old->link, &world->cluster, world->cluster_epoch + 7);
        assert_true(world_run_until_linked(a, b));
        world_drop(world);
    }
}

/* Somebody else than the peer: at its address, in its name, or in between. */
static void test_forged_epochs(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++) {
        struct world *world = world_make(create, 2);
        struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
        struct world_node *old = later == 0 ? b : a, *new = later == 0 ? a : b;

        ray_link_set_cluster(new->link, &world->cluster, world->cluster_epoch + 7);
        old->peers[new->index].has_wrong_key = true; /* that is the one whom the registry names */
        world_add(a, b);
        world_turns(world, 40, 10);
        assert_int_equal(old->peers[new->index].told_count, 0);
        old->peers[new->index].has_wrong_key = false;
        old->peers[new->index].is_revoked = true;
        ray_link_recheck(old->link);
        world_turns(world, 40, 10);
        assert_int_equal(old->peers[new->index].told_count, 0);
        world_drop(world);
    }
}

/* The first bytes of a connection, as anybody can write them. */
static void test_epoch_in_clear(void **state)
{
    struct world *world = world_make(create, 2);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
    struct ray_hello hello = {.version = RAY_PEER_AUTH_VERSION,
                              .kind = RAY_PEER_MEMBER,
                              .cluster_epoch = world->cluster_epoch + 7,
                              .cluster = world->cluster,
                              .from = a->id,
                              .to = b->id};
    uint8_t record[2 + RAY_HELLO_SIZE + 48] = {(uint8_t)(RAY_HELLO_SIZE + 48), 0};
    int fd = world_connect_raw(b);

    (void)state;
    ray_hello_encode(&hello, record + 2);
    assert_int_equal(write(fd, record, sizeof record), sizeof record);
    world_turns(world, 20, 10);
    assert_int_equal(b->peers[0].told_count, 0);
    assert_int_equal(close(fd), 0);
    world_drop(world);
}

/* ---- many ---- */

static bool has_all(void *arg)
{
    const struct world *world = arg;

    for (size_t i = 1; i < world->node_count; i++) {
        if (world->nodes[0].peers[i].total < 50 || world->nodes[i].peers[0].total < 50) {
            return false;
        }
    }
    return true;
}

static bool are_all_linked(void *arg)
{
    const struct world *world = arg;

    for (size_t i = 1; i < world->node_count; i++) {
        if (!world_is_linked(&world->nodes[0], &world->nodes[i])) {
            return false;
        }
    }
    return true;
}

static void test_many(void **state)
{
    struct world *world = world_make(create, 65);

    (void)state;
    for (size_t i = 1; i < world->node_count; i++) {
        world_add(&world->nodes[i], &world->nodes[0]);
        world->nodes[i].echoes = true;
    }
    assert_true(world_run_until(world, are_all_linked, world));
    for (int round = 0; round < 50; round++) {
        for (size_t i = 1; i < world->node_count; i++) {
            assert_int_equal(world_send(&world->nodes[0], &world->nodes[i], 200), RAY_OK);
        }
        ray_loop_once(&world->loop);
    }
    assert_true(world_run_until(world, has_all, world));
    world_drop(world);
}

static void test_addresses(void **state)
{
    static const char *const wrong[] = {
        "",        "127.0.0.1",        "127.0.0.1:",  "127.0.0.1:65536", "127.0.0.1:1x",
        ":1",      "localhost:1",      "::1:80",      "[::1:80",         "[::1]80",
        "[1.1]:1", "127.0.0.1:000001", "256.0.0.1:1", "[127.0.0.1]:1",
    };
    struct world *world = world_make(create, 2);
    struct world_node *a = &world->nodes[0];
    struct ray_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(a->link->ops->add_peer(a->link, &world->nodes[1].id, wrong[i], &err),
                         RAY_EINVAL);
    }
    assert_int_equal(a->link->ops->add_peer(a->link, &a->id, "127.0.0.1:1", &err), RAY_EINVAL);
    assert_int_equal(a->link->ops->add_peer(a->link, &world->nodes[1].id, "[::1]:1", &err), RAY_OK);
    world_stop(&world->nodes[1]);
    world->nodes[1].port = a->port;
    assert_int_equal(world_start(&world->nodes[1]), RAY_EEXISTS);
    world_drop(world);
}

/* Every allocation, socket, read and send fails once; the link comes up all the same. */
static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "socket", "read", "send"};

    (void)state;
#ifdef RAY_FAULTS
    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        for (unsigned n = 1; n < 60; n++) {
            struct world *world = world_make(create, 2);
            struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
            char fault[32];
            bool has_fired;

            (void)snprintf(fault, sizeof fault, "%s:%u", points[p], n);
            assert_true(ray_fault_set(fault));
            (void)a->link->ops->add_peer(a->link, &b->id, "127.0.0.1:1", NULL); /* may fail */
            a->link->ops->remove_peer(a->link, &b->id);
            world_turns(world, 1, 1);
            (void)a->link->ops->add_peer(a->link, &b->id, "127.0.0.1:1", NULL);
            world_add(a, b); /* moves it; a fault happens once */
            assert_true(world_run_until_linked(a, b));
            while (world_send(a, b, 5000) != RAY_OK) {
                world_turns(world, 1, 5);
            }
            world_turns(world, 4, 5);
            has_fired = ray_fault_has_fired();
            assert_true(ray_fault_set(NULL));
            assert_true(world_run_until_linked(a, b));
            world_drop(world);
            if (!has_fired) {
                break;
            }
        }
    }
#else
    (void)points;
#endif
}

/* A set of one kind refuses the other's, and says so. */
static void test_other_kind(void **state)
{
    struct world *world = world_make(create, 2);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];

    (void)state;
    world_stop(b);
    world->create = create == ray_link_uv_create ? ray_link_nng_create : ray_link_uv_create;
    assert_int_equal(world_start(b), RAY_OK);
    world_add(a, b);
    world_run_until_trouble(a, b, "links of kind");
    world_turns(world, 20, 5);
    assert_int_equal(a->peers[1].up_count + b->peers[0].up_count, 0);
    world_drop(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_big),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_one_record_per_turn),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_flip),
        cmocka_unit_test(test_both_dial),
        cmocka_unit_test(test_half_dead),
        cmocka_unit_test(test_moved_and_removed),
        cmocka_unit_test(test_removed_beside),
        cmocka_unit_test(test_wrong_key),
        cmocka_unit_test(test_revoked_while_up),
        cmocka_unit_test(test_unknown_becomes_known),
        cmocka_unit_test(test_other_cluster),
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_forged_epochs),
        cmocka_unit_test(test_epoch_in_clear),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_other_kind),
    };

    create = world_main(argc, argv, ray_link_uv_create, ray_link_nng_create);
    return create == NULL ? 2 : cmocka_run_group_tests(tests, NULL, NULL);
}
