/* PID 1 as a whole, hosted in a folder and in this process: boot, the control socket, shutdown. */
#include <string.h>
#include <unistd.h>

#include "net/proto/init.pb-c.h"
#include "node/init/init.h"
#include "node/init/system/fake_root.h"

struct fixture {
    struct fake_root *root;
    struct init init;
    struct ray_rpc_client *client;
    int code;
    char text[512];
    ProtobufCMessage *body; /* of the last call */
    unsigned item_count;
    bool has_ended;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)fake_root_setup((void **)&fixture->root);
    fake_put(fixture->root, "dev/console", "");
    fake_put(fixture->root, "usr/lib/rayos/rayosd", "#!/bin/sh\nexec sleep 1000\n");
    assert_int_equal(fchmodat(fixture->root->fd, "usr/lib/rayos/rayosd", 0755, 0), 0);
    assert_int_equal(init_start(&fixture->init, fixture->root->path, true, NULL), RAY_OK);
    while (fixture->init.state == INIT_BOOTING) {
        ray_loop_once(&fixture->init.loop);
    }
    assert_int_equal(ray_rpc_client_create_unix(&fixture->client, &fixture->init.loop,
                                                fixture->init.control_path, NULL),
                     RAY_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->body != NULL) {
        protobuf_c_message_free_unpacked(fixture->body, NULL);
    }
    ray_rpc_client_destroy(fixture->client);
    init_fini(&fixture->init);
    (void)fake_root_teardown((void **)&fixture->root);
    free(fixture);
    return 0;
}

static void on_item(void *arg, const ProtobufCMessage *item)
{
    struct fixture *fixture = arg;

    (void)item;
    fixture->item_count++;
}

/* Keeps a copy of the body, which is borrowed. */
static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct fixture *fixture = arg;

    fixture->code = result->code;
    (void)snprintf(fixture->text, sizeof fixture->text, "%s", result->text);
    if (fixture->body != NULL) {
        protobuf_c_message_free_unpacked(fixture->body, NULL);
        fixture->body = NULL;
    }
    if (result->body != NULL) {
        fixture->body = protobuf_c_message_unpack(result->body->descriptor, NULL,
                                                  result->packed_size, result->packed);
        assert_non_null(fixture->body);
    }
    fixture->has_ended = true;
}

static int call(struct fixture *fixture, const char *method, const ProtobufCMessage *input,
                const ProtobufCMessageDescriptor *output)
{
    fixture->has_ended = false;
    fixture->item_count = 0;
    assert_int_equal(ray_rpc_call_start(fixture->client, method, input, NULL, 0, output, 30000,
                                        on_item, on_end, fixture, NULL, NULL),
                     RAY_OK);
    while (!fixture->has_ended) {
        ray_loop_once(&fixture->init.loop);
    }
    return fixture->code;
}

static void test_status(void **state)
{
    struct fixture *fixture = *state;
    Rayos__Init__StatusRequest request = RAYOS__INIT__STATUS_REQUEST__INIT;
    const Rayos__Init__Status *status;

    assert_int_equal(call(fixture, "init.status", &request.base, &rayos__init__status__descriptor),
                     RAY_OK);
    status = (const Rayos__Init__Status *)fixture->body;
    assert_string_equal(status->state, "running"); /* its rayosd never says that it is ready */
    assert_string_equal(status->node_name, fixture->init.identity.name);
    assert_int_equal(strlen(status->boot_id), 36);
    assert_int_equal(status->n_services, fixture->init.supervise.count);
    assert_int_equal(status->n_degraded, 0);
    assert_true(status->data->is_persistent);
    assert_string_equal(status->log->level, "info");
    for (size_t i = 0; i < status->n_services; i++) {
        if (strcmp(status->services[i]->name, "rayosd") == 0) {
            assert_string_equal(status->services[i]->state, "starting");
            assert_true(status->services[i]->pid > 0);
            assert_int_equal(status->services[i]->kept_fd_count, 1);
        }
    }
}

static void test_boot(void **state)
{
    struct fixture *fixture = *state;
    Rayos__Init__BootRequest request = RAYOS__INIT__BOOT_REQUEST__INIT;
    const Rayos__Init__Boot *boot;

    assert_int_equal(call(fixture, "init.boot", &request.base, &rayos__init__boot__descriptor),
                     RAY_OK);
    boot = (const Rayos__Init__Boot *)fixture->body;
    assert_true(boot->n_stages >= 5);
    for (size_t i = 0; i < boot->n_stages; i++) {
        assert_string_equal(boot->stages[i]->result, "ok");
        assert_true(boot->stages[i]->end_us >= boot->stages[i]->begin_us);
    }
    assert_string_equal(boot->marks[0]->line, "RAYOS_BOOT_MARKER:kernel");
}

static void test_log_tail(void **state)
{
    struct fixture *fixture = *state;
    Rayos__Init__LogTailRequest request = RAYOS__INIT__LOG_TAIL_REQUEST__INIT;

    request.lines = 3;
    fixture->has_ended = false;
    assert_int_equal(ray_rpc_stream_start(fixture->client, "init.log_tail", &request.base,
                                          &rayos__init__log_line__descriptor,
                                          &rayos__init__log_tail_end__descriptor, 30000, on_item,
                                          on_end, fixture, NULL, NULL),
                     RAY_OK);
    while (!fixture->has_ended) {
        ray_loop_once(&fixture->init.loop);
    }
    assert_int_equal(fixture->code, RAY_OK);
    assert_int_equal(fixture->item_count, 3);
    assert_int_equal(((const Rayos__Init__LogTailEnd *)fixture->body)->lines, 3);
}

/* More lines than the window of a stream: none is missing, the newest are among them. */
static void test_log_tail_long(void **state)
{
    struct fixture *fixture = *state;
    Rayos__Init__LogTailRequest request = RAYOS__INIT__LOG_TAIL_REQUEST__INIT;

    for (int i = 0; i < 5 * RAY_RPC_STREAM_WINDOW; i++) {
        char line[32];
        int size = snprintf(line, sizeof line, "line %d", i);

        persist_log_put(&fixture->init.log, RAY_LOG_INFO, line, (size_t)size);
    }
    request.lines = 4 * RAY_RPC_STREAM_WINDOW;
    fixture->item_count = 0;
    fixture->has_ended = false;
    assert_int_equal(ray_rpc_stream_start(fixture->client, "init.log_tail", &request.base,
                                          &rayos__init__log_line__descriptor,
                                          &rayos__init__log_tail_end__descriptor, 30000, on_item,
                                          on_end, fixture, NULL, NULL),
                     RAY_OK);
    while (!fixture->has_ended) {
        ray_loop_once(&fixture->init.loop);
    }
    assert_int_equal(fixture->code, RAY_OK);
    assert_int_equal(fixture->item_count, 4 * RAY_RPC_STREAM_WINDOW);
}

/* The caller leaves in the middle: what was kept for it goes (the leak check looks). */
static void test_log_tail_left(void **state)
{
    struct fixture *fixture = *state;
    Rayos__Init__LogTailRequest request = RAYOS__INIT__LOG_TAIL_REQUEST__INIT;
    uint64_t id;

    for (int i = 0; i < 5 * RAY_RPC_STREAM_WINDOW; i++) {
        persist_log_put(&fixture->init.log, RAY_LOG_INFO, "x", 1);
    }
    request.lines = 4 * RAY_RPC_STREAM_WINDOW;
    fixture->item_count = 0;
    fixture->has_ended = false;
    assert_int_equal(ray_rpc_stream_start(fixture->client, "init.log_tail", &request.base,
                                          &rayos__init__log_line__descriptor,
                                          &rayos__init__log_tail_end__descriptor, 30000, on_item,
                                          on_end, fixture, &id, NULL),
                     RAY_OK);
    while (fixture->item_count == 0) {
        ray_loop_once(&fixture->init.loop);
    }
    ray_rpc_call_cancel(fixture->client, id);
    while (!fixture->has_ended) {
        ray_loop_once(&fixture->init.loop);
    }
    assert_int_equal(fixture->code, RAY_ECANCELED);
}

/* ---- lines of one kind, and those to come ---- */

static void keep_text(void *arg, const ProtobufCMessage *item)
{
    struct fixture *fixture = arg;

    fixture->item_count++;
    (void)snprintf(fixture->text, sizeof fixture->text, "%s",
                   ((const Rayos__Init__LogLine *)item)->text);
}

static uint64_t tail_start(struct fixture *fixture, const Rayos__Init__LogTailRequest *request)
{
    uint64_t id;

    fixture->item_count = 0;
    fixture->has_ended = false;
    assert_int_equal(ray_rpc_stream_start(fixture->client, "init.log_tail", &request->base,
                                          &rayos__init__log_line__descriptor,
                                          &rayos__init__log_tail_end__descriptor, 0, keep_text,
                                          on_end, fixture, &id, NULL),
                     RAY_OK);
    return id;
}

static void put(struct fixture *fixture, const char *line)
{
    persist_log_put(&fixture->init.log, RAY_LOG_INFO, line, strlen(line));
}

static void test_log_takes(void **state)
{
    (void)state;
    assert_true(log_tail_takes("12 info rayosd x", "", 0));
    assert_true(log_tail_takes("12 info rayosd x", "rayosd", 0));
    assert_true(log_tail_takes("12 info rayosd/member x", "rayosd", 0));
    assert_true(log_tail_takes("12 info rayosd", "rayosd", 0));
    assert_false(log_tail_takes("12 info rayosd2 x", "rayosd", 0));
    assert_false(log_tail_takes("12 info rayo x", "rayosd", 0));
    assert_false(log_tail_takes("12 rayosd", "rayosd", 0));
    assert_false(log_tail_takes("", "rayosd", 0));
    assert_true(log_tail_takes("12 info a x", "a", 12));
    assert_false(log_tail_takes("11 info a x", "a", 12));
    assert_false(log_tail_takes("no time", "", 12));
}

static void test_log_of_unit(void **state)
{
    struct fixture *fixture = *state;
    Rayos__Init__LogTailRequest request = RAYOS__INIT__LOG_TAIL_REQUEST__INIT;
    char unit[] = "guest";

    put(fixture, "1 info guest old");
    put(fixture, "99999999999999999 info guest one");
    put(fixture, "99999999999999999 info other x");
    put(fixture, "99999999999999999 info guest/net two");
    request.unit = unit;
    request.age_us = 1000000;
    (void)tail_start(fixture, &request);
    while (!fixture->has_ended) {
        ray_loop_once(&fixture->init.loop);
    }
    assert_int_equal(fixture->code, RAY_OK);
    assert_int_equal(fixture->item_count, 2);
}

/* What a reader that stands still has missed is told, and the rest is whole. */
static void test_log_followed(void **state)
{
    struct fixture *fixture = *state;
    Rayos__Init__LogTailRequest request = RAYOS__INIT__LOG_TAIL_REQUEST__INIT;
    char unit[] = "u";
    uint64_t id;

    put(fixture, "1 info u before");
    request.unit = unit;
    request.is_following = true;
    id = tail_start(fixture, &request);
    while (fixture->item_count < 1) {
        ray_loop_once(&fixture->init.loop);
    }
    assert_string_equal(fixture->text, "1 info u before");
    put(fixture, "2 info v other");
    put(fixture, "3 info u after");
    while (fixture->item_count < 2) {
        ray_loop_once(&fixture->init.loop);
    }
    assert_string_equal(fixture->text, "3 info u after");
    for (int i = 0; i < LOG_RING_SIZE / 16; i++) {
        put(fixture, "4 info v a line of some length");
    }
    while (fixture->item_count < 3) {
        ray_loop_once(&fixture->init.loop);
    }
    assert_non_null(strstr(fixture->text, "lines are left out"));
    assert_int_equal(fixture->init.log_tails.count, 1);
    ray_rpc_call_cancel(fixture->client, id);
    while (fixture->init.log_tails.count > 0 || !fixture->has_ended) {
        ray_loop_once(&fixture->init.loop);
    }
    assert_int_equal(fixture->code, RAY_ECANCELED);
}

/* Whoever takes what is free leaves places for rayosd, and both leave some for root. */
static void test_places_at_the_log_are_kept(void **state)
{
    const uid_t user = RAYOSD_ID + 1;
    struct log_tails tails = {.count = 0};

    (void)state;
    assert_true(log_tail_has_place(&tails, user));
    tails.count = tails.users = LOG_TAIL_USERS_MAX;
    assert_false(log_tail_has_place(&tails, user));
    assert_true(log_tail_has_place(&tails, RAYOSD_ID));
    tails.count = LOG_TAIL_COUNT_MAX - LOG_TAIL_ROOT_COUNT;
    assert_false(log_tail_has_place(&tails, RAYOSD_ID));
    assert_true(log_tail_has_place(&tails, 0));
    tails.users = 0;
    assert_false(log_tail_has_place(&tails, user));
    tails.count = LOG_TAIL_COUNT_MAX;
    assert_false(log_tail_has_place(&tails, 0));
}

static void test_log_readers_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    Rayos__Init__LogTailRequest request = RAYOS__INIT__LOG_TAIL_REQUEST__INIT;

    request.is_following = true;
    while (log_tail_has_place(&fixture->init.log_tails, getuid())) {
        size_t before = fixture->init.log_tails.count;

        (void)tail_start(fixture, &request);
        while (fixture->init.log_tails.count == before) {
            ray_loop_once(&fixture->init.loop);
        }
    }
    assert_true(fixture->init.log_tails.count >= LOG_TAIL_USERS_MAX);
    assert_false(fixture->has_ended);
    (void)tail_start(fixture, &request);
    while (!fixture->has_ended) {
        ray_loop_once(&fixture->init.loop);
    }
    assert_int_equal(fixture->code, RAY_EUNAVAILABLE);
}

static void test_who_may_order(void **state)
{
    (void)state;
    assert_true(init_may_order(0, false));
    assert_true(init_may_order(0, true));
    assert_true(init_may_order(RAYOSD_ID, false));
    assert_false(init_may_order(RAYOSD_ID, true)); /* hosted, that may be anybody */
    assert_false(init_may_order(RAYOSD_ID + 1, false));
    assert_false(init_may_order((uid_t)-1, false));
}

static int set_level(struct fixture *fixture, const char *level)
{
    Rayos__Init__LogLevelRequest request = RAYOS__INIT__LOG_LEVEL_REQUEST__INIT;
    char text[16];

    (void)snprintf(text, sizeof text, "%s", level);
    request.level = text;
    return call(fixture, "init.log_level", &request.base, &rayos__init__log_level__descriptor);
}

static void test_log_level(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(set_level(fixture, "debug"), RAY_OK);
    assert_int_equal(set_level(fixture, "loud"), RAY_EINVAL);
    assert_int_equal(set_level(fixture, ""), RAY_OK); /* only asks */
    assert_string_equal(((const Rayos__Init__LogLevel *)fixture->body)->level, "debug");
}

static int restart(struct fixture *fixture, const char *name)
{
    Rayos__Init__ServiceRestartRequest request = RAYOS__INIT__SERVICE_RESTART_REQUEST__INIT;
    char text[128];
    char reason[] = "a \"test\"";

    (void)snprintf(text, sizeof text, "%s", name);
    request.name = text;
    request.reason = reason;
    return call(fixture, "init.service_restart", &request.base, &rayos__init__done__descriptor);
}

static void test_restart(void **state)
{
    struct fixture *fixture = *state;
    const struct supervise_unit *unit = supervise_find(&fixture->init.supervise, "rayosd");

    assert_int_equal(restart(fixture, "rayosd"), RAY_OK);
    while (supervise_unit_state(unit)->start_count < 2) {
        ray_loop_once(&fixture->init.loop);
    }
    assert_int_equal(restart(fixture, "no-such"), RAY_ENOTFOUND);
    assert_int_equal(restart(fixture, "test-agent"), RAY_ENOTFOUND); /* not in this image */
    assert_int_equal(restart(fixture, ""), RAY_ENOTFOUND);
}

static int shut_down(struct fixture *fixture, const char *mode)
{
    Rayos__Init__ShutdownRequest request = RAYOS__INIT__SHUTDOWN_REQUEST__INIT;
    char text[64];
    char reason[] = "a test\nwith two lines";

    (void)snprintf(text, sizeof text, "%s", mode);
    request.mode = text;
    request.reason = reason;
    return call(fixture, "init.shutdown", &request.base, &rayos__init__done__descriptor);
}

static void test_shutdown(void **state)
{
    struct fixture *fixture = *state;
    char text[4096];

    assert_int_equal(shut_down(fixture, "explode"), RAY_EINVAL);
    assert_int_equal(shut_down(fixture, "halt"), RAY_OK);
    assert_int_equal(fixture->init.state, INIT_STOPPING);
    assert_int_equal(shut_down(fixture, "reboot"), RAY_ECONFLICT);
    ray_loop_run(&fixture->init.loop); /* until it is over */
    assert_int_equal(fixture->init.shutdown.phase, SHUTDOWN_END);
    assert_non_null(strstr(fake_get(fixture->root, "dev/console", text),
                           "RAYOS_NODE_STOPPING:halt\nRAYOS_SERVICE:rayosd:stopped\n"));
    assert_non_null(strstr(fake_get(fixture->root, "var/rayos/log/boot-state", text), "\"clean\""));
}

static int ask_boot_image(struct fixture *fixture)
{
    Rayos__Init__BootImageRequest request = RAYOS__INIT__BOOT_IMAGE_REQUEST__INIT;

    return call(fixture, "init.boot_image", &request.base, &rayos__init__boot_image__descriptor);
}

static void test_boot_image(void **state)
{
    struct fixture *fixture = *state;
    Rayos__Init__BootImageRequest request = RAYOS__INIT__BOOT_IMAGE_REQUEST__INIT;

    assert_int_equal(ray_make_dirs(fixture->root->fd, "sys/class/block", 0755, NULL), RAY_OK);
    fixture->init.facts.path = INIT_BOOT_PATH_PXE;
    assert_int_equal(ask_boot_image(fixture), RAY_ENOTFOUND);
    assert_non_null(strstr(fixture->text, "not started from a disk"));
    fixture->init.facts.path = INIT_BOOT_PATH_DISK;
    assert_int_equal(ask_boot_image(fixture), RAY_ENOTFOUND);
    assert_non_null(strstr(fixture->text, "RAYOS_ESP"));
    fixture->init.is_boot_image_busy = true;
    assert_int_equal(ask_boot_image(fixture), RAY_EUNAVAILABLE);
    fixture->init.is_boot_image_busy = false;
    /* Who leaves meanwhile is not answered; teardown waits for the thread. */
    fixture->has_ended = false;
    assert_int_equal(ray_rpc_call_start(fixture->client, "init.boot_image", &request.base, NULL, 0,
                                        &rayos__init__boot_image__descriptor, 0, NULL, on_end,
                                        fixture, NULL, NULL),
                     RAY_OK);
    while (!fixture->init.is_boot_image_busy && !fixture->has_ended) {
        ray_loop_once(&fixture->init.loop);
    }
}

static void test_no_test_hooks_here(void **state)
{
    struct fixture *fixture = *state;
    Rayos__Init__TestHangRequest request = RAYOS__INIT__TEST_HANG_REQUEST__INIT;

    assert_int_equal(call(fixture, "init.test_hang", &request.base, &rayos__init__done__descriptor),
                     RAY_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_status, setup, teardown),
        cmocka_unit_test_setup_teardown(test_boot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_tail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_tail_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_tail_left, setup, teardown),
        cmocka_unit_test(test_log_takes),
        cmocka_unit_test(test_who_may_order),
        cmocka_unit_test_setup_teardown(test_log_of_unit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_followed, setup, teardown),
        cmocka_unit_test(test_places_at_the_log_are_kept),
        cmocka_unit_test_setup_teardown(test_log_readers_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_level, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shutdown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_boot_image, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_test_hooks_here, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
