#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "node/init/service_log.h"

struct sink {
    char last[RAY_LOG_LINE_SIZE_MAX];
    enum ray_log_level level;
    int count;
};

static void take(void *arg, enum ray_log_level level, const char *line, size_t size)
{
    struct sink *sink = arg;

    assert_true(size < sizeof sink->last);
    memcpy(sink->last, line, size);
    sink->last[size] = '\0';
    sink->level = level;
    sink->count++;
}

/* Behind the time stamp. */
static const char *text_of(const struct sink *sink)
{
    const char *space = strchr(sink->last, ' ');

    return space != NULL ? space + 1 : "";
}

static void feed(struct service_log_lines *lines, const char *text)
{
    service_log_lines_feed(lines, text, strlen(text), RAY_NS_PER_S);
}

static void test_lines(void **state)
{
    struct sink sink = {0};
    struct service_log_lines lines;

    (void)state;
    service_log_lines_init(&lines, "svc", RAY_NS_PER_S, take, &sink);
    feed(&lines, "plain\n");
    assert_string_equal(text_of(&sink), "info svc plain");
    feed(&lines, "<4>main disk is slow\r\n");
    assert_string_equal(text_of(&sink), "warn svc/main disk is slow");
    assert_int_equal(sink.level, RAY_LOG_WARN);
    feed(&lines, "<0>Oops no module word\n");
    assert_string_equal(text_of(&sink), "error svc Oops no module word");
    feed(&lines, "<9>x\n");
    assert_string_equal(text_of(&sink), "info svc <9>x");
    feed(&lines, "\n\n");
    assert_int_equal(sink.count, 4);
    feed(&lines, "esc \x1b[31m\x01\n");
    assert_string_equal(text_of(&sink), "info svc esc \\x1b[31m\\x01");
}

static void test_partial_lines(void **state)
{
    struct sink sink = {0};
    struct service_log_lines lines;

    (void)state;
    service_log_lines_init(&lines, "svc", RAY_NS_PER_S, take, &sink);
    feed(&lines, "ha");
    feed(&lines, "lf");
    assert_int_equal(sink.count, 0);
    feed(&lines, " done\nnext");
    assert_string_equal(text_of(&sink), "info svc half done");
    service_log_lines_end(&lines, RAY_NS_PER_S);
    assert_string_equal(text_of(&sink), "info svc next");
    service_log_lines_end(&lines, RAY_NS_PER_S);
    assert_int_equal(sink.count, 2);
}

/* One byte below the limit, at it, and beyond. */
static void test_long_lines_in_pieces(void **state)
{
    char text[SERVICE_LOG_LINE_SIZE_MAX + 2];

    (void)state;
    for (size_t size = SERVICE_LOG_LINE_SIZE_MAX - 1; size <= SERVICE_LOG_LINE_SIZE_MAX + 1;
         size++) {
        struct sink sink = {0};
        struct service_log_lines lines;
        service_log_lines_init(&lines, "svc", RAY_NS_PER_S, take, &sink);
        memset(text, 'x', size);
        service_log_lines_feed(&lines, text, size, RAY_NS_PER_S);
        feed(&lines, "\n");
        assert_int_equal(sink.count, size > SERVICE_LOG_LINE_SIZE_MAX ? 2 : 1);
    }
}

static void test_flood_is_held_back(void **state)
{
    struct sink sink = {0};
    struct service_log_lines lines;

    (void)state;
    service_log_lines_init(&lines, "svc", RAY_NS_PER_S, take, &sink);
    for (int i = 0; i < SERVICE_LOG_BURST + 100; i++) {
        feed(&lines, "again\n");
    }
    assert_int_equal(sink.count, SERVICE_LOG_BURST);
    service_log_lines_feed(&lines, "later\n", 6, 3 * RAY_NS_PER_S);
    assert_int_equal(sink.count, SERVICE_LOG_BURST + 2); /* the count, then the line */
    assert_string_equal(text_of(&sink), "info svc later");
}

static void test_pipe(void **state)
{
    struct ray_loop loop;
    struct service_log log;
    struct sink sink = {0};
    int fds[2];

    (void)state;
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    service_log_init(&log);
    assert_int_equal(service_log_open(&log, &loop, fds[0], "svc", take, &sink, NULL), RAY_OK);
    assert_int_equal(write(fds[1], "hello\nunfinished", 16), 16);
    ray_loop_once(&loop);
    assert_string_equal(text_of(&sink), "info svc hello");
    (void)close(fds[1]);
    ray_loop_once(&loop); /* end of stream */
    assert_string_equal(text_of(&sink), "info svc unfinished");
    assert_int_equal(log.fd, -1);
    service_log_close(&log);
    ray_loop_fini(&loop);
}

static void test_close_reads_the_rest(void **state)
{
    struct ray_loop loop;
    struct service_log log;
    struct sink sink = {0};
    int fds[2];

    (void)state;
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    service_log_init(&log);
    assert_int_equal(service_log_open(&log, &loop, fds[0], "svc", take, &sink, NULL), RAY_OK);
    assert_int_equal(write(fds[1], "last words\n", 11), 11);
    service_log_close(&log);
    assert_string_equal(text_of(&sink), "info svc last words");
    assert_true(fcntl(fds[0], F_GETFD) < 0 && errno == EBADF);
    (void)close(fds[1]);
    ray_loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_partial_lines),
        cmocka_unit_test(test_long_lines_in_pieces),
        cmocka_unit_test(test_flood_is_held_back),
        cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_close_reads_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
