/* provision.c - status and check are calls; run becomes rayos-provision. */
#include "clusterctl/verbs/provision.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "clusterctl/verbs/provision_call.h"
#include "clusterctl/verbs/provision_node.h"
#include "net/proto/provision.pb-c.h"

#define PROGRAM "rayos-provision"
#define INSTALLED_PROGRAM "/usr/lib/rayos/" PROGRAM

static int run_status(const struct ray_args *args, void *context)
{
    Rayos__Provision__StatusRequest request = RAYOS__PROVISION__STATUS_REQUEST__INIT;

    (void)context;
    return provision_print_reply(
        args,
        &(const struct provision_call){.method = "provision.status",
                                       .request = &request.base,
                                       .reply = &rayos__provision__status__descriptor},
        &(const struct output_view){.name_key = "state"});
}

/* 0 when nothing failed: scripts ask for that. */
static int run_check(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {{"CHECK", "name", OUTPUT_AS_TEXT},
                                                   {"STATE", "state", OUTPUT_AS_TEXT},
                                                   {"WHAT", "text", OUTPUT_AS_TEXT},
                                                   {"NEXT", "next", OUTPUT_AS_TEXT},
                                                   {0}};
    static const struct output_view view = {.list_key = "results", .columns = columns};
    Rayos__Provision__CheckRequest request = RAYOS__PROVISION__CHECK_REQUEST__INIT;
    const Rayos__Provision__CheckReport *report;
    ProtobufCMessage *reply = NULL;
    struct ray_err err = {0};
    int status;

    (void)context;
    if (provision_call(
            args,
            &(const struct provision_call){.method = "provision.check",
                                           .request = &request.base,
                                           .reply = &rayos__provision__check_report__descriptor},
            &reply, &err) != RAY_OK) {
        return output_error(&err);
    }
    status = output_message(args, reply, &view);
    report = (const Rayos__Provision__CheckReport *)reply;
    for (size_t i = 0; status == 0 && i < report->n_results; i++) {
        if (strcmp(report->results[i]->state, "failed") == 0) {
            status = 1;
        }
    }
    protobuf_c_message_free_unpacked(reply, NULL);
    return status;
}

/* Where our own program lies, with the other's name; "" when that cannot be told. */
static void sibling_program(char out[static PATH_MAX])
{
    ssize_t size = readlink("/proc/self/exe", out, PATH_MAX - sizeof PROGRAM - 1);
    char *slash;

    out[size > 0 ? size : 0] = '\0';
    slash = strrchr(out, '/');
    if (slash == NULL) {
        out[0] = '\0';
    } else {
        memcpy(slash + 1, PROGRAM, sizeof PROGRAM); /* there is room for it */
    }
}

/* Becomes the service: signals, exit status and terminal are its own from here on. */
static int run_run(const struct ray_args *args, void *context)
{
    const char *argv[RAY_ARGS_POSITIONAL_COUNT_MAX + 3] = {PROGRAM, "serve"};
    char path[PATH_MAX];
    struct ray_err err = {0};

    (void)context;
    for (size_t i = 0; i < args->positional_count; i++) {
        argv[2 + i] = args->positionals[i];
    }
    sibling_program(path);
    if (path[0] == '\0' || access(path, X_OK) < 0) {
        (void)snprintf(path, sizeof path, "%s", INSTALLED_PROGRAM);
    }
    (void)execv(path, (char *const *)argv);
    (void)ray_fail_errno(&err, errno, "%s", path);
    (void)ray_next(&err, "install it beside clusterctl, or build it: make build");
    return output_error(&err);
}

static const struct ray_args_option show_options[] = {
    OUTPUT_OPTION, PROVISION_SOCKET_OPTION, PROVISION_TIMEOUT_OPTION, {0}};

static const struct ray_args_command provision_subcommands[] = {
    {.name = "run",
     .positional = "-- OPTION...",
     .positional_max = RAY_ARGS_POSITIONAL_COUNT_MAX,
     .help = "serve in the foreground; options of 'rayos-provision serve'",
     .run = run_run},
    {.name = "status",
     .help = "what the service does and whether it is well",
     .options = show_options,
     .run = run_status},
    {.name = "check",
     .help = "look for what keeps machines from booting: another DHCP server, a blocked port, ...",
     .options = show_options,
     .run = run_check},
    {.name = "enable",
     .help = "let this node boot other machines, from now on and at every boot",
     .options = provision_enable_options,
     .run = provision_enable},
    {.name = "disable",
     .help = "let this node boot no other machines; its images and machines stay",
     .options = provision_disable_options,
     .run = provision_disable},
    {0}};

const struct ray_args_command provision_command = {
    .name = "provision",
    .help = "the service that boots machines over the network",
    .subcommands = provision_subcommands,
};
