/* agent.c - rayos-test-agent: runs commands and moves files for tests, over the virtio-serial
 * port `rayos.test`. Only the test image has it; it answers to whoever holds the port, which
 * is the lab that started the machine.
 *
 *   rayos-test-agent            on a node, started by PID 1
 *   rayos-test-agent --fd N     on a connected socket, in hosted tests
 *
 * On a node the port and the disk with tools may appear at any time: each is looked for at the
 * start and at every device event until it was found. The service is ready with the port. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/args.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/size.h"
#include "tests/agent/exec.h"
#include "tests/agent/files.h"
#include "tests/agent/port.h"
#include "tests/agent/tools.h"
#include "tests/agent/watch.h"

#define PORT_NAME "rayos.test"

/* For commands to end by themselves at SIGTERM; PID 1 gives us 2 s. */
enum { GRACE_MS = 1500 };

struct agent {
    struct ray_loop loop;
    struct ray_logger logger;
    struct ray_signal terminate;
    struct ray_timer grace;
    struct watch watch;
    struct port port;
    struct execs execs;
    struct files files;
    bool has_tools;
};

static void on_session(void *arg)
{
    struct agent *agent = arg;

    execs_forget(&agent->execs);
    files_forget(&agent->files);
}

static int send_clocks(struct port *port, uint64_t id)
{
    Rayos__Agent__Answer answer = RAYOS__AGENT__ANSWER__INIT;
    Rayos__Agent__Clocks clocks = RAYOS__AGENT__CLOCKS__INIT;

    clocks.boottime_ns = ray_clock_boottime_ns();
    clocks.monotonic_ns = ray_clock_monotonic_ns();
    clocks.realtime_ns = ray_clock_realtime_ns();
    answer.id = id;
    answer.what_case = RAYOS__AGENT__ANSWER__WHAT_CLOCKS;
    answer.clocks = &clocks;
    return port_send(port, &answer);
}

static int handle_request(struct agent *agent, const Rayos__Agent__Request *request,
                          struct ray_err *err)
{
    uint64_t id = request->id;

    if (id == 0) { /* marks free places in our tables */
        return ray_fail(err, RAY_EINVAL, "a request's id is not 0");
    }
    switch (request->what_case) {
    case RAYOS__AGENT__REQUEST__WHAT_EXEC:
        return execs_start(&agent->execs, id, request->exec, err);
    case RAYOS__AGENT__REQUEST__WHAT_KILL:
        execs_kill(&agent->execs, id);
        return RAY_OK;
    case RAYOS__AGENT__REQUEST__WHAT_PUT:
        return files_put(&agent->files, id, request->put, err);
    case RAYOS__AGENT__REQUEST__WHAT_DATA:
        return files_data(&agent->files, id, request->data, err);
    case RAYOS__AGENT__REQUEST__WHAT_GET:
        return files_get(&agent->files, id, request->get, err);
    case RAYOS__AGENT__REQUEST__WHAT_PING:
        (void)send_clocks(&agent->port, id); /* unless the host is gone */
        return RAY_OK;
    default:
        return ray_fail(err, RAY_EUNSUPPORTED, "this agent does not know that request");
    }
}

static void on_request(void *arg, const Rayos__Agent__Request *request)
{
    struct agent *agent = arg;
    struct ray_err err = {0};

    if (handle_request(agent, request, &err) != RAY_OK) {
        (void)port_send_failure(&agent->port, request->id, &err); /* unless the host is gone */
    }
}

static void on_drain(void *arg)
{
    struct agent *agent = arg;

    execs_resume(&agent->execs);
    files_resume(&agent->files);
}

static int open_port(struct agent *agent, int fd, bool is_virtio, struct ray_err *err)
{
    int rc = port_init(&agent->port, &agent->loop, fd, is_virtio, err);

    if (rc != RAY_OK) {
        port_fini(&agent->port);
        return rc;
    }
    /* A lost word is the supervisor's to notice. */
    (void)ray_notify_marker(RAY_MARKER_TEST_AGENT, "ready", NULL);
    (void)ray_notify_ready(NULL);
    return RAY_OK;
}

static int open_class(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void look_for_port(struct agent *agent)
{
    int class_fd = open_class("/sys/class/virtio-ports");
    struct ray_err err = {0};
    int fd = -1;
    int rc;

    if (class_fd < 0) {
        return; /* appears with the driver */
    }
    rc = port_open_virtio(class_fd, PORT_NAME, &fd, &err);
    (void)close(class_fd);
    if (rc == RAY_OK) {
        rc = open_port(agent, fd, true, &err);
    }
    if (rc != RAY_OK && rc != RAY_ENOTFOUND) {
        ray_log(&agent->logger, RAY_LOG_ERROR, "agent", "%s", err.text);
    }
}

static void look_for_tools(struct agent *agent)
{
    int class_fd = open_class("/sys/class/block");
    struct ray_err err = {0};
    int rc;

    if (class_fd < 0) {
        return;
    }
    rc = tools_mount(class_fd, &err);
    (void)close(class_fd);
    agent->has_tools = rc == RAY_OK;
    if (rc == RAY_OK) {
        ray_log(&agent->logger, RAY_LOG_INFO, "agent", "tools are at /run/tools");
    } else if (rc != RAY_ENOTFOUND) {
        ray_log(&agent->logger, RAY_LOG_WARN, "agent", "%s", err.text);
    }
}

static void on_device(void *arg)
{
    struct agent *agent = arg;

    if (agent->port.fd < 0) {
        look_for_port(agent);
    }
    if (!agent->has_tools) {
        look_for_tools(agent);
    }
    if (agent->port.fd >= 0 && agent->has_tools) {
        watch_fini(&agent->watch);
    }
}

static void stop(void *arg)
{
    struct agent *agent = arg;

    ray_loop_stop(&agent->loop);
}

/* All commands have ended. What the host does not take at once it has until the grace ends. */
static void on_idle(void *arg)
{
    struct agent *agent = arg;

    if (port_flush(&agent->port)) {
        stop(agent);
    }
}

/* A command may have more to say, `clusterctl node reboot` above all. */
static void on_terminate(void *arg, int signum)
{
    struct agent *agent = arg;

    (void)signum;
    ray_timer_start(&agent->grace, GRACE_MS, 0);
    execs_terminate(&agent->execs, on_idle, agent);
}

/* fd -1: find the port of this machine. */
static int agent_begin(struct agent *agent, int fd, struct ray_err *err)
{
    int rc = ray_loop_init(&agent->loop, err);

    if (rc != RAY_OK) {
        return rc;
    }
    execs_init(&agent->execs, &agent->loop, &agent->port);
    files_init(&agent->files, &agent->port);
    rc = ray_signal_init(&agent->terminate, &agent->loop, SIGTERM, on_terminate, agent, err);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&agent->grace, &agent->loop, stop, agent, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (fd >= 0) {
        return open_port(agent, fd, false, err);
    }
    /* First the events, then the first look: what comes between is not missed. */
    rc = watch_init(&agent->watch, &agent->loop, on_device, agent, err);
    if (rc == RAY_OK) {
        on_device(agent);
    }
    return rc;
}

static int run(const struct ray_args *args, void *context)
{
    struct agent *agent = context;
    const char *fd_text = ray_args_value(args, "fd");
    struct ray_err err = {0};
    uint64_t fd = 0;
    int rc = RAY_OK;

    if (fd_text != NULL && ray_parse_u64(fd_text, 0, 1023, &fd) != RAY_OK) {
        rc = ray_fail(&err, RAY_EUSAGE, "'%s' is not a descriptor", fd_text);
    }
    if (rc == RAY_OK) {
        rc = agent_begin(agent, fd_text != NULL ? (int)fd : -1, &err);
    }
    if (rc == RAY_OK) {
        ray_loop_run(&agent->loop);
    } else {
        ray_log(&agent->logger, RAY_LOG_ERROR, "agent", "%s", err.text);
    }
    execs_fini(&agent->execs);
    files_forget(&agent->files);
    port_fini(&agent->port);
    watch_fini(&agent->watch);
    ray_signal_fini(&agent->terminate);
    ray_timer_fini(&agent->grace);
    ray_loop_fini(&agent->loop);
    return ray_err_exit_status(rc);
}

int main(int argc, char **argv)
{
    static const struct ray_args_option options[] = {
        {.name = "fd", .value_name = "N", .help = "a connected socket instead of the port"},
        {0},
    };
    static const struct ray_args_command root = {.name = "rayos-test-agent",
                                                 .help = "runs commands and moves files for tests",
                                                 .options = options,
                                                 .run = run};
    struct agent agent = {.port = {.fd = -1}, .watch = {.fd = -1}};

    agent.port.on_session = on_session;
    agent.port.on_request = on_request;
    agent.port.on_drain = on_drain;
    agent.port.arg = &agent;
    ray_logger_init(&agent.logger, STDERR_FILENO, ray_log_form_from_env(), RAY_LOG_INFO);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        ray_log(&agent.logger, RAY_LOG_ERROR, "agent", "cannot ignore SIGPIPE");
        return 1;
    }
    return ray_args_main(&root, NULL, RAY_VERSION, argc, argv, &agent);
}
