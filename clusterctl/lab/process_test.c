/* process_test.c - real processes and sockets under the loop: ends, deadlines, orphans. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clusterctl/lab/process.h"
#include "clusterctl/lab/stream.h"

struct fixture {
    struct ray_loop loop;
    struct lab_processes table;
    struct lab_process process;
    struct ray_child_exit how;
    int exit_count;
};

static void on_exit_of_process(void *arg, const struct ray_child_exit *how)
{
    struct fixture *fixture = arg;

    assert_false(lab_process_is_running(&fixture->process));
    fixture->how = *how;
    fixture->exit_count++;
}

static void fixture_init(struct fixture *fixture)
{
    *fixture = (struct fixture){0};
    assert_int_equal(ray_loop_init(&fixture->loop, NULL), RAY_OK);
    assert_int_equal(lab_processes_init(&fixture->table, &fixture->loop, NULL), RAY_OK);
}

static void fixture_fini(struct fixture *fixture)
{
    lab_processes_fini(&fixture->table);
    ray_loop_fini(&fixture->loop);
}

static int start_shell(struct fixture *fixture, const char *script)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    const struct ray_child_spec spec = {
        .path = "/bin/sh", .argv = argv, .keeps_all_caps = true, .cgroup_fd = -1};

    return lab_process_start(&fixture->process, &fixture->table, &spec, on_exit_of_process, fixture,
                             NULL);
}

static void run_until_exit(struct fixture *fixture, int count)
{
    while (fixture->exit_count < count) {
        ray_loop_once(&fixture->loop);
    }
}

static void test_exit_and_again(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(start_shell(&fixture, "exit 5"), RAY_OK);
        assert_true(lab_process_is_running(&fixture.process));
        run_until_exit(&fixture, i);
        assert_false(fixture.how.is_signaled);
        assert_int_equal(fixture.how.status, 5);
    }
    assert_int_equal(lab_process_signal(&fixture.process, SIGTERM, NULL), RAY_ENOTFOUND);
    lab_process_stop(&fixture.process, 100); /* gone: nothing to do */
    fixture_fini(&fixture);
}

static void test_stop_in_time(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    assert_int_equal(start_shell(&fixture, "exec sleep 1000"), RAY_OK);
    lab_process_stop(&fixture.process, 60000);
    run_until_exit(&fixture, 1);
    assert_true(fixture.how.is_signaled);
    assert_int_equal(fixture.how.status, SIGTERM);
    fixture_fini(&fixture);
}

/* One that ignores SIGTERM is killed at its deadline; a stopped one ends, too. */
static void test_stop_by_force(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    assert_int_equal(start_shell(&fixture, "trap '' TERM; while :; do sleep 1000; done"), RAY_OK);
    /* Whether the trap stands already or not, it ends, and not by waiting for the sleep. */
    lab_process_stop(&fixture.process, 50);
    run_until_exit(&fixture, 1);
    assert_true(fixture.how.is_signaled);

    assert_int_equal(start_shell(&fixture, "exec sleep 1000"), RAY_OK);
    assert_int_equal(lab_process_signal(&fixture.process, SIGSTOP, NULL), RAY_OK);
    lab_process_stop(&fixture.process, 60000);
    run_until_exit(&fixture, 2);
    assert_int_equal(fixture.how.status, SIGTERM);

    assert_int_equal(start_shell(&fixture, "exec sleep 1000"), RAY_OK);
    lab_process_stop(&fixture.process, 0);
    run_until_exit(&fixture, 3);
    assert_int_equal(fixture.how.status, SIGKILL);
    fixture_fini(&fixture);
}

static void test_start_fails(void **state)
{
    static const char *const argv[] = {"/nowhere/program", NULL};
    const struct ray_child_spec spec = {.path = argv[0], .argv = argv, .cgroup_fd = -1};
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    assert_int_equal(lab_process_start(&fixture.process, &fixture.table, &spec, on_exit_of_process,
                                       &fixture, NULL),
                     RAY_ENOTFOUND);
    assert_false(lab_process_is_running(&fixture.process));
    assert_null(fixture.table.first);
    fixture_fini(&fixture);
}

/* As PID 1 of the lab's namespace: what our processes leave behind comes to us. */
static void test_orphans_are_reaped(void **state)
{
    struct fixture fixture;
    siginfo_t info;

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    fixture_init(&fixture);
    assert_int_equal(start_shell(&fixture, "(sh -c 'exit 3' &) ; (true &) ; exit 0"), RAY_OK);
    run_until_exit(&fixture, 1);
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
        ray_loop_once(&fixture.loop); /* until there is no child at all */
    }
    fixture_fini(&fixture);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

/* ---- streams ---- */

struct collector {
    struct lab_stream stream;
    size_t size;
    bool closes;
};

static void on_data(void *arg, const uint8_t *bytes, size_t size)
{
    struct collector *collector = arg;

    (void)bytes;
    collector->size += size;
    if (collector->closes) {
        lab_stream_close(&collector->stream);
    }
}

static void open_pair(struct collector *collector, struct ray_loop *loop, int *out_other)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    *collector = (struct collector){0};
    lab_stream_init(&collector->stream);
    assert_int_equal(lab_stream_open(&collector->stream, loop, pair[0], on_data, collector, NULL),
                     RAY_OK);
    *out_other = pair[1];
}

static void test_stream_reads_to_the_end(void **state)
{
    struct collector collector;
    struct ray_loop loop;
    uint8_t bytes[50000] = {0};
    int other;

    (void)state;
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    open_pair(&collector, &loop, &other);
    assert_int_equal(write(other, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(close(other), 0);
    while (lab_stream_is_open(&collector.stream)) {
        ray_loop_once(&loop);
    }
    assert_int_equal(collector.size, sizeof bytes);
    assert_int_equal(lab_stream_write(&collector.stream, "x", 1), RAY_ECLOSED);

    open_pair(&collector, &loop, &other);
    assert_int_equal(write(other, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(close(other), 0);
    lab_stream_drain(&collector.stream); /* without the loop */
    assert_int_equal(collector.size, sizeof bytes);
    lab_stream_close(&collector.stream);

    open_pair(&collector, &loop, &other);
    collector.closes = true; /* from within the callback */
    assert_int_equal(write(other, bytes, sizeof bytes), sizeof bytes);
    while (lab_stream_is_open(&collector.stream)) {
        ray_loop_once(&loop);
    }
    assert_int_equal(close(other), 0);
    ray_loop_fini(&loop);
}

static void test_stream_queue_is_bounded(void **state)
{
    struct collector collector;
    struct ray_loop loop;
    static const uint8_t bytes[4096] = {0};
    uint8_t input[4096];
    size_t written = 0;
    size_t received = 0;
    int other;

    (void)state;
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    open_pair(&collector, &loop, &other);
    while (lab_stream_write(&collector.stream, bytes, sizeof bytes) == RAY_OK) {
        written += sizeof bytes;
    }
    assert_int_equal(lab_stream_write(&collector.stream, bytes, sizeof bytes), RAY_EAGAIN);
    assert_true(collector.stream.out.size <= LAB_STREAM_QUEUE_SIZE_MAX);
    while (received < written) { /* the queue follows when the other end reads */
        ssize_t size = recv(other, input, sizeof input, MSG_DONTWAIT);

        if (size < 0) {
            ray_loop_once(&loop);
        } else {
            received += (size_t)size;
        }
    }
    assert_int_equal(received, written);
    lab_stream_close(&collector.stream);
    lab_stream_close(&collector.stream); /* twice is fine */
    assert_int_equal(close(other), 0);
    ray_loop_fini(&loop);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_and_again),
        cmocka_unit_test(test_stop_in_time),
        cmocka_unit_test(test_stop_by_force),
        cmocka_unit_test(test_start_fails),
        cmocka_unit_test(test_orphans_are_reaped),
        cmocka_unit_test(test_stream_reads_to_the_end),
        cmocka_unit_test(test_stream_queue_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
