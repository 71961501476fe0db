/* rayosd's methods over real sockets, with a PID 1 that answers, refuses, is silent or absent. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "net/proto/init.pb-c.h"
#include "net/proto/node.pb-c.h"
#include "node/metrics/strict.h"
#include "node/rayosd_methods.h"

struct place {
    struct ray_loop loop;
    char dir[64];
    char node_path[96];
    char init_path[96];
    int root_fd;
    struct rayosd_context context;
    struct ray_rpc_server *node;
    struct ray_rpc_server *init;
    struct ray_rpc_client *client;
    struct ray_rpc_call *silent_call; /* init.status that is not answered */
    bool is_silent;
    bool has_ended;
    int code;
    char health[16];
    char boot_state[16];
    char name[128];
};

static void init_status(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    Rayos__Init__Status status = RAYOS__INIT__STATUS__INIT;
    struct place *place = arg;

    (void)input;
    if (place->is_silent) {
        place->silent_call = call;
        return;
    }
    (void)ray_rpc_reply(call, &status.base);
}

static const struct ray_rpc_method init_methods[] = {
    {"init.status", &rayos__init__status_request__descriptor, init_status},
    {NULL, NULL, NULL},
};

static void start_init(struct place *place)
{
    assert_int_equal(ray_rpc_server_create_unix(&place->init, &place->loop, place->init_path, 0600,
                                                init_methods, place, NULL),
                     RAY_OK);
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    const char *tmp = getenv("TMPDIR");

    assert_non_null(place);
    *state = place;
    (void)snprintf(place->dir, sizeof place->dir, "%s/rayosd-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(place->dir) == NULL) {
        return -1;
    }
    (void)snprintf(place->node_path, sizeof place->node_path, "%s/node.sock", place->dir);
    (void)snprintf(place->init_path, sizeof place->init_path, "%s/init.sock", place->dir);
    place->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (ray_loop_init(&place->loop, NULL) != RAY_OK) {
        return -1;
    }
    rayosd_context_init(&place->context, &place->loop, place->root_fd, place->init_path);
    return ray_rpc_server_create_unix(&place->node, &place->loop, place->node_path, 0600,
                                      rayosd_methods(&place->context), &place->context,
                                      NULL) == RAY_OK &&
                   ray_rpc_client_create_unix(&place->client, &place->loop, place->node_path,
                                              NULL) == RAY_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    struct place *place = *state;
    Rayos__Init__Status status = RAYOS__INIT__STATUS__INIT;

    ray_rpc_client_destroy(place->client);
    ray_rpc_server_destroy(place->node);
    if (place->silent_call != NULL) {
        (void)ray_rpc_reply(place->silent_call, &status.base);
    }
    ray_rpc_server_destroy(place->init);
    rayosd_context_fini(&place->context);
    ray_loop_fini(&place->loop);
    (void)close(place->root_fd);
    (void)rmdir(place->dir);
    free(place);
    return 0;
}

static void on_facts(void *arg, const struct ray_rpc_result *result)
{
    const Rayos__Node__Facts *facts = (const Rayos__Node__Facts *)result->body;
    struct place *place = arg;

    place->has_ended = true;
    place->code = result->code;
    if (facts != NULL) {
        (void)snprintf(place->name, sizeof place->name, "%s", facts->name);
    }
}

static void on_health(void *arg, const struct ray_rpc_result *result)
{
    const Rayos__Node__Health *health = (const Rayos__Node__Health *)result->body;
    struct place *place = arg;

    place->has_ended = true;
    place->code = result->code;
    for (size_t i = 0; health != NULL && i < health->n_checks; i++) {
        (void)snprintf(place->health, sizeof place->health, "%s", health->state);
        if (strcmp(health->checks[i]->name, "boot") == 0) {
            (void)snprintf(place->boot_state, sizeof place->boot_state, "%s",
                           health->checks[i]->state);
        }
    }
}

/* Calls; a start that fails under injection counts as an end. */
static void start(struct place *place, const char *method, uint64_t timeout_ms)
{
    Rayos__Node__FactsRequest facts = RAYOS__NODE__FACTS_REQUEST__INIT;
    Rayos__Node__HealthRequest health = RAYOS__NODE__HEALTH_REQUEST__INIT;
    bool is_facts = strcmp(method, "node.facts") == 0;

    place->has_ended = false;
    place->code = ray_rpc_call_start(
        place->client, method, is_facts ? &facts.base : &health.base, NULL, 0,
        is_facts ? &rayos__node__facts__descriptor : &rayos__node__health__descriptor, timeout_ms,
        NULL, is_facts ? on_facts : on_health, place, NULL, NULL);
    place->has_ended = place->code != RAY_OK;
}

static void finish(struct place *place)
{
    while (!place->has_ended) {
        ray_loop_once(&place->loop);
    }
}

static void test_facts(void **state)
{
    struct place *place = *state;

    start(place, "node.facts", 10000);
    finish(place);
    assert_int_equal(place->code, RAY_OK);
    assert_string_not_equal(place->name, "");
}

static void test_health(void **state)
{
    struct place *place = *state;

    start_init(place);
    start(place, "node.health", 10000);
    finish(place);
    assert_int_equal(place->code, RAY_OK);
    assert_string_equal(place->boot_state, "ok");
    assert_string_not_equal(place->health, "");
}

static void on_metrics(void *arg, const struct ray_rpc_result *result)
{
    const Rayos__Node__Metrics *metrics = (const Rayos__Node__Metrics *)result->body;
    struct place *place = arg;
    char why[STRICT_WHY_SIZE];

    place->has_ended = true;
    place->code = result->code;
    if (metrics != NULL && !strict_check(metrics->text, why)) {
        fail_msg("%s", why);
    }
    (void)snprintf(place->name, sizeof place->name, "%.100s", metrics == NULL ? "" : metrics->text);
}

static void test_metrics(void **state)
{
    Rayos__Node__MetricsRequest request = RAYOS__NODE__METRICS_REQUEST__INIT;
    struct place *place = *state;

    for (int has_init = 0; has_init < 2; has_init++) {
        if (has_init) {
            start_init(place);
        }
        place->has_ended = false;
        assert_int_equal(ray_rpc_call_start(place->client, "node.metrics", &request.base, NULL, 0,
                                            &rayos__node__metrics__descriptor, 10000, NULL,
                                            on_metrics, place, NULL, NULL),
                         RAY_OK);
        finish(place);
        assert_int_equal(place->code, RAY_OK);
        assert_memory_equal(place->name, "# HELP rayos_info ", 18);
    }
}

static void test_health_without_init(void **state)
{
    struct place *place = *state;

    start(place, "node.health", 10000);
    finish(place);
    assert_int_equal(place->code, RAY_OK);
    assert_string_equal(place->boot_state, "unavailable");
}

/* PID 1 takes the call and says nothing: the answer comes all the same. */
static void test_health_silent_init(void **state)
{
    struct place *place = *state;

    place->is_silent = true;
    start_init(place);
    start(place, "node.health", 0);
    finish(place);
    assert_int_equal(place->code, RAY_OK);
    assert_string_equal(place->boot_state, "unavailable");
}

/* The caller leaves while PID 1 is asked. */
static void test_health_canceled(void **state)
{
    struct place *place = *state;

    place->is_silent = true;
    start_init(place);
    start(place, "node.health", 0);
    while (place->silent_call == NULL) {
        ray_loop_once(&place->loop);
    }
    ray_rpc_client_destroy(place->client);
    place->client = NULL;
    assert_int_equal(place->code, RAY_ECANCELED);
    /* The question to PID 1 is withdrawn, too: its peer has gone. */
    Rayos__Init__Status status = RAYOS__INIT__STATUS__INIT;
    while (ray_rpc_send(place->silent_call, &status.base) != RAY_ECLOSED) {
        ray_loop_once(&place->loop);
    }
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "socket", "send", "read", "open"};
    void *inner = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            struct place *place;

            assert_int_equal(setup(&inner), 0);
            place = inner;
            start_init(place);
            ray_test_fault_arm(points[i], n);
            start(place, "node.health", 5000);
            finish(place);
            if (place->code == RAY_OK) {
                start(place, "node.facts", 5000);
                finish(place);
            }
            teardown(&inner);
            if (!ray_test_fault_disarm()) {
                break;
            }
            assert_true(n < 10000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_facts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health_without_init, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health_silent_init, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health_canceled, setup, teardown),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
