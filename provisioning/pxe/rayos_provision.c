/* rayos-provision: brings machines of one network from power-on to the RayOS image. The main
 * file: command line, configuration, signals, exit status. */
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
#include "provisioning/pxe/service.h"

static const struct ray_args_option serve_options[] = {
    {.name = "config",
     .value_name = "FILE",
     .help = "file of 'key = value' lines with these options as keys; options win"},
#define OPTION(field, key, value, preset, text)                                                    \
    {.name = (key), .value_name = (value), .default_value = (preset), .help = (text)},
    PROVISION_CONFIG_KEYS(OPTION)
#undef OPTION
        {.name = "log-level",
         .value_name = "LEVEL",
         .default_value = "info",
         .choices = "error|warn|notice|info|debug",
         .help = "what is logged on standard error"},
    {0},
};

struct program {
    struct provision_config config;
    struct ray_logger logger;
    struct ray_loop loop;
    struct ray_signal sigterm;
    struct ray_signal sigint;
    struct provision_service *service;
    struct ray_err end;
};

static int report(const struct ray_err *err)
{
    (void)fprintf(stderr, "rayos-provision: %s\n", err->text);
    if (err->next_step[0] != '\0') {
        (void)fprintf(stderr, "next: %s\n", err->next_step);
    }
    return ray_err_exit_status(err->code);
}

static int read_config_file(struct provision_config *config, const char *path, struct ray_err *err)
{
    uint8_t *text = NULL;
    size_t size = 0;
    int rc = ray_file_read(AT_FDCWD, path, PROVISION_CONFIG_SIZE_MAX, &text, &size, err);

    if (rc != RAY_OK) {
        return ray_wrap(err, rc, "configuration");
    }
    rc = memchr(text, '\0', size) != NULL ? ray_fail(err, RAY_EUSAGE, "holds a NUL byte")
                                          : provision_config_parse(config, (const char *)text, err);
    free(text);
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "%s", path);
}

static bool is_config_key(const char *name)
{
    return strcmp(name, "config") != 0 && strcmp(name, "log-level") != 0;
}

static int read_config(struct provision_config *config, const struct ray_args *args,
                       struct ray_err *err)
{
    const char *path = ray_args_value(args, "config");
    int rc = RAY_OK;

    provision_config_init(config);
    if (path != NULL) {
        rc = read_config_file(config, path, err);
    }
    for (size_t i = 0; rc == RAY_OK && serve_options[i].name != NULL; i++) {
        if (args->is_given[i] && args->values[i] != NULL && is_config_key(serve_options[i].name) &&
            strcmp(serve_options[i].name, "host") != 0) {
            rc = provision_config_set(config, serve_options[i].name, args->values[i], err);
        }
    }
    for (size_t i = 0; rc == RAY_OK && i < args->repeated_count; i++) {
        rc = provision_config_set(config, args->repeated[i].option->name, args->repeated[i].value,
                                  err);
    }
    return rc == RAY_OK ? provision_config_check(config, err) : rc;
}

static void on_signal(void *arg, int signum)
{
    struct program *program = arg;

    ray_log(&program->logger, RAY_LOG_NOTICE, "provision", "stopping signal=%d", signum);
    provision_service_stop(program->service);
}

static void on_end(void *arg, const struct ray_err *err)
{
    struct program *program = arg;

    program->end = *err;
    ray_loop_stop(&program->loop);
}

static int start(struct program *program, struct ray_err *err)
{
    const struct provision_service_config service = {.config = &program->config,
                                                     .logger = &program->logger,
                                                     .event_fd = STDOUT_FILENO,
                                                     .on_end = on_end,
                                                     .arg = program};
    int rc = ray_loop_init(&program->loop, err);

    if (rc == RAY_OK) {
        rc = provision_service_create(&program->service, &program->loop, &service, err);
    }
    if (rc == RAY_OK) {
        rc = ray_signal_init(&program->sigterm, &program->loop, SIGTERM, on_signal, program, err);
    }
    if (rc == RAY_OK) {
        rc = ray_signal_init(&program->sigint, &program->loop, SIGINT, on_signal, program, err);
    }
    return rc;
}

static int serve(const struct ray_args *args, void *context)
{
    struct program *program = context;
    enum ray_log_level level = RAY_LOG_INFO;
    struct ray_err err = {0};

    (void)ray_log_level_parse(ray_args_value(args, "log-level"), &level); /* one of the choices */
    ray_logger_init(&program->logger, STDERR_FILENO, ray_log_form_from_env(), level);
    if (read_config(&program->config, args, &err) != RAY_OK) {
        return report(&err);
    }
    if (start(program, &err) == RAY_OK) {
        ray_loop_run(&program->loop);
        err = program->end;
    }
    ray_signal_fini(&program->sigterm);
    ray_signal_fini(&program->sigint);
    provision_service_destroy(program->service);
    ray_loop_fini(&program->loop);
    return err.code == RAY_OK ? 0 : report(&err);
}

int main(int argc, char **argv)
{
    static const struct ray_args_command commands[] = {
        {.name = "serve",
         .help = "serve DHCP, TFTP, boot scripts and the image until SIGTERM",
         .options = serve_options,
         .run = serve},
        {0},
    };
    static const struct ray_args_command root = {
        .name = "rayos-provision",
        .help = "boots machines of a network into RayOS; events as JSON lines on standard output",
        .subcommands = commands,
    };
    static struct program program; /* large, and there is one */

    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) { /* a reader that goes away is an error of write */
        return 1;
    }
    return ray_args_main(&root, NULL, RAY_VERSION, argc, argv, &program);
}
