#include "clusterctl/verbs/provision_node.h"

#include <stdio.h>
#include <string.h>

#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/boot_image.h"
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

/* The disk may have been written anew since the node was started. */
static void print_image(const Rayos__Provision__Image *added, const Rayos__Init__BootImage *files)
{
    (void)printf("image %s (%.12s) of %s %s\n", added->version, added->id, files->device,
                 added->is_new ? "is added" : "was there already");
    if (strcmp(added->version, files->version) != 0) {
        (void)printf("note: this node itself runs %s\n", files->version);
    }
}

static int give_own_image(const struct ray_args *args, const struct boot_image *image,
                          const char *reason, struct ray_err *err)
{
    Rayos__Provision__Image *added = NULL;
    int rc = boot_image_give(args, image, reason, &added, err);

    if (rc != RAY_OK) {
        return ray_wrap(err, rc, "the service is on, but did not get this node's image");
    }
    print_image(added, image->files);
    protobuf_c_message_free_unpacked(&added->base, NULL);
    return RAY_OK;
}

/* The image is opened first: without it nothing is changed. */
static int enable(const struct ray_args *args, const Rayos__Init__ProvisionEnableRequest *request,
                  struct boot_image *image, struct ray_err *err)
{
    bool has_image = ray_args_flag(args, "from-esp");
    uint32_t start_count = 0;
    int rc = node_service_start_count(args, "provision", &start_count, err);

    rc = rc == RAY_OK && has_image ? boot_image_open(args, image, err) : rc;
    if (rc == RAY_OK && ray_args_flag(args, "dry-run")) {
        (void)printf("would serve in mode %s on %s, from now on and at every boot\n", request->mode,
                     request->interface);
        if (has_image) {
            (void)printf("would give it the image of %s\n", image->files->device);
        }
        return RAY_OK;
    }
    rc = rc == RAY_OK ? order(args, "init.provision_enable", &request->base, err) : rc;
    rc = rc == RAY_OK ? node_service_wait(args, "provision", start_count, err) : rc;
    rc = rc == RAY_OK && has_image ? give_own_image(args, image, request->reason, err) : rc;
    if (rc == RAY_OK) {
        (void)printf("this node boots other machines%s\n",
                     has_image ? ""
                               : "; give it an image: clusterctl image-release add FOLDER, or "
                                 "enable it again with --from-esp");
    }
    return rc;
}

int provision_enable(const struct ray_args *args, void *context)
{
    Rayos__Init__ProvisionEnableRequest request = RAYOS__INIT__PROVISION_ENABLE_REQUEST__INIT;
    struct boot_image image = {0};
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
    rc = enable(args, &request, &image, &err);
    boot_image_close(&image);
    return rc == RAY_OK ? 0 : output_error(&err);
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
    {.name = "from-esp",
     .help = "serve the image that this node was started from, on its own disk"},
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
