/* The n-th allocation, send, read or socket of a whole conversation fails, for every n:
 * each call still ends exactly once, nothing leaks, and nothing crashes. */
#include <stdlib.h>

#include "base/test.h"
#include "net/rpc_fixture.h"

enum { FAULT_COUNT_MAX = 20000 };

/* Starts a call and waits for its end; a refusal at the start is an end, too. */
static void converse(struct fixture *fixture, const char *method, const ProtobufCMessage *input,
                     uint64_t timeout_ms, bool cancels)
{
    struct fixture_outcome outcome;
    uint64_t id = 0;

    if (fixture_call(fixture, method, input, timeout_ms, &outcome, &id) != RAY_OK) {
        return;
    }
    if (cancels) {
        ray_rpc_call_cancel(fixture->client, id);
    }
    fixture_run_until(fixture, &outcome.has_ended);
    assert_true(outcome.has_ended);
    assert_int_equal(outcome.end_count, 1);
}

static void scenario(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    Rayos__Rpc__Empty empty = RAYOS__RPC__EMPTY__INIT;
    Rayos__Rpc__Credit credit = RAYOS__RPC__CREDIT__INIT;
    static uint8_t large[300000]; /* in parts, and more than the socket takes at once */

    assert_non_null(fixture);
    credit.id = 80;
    credit.count = 20000; /* more than the socket takes at once: the queue is used */
    if (fixture_setup(fixture) == 0) {
        converse(fixture, "test.echo", &item.base, 0, false);
        item.body = (ProtobufCBinaryData){.len = sizeof large, .data = large};
        converse(fixture, "test.size", &item.base, 0, false);
        converse(fixture, "test.nothing", &empty.base, 0, false);
        converse(fixture, "test.stream", &credit.base, 0, false);
        converse(fixture, "test.hold", &empty.base, 0, true);
        converse(fixture, "test.hold", &empty.base, 1, false);
        converse(fixture, "test.bye", &empty.base, 0, false);
    }
    fixture_teardown(fixture);
    free(fixture);
}

static void test_point(const char *name)
{
    for (unsigned n = 1; n < FAULT_COUNT_MAX; n++) {
        ray_test_fault_arm(name, n);
        scenario();
        if (!ray_test_fault_disarm()) {
            return;
        }
    }
    fail();
}

static void test_alloc(void **state)
{
    (void)state;
    test_point("alloc");
}

static void test_send(void **state)
{
    (void)state;
    test_point("send");
}

static void test_read(void **state)
{
    (void)state;
    test_point("read");
}

static void test_socket(void **state)
{
    (void)state;
    test_point("socket");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_send),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
