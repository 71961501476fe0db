/* Calls over a real Unix socket between two ends of ours. What hostile peers do is in
 * rpc_hostile_test.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "net/proto_codec.h"
#include "net/rpc.h"
#include "net/rpc_fixture.h"

static const ProtobufCMessage *empty(void)
{
    static const Rayos__Rpc__Empty message = RAYOS__RPC__EMPTY__INIT;

    return &message.base;
}

static void call(struct fixture *fixture, const char *method, const ProtobufCMessage *input,
                 struct fixture_outcome *outcome)
{
    assert_int_equal(fixture_call(fixture, method, input, 0, outcome, NULL), RAY_OK);
    assert_false(outcome->has_ended); /* never from within */
    fixture_run_until(fixture, &outcome->has_ended);
    assert_true(outcome->has_ended);
    assert_int_equal(outcome->end_count, 1);
}

static void start_stream(struct fixture *fixture, uint64_t count, uint32_t item_size,
                         struct fixture_outcome *outcome, uint64_t *out_id)
{
    Rayos__Rpc__Credit credit = RAYOS__RPC__CREDIT__INIT;

    credit.id = count;
    credit.count = item_size;
    assert_int_equal(fixture_call(fixture, "test.stream", &credit.base, 0, outcome, out_id),
                     RAY_OK);
}

static void test_echo(void **state)
{
    struct fixture_outcome outcome;
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    uint8_t *bytes = calloc(1, RAY_RPC_BODY_SIZE_MAX);

    item.id = 42;
    /* Item's own fields take a few bytes of the body. */
    item.body = ray_proto_bytes(bytes, RAY_RPC_BODY_SIZE_MAX - 16);
    call(*state, "test.echo", &item.base, &outcome);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(outcome.id, 42);
    assert_int_equal(outcome.body_size, RAY_RPC_BODY_SIZE_MAX - 16);

    item.body.len = RAY_RPC_BODY_SIZE_MAX;
    call(*state, "test.echo", &item.base, &outcome);
    assert_int_equal(outcome.code, RAY_EINVAL); /* it comes in parts, but answers have none */
    assert_non_null(strstr(outcome.text, "at most 60000"));
    free(bytes);
}

static void test_errors(void **state)
{
    struct fixture_outcome outcome;
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;

    call(*state, "test.fail", empty(), &outcome);
    assert_int_equal(outcome.code, RAY_ENOTFOUND);
    assert_string_equal(outcome.text, "no such thing");
    assert_string_equal(outcome.next_step, "make one");

    call(*state, "test.nothing", empty(), &outcome);
    assert_int_equal(outcome.code, RAY_ENOTFOUND);
    assert_non_null(strstr(outcome.text, "test.nothing"));
    assert_string_not_equal(outcome.next_step, "");

    /* Field 1 of Request is a number, field 2 a text: an Item's bytes are no Credit. */
    item.body = ray_proto_bytes("abc", 3);
    call(*state, "test.stream", &item.base, &outcome);
    assert_int_equal(outcome.code, RAY_EINVAL); /* "invalid" on the wire */

    call(*state, "test.big", empty(), &outcome);
    assert_int_equal(outcome.code, RAY_EINVAL);
    assert_non_null(strstr(outcome.text, "at most"));

    call(*state, "test.echo", empty(), &outcome); /* the connection has survived all that */
    assert_int_equal(outcome.code, RAY_OK);
}

static void test_stream(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_outcome outcome;

    start_stream(fixture, 1000, 10, &outcome, NULL);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(outcome.item_count, 1000);
    assert_int_equal(outcome.item_sum, 999 * 1000 / 2);
    assert_true(fixture->stream.blocked_count > 0); /* by the window */

    start_stream(fixture, 0, 0, &outcome, NULL);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(outcome.item_count, 0);

    start_stream(fixture, 200, RAY_RPC_BODY_SIZE_MAX - 16, &outcome, NULL);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(outcome.item_count, 200);
}

/* Held, a stream stops after what there is credit for, and goes on when it is let go. */
static void test_held_stream(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_outcome outcome;
    uint64_t id = 0;

    start_stream(fixture, 1000, 10, &outcome, &id);
    ray_rpc_call_hold(fixture->client, id, true);
    while (outcome.item_count < RAY_RPC_STREAM_WINDOW) {
        ray_loop_once(&fixture->loop);
    }
    for (int i = 0; i < 5; i++) {
        (void)uv_run(&fixture->loop.uv, UV_RUN_NOWAIT);
    }
    assert_int_equal(outcome.item_count, RAY_RPC_STREAM_WINDOW);
    assert_false(outcome.has_ended);
    ray_rpc_call_hold(fixture->client, id + 1, false); /* nobody's */
    ray_rpc_call_hold(fixture->client, id, false);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(outcome.item_count, 1000);
    ray_rpc_call_hold(fixture->client, id, true); /* over */
}

/* Items of one type, the end of another; a wrong type for items ends the call. */
static void test_stream_types(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_outcome outcome = {.fixture = fixture};
    Rayos__Rpc__Credit credit = RAYOS__RPC__CREDIT__INIT;

    credit.id = 3;
    credit.count = 5;
    assert_int_equal(ray_rpc_stream_start(fixture->client, "test.stream", &credit.base,
                                          &rayos__rpc__item__descriptor,
                                          &rayos__rpc__empty__descriptor, 0, fixture_on_item,
                                          fixture_on_end, &outcome, NULL, NULL),
                     RAY_OK);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(outcome.item_count, 3);

    outcome = (struct fixture_outcome){.fixture = fixture};
    assert_int_equal(ray_rpc_stream_start(fixture->client, "test.stream", &credit.base,
                                          &rayos__rpc__credit__descriptor,
                                          &rayos__rpc__empty__descriptor, 0, fixture_on_item,
                                          fixture_on_end, &outcome, NULL, NULL),
                     RAY_OK);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_EMALFORMED);
    assert_int_equal(outcome.item_count, 0);
}

static void test_unwanted_items(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_outcome outcome = {.fixture = fixture};
    Rayos__Rpc__Credit credit = RAYOS__RPC__CREDIT__INIT;

    /* A caller that wants one answer gives no credit, so a streaming method waits. */
    credit.id = 5;
    assert_int_equal(fixture_call(fixture, "test.hold", empty(), 0, &outcome, NULL), RAY_OK);
    while (fixture->held_count == 0) {
        ray_loop_once(&fixture->loop);
    }
    assert_int_equal(ray_rpc_send(fixture->held[0], &credit.base), RAY_EAGAIN);
    fixture_release_held(fixture);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_OK);
}

static void test_cancel(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_outcome outcome, other;
    uint64_t id = 0;

    start_stream(fixture, UINT64_MAX, 10, &outcome, &id);
    while (outcome.item_count < 100) {
        ray_loop_once(&fixture->loop);
    }
    ray_rpc_call_cancel(fixture->client, id);
    ray_rpc_call_cancel(fixture->client, id); /* twice is once */
    ray_rpc_call_cancel(fixture->client, 4711);
    assert_false(outcome.has_ended);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_ECANCELED);
    call(fixture, "test.echo", empty(), &other); /* the server has heard the cancel before */
    assert_int_equal(outcome.end_count, 1);
    assert_int_equal(fixture->canceled_count, 1);
    assert_null(fixture->stream.call);
}

/* A method without on_cancel keeps its call until it ends it, for nobody. */
static void test_cancel_without_callback(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_outcome outcome, other;
    uint64_t id = 0;

    fixture->hold_without_callback = true;
    assert_int_equal(fixture_call(fixture, "test.hold", empty(), 0, &outcome, &id), RAY_OK);
    call(fixture, "test.echo", empty(), &other);
    assert_int_equal(fixture->held_count, 1);
    ray_rpc_call_cancel(fixture->client, id);
    call(fixture, "test.echo", empty(), &other);
    assert_int_equal(ray_rpc_send(fixture->held[0], empty()), RAY_ECLOSED);
    assert_int_equal(ray_rpc_reply(fixture->held[0], empty()), RAY_ECLOSED);
    fixture->held[0] = NULL;

    /* The same when the peer leaves, and when the server does, too. */
    for (size_t i = 1; i <= 2; i++) {
        assert_int_equal(fixture_call(fixture, "test.hold", empty(), 0, &outcome, &id), RAY_OK);
        call(fixture, "test.echo", empty(), &other);
    }
    ray_rpc_client_destroy(fixture->client);
    fixture->client = NULL;
    assert_int_equal(outcome.code, RAY_ECANCELED);
    while (ray_rpc_send(fixture->held[1], empty()) != RAY_ECLOSED) {
        ray_loop_once(&fixture->loop);
    }
    assert_int_equal(ray_rpc_reply(fixture->held[1], empty()), RAY_ECLOSED);
    fixture->held[1] = NULL;
    ray_rpc_server_destroy(fixture->server);
    fixture->server = NULL;
    assert_int_equal(ray_rpc_reply(fixture->held[2], empty()), RAY_ECLOSED);
    fixture->held[2] = NULL;
}

static void test_timeout(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_outcome slow, never, other;

    assert_int_equal(fixture_call(fixture, "test.hold", empty(), 0, &never, NULL), RAY_OK);
    assert_int_equal(fixture_call(fixture, "test.hold", empty(), 30, &slow, NULL), RAY_OK);
    fixture_run_until(fixture, &slow.has_ended);
    assert_int_equal(slow.code, RAY_ETIMEOUT);
    call(fixture, "test.echo", empty(), &other);
    assert_int_equal(fixture->held_count, 2);
    assert_in_range(fixture->remaining_ms, 1, 31);
    assert_null(fixture->held[1]); /* canceled at the server, too */
    assert_false(never.has_ended);
    fixture_release_held(fixture);
    fixture_run_until(fixture, &never.has_ended);
    assert_int_equal(never.code, RAY_OK);
}

static void test_client_limit(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_outcome *outcomes = calloc(RAY_RPC_CALLS_PER_CONN_MAX + 1, sizeof *outcomes);

    for (size_t i = 0; i < RAY_RPC_CALLS_PER_CONN_MAX; i++) {
        assert_int_equal(fixture_call(fixture, "test.hold", empty(), 0, &outcomes[i], NULL),
                         RAY_OK);
    }
    assert_int_equal(
        fixture_call(fixture, "test.hold", empty(), 0, &outcomes[RAY_RPC_CALLS_PER_CONN_MAX], NULL),
        RAY_EAGAIN);
    while (fixture->held_count < RAY_RPC_CALLS_PER_CONN_MAX) {
        ray_loop_once(&fixture->loop);
    }
    fixture_release_held(fixture);
    for (size_t i = 0; i < RAY_RPC_CALLS_PER_CONN_MAX; i++) {
        fixture_run_until(fixture, &outcomes[i].has_ended);
        assert_int_equal(outcomes[i].code, RAY_OK);
    }
    free(outcomes);
}

static void test_descriptor(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_outcome outcome = {0};
    int ends[2];
    char got = 0;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fixture_call(fixture, "test.fd", empty(), 0, &outcome, NULL), RAY_OK);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_int_equal(fixture->received_fd, -1); /* none was sent */
    outcome.has_ended = false;
    /* The second is not taken: the call closes it. */
    assert_int_equal(ray_rpc_call_start(fixture->client, "test.fd", empty(), ends, 2,
                                        &rayos__rpc__empty__descriptor, 0, NULL, fixture_on_end,
                                        &outcome, NULL, NULL),
                     RAY_OK);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_OK);
    assert_true(fixture->received_fd >= 0);
    assert_int_equal(fcntl(fixture->received_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(read(fixture->received_fd, &got, 1), 1);
    assert_int_equal(got, 'x');
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(ends[1]), 0);
}

static void on_close(void *arg)
{
    *(bool *)arg = true;
}

static void test_server_leaves(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_outcome bye, hold;
    bool is_closed = false;
    struct ray_err err = {0};

    ray_rpc_client_on_close(fixture->client, on_close, &is_closed);
    assert_int_equal(fixture_call(fixture, "test.hold", empty(), 0, &hold, NULL), RAY_OK);
    assert_int_equal(fixture_call(fixture, "test.bye", empty(), 0, &bye, NULL), RAY_OK);
    fixture_run_until(fixture, &is_closed);
    assert_true(is_closed);
    assert_int_equal(bye.code, RAY_OK); /* the answer came before the end */
    assert_int_equal(hold.code, RAY_ECLOSED);
    assert_null(fixture->held[0]);
    assert_int_equal(access(fixture->path, F_OK), -1); /* the socket file went, too */
    assert_int_equal(ray_rpc_call_start(fixture->client, "test.echo", empty(), NULL, 0,
                                        &rayos__rpc__empty__descriptor, 0, NULL, fixture_on_end,
                                        &bye, NULL, &err),
                     RAY_ECLOSED);
    assert_string_not_equal(err.text, "");
}

static void on_end_destroy(void *arg, const struct ray_rpc_result *result)
{
    struct fixture_outcome *outcome = arg;

    outcome->code = result->code;
    outcome->has_ended = true;
    ray_rpc_client_destroy(outcome->fixture->client);
    outcome->fixture->client = NULL;
}

static void test_client_destroyed_in_callback(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_outcome outcome = {.fixture = fixture}, hold;

    assert_int_equal(fixture_call(fixture, "test.hold", empty(), 0, &hold, NULL), RAY_OK);
    assert_int_equal(ray_rpc_call_start(fixture->client, "test.echo", empty(), NULL, 0,
                                        &rayos__rpc__item__descriptor, 0, NULL, on_end_destroy,
                                        &outcome, NULL, NULL),
                     RAY_OK);
    fixture_run_until(fixture, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_OK);
    assert_int_equal(hold.code, RAY_ECANCELED);
    while (fixture->held_count == 0 || fixture->held[0] != NULL) {
        ray_loop_once(&fixture->loop); /* until the server has heard of it */
    }
}

static void test_socket_paths(void **state)
{
    struct fixture *fixture = *state;
    struct ray_rpc_server *server = NULL;
    struct ray_rpc_client *client = NULL;
    static const struct ray_rpc_method none[] = {{NULL, NULL, NULL}};
    struct ray_err err = {0};
    char path[200];
    struct stat st;

    assert_int_equal(
        ray_rpc_server_create_unix(&server, &fixture->loop, fixture->path, 0600, none, NULL, &err),
        RAY_EEXISTS); /* somebody lives there */
    assert_int_equal(stat(fixture->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    (void)snprintf(path, sizeof path, "%s/stale", fixture->dir);
    if (fork() == 0) { /* leaves its socket file behind */
        struct ray_loop loop = {0};

        _exit(ray_loop_init(&loop, NULL) != RAY_OK ||
              ray_rpc_server_create_unix(&server, &loop, path, 0666, none, NULL, NULL) != RAY_OK);
    }
    int status = 0;
    assert_true(wait(&status) > 0 && status == 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(ray_rpc_client_create_unix(&client, &fixture->loop, path, &err),
                     RAY_EUNAVAILABLE);
    assert_int_equal(
        ray_rpc_server_create_unix(&server, &fixture->loop, path, 0666, none, NULL, &err), RAY_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    /* Replaced under our feet: the successor's file is not ours to remove. */
    assert_int_equal(unlink(path), 0);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && close(fd) == 0);
    ray_rpc_server_destroy(server);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(
        ray_rpc_server_create_unix(&server, &fixture->loop, path, 0666, none, NULL, &err),
        RAY_EEXISTS); /* no socket: not ours to replace */
    assert_int_equal(unlink(path), 0);

    assert_int_equal(ray_rpc_client_create_unix(&client, &fixture->loop, path, &err),
                     RAY_EUNAVAILABLE);
    memset(path, 'a', sizeof path);
    path[108] = '\0';
    assert_int_equal(
        ray_rpc_server_create_unix(&server, &fixture->loop, path, 0666, none, NULL, &err),
        RAY_EINVAL);
    assert_string_not_equal(err.next_step, "");
    assert_int_equal(ray_rpc_client_create_unix(&client, &fixture->loop, "", &err), RAY_EINVAL);
}

/* An answer with descriptors, taken or left lying: then they are closed. */
static void expect_once_with_descriptors(const char *path)
{
    ProtobufCMessage *body = NULL;
    int fds[RAY_RPC_FD_COUNT_MAX];
    size_t fd_count = 0;
    char got = 0;
    int before = dup(STDERR_FILENO);
    int after;

    assert_int_equal(close(before), 0);
    assert_int_equal(ray_rpc_call_unix_fds(path, "test.give", empty(),
                                           &rayos__rpc__empty__descriptor, 5000, &body, fds,
                                           &fd_count, NULL),
                     RAY_OK);
    protobuf_c_message_free_unpacked(body, NULL);
    assert_int_equal(fd_count, 2);
    assert_int_equal(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(fds[0], &got, 1), 1);
    assert_int_equal(got, 'x');
    assert_int_equal(close(fds[1]), 0);
    assert_int_equal(read(fds[0], &got, 1), 0); /* the server has closed its own */
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(ray_rpc_call_unix(path, "test.give", empty(), &rayos__rpc__empty__descriptor,
                                       5000, &body, NULL),
                     RAY_OK);
    protobuf_c_message_free_unpacked(body, NULL);
    after = dup(STDERR_FILENO);
    assert_int_equal(after, before);
    assert_int_equal(close(after), 0);
}

/* The blocking call of command lines, against a server in another process. */
static void test_once(void **state)
{
    struct fixture *fixture = *state;
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};
    pid_t child;
    int status = 0;

    ray_rpc_client_destroy(fixture->client);
    fixture->client = NULL;
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)alarm(20);
        while (fixture->server != NULL) {
            ray_loop_once(&fixture->loop);
        }
        _exit(0);
    }
    item.id = 7;
    assert_int_equal(ray_rpc_call_unix(fixture->path, "test.echo", &item.base,
                                       &rayos__rpc__item__descriptor, 5000, &body, &err),
                     RAY_OK);
    assert_int_equal(((Rayos__Rpc__Item *)body)->id, 7);
    protobuf_c_message_free_unpacked(body, NULL);
    assert_int_equal(ray_rpc_call_unix(fixture->path, "test.fail", empty(),
                                       &rayos__rpc__empty__descriptor, 5000, &body, &err),
                     RAY_ENOTFOUND);
    assert_string_equal(err.text, "no such thing");
    assert_string_equal(err.next_step, "make one");
    expect_once_with_descriptors(fixture->path);
    assert_int_equal(ray_rpc_call_unix(fixture->path, "test.hold", empty(),
                                       &rayos__rpc__empty__descriptor, 20, &body, &err),
                     RAY_ETIMEOUT);
    assert_int_equal(ray_rpc_call_unix(fixture->path, "test.bye", empty(),
                                       &rayos__rpc__empty__descriptor, 5000, &body, &err),
                     RAY_OK);
    protobuf_c_message_free_unpacked(body, NULL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_echo, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_errors, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_stream, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_held_stream, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_stream_types, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_unwanted_items, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_cancel, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_cancel_without_callback, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_timeout, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_client_limit, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_descriptor, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_server_leaves, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_client_destroyed_in_callback, fixture_make,
                                        fixture_drop),
        cmocka_unit_test_setup_teardown(test_socket_paths, fixture_make, fixture_drop),
        cmocka_unit_test_setup_teardown(test_once, fixture_make, fixture_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
