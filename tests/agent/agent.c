/* agent.c - rayos-test-agent: runs commands and moves files for tests, over the virtio-serial
 * port `rayos.test`. Only the test image has it; it answers to whoever holds the port, which
 * is the lab that started the machine.
 *
 *   rayos-test-agent            on a node, started by PID 1
 *   rayos-test-agent --fd N     on a connected socket, in hosted tests */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/size.h"
#include "tests/agent/exec.h"
#include "tests/agent/files.h"
#include "tests/agent/port.h"

enum { PORT_TIMEOUT_MS = 30000 };

struct agent {
    struct ray_loop loop;
    struct ray_logger logger;
    struct port port;
    struct execs execs;
    struct files files;
};

static void on_session(void *arg)
{
    struct agent *agent = arg;

    execs_kill_all(&agent->execs);
    files_forget(&agent->files);
}

static void answer_failure(struct agent *agent, uint64_t id, const struct ray_err *err)
{
    Rayos__Agent__Answer answer = RAYOS__AGENT__ANSWER__INIT;
    Rayos__Agent__Failure failure = RAYOS__AGENT__FAILURE__INIT;

    failure.code = (char *)ray_err_api_code(err->code);
    failure.text = (char *)err->text;
    answer.id = id;
    answer.what_case = RAYOS__AGENT__ANSWER__WHAT_FAILURE;
    answer.failure = &failure;
    (void)port_send(&agent->port, &answer);
}

static void answer_done(struct agent *agent, uint64_t id)
{
    Rayos__Agent__Answer answer = RAYOS__AGENT__ANSWER__INIT;
    Rayos__Agent__Done done = RAYOS__AGENT__DONE__INIT;

    answer.id = id;
    answer.what_case = RAYOS__AGENT__ANSWER__WHAT_DONE;
    answer.done = &done;
    (void)port_send(&agent->port, &answer);
}

static void answer_clocks(struct agent *agent, uint64_t id)
{
    Rayos__Agent__Answer answer = RAYOS__AGENT__ANSWER__INIT;
    Rayos__Agent__Clocks clocks = RAYOS__AGENT__CLOCKS__INIT;

    clocks.boottime_ns = ray_clock_boottime_ns();
    clocks.monotonic_ns = ray_clock_monotonic_ns();
    clocks.realtime_ns = ray_clock_realtime_ns();
    answer.id = id;
    answer.what_case = RAYOS__AGENT__ANSWER__WHAT_CLOCKS;
    answer.clocks = &clocks;
    (void)port_send(&agent->port, &answer);
}

static void on_request(void *arg, const Rayos__Agent__Request *request)
{
    struct agent *agent = arg;
    struct ray_err err = {0};
    bool is_done = false;
    int rc = RAY_OK;

    switch (request->what_case) {
    case RAYOS__AGENT__REQUEST__WHAT_EXEC:
        rc = execs_start(&agent->execs, request->id, request->exec, &err);
        break;
    case RAYOS__AGENT__REQUEST__WHAT_KILL:
        execs_kill(&agent->execs, request->id);
        break;
    case RAYOS__AGENT__REQUEST__WHAT_PUT:
        rc = files_put(&agent->files, request->id, request->put, &is_done, &err);
        break;
    case RAYOS__AGENT__REQUEST__WHAT_DATA:
        rc = files_data(&agent->files, request->id, request->data, &is_done, &err);
        break;
    case RAYOS__AGENT__REQUEST__WHAT_GET:
        rc = files_get(&agent->port, request->id, request->get, &err);
        is_done = rc == RAY_OK;
        break;
    case RAYOS__AGENT__REQUEST__WHAT_PING:
        answer_clocks(agent, request->id);
        break;
    default:
        rc = ray_fail(&err, RAY_EUNSUPPORTED, "this agent does not know that request");
        break;
    }
    if (rc != RAY_OK) {
        answer_failure(agent, request->id, &err);
    } else if (is_done) {
        answer_done(agent, request->id);
    }
}

static void on_drain(void *arg)
{
    struct agent *agent = arg;

    execs_resume(&agent->execs);
}

static int open_port(int argc, char **argv, int *out_fd, bool *out_is_virtio, struct ray_err *err)
{
    uint64_t number;

    if (argc == 3 && strcmp(argv[1], "--fd") == 0) {
        *out_is_virtio = false;
        if (ray_parse_u64(argv[2], 0, 1023, &number) != RAY_OK) {
            return ray_fail(err, RAY_EUSAGE, "--fd wants a number");
        }
        *out_fd = (int)number;
        return RAY_OK;
    }
    if (argc != 1) {
        return ray_fail(err, RAY_EUSAGE, "usage: rayos-test-agent [--fd N]");
    }
    *out_is_virtio = true;
    return port_open_virtio("rayos.test", PORT_TIMEOUT_MS, out_fd, err);
}

int main(int argc, char **argv)
{
    struct agent agent = {.port = {.fd = -1}};
    struct ray_err err = {0};
    bool is_virtio = false;
    int fd = -1;
    int rc;

    ray_logger_init(&agent.logger, 2, ray_log_form_from_env(), RAY_LOG_INFO);
    (void)signal(SIGPIPE, SIG_IGN);
    agent.port.on_session = on_session;
    agent.port.on_request = on_request;
    agent.port.on_drain = on_drain;
    agent.port.arg = &agent;
    rc = open_port(argc, argv, &fd, &is_virtio, &err);
    if (rc == RAY_OK) {
        rc = ray_loop_init(&agent.loop, &err);
    }
    if (rc != RAY_OK) {
        ray_log(&agent.logger, RAY_LOG_ERROR, "agent", "%s", err.text);
        return ray_err_exit_status(rc);
    }
    execs_init(&agent.execs, &agent.loop, &agent.port);
    rc = port_init(&agent.port, &agent.loop, fd, is_virtio, &err);
    if (rc == RAY_OK) {
        if (is_virtio && files_mount_tools(&err) != RAY_OK) {
            ray_log(&agent.logger, RAY_LOG_INFO, "agent", "no tools: %s", err.text);
        }
        (void)ray_notify_marker(RAY_MARKER_TEST_AGENT, "ready", NULL);
        (void)ray_notify_ready(NULL);
        ray_loop_run(&agent.loop);
    } else {
        ray_log(&agent.logger, RAY_LOG_ERROR, "agent", "%s", err.text);
    }
    execs_fini(&agent.execs);
    files_forget(&agent.files);
    port_fini(&agent.port);
    ray_loop_fini(&agent.loop);
    return ray_err_exit_status(rc);
}
