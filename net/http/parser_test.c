#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/test.h"
#include "net/http/head.h"
#include "net/http/parser.h"

static const struct ray_http_limits limits = {
    .target_size_max = 64,
    .header_size_max = 512,
    .body_size_max = 16,
};

static struct ray_http_parser *make(void)
{
    struct ray_http_parser *parser = NULL;

    assert_int_equal(ray_http_parser_create(&parser, &limits, NULL), RAY_OK);
    return parser;
}

static void test_whole(void **state)
{
    static const char text[] = "POST /a?b=c HTTP/1.1\r\nHost: x:80\r\nX-Tab: a\tb \t\r\n"
                               "Content-Length: 5\r\n\r\nhelloGET";
    struct ray_http_parser *parser = make();
    const struct ray_http_message *message = ray_http_parser_message(parser);
    size_t used_size;

    (void)state;
    assert_int_equal(ray_http_parser_feed(parser, text, strlen(text), &used_size),
                     RAY_HTTP_FEED_DONE);
    assert_int_equal(used_size, strlen(text) - 3);
    assert_int_equal(message->method, RAY_HTTP_POST);
    assert_string_equal(message->target, "/a?b=c");
    assert_int_equal(message->body_size, 5);
    assert_memory_equal(message->body, "hello", 5);
    assert_true(message->keep_alive);
    assert_string_equal(ray_http_parser_header(parser, "HOST"), "x:80");
    assert_string_equal(ray_http_parser_header(parser, "x-tab"), "a b");
    assert_null(ray_http_parser_header(parser, "y"));
    ray_http_parser_next(parser);
    assert_null(ray_http_parser_header(parser, "host"));
    assert_string_equal(message->target, "");
    ray_http_parser_destroy(parser);
}

/* Cut at every place in two, and byte by byte: the same message. */
static void test_cuts(void **state)
{
    static const char text[] =
        "\r\nPOST /target HTTP/1.1\r\nHost: name\r\nX:\r\nContent-Length: 3\r\n\r\nabc";
    size_t size = sizeof(text) - 1;

    (void)state;
    for (size_t cut = 0; cut <= size; cut++) {
        struct ray_http_parser *parser = make();
        enum ray_http_feed feed = RAY_HTTP_FEED_MORE;
        size_t used_size;

        if (cut == 0) {
            for (size_t i = 0; i < size; i++) {
                assert_int_equal(feed, RAY_HTTP_FEED_MORE);
                feed = ray_http_parser_feed(parser, text + i, 1, &used_size);
                assert_int_equal(used_size, 1);
            }
        } else if (cut < size) {
            assert_int_equal(ray_http_parser_feed(parser, text, cut, &used_size),
                             RAY_HTTP_FEED_MORE);
            feed = ray_http_parser_feed(parser, text + cut, size - cut, &used_size);
        } else {
            feed = ray_http_parser_feed(parser, text, size, &used_size);
        }
        assert_int_equal(feed, RAY_HTTP_FEED_DONE);
        assert_string_equal(ray_http_parser_message(parser)->target, "/target");
        assert_string_equal(ray_http_parser_header(parser, "x"), "");
        assert_int_equal(ray_http_parser_message(parser)->body_size, 3);
        ray_http_parser_destroy(parser);
    }
}

static int refusal(const char *text, size_t size)
{
    struct ray_http_parser *parser = make();
    size_t used_size;
    enum ray_http_feed feed = ray_http_parser_feed(parser, text, size, &used_size);
    int status = ray_http_parser_message(parser)->refused_status;

    assert_int_equal(feed == RAY_HTTP_FEED_REFUSED, status != 0);
    if (feed == RAY_HTTP_FEED_REFUSED) { /* and for ever */
        assert_int_equal(ray_http_parser_feed(parser, "GET", 3, &used_size), RAY_HTTP_FEED_REFUSED);
        assert_true(strlen(ray_http_parser_message(parser)->refused_reason) > 0);
    }
    ray_http_parser_destroy(parser);
    return status;
}

static int refusal_of_header(const char *name, size_t value_size)
{
    char text[2048];
    int head_size = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s: ", name);

    assert_true((size_t)head_size + value_size + 4 < sizeof(text));
    memset(text + head_size, 'v', value_size);
    (void)snprintf(text + head_size + value_size, 5, "\r\n\r\n");
    return refusal(text, (size_t)head_size + value_size + 4);
}

static void test_limits(void **state)
{
    char text[8192];
    size_t size;

    (void)state;
    assert_int_equal(refusal_of_header("X", 300), 0);
    assert_int_equal(refusal_of_header("X", 700), 431);

    for (size_t target_size = 64; target_size <= 65; target_size++) {
        size = (size_t)snprintf(
            text, sizeof(text), "GET /%.*s HTTP/1.1\r\nHost: a\r\n\r\n", (int)target_size - 1,
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        assert_int_equal(refusal(text, size), target_size > 64 ? 414 : 0);
    }
    for (size_t body_size = 16; body_size <= 17; body_size++) {
        size = (size_t)snprintf(text, sizeof(text),
                                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                                body_size);
        assert_int_equal(refusal(text, size), body_size > 16 ? 413 : 0);
    }
    for (int count = RAY_HTTP_HEADER_COUNT_MAX; count <= RAY_HTTP_HEADER_COUNT_MAX + 1; count++) {
        size = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n");
        for (int i = 1; i < count; i++) {
            size += (size_t)snprintf(text + size, sizeof(text) - size, "a:b\r\n");
        }
        size += (size_t)snprintf(text + size, sizeof(text) - size, "\r\n");
        assert_int_equal(refusal(text, size), count > RAY_HTTP_HEADER_COUNT_MAX ? 431 : 0);
    }
    /* What is not stored counts too: blank lines before the request. */
    memset(text, '\n', sizeof(text));
    for (size_t i = 0; i < sizeof(text); i += 2) {
        text[i] = '\r';
    }
    assert_int_equal(refusal(text, sizeof(text)), 431);
}

static void test_keep_alive(void **state)
{
    static const struct {
        const char *text;
        bool keep_alive;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ray_http_parser *parser = make();
        size_t used_size;
        assert_int_equal(
            ray_http_parser_feed(parser, cases[i].text, strlen(cases[i].text), &used_size),
            RAY_HTTP_FEED_DONE);
        assert_int_equal(ray_http_parser_message(parser)->keep_alive, cases[i].keep_alive);
        ray_http_parser_destroy(parser);
    }
}

static void test_faults(void **state)
{
    static const char text[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    bool has_fired = true;

    (void)state;
    for (unsigned n = 1; has_fired; n++) {
        struct ray_http_parser *parser = NULL;
        size_t used_size;

        ray_test_fault_arm("alloc", n);
        if (ray_http_parser_create(&parser, &limits, NULL) == RAY_OK) {
            enum ray_http_feed feed =
                ray_http_parser_feed(parser, text, sizeof(text) - 1, &used_size);
            if (feed == RAY_HTTP_FEED_REFUSED) {
                assert_int_equal(ray_http_parser_message(parser)->refused_status, 503);
            } else {
                assert_int_equal(feed, RAY_HTTP_FEED_DONE);
            }
        }
        has_fired = ray_test_fault_disarm();
        ray_http_parser_destroy(parser);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),  cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests_name("net/http/parser", tests, NULL, NULL);
}
