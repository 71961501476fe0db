/* Clients that are broken or hostile: each of these must be refused, and nothing behind the
 * refused bytes may be taken for a request. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/size.h"
#include "base/test.h"
#include "net/http/test_server.h"

#define HOST "Host: a\r\n"
#define SMUGGLED "GET /smuggled HTTP/1.1\r\n" HOST "\r\n"

static void start(struct test_server *ts)
{
    test_server_init(ts, 16);
}

static void stop(struct test_server *ts)
{
    test_server_stop(ts);
    test_server_fini(ts);
}

static const struct {
    const char *what;
    int status;
    const char *request;
} attacks[] = {
    {"two lengths", 400,
     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"},
    {"two equal lengths", 400,
     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"},
    {"list of lengths", 400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\nhello"},
    {"length with plus", 400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\nhello"},
    {"length with minus", 400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\nhello"},
    {"hexadecimal length", 400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\nhello"},
    {"length with a space", 400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1 0\r\n\r\nhello"},
    {"empty length", 400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\nhello"},
    {"overflowing length", 400,
     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n\r\nhello"},
    {"length and coding", 400,
     "POST /echo HTTP/1.1\r\n" HOST
     "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED},
    {"coding and length", 400,
     "POST /echo HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" SMUGGLED},
    {"coding", 501,
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED},
    {"unknown coding", 501,
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" SMUGGLED},
    {"coding on 1.0", 501, "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {"bare LF", 400, "GET /hello HTTP/1.1\nHost: a\n\n"},
    {"bare LF in headers", 400, "GET /hello HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"},
    {"bare CR", 400, "GET /hello HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"},
    {"space before colon", 400,
     "POST /echo HTTP/1.1\r\n" HOST "Content-Length : 5\r\n\r\nhello" SMUGGLED},
    {"folded line", 400, "GET /hello HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n"},
    {"space before first header", 400, "GET /hello HTTP/1.1\r\n Host: a\r\n\r\n"},
    {"empty name", 400, "GET /hello HTTP/1.1\r\n" HOST ": a\r\n\r\n"},
    {"name with bracket", 400, "GET /hello HTTP/1.1\r\n" HOST "X(: a\r\n\r\n"},
    {"no Host", 400, "GET /hello HTTP/1.1\r\n\r\n"},
    {"two Hosts", 400, "GET /hello HTTP/1.1\r\n" HOST "Host: b\r\n\r\n"},
    {"two Hosts on 1.0", 400, "GET /hello HTTP/1.0\r\n" HOST HOST "\r\n"},
    {"Host with path", 400, "GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {"Host with user", 400, "GET /hello HTTP/1.1\r\nHost: a@b\r\n\r\n"},
    {"Host with space", 400, "GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {"climbing path", 400, "GET /../etc/passwd HTTP/1.1\r\n" HOST "\r\n"},
    {"escaped climb", 400, "GET /%2e%2e/etc/passwd HTTP/1.1\r\n" HOST "\r\n"},
    {"escaped slash", 400, "GET /a%2f..%2fb HTTP/1.1\r\n" HOST "\r\n"},
    {"escaped line end", 400, "GET /a%0d%0aX: HTTP/1.1\r\n" HOST "\r\n"},
    {"no path", 400, "GET hello HTTP/1.1\r\n" HOST "\r\n"},
    {"no version", 505, "GET /hello\r\n\r\n"},
    {"version 0.9", 505, "GET /hello HTTP/0.9\r\n\r\n"},
    {"version 1.2", 505, "GET /hello HTTP/1.2\r\n" HOST "\r\n"},
    {"version 2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    {"version 9", 505, "GET /hello HTTP/9.9\r\n" HOST "\r\n"},
    {"lower case protocol", 400, "GET /hello http/1.1\r\n" HOST "\r\n"},
    {"lower case method", 501, "get /hello HTTP/1.1\r\n" HOST "\r\n"},
    {"large body", 413, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1025\r\n\r\n"},
    {"huge body", 413, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 99999999999999\r\n\r\n"},
    {"parameter twice", 400, "GET /query?a=1&a=2 HTTP/1.1\r\n" HOST "\r\n"},
};

static void test_attacks(void **state)
{
    struct test_server ts;

    (void)state;
    start(&ts);
    test_server_start(&ts);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(attacks); i++) {
        char *text = test_exchange(&ts, attacks[i].request);
        if (test_status(text) != attacks[i].status || test_occurrences(text, "\r\nDate: ") != 1 ||
            strstr(text, "Connection: close\r\n") == NULL) {
            fail_msg("%s: %s", attacks[i].what, text);
        }
        free(text);
    }
    assert_int_equal(test_server_counts(&ts).done_count, RAY_ARRAY_COUNT(attacks));
    assert_true(strlen(test_server_counts(&ts).reason) > 0);
    stop(&ts);
}

static void test_raw_bytes(void **state)
{
    static const char nul_value[] = "GET /hello HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n";
    static const char nul_name[] = "GET /hello HTTP/1.1\r\n" HOST "X\0: a\r\n\r\n";
    static const char nul_target[] = "GET /he\0llo HTTP/1.1\r\n" HOST "\r\n";
    static const char tls[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {nul_value, sizeof(nul_value) - 1},
        {nul_name, sizeof(nul_name) - 1},
        {nul_target, sizeof(nul_target) - 1},
        {tls, sizeof(tls) - 1},
    };
    struct test_server ts;

    (void)state;
    start(&ts);
    test_server_start(&ts);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        int fd = test_connect(&ts);
        char *text;
        test_send(fd, cases[i].bytes, cases[i].size);
        text = test_receive(fd, NULL, NULL);
        assert_in_range(test_status(text), 400, 501);
        free(text);
        (void)close(fd);
    }
    stop(&ts);
}

static void test_huge(void **state)
{
    enum { SIZE = 1 << 20 };
    static const char *const heads[] = {"GET /", "GET / HTTP/1.1\r\n" HOST "X: "};
    static const int statuses[] = {414, 431};
    struct test_server ts;
    char *noise = malloc(SIZE);

    (void)state;
    assert_non_null(noise);
    memset(noise, 'a', SIZE);
    start(&ts);
    test_server_start(&ts);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(heads); i++) {
        int fd = test_connect(&ts);
        char *text;
        test_send(fd, heads[i], strlen(heads[i]));
        test_send(fd, noise, 32768); /* less than what is drained, so that the answer arrives */
        text = test_receive(fd, NULL, NULL);
        assert_int_equal(test_status(text), statuses[i]);
        free(text);
        (void)close(fd);
        /* One that never stops: cut off. */
        fd = test_connect(&ts);
        test_send(fd, heads[i], strlen(heads[i]));
        test_send(fd, noise, SIZE);
        free(test_receive(fd, NULL, NULL));
        (void)close(fd);
    }
    free(noise);
    stop(&ts);
}

/* Slow clients against deadlines of some milliseconds; each ends by the server's timer. */
static void test_slow_header(void **state)
{
    struct test_server ts;
    char *text;
    int fd;

    (void)state;
    start(&ts);
    ts.config.header_timeout_ms = 60;
    ts.config.idle_timeout_ms = 60;
    test_server_start(&ts);

    fd = test_connect(&ts); /* says nothing */
    text = test_receive(fd, NULL, NULL);
    assert_string_equal(text, "");
    free(text);
    (void)close(fd);

    fd = test_connect(&ts); /* a byte now and then: the total counts, not the pauses */
    test_send(fd, "GET /hello HTTP/1.1\r\nX:", 23);
    for (int i = 0; i < 10000; i++) {
        char byte;
        if (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0) {
            break;
        }
        test_send(fd, "y", 1);
        (void)usleep(2000);
    }
    text = test_receive(fd, NULL, NULL);
    assert_int_equal(test_status(text), 408);
    free(text);
    (void)close(fd);

    fd = test_connect(&ts); /* a body that does not come */
    test_send(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc", 54);
    text = test_receive(fd, NULL, NULL);
    assert_int_equal(test_status(text), 408);
    free(text);
    (void)close(fd);

    fd = test_connect(&ts); /* keeps alive for nothing */
    test_send(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n", 32);
    text = test_receive(fd, NULL, NULL);
    assert_int_equal(test_status(text), 200);
    assert_int_equal(test_occurrences(text, "HTTP/1.1 "), 1);
    free(text);
    (void)close(fd);
    stop(&ts);
}

/* At conn_count_max the others wait in the backlog and are served when one leaves. */
static void test_full_house(void **state)
{
    enum { COUNT_MAX = 4, COUNT = 12 };
    static const char request[] = "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    struct test_server ts;
    int fds[COUNT];

    (void)state;
    start(&ts);
    ts.config.conn_count_max = COUNT_MAX;
    test_server_start(&ts);
    for (int i = 0; i < COUNT; i++) {
        fds[i] = test_connect(&ts);
        assert_true(fds[i] >= 0);
    }
    for (int i = COUNT - 1; i >= 0; i--) {
        test_send(fds[i], request, sizeof(request) - 1);
    }
    for (int i = 0; i < COUNT; i++) {
        char *text = test_receive(fds[i], NULL, NULL);
        assert_int_equal(test_status(text), 200);
        free(text);
        (void)close(fds[i]);
    }
    assert_in_range(test_server_counts(&ts).conn_max, 1, COUNT_MAX);
    stop(&ts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attacks),    cmocka_unit_test(test_raw_bytes),
        cmocka_unit_test(test_huge),       cmocka_unit_test(test_slow_header),
        cmocka_unit_test(test_full_house),
    };
    return cmocka_run_group_tests_name("net/http/attack", tests, NULL, NULL);
}
