/* agent_test.c - the real agent process on a socket, driven by the lab's client.
 *
 * argv[1] of this program is the agent's path. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/test.h"
#include "clusterctl/lab/agent_client.h"

struct fixture {
    const char *agent_path;
    char dir[64];
    char socket_path[96];
    struct ray_loop loop;
    struct ray_child agent;
    struct ray_agent_client *client;
    int listener;
    struct ray_timer limit;
};

struct outcome {
    struct fixture *fixture;
    struct ray_agent_end end;
    char text[256];
    char out[1 << 17];
    size_t out_size;
    size_t data_size; /* all that came, also beyond out */
    bool is_ended;
};

static void on_agent_exit(void *arg, const struct ray_child_exit *how)
{
    (void)arg;
    (void)how;
}

static void on_limit(void *arg)
{
    (void)arg;
    fail_msg("nothing happened for 60 s");
}

static void on_data(void *arg, int stream, const uint8_t *bytes, size_t size)
{
    struct outcome *outcome = arg;

    (void)stream;
    outcome->data_size += size;
    if (size < sizeof outcome->out - outcome->out_size) {
        memcpy(outcome->out + outcome->out_size, bytes, size);
        outcome->out_size += size;
        outcome->out[outcome->out_size] = '\0';
    }
}

static void on_end(void *arg, const struct ray_agent_end *end)
{
    struct outcome *outcome = arg;

    assert_false(outcome->is_ended);
    outcome->end = *end;
    (void)snprintf(outcome->text, sizeof outcome->text, "%s", end->text);
    outcome->is_ended = true;
}

static struct ray_agent_handler handler_of(struct outcome *outcome)
{
    return (struct ray_agent_handler){.on_data = on_data, .on_end = on_end, .arg = outcome};
}

static void run_until(struct fixture *f, const bool *flag)
{
    ray_timer_start(&f->limit, 60000, 0);
    while (!*flag) {
        ray_loop_once(&f->loop);
    }
    ray_timer_stop(&f->limit);
}

/* The client's next connection; it connects by itself, from a timer on the loop. */
static int accept_client(struct fixture *f)
{
    int fd = -1;

    ray_timer_start(&f->limit, 60000, 0);
    while ((fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0) {
        ray_loop_once(&f->loop);
    }
    ray_timer_stop(&f->limit);
    return fd;
}

/* Gives the client's next connection to a new agent. */
static void start_agent(struct fixture *f)
{
    int fd = accept_client(f);
    const struct ray_child_fd fds[] = {{fd, 3}, {2, 2}};
    const char *argv[] = {"rayos-test-agent", "--fd", "3", NULL};
    struct ray_child_spec spec = {.path = f->agent_path,
                                  .argv = argv,
                                  .fds = fds,
                                  .fd_count = 2,
                                  .keeps_all_caps = true,
                                  .parent_death_signal = 9,
                                  .cgroup_fd = -1};
    struct ray_err err = {0};

    assert_true(fd >= 0);
    if (ray_child_spawn(&f->agent, &f->loop, &spec, on_agent_exit, f, &err) != RAY_OK) {
        fail_msg("%s", err.text);
    }
    (void)close(fd);
}

static void on_change(void *arg, bool is_up)
{
    *(bool *)arg = is_up;
}

static int setup(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bool is_up = false;

    (void)snprintf(f->dir, sizeof f->dir, "/tmp/agent_test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->socket_path, sizeof f->socket_path, "%s/agent.sock", f->dir);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", f->socket_path);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(f->listener >= 0);
    assert_int_equal(bind(f->listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(f->listener, 4), 0);
    assert_int_equal(ray_loop_init(&f->loop, NULL), RAY_OK);
    assert_int_equal(ray_timer_init(&f->limit, &f->loop, on_limit, f, NULL), RAY_OK);
    ray_child_init(&f->agent);
    assert_int_equal(ray_agent_client_create(&f->client, &f->loop, f->socket_path, NULL), RAY_OK);
    ray_agent_client_on_change(f->client, on_change, &is_up);
    start_agent(f);
    run_until(f, &is_up);
    ray_agent_client_on_change(f->client, NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ray_agent_client_destroy(f->client);
    (void)ray_child_kill(&f->agent, 9);
    while (f->agent.pid != 0) {
        ray_loop_once(&f->loop);
    }
    ray_timer_fini(&f->limit);
    ray_loop_fini(&f->loop);
    (void)close(f->listener);
    (void)unlink(f->socket_path);
    (void)rmdir(f->dir);
    return 0;
}

static struct outcome *outcome_new(struct fixture *f)
{
    struct outcome *outcome = calloc(1, sizeof *outcome);

    assert_non_null(outcome);
    outcome->fixture = f;
    return outcome;
}

static struct outcome *run(struct fixture *f, const char *script, const char *input,
                           uint64_t timeout_ms)
{
    struct outcome *outcome = outcome_new(f);
    struct ray_agent_handler handler = handler_of(outcome);
    const char *argv[] = {"sh", "-c", script};

    assert_int_equal(
        ray_agent_exec(f->client, argv, 3, input, strlen(input), timeout_ms, &handler, NULL, NULL),
        RAY_OK);
    assert_false(outcome->is_ended);
    run_until(f, &outcome->is_ended);
    return outcome;
}

static void test_exec(void **state)
{
    struct outcome *o = run(*state, "cat; echo err >&2; exit 7", "hello ", 0);

    assert_int_equal(o->end.code, RAY_OK);
    assert_int_equal(o->end.status, 7);
    assert_false(o->end.is_signaled);
    assert_non_null(strstr(o->out, "hello "));
    assert_non_null(strstr(o->out, "err\n"));
    free(o);

    o = run(*state, "kill -11 $$", "", 0);
    assert_true(o->end.is_signaled);
    assert_int_equal(o->end.status, 11);
    free(o);
}

static void test_exec_of_nothing_says_why(void **state)
{
    struct fixture *f = *state;
    struct outcome *o = outcome_new(f);
    struct ray_agent_handler handler = handler_of(o);
    const char *argv[] = {"no-such-program"};

    assert_int_equal(ray_agent_exec(f->client, argv, 1, NULL, 0, 0, &handler, NULL, NULL), RAY_OK);
    run_until(f, &o->is_ended);
    assert_int_equal(o->end.code, RAY_ENOTFOUND);
    assert_non_null(strstr(o->text, "no-such-program"));
    free(o);
}

static void test_timeout_kills_the_group(void **state)
{
    struct outcome *o = run(*state, "sleep 1000 & sleep 1000; wait", "", 200);

    assert_true(o->end.timed_out);
    assert_true(o->end.is_signaled);
    assert_int_equal(o->end.status, 9);
    free(o);
}

static void test_background_process_does_not_delay_the_end(void **state)
{
    struct outcome *o = run(*state, "sleep 1000 & echo $!", "", 0);

    assert_int_equal(o->end.status, 0);
    assert_int_equal(kill((pid_t)strtol(o->out, NULL, 10), SIGKILL), 0); /* it runs on */
    free(o);
}

static void test_much_output_is_whole(void **state)
{
    struct outcome *o = run(*state, "head -c 20000000 /dev/zero", "", 0);

    assert_int_equal(o->end.status, 0);
    assert_int_equal(o->data_size, 20000000);
    free(o);
}

static void test_put_and_get(void **state)
{
    struct fixture *f = *state;
    struct outcome *o = outcome_new(f);
    struct ray_agent_handler handler = handler_of(o);
    enum { SIZE = 700000 };
    uint8_t *bytes = malloc(SIZE);
    char path[96];
    struct stat info;

    assert_non_null(bytes);
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    (void)snprintf(path, sizeof path, "%s/file", f->dir);
    assert_int_equal(ray_agent_put(f->client, path, 0600, bytes, SIZE, &handler, NULL), RAY_OK);
    run_until(f, &o->is_ended);
    assert_int_equal(o->end.code, RAY_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, SIZE);
    assert_int_equal(info.st_mode & 0777, 0600);

    memset(o, 0, sizeof *o);
    assert_int_equal(ray_agent_get(f->client, path, &handler, NULL), RAY_OK);
    run_until(f, &o->is_ended);
    assert_int_equal(o->end.code, RAY_OK);
    assert_int_equal(o->data_size, SIZE);
    assert_memory_equal(o->out, bytes, o->out_size);
    (void)unlink(path);

    memset(o, 0, sizeof *o);
    assert_int_equal(ray_agent_get(f->client, path, &handler, NULL), RAY_OK);
    run_until(f, &o->is_ended);
    assert_int_equal(o->end.code, RAY_ENOTFOUND);
    free(bytes);
    free(o);
}

static void test_put_of_an_empty_file(void **state)
{
    struct fixture *f = *state;
    struct outcome *o = outcome_new(f);
    struct ray_agent_handler handler = handler_of(o);
    char path[96];

    (void)snprintf(path, sizeof path, "%s/empty", f->dir);
    assert_int_equal(ray_agent_put(f->client, path, 0644, "", 0, &handler, NULL), RAY_OK);
    run_until(f, &o->is_ended);
    assert_int_equal(o->end.code, RAY_OK);
    assert_int_equal(unlink(path), 0);
    free(o);
}

static void test_ping(void **state)
{
    struct fixture *f = *state;
    struct outcome *o = outcome_new(f);
    struct ray_agent_handler handler = handler_of(o);
    uint64_t before = ray_clock_boottime_ns();

    assert_int_equal(ray_agent_ping(f->client, &handler, NULL), RAY_OK);
    run_until(f, &o->is_ended);
    assert_true(o->end.boottime_ns >= before);
    assert_true(o->end.boottime_ns <= ray_clock_boottime_ns());
    free(o);
}

static void test_agent_that_dies_ends_requests_and_comes_back(void **state)
{
    struct fixture *f = *state;
    struct outcome *o = outcome_new(f);
    struct ray_agent_handler handler = handler_of(o);
    const char *argv[] = {"sleep", "1000"};
    bool is_up = false;

    assert_int_equal(ray_agent_exec(f->client, argv, 2, NULL, 0, 0, &handler, NULL, NULL), RAY_OK);
    assert_int_equal(ray_child_kill(&f->agent, 9), RAY_OK);
    run_until(f, &o->is_ended);
    assert_int_equal(o->end.code, RAY_ECLOSED);
    assert_false(ray_agent_client_is_up(f->client));
    while (f->agent.pid != 0) {
        ray_loop_once(&f->loop);
    }
    ray_agent_client_on_change(f->client, on_change, &is_up);
    start_agent(f);
    run_until(f, &is_up);
    ray_agent_client_on_change(f->client, NULL, NULL);
    free(o);
    o = run(f, "echo back", "", 0);
    assert_string_equal(o->out, "back\n");
    free(o);
}

static void test_limits(void **state)
{
    struct fixture *f = *state;
    struct ray_agent_handler handler = {0};
    const char *words[RAY_AGENT_ARG_COUNT_MAX + 1];
    struct ray_err err = {0};

    for (size_t i = 0; i <= RAY_AGENT_ARG_COUNT_MAX; i++) {
        words[i] = "x";
    }
    assert_int_equal(ray_agent_exec(f->client, words, RAY_AGENT_ARG_COUNT_MAX + 1, NULL, 0, 0,
                                    &handler, NULL, &err),
                     RAY_ETOOBIG);
    assert_int_equal(ray_agent_exec(f->client, words, 0, NULL, 0, 0, &handler, NULL, &err),
                     RAY_ETOOBIG);
    assert_int_equal(ray_agent_kill(f->client, 999999, &err), RAY_ENOTFOUND);
}

int main(int argc, char **argv)
{
    static struct fixture fixture;
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, &fixture)
        CASE(test_exec),
        CASE(test_exec_of_nothing_says_why),
        CASE(test_timeout_kills_the_group),
        CASE(test_background_process_does_not_delay_the_end),
        CASE(test_much_output_is_whole),
        CASE(test_put_and_get),
        CASE(test_put_of_an_empty_file),
        CASE(test_ping),
        CASE(test_agent_that_dies_ends_requests_and_comes_back),
        CASE(test_limits),
#undef CASE
    };

    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s AGENT\n", argv[0]);
        return 2;
    }
    fixture.agent_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
