/* link_guests_test.c - who comes to a node's address without being a peer with a link: noise,
 * guests with a token or none, a member for another purpose. For both kinds: link_guests_test uv |
 * nng. */
#include <fcntl.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"
#include "net/bulk_shake.h"
#include "net/link_fixture.h"
#include "net/link_nng.h"
#include "net/link_uv.h"

static world_create create; /* which kind; set by main */

static void test_garbage(void **state)
{
    enum { COUNT = RAY_LINK_SHAKES_MAX + 40 };
    struct world *world = world_make(create, 2);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
    int fds[COUNT];

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        uint8_t bytes[300];

        fds[i] = world_connect_raw(b);
        randombytes_buf(bytes, sizeof bytes);
        if (i % 3 == 0) { /* a size that asks for more than comes */
            bytes[0] = 200;
            bytes[1] = 0;
        }
        if (i % 3 != 1) {
            assert_true(send(fds[i], bytes, i % 3 == 0 ? 40 : sizeof bytes, MSG_NOSIGNAL) > 0);
        }
        world_turns(world, 1, 1);
        assert_true(ray_link_shake_count(b->link) <= RAY_LINK_SHAKES_MAX);
    }
    world_add(a, b);
    assert_true(world_run_until_linked(a, b)); /* places are taken by the silent, not kept */
    for (size_t i = 0; i < COUNT; i++) {
        (void)close(fds[i]);
    }
    assert_int_equal(world_send(a, b, 100), RAY_OK);
    world_run_until_total(b, a, 1);
    world_drop(world);
}

struct guest {
    bool is_over;
    int code;
    int fd;
    struct ray_seal *seal;
};

static void guest_ready(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *peer)
{
    struct guest *guest = arg;

    (void)peer;
    guest->is_over = true;
    guest->fd = fd;
    guest->seal = seal;
}

static void guest_failed(void *arg, const struct ray_err *why)
{
    struct guest *guest = arg;

    guest->is_over = true;
    guest->code = why->code;
}

struct guest_wait {
    const struct guest *guest;
    const struct world_node *node;
    unsigned count;
};

static bool is_guest_over(void *arg)
{
    const struct guest_wait *wait = arg;

    return wait->guest->is_over && (wait->guest->code != 0 || wait->node->guest_count > 0);
}

/* Comes to `node` as `kind` says. */
static void visit(struct world_node *node, struct ray_hello hello, struct ray_peer_terms terms,
                  const void *payload, size_t payload_size, struct guest *guest)
{
    struct ray_peer_auth *auth = NULL;
    struct ray_bulk_shake *shake = NULL;
    struct ray_bulk_shake_user user = {guest_ready, guest_failed, guest};
    struct guest_wait wait = {guest, node, 0};
    struct ray_key *key = NULL;
    int fd = world_connect_raw(node);

    *guest = (struct guest){.fd = -1};
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    if (hello.kind != RAY_PEER_MEMBER) {
        assert_int_equal(ray_key_generate(&key, NULL), RAY_OK);
    }
    assert_int_equal(ray_peer_auth_open(&auth, key != NULL ? key : node->world->nodes[0].key,
                                        &hello, &terms, payload, payload_size, NULL),
                     RAY_OK);
    assert_int_equal(ray_bulk_shake_create(&shake, &node->world->loop, fd, auth, 5000, &user, NULL),
                     RAY_OK);
    assert_true(world_run_until(node->world, is_guest_over, &wait));
    ray_bulk_shake_destroy(shake);
    ray_key_destroy(key);
}

static void leave(struct guest *guest)
{
    if (guest->fd >= 0) {
        (void)close(guest->fd);
        ray_seal_destroy(guest->seal);
    }
}

static bool has_lost_one(void *arg)
{
    return ((const struct world_node *)arg)->lost_count == 1;
}

static void test_guests(void **state)
{
    struct world *world = world_make(create, 2);
    struct world_node *node = &world->nodes[1];
    struct ray_peer_terms terms = {0};
    struct guest guest;
    uint8_t record[6 + RAY_SEAL_OVERHEAD_SIZE] = {0};
    const uint8_t *plain = NULL;
    size_t size = 0;

    (void)state;
    memcpy(terms.peer_static, ray_key_static(node->key), RAY_KEY_SIZE);
    visit(node, (struct ray_hello){.kind = RAY_PEER_OPERATOR, .cluster = world->cluster}, terms,
          "hi", 2, &guest);
    assert_int_equal(guest.code, 0);
    assert_int_equal(node->guest_count, 1);
    assert_int_equal(node->guest.hello.kind, RAY_PEER_OPERATOR);
    assert_int_equal(node->guest.payload_size, 2);
    memcpy(record + RAY_SEAL_HEAD_SIZE, "hello", 6); /* and both have the same keys */
    assert_int_equal(ray_seal_encrypt(guest.seal, 0, record, 6), RAY_OK);
    assert_int_equal(ray_seal_decrypt(node->guest_seal, record, sizeof record, &plain, &size),
                     RAY_OK);
    assert_int_equal(size, 6);
    assert_int_equal(node->lost_count, 0);
    leave(&guest);
    world_stop(node);
    node->guest_count = 0;
    assert_int_equal(world_start(node), RAY_OK);

    memset(terms.psk, 7, sizeof terms.psk);
    visit(node, (struct ray_hello){.kind = RAY_PEER_JOIN, .from = {{5}}, .token = {{6}}}, terms,
          NULL, 0, &guest);
    assert_int_equal(guest.code, 0);
    assert_int_equal(node->guest.hello.kind, RAY_PEER_JOIN);
    leave(&guest);
    world_stop(node);
    node->guest_count = 0;
    assert_int_equal(world_start(node), RAY_OK);

    memset(terms.psk, 8, sizeof terms.psk); /* not the token's */
    visit(node, (struct ray_hello){.kind = RAY_PEER_JOIN, .from = {{5}}, .token = {{6}}}, terms,
          NULL, 0, &guest);
    assert_int_not_equal(guest.code, 0);
    assert_true(world_run_until(world, has_lost_one, node));
    assert_int_equal(node->lost, RAY_PEER_JOIN);
    visit(node, (struct ray_hello){.kind = RAY_PEER_CLAIM}, terms, NULL, 0, &guest);
    assert_int_equal(guest.code, RAY_EDENIED); /* what the hook said */
    assert_int_equal(node->lost_count, 1);     /* who was refused was not let go on */
    assert_int_equal(node->guest_count, 0);
    world_drop(world);
}

/* A member's connection for another purpose is a guest, and its link stays. */
static void test_bulk_guest(void **state)
{
    struct world *world = world_make_pair(create);
    struct world_node *a = &world->nodes[0], *b = &world->nodes[1];
    uint8_t payload[3] = {RAY_LINK_PURPOSE_BULK, 1, 2};
    struct ray_peer_terms terms = {0};
    struct guest guest;

    (void)state;
    memcpy(terms.peer_static, ray_key_static(b->key), RAY_KEY_SIZE);
    visit(b,
          (struct ray_hello){.kind = RAY_PEER_MEMBER,
                             .cluster = world->cluster,
                             .cluster_epoch = 1,
                             .from = a->id,
                             .to = b->id},
          terms, payload, sizeof payload, &guest);
    assert_int_equal(guest.code, 0);
    assert_int_equal(b->guest_count, 1);
    assert_int_equal(b->guest.payload_size, 3);
    assert_int_equal(a->peers[1].down_count, 0);
    leave(&guest);
    world_drop(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_guests),
        cmocka_unit_test(test_bulk_guest),
    };

    create = world_main(argc, argv, ray_link_uv_create, ray_link_nng_create);
    return create == NULL ? 2 : cmocka_run_group_tests(tests, NULL, NULL);
}
