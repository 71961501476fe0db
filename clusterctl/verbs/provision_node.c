#include "clusterctl/verbs/provision_node.h"

#include <stdio.h>

#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/provision_call.h"
#include "clusterctl/verbs/service_restart.h"
#include "net/proto/init.pb-c.h"

static char *option_text(const struct ray_args *args, const char *name, char *preset)
{
    const char *value = ray_args_value(args, name);

    return value != NULL ? (char *)(uintptr_t)value : preset;
}

static int order(const struct ray_args *args, const char *method, const ProtobufCMessage *request,
                 struct ray_err *err)
{
    ProtobufCMessage *body = NULL;
    int rc =
        node_call(args, "init.sock", method, request, &rayos__init__done__descriptor, &body, err);

    if (rc == RAY_OK) {
        protobuf_c_message_free_unpacked(body, NULL);
    }
    return rc;
}

int provision_enable(const struct ray_args *args, void *context)
{
    Rayos__Init__ProvisionEnableRequest request = RAYOS__INIT__PROVISION_ENABLE_REQUEST__INIT;
    uint32_t start_count = 0;
    struct ray_err err = {0};
    int rc;

    (void)context;
    request.mode = option_text(args, "mode", request.mode);
    request.interface = option_text(args, "interface", request.interface);
    request.address = option_text(args, "address", request.address);
    request.range = option_text(args, "range", request.range);
    request.reason = option_text(args, "reason", request.reason);
    if (request.mode[0] == '\0') { /* no default: a network is not answered by accident */
        (void)ray_fail(&err, RAY_EUSAGE, "--mode is missing");
        (void)ray_next(&err,
                       "give --mode proxy beside a DHCP server, dhcp on a network of its own");
        return output_error(&err);
    }
    rc = node_service_start_count(args, "provision", &start_count, &err);
    if (rc == RAY_OK && ray_args_flag(args, "dry-run")) {
        (void)printf("would serve in mode %s on %s, from now on and at every boot\n", request.mode,
                     request.interface);
        return 0;
    }
    rc = rc == RAY_OK ? order(args, "init.provision_enable", &request.base, &err) : rc;
    rc = rc == RAY_OK ? node_service_wait(args, "provision", start_count, &err) : rc;
    if (rc != RAY_OK) {
        return output_error(&err);
    }
    (void)printf("this node boots other machines; give it an image: clusterctl image-release add "
                 "FOLDER\n");
    return 0;
}

int provision_disable(const struct ray_args *args, void *context)
{
    Rayos__Init__ProvisionDisableRequest request = RAYOS__INIT__PROVISION_DISABLE_REQUEST__INIT;
    struct ray_err err = {0};

    (void)context;
    request.reason = option_text(args, "reason", request.reason);
    if (ray_args_flag(args, "dry-run")) {
        (void)printf("would stop booting other machines\n");
        return 0;
    }
    if (order(args, "init.provision_disable", &request.base, &err) != RAY_OK) {
        return output_error(&err);
    }
    (void)printf("this node boots no other machines; its images and machines stay\n");
    return 0;
}

const struct ray_args_option provision_enable_options[] = {
    {.name = "mode",
     .value_name = "MODE",
     .choices = "dhcp|proxy|http",
     .help =
         "who gives addresses: we, another DHCP server (we add where to boot), or neither DHCP"},
    {.name = "interface",
     .value_name = "NAME",
     .default_value = "ray0",
     .help = "network interface to serve on"},
    {.name = "address",
     .value_name = "IP/BITS",
     .help = "one that the interface has; without it the one that DHCP gave"},
    {.name = "range", .value_name = "FIRST,LAST", .help = "addresses for machines (mode dhcp)"},
    PROVISION_REASON_OPTION,
    PROVISION_DRY_RUN_OPTION,
    NODE_SOCKET_DIR_OPTION,
    NODE_TIMEOUT_OPTION("60"),
    {0}};

const struct ray_args_option provision_disable_options[] = {PROVISION_REASON_OPTION,
                                                            PROVISION_DRY_RUN_OPTION,
                                                            NODE_SOCKET_DIR_OPTION,
                                                            NODE_TIMEOUT_OPTION("30"),
                                                            {0}};
