/* session_test.c - the real agent process, spoken to in raw frames: what a lab's client never
 * does, and sessions that begin while something is under way.
 *
 * argv[1] of this program is the agent's path. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/child.h"
#include "base/size.h"
#include "base/test.h"
#include "net/frame.h"
#include "net/proto/agent.pb-c.h"
#include "net/proto_codec.h"

enum { LIMIT_MS = 60000 };

struct fixture {
    const char *agent_path;
    struct ray_loop loop;
    struct ray_child agent;
    struct ray_child_exit how;
    int fd;
    struct ray_frame_reader reader;
    Rayos__Agent__Answer *answer; /* the last one received */
};

static void on_agent_exit(void *arg, const struct ray_child_exit *how)
{
    struct fixture *f = arg;

    f->how = *how;
}

static void send_bytes(struct fixture *f, const void *bytes, size_t size)
{
    assert_int_equal(send(f->fd, bytes, size, MSG_NOSIGNAL), size);
}

static void send_sync(struct fixture *f, uint64_t nonce)
{
    uint8_t block[RAY_FRAME_SYNC_SIZE];

    ray_frame_encode_sync(nonce, block);
    send_bytes(f, block, sizeof block);
}

static void send_frame(struct fixture *f, const void *payload, size_t size)
{
    uint8_t header[RAY_FRAME_HEADER_SIZE];

    assert_int_equal(ray_frame_encode_header(size, header, NULL), RAY_OK);
    send_bytes(f, header, sizeof header);
    send_bytes(f, payload, size);
}

static void send_request(struct fixture *f, const Rayos__Agent__Request *request)
{
    uint8_t *bytes = malloc(rayos__agent__request__get_packed_size(request));

    assert_non_null(bytes);
    send_frame(f, bytes, rayos__agent__request__pack(request, bytes));
    free(bytes);
}

/* The next frame, read in small pieces. */
static struct ray_frame receive(struct fixture *f)
{
    struct ray_frame frame = {.kind = RAY_FRAME_PAYLOAD};

    while (ray_frame_reader_next(&f->reader, &frame, NULL) != RAY_OK) {
        struct pollfd ready = {.fd = f->fd, .events = POLLIN};
        uint8_t bytes[4096];
        ssize_t got;

        assert_int_equal(poll(&ready, 1, LIMIT_MS), 1);
        got = recv(f->fd, bytes, sizeof bytes, 0);
        assert_true(got > 0);
        assert_int_equal(ray_frame_reader_push(&f->reader, bytes, (size_t)got, NULL), RAY_OK);
    }
    return frame;
}

static const Rayos__Agent__Answer *receive_answer(struct fixture *f)
{
    struct ray_frame frame = receive(f);

    assert_int_equal(frame.kind, RAY_FRAME_PAYLOAD);
    if (f->answer != NULL) {
        rayos__agent__answer__free_unpacked(f->answer, NULL);
    }
    f->answer = rayos__agent__answer__unpack(NULL, frame.payload_size, frame.payload);
    assert_non_null(f->answer);
    return f->answer;
}

/* Begins a session; everything before its echo is dropped, the first half of a frame too. */
static void begin(struct fixture *f, uint64_t nonce)
{
    struct ray_frame frame;

    send_sync(f, nonce);
    ray_frame_reader_resync(&f->reader);
    do {
        frame = receive(f);
    } while (frame.kind != RAY_FRAME_SYNC || frame.nonce != nonce);
}

static void send_ping(struct fixture *f, uint64_t id)
{
    Rayos__Agent__Request request = RAYOS__AGENT__REQUEST__INIT;
    Rayos__Agent__Ping ping = RAYOS__AGENT__PING__INIT;

    request.id = id;
    request.what_case = RAYOS__AGENT__REQUEST__WHAT_PING;
    request.ping = &ping;
    send_request(f, &request);
}

static void check_ping(struct fixture *f, uint64_t id)
{
    const Rayos__Agent__Answer *answer;

    send_ping(f, id);
    answer = receive_answer(f);
    assert_int_equal(answer->id, id);
    assert_int_equal(answer->what_case, RAYOS__AGENT__ANSWER__WHAT_CLOCKS);
}

static void check_failure(struct fixture *f, uint64_t id, const char *code)
{
    const Rayos__Agent__Answer *answer = receive_answer(f);

    assert_int_equal(answer->id, id);
    assert_int_equal(answer->what_case, RAYOS__AGENT__ANSWER__WHAT_FAILURE);
    assert_string_equal(answer->failure->code, code);
    assert_true(strlen(answer->failure->text) > 0);
}

static void send_exec_argv(struct fixture *f, uint64_t id, char **argv, size_t count,
                           const char *dir)
{
    Rayos__Agent__Request request = RAYOS__AGENT__REQUEST__INIT;
    Rayos__Agent__Exec exec = RAYOS__AGENT__EXEC__INIT;

    exec.argv = argv;
    exec.n_argv = count;
    exec.dir = (char *)(uintptr_t)dir;
    request.id = id;
    request.what_case = RAYOS__AGENT__REQUEST__WHAT_EXEC;
    request.exec = &exec;
    send_request(f, &request);
}

static void send_exec(struct fixture *f, uint64_t id, const char *script)
{
    char *argv[] = {(char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c", (char *)(uintptr_t)script};

    send_exec_argv(f, id, argv, 3, "/");
}

static int setup(void **state)
{
    struct fixture *f = *state;
    const char *argv[] = {"rayos-test-agent", "--fd", "3", NULL};
    int fds[2];
    struct ray_child_fd map[] = {{.child_fd = 3}, {.fd = 2, .child_fd = 2}};
    struct ray_child_spec spec = {.path = f->agent_path,
                                  .argv = argv,
                                  .fds = map,
                                  .fd_count = 2,
                                  .keeps_all_caps = true,
                                  .parent_death_signal = SIGKILL,
                                  .cgroup_fd = -1};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    f->fd = fds[0];
    map[0].fd = fds[1];
    f->answer = NULL;
    f->how = (struct ray_child_exit){.status = -2};
    ray_frame_reader_init(&f->reader, true);
    ray_child_init(&f->agent);
    assert_int_equal(ray_loop_init(&f->loop, NULL), RAY_OK);
    assert_int_equal(ray_child_spawn(&f->agent, &f->loop, &spec, on_agent_exit, f, NULL), RAY_OK);
    (void)close(fds[1]);
    return 0;
}

/* The agent ends with its socket, in good order (ASan looks at it, too). */
static int teardown(void **state)
{
    struct fixture *f = *state;

    (void)close(f->fd);
    ray_loop_run(&f->loop);
    assert_false(f->how.is_signaled);
    assert_int_equal(f->how.status, 0);
    if (f->answer != NULL) {
        rayos__agent__answer__free_unpacked(f->answer, NULL);
    }
    ray_frame_reader_fini(&f->reader);
    ray_loop_fini(&f->loop);
    return 0;
}

static void test_says_that_it_is_new(void **state)
{
    struct ray_frame frame = receive(*state);

    assert_int_equal(frame.kind, RAY_FRAME_SYNC);
    assert_int_equal(frame.nonce, 0);
}

static void test_nothing_counts_before_the_session(void **state)
{
    struct fixture *f = *state;
    uint8_t junk[5000];

    memset(junk, 0xff, sizeof junk);
    send_bytes(f, junk, sizeof junk);
    send_ping(f, 1);
    begin(f, 77);
    check_ping(f, 2);
}

static void test_malformed_frames_end_the_session(void **state)
{
    static const uint8_t too_big[RAY_FRAME_HEADER_SIZE] = {1, 0, 0x10, 0};
    struct fixture *f = *state;

    begin(f, 1);
    send_frame(f, "\xff\xff\xff", 3);
    send_ping(f, 1); /* not heard */
    begin(f, 2);
    check_ping(f, 2);
    send_bytes(f, too_big, sizeof too_big);
    send_ping(f, 3); /* not heard */
    begin(f, 3);
    check_ping(f, 4);
}

static void test_wrong_requests_are_refused(void **state)
{
    struct fixture *f = *state;
    Rayos__Agent__Request nothing = RAYOS__AGENT__REQUEST__INIT;
    char *argv[65];

    begin(f, 1);
    send_ping(f, 0);
    check_failure(f, 0, "invalid");
    nothing.id = 5;
    send_request(f, &nothing);
    check_failure(f, 5, "invalid");
    for (size_t i = 0; i < RAY_ARRAY_COUNT(argv); i++) {
        argv[i] = (char *)(uintptr_t)"true";
    }
    send_exec_argv(f, 6, argv, 0, "/");
    check_failure(f, 6, "invalid");
    send_exec_argv(f, 7, argv, 65, "/");
    check_failure(f, 7, "invalid");
    send_exec_argv(f, 8, argv, 1, "/nonexistent");
    check_failure(f, 8, "not_found");
    send_exec_argv(f, 9, argv, 64, "");
    assert_int_equal(receive_answer(f)->what_case, RAYOS__AGENT__ANSWER__WHAT_EXIT);
}

static void test_command_runs_in_its_folder(void **state)
{
    struct fixture *f = *state;
    char *argv[] = {(char *)(uintptr_t)"pwd"};
    const Rayos__Agent__Answer *answer;

    begin(f, 1);
    send_exec_argv(f, 1, argv, 1, "/usr");
    answer = receive_answer(f);
    assert_int_equal(answer->what_case, RAYOS__AGENT__ANSWER__WHAT_OUTPUT);
    assert_int_equal(answer->output->bytes.len, 5);
    assert_memory_equal(answer->output->bytes.data, "/usr\n", 5);
    assert_int_equal(receive_answer(f)->what_case, RAYOS__AGENT__ANSWER__WHAT_EXIT);
}

static void test_too_many_commands(void **state)
{
    enum { MOST = 32 };
    struct fixture *f = *state;

    begin(f, 1);
    for (uint64_t id = 1; id <= MOST; id++) {
        send_exec(f, id, "exec sleep 1000");
    }
    send_exec(f, MOST + 1, "true");
    check_failure(f, MOST + 1, "unavailable");
    for (uint64_t id = 1; id <= MOST; id++) {
        Rayos__Agent__Request request = RAYOS__AGENT__REQUEST__INIT;
        Rayos__Agent__Kill kill_it = RAYOS__AGENT__KILL__INIT;
        const Rayos__Agent__Answer *answer;

        request.id = id;
        request.what_case = RAYOS__AGENT__REQUEST__WHAT_KILL;
        request.kill = &kill_it;
        send_request(f, &request);
        answer = receive_answer(f);
        assert_int_equal(answer->id, id);
        assert_int_equal(answer->what_case, RAYOS__AGENT__ANSWER__WHAT_EXIT);
        assert_true(answer->exit->is_signaled);
        assert_int_equal(answer->exit->status, SIGKILL);
    }
}

/* The pid that a script has printed. */
static pid_t receive_pid(struct fixture *f)
{
    const Rayos__Agent__Answer *answer = receive_answer(f);
    char text[32] = "";

    assert_int_equal(answer->what_case, RAYOS__AGENT__ANSWER__WHAT_OUTPUT);
    assert_true(answer->output->bytes.len < sizeof text);
    memcpy(text, answer->output->bytes.data, answer->output->bytes.len);
    return (pid_t)strtol(text, NULL, 10);
}

/* The next host counts its ids from 1 again: no answer of the last session may meet them. */
static void test_commands_end_with_their_session(void **state)
{
    struct fixture *f = *state;
    struct pollfd ended = {.events = POLLIN};

    begin(f, 1);
    send_exec(f, 1, "echo $$; exec sleep 1000");
    ended.fd = (int)syscall(SYS_pidfd_open, receive_pid(f), 0);
    assert_true(ended.fd >= 0);
    begin(f, 2);
    assert_int_equal(poll(&ended, 1, LIMIT_MS), 1);
    /* Whatever the agent's loop did first, by the second answer it has seen the end. */
    check_ping(f, 1);
    check_ping(f, 1);
    (void)close(ended.fd);
}

static void send_put(struct fixture *f, uint64_t id, const char *path, uint64_t size)
{
    Rayos__Agent__Request request = RAYOS__AGENT__REQUEST__INIT;
    Rayos__Agent__Put put = RAYOS__AGENT__PUT__INIT;

    put.path = (char *)(uintptr_t)path;
    put.size = size;
    request.id = id;
    request.what_case = RAYOS__AGENT__REQUEST__WHAT_PUT;
    request.put = &put;
    send_request(f, &request);
}

static void send_data(struct fixture *f, uint64_t id, size_t size)
{
    Rayos__Agent__Request request = RAYOS__AGENT__REQUEST__INIT;
    Rayos__Agent__Data data = RAYOS__AGENT__DATA__INIT;
    uint8_t bytes[64] = {0};

    assert_true(size <= sizeof bytes);
    data.bytes = ray_proto_bytes(bytes, size);
    request.id = id;
    request.what_case = RAYOS__AGENT__REQUEST__WHAT_DATA;
    request.data = &data;
    send_request(f, &request);
}

static void test_puts_that_go_wrong(void **state)
{
    static const char path[] = "/tmp/ray-session-test";
    enum { MOST = 8 };
    struct fixture *f = *state;

    begin(f, 1);
    send_put(f, 1, path, UINT64_C(1) << 40);
    check_failure(f, 1, "invalid");
    send_put(f, 2, path, 10);
    send_data(f, 2, 11);
    check_failure(f, 2, "invalid");
    send_data(f, 2, 5); /* dropped */
    send_put(f, 3, "/nonexistent/f", 0);
    check_failure(f, 3, "not_found");
    for (uint64_t id = 11; id <= 10 + MOST; id++) {
        send_put(f, id, path, 1);
    }
    send_put(f, 20, path, 1);
    check_failure(f, 20, "unavailable");
    assert_int_equal(access(path, F_OK), -1);
    begin(f, 2); /* forgets the open ones */
    send_put(f, 1, path, 1);
    send_data(f, 1, 1);
    assert_int_equal(receive_answer(f)->what_case, RAYOS__AGENT__ANSWER__WHAT_DONE);
    assert_int_equal(unlink(path), 0);
}

static void send_get(struct fixture *f, uint64_t id, const char *path)
{
    Rayos__Agent__Request request = RAYOS__AGENT__REQUEST__INIT;
    Rayos__Agent__Get get = RAYOS__AGENT__GET__INIT;

    get.path = (char *)(uintptr_t)path;
    request.id = id;
    request.what_case = RAYOS__AGENT__REQUEST__WHAT_GET;
    request.get = &get;
    send_request(f, &request);
}

/* Far more than the queue: the agent waits for us, and answers others meanwhile. */
static void test_large_get_waits_for_the_host(void **state)
{
    static const char path[] = "/tmp/ray-session-test-large";
    const size_t size = (size_t)48 << 20;
    struct fixture *f = *state;
    bool has_clocks = false;
    size_t got = 0;
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    (void)close(fd);
    begin(f, 1);
    send_get(f, 1, path);
    send_ping(f, 2);
    for (;;) {
        const Rayos__Agent__Answer *answer = receive_answer(f);

        if (answer->id == 2) {
            has_clocks = true;
        } else if (answer->what_case == RAYOS__AGENT__ANSWER__WHAT_DATA) {
            got += answer->data->bytes.len;
        } else {
            assert_int_equal(answer->what_case, RAYOS__AGENT__ANSWER__WHAT_DONE);
            break;
        }
    }
    assert_true(has_clocks);
    assert_true(got == size);
    send_get(f, 3, path);
    (void)receive_answer(f);
    begin(f, 2); /* in the middle of it */
    check_ping(f, 3);
    assert_int_equal(unlink(path), 0);
}

static void test_gets_that_go_wrong(void **state)
{
    static const char fifo[] = "/tmp/ray-session-test-fifo";
    struct fixture *f = *state;

    begin(f, 1);
    send_get(f, 1, "/nonexistent");
    check_failure(f, 1, "not_found");
    send_get(f, 2, "/tmp");
    check_failure(f, 2, "invalid");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    send_get(f, 3, fifo); /* must not wait for a writer */
    check_failure(f, 3, "invalid");
    assert_int_equal(unlink(fifo), 0);
    check_ping(f, 4);
}

static void test_terminate_ends_commands_too(void **state)
{
    struct fixture *f = *state;
    struct pollfd ended = {.events = POLLIN};

    begin(f, 1);
    send_exec(f, 1, "trap '' TERM; echo $$; exec sleep 1000"); /* it will not hear */
    ended.fd = (int)syscall(SYS_pidfd_open, receive_pid(f), 0);
    assert_true(ended.fd >= 0);
    assert_int_equal(ray_child_kill(&f->agent, SIGTERM), RAY_OK);
    assert_int_equal(poll(&ended, 1, LIMIT_MS), 1);
    (void)close(ended.fd);
}

/* What a command says at SIGTERM is heard, and how it ended. */
static void test_terminate_lets_commands_speak(void **state)
{
    struct fixture *f = *state;
    const Rayos__Agent__Answer *answer;

    begin(f, 1);
    send_exec(f, 1, "trap 'echo bye; exit 3' TERM; sleep 1000 >/dev/null & echo $$; wait");
    (void)receive_pid(f);
    assert_int_equal(ray_child_kill(&f->agent, SIGTERM), RAY_OK);
    answer = receive_answer(f);
    assert_int_equal(answer->what_case, RAYOS__AGENT__ANSWER__WHAT_OUTPUT);
    assert_int_equal(answer->output->bytes.len, 4);
    assert_memory_equal(answer->output->bytes.data, "bye\n", 4);
    answer = receive_answer(f);
    assert_int_equal(answer->what_case, RAYOS__AGENT__ANSWER__WHAT_EXIT);
    assert_int_equal(answer->exit->status, 3);
}

int main(int argc, char **argv)
{
    static struct fixture fixture;
#define CASE(name) cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, &fixture)
    const struct CMUnitTest tests[] = {
        CASE(test_says_that_it_is_new),
        CASE(test_nothing_counts_before_the_session),
        CASE(test_malformed_frames_end_the_session),
        CASE(test_wrong_requests_are_refused),
        CASE(test_command_runs_in_its_folder),
        CASE(test_too_many_commands),
        CASE(test_commands_end_with_their_session),
        CASE(test_puts_that_go_wrong),
        CASE(test_large_get_waits_for_the_host),
        CASE(test_gets_that_go_wrong),
        CASE(test_terminate_ends_commands_too),
        CASE(test_terminate_lets_commands_speak),
    };
#undef CASE

    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s AGENT\n", argv[0]);
        return 2;
    }
    fixture.agent_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
