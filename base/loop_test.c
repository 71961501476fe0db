#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/test.h"

/* An object that frees itself, with its timer, from within its callback. */
struct mayfly {
    struct ray_loop *loop;
    struct ray_timer timer;
    int *death_count;
};

static void mayfly_dies(void *arg)
{
    struct mayfly *mayfly = arg;

    (*mayfly->death_count)++;
    ray_timer_fini(&mayfly->timer);
    free(mayfly);
}

static void test_owner_may_vanish_in_its_callback(void **state)
{
    struct ray_loop loop;
    int death_count = 0;

    (void)state;
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    for (int i = 0; i < 10; i++) {
        struct mayfly *mayfly = calloc(1, sizeof *mayfly);

        assert_non_null(mayfly);
        mayfly->death_count = &death_count;
        assert_int_equal(ray_timer_init(&mayfly->timer, &loop, mayfly_dies, mayfly, NULL), RAY_OK);
        ray_timer_start(&mayfly->timer, (uint64_t)i % 3, 0);
    }
    ray_loop_run(&loop);
    assert_int_equal(death_count, 10);
    ray_loop_fini(&loop);
    ray_loop_fini(&loop);
}

struct ticker {
    struct ray_loop loop;
    struct ray_timer timer;
    struct ray_timer other;
    int tick_count;
    int other_count;
};

static void on_tick(void *arg)
{
    struct ticker *ticker = arg;

    if (++ticker->tick_count == 3) {
        ray_loop_stop(&ticker->loop);
    }
}

static void on_other(void *arg)
{
    struct ticker *ticker = arg;

    ticker->other_count++;
}

static void test_timer_repeats_and_stops(void **state)
{
    struct ticker ticker = {0};
    uint64_t begin_ns;

    (void)state;
    assert_int_equal(ray_loop_init(&ticker.loop, NULL), RAY_OK);
    assert_int_equal(ray_timer_init(&ticker.timer, &ticker.loop, on_tick, &ticker, NULL), RAY_OK);
    assert_int_equal(ray_timer_init(&ticker.other, &ticker.loop, on_other, &ticker, NULL), RAY_OK);
    assert_false(ray_timer_is_active(&ticker.timer));
    begin_ns = ray_clock_monotonic_ns();
    ray_timer_start(&ticker.timer, 5, 5);
    ray_timer_start(&ticker.other, 0, 0);
    ray_timer_start(&ticker.other, 60000, 0); /* re-armed: does not fire */
    assert_true(ray_timer_is_active(&ticker.timer));
    ray_loop_run(&ticker.loop);
    /* libuv counts whole milliseconds: one may be lost at the start. */
    assert_true(ray_clock_monotonic_ns() - begin_ns >= 14 * RAY_NS_PER_MS);
    assert_int_equal(ticker.tick_count, 3);
    assert_int_equal(ticker.other_count, 0);
    ray_timer_stop(&ticker.timer);
    assert_false(ray_timer_is_active(&ticker.timer));
    assert_true(ray_loop_now_ns(&ticker.loop) + 100 * RAY_NS_PER_MS >= begin_ns);
    ray_timer_fini(&ticker.timer);
    ray_timer_fini(&ticker.timer);
    ray_timer_stop(&ticker.timer);
    assert_false(ray_timer_is_active(&ticker.timer));
    ray_timer_fini(&ticker.other);
    ray_loop_fini(&ticker.loop);
}

struct reader {
    struct ray_loop loop;
    struct ray_poll poll;
    int fds[2];
    int call_count;
    int last_status;
    int last_events;
};

static void on_ready(void *arg, int status, int events)
{
    struct reader *reader = arg;
    char byte;

    reader->call_count++;
    reader->last_status = status;
    reader->last_events = events;
    if (status == RAY_OK) {
        (void)!read(reader->fds[0], &byte, 1);
    }
}

static void reader_init(struct reader *reader)
{
    *reader = (struct reader){0};
    assert_int_equal(ray_loop_init(&reader->loop, NULL), RAY_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, reader->fds), 0);
    assert_int_equal(
        ray_poll_init(&reader->poll, &reader->loop, reader->fds[0], on_ready, reader, NULL),
        RAY_OK);
}

static void reader_fini(struct reader *reader)
{
    ray_poll_fini(&reader->poll);
    ray_poll_fini(&reader->poll);
    (void)close(reader->fds[0]);
    if (reader->fds[1] >= 0) {
        (void)close(reader->fds[1]);
    }
    ray_loop_fini(&reader->loop);
}

static void test_poll(void **state)
{
    struct reader reader;

    (void)state;
    reader_init(&reader);
    assert_int_equal(write(reader.fds[1], "ab", 2), 2);
    assert_int_equal(ray_poll_set(&reader.poll, UV_READABLE | UV_DISCONNECT), RAY_OK);
    ray_loop_once(&reader.loop);
    assert_int_equal(reader.call_count, 1);
    assert_int_equal(reader.last_status, RAY_OK);
    assert_int_equal(reader.last_events, UV_READABLE);
    assert_int_equal(ray_poll_set(&reader.poll, 0), RAY_OK); /* paused: the loop is empty */
    ray_loop_run(&reader.loop);
    assert_int_equal(reader.call_count, 1);
    assert_int_equal(ray_poll_set(&reader.poll, UV_READABLE | UV_DISCONNECT), RAY_OK);
    (void)close(reader.fds[1]);
    reader.fds[1] = -1;
    ray_loop_once(&reader.loop);
    assert_true((reader.last_events & UV_DISCONNECT) != 0);
    reader_fini(&reader);
}

/* The writing end of a pipe whose reader is gone reports an error, not readiness. */
static void test_poll_error(void **state)
{
    struct reader reader = {0};

    (void)state;
    assert_int_equal(ray_loop_init(&reader.loop, NULL), RAY_OK);
    assert_int_equal(pipe(reader.fds), 0);
    assert_int_equal(
        ray_poll_init(&reader.poll, &reader.loop, reader.fds[1], on_ready, &reader, NULL), RAY_OK);
    assert_int_equal(ray_poll_set(&reader.poll, UV_DISCONNECT), RAY_OK);
    (void)close(reader.fds[0]);
    ray_loop_run(&reader.loop); /* ends, because the poll is paused */
    assert_int_equal(reader.call_count, 1);
    assert_int_equal(reader.last_status, RAY_ECLOSED);
    ray_poll_fini(&reader.poll);
    (void)close(reader.fds[1]);
    ray_loop_fini(&reader.loop);
}

static void test_poll_refuses_bad_descriptors(void **state)
{
    struct ray_err err = {0};
    struct ray_loop loop;
    struct ray_poll poll;

    (void)state;
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    assert_true(ray_poll_init(&poll, &loop, -1, on_ready, NULL, &err) < 0);
    assert_true(strlen(err.text) > 0);
    ray_poll_fini(&poll);
    ray_loop_fini(&loop);
}

struct signaled {
    struct ray_loop loop;
    struct ray_signal signal;
    int signum;
};

static void on_signal(void *arg, int signum)
{
    struct signaled *signaled = arg;

    signaled->signum = signum;
    ray_signal_fini(&signaled->signal);
}

static void test_signal(void **state)
{
    struct signaled signaled = {0};
    struct ray_signal wrong;

    (void)state;
    assert_int_equal(ray_loop_init(&signaled.loop, NULL), RAY_OK);
    assert_int_equal(
        ray_signal_init(&signaled.signal, &signaled.loop, SIGUSR1, on_signal, &signaled, NULL),
        RAY_OK);
    assert_int_equal(ray_signal_init(&wrong, &signaled.loop, SIGKILL, on_signal, NULL, NULL),
                     RAY_EINVAL);
    assert_int_equal(raise(SIGUSR1), 0);
    ray_loop_run(&signaled.loop);
    assert_int_equal(signaled.signum, SIGUSR1);
    ray_signal_fini(&signaled.signal);
    ray_signal_fini(&wrong);
    ray_loop_fini(&signaled.loop);
}

/* Whatever its owners have left open goes with the loop; ASan sees a leak. */
static void test_fini_closes_what_is_left(void **state)
{
    struct reader reader;
    struct ray_timer timers[3];
    struct ray_signal usr1;
    uv_tcp_t foreign;

    (void)state;
    reader_init(&reader);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ray_timer_init(&timers[i], &reader.loop, on_other, NULL, NULL), RAY_OK);
        ray_timer_start(&timers[i], 100000, 0);
    }
    ray_timer_fini(&timers[1]);
    assert_int_equal(ray_signal_init(&usr1, &reader.loop, SIGUSR1, on_signal, NULL, NULL), RAY_OK);
    assert_int_equal(uv_tcp_init(&reader.loop.uv, &foreign), 0);
    ray_loop_fini(&reader.loop);
    (void)close(reader.fds[0]);
    (void)close(reader.fds[1]);
}

static void test_faults(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    for (unsigned n = 1;; n++) {
        struct ray_err err = {0};
        struct ray_loop loop;
        struct ray_timer timer = {0};
        struct ray_poll poll = {0};
        struct ray_signal usr1 = {0};
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = ray_loop_init(&loop, &err);
        rc = rc != RAY_OK ? rc : ray_timer_init(&timer, &loop, on_other, NULL, &err);
        rc = rc != RAY_OK ? rc : ray_poll_init(&poll, &loop, fds[0], on_ready, NULL, &err);
        rc = rc != RAY_OK ? rc : ray_signal_init(&usr1, &loop, SIGUSR1, on_signal, NULL, &err);
        ray_timer_fini(&timer);
        ray_poll_fini(&poll);
        ray_signal_fini(&usr1);
        ray_loop_fini(&loop);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
        assert_int_equal(err.code, RAY_ENOMEM);
    }
    (void)close(fds[0]);
    (void)close(fds[1]);
#ifdef RAY_FAULTS
    {
        struct ray_loop loop;

        ray_test_fault_arm("open", 1);
        assert_int_equal(ray_loop_init(&loop, NULL), RAY_EUNAVAILABLE);
        assert_true(ray_test_fault_disarm());
        ray_loop_fini(&loop);
    }
#endif
}

/* ---- ends of turns ---- */

struct turns {
    struct ray_loop loop;
    struct ray_timer timer;
    uv_prepare_t prepare;
    struct ray_turn_end first;
    struct ray_turn_end second;
    char order[16];
};

static void note(struct turns *turns, char what)
{
    size_t size = strlen(turns->order);

    assert_true(size + 1 < sizeof turns->order);
    turns->order[size] = what;
}

static void on_first(void *arg)
{
    struct turns *turns = arg;

    note(turns, '1');
    ray_turn_end_ask(&turns->second, &turns->loop); /* of the same turn */
}

static void on_second(void *arg)
{
    note(arg, '2');
}

static void on_prepare(uv_prepare_t *uv)
{
    struct turns *turns = uv->data;

    note(turns, 'p');
    ray_turn_end_ask(&turns->first, &turns->loop);
}

static void on_end_timer(void *arg)
{
    struct turns *turns = arg;

    note(turns, 't');
    ray_turn_end_ask(&turns->first, &turns->loop);
    ray_turn_end_ask(&turns->first, &turns->loop);
}

static void turns_open(struct turns *turns)
{
    *turns = (struct turns){0};
    assert_int_equal(ray_loop_init(&turns->loop, NULL), RAY_OK);
    turns->first = (struct ray_turn_end){.cb = on_first, .arg = turns};
    turns->second = (struct ray_turn_end){.cb = on_second, .arg = turns};
    assert_int_equal(ray_timer_init(&turns->timer, &turns->loop, on_end_timer, turns, NULL),
                     RAY_OK);
}

/* After every prepare handle, whenever that was started; the loop does not wait before. */
static void test_turn_ends_come_last(void **state)
{
    struct turns turns;

    (void)state;
    turns_open(&turns);
    assert_int_equal(uv_prepare_init(&turns.loop.uv, &turns.prepare), 0);
    turns.prepare.data = &turns;
    assert_int_equal(uv_prepare_start(&turns.prepare, on_prepare), 0);
    uv_unref((uv_handle_t *)&turns.prepare);
    ray_timer_start(&turns.timer, 1, 0);
    ray_loop_once(&turns.loop);
    assert_int_equal(strncmp(turns.order, "p12", 3), 0);
    ray_loop_fini(&turns.loop);
}

static void test_turn_ends_once(void **state)
{
    struct turns turns;

    (void)state;
    turns_open(&turns);
    ray_timer_start(&turns.timer, 0, 0);
    for (int i = 0; i < 3; i++) {
        (void)uv_run(&turns.loop.uv, UV_RUN_NOWAIT);
    }
    assert_string_equal(turns.order, "t12");
    ray_turn_end_ask(&turns.first, &turns.loop);
    ray_turn_end_ask(&turns.second, &turns.loop);
    ray_turn_end_cancel(&turns.first);
    ray_turn_end_cancel(&turns.first);
    (void)uv_run(&turns.loop.uv, UV_RUN_NOWAIT);
    assert_string_equal(turns.order, "t122");
    ray_turn_end_ask(&turns.first, &turns.loop); /* fini forgets it */
    ray_loop_fini(&turns.loop);
    assert_string_equal(turns.order, "t122");
    ray_turn_end_cancel(&turns.first);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owner_may_vanish_in_its_callback),
        cmocka_unit_test(test_timer_repeats_and_stops),
        cmocka_unit_test(test_poll),
        cmocka_unit_test(test_poll_error),
        cmocka_unit_test(test_poll_refuses_bad_descriptors),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_fini_closes_what_is_left),
        cmocka_unit_test(test_turn_ends_come_last),
        cmocka_unit_test(test_turn_ends_once),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
