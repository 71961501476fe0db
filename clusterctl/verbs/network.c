/* network.c - records of networks. */
#include "base/size.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/complete.h"
#include "clusterctl/verbs/guest.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/spec_object.h"

static const struct output_column columns[] = {
    {"NAME", "name", OUTPUT_AS_TEXT},         {"VLAN", "spec.vlan", OUTPUT_AS_TEXT},
    {"MTU", "spec.mtu", OUTPUT_AS_TEXT},      {"DESCRIPTION", "spec.description", OUTPUT_AS_TEXT},
    {"REVISION", "revision", OUTPUT_AS_TEXT}, {0}};

static const struct spec_noun noun = {.name = "network",
                                      .plural = "networks",
                                      .kind = RAYOS__REGISTRY__KIND__KIND_NETWORK,
                                      .spec_kind = RAY_SPEC_NETWORK,
                                      .columns = columns};

static int set_number(const struct ray_args *args, const char *name, uint32_t *out,
                      struct ray_err *err)
{
    const char *given = ray_args_value(args, name);
    uint64_t value = 0;

    if (given == NULL) {
        return RAY_OK;
    }
    if (ray_parse_u64(given, 0, UINT32_MAX, &value) != RAY_OK) {
        return ray_fail(err, RAY_EUSAGE, "--%s %.32s is no number", name, given);
    }
    *out = (uint32_t)value;
    return RAY_OK;
}

static int run_put(const struct ray_args *args, bool is_new)
{
    const char *description = ray_args_value(args, "description");
    Rayos__Spec__NetworkSpec *spec;
    struct spec_object object;
    struct ray_err err = {0};
    int rc = spec_object_open(&object, &noun, args, is_new, &err);
    int status;

    if (rc == RAY_OK) {
        spec = (Rayos__Spec__NetworkSpec *)object.spec;
        rc = set_number(args, "vlan", &spec->vlan, &err);
        if (rc == RAY_OK) {
            rc = set_number(args, "mtu", &spec->mtu, &err);
        }
        if (description != NULL) {
            spec->description = (char *)(uintptr_t)description;
        }
    }
    status = rc == RAY_OK ? spec_object_put(&object, args, NULL) : output_error(&err);
    spec_object_close(&object);
    return status;
}

static int run_create(const struct ray_args *args, void *context)
{
    (void)context;
    return run_put(args, true);
}

static int run_set(const struct ray_args *args, void *context)
{
    (void)context;
    return run_put(args, false);
}

static const struct ray_args_option put_options[] = {
    {.name = "vlan", .value_name = "N", .help = "on the nodes' bridge; 0: untagged"},
    {.name = "mtu", .value_name = "BYTES", .help = "0: the bridge's"},
    {.name = "description", .value_name = "TEXT", .help = "for people"},
    SPEC_LABEL_OPTION,
    SPEC_DRY_RUN_OPTION,
    CLUSTER_REASON_OPTION,
    OUTPUT_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};

static const struct ray_args_command commands[] = {
    {.name = "create",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "a network that guests may be given",
     .options = put_options,
     .run = run_create},
    {.name = "list",
     .help = "all networks",
     .options = cluster_read_options,
     .run = spec_list,
     .subject = &noun},
    {.name = "show",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "one network, with its last changes",
     .options = cluster_read_options,
     .run = spec_show,
     .subject = &noun,
     .complete = complete_network},
    {.name = "set",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "change what options name; the rest stays",
     .options = put_options,
     .run = run_set,
     .complete = complete_network},
    {.name = "delete",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "delete a network's record for good",
     .options = spec_delete_options,
     .run = spec_delete,
     .subject = &noun,
     .complete = complete_network},
    {0}};

const struct ray_args_command network_command = {
    .name = "network", .help = "networks that guests may be given", .subcommands = commands};
