/* What a call carried may have been secret: when it is over, nothing of it is left in the memory of
 * either end, which are both this process. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"
#include "base/test_memory.h"
#include "net/bulk_fixture.h"
#include "net/rpc_bulk.h"
#include "net/rpc_envelope.h"
#include "net/rpc_fixture.h"

enum { SECRET_SIZE = 24 };

static void fill(const uint8_t masked[static SECRET_SIZE], ProtobufCBinaryData *body, size_t size)
{
    body->len = size;
    body->data = calloc(1, size);
    for (size_t i = 0; i < SECRET_SIZE; i++) {
        body->data[size / 2 + i] = masked[i] ^ RAY_TEST_MASK;
    }
}

static void wipe(ProtobufCBinaryData *body)
{
    sodium_memzero(body->data, body->len);
    free(body->data);
}

static void call(struct fixture *fixture, const uint8_t masked[static SECRET_SIZE],
                 const char *method, size_t size)
{
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    struct fixture_outcome outcome;

    fill(masked, &item.body, size);
    assert_int_equal(fixture_call(fixture, method, &item.base, 0, &outcome, NULL), RAY_OK);
    wipe(&item.body);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_true(outcome.has_ended);
}

static void test_it_would_be_found(void **state)
{
    uint8_t masked[SECRET_SIZE];
    ProtobufCBinaryData body;

    (void)state;
    randombytes_buf(masked, sizeof masked);
    fill(masked, &body, 1000);
    assert_int_equal(ray_test_count_in_memory(masked, SECRET_SIZE), 1);
    wipe(&body);
    assert_int_equal(ray_test_count_in_memory(masked, SECRET_SIZE), 0);
}

static void test_calls(void **state)
{
    static const size_t sizes[] = {60, 5000, 59000};
    struct fixture *fixture = *state;
    uint8_t masked[SECRET_SIZE];

    for (int round = 0; round < 2; round++) {
        randombytes_buf(masked, sizeof masked);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            call(fixture, masked, "test.echo", sizes[i]);
        }
        call(fixture, masked, "test.size", 300000); /* in parts, from a queue */
        call(fixture, masked, "test.fail", 1000);   /* refused: that is no Empty */
        assert_int_equal(ray_test_count_in_memory(masked, SECRET_SIZE), 0);
        ray_rpc_client_bundle(fixture->client); /* with others in one packet */
    }
}

/* Many in one turn, so that outbox and queue grow and hold them. */
static void test_many_at_once(void **state)
{
    enum { COUNT = 200 };
    struct fixture *fixture = *state;
    struct fixture_outcome *outcomes = calloc(COUNT, sizeof *outcomes);
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    uint8_t masked[SECRET_SIZE];

    for (int round = 0; round < 2; round++) {
        randombytes_buf(masked, sizeof masked);
        fill(masked, &item.body, 3000);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(fixture_call(fixture, "test.echo", &item.base, 0, &outcomes[i], NULL),
                             RAY_OK);
        }
        wipe(&item.body);
        for (size_t i = 0; i < COUNT; i++) {
            fixture_run_until(fixture, &outcomes[i].has_ended);
            assert_int_equal(outcomes[i].code, RAY_OK);
        }
        assert_int_equal(ray_test_count_in_memory(masked, SECRET_SIZE), 0);
        ray_rpc_client_bundle(fixture->client);
    }
    free(outcomes);
}

/* Over a channel whose bytes are sealed: an operator's. */
static void test_bulk(void **state)
{
    static const size_t sizes[] = {60, 5000, 59000};
    struct fixture *fixture = *state;
    struct ray_rpc_bulk_server *server = NULL;
    struct ray_peer peer = {.identity = {9}};
    struct ray_seal *seals[2];
    uint8_t masked[SECRET_SIZE];
    int fds[2];

    bulk_fixture_tcp_pair(fds);
    bulk_fixture_seals(seals);
    ray_rpc_client_destroy(fixture->client);
    fixture->client = NULL;
    assert_int_equal(
        ray_rpc_bulk_server_create(&server, &fixture->loop, fixture_methods(), fixture, NULL),
        RAY_OK);
    ray_rpc_bulk_server_take_large(server);
    assert_int_equal(ray_rpc_bulk_server_take(server, fds[0], seals[0], &peer, NULL), RAY_OK);
    assert_int_equal(
        ray_rpc_client_create_bulk(&fixture->client, &fixture->loop, fds[1], seals[1], NULL),
        RAY_OK);
    randombytes_buf(masked, sizeof masked);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        call(fixture, masked, "test.echo", sizes[i]);
    }
    call(fixture, masked, "test.size", 300000);
    call(fixture, masked, "test.fail", 1000);
    assert_int_equal(ray_test_count_in_memory(masked, SECRET_SIZE), 0);
    ray_rpc_bulk_server_destroy(server);
}

static void on_readable(void *arg, int status, int events)
{
    (void)status;
    (void)events;
    *(bool *)arg = true;
}

/* More than a message has: refused unread, and not kept. */
static void test_too_long(void **state)
{
    struct fixture *fixture = *state;
    struct ray_poll poll = {0};
    uint8_t masked[SECRET_SIZE];
    ProtobufCBinaryData body;
    int fd = fixture_connect_raw(fixture);
    bool is_answered = false;

    assert_true(fd >= 0);
    randombytes_buf(masked, sizeof masked);
    fill(masked, &body, RAY_RPC_MESSAGE_SIZE_MAX + 1);
    assert_int_equal(send(fd, body.data, body.len, MSG_NOSIGNAL), body.len);
    wipe(&body);
    assert_int_equal(ray_poll_init(&poll, &fixture->loop, fd, on_readable, &is_answered, NULL),
                     RAY_OK);
    assert_int_equal(ray_poll_set(&poll, UV_READABLE), RAY_OK);
    fixture_run_until(fixture, &is_answered);
    assert_true(is_answered);
    assert_int_equal(ray_test_count_in_memory(masked, SECRET_SIZE), 0);
    ray_poll_fini(&poll);
    (void)close(fd);
}

/* What waits when a connection ends goes with it. */
static void test_ends(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_outcome outcomes[2];
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    uint8_t masked[SECRET_SIZE];

    randombytes_buf(masked, sizeof masked);
    fill(masked, &item.body, 450000);
    for (size_t i = 0; i < 2; i++) { /* more than the kernel takes */
        assert_int_equal(fixture_call(fixture, "test.size", &item.base, 0, &outcomes[i], NULL),
                         RAY_OK);
    }
    wipe(&item.body);
    assert_true(ray_test_count_in_memory(masked, SECRET_SIZE) > 0); /* the queue's */
    ray_loop_once(&fixture->loop); /* half of it is taken, perhaps */
    ray_rpc_client_destroy(fixture->client);
    fixture->client = NULL;
    ray_rpc_server_destroy(fixture->server);
    fixture->server = NULL;
    assert_int_equal(ray_test_count_in_memory(masked, SECRET_SIZE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_would_be_found),
        cmocka_unit_test_setup_teardown(test_calls, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_many_at_once, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_bulk, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_too_long, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_ends, fixture_make, fixture_drop),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
