#include <string.h>

#include "node/init/marker_sink.h"
#include "node/init/system/fake_root.h"

struct fixture {
    struct fake_root *root;
    struct ray_loop loop;
    struct persist_log log;
    struct timeline timeline;
    struct marker_sink sink;
    char around[64];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    const struct persist_log_config config = {
        .file_size_max = 1 << 20, .boot_id = "b", .version = "v"};

    assert_non_null(fixture);
    (void)fake_root_setup((void **)&fixture->root);
    assert_int_equal(ray_loop_init(&fixture->loop, NULL), RAY_OK);
    assert_int_equal(persist_log_init(&fixture->log, &fixture->loop, &config, NULL), RAY_OK);
    assert_int_equal(marker_sink_init(&fixture->sink, &fixture->loop, fixture->root->path,
                                      &fixture->log, &fixture->timeline, NULL),
                     RAY_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    marker_sink_fini(&fixture->sink);
    persist_log_fini(&fixture->log);
    ray_loop_fini(&fixture->loop);
    (void)fake_root_teardown((void **)&fixture->root);
    free(fixture);
    return 0;
}

static void put_port(const struct fixture *fixture)
{
    fake_put(fixture->root, "sys/class/virtio-ports/vport1p1/name", "rayos.test\n");
    fake_put(fixture->root, "sys/class/virtio-ports/vport1p2/name", "rayos.marker\n");
    fake_put(fixture->root, "dev/vport1p2", "");
}

static void test_late_console_and_port(void **state)
{
    struct fixture *fixture = *state;
    char text[4096];

    marker_sink_emit(&fixture->sink, RAY_MARKER_BOOT_KERNEL, NULL);
    marker_sink_emitf(&fixture->sink, RAY_MARKER_BOOT_TIMELINE, "mounts:%d:%d", 1, 2);
    fake_put(fixture->root, "dev/console", "");
    put_port(fixture);
    marker_sink_find_port(&fixture->sink);
    marker_sink_emit(&fixture->sink, RAY_MARKER_NODE_READY, "n-1\x1b");
    assert_string_equal(fake_get(fixture->root, "dev/console", text),
                        "RAYOS_BOOT_MARKER:kernel\nRAYOS_NODE_READY:n-1\\x1b\n");
    assert_string_equal(fake_get(fixture->root, "dev/vport1p2", text),
                        "RAYOS_BOOT_MARKER:kernel\nRAYOS_BOOT_TIMELINE:mounts:1:2\n"
                        "RAYOS_NODE_READY:n-1\\x1b\n");
    assert_int_equal(fixture->timeline.mark_count, 2); /* its steps are stages already */
    assert_int_equal(persist_log_line_count(&fixture->log), 3);
    assert_string_equal(fixture->log.last_marker, "RAYOS_NODE_READY:n-1\\x1b");
}

static void test_finds_the_port_by_name(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    char expected[128];

    assert_int_equal(marker_port_find(fixture->root->path, "rayos.marker", path, sizeof path, NULL),
                     RAY_ENOTFOUND);
    put_port(fixture);
    assert_int_equal(marker_port_find(fixture->root->path, "rayos.marker", path, sizeof path, NULL),
                     RAY_OK);
    (void)snprintf(expected, sizeof expected, "%s/dev/vport1p2", fixture->root->path);
    assert_string_equal(path, expected);
    assert_int_equal(marker_port_find(fixture->root->path, "other", path, sizeof path, NULL),
                     RAY_ENOTFOUND);
    assert_int_equal(marker_port_find(fixture->root->path, "rayos.marker", path, 5, NULL),
                     RAY_ETOOBIG);
}

static void before(void *arg)
{
    struct fixture *fixture = arg;

    (void)snprintf(fixture->around + strlen(fixture->around), 32, "<");
}

static void after(void *arg)
{
    struct fixture *fixture = arg;

    (void)snprintf(fixture->around + strlen(fixture->around), 32, ">");
}

static void test_prompt_steps_aside(void **state)
{
    struct fixture *fixture = *state;
    char text[4096];

    fake_put(fixture->root, "dev/console", "");
    assert_int_equal(marker_sink_open_console(&fixture->sink, NULL), RAY_OK);
    fixture->sink.before_console = before;
    fixture->sink.after_console = after;
    fixture->sink.arg = fixture;
    marker_sink_say(&fixture->sink, "hello %d", 5);
    marker_sink_emit(&fixture->sink, RAY_MARKER_BOOT_TIMELINE, "not here:1:2");
    assert_string_equal(fixture->around, "<>");
    assert_string_equal(fake_get(fixture->root, "dev/console", text), "hello 5\n");
}

static void test_long_words_for_people(void **state)
{
    struct fixture *fixture = *state;
    char text[4096];
    char words[1000];

    memset(words, 'w', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    fake_put(fixture->root, "dev/console", "");
    marker_sink_say(&fixture->sink, "%s", words);
    marker_sink_say(&fixture->sink, "end");
    (void)fake_get(fixture->root, "dev/console", text);
    assert_true(strlen(text) < 600);
    assert_non_null(strstr(text, "w\nend\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_late_console_and_port, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finds_the_port_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prompt_steps_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_words_for_people, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
