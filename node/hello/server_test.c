#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "node/hello/server.h"
#include "node/init/system/boot_facts.h"

#define LEASE(server)                                                                              \
    "{\"bound\":true,\"reason\":\"BOUND\",\"address\":\"10.0.0.1\",\"prefix\":8,"                  \
    "\"gateway\":\"\",\"server\":\"\",\"dns\":[],\"ntp\":[],\"domain\":\"\",\"mtu\":0,"            \
    "\"boot_server\":\"" server "\"}"

static int find(const char *cmdline, const char *lease, struct hello_server *out,
                struct ray_err *err)
{
    return hello_server_find(cmdline, cmdline == NULL ? 0 : strlen(cmdline), lease,
                             lease == NULL ? 0 : strlen(lease), out, err);
}

static void check(const char *cmdline, const char *lease, const char *expected,
                  enum hello_server_source source)
{
    char text[RAY_HTTP_ORIGIN_SIZE_MAX];
    struct hello_server server;

    assert_int_equal(find(cmdline, lease, &server, NULL), RAY_OK);
    assert_string_equal(ray_http_origin_format(&server.origin, text), expected);
    assert_int_equal(server.source, source);
}

static void test_found(void **state)
{
    (void)state;
    check("a rayos.boot=http://10.77.0.1:8080 b\n", NULL, "http://10.77.0.1:8080",
          HELLO_SERVER_COMMAND_LINE);
    check("rayos.boot=\"http://[fd00::1]:80\"", NULL, "http://[fd00::1]:80",
          HELLO_SERVER_COMMAND_LINE);
    check(NULL, LEASE("http://10.77.0.2:80"), "http://10.77.0.2:80", HELLO_SERVER_DHCP);
    check("quiet\n", LEASE("http://10.77.0.2:80"), "http://10.77.0.2:80", HELLO_SERVER_DHCP);
    /* The word goes first; the last one of several counts. */
    check("rayos.boot=http://10.0.0.1:1 rayos.boot=http://10.0.0.2:2", LEASE("http://10.77.0.2:80"),
          "http://10.0.0.2:2", HELLO_SERVER_COMMAND_LINE);
    /* A word that makes no sense does not hide what DHCP says. */
    check("rayos.boot=nonsense", LEASE("http://10.77.0.2:80"), "http://10.77.0.2:80",
          HELLO_SERVER_DHCP);
    assert_string_equal(hello_server_source_text(HELLO_SERVER_DHCP), "DHCP");
    assert_string_equal(hello_server_source_text(HELLO_SERVER_COMMAND_LINE), "command line");
}

static void test_none(void **state)
{
    struct hello_server server;
    struct ray_err err = {0};

    (void)state;
    assert_int_equal(find(NULL, NULL, &server, &err), RAY_ENOTFOUND);
    assert_int_equal(find("quiet", LEASE(""), &server, &err), RAY_ENOTFOUND);
    assert_non_null(strstr(err.text, "rayos.boot="));
}

static void test_hostile(void **state)
{
    static const char *const words[] = {
        "rayos.boot",
        "rayos.boot=",
        "rayos.boot=http://127.0.0.1:22",
        "rayos.boot=http://[::1]:22",
        "rayos.boot=http://255.255.255.255:80",
        "rayos.boot=http://server:80",
        "rayos.boot=https://10.0.0.1:443",
        "rayos.boot=http://10.0.0.1:80/hello",
        "rayos.boot=\"http://10.0.0.1:80 x\"",
        "rayos.boot=http://10.0.0.1",
    };
    static const char *const leases[] = {
        "", "{", "[]", LEASE("http://127.0.0.1:80"), LEASE("http://x:80"),
    };
    struct hello_server server;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(words); i++) {
        struct ray_err err = {0};
        assert_int_equal(find(words[i], NULL, &server, &err), RAY_EMALFORMED);
        assert_non_null(strstr(err.text, "rayos.boot="));
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(leases); i++) {
        struct ray_err err = {0};
        assert_int_equal(find("quiet", leases[i], &server, &err), RAY_EMALFORMED);
        assert_true(err.text[0] != '\0');
    }
}

/* A command line that is too long is read by nobody; DHCP still counts. */
static void test_huge_command_line(void **state)
{
    char cmdline[INIT_CMDLINE_SIZE_MAX + 1];
    struct hello_server server;

    (void)state;
    memset(cmdline, 'x', sizeof cmdline - 1);
    cmdline[sizeof cmdline - 1] = '\0';
    assert_int_equal(find(cmdline, NULL, &server, NULL), RAY_EMALFORMED);
    check(cmdline, LEASE("http://10.77.0.2:80"), "http://10.77.0.2:80", HELLO_SERVER_DHCP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_huge_command_line),
    };

    return cmocka_run_group_tests_name("node/hello/server", tests, NULL, NULL);
}
