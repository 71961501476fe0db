#include <string.h>

#include "node/init/persist_log.h"
#include "node/init/system/fake_root.h"

struct fixture {
    struct fake_root *root;
    struct ray_loop loop;
    struct persist_log log;
    int events[PERSIST_LOG_ERROR + 1];
    uint64_t lost_count;
    bool is_closed;
    char stored_marker[RAY_MARKER_LINE_SIZE_MAX];
    atomic_int stored_count; /* written on the log's thread */
    int marker_failures;     /* so many first attempts fail */
    bool is_end_stored;
};

static void on_event(void *arg, enum persist_log_event event, uint64_t count, const char *text)
{
    struct fixture *fixture = arg;

    (void)text;
    fixture->events[event]++;
    if (event == PERSIST_LOG_LOST) {
        fixture->lost_count += count;
    }
}

static int store_marker(void *arg, const char *line, struct ray_err *err)
{
    struct fixture *fixture = arg;

    if (fixture->marker_failures > 0) {
        fixture->marker_failures--;
        return ray_fail(err, RAY_EIO, "not now");
    }
    (void)snprintf(fixture->stored_marker, sizeof fixture->stored_marker, "%s", line);
    atomic_fetch_add(&fixture->stored_count, 1);
    return RAY_OK;
}

static int store_end(void *arg, struct ray_err *err)
{
    struct fixture *fixture = arg;

    (void)err;
    fixture->is_end_stored = true;
    return RAY_OK;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct persist_log_config config = {.file_size_max = 4096,
                                        .ancestor_count = 2,
                                        .boot_id = "boot-1",
                                        .version = "1.0",
                                        .store_marker = store_marker,
                                        .store_end = store_end,
                                        .on_event = on_event};

    assert_non_null(fixture);
    (void)fake_root_setup((void **)&fixture->root);
    config.arg = fixture;
    assert_int_equal(ray_loop_init(&fixture->loop, NULL), RAY_OK);
    assert_int_equal(persist_log_init(&fixture->log, &fixture->loop, &config, NULL), RAY_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    (void)ray_fault_set(NULL);
    persist_log_fini(&fixture->log);
    ray_loop_fini(&fixture->loop);
    (void)fake_root_teardown((void **)&fixture->root);
    free(fixture);
    return 0;
}

static void put(struct fixture *fixture, enum ray_log_level level, const char *line)
{
    persist_log_put(&fixture->log, level, line, strlen(line));
}

static void on_closed(void *arg)
{
    struct fixture *fixture = arg;

    fixture->is_closed = true;
}

static void close_log(struct fixture *fixture)
{
    persist_log_close(&fixture->log, on_closed, fixture);
    while (!fixture->is_closed) {
        ray_loop_once(&fixture->loop);
    }
}

static void test_lines_wait_for_the_folder(void **state)
{
    struct fixture *fixture = *state;
    char text[4096];

    put(fixture, RAY_LOG_INFO, "before");
    persist_log_marker(&fixture->log, "RAYOS_BOOT_MARKER:kernel");
    persist_log_open(&fixture->log, fixture->root->path);
    put(fixture, RAY_LOG_DEBUG, "below the level");
    put(fixture, RAY_LOG_WARN, "after");
    close_log(fixture);
    (void)fake_get(fixture->root, LOG_FILE_NAME, text);
    assert_memory_equal(text, "=== boot boot-1 version 1.0 at ", 31);
    assert_non_null(strstr(text, "\nbefore\nafter\n"));
    assert_null(strstr(text, "below"));
    assert_int_equal(fixture->events[PERSIST_LOG_OPENED], 1);
    assert_string_equal(fixture->stored_marker, "RAYOS_BOOT_MARKER:kernel");
    assert_true(fixture->is_end_stored);
}

static void test_close_without_a_folder(void **state)
{
    struct fixture *fixture = *state;

    put(fixture, RAY_LOG_WARN, "nowhere to go");
    close_log(fixture);
    assert_false(fixture->is_end_stored);
}

static bool count_line(void *arg, const char *line)
{
    int *count = arg;

    (void)line;
    (*count)++;
    return *count < 3;
}

static void test_tail_and_level(void **state)
{
    struct fixture *fixture = *state;
    int count = 0;

    for (int i = 0; i < 10; i++) {
        put(fixture, RAY_LOG_INFO, "line");
    }
    persist_log_tail(&fixture->log, 100, count_line, &count);
    assert_int_equal(count, 3); /* the callback may stop */
    atomic_store(&fixture->log.level, (int)RAY_LOG_ERROR);
    put(fixture, RAY_LOG_WARN, "not any more");
    assert_int_equal(persist_log_line_count(&fixture->log), 10);
}

static bool keep_line(void *arg, const char *line)
{
    char *lines = arg;

    (void)snprintf(lines + strlen(lines), 64, "%s ", line);
    return true;
}

/* Each line is seen once. */
static void test_since(void **state)
{
    struct fixture *fixture = *state;
    char lines[256] = "";
    uint64_t cursor = 0;

    persist_log_since(&fixture->log, &cursor, keep_line, lines);
    assert_string_equal(lines, "");
    put(fixture, RAY_LOG_INFO, "a");
    put(fixture, RAY_LOG_INFO, "b");
    persist_log_since(&fixture->log, &cursor, keep_line, lines);
    assert_string_equal(lines, "a b ");
    persist_log_since(&fixture->log, &cursor, keep_line, lines);
    assert_string_equal(lines, "a b ");
    put(fixture, RAY_LOG_INFO, "c");
    persist_log_since(&fixture->log, &cursor, keep_line, lines);
    assert_string_equal(lines, "a b c ");
}

/* More than the buffer holds before there is a folder: counted, and said once it opens. */
static void test_lost_lines_are_reported(void **state)
{
    struct fixture *fixture = *state;
    static char line[2001];
    uint64_t put_count = PERSIST_LOG_PENDING_SIZE_MAX / 2001 + 10;

    memset(line, 'x', 2000);
    for (uint64_t i = 0; i < put_count; i++) {
        put(fixture, RAY_LOG_INFO, line);
    }
    assert_true(persist_log_lost_count(&fixture->log) >= 10);
    persist_log_open(&fixture->log, fixture->root->path);
    close_log(fixture);
    assert_int_equal(fixture->lost_count, persist_log_lost_count(&fixture->log));
    assert_int_equal(fixture->events[PERSIST_LOG_LOST], 1);
}

/* The disk is full for a while: said once, nothing that fits in memory is lost. */
static void test_full_disk_recovers(void **state)
{
    struct fixture *fixture = *state;
    char text[4096];

    if (!ray_fault_set("write:1+")) {
        skip(); /* a build without faults */
    }
    persist_log_open(&fixture->log, fixture->root->path);
    put(fixture, RAY_LOG_WARN, "kept in memory");
    while (fixture->events[PERSIST_LOG_FULL] == 0) {
        ray_loop_once(&fixture->loop);
    }
    put(fixture, RAY_LOG_WARN, "this too");
    (void)ray_fault_set(NULL);
    close_log(fixture);
    (void)fake_get(fixture->root, LOG_FILE_NAME, text);
    assert_non_null(strstr(text, "kept in memory\nthis too\n"));
    assert_int_equal(fixture->events[PERSIST_LOG_FULL], 1);
    assert_int_equal(persist_log_lost_count(&fixture->log), 0);
}

static void test_failed_marker_is_tried_again(void **state)
{
    struct fixture *fixture = *state;

    fixture->marker_failures = 1;
    persist_log_open(&fixture->log, fixture->root->path);
    persist_log_marker(&fixture->log, "RAYOS_NODE_READY:n");
    while (atomic_load(&fixture->stored_count) == 0) {
        ray_loop_once(&fixture->loop);
    }
    assert_string_equal(fixture->stored_marker, "RAYOS_NODE_READY:n");
    assert_int_equal(fixture->events[PERSIST_LOG_ERROR], 1);
    close_log(fixture);
}

/* Every file operation fails once at its nth pass; the log gets over each. */
static void test_every_fault(void **state)
{
    static const char *const points[] = {"open", "write", "fsync"};

    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        for (unsigned n = 1; n < 50; n++) {
            struct fixture *fixture;
            char text[4096];
            bool has_fired;
            (void)setup((void **)&fixture);
            ray_test_fault_arm(points[p], n);
            persist_log_open(&fixture->log, fixture->root->path);
            put(fixture, RAY_LOG_WARN, "one line");
            while (fixture->events[PERSIST_LOG_OPENED] == 0) {
                ray_loop_once(&fixture->loop);
            }
            close_log(fixture);
            has_fired = ray_test_fault_disarm();
            if (n > 1 || !has_fired) { /* the closing job has no second try for its own fault */
                (void)fake_get(fixture->root, LOG_FILE_NAME, text);
                assert_non_null(strstr(text, "=== boot"));
            }
            (void)teardown((void **)&fixture);
            if (!has_fired) {
                break;
            }
        }
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines_wait_for_the_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_without_a_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tail_and_level, setup, teardown),
        cmocka_unit_test_setup_teardown(test_since, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_lines_are_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk_recovers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_marker_is_tried_again, setup, teardown),
        cmocka_unit_test(test_every_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
