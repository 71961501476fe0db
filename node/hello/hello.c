/* hello.c - rayos-hello: tells the machine that booted this node that it runs, and then that it
 * is ready (docs/reference/hello.md).
 *
 * A oneshot service of PID 1, by an own user without any capability; also by hand. Nothing on
 * the node depends on it: whatever goes wrong on the way ends with 0 and a line in the log. Start:
 * server, facts, sandbox, loop; the loop comes after the sandbox, because libuv would take an
 * io_uring if it got one, and those go round filters. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/loop.h"
#include "node/facts/read.h"
#include "node/hello/facts.h"
#include "node/hello/hello_seccomp.h"
#include "node/hello/server.h"
#include "node/hello/session.h"
#include "node/init/system/boot_facts.h"
#include "node/init/system/net_lease.h"

enum { PATH_SIZE_MAX = 256 };

struct hello {
    struct ray_logger *logger;
    struct ray_loop loop;
    struct hello_session session;
    struct ray_arena arena; /* of the facts */
    struct hello_facts facts;
    int root_fd;
    char init_path[PATH_SIZE_MAX];
};

static void on_end(void *arg, enum hello_end end)
{
    struct hello *hello = arg;

    ray_log(hello->logger, end == HELLO_END_DONE ? RAY_LOG_INFO : RAY_LOG_NOTICE, "main",
            "ends: %s", hello_end_text(end));
    ray_loop_stop(&hello->loop);
}

/* A file below the root, or NULL: then nobody said anything there. */
static char *read_file(int root_fd, const char *name, size_t size_max, size_t *out_size)
{
    uint8_t *data = NULL;

    *out_size = 0;
    return ray_file_read(root_fd, name, size_max, &data, out_size, NULL) == RAY_OK ? (char *)data
                                                                                   : NULL;
}

static int discover(int root_fd, struct hello_server *out, struct ray_err *err)
{
    size_t cmdline_size;
    size_t lease_size;
    char *cmdline = read_file(root_fd, "proc/cmdline", INIT_CMDLINE_SIZE_MAX - 1, &cmdline_size);
    char *lease = read_file(root_fd, INIT_LEASE_FILE, INIT_LEASE_FILE_SIZE_MAX, &lease_size);
    int rc = hello_server_find(cmdline, cmdline_size, lease, lease_size, out, err);

    free(cmdline);
    free(lease);
    return rc;
}

/* --server is the operator's own word, so it may be this very machine. */
static int choose_server(struct hello *hello, const char *given, struct ray_http_origin *out,
                         struct ray_err *err)
{
    char text[RAY_HTTP_ORIGIN_SIZE_MAX];
    struct hello_server server;
    int rc;

    if (given != NULL) {
        struct ray_err why = {0};

        return ray_http_origin_parse(given, strlen(given), out, &why) == RAY_OK
                   ? RAY_OK
                   : ray_fail(err, RAY_EUSAGE, "--server: %s", why.text);
    }
    rc = discover(hello->root_fd, &server, err);
    if (rc == RAY_OK) {
        *out = server.origin;
        ray_log(hello->logger, RAY_LOG_INFO, "main", "server=%s source=%s",
                ray_http_origin_format(out, text), hello_server_source_text(server.source));
    }
    return rc;
}

static int open_root(struct hello *hello, const char *root, struct ray_err *err)
{
    int size = snprintf(hello->init_path, sizeof hello->init_path, "%s/run/rayos/init.sock",
                        strcmp(root, "/") == 0 ? "" : root);

    if (size < 0 || (size_t)size >= sizeof hello->init_path) {
        return ray_fail(err, RAY_EINVAL, "--root is too long");
    }
    hello->root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return hello->root_fd >= 0 ? RAY_OK : ray_fail_errno(err, errno, "%s", root);
}

static int start(struct hello *hello, const struct ray_http_origin *origin, bool has_sandbox,
                 struct ray_err *err)
{
    struct hello_session_config config = {
        .loop = &hello->loop,
        .logger = hello->logger,
        .origin = *origin,
        .facts = &hello->facts,
        .init_path = hello->init_path,
        .on_end = on_end,
        .arg = hello,
    };
    int rc = has_sandbox ? hello_seccomp_enter(err) : RAY_OK;

    if (rc == RAY_OK) {
        rc = ray_loop_init(&hello->loop, err);
    }
    if (rc == RAY_OK) {
        rc = hello_session_init(&hello->session, &config, err);
    }
    return rc;
}

static void finish(struct hello *hello)
{
    hello_session_fini(&hello->session);
    ray_loop_fini(&hello->loop);
    ray_arena_fini(&hello->arena);
    if (hello->root_fd >= 0) {
        (void)close(hello->root_fd); /* O_PATH: nothing can be lost */
    }
}

static int run(const struct ray_args *args, void *context)
{
    struct hello hello = {.logger = context, .root_fd = -1};
    struct ray_http_origin origin;
    struct ray_err err = {0};
    int rc = open_root(&hello, ray_args_value(args, "root"), &err);
    bool is_nobody_there;

    ray_arena_init(&hello.arena, FACTS_ARENA_SIZE_MAX);
    if (rc == RAY_OK) {
        rc = choose_server(&hello, ray_args_value(args, "server"), &origin, &err);
    }
    if (rc == RAY_OK) {
        rc = hello_facts_read(hello.root_fd, &hello.arena, &hello.facts, &err);
    }
    /* Without a server there is nothing to do, and without facts nothing to say. */
    is_nobody_there = rc == RAY_ENOTFOUND || rc == RAY_EMALFORMED || rc == RAY_EUNAVAILABLE;
    if (rc == RAY_OK) {
        rc = start(&hello, &origin, strcmp(ray_args_value(args, "sandbox"), "on") == 0, &err);
    }
    if (rc == RAY_OK) {
        ray_loop_run(&hello.loop);
    } else if (is_nobody_there) {
        ray_log(hello.logger, rc == RAY_ENOTFOUND ? RAY_LOG_INFO : RAY_LOG_WARN, "main",
                "no hello: %s", err.text);
        rc = RAY_OK;
    } else {
        ray_log(hello.logger, RAY_LOG_ERROR, "main", "cannot start: %s", err.text);
    }
    finish(&hello);
    return ray_err_exit_status(rc);
}

static const struct ray_args_option options[] = {
    {.name = "root",
     .value_name = "DIR",
     .default_value = "/",
     .help = "where proc, sys, run and usr are"},
    {.name = "server",
     .value_name = "http://ADDRESS:PORT",
     .help = "say hello there, whatever command line and DHCP name"},
    {.name = "sandbox",
     .value_name = "on|off",
     .default_value = "on",
     .choices = "on|off",
     .help = "system call filter; off only to debug"},
    {.name = NULL},
};

static const struct ray_args_command command = {
    .name = "rayos-hello",
    .help = "tell the machine that booted this node that it runs and that it is ready",
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
