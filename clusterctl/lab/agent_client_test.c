/* agent_client_test.c - the client against an agent that the test plays itself: sessions,
 * limits, and everything a broken machine may send. tests/agent has the real one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/test.h"
#include "clusterctl/lab/agent_client.h"
#include "net/frame.h"
#include "net/proto/agent.pb-c.h"

struct fixture {
    struct ray_loop loop;
    struct ray_timer tick; /* lets the test look at its own sockets between turns */
    struct ray_agent_client *client;
    char dir[64];
    char path[96];
    int listener;
    int fd; /* the agent's end; -1: none */
    struct ray_frame_reader reader;
    uint64_t nonce; /* of the session that the client wants */
    Rayos__Agent__Request *request;
    bool is_up;
    int change_count;
};

struct outcome {
    struct fixture *fixture;
    int end_count;
    int code;
    char text[128];
    size_t data_size;
    int retry_rc; /* of a request started in on_end; 1: not tried */
};

static void on_tick(void *arg)
{
    (void)arg;
}

static void on_change(void *arg, bool is_up)
{
    struct fixture *f = arg;

    f->is_up = is_up;
    f->change_count++;
}

static void on_data(void *arg, int stream, const uint8_t *bytes, size_t size)
{
    struct outcome *outcome = arg;

    (void)stream;
    (void)bytes;
    outcome->data_size += size;
}

static void on_end(void *arg, const struct ray_agent_end *end)
{
    struct outcome *outcome = arg;

    outcome->end_count++;
    outcome->code = end->code;
    (void)snprintf(outcome->text, sizeof outcome->text, "%s", end->text);
}

static struct ray_agent_handler handler_of(struct outcome *outcome, uint64_t limit_ms)
{
    return (struct ray_agent_handler){
        .on_data = on_data, .on_end = on_end, .arg = outcome, .limit_ms = limit_ms};
}

static void agent_accept(struct fixture *f)
{
    while ((f->fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0) {
        ray_loop_once(&f->loop);
    }
    ray_frame_reader_init(&f->reader, true);
}

static void agent_leave(struct fixture *f)
{
    if (f->fd >= 0) {
        (void)close(f->fd);
        f->fd = -1;
        ray_frame_reader_fini(&f->reader);
    }
}

static struct ray_frame agent_receive(struct fixture *f)
{
    struct ray_frame frame = {.kind = RAY_FRAME_PAYLOAD};

    while (ray_frame_reader_next(&f->reader, &frame, NULL) != RAY_OK) {
        uint8_t bytes[4096];
        ssize_t got = recv(f->fd, bytes, sizeof bytes, 0);

        assert_true(got != 0);
        if (got > 0) {
            assert_int_equal(ray_frame_reader_push(&f->reader, bytes, (size_t)got, NULL), RAY_OK);
        } else {
            ray_loop_once(&f->loop);
        }
    }
    return frame;
}

static const Rayos__Agent__Request *agent_request(struct fixture *f)
{
    struct ray_frame frame = agent_receive(f);

    while (frame.kind == RAY_FRAME_SYNC) {
        frame = agent_receive(f);
    }
    if (f->request != NULL) {
        rayos__agent__request__free_unpacked(f->request, NULL);
    }
    f->request = rayos__agent__request__unpack(NULL, frame.payload_size, frame.payload);
    assert_non_null(f->request);
    return f->request;
}

static void agent_send(struct fixture *f, const void *bytes, size_t size)
{
    assert_int_equal(send(f->fd, bytes, size, MSG_NOSIGNAL), size);
}

static void agent_sync(struct fixture *f, uint64_t nonce)
{
    uint8_t block[RAY_FRAME_SYNC_SIZE];

    ray_frame_encode_sync(nonce, block);
    agent_send(f, block, sizeof block);
}

static void agent_frame(struct fixture *f, const void *payload, size_t size)
{
    uint8_t header[RAY_FRAME_HEADER_SIZE];

    assert_int_equal(ray_frame_encode_header(size, header, NULL), RAY_OK);
    agent_send(f, header, sizeof header);
    agent_send(f, payload, size);
}

static void agent_answer(struct fixture *f, const Rayos__Agent__Answer *answer)
{
    uint8_t bytes[512];

    assert_true(rayos__agent__answer__get_packed_size(answer) <= sizeof bytes);
    agent_frame(f, bytes, rayos__agent__answer__pack(answer, bytes));
}

static void agent_done(struct fixture *f, uint64_t id)
{
    Rayos__Agent__Answer answer = RAYOS__AGENT__ANSWER__INIT;
    Rayos__Agent__Done done = RAYOS__AGENT__DONE__INIT;

    answer.id = id;
    answer.what_case = RAYOS__AGENT__ANSWER__WHAT_DONE;
    answer.done = &done;
    agent_answer(f, &answer);
}

/* Takes the client's connection and learns its nonce. */
static void agent_meet(struct fixture *f)
{
    struct ray_frame frame;

    agent_accept(f);
    frame = agent_receive(f);
    assert_int_equal(frame.kind, RAY_FRAME_SYNC);
    assert_true(frame.nonce != 0 && frame.nonce != f->nonce);
    f->nonce = frame.nonce;
}

static void agent_begin(struct fixture *f)
{
    agent_meet(f);
    agent_sync(f, 0);
    agent_sync(f, f->nonce);
    while (!f->is_up) {
        ray_loop_once(&f->loop);
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_non_null(f);
    f->fd = -1;
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/agent-client-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof f->path, "%s/sock", f->dir);
    memcpy(address.sun_path, f->path, strlen(f->path) + 1);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(f->listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(f->listener, 4), 0);
    assert_int_equal(ray_loop_init(&f->loop, NULL), RAY_OK);
    assert_int_equal(ray_timer_init(&f->tick, &f->loop, on_tick, NULL, NULL), RAY_OK);
    ray_timer_start(&f->tick, 1, 1);
    assert_int_equal(ray_agent_client_create(&f->client, &f->loop, f->path, NULL), RAY_OK);
    ray_agent_client_on_change(f->client, on_change, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ray_agent_client_destroy(f->client);
    agent_leave(f);
    if (f->request != NULL) {
        rayos__agent__request__free_unpacked(f->request, NULL);
    }
    ray_timer_fini(&f->tick);
    ray_loop_fini(&f->loop);
    (void)close(f->listener);
    (void)unlink(f->path);
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

static void run_until_end(struct outcome *outcome)
{
    while (outcome->end_count == 0) {
        ray_loop_once(&outcome->fixture->loop);
    }
}

static void ping(struct fixture *f, struct outcome *outcome, uint64_t limit_ms)
{
    struct ray_agent_handler handler = handler_of(outcome, limit_ms);

    *outcome = (struct outcome){.fixture = f, .retry_rc = 1};
    assert_int_equal(ray_agent_ping(f->client, &handler, NULL), RAY_OK);
    assert_int_equal(outcome->end_count, 0);
}

/* A session that works: what a fault before must not have broken. */
static void check_session(struct fixture *f)
{
    struct outcome outcome;

    ping(f, &outcome, 0);
    agent_done(f, agent_request(f)->id);
    run_until_end(&outcome);
    assert_int_equal(outcome.code, RAY_OK);
}

static void test_session_begins_with_the_right_echo(void **state)
{
    struct fixture *f = *state;
    struct ray_agent_handler handler = {0};

    assert_int_equal(ray_agent_ping(f->client, &handler, NULL), RAY_EUNAVAILABLE);
    agent_meet(f);
    agent_send(f, "login: ", 7);
    agent_sync(f, 0);
    agent_done(f, 1);
    agent_sync(f, f->nonce - 1);
    agent_frame(f, "\xff\xff", 2); /* malformed, but nobody listens yet */
    assert_false(f->is_up);
    agent_sync(f, f->nonce);
    agent_sync(f, f->nonce); /* the client repeats its block, so the echo comes twice */
    while (!f->is_up) {
        ray_loop_once(&f->loop);
    }
    assert_true(ray_agent_client_is_up(f->client));
    assert_int_equal(f->change_count, 1);
    check_session(f);
}

static void test_block_is_repeated(void **state)
{
    struct fixture *f = *state;
    struct ray_frame frame;

    agent_meet(f);
    frame = agent_receive(f); /* the machine is still booting */
    assert_int_equal(frame.kind, RAY_FRAME_SYNC);
    assert_true(frame.nonce == f->nonce);
}

static void test_new_agent_ends_the_session(void **state)
{
    struct fixture *f = *state;
    struct outcome outcome;

    agent_begin(f);
    ping(f, &outcome, 0);
    agent_sync(f, 0);
    run_until_end(&outcome);
    assert_int_equal(outcome.code, RAY_ECLOSED);
    assert_false(f->is_up);
    agent_leave(f);
    agent_begin(f);
    check_session(f);
}

static void test_malformed_answers_end_the_session(void **state)
{
    static const uint8_t too_big[] = {1, 0, 0x10, 0};
    struct fixture *f = *state;

    for (int kind = 0; kind < 2; kind++) {
        struct outcome outcome;

        agent_begin(f);
        ping(f, &outcome, 0);
        if (kind == 0) {
            agent_send(f, too_big, sizeof too_big);
        } else {
            agent_frame(f, "\xff\xff\xff", 3);
        }
        run_until_end(&outcome);
        assert_int_equal(outcome.code, RAY_EMALFORMED);
        agent_leave(f);
    }
    agent_begin(f);
    check_session(f);
}

static void test_answers_that_make_no_sense(void **state)
{
    struct fixture *f = *state;
    Rayos__Agent__Answer nothing = RAYOS__AGENT__ANSWER__INIT;
    struct outcome outcome;

    agent_begin(f);
    agent_done(f, 0);
    agent_done(f, 4711);
    ping(f, &outcome, 0);
    nothing.id = agent_request(f)->id;
    agent_answer(f, &nothing);
    run_until_end(&outcome);
    assert_int_equal(outcome.code, RAY_EMALFORMED);
    agent_done(f, nothing.id); /* it has ended */
    check_session(f);
    assert_int_equal(outcome.end_count, 1);
}

static void test_failure_keeps_code_and_text(void **state)
{
    struct fixture *f = *state;
    Rayos__Agent__Answer answer = RAYOS__AGENT__ANSWER__INIT;
    Rayos__Agent__Failure failure = RAYOS__AGENT__FAILURE__INIT;
    struct outcome outcome;

    agent_begin(f);
    ping(f, &outcome, 0);
    failure.code = (char *)(uintptr_t)"not_found";
    failure.text = (char *)(uintptr_t)"no such thing";
    answer.id = agent_request(f)->id;
    answer.what_case = RAYOS__AGENT__ANSWER__WHAT_FAILURE;
    answer.failure = &failure;
    agent_answer(f, &answer);
    run_until_end(&outcome);
    assert_int_equal(outcome.code, RAY_ENOTFOUND);
    assert_string_equal(outcome.text, "no such thing");
}

static void test_limits_of_time(void **state)
{
    static const char *const argv[] = {"sleep"};
    struct fixture *f = *state;
    struct outcome short_one;
    struct outcome long_one;
    struct outcome command = {.fixture = f};
    struct ray_agent_handler handler = handler_of(&command, 20);
    uint64_t id = 0;

    agent_begin(f);
    ping(f, &long_one, UINT64_MAX);
    ping(f, &short_one, 20);
    assert_int_equal(ray_agent_exec(f->client, argv, 1, NULL, 0, 0, &handler, &id, NULL), RAY_OK);
    run_until_end(&short_one);
    run_until_end(&command);
    assert_int_equal(short_one.code, RAY_ETIMEOUT);
    assert_int_equal(command.code, RAY_ETIMEOUT);
    assert_int_equal(long_one.end_count, 0);
    /* The command is killed on the machine; what still comes of it is nobody's. */
    while (agent_request(f)->what_case != RAYOS__AGENT__REQUEST__WHAT_KILL) {
    }
    assert_int_equal(f->request->id, id);
    agent_done(f, id);
    check_session(f);
    assert_int_equal(command.end_count, 1);
    assert_int_equal(ray_agent_kill(f->client, id, NULL), RAY_ENOTFOUND);
    assert_int_equal(long_one.end_count, 0);
    ray_agent_client_destroy(f->client); /* while long_one is there to hear of it */
    f->client = NULL;
}

static void test_limit_of_requests(void **state)
{
    struct fixture *f = *state;
    struct outcome outcomes[RAY_AGENT_REQUEST_COUNT_MAX];
    struct ray_agent_handler handler = handler_of(&outcomes[0], 0);

    agent_begin(f);
    for (size_t i = 0; i < RAY_AGENT_REQUEST_COUNT_MAX; i++) {
        ping(f, &outcomes[i], 0);
    }
    assert_int_equal(ray_agent_ping(f->client, &handler, NULL), RAY_EAGAIN);
    for (size_t i = 0; i < RAY_AGENT_REQUEST_COUNT_MAX; i++) {
        agent_done(f, agent_request(f)->id);
    }
    for (size_t i = 0; i < RAY_AGENT_REQUEST_COUNT_MAX; i++) {
        run_until_end(&outcomes[i]);
    }
    check_session(f);
}

static void test_put_beyond_the_queue_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct outcome outcome = {.fixture = f};
    struct ray_agent_handler handler = handler_of(&outcome, 0);
    uint8_t *bytes = calloc(1, RAY_AGENT_QUEUE_SIZE_MAX);

    assert_non_null(bytes);
    agent_begin(f);
    assert_int_equal(
        ray_agent_put(f->client, "/f", 0600, bytes, RAY_AGENT_QUEUE_SIZE_MAX, &handler, NULL),
        RAY_ETOOBIG);
    free(bytes);
    check_session(f); /* the agent sees no half of it */
    assert_int_equal(outcome.end_count, 0);
}

/* on_end starts the next request: refused when the session is what has ended. */
static void retry(void *arg, const struct ray_agent_end *end)
{
    struct outcome *outcome = arg;
    struct ray_agent_handler handler = handler_of(outcome, 0);

    outcome->code = end->code;
    outcome->retry_rc = ray_agent_ping(outcome->fixture->client, &handler, NULL);
}

static void test_callbacks_may_start_requests(void **state)
{
    struct fixture *f = *state;
    struct outcome outcome = {.fixture = f, .retry_rc = 1};
    struct ray_agent_handler handler = {.on_end = retry, .arg = &outcome};

    agent_begin(f);
    assert_int_equal(ray_agent_ping(f->client, &handler, NULL), RAY_OK);
    agent_done(f, agent_request(f)->id);
    agent_done(f, agent_request(f)->id);
    run_until_end(&outcome);
    assert_int_equal(outcome.retry_rc, RAY_OK);
    assert_int_equal(ray_agent_ping(f->client, &handler, NULL), RAY_OK);
    agent_leave(f);
    while (outcome.retry_rc != RAY_EUNAVAILABLE) {
        ray_loop_once(&f->loop);
    }
    assert_int_equal(outcome.code, RAY_ECLOSED);
    agent_begin(f);
    check_session(f);
}

static void test_destroy_ends_requests(void **state)
{
    struct fixture *f = *state;
    struct outcome outcome;

    agent_begin(f);
    ping(f, &outcome, 60000);
    ray_agent_client_destroy(f->client);
    f->client = NULL;
    assert_int_equal(outcome.code, RAY_ECANCELED);
    assert_int_equal(outcome.end_count, 1);
    ray_agent_client_destroy(NULL);
}

static void test_create_refuses(void **state)
{
    struct fixture *f = *state;
    struct ray_agent_client *client = NULL;
    char path[200];

    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(ray_agent_client_create(&client, &f->loop, path, NULL), RAY_ETOOBIG);
    for (unsigned n = 1;; n++) {
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = ray_agent_client_create(&client, &f->loop, f->path, NULL);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
        assert_null(client);
    }
    ray_agent_client_destroy(client);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest tests[] = {
        CASE(test_session_begins_with_the_right_echo),
        CASE(test_block_is_repeated),
        CASE(test_new_agent_ends_the_session),
        CASE(test_malformed_answers_end_the_session),
        CASE(test_answers_that_make_no_sense),
        CASE(test_failure_keeps_code_and_text),
        CASE(test_limits_of_time),
        CASE(test_limit_of_requests),
        CASE(test_put_beyond_the_queue_leaves_nothing),
        CASE(test_callbacks_may_start_requests),
        CASE(test_destroy_ends_requests),
        CASE(test_create_refuses),
    };
#undef CASE

    return cmocka_run_group_tests(tests, NULL, NULL);
}
