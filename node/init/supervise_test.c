/* The shell of supervision with real processes: scripts that a test writes into a root of its
 * own, hosted, so without cgroups and users. */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "node/init/notify_server.h"
#include "node/init/supervise.h"
#include "node/init/system/fake_root.h"

struct fixture {
    struct fake_root *root;
    struct ray_loop loop;
    struct supervise supervise;
    struct notify_server notify;
    char notify_path[128];
    char log[8192];
    char markers[256];
    int all_ready_count;
    int all_stopped_count;
};

static void put(void *arg, enum ray_log_level level, const char *line, size_t size)
{
    struct fixture *fixture = arg;

    (void)level;
    (void)snprintf(fixture->log + strlen(fixture->log), sizeof fixture->log - strlen(fixture->log),
                   "%.*s\n", (int)size, line);
}

static void on_changed(void *arg, const struct supervise_unit *unit)
{
    (void)arg;
    (void)unit;
}

static void on_all_ready(void *arg)
{
    ((struct fixture *)arg)->all_ready_count++;
}

static void on_all_stopped(void *arg)
{
    ((struct fixture *)arg)->all_stopped_count++;
}

static void on_marker(void *arg, enum ray_marker marker, const char *detail)
{
    struct fixture *fixture = arg;

    (void)snprintf(fixture->markers, sizeof fixture->markers, "%s:%s",
                   ray_marker_info(marker)->prefix, detail);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)fake_root_setup((void **)&fixture->root);
    assert_int_equal(ray_loop_init(&fixture->loop, NULL), RAY_OK);
    (void)snprintf(fixture->notify_path, sizeof fixture->notify_path, "%s/notify.sock",
                   fixture->root->path);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    (void)ray_fault_set(NULL);
    supervise_fini(&fixture->supervise);
    notify_server_fini(&fixture->notify);
    ray_loop_fini(&fixture->loop);
    (void)fake_root_teardown((void **)&fixture->root);
    free(fixture);
    return 0;
}

static void put_script(const struct fixture *fixture, const char *path, const char *text)
{
    fake_put(fixture->root, path, text);
    assert_int_equal(fchmodat(fixture->root->fd, path, 0755, 0), 0);
}

static void prepare(struct fixture *fixture, const struct service_def *table, size_t count)
{
    const struct supervise_config config = {
        .loop = &fixture->loop,
        .root = fixture->root->path,
        .run_path = fixture->root->path,
        .notify_path = fixture->notify_path,
        .is_hosted = true,
        .put = put,
        .on_changed = on_changed,
        .on_all_ready = on_all_ready,
        .on_all_stopped = on_all_stopped,
        .arg = fixture,
    };

    assert_int_equal(supervise_init(&fixture->supervise, &config, table, count, NULL), RAY_OK);
    assert_int_equal(notify_server_init(&fixture->notify, &fixture->loop, fixture->notify_path,
                                        &fixture->supervise, on_marker, fixture, NULL),
                     RAY_OK);
}

static void start(struct fixture *fixture, const struct service_def *table, size_t count)
{
    prepare(fixture, table, count);
    supervise_start(&fixture->supervise);
}

static enum supervise_state state_of(struct fixture *fixture, const char *name)
{
    return supervise_unit_state(supervise_find(&fixture->supervise, name))->state;
}

static void run_until(struct fixture *fixture, const char *name, enum supervise_state wanted)
{
    while (state_of(fixture, name) != wanted) {
        ray_loop_once(&fixture->loop);
    }
}

static void stop_all(struct fixture *fixture)
{
    supervise_stop_all(&fixture->supervise);
    while (fixture->all_stopped_count == 0) {
        ray_loop_once(&fixture->loop);
    }
}

static const char *const svc_argv[] = {"/svc", NULL};

static void test_output_and_environment(void **state)
{
    static const struct service_def table[] = {
        {.name = "svc", .argv = svc_argv, .stop_deadline_ms = 5000, .needed_for_ready = true}};
    struct fixture *fixture = *state;

    put_script(fixture, "svc",
               "#!/bin/sh\necho \"<4>main $NOTIFY_SOCKET $RAYOS_SUPERVISED $LISTEN_FDS\"\n"
               "echo error >&2\nexec sleep 1000\n");
    start(fixture, table, 1);
    assert_int_equal(state_of(fixture, "svc"), SUPERVISE_READY);
    assert_int_equal(fixture->all_ready_count, 1);
    while (strstr(fixture->log, "info svc error") == NULL) {
        ray_loop_once(&fixture->loop);
    }
    assert_non_null(strstr(fixture->log, "warn svc/main "));
    assert_non_null(strstr(fixture->log, "notify.sock 1 \n"));
    stop_all(fixture);
    assert_int_equal(state_of(fixture, "svc"), SUPERVISE_STOPPED);
    assert_string_equal(supervise_find(&fixture->supervise, "svc")->last_exit,
                        "signal 15 (SIGTERM)");
}

static void test_crash_and_restart(void **state)
{
    static const struct service_def table[] = {
        {.name = "svc", .argv = svc_argv, .stop_deadline_ms = 5000}};
    struct fixture *fixture = *state;
    struct supervise_unit *unit;

    put_script(fixture, "svc", "#!/bin/sh\nexec sleep 1000\n");
    start(fixture, table, 1);
    unit = supervise_find(&fixture->supervise, "svc");
    assert_int_equal(kill(unit->child.pid, SIGKILL), 0);
    run_until(fixture, "svc", SUPERVISE_BACKOFF);
    run_until(fixture, "svc", SUPERVISE_READY);
    assert_int_equal(supervise_unit_state(unit)->start_count, 2);
    assert_int_equal(supervise_restart(&fixture->supervise, "svc", NULL), RAY_OK);
    assert_int_equal(state_of(fixture, "svc"), SUPERVISE_STOPPING);
    run_until(fixture, "svc", SUPERVISE_READY);
    assert_int_equal(supervise_unit_state(unit)->start_count, 3);
    assert_int_equal(supervise_unit_state(unit)->failure_count, 1);
    assert_int_equal(supervise_restart(&fixture->supervise, "other", NULL), RAY_ENOTFOUND);
    stop_all(fixture);
    assert_int_equal(supervise_restart(&fixture->supervise, "svc", NULL), RAY_ECONFLICT);
}

static void test_gives_up(void **state)
{
    static const struct service_def table[] = {
        {.name = "svc", .argv = svc_argv, .stop_deadline_ms = 5000}};
    struct fixture *fixture = *state;

    put_script(fixture, "svc", "#!/bin/sh\nexit 7\n");
    start(fixture, table, 1);
    run_until(fixture, "svc", SUPERVISE_GAVE_UP);
    assert_string_equal(supervise_find(&fixture->supervise, "svc")->last_exit, "exit status 7");
    stop_all(fixture);
}

static void test_missing_program(void **state)
{
    static const char *const gone_argv[] = {"/gone", NULL};
    static const struct service_def table[] = {
        {.name = "gone", .argv = gone_argv},
        {.name = "optional", .argv = gone_argv, .is_optional = true},
    };
    struct fixture *fixture = *state;

    start(fixture, table, 2);
    assert_int_equal(state_of(fixture, "optional"), SUPERVISE_ABSENT);
    run_until(fixture, "gone", SUPERVISE_GAVE_UP);
    assert_non_null(strstr(supervise_find(&fixture->supervise, "gone")->last_exit, "start"));
    assert_int_equal(supervise_restart(&fixture->supervise, "optional", NULL), RAY_ENOTFOUND);
}

/* Each way to fail on the way to a process counts as a failure and is got over. */
static void test_spawn_faults(void **state)
{
    static const struct service_def table[] = {{.name = "svc",
                                                .argv = svc_argv,
                                                .stop_deadline_ms = 5000,
                                                .listens = "svc.sock",
                                                .keeps_fds = true}};
    static const char *const points[] = {"open", "fork", "alloc", "socket"};

    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        for (unsigned n = 1; n < 50; n++) {
            struct fixture *fixture;
            bool has_fired;
            (void)setup((void **)&fixture);
            put_script(fixture, "svc", "#!/bin/sh\nexec sleep 1000\n");
            prepare(fixture, table, 1);
            ray_test_fault_arm(points[p], n);
            supervise_start(&fixture->supervise);
            has_fired = ray_test_fault_disarm();
            run_until(fixture, "svc", SUPERVISE_READY);
            stop_all(fixture);
            (void)teardown((void **)&fixture);
            if (!has_fired) {
                break;
            }
        }
    }
    (void)state;
}

static void say(const struct fixture *fixture, const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    memcpy(address.sun_path, fixture->notify_path, strlen(fixture->notify_path) + 1);
    assert_int_equal(
        sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&address, sizeof address),
        (ssize_t)strlen(text));
    (void)close(fd);
}

/* The service is a Python script: it speaks the protocol, stores its pipe, and finds it again
 * after a crash. A stranger (this test) is not listened to. */
static void test_notify_and_kept_descriptors(void **state)
{
    static const struct service_def table[] = {{.name = "svc",
                                                .argv = svc_argv,
                                                .waits_for_notify = true,
                                                .stop_deadline_ms = 5000,
                                                .keeps_fds = true,
                                                .listens = "svc.sock"}};
    struct fixture *fixture = *state;
    struct supervise_unit *unit;

    put_script(fixture, "svc",
               "#!/usr/bin/python3\n"
               "import os, socket, time\n"
               "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
               "s.connect(os.environ['NOTIFY_SOCKET'])\n"
               "assert os.environ['LISTEN_PID'] == str(os.getpid())\n"
               "names = os.environ['LISTEN_FDNAMES'].split(':')\n"
               "assert names[0] == 'svc.sock' and len(names) == int(os.environ['LISTEN_FDS'])\n"
               "if 'mine' in names:\n"
               "    fd = 3 + names.index('mine')\n"
               "    s.send(b'STATUS=found ' + os.read(fd, 10) + b'\\n')\n"
               "else:\n"
               "    r, w = os.pipe()\n"
               "    os.write(w, b'treasure')\n"
               "    socket.send_fds(s, [b'FDSTORE=1\\nFDNAME=mine'], [r])\n"
               "s.send(b'X_RAYOS_MARKER=RAYOS_TEST_AGENT:ready\\nREADY=1')\n"
               "time.sleep(1000)\n");
    start(fixture, table, 1);
    unit = supervise_find(&fixture->supervise, "svc");
    say(fixture, "READY=1");
    while (fixture->notify.stranger_count == 0) {
        ray_loop_once(&fixture->loop);
    }
    assert_int_equal(state_of(fixture, "svc"), SUPERVISE_STARTING);
    run_until(fixture, "svc", SUPERVISE_READY);
    assert_string_equal(fixture->markers, "RAYOS_TEST_AGENT:ready");
    assert_int_equal(unit->kept.count, 2);
    assert_int_equal(kill(unit->child.pid, SIGKILL), 0);
    run_until(fixture, "svc", SUPERVISE_BACKOFF);
    run_until(fixture, "svc", SUPERVISE_READY);
    assert_string_equal(unit->status_text, "found treasure");
    stop_all(fixture);
}

static void test_stubborn_service_is_killed(void **state)
{
    static const struct service_def table[] = {
        {.name = "svc", .argv = svc_argv, .stop_deadline_ms = 50}};
    struct fixture *fixture = *state;

    put_script(fixture, "svc",
               "#!/bin/sh\ntrap '' TERM\necho trapped\nwhile :; do sleep 0.01; done\n");
    start(fixture, table, 1);
    while (strstr(fixture->log, "trapped") == NULL) {
        ray_loop_once(&fixture->loop);
    }
    stop_all(fixture);
    assert_string_equal(supervise_find(&fixture->supervise, "svc")->last_exit,
                        "signal 9 (SIGKILL)");
}

static void test_cgroup_text(void **state)
{
    char name[16];

    (void)state;
    assert_true(notify_service_of_cgroup("0::/rayos.slice/rayosd\n", name, sizeof name));
    assert_string_equal(name, "rayosd");
    assert_true(notify_service_of_cgroup("0::/rayos.slice/dhcp/sub", name, sizeof name));
    assert_string_equal(name, "dhcp");
    assert_false(notify_service_of_cgroup("0::/init.scope", name, sizeof name));
    assert_false(notify_service_of_cgroup("0::/rayos.slice/", name, sizeof name));
    assert_false(notify_service_of_cgroup("0::/x0::/rayos.slice/rayosd", name, sizeof name));
    assert_false(
        notify_service_of_cgroup("0::/rayos.slice/a-name-that-is-too-long", name, sizeof name));
}

/* The real table is sound: names resolve, no circle, one program per row. */
static void test_table(void **state)
{
    struct supervise_spec specs[SUPERVISE_SERVICE_COUNT_MAX];
    struct supervise_core core;
    size_t count;
    const struct service_def *table = services_table(&count);
    uint64_t low_bytes = 0;

    (void)state;
    assert_int_equal(services_specs(table, count, "/nonexistent", specs, NULL), RAY_OK);
    assert_int_equal(supervise_core_init(&core, specs, count, NULL), RAY_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(table[i].argv[0][0], '/');
        assert_true(table[i].stop_deadline_ms > 0);
        assert_int_equal(specs[i].is_absent, table[i].is_optional);
        assert_true(table[i].listens == NULL || table[i].keeps_fds);
        /* What the node cannot do without is not reclaimed; half a service is none. */
        assert_true(!table[i].needed_for_ready || table[i].limits.memory_low_bytes > 0);
        assert_true(table[i].is_optional || table[i].limits.kills_whole_group);
        low_bytes += table[i].limits.memory_low_bytes;
    }
    assert_true(services_memory_low_bytes(table, count) == low_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_output_and_environment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crash_and_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gives_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_program, setup, teardown),
        cmocka_unit_test(test_spawn_faults),
        cmocka_unit_test_setup_teardown(test_notify_and_kept_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stubborn_service_is_killed, setup, teardown),
        cmocka_unit_test(test_cgroup_text),
        cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
