/* Requests that are larger than a message, over a Unix socket: they come whole, in their turn, and
 * what is too large is refused in words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "net/rpc_fixture.h"

enum {
    HEAD_SIZE = 8,
    EDGE_COUNT = 2 * HEAD_SIZE
}; /* of a body field of more than 16 KiB: key and size, and some */

static uint64_t sum_of(const ProtobufCBinaryData *body)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < body->len; i++) {
        sum = sum * 31 + body->data[i];
    }
    return sum;
}

static void fill(Rayos__Rpc__Item *item, size_t size)
{
    rayos__rpc__item__init(item);
    item->body.data = malloc(size);
    item->body.len = size;
    for (size_t i = 0; i < size; i++) {
        item->body.data[i] = (uint8_t)(i * 2654435761U >> 13);
    }
}

static void assert_arrives(struct fixture *fixture, size_t size)
{
    struct fixture_outcome outcome;
    Rayos__Rpc__Item item;

    fill(&item, size);
    assert_int_equal(fixture_call(fixture, "test.size", &item.base, 0, &outcome, NULL), RAY_OK);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(outcome.id, sum_of(&item.body));
    free(item.body.data);
}

static void test_sizes(void **state)
{
    for (size_t i = 0; i < EDGE_COUNT; i++) { /* around the edges of one message and of two */
        assert_arrives(*state, RAY_RPC_BODY_SIZE_MAX - HEAD_SIZE + i);
        assert_arrives(*state, (size_t)2 * RAY_RPC_BODY_SIZE_MAX - HEAD_SIZE + i);
    }
    assert_arrives(*state, RAY_RPC_LARGE_SIZE_MAX - HEAD_SIZE);
}

/* Several at once, and small ones between them; in one packet per turn, too. */
static void test_among_others(void **state)
{
    enum { COUNT = 3 };
    struct fixture *fixture = *state;
    struct fixture_outcome large[COUNT], small[COUNT];
    Rayos__Rpc__Item item, echoed = RAYOS__RPC__ITEM__INIT;

    for (int round = 0; round < 2; round++) {
        fill(&item, 200000);
        for (size_t i = 0; i < COUNT; i++) {
            echoed.id = i + 1;
            assert_int_equal(fixture_call(fixture, "test.size", &item.base, 0, &large[i], NULL),
                             RAY_OK);
            assert_int_equal(fixture_call(fixture, "test.echo", &echoed.base, 0, &small[i], NULL),
                             RAY_OK);
        }
        for (size_t i = 0; i < COUNT; i++) {
            fixture_run_until(fixture, &large[i].has_ended);
            fixture_run_until(fixture, &small[i].has_ended);
            assert_int_equal(large[i].code, RAY_OK);
            assert_int_equal(large[i].id, sum_of(&item.body));
            assert_int_equal(small[i].id, i + 1);
        }
        free(item.body.data);
        ray_rpc_client_bundle(fixture->client);
    }
}

static void test_too_large(void **state)
{
    struct fixture_outcome outcome = {0};
    struct fixture *fixture = *state;
    struct ray_err err = {0};
    Rayos__Rpc__Item item;
    int fds[1] = {STDERR_FILENO};

    fill(&item, RAY_RPC_LARGE_SIZE_MAX);
    assert_int_equal(ray_rpc_call_start(fixture->client, "test.size", &item.base, NULL, 0,
                                        &rayos__rpc__item__descriptor, 0, NULL, fixture_on_end,
                                        &outcome, NULL, &err),
                     RAY_ETOOBIG);
    assert_string_equal(err.text, "test.size with 532484 bytes, a request has at most 532480");
    assert_string_not_equal(err.next_step, "");

    item.body.len = RAY_RPC_BODY_SIZE_MAX; /* no parts with descriptors */
    assert_int_equal(ray_rpc_call_start(fixture->client, "test.size", &item.base, fds, 1,
                                        &rayos__rpc__item__descriptor, 0, NULL, fixture_on_end,
                                        &outcome, NULL, &err),
                     RAY_ETOOBIG);
    free(item.body.data);
    assert_arrives(fixture, 1); /* the connection goes on */
}

/* No server has to. */
static void test_server_that_takes_none(void **state)
{
    struct fixture *fixture = *state;
    struct ray_rpc_server *server = NULL;
    struct ray_rpc_client *client = NULL;
    struct fixture_outcome outcome = {0};
    Rayos__Rpc__Item item;
    char path[128];

    (void)snprintf(path, sizeof path, "%s/small", fixture->dir);
    assert_int_equal(ray_rpc_server_create_unix(&server, &fixture->loop, path, 0600,
                                                fixture_methods(), fixture, NULL),
                     RAY_OK);
    assert_int_equal(ray_rpc_client_create_unix(&client, &fixture->loop, path, NULL), RAY_OK);
    fill(&item, RAY_RPC_LARGE_SIZE_MAX - HEAD_SIZE);
    for (int round = 0; round < 2; round++) { /* the connection goes on */
        outcome = (struct fixture_outcome){.fixture = fixture};
        assert_int_equal(ray_rpc_call_start(client, "test.size", &item.base, NULL, 0,
                                            &rayos__rpc__item__descriptor, 0, NULL, fixture_on_end,
                                            &outcome, NULL, NULL),
                         RAY_OK);
        fixture_run_until(fixture, &outcome.has_ended);
        assert_int_equal(outcome.code, RAY_EINVAL);
        assert_string_equal(outcome.text,
                            "test.size with 532476 bytes, requests here have at most 60000");
        assert_string_not_equal(outcome.next_step, "");
    }
    free(item.body.data);
    ray_rpc_client_destroy(client);
    ray_rpc_server_destroy(server);
}

/* A client that has much waiting is told to come again, before half of a request is out. */
static void test_too_much_waits(void **state)
{
    enum { COUNT = 20 };
    struct fixture *fixture = *state;
    struct fixture_outcome outcomes[COUNT];
    Rayos__Rpc__Item item;
    size_t count = 0;
    int rc = RAY_OK;

    fill(&item, RAY_RPC_LARGE_SIZE_MAX - HEAD_SIZE);
    while (rc == RAY_OK && count < COUNT) {
        rc = fixture_call(fixture, "test.size", &item.base, 0, &outcomes[count], NULL);
        count += rc == RAY_OK;
    }
    assert_int_equal(rc, RAY_EAGAIN);
    assert_true(count >= 2 && count < 6);
    for (size_t i = 0; i < count; i++) {
        fixture_run_until(fixture, &outcomes[i].has_ended);
        assert_int_equal(outcomes[i].code, RAY_OK);
    }
    free(item.body.data);
    assert_arrives(fixture, RAY_RPC_LARGE_SIZE_MAX - HEAD_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_among_others, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_too_large, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_server_that_takes_none, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_too_much_waits, fixture_make, fixture_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
