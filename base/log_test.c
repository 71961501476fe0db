#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/test.h"

struct capture {
    int fds[2];
    struct ray_logger logger;
    char text[2 * RAY_LOG_LINE_SIZE_MAX];
};

static void capture_init(struct capture *capture, enum ray_log_form form)
{
    assert_int_equal(pipe2(capture->fds, O_CLOEXEC | O_NONBLOCK), 0);
    ray_logger_init(&capture->logger, capture->fds[1], form, RAY_LOG_INFO);
}

static void capture_fini(struct capture *capture)
{
    (void)close(capture->fds[0]);
    (void)close(capture->fds[1]);
}

/* What was logged since the last call. */
static const char *captured(struct capture *capture)
{
    ssize_t got = read(capture->fds[0], capture->text, sizeof capture->text - 1);

    capture->text[got > 0 ? got : 0] = '\0';
    return capture->text;
}

static void test_plain(void **state)
{
    struct capture capture;
    const char *line;
    char *end;

    (void)state;
    capture_init(&capture, RAY_LOG_PLAIN);
    errno = 77;
    ray_log(&capture.logger, RAY_LOG_WARN, "vol", "epoch %d\nrefused", 3);
    assert_int_equal(errno, 77);
    line = captured(&capture);
    assert_true(strtoull(line, &end, 10) > 0);
    assert_string_equal(end, " warn vol epoch 3\\x0arefused\n");
    capture_fini(&capture);
}

static void test_supervised(void **state)
{
    struct capture capture;

    (void)state;
    capture_init(&capture, RAY_LOG_SUPERVISED);
    ray_log(&capture.logger, RAY_LOG_ERROR, "api", "down");
    assert_string_equal(captured(&capture), "<3>api down\n");
    capture_fini(&capture);
}

static void test_level(void **state)
{
    struct capture capture;

    (void)state;
    capture_init(&capture, RAY_LOG_SUPERVISED);
    ray_log(&capture.logger, RAY_LOG_DEBUG, "api", "quiet");
    ray_log(NULL, RAY_LOG_ERROR, "api", "nobody");
    assert_string_equal(captured(&capture), "");
    atomic_store(&capture.logger.level, RAY_LOG_DEBUG);
    ray_log(&capture.logger, RAY_LOG_DEBUG, "api", "loud");
    assert_string_equal(captured(&capture), "<7>api loud\n");
    capture_fini(&capture);
}

/* Around the largest line, every length; plain bytes and bytes that become four. */
static void test_long_lines_are_cut(void **state)
{
    static const char fill[] = {'x', '\t'};
    struct capture capture;
    char text[RAY_LOG_LINE_SIZE_MAX + 10];

    (void)state;
    capture_init(&capture, RAY_LOG_SUPERVISED);
    for (size_t kind = 0; kind < sizeof fill; kind++) {
        for (size_t size = 1; size < sizeof text; size += size > 480 && size < 1990 ? 97 : 1) {
            const char *line;
            size_t length;

            memset(text, fill[kind], size);
            text[size] = '\0';
            ray_log(&capture.logger, RAY_LOG_INFO, "m", "%s", text);
            line = captured(&capture);
            length = strlen(line);
            assert_true(length < RAY_LOG_LINE_SIZE_MAX);
            assert_int_equal(line[length - 1], '\n');
            assert_ptr_equal(strchr(line, '\n'), line + length - 1);
            if (length != strlen("<6>m \n") + size * (kind == 0 ? 1 : 4)) {
                assert_memory_equal(line + length - 4, "...", 3);
                assert_true(length > RAY_LOG_LINE_SIZE_MAX - 8);
            }
        }
    }
    capture_fini(&capture);
}

static void test_full_pipe_drops_and_counts(void **state)
{
    struct capture capture;

    (void)state;
    capture_init(&capture, RAY_LOG_SUPERVISED);
    while (atomic_load(&capture.logger.dropped_count) == 0) {
        ray_log(&capture.logger, RAY_LOG_INFO, "m", "%01000d", 1);
    }
    ray_log(&capture.logger, RAY_LOG_INFO, "m", "%01000d", 1);
    assert_int_equal(atomic_load(&capture.logger.dropped_count), 2);
    capture_fini(&capture);
}

struct sunk {
    enum ray_log_level level;
    char line[64];
};

static void sink(void *arg, enum ray_log_level level, const char *line)
{
    struct sunk *sunk = arg;

    sunk->level = level;
    (void)snprintf(sunk->line, sizeof sunk->line, "%s", line);
}

static void test_sink(void **state)
{
    struct ray_logger logger;
    struct sunk sunk = {.level = RAY_LOG_DEBUG};

    (void)state;
    ray_logger_init(&logger, -1, RAY_LOG_SUPERVISED, RAY_LOG_INFO);
    logger.sink = sink;
    logger.sink_arg = &sunk;
    ray_log(&logger, RAY_LOG_NOTICE, "m", "text");
    assert_int_equal(sunk.level, RAY_LOG_NOTICE);
    assert_string_equal(sunk.line, "<5>m text");
}

static void test_names(void **state)
{
    enum ray_log_level level = RAY_LOG_ERROR;

    (void)state;
    for (int i = RAY_LOG_ERROR; i <= RAY_LOG_DEBUG; i++) {
        assert_int_equal(ray_log_level_parse(ray_log_level_name((enum ray_log_level)i), &level),
                         RAY_OK);
        assert_int_equal(level, i);
    }
    assert_int_equal(ray_log_level_parse("loud", &level), RAY_EINVAL);
    assert_int_equal(ray_log_level_parse("", &level), RAY_EINVAL);
    assert_int_equal(level, RAY_LOG_DEBUG);
    assert_int_equal(unsetenv("RAYOS_SUPERVISED"), 0);
    assert_int_equal(ray_log_form_from_env(), RAY_LOG_PLAIN);
    assert_int_equal(setenv("RAYOS_SUPERVISED", "1", 1), 0);
    assert_int_equal(ray_log_form_from_env(), RAY_LOG_SUPERVISED);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_supervised),
        cmocka_unit_test(test_level),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_full_pipe_drops_and_counts),
        cmocka_unit_test(test_sink),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
