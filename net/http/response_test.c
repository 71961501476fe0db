#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "net/http/head.h"
#include "net/http/response.h"

static const struct ray_http_response_limits limits = {.header_size_max = 512, .body_size_max = 16};

static struct ray_http_response_parser *make(void)
{
    struct ray_http_response_parser *parser = NULL;

    assert_int_equal(ray_http_response_parser_create(&parser, &limits, NULL), RAY_OK);
    return parser;
}

/* Feeds pieces of at most `piece_size`, each exactly as large as what it holds; then the end. */
static int run(struct ray_http_response_parser *parser, const char *text, size_t size,
               size_t piece_size, struct ray_err *err)
{
    int rc = RAY_EAGAIN;

    while (size > 0 && rc == RAY_EAGAIN) {
        size_t part_size = size < piece_size ? size : piece_size;
        char *part = malloc(part_size);
        assert_non_null(part);
        memcpy(part, text, part_size);
        rc = ray_http_response_feed(parser, part, part_size, err);
        free(part);
        text += part_size;
        size -= part_size;
    }
    return rc == RAY_EAGAIN ? ray_http_response_finish(parser, err) : rc;
}

static const struct {
    const char *text;
    int status;
    const char *body;
} good[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""},
    {"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: close\r\n\r\nabGARBAGE\r\n", 200, "ab"},
    {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
    {"HTTP/1.1 204 \r\nContent-Length: 3\r\n\r\n", 204, ""},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 300\r\n\r\n", 304, ""},
    {"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end"},
    {"HTTP/1.1 404 \r\n\r\n", 404, ""},
    {"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
     503, "abcde"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\nX: a\r\nHost: b\r\n\r\n", 200, ""},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: <a>\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
     200, "x"},
    {"HTTP/1.1 100 Continue\r\nConnection: close\r\nContent-Length: 9\r\n\r\n"
     "HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n",
     201, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n0123456789abcdef", 200, "0123456789abcdef"},
};

/* In one piece, in bytes, and in everything between: the same response. */
static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(good); i++) {
        size_t size = strlen(good[i].text);
        for (size_t piece_size = 1; piece_size <= size; piece_size++) {
            struct ray_http_response_parser *parser = make();
            const struct ray_http_response *response = ray_http_response(parser);

            assert_int_equal(response->status, 0);
            if (run(parser, good[i].text, size, piece_size, NULL) != RAY_OK) {
                fail_msg("case %zu in pieces of %zu", i, piece_size);
            }
            assert_int_equal(response->status, good[i].status);
            assert_int_equal(response->body_size, strlen(good[i].body));
            if (response->body_size > 0) {
                assert_memory_equal(response->body, good[i].body, response->body_size);
            }
            ray_http_response_parser_destroy(parser);
        }
    }
}

/* Cut off at every byte: an error, or a body that was to last until the end. */
static void test_cut_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(good); i++) {
        size_t size = strlen(good[i].text);
        bool had_response = false;
        for (size_t cut = 0; cut < size; cut++) {
            struct ray_http_response_parser *parser = make();
            struct ray_err err = {0};
            int rc = run(parser, good[i].text, cut, size, &err);

            if (rc == RAY_OK) {
                had_response = true;
                assert_int_equal(ray_http_response(parser)->status, good[i].status);
            } else {
                assert_int_equal(rc, RAY_ECLOSED);
                assert_false(had_response);
                assert_non_null(strstr(err.text, cut == 0 ? "without" : "cut off"));
                assert_int_equal(ray_http_response(parser)->status, 0);
            }
            ray_http_response_parser_destroy(parser);
        }
    }
}

static void test_bad(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } bad[] = {
        {"\r\n\r\n", RAY_ECLOSED},
        {"hello\r\n", RAY_EMALFORMED},
        {"GET / HTTP/1.1\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/2.0 200 OK\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/0.9 200 OK\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 99 OK\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 099 OK\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 600 OK\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 2000 OK\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 -20 OK\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\nx", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n", RAY_ETOOBIG},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0"
         "\r\n\r\n",
         RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
         "\r\n",
         RAY_EMALFORMED},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
         RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n0123456789abcdefX\r\n",
         RAY_ETOOBIG},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nA: b\x01\r\n\r\n", RAY_EMALFORMED},
        {"HTTP/1.1 200 OK\r\n\r\n01234567890123456", RAY_ETOOBIG},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(bad); i++) {
        size_t size = strlen(bad[i].text);
        for (size_t piece_size = 1; piece_size <= size; piece_size += size - 1) {
            struct ray_http_response_parser *parser = make();
            struct ray_err err = {0};
            int rc = run(parser, bad[i].text, size, piece_size, &err);

            if (rc != bad[i].rc) {
                fail_msg("case %zu in pieces of %zu: %s", i, piece_size, ray_err_name(rc));
            }
            assert_true(err.text[0] != '\0');
            assert_int_equal(ray_http_response(parser)->status, 0);
            if (rc != RAY_ECLOSED) { /* refused for good */
                assert_int_equal(ray_http_response_feed(parser, "x", 1, NULL), rc);
                assert_int_equal(ray_http_response_finish(parser, NULL), rc);
            }
            ray_http_response_parser_destroy(parser);
        }
    }
}

/* Endless in every way that framing allows: each ends by a limit. */
static void test_endless(void **state)
{
    static const char *const parts[][2] = {
        {"HTTP/1.1 200 OK\r\nX: ", "aaaaaaaaaaaaaaaa"},
        {"HTTP/1.1 200 ", "aaaaaaaaaaaaaaaa"},
        {"HTTP/1.1 200 OK\r\n", "A: b\r\n"},
        {"HTTP/1.1 200 OK\r\nX:", "                "},
        {"", "HTTP/1.1 100 Continue\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "aaaaaaaaaaaaaaaa"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "00000000000000"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"},
        {"HTTP/1.1 200 OK\r\n\r\n", "xxxx"},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(parts); i++) {
        struct ray_http_response_parser *parser = make();
        int rc = RAY_EAGAIN;
        size_t fed_size = strlen(parts[i][0]);

        if (fed_size > 0) {
            rc = ray_http_response_feed(parser, parts[i][0], fed_size, NULL);
        }
        while (rc == RAY_EAGAIN) {
            fed_size += strlen(parts[i][1]);
            assert_true(fed_size < 4096);
            rc = ray_http_response_feed(parser, parts[i][1], strlen(parts[i][1]), NULL);
        }
        if (rc != RAY_ETOOBIG && rc != RAY_EMALFORMED) {
            fail_msg("case %zu: %s", i, ray_err_name(rc));
        }
        ray_http_response_parser_destroy(parser);
    }
}

static void test_headers(void **state)
{
    static const char text[] = "HTTP/1.1 100 X\r\nFirst: a\r\n\r\nHTTP/1.1 200 OK\r\nSecond: b \r\n"
                               "Transfer-Encoding: chunked\r\n\r\n0\r\nThird: c\r\n\r\n";
    struct ray_http_response_parser *parser = make();

    (void)state;
    assert_int_equal(run(parser, text, strlen(text), 7, NULL), RAY_OK);
    assert_null(ray_http_response_header(parser, "first")); /* interim */
    assert_string_equal(ray_http_response_header(parser, "second"), "b");
    assert_null(ray_http_response_header(parser, "third")); /* a trailer */
    ray_http_response_parser_destroy(parser);
}

static void test_header_count(void **state)
{
    (void)state;
    for (int count = RAY_HTTP_HEADER_COUNT_MAX; count <= RAY_HTTP_HEADER_COUNT_MAX + 1; count++) {
        struct ray_http_response_parser *parser = make();
        char text[1024] = "HTTP/1.1 204 OK\r\n";
        size_t size = strlen(text);
        for (int i = 0; i < count; i++) {
            size += (size_t)snprintf(text + size, sizeof text - size, "A:b\r\n");
        }
        size += (size_t)snprintf(text + size, sizeof text - size, "\r\n");
        assert_int_equal(run(parser, text, size, size, NULL),
                         count > RAY_HTTP_HEADER_COUNT_MAX ? RAY_ETOOBIG : RAY_OK);
        ray_http_response_parser_destroy(parser);
    }
}

static void test_faults(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct ray_http_response_parser *parser = NULL;
        struct ray_err err = {0};
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = ray_http_response_parser_create(&parser, &limits, &err);
        if (rc == RAY_OK) {
            rc = run(parser, good[0].text, strlen(good[0].text), 8, &err);
        }
        ray_http_response_parser_destroy(parser);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
        assert_true(err.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),    cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_bad),     cmocka_unit_test(test_endless),
        cmocka_unit_test(test_headers), cmocka_unit_test(test_header_count),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests_name("net/http/response", tests, NULL, NULL);
}
