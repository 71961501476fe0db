#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "node/init/out_queue.h"

struct fixture {
    struct ray_loop loop;
    struct out_queue queue;
    int read_fd;
    int write_fd; /* the queue's, once attached */
    int broken_count;
};

static void on_broken(void *arg)
{
    struct fixture *fixture = arg;

    fixture->broken_count++;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    int fds[2];

    assert_non_null(fixture);
    assert_int_equal(ray_loop_init(&fixture->loop, NULL), RAY_OK);
    assert_int_equal(
        out_queue_init(&fixture->queue, &fixture->loop, 100000, on_broken, fixture, NULL), RAY_OK);
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    fixture->read_fd = fds[0];
    fixture->write_fd = fds[1];
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    out_queue_fini(&fixture->queue);
    if (fixture->read_fd >= 0) {
        (void)close(fixture->read_fd);
    }
    ray_loop_fini(&fixture->loop);
    free(fixture);
    return 0;
}

static size_t drain(const struct fixture *fixture, char *out, size_t size)
{
    ssize_t got = read(fixture->read_fd, out, size - 1);

    got = got < 0 ? 0 : got;
    out[got] = '\0';
    return (size_t)got;
}

static void test_waits_for_a_descriptor(void **state)
{
    struct fixture *fixture = *state;
    char text[64];

    assert_true(out_queue_put(&fixture->queue, "early ", 6));
    assert_false(out_queue_is_open(&fixture->queue));
    out_queue_attach(&fixture->queue, fixture->write_fd);
    assert_true(out_queue_put(&fixture->queue, "late", 4));
    (void)drain(fixture, text, sizeof text);
    assert_string_equal(text, "early late");
}

/* Nobody reads for a while: nothing blocks, nothing is torn, order is kept. */
static void test_slow_reader(void **state)
{
    struct fixture *fixture = *state;
    static char text[400000];
    size_t read_size = 0;
    size_t put_count = 0;
    char line[101];

    out_queue_attach(&fixture->queue, fixture->write_fd);
    memset(line, '.', sizeof line);
    line[99] = '\n';
    while (out_queue_put(&fixture->queue, line, 100)) {
        put_count++;
        assert_true(put_count < 10000);
    }
    assert_int_equal(fixture->queue.dropped_count, 1);
    while (fixture->queue.pending.size > 0) {
        read_size += drain(fixture, text + read_size, sizeof text - read_size);
        ray_loop_once(&fixture->loop);
    }
    read_size += drain(fixture, text + read_size, sizeof text - read_size);
    assert_int_equal(read_size, put_count * 100);
    for (size_t i = 99; i < read_size; i += 100) {
        assert_int_equal(text[i], '\n');
    }
}

static void test_broken(void **state)
{
    struct fixture *fixture = *state;

    out_queue_attach(&fixture->queue, fixture->write_fd);
    (void)close(fixture->read_fd);
    fixture->read_fd = -1;
    (void)signal(SIGPIPE, SIG_IGN);
    assert_true(out_queue_put(&fixture->queue, "x", 1)); /* waits for another descriptor */
    assert_int_equal(fixture->broken_count, 1);
    assert_false(out_queue_is_open(&fixture->queue));
    assert_int_equal(fixture->queue.pending.size, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_waits_for_a_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
