#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "net/http/origin.h"

static int parse(const char *text, struct ray_http_origin *out)
{
    /* Exactly as large as the text, so that ASan sees one byte too far. */
    size_t size = strlen(text);
    char *exact = malloc(size > 0 ? size : 1);
    int rc;

    assert_non_null(exact);
    memcpy(exact, text, size); /* NOLINT(bugprone-not-null-terminated-result): it shall not be */
    rc = ray_http_origin_parse(exact, size, out, NULL);
    free(exact);
    return rc;
}

static void test_good(void **state)
{
    static const struct {
        const char *text;
        const char *canonical;
    } good[] = {
        {"http://10.77.0.1:8080", "http://10.77.0.1:8080"},
        {"http://255.255.255.255:65535", "http://255.255.255.255:65535"},
        {"http://[::1]:1", "http://[::1]:1"},
        {"http://[FD00:0:0::0001]:80", "http://[fd00::1]:80"},
        {"http://[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
         "http://[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(good); i++) {
        struct ray_http_origin origin;
        char text[RAY_HTTP_ORIGIN_SIZE_MAX];

        assert_int_equal(parse(good[i].text, &origin), RAY_OK);
        assert_string_equal(ray_http_origin_format(&origin, text), good[i].canonical);
        assert_int_equal(parse(text, &origin), RAY_OK);
    }
}

static void test_bad(void **state)
{
    static const char *const bad[] = {
        "",
        "http://",
        "http://10.0.0.1",
        "http://10.0.0.1:",
        "http://10.0.0.1:0",
        "http://10.0.0.1:080",
        "http://10.0.0.1:65536",
        "http://10.0.0.1:99999999999999999999",
        "http://10.0.0.1:+80",
        "http://10.0.0.1: 80",
        "http://10.0.0.1:80/",
        "http://10.0.0.1:80 ",
        "http://10.0.0.1:80\n",
        "http://10.0.0.1:80?x",
        "http://10.0.0.1:80:80",
        " http://10.0.0.1:80",
        "HTTP://10.0.0.1:80",
        "https://10.0.0.1:80",
        "http:/10.0.0.1:80",
        "http://user@10.0.0.1:80",
        "http://server:80",
        "http://10.0.1:80",
        "http://010.0.0.1:80",
        "http://0x0a.0.0.1:80",
        "http://167772161:80",
        "http://[10.0.0.1]:80",
        "http://fd00::1:80",
        "http://[fd00::1]",
        "http://[fd00::1]80",
        "http://[fd00::1:80",
        "http://[fe80::1%25eth0]:80",
        "http://[]:80",
        "http://[[::1]]:80",
        "http://10.0.0.1:80$(reboot)",
        "http://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80",
    };
    struct ray_http_origin origin = {.port = 7};

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(bad); i++) {
        if (parse(bad[i], &origin) != RAY_EMALFORMED) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_int_equal(ray_http_origin_parse("http://1.1.1.1:8\0", 17, &origin, NULL),
                     RAY_EMALFORMED);
    assert_int_equal(origin.port, 7); /* untouched */
}

/* The error quotes the text so that no line is broken by it. */
static void test_error_is_one_line(void **state)
{
    struct ray_http_origin origin;
    struct ray_err err = {0};

    (void)state;
    assert_int_equal(ray_http_origin_parse("a\nb", 3, &origin, &err), RAY_EMALFORMED);
    assert_null(strchr(err.text, '\n'));
    assert_non_null(strstr(err.text, "a\\x0ab"));
}

static void test_remote(void **state)
{
    static const char *const remote[] = {
        "http://10.77.0.1:80",   "http://1.0.0.0:80",       "http://223.255.255.255:80",
        "http://169.254.1.1:80", "http://[2001:db8::1]:80", "http://[fd00::1]:80",
        "http://[fec0::1]:80",
    };
    static const char *const local[] = {
        "http://0.0.0.0:80",
        "http://0.1.2.3:80",
        "http://127.0.0.1:80",
        "http://127.255.255.255:80",
        "http://224.0.0.1:80",
        "http://255.255.255.255:80",
        "http://[::]:80",
        "http://[::1]:80",
        "http://[::ffff:10.0.0.1]:80",
        "http://[::10.0.0.1]:80",
        "http://[fe80::1]:80",
        "http://[febf::1]:80",
        "http://[ff02::1]:80",
        "http://[::1:2:3]:80",
    };
    struct ray_http_origin origin;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(remote); i++) {
        assert_int_equal(parse(remote[i], &origin), RAY_OK);
        assert_true(ray_http_origin_is_remote(&origin));
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(local); i++) {
        assert_int_equal(parse(local[i], &origin), RAY_OK);
        assert_false(ray_http_origin_is_remote(&origin));
    }
}

static void test_sockaddr(void **state)
{
    struct ray_http_origin origin;
    struct sockaddr_storage address;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    (void)state;
    assert_int_equal(parse("http://10.77.0.1:8080", &origin), RAY_OK);
    assert_int_equal(ray_http_origin_sockaddr(&origin, &address), sizeof v4);
    memcpy(&v4, &address, sizeof v4);
    assert_int_equal(v4.sin_family, AF_INET);
    assert_int_equal(ntohs(v4.sin_port), 8080);
    assert_int_equal(ntohl(v4.sin_addr.s_addr), 0x0a4d0001);
    assert_int_equal(parse("http://[fd00::1]:80", &origin), RAY_OK);
    assert_int_equal(ray_http_origin_sockaddr(&origin, &address), sizeof v6);
    memcpy(&v6, &address, sizeof v6);
    assert_int_equal(v6.sin6_family, AF_INET6);
    assert_int_equal(v6.sin6_addr.s6_addr[0], 0xfd);
    assert_int_equal(v6.sin6_addr.s6_addr[15], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_error_is_one_line),
        cmocka_unit_test(test_remote),
        cmocka_unit_test(test_sockaddr),
    };

    return cmocka_run_group_tests_name("net/http/origin", tests, NULL, NULL);
}
