/* Bundles: taken apart whatever they hold, asked for by who takes them, one packet a turn; and
 * calls come out the same with and without. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"
#include "net/proto_codec.h"
#include "net/rpc_bundle.h"
#include "net/rpc_envelope.h"
#include "net/rpc_fixture.h"

enum {
    CALLS = 100,
    PACKET_SIZE = RAY_RPC_MESSAGE_SIZE_MAX,
    BIG_BODY_SIZE = 10000,
    BIG_BUNDLES = 60
};

/* ---- pure ---- */

static size_t bundle_of(uint8_t *out, const size_t *sizes, size_t count)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        at += ray_rpc_bundle_head(out + at, sizes[i]);
        memset(out + at, (int)i + 1, sizes[i]);
        at += sizes[i];
    }
    return at;
}

static void test_any_sizes_come_back(void **state)
{
    static const size_t sizes[] = {1, 127, 128, 16383, 16384, 3, 30000};
    uint8_t *bytes = malloc(PACKET_SIZE);
    size_t size = bundle_of(bytes, sizes, 7);
    size_t at = 0;

    (void)state;
    assert_true(ray_rpc_bundle_is(bytes, size));
    for (size_t i = 0; i < 7; i++) {
        const uint8_t *message = NULL;
        size_t message_size = 0;

        assert_int_equal(ray_rpc_bundle_next(bytes, size, &at, &message, &message_size), RAY_OK);
        assert_int_equal(message_size, sizes[i]);
        assert_int_equal(message[0], i + 1);
        assert_int_equal(message[message_size - 1], i + 1);
    }
    assert_int_equal(at, size);
    free(bytes);
}

/* Every prefix is whole messages and then nothing, or refused. */
static void test_what_is_cut_is_refused(void **state)
{
    static const size_t sizes[] = {1, 130, 5};
    uint8_t bytes[256];
    size_t size = bundle_of(bytes, sizes, 3);

    (void)state;
    for (size_t cut = 1; cut < size; cut++) {
        uint8_t *exact = ray_test_copy(bytes, cut);
        const uint8_t *message;
        size_t message_size;
        size_t at = 0;
        int rc = RAY_OK;

        while (rc == RAY_OK && at < cut) {
            rc = ray_rpc_bundle_next(exact, cut, &at, &message, &message_size);
        }
        assert_int_equal(rc, cut == 3 || cut == 3 + 133 ? RAY_OK : RAY_EMALFORMED);
        free(exact);
    }
}

static void test_hostile_heads_are_refused(void **state)
{
    static const struct {
        uint8_t bytes[6];
        size_t size;
    } heads[] = {
        {{0x32, 0x00}, 2},                         /* an empty message */
        {{0x32, 0x80, 0x80, 0x80, 0x01, 0x00}, 6}, /* a size of four bytes */
        {{0x0a, 0x01, 0x00}, 3},                   /* another field */
        {{0x32, 0xff, 0xff, 0x7f, 0x00}, 5},       /* more than there is */
    };

    (void)state;
    assert_false(ray_rpc_bundle_is(heads[0].bytes, 0));
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        const uint8_t *message;
        size_t message_size;
        size_t at = 0;

        assert_int_equal(
            ray_rpc_bundle_next(heads[i].bytes, heads[i].size, &at, &message, &message_size),
            RAY_EMALFORMED);
    }
}

/* ---- a client that bundles ---- */

static void echo(struct fixture *fixture, uint64_t id, size_t body_size,
                 struct fixture_outcome *outcome)
{
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    uint8_t *body = calloc(1, body_size + 1);

    item.id = id;
    item.body = ray_proto_bytes(body, body_size);
    assert_int_equal(fixture_call(fixture, "test.echo", &item.base, 0, outcome, NULL), RAY_OK);
    free(body);
}

static void run_calls(struct fixture *fixture, size_t body_size)
{
    struct fixture_outcome outcomes[CALLS];

    for (uint64_t i = 0; i < CALLS; i++) {
        echo(fixture, i, body_size, &outcomes[i]);
    }
    for (uint64_t i = 0; i < CALLS; i++) {
        fixture_run_until(fixture, &outcomes[i].has_ended);
        assert_int_equal(outcomes[i].code, RAY_OK);
        assert_int_equal(outcomes[i].id, i);
        assert_int_equal(outcomes[i].body_size, body_size);
        assert_int_equal(outcomes[i].end_count, 1);
    }
}

static void test_calls_are_answered(void **state)
{
    struct fixture *fixture = *state;

    ray_rpc_client_bundle(fixture->client);
    run_calls(fixture, 10);   /* the server learns of it, and so do we */
    run_calls(fixture, 10);   /* both bundle */
    run_calls(fixture, 3000); /* more than a packet */
}

/* What was said before the end is sent. */
static void test_destroy_sends_what_waits(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_outcome outcome;
    Rayos__Rpc__Empty nothing = RAYOS__RPC__EMPTY__INIT;

    ray_rpc_client_bundle(fixture->client);
    run_calls(fixture, 10);
    assert_int_equal(fixture_call(fixture, "test.bye", &nothing.base, 0, &outcome, NULL), RAY_OK);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_int_equal(outcome.end_count, 1);
}

/* ---- packets on a bare socket ---- */

static void say(int fd, const uint8_t *bytes, size_t size)
{
    assert_int_equal(send(fd, bytes, size, 0), size);
}

static size_t request_with(uint64_t id, bool takes_bundles, size_t body_size, uint8_t *out)
{
    static uint8_t filling[BIG_BODY_SIZE];
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    uint8_t body[BIG_BODY_SIZE + 32];
    struct ray_rpc_message message = {.kind = RAY_RPC_REQUEST,
                                      .id = id,
                                      .method = "test.echo",
                                      .takes_bundles = takes_bundles,
                                      .body = body};
    struct ray_arena arena;
    const uint8_t *bytes;
    size_t size;

    item.id = id;
    item.body = ray_proto_bytes(filling, body_size);
    message.body_size = rayos__rpc__item__pack(&item, body);
    ray_arena_init(&arena, 1 << 16);
    assert_int_equal(ray_rpc_envelope_encode(&message, &arena, &bytes, &size, NULL), RAY_OK);
    memcpy(out, bytes, size);
    ray_arena_fini(&arena);
    return size;
}

static size_t request(uint64_t id, bool takes_bundles, uint8_t *out)
{
    return request_with(id, takes_bundles, 0, out);
}

static size_t bundle_requests(uint64_t first_id, size_t count, bool takes_bundles, uint8_t *out)
{
    size_t at = 0;

    for (uint64_t i = 0; i < count; i++) {
        uint8_t one[128];
        size_t size = request(first_id + i, takes_bundles, one);

        at += ray_rpc_bundle_head(out + at, size);
        memcpy(out + at, one, size);
        at += size;
    }
    return at;
}

static void on_readable(void *arg, int status, int events)
{
    (void)status;
    (void)events;
    *(bool *)arg = true;
}

/* The size of the next packet; 0: the end. */
static size_t hear(struct fixture *fixture, int fd, uint8_t *out)
{
    struct ray_poll poll = {0};
    bool is_readable = false;
    ssize_t size;

    assert_int_equal(ray_poll_init(&poll, &fixture->loop, fd, on_readable, &is_readable, NULL),
                     RAY_OK);
    assert_int_equal(ray_poll_set(&poll, UV_READABLE), RAY_OK);
    fixture_run_until(fixture, &is_readable);
    ray_poll_fini(&poll);
    size = recv(fd, out, PACKET_SIZE, MSG_DONTWAIT);
    return size < 0 ? 0 : (size_t)size;
}

static void test_one_packet_for_who_asks(void **state)
{
    struct fixture *fixture = *state;
    int fd = fixture_connect_raw(fixture);
    uint8_t *bytes = malloc(PACKET_SIZE);
    size_t at = 0;
    size_t count = 0;
    size_t size;

    say(fd, bytes, bundle_requests(1, 20, true, bytes));
    size = hear(fixture, fd, bytes);
    assert_true(ray_rpc_bundle_is(bytes, size));
    while (at < size) {
        const uint8_t *message;
        struct ray_rpc_message decoded;
        struct ray_arena arena;
        size_t message_size;

        assert_int_equal(ray_rpc_bundle_next(bytes, size, &at, &message, &message_size), RAY_OK);
        ray_arena_init(&arena, 1 << 16);
        assert_int_equal(ray_rpc_envelope_decode(message, message_size, &arena, &decoded, NULL),
                         RAY_OK);
        assert_int_equal(decoded.id, ++count);
        assert_true(decoded.takes_bundles);
        ray_arena_fini(&arena);
    }
    assert_int_equal(count, 20);
    /* One alone goes as it is. */
    say(fd, bytes, request(21, true, bytes));
    size = hear(fixture, fd, bytes);
    assert_true(size > 0 && !ray_rpc_bundle_is(bytes, size));
    free(bytes);
    (void)close(fd);
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static void run_for_ms(struct fixture *fixture, uint64_t ms)
{
    struct ray_timer timer = {0};
    bool is_over = false;

    assert_int_equal(ray_timer_init(&timer, &fixture->loop, set_flag, &is_over, NULL), RAY_OK);
    ray_timer_start(&timer, ms, 0);
    fixture_run_until(fixture, &is_over);
    ray_timer_fini(&timer);
}

static size_t count_messages(const uint8_t *bytes, size_t size)
{
    size_t count = 0;

    if (!ray_rpc_bundle_is(bytes, size)) {
        return 1;
    }
    for (size_t at = 0; at < size; count++) {
        const uint8_t *message;
        size_t message_size;

        assert_int_equal(ray_rpc_bundle_next(bytes, size, &at, &message, &message_size), RAY_OK);
    }
    return count;
}

static size_t big_bundle(uint64_t first_id, size_t count, uint8_t *out)
{
    uint8_t one[BIG_BODY_SIZE + 128];
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        size_t size = request_with(first_id + i, true, BIG_BODY_SIZE, one);

        at += ray_rpc_bundle_head(out + at, size);
        memcpy(out + at, one, size);
        at += size;
    }
    return at;
}

/* Who asks and does not read is not read from any more, also in the middle of a bundle; and once
 * it reads it gets all. */
static void test_a_full_queue_pauses(void **state)
{
    enum { PER_BUNDLE = 6 };
    struct fixture *fixture = *state;
    int fd = fixture_connect_raw(fixture);
    uint8_t *bytes = malloc(PACKET_SIZE);
    uint8_t *answers = malloc(PACKET_SIZE);
    size_t sent = 0;
    size_t answered = 0;
    size_t refused = 0;

    while (answered < (size_t)BIG_BUNDLES * PER_BUNDLE) {
        size_t size = big_bundle(1 + sent * PER_BUNDLE, PER_BUNDLE, bytes);

        if (sent < BIG_BUNDLES && send(fd, bytes, size, MSG_DONTWAIT) > 0) {
            sent++;
            refused = 0;
        } else {
            refused++;
        }
        run_for_ms(fixture, 1);
        if (refused > 20) { /* it has stopped, or all is sent: now read */
            ssize_t heard = recv(fd, answers, PACKET_SIZE, MSG_DONTWAIT);

            assert_true(answered > 0 || sent < BIG_BUNDLES);
            assert_true(heard > 0);
            answered += count_messages(answers, (size_t)heard);
            refused = 20;
        }
    }
    assert_int_equal(answered, BIG_BUNDLES * PER_BUNDLE);
    free(answers);
    free(bytes);
    (void)close(fd);
}

static void test_single_packets_for_others(void **state)
{
    struct fixture *fixture = *state;
    int fd = fixture_connect_raw(fixture);
    uint8_t *bytes = malloc(PACKET_SIZE);

    say(fd, bytes, bundle_requests(1, 5, false, bytes));
    for (int i = 0; i < 5; i++) {
        size_t size = hear(fixture, fd, bytes);

        assert_true(size > 0 && !ray_rpc_bundle_is(bytes, size));
    }
    free(bytes);
    (void)close(fd);
}

static void test_damaged_bundles_cut_off(void **state)
{
    struct fixture *fixture = *state;
    uint8_t bytes[512];
    uint8_t inner[256];

    for (int kind = 0; kind < 2; kind++) {
        int fd = fixture_connect_raw(fixture);
        size_t size = bundle_requests(1, 2, true, inner);

        if (kind == 0) { /* not whole */
            memcpy(bytes, inner, --size);
        } else { /* a bundle in a bundle */
            size_t head_size = ray_rpc_bundle_head(bytes, size);

            memcpy(bytes + head_size, inner, size);
            size += head_size;
        }
        say(fd, bytes, size);
        for (size = 1; size > 0;) { /* an answer may come before the end */
            uint8_t *out = malloc(PACKET_SIZE);

            size = hear(fixture, fd, out);
            free(out);
        }
        assert_false(fixture->is_timed_out);
        (void)close(fd);
    }
}

/* However much comes at once, a turn takes a limited number of it; the rest is not lost. */
static void test_a_turn_has_its_limit(void **state)
{
    enum { REQUESTS = 1500, OF_ONE_TURN = 256, TURNS_MAX = 100 };
    struct fixture *fixture = *state;
    uint8_t *bytes = malloc(PACKET_SIZE);
    size_t answered = 0;
    size_t turns = 0;
    int fd = fixture_connect_raw(fixture);

    assert_non_null(bytes);
    say(fd, bytes, request(1, true, bytes));
    (void)hear(fixture, fd, bytes);
    say(fd, bytes, bundle_requests(2, REQUESTS, true, bytes));
    for (; answered < REQUESTS && turns < TURNS_MAX; turns++) {
        size_t before = answered;
        ssize_t size;

        (void)uv_run(&fixture->loop.uv, UV_RUN_NOWAIT); /* its answers come with the next */
        while ((size = recv(fd, bytes, PACKET_SIZE, MSG_DONTWAIT)) > 0) {
            answered += count_messages(bytes, (size_t)size);
        }
        assert_true(answered - before <= OF_ONE_TURN);
    }
    assert_int_equal(answered, REQUESTS);
    (void)close(fd);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_sizes_come_back),
        cmocka_unit_test(test_what_is_cut_is_refused),
        cmocka_unit_test(test_hostile_heads_are_refused),
        cmocka_unit_test_setup_teardown(test_calls_are_answered, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_destroy_sends_what_waits, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_one_packet_for_who_asks, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_a_full_queue_pauses, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_single_packets_for_others, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_damaged_bundles_cut_off, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_a_turn_has_its_limit, fixture_make, fixture_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
