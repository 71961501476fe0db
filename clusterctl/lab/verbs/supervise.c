/* clusterctl/lab/verbs/supervise.c - the hidden commands that a lab starts of this program:
 * its supervisor and its switch. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/size.h"
#include "clusterctl/lab/supervisor.h"
#include "clusterctl/lab/switch.h"
#include "clusterctl/lab/verbs/verbs.h"

const struct ray_args_option lab_supervise_options[] = {
    LAB_NAME_OPTION,
    {.name = "ready-fd",
     .value_name = "FD",
     .default_value = "3",
     .help = "where one line tells whether the lab is there"},
    {0},
};

/* The lab's services, and a foreign DHCP server. */
enum { PACKET_PORT_COUNT_MAX = 2 };

int lab_run_supervise(const struct ray_args *args, void *context)
{
    struct lab_paths paths;
    struct ray_err err = {0};
    uint64_t fd;
    int rc = lab_paths_find(&paths, ray_args_value(args, "name"), &err);

    (void)context;
    rc = rc == RAY_OK ? lab_option_u64(args, "ready-fd", 3, 1023, &fd, &err) : rc;
    return rc == RAY_OK ? lab_supervisor_main(&paths, (int)fd) : lab_fail(&err);
}

const struct ray_args_option lab_switch_options[] = {
    {.name = "control",
     .value_name = "PATH",
     .default_value = LAB_FILE_SWITCH,
     .help = "socket for commands"},
    {.name = "seed", .value_name = "N", .default_value = "0", .help = "of the faults; 0: random"},
    {.name = "ready-fd",
     .value_name = "FD",
     .default_value = "3",
     .help = "where one line tells that all ports are open"},
    {.name = "packet",
     .value_name = "NAME=INTERFACE...",
     .help = "a port of the host; may be repeated"},
    {0},
};

/* "NAME=REST" into a port; `names` gives the name a place of its own. */
static int read_port(const char *text, enum ray_switch_port_kind kind,
                     char name[static RAY_SWITCH_NAME_SIZE], struct ray_switch_port_config *out,
                     struct ray_err *err)
{
    const char *equals = strchr(text, '=');

    if (equals == NULL || (size_t)(equals - text) >= RAY_SWITCH_NAME_SIZE) {
        return ray_fail(err, RAY_EUSAGE, "port '%s': NAME=PATH is needed", text);
    }
    (void)snprintf(name, RAY_SWITCH_NAME_SIZE, "%.*s", (int)(equals - text), text);
    *out = (struct ray_switch_port_config){.name = name, .kind = kind, .path = equals + 1};
    return RAY_OK;
}

int lab_run_switch(const struct ray_args *args, void *context)
{
    struct ray_switch_port_config ports[RAY_ARGS_POSITIONAL_COUNT_MAX + PACKET_PORT_COUNT_MAX];
    char names[RAY_ARGS_POSITIONAL_COUNT_MAX + PACKET_PORT_COUNT_MAX][RAY_SWITCH_NAME_SIZE];
    struct ray_switch_config config = {.ports = ports, .stop_fd = -1};
    struct ray_logger logger;
    struct ray_err err = {0};
    const char *packet;
    uint64_t ready_fd = 0;
    int rc = lab_option_u64(args, "seed", 0, UINT64_MAX, &config.seed, &err);

    (void)context;
    rc = rc == RAY_OK ? lab_option_u64(args, "ready-fd", 3, 1023, &ready_fd, &err) : rc;
    while (rc == RAY_OK && config.port_count < PACKET_PORT_COUNT_MAX &&
           (packet = ray_args_value_at(args, "packet", config.port_count)) != NULL) {
        rc = read_port(packet, RAY_SWITCH_PORT_PACKET, names[config.port_count],
                       &ports[config.port_count], &err);
        config.port_count++;
    }
    for (size_t i = 0; rc == RAY_OK && i < args->positional_count; i++) {
        rc = read_port(args->positionals[i], RAY_SWITCH_PORT_STREAM, names[config.port_count],
                       &ports[config.port_count], &err);
        config.port_count++;
    }
    if (rc != RAY_OK) {
        return lab_fail(&err);
    }
    ray_logger_init(&logger, 2, RAY_LOG_PLAIN, RAY_LOG_INFO);
    config.control_path = ray_args_value(args, "control");
    config.ready_fd = (int)ready_fd;
    config.logger = &logger;
    return ray_switch_main(&config);
}
