#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "net/http/reply.h"

static const struct ray_http_reply plain = {
    .status = 200,
    .content_type = "text/plain",
    .content_size = 5,
    .keep_alive = true,
    .realtime_ns = UINT64_C(784111777) * 1000000000,
};

static void test_head(void **state)
{
    struct ray_http_reply reply = plain;
    struct ray_buf buf;

    (void)state;
    ray_buf_init(&buf, 4096);
    assert_int_equal(ray_http_reply_head(&buf, &reply, NULL), RAY_OK);
    assert_string_equal(ray_buf_text(&buf), "HTTP/1.1 200 OK\r\n"
                                            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                            "Connection: keep-alive\r\n"
                                            "Content-Length: 5\r\n"
                                            "Content-Type: text/plain\r\n"
                                            "X-Content-Type-Options: nosniff\r\n\r\n");
    ray_buf_clear(&buf);
    reply = (struct ray_http_reply){.status = 304, .extra_headers = "ETag: \"a\"\r\nX-Y: z\r\n"};
    assert_int_equal(ray_http_reply_head(&buf, &reply, NULL), RAY_OK);
    assert_string_equal(ray_buf_text(&buf), "HTTP/1.1 304 Not Modified\r\n"
                                            "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                                            "Connection: close\r\n"
                                            "ETag: \"a\"\r\nX-Y: z\r\n\r\n");
    assert_string_equal(ray_http_status_text(299), "Status");
    ray_buf_fini(&buf);
}

static void test_injection(void **state)
{
    static const char *const extras[] = {
        "X: a\r\n\r\n",
        "X: a\nY: b\r\n",
        "X: a",
        "X: a\r\nY",
        ": a\r\n",
        "X y: a\r\n",
        " X: a\r\n",
        "X : a\r\n",
        "Content-Length: 5\r\n",
        "transfer-encoding: chunked\r\n",
        "Connection: close\r\n",
        "X: \x01\r\n",
        "X: a\r\nContent-Type: b\r\n",
        "\r\n",
    };
    static const char *const types[] = {"text/plain\r\nX: a", "a\nb", "a\rb", "a\x7f"};
    struct ray_http_reply reply = plain;
    struct ray_buf buf;

    (void)state;
    ray_buf_init(&buf, 4096);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(extras); i++) {
        reply.extra_headers = extras[i];
        assert_int_equal(ray_http_reply_head(&buf, &reply, NULL), RAY_EINVAL);
        assert_int_equal(buf.size, 0);
    }
    reply.extra_headers = NULL;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(types); i++) {
        reply.content_type = types[i];
        assert_int_equal(ray_http_reply_head(&buf, &reply, NULL), RAY_EINVAL);
    }
    ray_buf_fini(&buf);
}

static void test_no_room(void **state)
{
    struct ray_buf buf;
    size_t head_size;

    (void)state;
    ray_buf_init(&buf, 4096);
    assert_int_equal(ray_http_reply_head(&buf, &plain, NULL), RAY_OK);
    head_size = buf.size;
    ray_buf_fini(&buf);
    for (size_t size = 1; size < head_size; size++) {
        struct ray_err err = {0};
        ray_buf_init(&buf, size);
        assert_int_equal(ray_http_reply_head(&buf, &plain, &err), RAY_ETOOBIG);
        assert_int_equal(err.code, RAY_ETOOBIG);
        ray_buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_injection),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests_name("net/http/reply", tests, NULL, NULL);
}
