/* switch_process_test.c - the switch as a process: readiness, commands by the client, the end
 * by a signal, a second one on the same sockets, and every failure of its start. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "clusterctl/lab/switch.h"
#include "clusterctl/lab/switch_client.h"

enum { TIMEOUT_MS = 20000 };

struct paths {
    char folder[64];
    char control[96];
    char node[96];
};

static int set_up(void **state)
{
    struct paths *paths = calloc(1, sizeof *paths);

    assert_non_null(paths);
    (void)snprintf(paths->folder, sizeof paths->folder, "/tmp/switch_process.XXXXXX");
    assert_non_null(mkdtemp(paths->folder));
    (void)snprintf(paths->control, sizeof paths->control, "%s/control", paths->folder);
    (void)snprintf(paths->node, sizeof paths->node, "%s/node1", paths->folder);
    *state = paths;
    return 0;
}

static int tear_down(void **state)
{
    struct paths *paths = *state;
    int rc = rmdir(paths->folder); /* nothing may be left in it */

    free(paths);
    return rc;
}

static int make(const struct paths *paths, struct ray_switch **out, int ready_fd, bool runs,
                struct ray_err *err)
{
    const struct ray_switch_port_config port = {
        .name = "node1", .kind = RAY_SWITCH_PORT_STREAM, .path = paths->node};
    const struct ray_switch_config config = {.ports = &port,
                                             .port_count = 1,
                                             .control_path = paths->control,
                                             .seed = 5,
                                             .stop_fd = -1,
                                             .ready_fd = ready_fd};

    return runs ? ray_switch_main(&config) : ray_switch_create(out, &config, err);
}

static pid_t start(const struct paths *paths)
{
    char line[64] = "";
    int pipes[2];
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(pipes[0]);
        _exit(make(paths, NULL, pipes[1], true, NULL));
    }
    (void)close(pipes[1]);
    assert_true(read(pipes[0], line, sizeof line - 1) > 0);
    assert_string_equal(line, "ready seed=5\n");
    (void)close(pipes[0]);
    return pid;
}

static void stop(pid_t pid)
{
    int status;

    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_life(void **state)
{
    const struct paths *paths = *state;
    struct ray_switch *second = NULL;
    struct ray_err err = {0};
    struct ray_buf reply;
    struct stat info;
    pid_t pid = start(paths);

    ray_buf_init(&reply, 1 << 20);
    assert_int_equal(ray_switch_client_call(paths->control, "heal", TIMEOUT_MS, &reply, &err),
                     RAY_OK);
    assert_string_equal(ray_buf_text(&reply), "ok 0 pairs");
    assert_int_equal(
        ray_switch_client_call(paths->control, "cut node1 *", TIMEOUT_MS, &reply, &err),
        RAY_EINVAL);
    assert_non_null(strstr(err.text, "no pair of ports"));
    assert_int_equal(ray_switch_client_call(paths->control, "stats x", TIMEOUT_MS, &reply, &err),
                     RAY_ENOTFOUND);
    assert_int_equal(stat(paths->node, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(stat(paths->control, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    /* A second one does not take the sockets away. */
    assert_int_equal(make(paths, &second, -1, false, &err), RAY_EEXISTS);
    assert_int_equal(ray_switch_client_call(paths->control, "heal", TIMEOUT_MS, &reply, &err),
                     RAY_OK);
    stop(pid);
    assert_int_equal(ray_switch_client_call(paths->control, "heal", 100, &reply, &err),
                     RAY_EUNAVAILABLE);
    ray_buf_fini(&reply);
}

/* Killed hard it leaves its names behind, and the next one takes them over. */
static void test_stale_names(void **state)
{
    const struct paths *paths = *state;
    pid_t pid = start(paths);
    struct ray_err err = {0};
    struct ray_buf reply;

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(access(paths->control, F_OK), 0);
    ray_buf_init(&reply, 1 << 20);
    assert_int_equal(ray_switch_client_call(paths->control, "heal", 100, &reply, &err),
                     RAY_EUNAVAILABLE);
    ray_buf_fini(&reply);
    stop(start(paths));
}

/* A peer that listens but never answers. */
static void test_client_timeout(void **state)
{
    const struct paths *paths = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ray_err err = {0};
    struct ray_buf reply;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", paths->control);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ray_buf_init(&reply, 1 << 20);
    assert_int_equal(ray_switch_client_call(paths->control, "heal", 20, &reply, &err),
                     RAY_ETIMEOUT);
    ray_buf_fini(&reply);
    (void)close(fd);
    (void)unlink(paths->control);
}

static void test_long_paths(void **state)
{
    const struct paths *paths = *state;
    struct ray_err err = {0};
    struct ray_buf reply;
    char path[200];
    struct paths far = *paths;

    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    ray_buf_init(&reply, 1 << 20);
    assert_int_equal(ray_switch_client_call(path, "heal", 100, &reply, &err), RAY_EINVAL);
    ray_buf_fini(&reply);
    /* A folder that is not there. */
    (void)snprintf(far.node, sizeof far.node, "%s/none/node1", paths->folder);
    assert_int_equal(make(&far, NULL, -1, false, &err), RAY_ENOTFOUND);
    assert_non_null(strstr(err.text, "none/node1"));
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "socket"};

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            struct ray_switch *sw = NULL;
            struct ray_err err = {0};
            int rc;

            ray_test_fault_arm(points[i], n);
            rc = make(*state, &sw, -1, false, &err);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                ray_switch_destroy(sw);
                break;
            }
            assert_true(rc < 0 && err.text[0] != '\0');
            assert_null(sw);
        }
    }
}

static void test_config(void **state)
{
    const struct paths *paths = *state;
    const struct ray_switch_port_config same[] = {
        {.name = "n", .kind = RAY_SWITCH_PORT_STREAM, .path = paths->node},
        {.name = "n", .kind = RAY_SWITCH_PORT_STREAM, .path = paths->node},
    };
    const struct ray_switch_port_config bad = {.name = "both", .path = paths->node};
    const struct ray_switch_port_config no_interface = {
        .name = "host", .kind = RAY_SWITCH_PORT_PACKET, .path = "none0"};
    struct ray_switch_config config = {
        .ports = same, .port_count = 2, .control_path = paths->control, .stop_fd = -1};
    struct ray_switch *sw = NULL;
    struct ray_err err = {0};

    assert_int_equal(ray_switch_create(&sw, &config, &err), RAY_EINVAL);
    assert_non_null(strstr(err.text, "two ports are named 'n'"));
    config.port_count = RAY_SWITCH_PORT_COUNT_MAX + 1;
    assert_int_equal(ray_switch_create(&sw, &config, &err), RAY_EINVAL);
    config.port_count = 0;
    assert_int_equal(ray_switch_create(&sw, &config, &err), RAY_EINVAL);
    config.ports = &bad;
    config.port_count = 1;
    assert_int_equal(ray_switch_create(&sw, &config, &err), RAY_EINVAL);
    config.ports = &no_interface;
    assert_true(ray_switch_create(&sw, &config, &err) < 0);
    assert_non_null(strstr(err.text, "interface 'none0'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stale_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_client_timeout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_config, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
