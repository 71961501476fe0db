#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"
#include "net/bulk.h"
#include "net/bulk_fixture.h"
#include "net/bulk_shake.h"

struct end {
    struct ray_bulk_shake *shake;
    struct ray_key *key;
    struct ray_peer_auth *auth; /* until a shake has it */
    bool is_ready;
    bool has_failed;
    int code;
    char text[RAY_ERR_TEXT_SIZE];
    int fd;
    struct ray_seal *seal;
    struct ray_peer peer;
    bool destroys_within;
};

struct world {
    struct ray_loop loop;
    int fds[2];
    struct end ends[2]; /* opener, answerer */
    int hello_code;
};

static void on_ready(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *peer)
{
    struct end *end = arg;

    end->is_ready = true;
    end->fd = fd;
    end->seal = seal;
    end->peer = *peer;
    if (end->destroys_within) {
        ray_bulk_shake_destroy(end->shake);
        end->shake = NULL;
    }
}

static void on_failed(void *arg, const struct ray_err *why)
{
    struct end *end = arg;

    assert_false(end->has_failed);
    end->has_failed = true;
    end->code = why->code;
    (void)snprintf(end->text, sizeof end->text, "%s", why->text);
    if (end->destroys_within) {
        ray_bulk_shake_destroy(end->shake);
        end->shake = NULL;
    }
}

static int on_hello(void *arg, const struct ray_hello *hello, struct ray_peer_terms *out_terms,
                    struct ray_err *err)
{
    const struct world *world = arg;

    (void)hello;
    if (world->hello_code != RAY_OK) {
        return ray_fail(err, world->hello_code, "removed from the cluster");
    }
    memcpy(out_terms->peer_static, ray_key_static(world->ends[0].key), RAY_KEY_SIZE);
    memcpy(out_terms->peer_identity, ray_key_identity(world->ends[0].key), RAY_KEY_SIZE);
    return RAY_OK;
}

static void world_init(struct world *world)
{
    struct ray_hello hello = {.kind = RAY_PEER_MEMBER, .cluster_epoch = 1};
    struct ray_peer_terms terms = {0};
    struct ray_peer_auth_guard guard = {.on_hello = on_hello, .arg = world};

    *world = (struct world){.ends = {{.fd = -1}, {.fd = -1}}};
    assert_int_equal(ray_loop_init(&world->loop, NULL), RAY_OK);
    bulk_fixture_tcp_pair(world->fds);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ray_key_generate(&world->ends[i].key, NULL), RAY_OK);
    }
    hello.cluster.bytes[0] = hello.from.bytes[0] = hello.to.bytes[0] = 1;
    memcpy(terms.peer_static, ray_key_static(world->ends[1].key), RAY_KEY_SIZE);
    assert_int_equal(
        ray_peer_auth_open(&world->ends[0].auth, world->ends[0].key, &hello, &terms, NULL, 0, NULL),
        RAY_OK);
    assert_int_equal(
        ray_peer_auth_answer(&world->ends[1].auth, world->ends[1].key, &guard, NULL, 0, NULL),
        RAY_OK);
}

static int start(struct world *world, unsigned i, uint64_t timeout_ms)
{
    struct end *end = &world->ends[i];
    struct ray_bulk_shake_user user = {.on_ready = on_ready, .on_failed = on_failed, .arg = end};
    int rc = ray_bulk_shake_create(&end->shake, &world->loop, world->fds[i], end->auth, timeout_ms,
                                   &user, NULL);

    if (rc == RAY_OK) {
        end->auth = NULL;
        world->fds[i] = -1;
    }
    return rc;
}

static void world_fini(struct world *world)
{
    for (int i = 0; i < 2; i++) {
        ray_bulk_shake_destroy(world->ends[i].shake);
        ray_peer_auth_destroy(world->ends[i].auth);
        ray_seal_destroy(world->ends[i].seal);
        ray_key_destroy(world->ends[i].key);
        if (world->ends[i].fd >= 0) {
            (void)close(world->ends[i].fd);
        }
        if (world->fds[i] >= 0) {
            (void)close(world->fds[i]);
        }
    }
    ray_loop_fini(&world->loop);
}

static bool is_over(const struct end *end)
{
    return end->is_ready || end->has_failed;
}

static void run_both(struct world *world)
{
    while (!is_over(&world->ends[0]) || !is_over(&world->ends[1])) {
        ray_loop_once(&world->loop);
    }
}

static void test_both_ready(void **state)
{
    struct world world;
    uint8_t record[64] = {0};
    uint8_t received[64];
    const uint8_t *plain = NULL;
    size_t size = 0;

    (void)state;
    world_init(&world);
    assert_int_equal(start(&world, 0, 60000), RAY_OK);
    assert_int_equal(start(&world, 1, 60000), RAY_OK);
    world.ends[0].destroys_within = true;
    run_both(&world);
    assert_true(world.ends[0].is_ready && world.ends[1].is_ready);
    assert_memory_equal(world.ends[0].peer.hash, world.ends[1].peer.hash, RAY_NOISE_HASH_SIZE);
    assert_memory_equal(world.ends[1].peer.identity, ray_key_identity(world.ends[0].key),
                        RAY_KEY_SIZE);
    /* The first record after it is still in the socket, whole. */
    assert_int_equal(ray_seal_encrypt(world.ends[0].seal, 1, record, 1), RAY_OK);
    assert_int_equal(write(world.ends[0].fd, record, 1 + RAY_SEAL_OVERHEAD_SIZE),
                     1 + RAY_SEAL_OVERHEAD_SIZE);
    assert_int_equal(recv(world.ends[1].fd, received, sizeof received, 0),
                     1 + RAY_SEAL_OVERHEAD_SIZE);
    assert_int_equal(
        ray_seal_decrypt(world.ends[1].seal, received, 1 + RAY_SEAL_OVERHEAD_SIZE, &plain, &size),
        RAY_OK);
    world_fini(&world);
    ray_bulk_shake_destroy(NULL);
}

static void test_refusal_reaches_the_opener(void **state)
{
    struct world world;

    (void)state;
    world_init(&world);
    world.hello_code = RAY_EDENIED;
    world.ends[1].destroys_within = true;
    assert_int_equal(start(&world, 0, 60000), RAY_OK);
    assert_int_equal(start(&world, 1, 60000), RAY_OK);
    run_both(&world);
    assert_int_equal(world.ends[0].code, RAY_EDENIED);
    assert_int_equal(world.ends[1].code, RAY_EDENIED);
    assert_non_null(strstr(world.ends[0].text, "removed from the cluster"));
    world_fini(&world);
}

static void test_silent_peer(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct world world;

        world_init(&world);
        assert_int_equal(start(&world, i, 1), RAY_OK);
        while (!is_over(&world.ends[i])) {
            ray_loop_once(&world.loop);
        }
        assert_int_equal(world.ends[i].code, RAY_ETIMEOUT);
        world_fini(&world);
    }
}

static void test_peer_leaves(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct world world;

        world_init(&world);
        assert_int_equal(start(&world, i, 60000), RAY_OK);
        assert_int_equal(shutdown(world.fds[1 - i], SHUT_WR), 0);
        while (!is_over(&world.ends[i])) {
            ray_loop_once(&world.loop);
        }
        assert_int_equal(world.ends[i].code, RAY_ECLOSED);
        world_fini(&world);
    }
}

static void test_nobody_listens(void **state)
{
    struct world world;

    (void)state;
    world_init(&world);
    (void)close(world.fds[0]);
    world.fds[0] = bulk_fixture_connect_nowhere();
    assert_int_equal(start(&world, 0, 60000), RAY_OK);
    while (!is_over(&world.ends[0])) {
        ray_loop_once(&world.loop);
    }
    assert_true(world.ends[0].has_failed);
    world_fini(&world);
}

static void test_destroyed_before_the_end(void **state)
{
    struct world world;

    (void)state;
    world_init(&world);
    assert_int_equal(start(&world, 0, 60000), RAY_OK);
    assert_int_equal(start(&world, 1, 60000), RAY_OK);
    ray_loop_once(&world.loop);
    world_fini(&world);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "send", "read"};

    (void)state;
    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        for (unsigned n = 1;; n++) {
            struct world world;
            bool has_fired;
            int rc;

            world_init(&world);
            ray_test_fault_arm(points[p], n);
            rc = start(&world, 0, 60000);
            if (rc == RAY_OK) {
                rc = start(&world, 1, 60000);
            }
            if (rc == RAY_OK) {
                run_both(&world);
            }
            has_fired = ray_test_fault_disarm();
            if (has_fired) {
                assert_false(world.ends[0].is_ready && world.ends[1].is_ready);
            } else {
                assert_true(world.ends[0].is_ready && world.ends[1].is_ready);
            }
            world_fini(&world);
            if (!has_fired) {
                break;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ready),     cmocka_unit_test(test_refusal_reaches_the_opener),
        cmocka_unit_test(test_silent_peer),    cmocka_unit_test(test_peer_leaves),
        cmocka_unit_test(test_nobody_listens), cmocka_unit_test(test_destroyed_before_the_end),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
