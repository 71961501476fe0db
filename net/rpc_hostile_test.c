/* What a broken or hostile peer may do to a server, over a bare socket: it is refused or
 * cut off, costs bounded memory, and others are served on. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"
#include "net/proto_codec.h"
#include "net/rpc_envelope.h"
#include "net/rpc_fixture.h"
#include "net/rpc_large.h"

struct peer {
    struct fixture fixture;
    struct ray_arena arena;
    int fd;
    bool is_readable;
    size_t fd_count; /* of the process, before the test */
};

static size_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;

    if (dir == NULL) {
        return 0;
    }
    while (readdir(dir) != NULL) {
        count++;
    }
    (void)closedir(dir);
    return count;
}

static int setup(void **state)
{
    struct peer *peer = calloc(1, sizeof *peer);

    *state = peer;
    peer->fd_count = count_fds();
    ray_arena_init(&peer->arena, 1 << 20);
    if (fixture_setup(&peer->fixture) != 0) {
        return -1;
    }
    peer->fd = fixture_connect_raw(&peer->fixture);
    return peer->fd >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    struct peer *peer = *state;

    (void)close(peer->fd);
    fixture_teardown(&peer->fixture);
    ray_arena_fini(&peer->arena);
    assert_int_equal(count_fds(), peer->fd_count); /* nothing leaks, whatever was sent */
    free(peer);
    return 0;
}

static void on_readable(void *arg, int status, int events)
{
    (void)status;
    (void)events;
    *(bool *)arg = true;
}

/* Runs the server until it has said something to the peer; bytes, 0 for the end. */
static ssize_t hear(struct peer *peer, uint8_t *out, size_t out_size)
{
    struct ray_poll poll = {0};

    peer->is_readable = false;
    assert_int_equal(
        ray_poll_init(&poll, &peer->fixture.loop, peer->fd, on_readable, &peer->is_readable, NULL),
        RAY_OK);
    assert_int_equal(ray_poll_set(&poll, UV_READABLE), RAY_OK);
    fixture_run_until(&peer->fixture, &peer->is_readable);
    ray_poll_fini(&poll);
    assert_true(peer->is_readable);
    for (;;) {
        ssize_t size = recv(peer->fd, out, out_size, MSG_DONTWAIT);

        /* Once, when the server left without reading all that we said. */
        if (size >= 0 || errno != ECONNRESET) {
            return size;
        }
    }
}

static struct ray_rpc_message hear_message(struct peer *peer)
{
    static const struct ray_rpc_message none;
    struct ray_rpc_message message = none;
    uint8_t *bytes = malloc(RAY_RPC_MESSAGE_SIZE_MAX);
    ssize_t size = hear(peer, bytes, RAY_RPC_MESSAGE_SIZE_MAX);

    assert_true(size > 0);
    ray_arena_reset(&peer->arena);
    assert_int_equal(ray_rpc_envelope_decode(bytes, (size_t)size, &peer->arena, &message, NULL),
                     RAY_OK);
    free(bytes);
    return message;
}

/* It may be told why before. */
static void assert_cut_off(struct peer *peer)
{
    uint8_t bytes[1024];
    struct ray_rpc_message message;
    ssize_t size = hear(peer, bytes, sizeof bytes);

    if (size > 0) {
        ray_arena_reset(&peer->arena);
        assert_int_equal(ray_rpc_envelope_decode(bytes, (size_t)size, &peer->arena, &message, NULL),
                         RAY_OK);
        assert_int_equal(message.kind, RAY_RPC_END);
        assert_int_equal(message.id, 0);
        assert_int_equal(message.code, RAY_EINVAL);
        size = hear(peer, bytes, sizeof bytes);
    }
    assert_int_equal(size, 0);
}

static void reconnect(struct peer *peer)
{
    (void)close(peer->fd);
    peer->fd = fixture_connect_raw(&peer->fixture);
    assert_true(peer->fd >= 0);
}

static void send_bytes(struct peer *peer, const uint8_t *bytes, size_t size)
{
    if (peer->fd < 0 || send(peer->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size) {
        fail();
    }
}

static void say(struct peer *peer, const struct ray_rpc_message *message)
{
    const uint8_t *bytes;
    size_t size;

    ray_arena_reset(&peer->arena);
    assert_int_equal(ray_rpc_envelope_encode(message, &peer->arena, &bytes, &size, NULL), RAY_OK);
    send_bytes(peer, bytes, size);
}

static void assert_others_are_served(struct peer *peer)
{
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    struct fixture_outcome outcome;

    assert_int_equal(fixture_call(&peer->fixture, "test.echo", &item.base, 0, &outcome, NULL),
                     RAY_OK);
    fixture_run_until(&peer->fixture, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_OK);
}

static void test_truncations(void **state)
{
    struct peer *peer = *state;
    struct ray_rpc_message message = {.kind = RAY_RPC_REQUEST, .id = 1, .method = "test.echo"};
    uint8_t copy[64];
    const uint8_t *bytes;
    size_t size;

    assert_int_equal(ray_rpc_envelope_encode(&message, &peer->arena, &bytes, &size, NULL), RAY_OK);
    assert_true(size <= sizeof copy);
    memcpy(copy, bytes, size);
    for (size_t n = 1; n < size; n++) {
        send_bytes(peer, copy, n);
        assert_cut_off(peer);
        reconnect(peer);
    }
    assert_others_are_served(peer);
}

static void test_byte_flips(void **state)
{
    struct peer *peer = *state;
    struct ray_rpc_message message = {.kind = RAY_RPC_REQUEST, .id = 1, .method = "test.echo"};
    uint8_t copy[64], heard[512];
    const uint8_t *bytes;
    size_t size;

    assert_int_equal(ray_rpc_envelope_encode(&message, &peer->arena, &bytes, &size, NULL), RAY_OK);
    assert_true(size <= sizeof copy);
    memcpy(copy, bytes, size);
    for (size_t n = 0; n < size; n++) {
        for (unsigned flip = 1; flip < 256; flip <<= 1) {
            copy[n] ^= (uint8_t)flip;
            send_bytes(peer, copy, size);
            (void)hear(peer, heard, sizeof heard); /* an answer, a refusal or the end */
            copy[n] ^= (uint8_t)flip;
            reconnect(peer);
        }
    }
    assert_others_are_served(peer);
}

static void test_protocol_violations(void **state)
{
    struct peer *peer = *state;
    struct ray_rpc_message request = {
        .kind = RAY_RPC_REQUEST, .id = 5, .method = "test.hold", .credit = RAY_RPC_CREDIT_MAX};
    struct ray_rpc_message credit = {.kind = RAY_RPC_CREDIT, .id = 5, .credit = 1};
    struct ray_rpc_message item = {.kind = RAY_RPC_ITEM, .id = 5};
    struct ray_rpc_message end = {.kind = RAY_RPC_END, .id = 5};

    say(peer, &item); /* only servers send these */
    assert_cut_off(peer);
    reconnect(peer);
    say(peer, &end);
    assert_cut_off(peer);
    reconnect(peer);

    say(peer, &request);
    say(peer, &request); /* the same id again */
    assert_cut_off(peer);
    reconnect(peer);
    say(peer, &request);
    request.id = 4; /* an older one */
    say(peer, &request);
    assert_cut_off(peer);
    reconnect(peer);

    request.id = 5;
    say(peer, &request);
    say(peer, &credit); /* above RAY_RPC_CREDIT_MAX together */
    assert_cut_off(peer);
    assert_others_are_served(peer);
}

/* For calls that are not there: legal, since they may have ended meanwhile. */
static void test_late_words(void **state)
{
    struct peer *peer = *state;
    struct ray_rpc_message credit = {.kind = RAY_RPC_CREDIT, .id = 1, .credit = 1};
    struct ray_rpc_message cancel = {.kind = RAY_RPC_CANCEL, .id = 1};
    struct ray_rpc_message request = {.kind = RAY_RPC_REQUEST, .id = 2, .method = "test.echo"};
    struct ray_rpc_message answer;

    say(peer, &credit);
    say(peer, &cancel);
    say(peer, &request);
    answer = hear_message(peer);
    assert_int_equal(answer.kind, RAY_RPC_END);
    assert_int_equal(answer.id, 2);
    assert_int_equal(answer.code, RAY_OK);
}

static void test_too_large(void **state)
{
    struct peer *peer = *state;
    uint8_t *bytes = calloc(1, RAY_RPC_MESSAGE_SIZE_MAX + 1);
    struct ray_rpc_message answer;

    send_bytes(peer, bytes, RAY_RPC_MESSAGE_SIZE_MAX + 1);
    answer = hear_message(peer);
    assert_int_equal(answer.kind, RAY_RPC_END);
    assert_int_equal(answer.id, 0);
    assert_int_equal(answer.code, RAY_EINVAL);
    assert_non_null(strstr(answer.text, "65536"));
    assert_cut_off(peer);
    reconnect(peer);
    send_bytes(peer, bytes, 0); /* looks like the end */
    assert_cut_off(peer);
    free(bytes);
    assert_others_are_served(peer);
}

/* A request in parts whose parts are wrong. */
static void test_parts_out_of_order(void **state)
{
    struct peer *peer = *state;
    uint8_t bytes[8] = {0};
    struct ray_rpc_message large = {
        .kind = RAY_RPC_LARGE, .id = 2, .method = "test.size", .large_size = 8};
    struct ray_rpc_message part = {
        .kind = RAY_RPC_PART, .id = 2, .body = bytes, .body_size = sizeof bytes};
    struct ray_rpc_message request = {.kind = RAY_RPC_REQUEST, .id = 3, .method = "test.echo"};

    say(peer, &part); /* of nothing */
    assert_cut_off(peer);
    reconnect(peer);

    say(peer, &large);
    part.id = 3;
    say(peer, &part); /* of another */
    assert_cut_off(peer);
    reconnect(peer);

    part.id = 2;
    large.large_size = 7;
    say(peer, &large);
    say(peer, &part); /* a byte too many */
    assert_cut_off(peer);
    reconnect(peer);

    say(peer, &large);
    say(peer, &request); /* between them */
    assert_cut_off(peer);
    reconnect(peer);

    say(peer, &large);
    large.id = 3;
    say(peer, &large);
    assert_cut_off(peer);
    assert_others_are_served(peer);
}

/* What was refused or canceled: its parts are under way, and the connection goes on. */
static void test_parts_too_late(void **state)
{
    struct peer *peer = *state;
    uint8_t bytes[8] = {0};
    struct ray_rpc_message large = {.kind = RAY_RPC_LARGE,
                                    .id = 2,
                                    .method = "test.size",
                                    .large_size = RAY_RPC_LARGE_SIZE_MAX + 1};
    struct ray_rpc_message part = {
        .kind = RAY_RPC_PART, .id = 2, .body = bytes, .body_size = sizeof bytes};
    struct ray_rpc_message cancel = {.kind = RAY_RPC_CANCEL, .id = 3};
    struct ray_rpc_message request = {.kind = RAY_RPC_REQUEST, .id = 4, .method = "test.echo"};
    struct ray_rpc_message answer;

    say(peer, &large);
    answer = hear_message(peer);
    assert_int_equal(answer.kind, RAY_RPC_END);
    assert_int_equal(answer.id, 2);
    assert_int_equal(answer.code, RAY_EINVAL);
    assert_non_null(strstr(answer.text, "532481 bytes"));
    assert_non_null(strstr(answer.text, "at most 532480"));
    assert_string_not_equal(answer.next_step, "");
    say(peer, &part);

    large.id = 3;
    large.large_size = 9;
    part.id = 3;
    say(peer, &large);
    say(peer, &part);
    say(peer, &cancel);
    say(peer, &part);
    say(peer, &request);
    answer = hear_message(peer);
    assert_int_equal(answer.id, 4);
    assert_int_equal(answer.code, RAY_OK);
}

/* Whoever announces and sends nothing holds no more than his share, and gives it back. */
static void test_too_many_large(void **state)
{
    struct peer *peer = *state;
    size_t held_max = geteuid() == 0 ? RAY_RPC_LARGE_HELD_MAX : RAY_RPC_LARGE_PER_UID_MAX;
    size_t count = held_max / RAY_RPC_LARGE_SIZE_MAX;
    struct ray_rpc_message large = {.kind = RAY_RPC_LARGE,
                                    .id = 1,
                                    .method = "test.size",
                                    .large_size = RAY_RPC_LARGE_SIZE_MAX};
    struct ray_rpc_message answer;
    int *fds = calloc(count, sizeof *fds);

    for (size_t i = 0; i < count; i++) {
        say(peer, &large);
        assert_others_are_served(peer); /* turns the loop, too */
        fds[i] = peer->fd;
        peer->fd = fixture_connect_raw(&peer->fixture);
    }
    say(peer, &large);
    answer = hear_message(peer);
    assert_int_equal(answer.id, 1);
    assert_int_equal(answer.code, RAY_EUNAVAILABLE);
    assert_string_not_equal(answer.next_step, "");

    (void)close(fds[0]);
    assert_others_are_served(peer);
    assert_others_are_served(peer);
    large.id = 2;
    say(peer, &large);
    large.id = 3; /* refused by its end, were there no room still */
    say(peer, &large);
    assert_cut_off(peer);
    for (size_t i = 1; i < count; i++) {
        (void)close(fds[i]);
    }
    free(fds);
}

static void send_with_fds(struct peer *peer, const uint8_t *bytes, size_t size, size_t fd_count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * 16)];
    } control = {0};
    struct iovec iov = {.iov_base = (uint8_t *)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE(sizeof(int) * fd_count)};
    struct cmsghdr *header = &control.header;
    int fds[16];

    for (size_t i = 0; i < fd_count; i++) {
        fds[i] = STDERR_FILENO;
    }
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
    assert_int_equal(sendmsg(peer->fd, &message, MSG_NOSIGNAL), size);
}

/* Descriptors nobody asked for are closed; teardown counts. */
static void test_descriptors(void **state)
{
    struct peer *peer = *state;
    struct ray_rpc_message message = {.kind = RAY_RPC_REQUEST, .id = 1, .method = "test.echo"};
    const uint8_t *bytes;
    size_t size;
    int ignored;

    assert_int_equal(ray_rpc_envelope_encode(&message, &peer->arena, &bytes, &size, NULL), RAY_OK);
    send_with_fds(peer, bytes, size, RAY_RPC_FD_COUNT_MAX);
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    ignored = hear_message(peer).code;
    assert_int_equal(ignored, RAY_OK);
    reconnect(peer);
    send_with_fds(peer, copy, size, RAY_RPC_FD_COUNT_MAX + 1);
    assert_cut_off(peer);
    reconnect(peer);
    send_with_fds(peer, copy, 1, 3); /* malformed, with descriptors */
    assert_cut_off(peer);
    free(copy);
}

static void test_too_many_calls(void **state)
{
    struct peer *peer = *state;
    struct ray_rpc_message request = {.kind = RAY_RPC_REQUEST, .method = "test.hold"};
    struct ray_rpc_message answer;

    for (uint64_t id = 1; id <= RAY_RPC_CALLS_PER_CONN_MAX; id++) {
        request.id = id;
        say(peer, &request);
        while (peer->fixture.held_count < id) {
            ray_loop_once(&peer->fixture.loop);
        }
    }
    request.id++;
    say(peer, &request);
    answer = hear_message(peer);
    assert_int_equal(answer.kind, RAY_RPC_END);
    assert_int_equal(answer.id, RAY_RPC_CALLS_PER_CONN_MAX + 1);
    assert_int_equal(answer.code, RAY_EUNAVAILABLE);
    assert_string_not_equal(answer.next_step, "");
    assert_others_are_served(peer);
}

/* Asks for a long stream with all the credit there is, and reads nothing for long. */
static void test_stream_unread(void **state)
{
    struct peer *peer = *state;
    struct fixture_stream *stream = &peer->fixture.stream;
    Rayos__Rpc__Credit credit = RAYOS__RPC__CREDIT__INIT;
    struct ray_rpc_message request = {
        .kind = RAY_RPC_REQUEST, .id = 1, .method = "test.stream", .credit = RAY_RPC_CREDIT_MAX};
    uint64_t item_count = 0;

    credit.id = 300; /* 300 * 50,000 bytes */
    credit.count = 50000;
    assert_int_equal(
        ray_proto_pack(&credit.base, 1000, &peer->arena, &request.body, &request.body_size, NULL),
        RAY_OK);
    uint8_t body[32];
    memcpy(body, request.body, request.body_size);
    request.body = body;
    say(peer, &request);
    while (stream->blocked_count == 0) {
        ray_loop_once(&peer->fixture.loop);
    }
    assert_true(stream->next < 60); /* the socket's buffer and 1 MiB of ours */
    assert_others_are_served(peer);
    assert_true(stream->next < 60);
    for (;;) {
        struct ray_rpc_message message = hear_message(peer);

        if (message.kind == RAY_RPC_END) {
            assert_int_equal(message.code, RAY_OK);
            break;
        }
        assert_int_equal(message.kind, RAY_RPC_ITEM);
        item_count++;
    }
    assert_int_equal(item_count, 300);
}

/* Asks and asks and never reads an answer: the server stops reading its questions. */
static void test_answers_unread(void **state)
{
    struct peer *peer = *state;
    uint8_t *body = calloc(1, 50000);
    struct ray_rpc_message request = {
        .kind = RAY_RPC_REQUEST, .id = 1, .method = "test.echo", .body_size = 0};
    Rayos__Rpc__Item item = RAYOS__RPC__ITEM__INIT;
    const uint8_t *bytes;
    size_t size, sent_count = 0;

    item.body = ray_proto_bytes(body, 49000);
    for (unsigned quiet = 0; quiet < 50; request.id++) {
        ray_arena_reset(&peer->arena);
        assert_int_equal(ray_proto_pack(&item.base, 60000, &peer->arena, &request.body,
                                        &request.body_size, NULL),
                         RAY_OK);
        assert_int_equal(ray_rpc_envelope_encode(&request, &peer->arena, &bytes, &size, NULL),
                         RAY_OK);
        if (send(peer->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            assert_int_equal(errno, EAGAIN);
            quiet++;
        } else {
            quiet = 0;
            sent_count++;
        }
        assert_others_are_served(peer); /* turns the loop, too */
    }
    assert_true(sent_count * size < 4 << 20);
    free(body);
}

static void test_too_many_connections(void **state)
{
    struct peer *peer = *state;
    size_t limit = geteuid() == 0 ? RAY_RPC_CONN_COUNT_MAX : RAY_RPC_CONN_PER_UID_MAX;
    int *fds = calloc(limit, sizeof *fds);
    int first_fd = peer->fd;
    struct ray_rpc_message answer;

    for (size_t i = 2; i < limit; i++) { /* the fixture's client and peer->fd are two */
        fds[i] = fixture_connect_raw(&peer->fixture);
        assert_true(fds[i] >= 0);
        assert_others_are_served(peer); /* so that it is accepted */
    }
    peer->fd = fixture_connect_raw(&peer->fixture);
    answer = hear_message(peer);
    assert_int_equal(answer.kind, RAY_RPC_END);
    assert_int_equal(answer.id, 0);
    assert_int_equal(answer.code, RAY_EUNAVAILABLE);
    assert_cut_off(peer);

    /* A client of ours hears the same. */
    struct ray_rpc_client *client = NULL;
    struct fixture_outcome outcome = {.fixture = &peer->fixture};
    Rayos__Rpc__Empty empty = RAYOS__RPC__EMPTY__INIT;
    assert_int_equal(
        ray_rpc_client_create_unix(&client, &peer->fixture.loop, peer->fixture.path, NULL), RAY_OK);
    assert_int_equal(ray_rpc_call_start(client, "test.echo", &empty.base, NULL, 0,
                                        &rayos__rpc__empty__descriptor, 0, NULL, fixture_on_end,
                                        &outcome, NULL, NULL),
                     RAY_OK);
    fixture_run_until(&peer->fixture, &outcome.has_ended);
    assert_int_equal(outcome.code, RAY_EUNAVAILABLE);
    assert_non_null(strstr(outcome.text, "connections"));
    ray_rpc_client_destroy(client);

    for (size_t i = 2; i < limit; i++) {
        (void)close(fds[i]);
    }
    free(fds);
    assert_others_are_served(peer);
    reconnect(peer); /* there is room again */
    struct ray_rpc_message request = {.kind = RAY_RPC_REQUEST, .id = 1, .method = "test.echo"};
    assert_others_are_served(peer);
    say(peer, &request);
    answer = hear_message(peer);
    assert_int_equal(answer.code, RAY_OK);
    (void)close(first_fd);
}

/* libuv opens descriptors of its own at its first loop, and keeps them. */
static int warm_up(void **state)
{
    struct fixture fixture;

    (void)state;
    if (fixture_setup(&fixture) != 0) {
        return -1;
    }
    fixture_teardown(&fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_truncations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_byte_flips, setup, teardown),
        cmocka_unit_test_setup_teardown(test_protocol_violations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts_out_of_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts_too_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_unread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers_unread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_connections, setup, teardown),
    };

    return cmocka_run_group_tests(tests, warm_up, NULL);
}
