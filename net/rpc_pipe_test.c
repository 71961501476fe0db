/* A front that hands every call on to the fixture's server by a pipe of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "net/rpc_fixture.h"
#include "net/rpc_pipe.h"

struct front {
    struct fixture *fixture; /* behind it */
    char path[120];
    struct ray_rpc_server *server;
    struct ray_rpc_client *client;
    size_t over_count;
    uint64_t timeout_ms; /* of its calls to the fixture */
    bool is_over;
};

static void on_over(void *arg)
{
    struct front *front = arg;

    front->over_count++;
    front->is_over = true;
}

static void hand_on(struct front *front, struct ray_rpc_call *call, const char *method,
                    const ProtobufCMessage *input, const ProtobufCMessageDescriptor *item,
                    const ProtobufCMessageDescriptor *output)
{
    const struct ray_rpc_pipe_to to = {.method = method,
                                       .item = item,
                                       .output = output,
                                       .timeout_ms = front->timeout_ms,
                                       .whom = "node b"};
    struct ray_rpc_client *client = NULL;

    assert_int_equal(
        ray_rpc_client_create_unix(&client, &front->fixture->loop, front->fixture->path, NULL),
        RAY_OK);
    ray_rpc_pipe(call, client, &to, input, on_over, front);
}

static void run_stream(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    hand_on(arg, call, "test.stream", input, &rayos__rpc__item__descriptor,
            &rayos__rpc__empty__descriptor);
}

static void run_echo(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    hand_on(arg, call, "test.echo", input, NULL, &rayos__rpc__item__descriptor);
}

static void run_fail(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    hand_on(arg, call, "test.fail", input, NULL, &rayos__rpc__empty__descriptor);
}

static void run_hold(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    hand_on(arg, call, "test.hold", input, NULL, &rayos__rpc__empty__descriptor);
}

static const struct ray_rpc_method methods[] = {
    {"stream", &rayos__rpc__credit__descriptor, run_stream},
    {"echo", &rayos__rpc__item__descriptor, run_echo},
    {"fail", &rayos__rpc__empty__descriptor, run_fail},
    {"hold", &rayos__rpc__empty__descriptor, run_hold},
    {NULL, NULL, NULL},
};

static int make(void **state)
{
    struct front *front = calloc(1, sizeof *front);

    assert_non_null(front);
    assert_int_equal(fixture_make((void **)&front->fixture), 0);
    (void)snprintf(front->path, sizeof front->path, "%s.front", front->fixture->path);
    assert_int_equal(ray_rpc_server_create_unix(&front->server, &front->fixture->loop, front->path,
                                                0600, methods, front, NULL),
                     RAY_OK);
    assert_int_equal(
        ray_rpc_client_create_unix(&front->client, &front->fixture->loop, front->path, NULL),
        RAY_OK);
    *state = front;
    return 0;
}

static int drop(void **state)
{
    struct front *front = *state;

    ray_rpc_client_destroy(front->client);
    ray_rpc_server_destroy(front->server);
    (void)unlink(front->path);
    assert_int_equal(fixture_drop((void **)&front->fixture), 0);
    free(front);
    return 0;
}

static const ProtobufCMessage *empty(void)
{
    static const Rayos__Rpc__Empty message = RAYOS__RPC__EMPTY__INIT;

    return &message.base;
}

static uint64_t start(struct front *front, const char *method, const ProtobufCMessage *input,
                      const ProtobufCMessageDescriptor *output, struct fixture_outcome *outcome)
{
    uint64_t id = 0;

    *outcome = (struct fixture_outcome){.fixture = front->fixture};
    assert_int_equal(ray_rpc_stream_start(front->client, method, input,
                                          &rayos__rpc__item__descriptor, output, 0, fixture_on_item,
                                          fixture_on_end, outcome, &id, NULL),
                     RAY_OK);
    return id;
}

static uint64_t start_stream(struct front *front, uint64_t count, uint32_t item_size,
                             struct fixture_outcome *outcome)
{
    Rayos__Rpc__Credit credit = RAYOS__RPC__CREDIT__INIT;

    credit.id = count;
    credit.count = item_size;
    return start(front, "stream", &credit.base, &rayos__rpc__empty__descriptor, outcome);
}

static void finish(struct front *front, struct fixture_outcome *outcome)
{
    fixture_run_until(front->fixture, &outcome->has_ended);
    assert_true(outcome->has_ended);
    assert_int_equal(outcome->end_count, 1);
}

/* Turns of the loop until the pipe is gone. */
static void finish_pipe(struct front *front)
{
    fixture_run_until(front->fixture, &front->is_over);
    assert_true(front->is_over);
}

static void test_answers(void **state)
{
    struct front *front = *state;
    struct fixture_outcome outcome;
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;

    item.id = 7;
    (void)start(front, "echo", &item.base, &rayos__rpc__item__descriptor, &outcome);
    finish(front, &outcome);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(outcome.id, 7);
    (void)start(front, "fail", empty(), &rayos__rpc__empty__descriptor, &outcome);
    finish(front, &outcome);
    assert_int_equal(outcome.code, RAY_ENOTFOUND);
    assert_string_equal(outcome.text, "no such thing");
    assert_string_equal(outcome.next_step, "make one");
    assert_int_equal(front->over_count, 2);
}

static void test_all_items(void **state)
{
    struct front *front = *state;
    struct fixture_outcome outcome;

    (void)start_stream(front, 1000, 10, &outcome);
    finish(front, &outcome);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(outcome.item_count, 1000);
    assert_int_equal(outcome.item_sum, 999 * 1000 / 2);
    (void)start_stream(front, 200, RAY_RPC_BODY_SIZE_MAX - 16, &outcome);
    finish(front, &outcome);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(outcome.item_count, 200);
    (void)start_stream(front, 0, 0, &outcome);
    finish(front, &outcome);
    assert_int_equal(outcome.item_count, 0);
}

static bool stands_still(struct front *front, const struct fixture_outcome *outcome)
{
    uint64_t before = outcome->item_count;
    uint64_t sent = front->fixture->stream.next;

    for (int i = 0; i < 20; i++) {
        (void)uv_run(&front->fixture->loop.uv, UV_RUN_NOWAIT);
    }
    return outcome->item_count == before && front->fixture->stream.next == sent;
}

/* A caller that takes no more stops the service, too: no more than the windows of both. */
static void test_slow_caller(void **state)
{
    struct front *front = *state;
    struct fixture_outcome outcome;
    uint64_t id = start_stream(front, 1000, 10, &outcome);

    ray_rpc_call_hold(front->client, id, true);
    while (!stands_still(front, &outcome)) {
    }
    assert_true(front->fixture->stream.next <= (uint64_t)2 * RAY_RPC_STREAM_WINDOW + 1);
    assert_true(front->fixture->stream.next > RAY_RPC_STREAM_WINDOW);
    ray_rpc_call_hold(front->client, id, false);
    finish(front, &outcome);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(outcome.item_count, 1000);
    assert_int_equal(outcome.item_sum, 999 * 1000 / 2);
}

/* It leaves with items that wait: they go, and the service hears of it. */
static void test_caller_leaves(void **state)
{
    struct front *front = *state;
    struct fixture_outcome outcome;
    uint64_t id = start_stream(front, 1000, 10, &outcome);

    ray_rpc_call_hold(front->client, id, true);
    while (!stands_still(front, &outcome)) {
    }
    ray_rpc_call_cancel(front->client, id);
    finish(front, &outcome);
    assert_int_equal(outcome.code, RAY_ECANCELED);
    finish_pipe(front);
    while (front->fixture->canceled_count == 0) {
        ray_loop_once(&front->fixture->loop);
    }
}

static void test_service_is_lost(void **state)
{
    struct front *front = *state;
    struct fixture_outcome outcome;

    (void)start(front, "hold", empty(), &rayos__rpc__empty__descriptor, &outcome);
    while (front->fixture->held_count == 0) {
        ray_loop_once(&front->fixture->loop);
    }
    ray_rpc_server_destroy(front->fixture->server);
    front->fixture->server = NULL;
    finish(front, &outcome);
    assert_int_equal(outcome.code, RAY_EUNAVAILABLE);
    assert_non_null(strstr(outcome.text, "node b was lost"));
    assert_string_not_equal(outcome.next_step, "");
    assert_int_equal(front->over_count, 1);
}

static void test_service_is_silent(void **state)
{
    struct front *front = *state;
    struct fixture_outcome outcome;

    front->timeout_ms = 10;
    (void)start(front, "hold", empty(), &rayos__rpc__empty__descriptor, &outcome);
    finish(front, &outcome);
    assert_int_equal(outcome.code, RAY_ETIMEOUT);
    assert_non_null(strstr(outcome.text, "node b does not answer"));
}

/* Both of its ends go while a call is under way. */
static void test_front_is_lost(void **state)
{
    struct front *front = *state;
    struct fixture_outcome outcome;

    (void)start(front, "hold", empty(), &rayos__rpc__empty__descriptor, &outcome);
    while (front->fixture->held_count == 0) {
        ray_loop_once(&front->fixture->loop);
    }
    ray_rpc_server_destroy(front->server);
    front->server = NULL;
    assert_int_equal(front->over_count, 1);
    finish(front, &outcome);
    assert_int_equal(outcome.code, RAY_ECLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, make, drop),
        cmocka_unit_test_setup_teardown(test_all_items, make, drop),
        cmocka_unit_test_setup_teardown(test_slow_caller, make, drop),
        cmocka_unit_test_setup_teardown(test_caller_leaves, make, drop),
        cmocka_unit_test_setup_teardown(test_service_is_lost, make, drop),
        cmocka_unit_test_setup_teardown(test_service_is_silent, make, drop),
        cmocka_unit_test_setup_teardown(test_front_is_lost, make, drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
