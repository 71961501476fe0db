/* A whole hello in one loop: our HTTP server as the machine that booted us, an rpc server as
 * PID 1, both following a script. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/size.h"
#include "base/test.h"
#include "net/http/server.h"
#include "net/proto/init.pb-c.h"
#include "node/hello/session.h"

enum { SCRIPT_MAX = 16, GENEROUS_MS = 30000 };

static const struct hello_facts facts = {
    .mac = "52:54:00:77:00:15",
    .name = "node1",
    .fingerprint = "00",
    .words = "a-b",
    .image_version = "1",
    .image_digest = "",
    .boot_id = "11111111-2222-3333-4444-555555555555",
    .vendor = "",
    .product = "",
    .serial = "",
    .uuid = "",
    .cpu = "",
};

struct world {
    struct ray_loop loop;
    struct ray_http_server *server;
    struct ray_rpc_server *init;
    struct ray_timer guard;
    struct hello_session session;
    char folder[64];
    char init_path[80];
    /* The script: answers of the server, and after how many questions the node is ready. */
    int statuses[SCRIPT_MAX];
    size_t ready_after_count;
    /* What happened. */
    char phases[256]; /* "init ready " */
    size_t post_count;
    size_t ask_count;
    size_t end_count;
    enum hello_end end;
};

static void on_request(struct ray_http_request *request, void *arg)
{
    struct world *world = arg;
    size_t size = 0;
    const uint8_t *body = ray_http_request_body(request, &size);
    yyjson_doc *doc = yyjson_read((const char *)body, size, 0);
    const char *phase = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "phase"));
    size_t used_size = strlen(world->phases);
    int status = world->statuses[world->post_count];

    assert_int_equal(ray_http_request_method(request), RAY_HTTP_POST);
    assert_string_equal(ray_http_request_path(request), "/hello");
    assert_string_equal(ray_http_request_header(request, "content-type"), "application/json");
    assert_non_null(phase);
    assert_true(world->post_count < SCRIPT_MAX - 1);
    world->post_count++;
    (void)snprintf(world->phases + used_size, sizeof world->phases - used_size, "%s ", phase);
    yyjson_doc_free(doc);
    ray_http_answer(request, status == 0 ? 204 : status, NULL, NULL, 0, NULL);
}

static void run_status(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct world *world = arg;
    Rayos__Init__Status status = RAYOS__INIT__STATUS__INIT;
    bool is_ready = world->ask_count >= world->ready_after_count;

    (void)input;
    world->ask_count++;
    status.state = (char *)(uintptr_t)(is_ready ? "ready" : "running");
    (void)ray_rpc_reply(call, &status.base);
}

static void on_end(void *arg, enum hello_end end)
{
    struct world *world = arg;

    world->end_count++;
    world->end = end;
    ray_loop_stop(&world->loop);
}

static void on_guard(void *arg)
{
    (void)arg;
    fail_msg("the session does not end");
}

static void setup_world(struct world *world, bool has_server, bool has_init)
{
    static const struct ray_rpc_method methods[] = {
        {"init.status", &rayos__init__status_request__descriptor, run_status},
        {NULL, NULL, NULL},
    };
    const struct ray_http_config config = {
        .address = "127.0.0.1",
        .conn_count_max = 8,
        .transfer_count_max = 8,
        .header_timeout_ms = GENEROUS_MS,
        .idle_timeout_ms = GENEROUS_MS,
        .transfer_timeout_ms = GENEROUS_MS,
        .header_size_max = 8192,
        .body_size_max = 16384,
        .on_request = on_request,
        .arg = world,
    };

    *world = (struct world){.folder = "/tmp/hello-XXXXXX"};
    assert_non_null(mkdtemp(world->folder));
    (void)snprintf(world->init_path, sizeof world->init_path, "%s/init.sock", world->folder);
    assert_int_equal(ray_loop_init(&world->loop, NULL), RAY_OK);
    if (has_server) {
        assert_int_equal(ray_http_server_create(&world->server, &world->loop, &config, NULL),
                         RAY_OK);
    }
    if (has_init) {
        assert_int_equal(ray_rpc_server_create_unix(&world->init, &world->loop, world->init_path,
                                                    0600, methods, world, NULL),
                         RAY_OK);
    }
    assert_int_equal(ray_timer_init(&world->guard, &world->loop, on_guard, world, NULL), RAY_OK);
    ray_timer_start(&world->guard, UINT64_C(4) * GENEROUS_MS, 0);
}

static void teardown_world(struct world *world)
{
    hello_session_fini(&world->session);
    ray_timer_fini(&world->guard);
    ray_http_server_destroy(world->server);
    ray_rpc_server_destroy(world->init);
    ray_loop_fini(&world->loop);
    (void)unlink(world->init_path);
    assert_int_equal(rmdir(world->folder), 0);
}

static int begin(struct world *world, uint16_t port)
{
    char text[RAY_HTTP_ORIGIN_SIZE_MAX];
    struct hello_session_config config = {
        .loop = &world->loop,
        .facts = &facts,
        .init_path = world->init_path,
        .on_end = on_end,
        .arg = world,
    };
    int size = snprintf(text, sizeof text, "http://127.0.0.1:%u", port);

    assert_int_equal(ray_http_origin_parse(text, (size_t)size, &config.origin, NULL), RAY_OK);
    return hello_session_init(&world->session, &config, NULL);
}

/* One turn; what the plan wants to wait is not waited for. */
static void turn(struct world *world)
{
    ray_loop_once(&world->loop);
    if (world->session.plan.last == HELLO_ORDER_WAIT) {
        ray_timer_start(&world->session.timer, 0, 0);
    }
}

static void run_to_end(struct world *world)
{
    assert_int_equal(world->end_count, 0);
    while (world->end_count == 0) {
        turn(world);
    }
    assert_int_equal(world->end_count, 1);
}

static void run(struct world *world)
{
    assert_int_equal(begin(world, ray_http_server_port(world->server)), RAY_OK);
    run_to_end(world);
}

static void test_init_and_ready(void **state)
{
    struct world world;

    (void)state;
    setup_world(&world, true, true);
    world.ready_after_count = 1;
    run(&world);
    assert_int_equal(world.end, HELLO_END_DONE);
    assert_string_equal(world.phases, "init ready ");
    assert_int_equal(world.ask_count, 2);
    teardown_world(&world);
}

static void test_server_in_trouble(void **state)
{
    struct world world;

    (void)state;
    setup_world(&world, true, true);
    world.statuses[0] = 503;
    world.statuses[2] = 500;
    world.ready_after_count = 2;
    run(&world);
    assert_int_equal(world.end, HELLO_END_DONE);
    assert_true(strncmp(world.phases, "init init ready ready ", 22) == 0);
    teardown_world(&world);
}

static void test_refused(void **state)
{
    struct world world;

    (void)state;
    setup_world(&world, true, true);
    world.statuses[0] = 404;
    run(&world);
    assert_int_equal(world.end, HELLO_END_REFUSED);
    assert_string_equal(world.phases, "init ");
    teardown_world(&world);
}

/* PID 1 does not answer: the first hello is said all the same; then it waits on. */
static void test_without_pid_1(void **state)
{
    struct world world;

    (void)state;
    setup_world(&world, true, false);
    assert_int_equal(begin(&world, ray_http_server_port(world.server)), RAY_OK);
    while (world.post_count == 0 || world.session.plan.last != HELLO_ORDER_WAIT) {
        ray_loop_once(&world.loop);
    }
    assert_int_equal(world.end_count, 0);
    assert_string_equal(world.phases, "init ");
    teardown_world(&world); /* in mid-wait */
}

static void test_without_server(void **state)
{
    struct world world;

    (void)state;
    setup_world(&world, false, true);
    assert_int_equal(begin(&world, 1), RAY_OK); /* nobody listens at port 1 */
    while (world.session.plan.failure_count < 4) {
        turn(&world);
    }
    assert_int_equal(world.end_count, 0);
    teardown_world(&world);
}

/* Ended at any turn, with whatever is under way. */
static void test_ended_at_any_turn(void **state)
{
    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        struct world world;

        setup_world(&world, true, true);
        assert_int_equal(begin(&world, ray_http_server_port(world.server)), RAY_OK);
        for (int i = 0; i < turns && world.end_count == 0; i++) {
            turn(&world);
        }
        teardown_world(&world);
    }
}

/* Whatever fails once is tried again: the end is the same. */
static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "socket", "send", "read"};

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        for (unsigned n = 1; n < 100; n++) {
            struct world world;
            int rc;

            setup_world(&world, true, true);
            ray_test_fault_arm(points[i], n);
            rc = begin(&world, ray_http_server_port(world.server));
            if (rc == RAY_OK) {
                run_to_end(&world);
            }
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                assert_int_equal(world.end, HELLO_END_DONE);
                teardown_world(&world);
                break;
            }
            assert_true(rc == RAY_OK || rc == RAY_ENOMEM);
            /* A fault of the server may be an answer that is final. */
            assert_true(rc != RAY_OK || world.end != HELLO_END_LATE);
            teardown_world(&world);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init_and_ready), cmocka_unit_test(test_server_in_trouble),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_without_pid_1),
        cmocka_unit_test(test_without_server), cmocka_unit_test(test_ended_at_any_turn),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests_name("node/hello/session", tests, NULL, NULL);
}
