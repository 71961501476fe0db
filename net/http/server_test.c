/* What well-behaved clients see: methods, bodies, keep-alive, pipelines, files, ranges. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"
#include "net/http/server.h"
#include "net/http/test_server.h"

#define HOST "Host: a\r\n"
#define CLOSE "Connection: close\r\n"

enum { FILE_SIZE = 100000 };

static int setup(void **state)
{
    struct test_server *ts = malloc(sizeof(*ts));

    assert_non_null(ts);
    test_server_init(ts, FILE_SIZE);
    test_server_start(ts);
    *state = ts;
    return 0;
}

static int teardown(void **state)
{
    struct test_server *ts = *state;

    test_server_stop(ts);
    test_server_fini(ts);
    free(ts);
    return 0;
}

static void expect(const struct test_server *ts, const char *request, int status, const char *part)
{
    char *text = test_exchange(ts, request);

    if (test_status(text) != status || strstr(text, part) == NULL) {
        fail_msg("%s\nwas answered with\n%s", request, text);
    }
    free(text);
}

static void test_methods(void **state)
{
    const struct test_server *ts = *state;
    char *text;

    expect(ts, "GET /hello HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "\r\n\r\nhello\n");
    expect(ts, "GET /hello HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "X-Test: yes\r\n");
    expect(ts, "GET /hello HTTP/1.0\r\n\r\n", 200, "Connection: close\r\n");
    expect(ts, "GET http://a/hello HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "hello\n");
    expect(ts, "GET /nothing HTTP/1.1\r\n" HOST CLOSE "\r\n", 404, "no\n");
    expect(ts, "GET /query?b=1&a=x%20y HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "\r\n\r\nx y");
    expect(ts, "POST /echo HTTP/1.1\r\n" HOST CLOSE "Content-Length: 4\r\n\r\nbody", 200,
           "\r\n\r\nbody");
    expect(ts, "POST /echo HTTP/1.1\r\n" HOST CLOSE "\r\n", 200, "Content-Length: 0\r\n");
    expect(ts, "PUT /hello HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: GET, HEAD, POST\r\n");
    expect(ts, "DELETE /hello HTTP/1.1\r\n" HOST "\r\n", 405, "Connection: close\r\n");
    expect(ts, "CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: ");
    expect(ts, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: ");
    expect(ts, "BREW / HTTP/1.1\r\n" HOST "\r\n", 501, "unknown method");

    text = test_exchange(ts, "HEAD /hello HTTP/1.1\r\n" HOST CLOSE "\r\n");
    assert_int_equal(test_status(text), 200);
    assert_non_null(strstr(text, "Content-Length: 6\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    free(text);
}

static void test_handler_mistakes(void **state)
{
    const struct test_server *ts = *state;
    char *text = test_exchange(ts, "GET /inject HTTP/1.1\r\n" HOST CLOSE "\r\n");

    assert_int_equal(test_status(text), 500);
    assert_int_equal(test_occurrences(text, "HTTP/1.1"), 1);
    free(text);
    expect(ts, "GET /large HTTP/1.1\r\n" HOST CLOSE "\r\n", 500, "cannot be sent");
}

/* Answers come in the order of the requests, whatever the handlers take. */
static void test_pipeline(void **state)
{
    struct test_server *ts = *state;
    char *text = test_exchange(ts, "GET /hello HTTP/1.1\r\n" HOST "\r\n"
                                   "GET /later HTTP/1.1\r\n" HOST "\r\n"
                                   "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                                   "HEAD /file HTTP/1.1\r\n" HOST "\r\n"
                                   "\r\nGET /nothing HTTP/1.1\r\n" HOST CLOSE "\r\n"
                                   "GET /after-close HTTP/1.1\r\n" HOST "\r\n");
    const char *at = text;
    static const char *const parts[] = {"\r\n\r\nhello\n", "\r\n\r\nlater\n", "\r\n\r\nabc",
                                        "Content-Length: 100000", "404 Not Found"};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        at = strstr(at, parts[i]);
        assert_non_null(at);
    }
    assert_int_equal(test_occurrences(text, "HTTP/1.1 "), 5);
    assert_int_equal(test_server_counts(ts).complete_count, 5);
    free(text);
}

static void test_many_pipelined(void **state)
{
    struct test_server *ts = *state;
    enum { COUNT = 2000 };
    static const char one[] = "GET /hello HTTP/1.1\r\n" HOST "\r\n";
    static const char last[] = "GET /hello HTTP/1.1\r\n" HOST CLOSE "\r\n";
    char *all = malloc(COUNT * sizeof(one) + sizeof(last));
    char *text;
    size_t size = 0;

    assert_non_null(all);
    for (int i = 0; i < COUNT - 1; i++) {
        memcpy(all + size, one, sizeof(one) - 1);
        size += sizeof(one) - 1;
    }
    memcpy(all + size, last, sizeof(last));
    text = test_exchange(ts, all);
    assert_int_equal(test_occurrences(text, "\r\n\r\nhello\n"), COUNT);
    free(text);
    free(all);
}

/* A client that has sent all and closes its side still gets its answers. */
static void test_half_close(void **state)
{
    const struct test_server *ts = *state;
    static const char text[] = "GET /hello HTTP/1.1\r\n" HOST "\r\n";
    int fd = test_connect(ts);
    char *answer;

    test_send(fd, text, sizeof(text) - 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    answer = test_receive(fd, NULL, NULL);
    assert_int_equal(test_status(answer), 200);
    free(answer);
    (void)close(fd);
}

static void test_continue(void **state)
{
    const struct test_server *ts = *state;
    static const char head[] =
        "POST /echo HTTP/1.1\r\n" HOST CLOSE "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    char line[64] = {0};
    int fd = test_connect(ts);
    char *answer;

    test_send(fd, head, sizeof(head) - 1);
    assert_int_equal(recv(fd, line, 25, MSG_WAITALL), 25);
    assert_string_equal(line, "HTTP/1.1 100 Continue\r\n\r\n");
    test_send(fd, "abc", 3);
    answer = test_receive(fd, NULL, NULL);
    assert_non_null(strstr(answer, "\r\n\r\nabc"));
    free(answer);
    (void)close(fd);
    expect(ts, "POST /echo HTTP/1.1\r\n" HOST "Expect: miracles\r\nContent-Length: 3\r\n\r\n", 417,
           "100-continue");
}

static void expect_file(const struct test_server *ts, const char *headers, int status, size_t first,
                        size_t count)
{
    char request[512];
    char line[64];
    size_t size;
    char *text;
    const char *body;
    int fd = test_connect(ts);

    (void)snprintf(request, sizeof(request), "GET /file HTTP/1.1\r\n" HOST CLOSE "%s\r\n", headers);
    test_send(fd, request, strlen(request));
    text = test_receive(fd, &size, NULL);
    (void)close(fd);
    if (test_status(text) != status) {
        fail_msg("%s: %.60s", headers, text);
    }
    body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    body += 4;
    assert_int_equal(text + size - body, count);
    (void)snprintf(line, sizeof(line), "Content-Length: %zu\r\n", count);
    assert_int_equal(strstr(text, line) != NULL, status != 304);
    assert_non_null(strstr(text, "ETag: \"tag\"\r\n"));
    for (size_t i = 0; i < count; i++) {
        if ((uint8_t)body[i] != test_file_byte(first + i)) {
            fail_msg("byte %zu differs", first + i);
        }
    }
    if (status == 206) {
        (void)snprintf(line, sizeof(line), "Content-Range: bytes %zu-%zu/%d\r\n", first,
                       first + count - 1, FILE_SIZE);
        assert_non_null(strstr(text, line));
    }
    free(text);
}

static void test_files(void **state)
{
    const struct test_server *ts = *state;

    expect_file(ts, "", 200, 0, FILE_SIZE);
    expect_file(ts, "Range: bytes=0-0\r\n", 206, 0, 1);
    expect_file(ts, "Range: bytes=99999-\r\n", 206, FILE_SIZE - 1, 1);
    expect_file(ts, "Range: bytes=5000-69999\r\n", 206, 5000, 65000);
    expect_file(ts, "Range: bytes=-10\r\n", 206, FILE_SIZE - 10, 10);
    expect_file(ts, "Range: bytes=1-2,5-6\r\n", 200, 0, FILE_SIZE);
    expect_file(ts, "Range: bytes=0-9\r\nIf-Range: \"tag\"\r\n", 206, 0, 10);
    expect_file(ts, "Range: bytes=0-9\r\nIf-Range: \"old\"\r\n", 200, 0, FILE_SIZE);
    expect_file(ts, "If-None-Match: \"tag\"\r\n", 304, 0, 0);
    expect_file(ts, "If-None-Match: \"old\"\r\n", 200, 0, FILE_SIZE);
    expect_file(ts, "Range: bytes=100000-\r\n", 416, 0, 0);
    expect(ts, "GET /file HTTP/1.1\r\n" HOST CLOSE "Range: bytes=100000-\r\n\r\n", 416,
           "Content-Range: bytes */100000\r\n");
    /* RFC 9110 14.2: Range has a meaning for GET only. */
    expect(ts, "HEAD /file HTTP/1.1\r\n" HOST CLOSE "Range: bytes=0-9\r\n\r\n", 200,
           "Content-Length: 100000\r\n");
}

static void test_create_errors(void **state)
{
    const struct test_server *ts = *state;
    struct ray_http_config config = ts->config;
    struct ray_http_server *server = NULL;
    struct ray_loop loop;
    struct ray_err err = {0};

    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    config.port = ts->port;
    assert_int_equal(ray_http_server_create(&server, &loop, &config, &err), RAY_EEXISTS);
    assert_non_null(strstr(err.text, "in use"));
    assert_true(strlen(err.next_step) > 0);
    config.port = 0;
    config.address = "192.0.2.1";
    assert_int_equal(ray_http_server_create(&server, &loop, &config, &err), RAY_ENOTFOUND);
    assert_non_null(strstr(err.text, "192.0.2.1"));
    config.address = "not-an-address";
    assert_int_equal(ray_http_server_create(&server, &loop, &config, &err), RAY_EINVAL);
    config.address = "127.0.0.1";
    config.device = "no-such-dev";
    assert_true(ray_http_server_create(&server, &loop, &config, &err) < 0);
    assert_null(server);
    ray_http_server_destroy(NULL);
    ray_loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_methods, setup, teardown),
        cmocka_unit_test_setup_teardown(test_handler_mistakes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipeline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_pipelined, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_close, setup, teardown),
        cmocka_unit_test_setup_teardown(test_continue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_create_errors, setup, teardown),
    };
    return cmocka_run_group_tests_name("net/http/server", tests, NULL, NULL);
}
