/* rayosd.c - the node's daemon: says what this node is and how it is.
 *
 * Runs as its own user without any capability, under PID 1 or by hand (then it says what
 * it lacks). Under PID 1 the listening socket is kept there over restarts: callers wait in
 * its backlog meanwhile instead of failing. Start: socket, sandbox, loop, READY; the loop comes
 * after the sandbox, because libuv would take an io_uring if it got one, and those go round
 * filters. End on SIGTERM: open calls end, then the process does. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/notify.h"
#include "net/rpc.h"
#include "node/rayosd_methods.h"
#include "node/rayosd_seccomp.h"

enum { SOCKET_PATH_SIZE = 256 };

static const char socket_name[] = "node.sock"; /* of the file, and of the kept descriptor */

struct rayosd {
    struct ray_logger *logger;
    struct ray_loop loop;
    struct ray_signal sigterm;
    struct ray_signal sigint;
    struct rayosd_context context;
    struct ray_rpc_server *server;
    int root_fd;
    int socket_fd; /* -1 when the server has it */
    char path[SOCKET_PATH_SIZE];
    char init_path[SOCKET_PATH_SIZE];
};

static void on_signal(void *arg, int signum)
{
    struct rayosd *rayosd = arg;

    ray_log(rayosd->logger, RAY_LOG_NOTICE, "main", "stopping signal=%d", signum);
    (void)ray_notify("STOPPING=1", NULL); /* only a courtesy */
    ray_loop_stop(&rayosd->loop);
}

static int make_paths(struct rayosd *rayosd, const char *run_dir, struct ray_err *err)
{
    int size = snprintf(rayosd->path, sizeof rayosd->path, "%s/%s", run_dir, socket_name);
    int init_size = snprintf(rayosd->init_path, sizeof rayosd->init_path, "%s/init.sock", run_dir);

    if (size < 0 || init_size < 0 || (size_t)size >= sizeof rayosd->path ||
        (size_t)init_size >= sizeof rayosd->init_path) {
        return ray_fail(err, RAY_EINVAL, "--run-dir is too long");
    }
    return RAY_OK;
}

/* The kept socket of the process before us, or a new one. */
static int open_socket(struct rayosd *rayosd, int *out_fd, struct ray_err *err)
{
    struct ray_err keep_err = {0};
    int fd = ray_notify_kept_fd(socket_name);
    int rc;

    if (fd >= 0) {
        ray_log(rayosd->logger, RAY_LOG_INFO, "main", "socket=kept");
        *out_fd = fd;
        return RAY_OK;
    }
    rc = ray_rpc_unix_listen(rayosd->path, 0666, &fd, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (ray_notify_keep_fd(socket_name, fd, &keep_err) != RAY_OK) {
        /* Works without; callers fail while we restart. */
        ray_log(rayosd->logger, RAY_LOG_WARN, "main", "socket is not kept: %s", keep_err.text);
    }
    *out_fd = fd;
    return RAY_OK;
}

/* The loop and what it serves. */
static int start_loop(struct rayosd *rayosd, struct ray_err *err)
{
    int rc = ray_loop_init(&rayosd->loop, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rayosd_context_init(&rayosd->context, &rayosd->loop, rayosd->root_fd, rayosd->init_path);
    rc = ray_signal_init(&rayosd->sigterm, &rayosd->loop, SIGTERM, on_signal, rayosd, err);
    if (rc == RAY_OK) {
        rc = ray_signal_init(&rayosd->sigint, &rayosd->loop, SIGINT, on_signal, rayosd, err);
    }
    if (rc == RAY_OK) {
        rc = ray_rpc_server_create_fd(&rayosd->server, &rayosd->loop, rayosd->socket_fd,
                                      rayosd_methods(), &rayosd->context, err);
    }
    if (rc == RAY_OK) {
        rayosd->socket_fd = -1; /* the server's now */
    }
    return rc;
}

static int start(struct rayosd *rayosd, const char *run_dir, bool has_sandbox, struct ray_err *err)
{
    int rc = make_paths(rayosd, run_dir, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rayosd->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (rayosd->root_fd < 0) {
        return ray_fail_errno(err, errno, "/");
    }
    rc = open_socket(rayosd, &rayosd->socket_fd, err);
    if (rc == RAY_OK && has_sandbox) {
        rc = rayosd_seccomp_enter(err);
    }
    return rc == RAY_OK ? start_loop(rayosd, err) : rc;
}

static void stop(struct rayosd *rayosd)
{
    ray_rpc_server_destroy(rayosd->server);
    rayosd_context_fini(&rayosd->context);
    ray_signal_fini(&rayosd->sigterm);
    ray_signal_fini(&rayosd->sigint);
    ray_loop_fini(&rayosd->loop);
    if (rayosd->socket_fd >= 0) {
        (void)close(rayosd->socket_fd); /* nobody was accepted */
    }
    if (rayosd->root_fd >= 0) {
        (void)close(rayosd->root_fd); /* O_PATH: nothing can be lost */
    }
}

static int run(const struct ray_args *args, void *context)
{
    struct rayosd rayosd = {.logger = context, .root_fd = -1, .socket_fd = -1};
    bool has_sandbox = strcmp(ray_args_value(args, "sandbox"), "on") == 0;
    struct ray_err err = {0};
    int rc = start(&rayosd, ray_args_value(args, "run-dir"), has_sandbox, &err);

    if (rc == RAY_OK) {
        rc = ray_notify_ready(&err);
    }
    if (rc == RAY_OK) {
        if (!has_sandbox || geteuid() == 0) {
            ray_log(rayosd.logger, RAY_LOG_WARN, "main", "less isolation: sandbox=%s uid=%u",
                    has_sandbox ? "on" : "off", geteuid());
        }
        ray_log(rayosd.logger, RAY_LOG_NOTICE, "main", "serving version=%s socket=%s", RAY_VERSION,
                rayosd.path);
        ray_loop_run(&rayosd.loop);
    } else {
        ray_log(rayosd.logger, RAY_LOG_ERROR, "main", "cannot serve: %s%s%s", err.text,
                err.next_step[0] != '\0' ? "; next: " : "", err.next_step);
    }
    stop(&rayosd);
    return ray_err_exit_status(rc);
}

static const struct ray_args_option options[] = {
    {.name = "run-dir",
     .value_name = "DIR",
     .default_value = "/run/rayos",
     .help = "folder of node.sock, and of PID 1's init.sock"},
    {.name = "sandbox",
     .value_name = "on|off",
     .default_value = "on",
     .choices = "on|off",
     .help = "system call filter; off only to debug"},
    {.name = NULL},
};

static const struct ray_args_command command = {
    .name = "rayosd",
    .help = "the daemon of a RayOS node: facts and health on its socket",
    .options = options,
    .run = run,
};

int main(int argc, char **argv)
{
    struct ray_logger logger;

    /* A reader of our log that went away must not end us. */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return 1;
    }
    ray_logger_init(&logger, STDERR_FILENO, ray_log_form_from_env(), RAY_LOG_INFO);
    return ray_args_main(&command, NULL, RAY_VERSION, argc, argv, &logger);
}
