/* A pipe in packet mode stands in for /dev/kmsg: one record a read. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "net/proto/init.pb-c.h"
#include "node/init/kernel_tail.h"
#include "node/init/system/fake_root.h"

struct fixture {
    struct fake_root *root;
    struct ray_loop loop;
    struct log_tails tails;
    struct ray_rpc_server *server;
    struct ray_rpc_client *client;
    int kmsg; /* where records are written */
    int fd;   /* and read */
    size_t item_count;
    char text[2048]; /* of the last line, or the error */
    bool has_ended;
    int code;
};

static void run_kernel_log(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct fixture *fixture = arg;
    const Rayos__Init__KernelLogRequest *request = (const Rayos__Init__KernelLogRequest *)input;

    if (fixture->fd < 0) {
        init_kernel_tail(&fixture->tails, call, request->lines, request->is_following);
    } else {
        init_kernel_tail_fd(&fixture->tails, call, fixture->fd, request->lines,
                            request->is_following);
    }
}

static const struct ray_rpc_method methods[] = {
    {"init.kernel_log", &rayos__init__kernel_log_request__descriptor, run_kernel_log},
    {NULL, NULL, NULL},
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char path[256];
    int ends[2];

    assert_non_null(fixture);
    (void)fake_root_setup((void **)&fixture->root);
    assert_int_equal(ray_loop_init(&fixture->loop, NULL), RAY_OK);
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC | O_DIRECT), 0);
    fixture->fd = ends[0];
    fixture->kmsg = ends[1];
    fixture->tails = (struct log_tails){.loop = &fixture->loop, .root = fixture->root->path};
    (void)snprintf(path, sizeof path, "%s/sock", fixture->root->path);
    assert_int_equal(ray_rpc_server_create_unix(&fixture->server, &fixture->loop, path, 0600,
                                                methods, fixture, NULL),
                     RAY_OK);
    assert_int_equal(ray_rpc_client_create_unix(&fixture->client, &fixture->loop, path, NULL),
                     RAY_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    ray_rpc_client_destroy(fixture->client);
    ray_rpc_server_destroy(fixture->server);
    assert_int_equal(fixture->tails.count, 0);
    if (fixture->kmsg >= 0) {
        (void)close(fixture->kmsg);
    }
    ray_loop_fini(&fixture->loop);
    (void)fake_root_teardown((void **)&fixture->root);
    free(fixture);
    return 0;
}

static void on_line(void *arg, const ProtobufCMessage *item)
{
    struct fixture *fixture = arg;

    fixture->item_count++;
    (void)snprintf(fixture->text, sizeof fixture->text, "%s",
                   ((const Rayos__Init__LogLine *)item)->text);
}

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct fixture *fixture = arg;

    fixture->has_ended = true;
    fixture->code = result->code;
    if (result->code != RAY_OK) {
        (void)snprintf(fixture->text, sizeof fixture->text, "%s", result->text);
    }
}

static uint64_t start(struct fixture *fixture, uint32_t lines, bool is_following)
{
    Rayos__Init__KernelLogRequest request = RAYOS__INIT__KERNEL_LOG_REQUEST__INIT;
    uint64_t id;

    request.lines = lines;
    request.is_following = is_following;
    fixture->item_count = 0;
    fixture->has_ended = false;
    assert_int_equal(ray_rpc_stream_start(fixture->client, "init.kernel_log", &request.base,
                                          &rayos__init__log_line__descriptor,
                                          &rayos__init__log_tail_end__descriptor, 0, on_line,
                                          on_end, fixture, &id, NULL),
                     RAY_OK);
    return id;
}

static void record(struct fixture *fixture, unsigned sequence, const char *text)
{
    char bytes[256];
    int size = snprintf(bytes, sizeof bytes, "6,%u,%u,-;%s\n", sequence, sequence * 10, text);

    assert_int_equal(write(fixture->kmsg, bytes, (size_t)size), size);
}

static void finish(struct fixture *fixture)
{
    while (!fixture->has_ended) {
        ray_loop_once(&fixture->loop);
    }
}

static void test_newest(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 1; i <= 9; i++) {
        record(fixture, i, "a device\033[2J");
    }
    assert_int_equal(write(fixture->kmsg, "no record", 9), 9);
    (void)start(fixture, 3, false);
    finish(fixture);
    assert_int_equal(fixture->code, RAY_OK);
    assert_int_equal(fixture->item_count, 3);
    assert_string_equal(fixture->text, "90 info kernel a device\\x1b[2J");
}

static void wait_for_items(struct fixture *fixture, size_t count)
{
    while (fixture->item_count < count) {
        ray_loop_once(&fixture->loop);
    }
}

/* Records that the kernel has overwritten meanwhile are told; its end ends nothing. */
static void test_followed(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id;

    record(fixture, 1, "one");
    id = start(fixture, 10, true);
    wait_for_items(fixture, 1);
    record(fixture, 2, "two");
    wait_for_items(fixture, 2);
    assert_string_equal(fixture->text, "20 info kernel two");
    record(fixture, 7, "seven");
    wait_for_items(fixture, 4);
    assert_string_equal(fixture->text, "70 info kernel seven");
    (void)close(fixture->kmsg);
    fixture->kmsg = -1;
    ray_rpc_call_cancel(fixture->client, id);
    finish(fixture);
    while (fixture->tails.count > 0) {
        ray_loop_once(&fixture->loop);
    }
}

static void test_none(void **state)
{
    struct fixture *fixture = *state;

    (void)close(fixture->fd);
    fixture->fd = -1;
    (void)start(fixture, 10, false);
    finish(fixture);
    assert_int_equal(fixture->code, RAY_ENOTFOUND);
    assert_non_null(strstr(fixture->text, "dev/kmsg"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_newest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_none, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
