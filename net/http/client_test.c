/* The client over real loopback sockets: with our own server, and with servers that follow a
 * script of how not to behave, in a thread of their own. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/size.h"
#include "base/test.h"
#include "net/http/client.h"
#include "net/http/test_server.h"

enum { GENEROUS_MS = 20000, REQUEST_SIZE_MAX = 2 << 20 };

/* ---- the script of a server ---- */

enum manner {
    ANSWERS,       /* reads the request, sends `answer`, closes */
    ANSWERS_EARLY, /* sends `answer` and closes with the request unread: a reset follows */
    DRIPS,         /* sends `answer`, then one more byte of `drip` each 2 ms, for ever */
    SAYS_NOTHING,  /* reads and waits until the client leaves */
    RESETS,        /* at once */
    REPORTS,       /* reads all of the request and answers with its size */
};

struct script {
    enum manner manner;
    const char *answer;
    const char *drip;
    pthread_t thread;
    int listen_fd;
    struct ray_http_origin origin;
    char *request; /* what came, NUL-terminated */
    size_t request_size;
};

static void send_text(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, text, size, MSG_NOSIGNAL);
        if (n < 0) {
            return; /* the client has left */
        }
        text += n;
        size -= (size_t)n;
    }
}

/* Where the request that came so far ends, as it says itself; 0: not known yet. */
static size_t end_of_request(const char *text)
{
    const char *head_end = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, "Content-Length: ");
    size_t head_size;

    if (head_end == NULL) {
        return 0;
    }
    head_size = (size_t)(head_end - text) + 4;
    return length != NULL && length < head_end
               ? head_size + strtoul(length + strlen("Content-Length: "), NULL, 10)
               : head_size;
}

static void read_request(struct script *script, int fd)
{
    ssize_t n;

    script->request_size = 0;
    script->request[0] = '\0';
    do {
        n = recv(fd, script->request + script->request_size,
                 REQUEST_SIZE_MAX - script->request_size, 0);
        script->request_size += n > 0 ? (size_t)n : 0;
        script->request[script->request_size] = '\0';
    } while (n > 0 && (end_of_request(script->request) == 0 ||
                       script->request_size < end_of_request(script->request)));
}

static void drip(const struct script *script, int fd)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    struct pollfd has_left = {.fd = fd, .events = POLLRDHUP};

    for (size_t i = 0; poll(&has_left, 1, 0) == 0; i++) {
        send_text(fd, &script->drip[i % strlen(script->drip)], 1);
        (void)nanosleep(&pause, NULL);
    }
}

static void serve(struct script *script, int fd)
{
    const struct linger at_once = {.l_onoff = 1};
    char text[128];
    char byte;
    int size;

    switch (script->manner) {
    case ANSWERS:
        read_request(script, fd);
        send_text(fd, script->answer, strlen(script->answer));
        break;
    case ANSWERS_EARLY:
        send_text(fd, script->answer, strlen(script->answer));
        break;
    case DRIPS:
        read_request(script, fd);
        send_text(fd, script->answer, strlen(script->answer));
        drip(script, fd);
        break;
    case SAYS_NOTHING:
        while (recv(fd, &byte, 1, 0) > 0) {
        }
        break;
    case RESETS:
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        break;
    case REPORTS:
        read_request(script, fd);
        size = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n%zu",
                        script->request_size);
        send_text(fd, text, (size_t)size);
        break;
    }
}

/* Serves one client after the other until the socket is shut down. */
static void *run_server(void *arg)
{
    struct script *script = arg;
    int fd;

    while ((fd = accept(script->listen_fd, NULL, NULL)) >= 0) {
        serve(script, fd);
        (void)close(fd);
    }
    return NULL;
}

static struct ray_http_origin loopback(uint16_t port)
{
    char text[RAY_HTTP_ORIGIN_SIZE_MAX];
    struct ray_http_origin origin;
    int size = snprintf(text, sizeof text, "http://127.0.0.1:%u", port);

    assert_int_equal(ray_http_origin_parse(text, (size_t)size, &origin, NULL), RAY_OK);
    return origin;
}

static void bind_loopback(struct script *script)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;

    script->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(script->listen_fd >= 0);
    assert_int_equal(bind(script->listen_fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(script->listen_fd, (struct sockaddr *)&address, &size), 0);
    script->origin = loopback(ntohs(address.sin_port));
}

static void start_server(struct script *script)
{
    bind_loopback(script);
    script->request = malloc(REQUEST_SIZE_MAX + 1);
    assert_non_null(script->request);
    script->request[0] = '\0';
    assert_int_equal(listen(script->listen_fd, 8), 0);
    assert_int_equal(pthread_create(&script->thread, NULL, run_server, script), 0);
}

static void stop_server(struct script *script)
{
    (void)shutdown(script->listen_fd, SHUT_RDWR);
    assert_int_equal(pthread_join(script->thread, NULL), 0);
    (void)close(script->listen_fd);
    free(script->request);
}

/* ---- one request, and what became of it ---- */

struct outcome {
    struct ray_loop loop;
    struct ray_http_client *client;
    size_t done_count;
    int code;
    int status;
    char text[RAY_ERR_TEXT_SIZE];
    char body[256];
    size_t body_size;
    char header[64]; /* Content-Type */
};

static void on_done(void *arg, const struct ray_http_client_result *result)
{
    struct outcome *outcome = arg;
    const char *header = ray_http_client_header(outcome->client, "content-type");

    outcome->done_count++;
    outcome->code = result->code;
    outcome->status = result->status;
    outcome->body_size = result->body_size;
    (void)snprintf(outcome->text, sizeof outcome->text, "%s", result->text);
    (void)snprintf(outcome->body, sizeof outcome->body, "%.*s", (int)result->body_size,
                   result->body_size > 0 ? (const char *)result->body : "");
    (void)snprintf(outcome->header, sizeof outcome->header, "%s", header != NULL ? header : "");
    ray_http_client_destroy(outcome->client);
    outcome->client = NULL;
    ray_loop_stop(&outcome->loop);
}

/* The code of start, or of the end. */
static int ask(struct outcome *outcome, struct ray_http_client_request *request)
{
    struct ray_err err = {0};
    int rc;

    *outcome = (struct outcome){0};
    assert_int_equal(ray_loop_init(&outcome->loop, NULL), RAY_OK);
    request->on_done = on_done;
    request->arg = outcome;
    request->timeout_ms = request->timeout_ms == 0 ? GENEROUS_MS : request->timeout_ms;
    rc = ray_http_client_start(&outcome->client, &outcome->loop, request, &err);
    if (rc == RAY_OK) {
        assert_int_equal(outcome->done_count, 0);
        ray_loop_run(&outcome->loop);
        assert_int_equal(outcome->done_count, 1);
        rc = outcome->code;
    } else {
        assert_null(outcome->client);
        (void)snprintf(outcome->text, sizeof outcome->text, "%s", err.text);
    }
    assert_int_equal(rc == RAY_OK, outcome->text[0] == '\0');
    ray_loop_fini(&outcome->loop);
    return rc;
}

/* GET / from a server that follows the script. */
static int get(struct outcome *outcome, struct script *script, uint32_t timeout_ms)
{
    struct ray_http_client_request request = {.target = "/", .timeout_ms = timeout_ms};
    int rc;

    start_server(script);
    request.origin = script->origin;
    rc = ask(outcome, &request);
    stop_server(script);
    return rc;
}

/* ---- tests ---- */

static void test_our_own_server(void **state)
{
    struct ray_http_client_request request = {.target = "/hello"};
    struct test_server ts;
    struct outcome outcome;

    (void)state;
    test_server_init(&ts, 1000);
    test_server_start(&ts);
    request.origin = loopback(ts.port);
    assert_int_equal(ask(&outcome, &request), RAY_OK);
    assert_int_equal(outcome.status, 200);
    assert_string_equal(outcome.body, "hello\n");
    assert_string_equal(outcome.header, "text/plain");
    request.method = RAY_HTTP_CLIENT_POST;
    request.target = "/echo";
    request.content_type = "application/json";
    request.body = "{\"a\":1}";
    request.body_size = 7;
    assert_int_equal(ask(&outcome, &request), RAY_OK);
    assert_string_equal(outcome.body, "{\"a\":1}");
    request.target = "/nothing-here";
    assert_int_equal(ask(&outcome, &request), RAY_OK);
    assert_int_equal(outcome.status, 404);
    test_server_stop(&ts);
    test_server_fini(&ts);
}

static void test_request_on_the_wire(void **state)
{
    struct script script = {.manner = ANSWERS, .answer = "HTTP/1.1 204 No Content\r\n\r\n"};
    struct ray_http_client_request request = {.method = RAY_HTTP_CLIENT_POST,
                                              .target = "/a?b=c",
                                              .content_type = "text/x",
                                              .body = "body",
                                              .body_size = 4};
    struct outcome outcome;
    char expected[512];

    (void)state;
    start_server(&script);
    request.origin = script.origin;
    assert_int_equal(ask(&outcome, &request), RAY_OK);
    assert_int_equal(outcome.status, 204);
    assert_int_equal(outcome.body_size, 0);
    (void)snprintf(expected, sizeof expected,
                   "POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: rayos/" RAY_VERSION
                   "\r\nConnection: close\r\nContent-Type: text/x\r\nContent-Length: 4\r\n\r\nbody",
                   script.origin.port);
    assert_string_equal(script.request, expected);
    stop_server(&script);
}

/* More than a socket takes at once. */
static void test_large_request(void **state)
{
    struct script script = {.manner = REPORTS};
    struct ray_http_client_request request = {.method = RAY_HTTP_CLIENT_POST,
                                              .target = "/",
                                              .body_size = RAY_HTTP_CLIENT_REQUEST_SIZE_MAX};
    char *body = calloc(1, RAY_HTTP_CLIENT_REQUEST_SIZE_MAX);
    struct outcome outcome;

    (void)state;
    assert_non_null(body);
    start_server(&script);
    request.origin = script.origin;
    request.body = body;
    assert_int_equal(ask(&outcome, &request), RAY_OK);
    assert_true(strtoul(outcome.body, NULL, 10) > RAY_HTTP_CLIENT_REQUEST_SIZE_MAX);
    /* It refuses early, and its word arrives although we could not send all. */
    stop_server(&script);
    script.manner = ANSWERS_EARLY;
    script.answer = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno\n";
    start_server(&script);
    request.origin = script.origin;
    assert_int_equal(ask(&outcome, &request), RAY_OK);
    assert_int_equal(outcome.status, 413);
    request.body_size++;
    assert_int_equal(ask(&outcome, &request), RAY_EINVAL);
    stop_server(&script);
    free(body);
}

static void test_bad_requests(void **state)
{
    static const struct ray_http_client_request bad[] = {
        {.target = ""},
        {.target = "x"},
        {.target = "/a b"},
        {.target = "/a\r\nX: y"},
        {.target = "/\x7f"},
        {.target = "/#a"},
        {.target = "/", .content_type = "a\r\nb"},
    };
    struct outcome outcome;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(bad); i++) {
        struct ray_http_client_request request = bad[i];
        request.origin = loopback(1);
        assert_int_equal(ask(&outcome, &request), RAY_EINVAL);
    }
}

static void test_nobody_listens(void **state)
{
    struct ray_http_client_request request = {.target = "/"};
    struct script script = {0};
    struct outcome outcome;

    (void)state;
    bind_loopback(&script); /* ours, so nobody else's, but not listened at */
    request.origin = script.origin;
    assert_int_equal(ask(&outcome, &request), RAY_EUNAVAILABLE);
    assert_non_null(strstr(outcome.text, "refused"));
    (void)close(script.listen_fd);
}

static void test_broken_answers(void **state)
{
    static const struct {
        const char *answer;
        int rc;
        const char *word;
    } broken[] = {
        {"", RAY_ECLOSED, "without a response"},
        {"HTTP/1.1 200 OK\r\nContent-Le", RAY_ECLOSED, "cut off"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", RAY_ECLOSED, "cut off"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", RAY_ECLOSED, "cut"},
        {"SSH-2.0-OpenSSH_9.2\r\n", RAY_EMALFORMED, "malformed"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         RAY_EMALFORMED, "malformed"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", RAY_ETOOBIG, "too large"},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
         RAY_EMALFORMED, "protocol"},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(broken); i++) {
        struct script script = {.manner = ANSWERS, .answer = broken[i].answer};
        struct outcome outcome;

        assert_int_equal(get(&outcome, &script, GENEROUS_MS), broken[i].rc);
        assert_non_null(strstr(outcome.text, "http://127.0.0.1:"));
        if (strstr(outcome.text, broken[i].word) == NULL) {
            fail_msg("case %zu: %s", i, outcome.text);
        }
    }
}

static void test_reset(void **state)
{
    struct script script = {.manner = RESETS};
    struct outcome outcome;
    int rc;

    (void)state;
    rc = get(&outcome, &script, GENEROUS_MS);
    assert_true(rc == RAY_EUNAVAILABLE || rc == RAY_ECLOSED);
}

/* However it drips, the deadline is one for all; and what has no end ends by its size. */
static void test_slow_and_endless(void **state)
{
    static const struct {
        enum manner manner;
        const char *answer;
        const char *drip;
    } slow[] = {
        {SAYS_NOTHING, "", ""},
        {DRIPS, "", "HTTP/1.1 200 OK"},
        {DRIPS, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", "x"},
        {DRIPS, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"},
        {DRIPS, "", "HTTP/1.1 100 Continue\r\n\r\n"},
    };
    enum { TIMEOUT_MS = 100 };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(slow); i++) {
        struct script script = {
            .manner = slow[i].manner, .answer = slow[i].answer, .drip = slow[i].drip};
        struct outcome outcome;
        uint64_t begin_ns = ray_clock_monotonic_ns();

        assert_int_equal(get(&outcome, &script, TIMEOUT_MS), RAY_ETIMEOUT);
        assert_true(ray_clock_monotonic_ns() - begin_ns >= TIMEOUT_MS * RAY_NS_PER_MS);
    }
}

static void test_huge(void **state)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: ",
    };
    enum { SIZE = 1 << 20 };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(heads); i++) {
        char *answer = malloc(SIZE + 1);
        struct script script = {.manner = ANSWERS, .answer = answer};
        struct outcome outcome;

        assert_non_null(answer);
        memset(answer, 'x', SIZE);
        memcpy(answer, heads[i], strlen(heads[i]));
        answer[SIZE] = '\0';
        assert_int_equal(get(&outcome, &script, GENEROUS_MS), RAY_ETOOBIG);
        free(answer);
    }
}

/* A body of exactly the limit, in one answer. */
static void test_largest(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
    size_t size = sizeof head - 1 + RAY_HTTP_CLIENT_RESPONSE_SIZE_MAX;
    char *answer = malloc(size + 1);
    struct script script = {.manner = ANSWERS, .answer = answer};
    struct outcome outcome;

    (void)state;
    assert_non_null(answer);
    memset(answer, 'x', size);
    memcpy(answer, head, sizeof head - 1);
    answer[size] = '\0';
    assert_int_equal(get(&outcome, &script, GENEROUS_MS), RAY_OK);
    assert_int_equal(outcome.body_size, RAY_HTTP_CLIENT_RESPONSE_SIZE_MAX);
    free(answer);
}

static void on_done_forbidden(void *arg, const struct ray_http_client_result *result)
{
    (void)arg;
    fail_msg("on_done after destroy: %s", result->text);
}

static void test_destroyed_early(void **state)
{
    struct script script = {.manner = SAYS_NOTHING};
    struct ray_http_client_request request = {
        .target = "/", .timeout_ms = 1, .on_done = on_done_forbidden};
    struct ray_http_client *client = NULL;
    struct ray_loop loop;

    (void)state;
    start_server(&script);
    request.origin = script.origin;
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    assert_int_equal(ray_http_client_start(&client, &loop, &request, NULL), RAY_OK);
    ray_http_client_destroy(client);
    ray_http_client_destroy(NULL);
    ray_loop_run(&loop); /* nothing is left to wait for */
    ray_loop_fini(&loop);
    stop_server(&script);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "socket", "send", "read"};

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        struct script script = {.manner = ANSWERS,
                                .answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"};
        struct ray_http_client_request request = {.target = "/"};
        struct outcome outcome;

        start_server(&script);
        request.origin = script.origin;
        for (unsigned n = 1;; n++) {
            int rc;

            assert_true(n < 100);
            ray_test_fault_arm(points[i], n);
            rc = ask(&outcome, &request);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
            assert_true(rc != RAY_OK || n > 1);
        }
        stop_server(&script);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_our_own_server),
        cmocka_unit_test(test_request_on_the_wire),
        cmocka_unit_test(test_large_request),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_broken_answers),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_slow_and_endless),
        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_destroyed_early),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests_name("net/http/client", tests, NULL, NULL);
}
