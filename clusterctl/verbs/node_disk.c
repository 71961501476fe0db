/* node_disk.c - with the name of a node by way of a member of its cluster, without one by this
 * machine's own PID 1, which needs no cluster and no network. What would be refused is refused
 * before anybody is asked to type; rayos-disk looks again before it writes. */
#include "clusterctl/verbs/node_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/complete.h"
#include "clusterctl/verbs/confirm.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/node_find.h"
#include "clusterctl/verbs/node_wait.h"
#include "net/proto/cluster.pb-c.h"
#include "net/proto/init.pb-c.h"

enum { REASON_SIZE = 512, TEXT_SIZE = 1024, SIZE_TEXT_SIZE = 16, WHY_SIZE = 256 };

/* ---- where ---- */

struct place {
    const struct ray_args *args;
    const char *name; /* NULL: this machine */
    Rayos__Cluster__Nodes *nodes;
    Rayos__Cluster__Order order;
    char reason[REASON_SIZE];
};

static int check_options(const struct place *place, struct ray_err *err)
{
    if (place->name == NULL && (ray_args_value(place->args, "socket") != NULL ||
                                ray_args_value(place->args, "context") != NULL)) {
        (void)ray_fail(err, RAY_EUSAGE, "without the name of a node it is this machine");
        (void)ray_next(err, "give the name of a node: clusterctl node list");
        return RAY_EUSAGE;
    }
    return RAY_OK;
}

static int place_init(struct place *place, const struct ray_args *args, const char *name,
                      struct ray_err *err)
{
    const Rayos__Cluster__NodeStatus *node = NULL;
    int rc;

    *place = (struct place){.args = args, .name = name, .order = RAYOS__CLUSTER__ORDER__INIT};
    rc = check_options(place, err);
    if (rc != RAY_OK || name == NULL) {
        return rc;
    }
    rc = node_list_fetch(args, false, &place->nodes, err);
    if (rc == RAY_OK) {
        rc = node_find(place->nodes, NULL, name, &node, err);
    }
    if (rc == RAY_OK) {
        place->name = node->name;
        place->order.node = node->id;
    }
    return rc;
}

static void place_fini(struct place *place)
{
    node_list_free(place->nodes);
}

static int fetch_disks(struct place *place, Rayos__Init__Disks **out, struct ray_err *err)
{
    const Rayos__Init__DisksRequest here = RAYOS__INIT__DISKS_REQUEST__INIT;
    Rayos__Cluster__DisksRequest there = RAYOS__CLUSTER__DISKS_REQUEST__INIT;
    const ProtobufCMessageDescriptor *output = &rayos__init__disks__descriptor;
    ProtobufCMessage *body = NULL;
    int rc;

    there.order = &place->order;
    rc = place->name == NULL
             ? node_call(place->args, "init.sock", "init.disks", &here.base, output, &body, err)
             : cluster_call(place->args, "node.disks", &there.base, output, &body, err);
    if (rc == RAY_OK) {
        *out = (Rayos__Init__Disks *)body;
    }
    return rc;
}

static int send_order(struct place *place, const Rayos__Init__Disk *disk,
                      Rayos__Init__DiskPrepared **out, struct ray_err *err)
{
    Rayos__Init__DiskPrepareRequest here = RAYOS__INIT__DISK_PREPARE_REQUEST__INIT;
    Rayos__Cluster__DiskPrepareRequest there = RAYOS__CLUSTER__DISK_PREPARE_REQUEST__INIT;
    const ProtobufCMessageDescriptor *output = &rayos__init__disk_prepared__descriptor;
    const char *reason = cluster_reason(place->args, place->reason, sizeof place->reason);
    ProtobufCMessage *body = NULL;
    int rc;

    here.disk = disk->name;
    here.serial = disk->serial;
    here.is_wiped = ray_args_flag(place->args, "wipe");
    here.reason = (char *)(uintptr_t)reason;
    there.order = &place->order;
    there.order->reason = here.reason;
    there.disk = here.disk;
    there.serial = here.serial;
    there.is_wiped = here.is_wiped;
    rc = place->name == NULL
             ? node_call(place->args, "init.sock", "init.disk_prepare", &here.base, output, &body,
                         err)
             : cluster_call(place->args, "node.disk_prepare", &there.base, output, &body, err);
    if (rc == RAY_OK) {
        *out = (Rayos__Init__DiskPrepared *)body;
    }
    return rc;
}

/* ---- list ---- */

static int run_list(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {{"DISK", "name", OUTPUT_AS_TEXT},
                                                   {"SIZE", "size_bytes", OUTPUT_AS_SIZE},
                                                   {"MODEL", "model", OUTPUT_AS_TEXT},
                                                   {"SERIAL", "serial", OUTPUT_AS_TEXT},
                                                   {"DATA", "data", OUTPUT_AS_TEXT},
                                                   {"IN USE", "in_use", OUTPUT_AS_TEXT},
                                                   {"CONTENT", "content", OUTPUT_AS_TEXT},
                                                   {"TROUBLE", "trouble", OUTPUT_AS_TEXT},
                                                   {0}};
    static const struct output_view view = {.list_key = "disks", .columns = columns};
    Rayos__Init__Disks *disks = NULL;
    struct place place;
    struct ray_err err = {0};
    int status = 0;
    int rc =
        place_init(&place, args, args->positional_count > 0 ? args->positionals[0] : NULL, &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = fetch_disks(&place, &disks, &err);
    }
    if (rc == RAY_OK) {
        status = output_message(args, &disks->base, &view);
        rayos__init__disks__free_unpacked(disks, NULL);
    }
    place_fini(&place);
    return rc == RAY_OK ? status : output_error(&err);
}

/* ---- prepare ---- */

static int find_disk(const Rayos__Init__Disks *disks, const char *name,
                     const Rayos__Init__Disk **out, struct ray_err *err)
{
    for (size_t i = 0; i < disks->n_disks; i++) {
        if (strcmp(disks->disks[i]->name, name) == 0) {
            *out = disks->disks[i];
            return RAY_OK;
        }
    }
    (void)ray_fail(err, RAY_ENOTFOUND, "there is no disk '%s'", name);
    (void)ray_next(err, "clusterctl node disk list");
    return RAY_ENOTFOUND;
}

static void show(const Rayos__Init__Disk *disk)
{
    const char *const words[] = {disk->name, disk->model, disk->serial, disk->content};
    char texts[4][TEXT_SIZE / 4];
    char size[SIZE_TEXT_SIZE];

    for (size_t i = 0; i < RAY_ARRAY_COUNT(words); i++) {
        (void)ray_escape(texts[i], sizeof texts[i], words[i], strlen(words[i]));
    }
    (void)printf("disk     %s, %s%s%s\n", texts[0], ray_format_size(disk->size_bytes, size),
                 texts[1][0] != '\0' ? ", " : "", texts[1]);
    (void)printf("serial   %s\n", disk->has_serial ? texts[2] : "none");
    (void)printf("content  %s\n", texts[3][0] != '\0' ? texts[3] : "none");
    (void)printf("becomes  RAYOS_DATA, XFS\n");
    (void)fflush(stdout); /* before what goes to stderr */
}

static int check_others(const Rayos__Init__Disks *disks, const Rayos__Init__Disk *disk,
                        struct ray_err *err)
{
    for (size_t i = 0; i < disks->n_disks; i++) {
        if (disks->disks[i] != disk && disks->disks[i]->data[0] != '\0') {
            (void)ray_fail(err, RAY_ECONFLICT,
                           "%s is RAYOS_DATA already, and there can be only one",
                           disks->disks[i]->data);
            (void)ray_next(err, "take that disk out of the machine first");
            return RAY_ECONFLICT;
        }
    }
    return RAY_OK;
}

static int check_disk(const struct ray_args *args, const Rayos__Init__Disk *disk,
                      struct ray_err *err)
{
    if (disk->in_use[0] != '\0') {
        (void)ray_fail(err, RAY_ECONFLICT, "%s is in use: %s", disk->name, disk->in_use);
        (void)ray_next(err, "give another disk: clusterctl node disk list");
        return RAY_ECONFLICT;
    }
    if (disk->trouble[0] != '\0' || disk->is_readonly) {
        (void)ray_fail(err, RAY_EUNSUPPORTED, "%s",
                       disk->trouble[0] != '\0' ? disk->trouble : "the disk is read-only");
        (void)ray_next(err, "give another disk; one with sectors of 4096 bytes can perhaps be "
                            "formatted to 512 (nvme format)");
        return RAY_EUNSUPPORTED;
    }
    if (disk->content[0] != '\0' && !ray_args_flag(args, "wipe")) {
        (void)ray_fail(err, RAY_EEXISTS, "%s has content: %s", disk->name, disk->content);
        (void)ray_next(err, "if nobody needs it, repeat with --wipe");
        return RAY_EEXISTS;
    }
    return RAY_OK;
}

static int confirm(const struct ray_args *args, const Rayos__Init__Disk *disk, struct ray_err *err)
{
    const char *given = ray_args_value(args, "serial");
    const char *what = disk->has_serial ? "serial number" : "size in bytes";
    char why[WHY_SIZE];

    (void)snprintf(why, sizeof why, "All that is on %.32s will be lost.", disk->name);
    return confirm_serial(given, why, what, disk->serial, err);
}

static void say_prepared(const Rayos__Init__DiskPrepared *prepared, const Rayos__Init__Disk *disk)
{
    const char *name = prepared->partition[0] != '\0' ? prepared->partition : disk->name;
    char escaped[TEXT_SIZE / 4];
    char size[SIZE_TEXT_SIZE];

    (void)ray_escape(escaped, sizeof escaped, name, strlen(name));
    (void)printf("written and read back: %.32s is RAYOS_DATA, %s; the next boot uses it\n", escaped,
                 ray_format_size(prepared->size_bytes, size));
}

static int prepare(struct place *place, const Rayos__Init__Disks *disks,
                   const Rayos__Init__Disk *disk, struct ray_err *err)
{
    Rayos__Init__DiskPrepared *prepared = NULL;
    int rc = check_others(disks, disk, err);

    if (rc == RAY_OK) {
        rc = check_disk(place->args, disk, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    show(disk);
    if (ray_args_flag(place->args, "dry-run")) {
        return RAY_OK;
    }
    rc = confirm(place->args, disk, err);
    rc = rc == RAY_OK ? send_order(place, disk, &prepared, err) : rc;
    if (rc == RAY_OK) {
        say_prepared(prepared, disk);
        rayos__init__disk_prepared__free_unpacked(prepared, NULL);
    }
    return rc;
}

static int run_prepare(const struct ray_args *args, void *context)
{
    bool is_here = args->positional_count == 1;
    const Rayos__Init__Disk *disk = NULL;
    Rayos__Init__Disks *disks = NULL;
    struct place place;
    struct ray_err err = {0};
    int rc = place_init(&place, args, is_here ? NULL : args->positionals[0], &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = fetch_disks(&place, &disks, &err);
    }
    if (rc == RAY_OK) {
        rc = find_disk(disks, args->positionals[is_here ? 0 : 1], &disk, &err);
    }
    if (rc == RAY_OK) {
        rc = prepare(&place, disks, disk, &err);
    }
    if (disks != NULL) {
        rayos__init__disks__free_unpacked(disks, NULL);
    }
    place_fini(&place);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- the table ---- */

static const struct ray_args_option list_options[] = {
    OUTPUT_OPTION, CLUSTER_SOCKET_OPTION, NODE_SOCKET_DIR_OPTION, NODE_TIMEOUT_OPTION("60"), {0}};

static const struct ray_args_option prepare_options[] = {
    {.name = "serial",
     .value_name = "NUMBER",
     .help = "serial number of the disk, instead of typing it when asked"},
    {.name = "wipe", .help = "although there is content; all of it is lost"},
    NODE_DRY_RUN_OPTION,
    CLUSTER_REASON_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_SOCKET_DIR_OPTION,
    NODE_TIMEOUT_OPTION("600"),
    {0}};

const struct ray_args_command node_disk_commands[] = {
    {.name = "list",
     .positional = "[NAME]",
     .positional_max = 1,
     .help = "the disks of a node of the cluster, or of this machine",
     .options = list_options,
     .run = run_list,
     .complete = complete_node},
    {.name = "prepare",
     .positional = "[NAME] DISK",
     .positional_min = 1,
     .positional_max = 2,
     .help = "make a disk RAYOS_DATA",
     .options = prepare_options,
     .run = run_prepare,
     .complete = complete_node},
    {0}};
