/* Every allocation, descriptor, read and send of the server fails once: no crash, no leak, and
 * the server serves the next client. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/size.h"
#include "base/test.h"
#include "net/http/test_server.h"

static const char *const points[] = {"alloc", "socket", "read", "send"};

static void test_create(void **state)
{
    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        bool has_fired = true;
        for (unsigned n = 1; has_fired; n++) {
            struct test_server ts;
            struct ray_http_server *server = NULL;
            int rc;

            test_server_init(&ts, 1);
            assert_int_equal(ray_loop_init(&ts.loop, NULL), RAY_OK);
            ray_test_fault_arm(points[i], n);
            rc = ray_http_server_create(&server, &ts.loop, &ts.config, NULL);
            has_fired = ray_test_fault_disarm();
            assert_int_equal(has_fired, rc != RAY_OK);
            ray_http_server_destroy(server);
            ray_loop_fini(&ts.loop);
            test_server_fini(&ts);
        }
    }
}

/* One client with four requests on a connection; whatever comes back, it must come back. */
static void talk(const struct test_server *ts)
{
    static const char requests[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                                   "GET /file HTTP/1.1\r\nHost: a\r\n\r\n"
                                   "GET /later-file HTTP/1.1\r\nHost: a\r\n\r\n"
                                   "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    int fd = test_connect(ts);

    if (fd >= 0) {
        test_send(fd, requests, sizeof(requests) - 1);
        free(test_receive(fd, NULL, NULL));
        (void)close(fd);
    }
}

static void test_serving(void **state)
{
    struct test_server ts;

    (void)state;
    test_server_init(&ts, 200000);
    ts.config.idle_timeout_ms = 2000;
    test_server_start(&ts);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        bool has_fired = true;
        unsigned n;
        for (n = 1; has_fired && n < 1000; n++) {
            char *text;

            ray_test_fault_arm(points[i], n);
            talk(&ts);
            has_fired = ray_test_fault_disarm();
            text = test_exchange(&ts, "GET /hello HTTP/1.0\r\n\r\n");
            assert_int_equal(test_status(text), 200);
            free(text);
        }
        assert_true(n < 1000);
#ifdef RAY_FAULTS
        assert_true(n > 2); /* it did fire */
#endif
    }
    test_server_stop(&ts);
    test_server_fini(&ts);
}

/* The refusal of a request that did not come in time cannot be sent. */
static void test_refusal(void **state)
{
    static const char part[] = "GET /hello HTTP/1.1\r\nX:";
    struct test_server ts;

    (void)state;
    test_server_init(&ts, 1);
    ts.config.header_timeout_ms = 30;
    test_server_start(&ts);
    for (unsigned n = 1; n <= 3; n++) {
        for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
            int fd = test_connect(&ts);

            assert_true(fd >= 0);
            test_send(fd, part, sizeof(part) - 1);
            ray_test_fault_arm(points[i], n);
            free(test_receive(fd, NULL, NULL));
            (void)ray_test_fault_disarm();
            (void)close(fd);
        }
    }
    test_server_stop(&ts);
    test_server_fini(&ts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_serving),
        cmocka_unit_test(test_refusal),
    };
    return cmocka_run_group_tests_name("net/http/fault", tests, NULL, NULL);
}
