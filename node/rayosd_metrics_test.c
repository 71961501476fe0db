/* The metrics over HTTP, as a scraper asks for them; PID 1 is absent, or silent. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"
#include "net/http/client.h"
#include "net/rpc.h"
#include "node/metrics/strict.h"
#include "node/metrics/text.h"
#include "node/rayosd_metrics.h"

struct place {
    struct ray_loop loop;
    struct ray_logger logger;
    int root_fd;
    char init_path[96];
    char address[32];
    uint16_t port;
    struct rayosd_context context;
    struct rayosd_metrics *metrics;
    struct ray_rpc_server *init;
    struct ray_rpc_call *silent_call;
    int call_count;
    struct ray_http_client *client;
    bool has_ended;
    int status;
    char type[96];
    char *text;
};

static void be_silent(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct place *place = arg;

    (void)input;
    place->silent_call = call;
    place->call_count++;
}

static const struct ray_rpc_method silent_methods[] = {
    {"init.status", &rayos__init__status_request__descriptor, be_silent},
    {NULL, NULL, NULL},
};

/* One that nobody has; the server cannot be told to take any. */
static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(close(fd), 0);
    return ntohs(address.sin_port);
}

static int create(struct place *place, struct rayosd_metrics **out, const char *address,
                  struct ray_err *err)
{
    return rayosd_metrics_create(out, &place->context, &place->logger, address, err);
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    const char *tmp = getenv("TMPDIR");

    assert_non_null(place);
    *state = place;
    (void)snprintf(place->init_path, sizeof place->init_path, "%s/metrics-%d.sock",
                   tmp != NULL ? tmp : "/tmp", (int)getpid());
    ray_logger_init(&place->logger, STDERR_FILENO, RAY_LOG_PLAIN, RAY_LOG_ERROR);
    place->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(ray_loop_init(&place->loop, NULL), RAY_OK);
    rayosd_context_init(&place->context, &place->loop, place->root_fd, place->init_path);
    for (int tries = 0; place->metrics == NULL && tries < 20; tries++) {
        place->port = free_port();
        (void)snprintf(place->address, sizeof place->address, "127.0.0.1:%u", place->port);
        assert_int_equal(create(place, &place->metrics, place->address, NULL), RAY_OK);
        if (!rayosd_metrics_is_served(place->metrics)) { /* somebody was faster */
            rayosd_metrics_destroy(place->metrics);
            place->metrics = NULL;
        }
    }
    return place->metrics == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    Rayos__Init__Status status = RAYOS__INIT__STATUS__INIT;
    struct place *place = *state;

    ray_http_client_destroy(place->client);
    rayosd_metrics_destroy(place->metrics);
    if (place->silent_call != NULL) {
        (void)ray_rpc_reply(place->silent_call, &status.base);
    }
    ray_rpc_server_destroy(place->init);
    rayosd_context_fini(&place->context);
    ray_loop_fini(&place->loop);
    (void)close(place->root_fd);
    free(place->text);
    free(place);
    return 0;
}

static void on_done(void *arg, const struct ray_http_client_result *result)
{
    struct place *place = arg;
    const char *type = ray_http_client_header(place->client, "content-type");

    place->has_ended = true;
    place->status = result->code == RAY_OK ? result->status : 0;
    (void)snprintf(place->type, sizeof place->type, "%s", type == NULL ? "" : type);
    free(place->text);
    place->text = strndup((const char *)result->body, result->body_size);
}

static void start(struct place *place, enum ray_http_client_method method, const char *target)
{
    struct ray_http_client_request request = {
        .method = method, .target = target, .timeout_ms = 30000, .on_done = on_done, .arg = place};
    char origin[64];

    (void)snprintf(origin, sizeof origin, "http://%s", place->address);
    assert_int_equal(ray_http_origin_parse(origin, strlen(origin), &request.origin, NULL), RAY_OK);
    ray_http_client_destroy(place->client);
    place->has_ended = false;
    assert_int_equal(ray_http_client_start(&place->client, &place->loop, &request, NULL), RAY_OK);
}

static int ask(struct place *place, enum ray_http_client_method method, const char *target)
{
    start(place, method, target);
    while (!place->has_ended) {
        ray_loop_once(&place->loop);
    }
    return place->status;
}

static void test_scrape(void **state)
{
    struct place *place = *state;
    char why[STRICT_WHY_SIZE];

    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(place, RAY_HTTP_CLIENT_GET, "/metrics"), 200);
        assert_string_equal(place->type, METRICS_CONTENT_TYPE);
        if (!strict_check(place->text, why)) {
            fail_msg("%s", why);
        }
    }
    assert_non_null(strict_find(place->text, "rayos_process_resident_memory_bytes"));
    assert_non_null(strict_find(place->text, "rayos_process_cpu_seconds_total"));
    assert_non_null(strict_find(place->text, "rayos_check_ok{check=\"boot\"}"));
    assert_null(strstr(place->text, "rayos_service_ready{")); /* PID 1 is not there */
}

static void test_nothing_else(void **state)
{
    struct place *place = *state;

    assert_int_equal(ask(place, RAY_HTTP_CLIENT_GET, "/"), 404);
    assert_int_equal(ask(place, RAY_HTTP_CLIENT_GET, "/metrics/x"), 404);
    assert_int_equal(ask(place, RAY_HTTP_CLIENT_GET, "/metrics/"), 404);
    assert_int_equal(ask(place, RAY_HTTP_CLIENT_POST, "/metrics"), 405);
}

/* A scrape waits for PID 1 when the node's daemon ends. */
static void test_end_while_waiting(void **state)
{
    struct place *place = *state;

    assert_int_equal(ray_rpc_server_create_unix(&place->init, &place->loop, place->init_path, 0600,
                                                silent_methods, place, NULL),
                     RAY_OK);
    start(place, RAY_HTTP_CLIENT_GET, "/metrics");
    while (place->silent_call == NULL) {
        ray_loop_once(&place->loop);
    }
    assert_false(place->has_ended);
}

/* Whoever comes while PID 1 is asked, or soon after, gets the same answer. */
static void test_many_ask_once(void **state)
{
    static const char get[] = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
    Rayos__Init__Status status = RAYOS__INIT__STATUS__INIT;
    struct place *place = *state;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(place->port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char text[16];

    assert_int_equal(ray_rpc_server_create_unix(&place->init, &place->loop, place->init_path, 0600,
                                                silent_methods, place, NULL),
                     RAY_OK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, get, sizeof get - 1, MSG_NOSIGNAL), sizeof get - 1);
    assert_int_equal(ask(place, RAY_HTTP_CLIENT_GET, "/"), 404); /* that one was here before */
    start(place, RAY_HTTP_CLIENT_GET, "/metrics");
    while (place->silent_call == NULL) {
        ray_loop_once(&place->loop);
    }
    assert_int_equal(ray_rpc_reply(place->silent_call, &status.base), RAY_OK);
    place->silent_call = NULL;
    while (!place->has_ended) {
        ray_loop_once(&place->loop);
    }
    assert_int_equal(place->status, 200);
    while (recv(fd, text, sizeof text, MSG_DONTWAIT | MSG_PEEK) < (ssize_t)sizeof text) {
        ray_loop_once(&place->loop);
    }
    assert_memory_equal(text, "HTTP/1.1 200", 12);
    assert_int_equal(place->call_count, 1);
    assert_int_equal(close(fd), 0);
}

static void test_addresses(void **state)
{
    static const char *const wrong[] = {"",    "7298",      ":7298",        "localhost:7298",
                                        "1.1", "0.0.0.0:0", "127.0.0.1:1x", "http://127.0.0.1:1"};
    struct rayosd_metrics *metrics = NULL;
    struct place *place = *state;
    struct ray_err err = {0};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(create(place, &metrics, wrong[i], &err), RAY_EUSAGE);
        assert_string_not_equal(err.next_step, "");
    }
    assert_null(metrics);
}

/* The node runs all the same, and looks again later. */
static void test_address_that_is_taken(void **state)
{
    struct rayosd_metrics *metrics = NULL;
    struct place *place = *state;

    assert_int_equal(create(place, &metrics, place->address, NULL), RAY_OK);
    assert_false(rayosd_metrics_is_served(metrics));
    rayosd_metrics_destroy(place->metrics);
    place->metrics = NULL;
    while (!rayosd_metrics_is_served(metrics)) {
        ray_loop_once(&place->loop);
    }
    place->metrics = metrics;
    assert_int_equal(ask(place, RAY_HTTP_CLIENT_GET, "/metrics"), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_scrape, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_while_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_ask_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_address_that_is_taken, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
