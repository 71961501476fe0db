#include "clusterctl/verbs/guest.h"

#include <string.h>

#include "base/size.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/complete.h"
#include "clusterctl/verbs/guest_options.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/spec_object.h"

/* ---- guests ---- */

/* As its home has seen it; one that never ran has only been defined. */
static const char *state_of(const Rayos__Registry__Guest *guest)
{
    static const char *const names[] = {"unknown", "stopped", "starting",
                                        "running", "frozen",  "failed"};

    if (guest == NULL ||
        (guest->home == NULL && (guest->epoch == NULL || guest->epoch->index == 0))) {
        return "defined";
    }
    return (size_t)guest->state < RAY_ARRAY_COUNT(names) ? names[guest->state] : "unknown";
}

static bool add_guest(yyjson_mut_doc *doc, yyjson_mut_val *tree,
                      const Rayos__Registry__Object *object)
{
    const Rayos__Registry__Guest *guest =
        object->body_case == RAYOS__REGISTRY__OBJECT__BODY_GUEST ? object->guest : NULL;
    char node[RAY_ID_TEXT_SIZE] = "";
    struct ray_id id;

    if (guest != NULL && guest->home != NULL &&
        ray_id_from_bytes(guest->home->node.data, guest->home->node.len, &id, NULL) == RAY_OK) {
        (void)ray_id_format(&id, node);
    }
    return yyjson_mut_obj_add_str(doc, tree, "state",
                                  object->is_gone ? "deleting" : state_of(guest)) &&
           yyjson_mut_obj_add_strcpy(doc, tree, "node_id", node) &&
           yyjson_mut_obj_add_strcpy(doc, tree, "message", guest == NULL ? "" : guest->message);
}

static const struct output_column guest_columns[] = {
    {"NAME", "name", OUTPUT_AS_TEXT},         {"STATE", "state", OUTPUT_AS_TEXT},
    {"VCPUS", "spec.vcpus", OUTPUT_AS_TEXT},  {"MEMORY", "spec.memory_bytes", OUTPUT_AS_SIZE},
    {"IMAGE", "spec.image", OUTPUT_AS_TEXT},  {"NODE", "node_id", OUTPUT_AS_TEXT},
    {"REVISION", "revision", OUTPUT_AS_TEXT}, {0}};

const struct spec_noun guest_noun = {.name = "guest",
                                     .plural = "guests",
                                     .kind = RAYOS__REGISTRY__KIND__KIND_GUEST,
                                     .spec_kind = RAY_SPEC_GUEST,
                                     .columns = guest_columns,
                                     .add = add_guest};

/* What 0 stands for is written down, so that a later default changes no guest. */
static void settle(Rayos__Spec__GuestSpec *spec)
{
    spec->vcpus = spec->vcpus == 0 ? 1 : spec->vcpus;
    spec->memory_bytes = spec->memory_bytes == 0 ? RAY_SPEC_MEMORY_DEFAULT : spec->memory_bytes;
}

static Rayos__Registry__Guest *old_body(const struct spec_object *object)
{
    return object->old->body_case == RAYOS__REGISTRY__OBJECT__BODY_GUEST ? object->old->guest
                                                                         : NULL;
}

static int run_guest_put(const struct ray_args *args, bool is_new)
{
    Rayos__Registry__Guest body = RAYOS__REGISTRY__GUEST__INIT;
    Rayos__Spec__GuestSpec *spec;
    struct spec_object object;
    struct ray_err err = {0};
    int rc = spec_object_open(&object, &guest_noun, args, is_new, &err);
    int status;

    if (rc == RAY_OK) {
        spec = (Rayos__Spec__GuestSpec *)object.spec;
        rc = guest_options_apply(args, &spec, &object.arena, &err);
        if (rc == RAY_OK) {
            settle(spec);
            object.spec = &spec->base;
        }
    }
    status = rc == RAY_OK ? spec_object_put(&object, args, is_new ? &body : old_body(&object))
                          : output_error(&err);
    spec_object_close(&object);
    return status;
}

static int run_guest_create(const struct ray_args *args, void *context)
{
    (void)context;
    return run_guest_put(args, true);
}

static int run_guest_set(const struct ray_args *args, void *context)
{
    (void)context;
    return run_guest_put(args, false);
}

static const struct ray_args_option guest_put_options[] = {
    GUEST_SPEC_OPTIONS, SPEC_LABEL_OPTION,     SPEC_DRY_RUN_OPTION,       CLUSTER_REASON_OPTION,
    OUTPUT_OPTION,      CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};

static const struct ray_args_command guest_commands[] = {
    {.name = "create",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "define a guest; it is not started",
     .options = guest_put_options,
     .run = run_guest_create},
    {.name = "list",
     .help = "all guests",
     .options = cluster_read_options,
     .run = spec_list,
     .subject = &guest_noun},
    {.name = "show",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "one guest, with its spec and its last changes",
     .options = cluster_read_options,
     .run = spec_show,
     .subject = &guest_noun,
     .complete = complete_guest},
    {.name = "set",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "change what options name; the rest stays",
     .options = guest_put_options,
     .run = run_guest_set,
     .complete = complete_guest},
    {.name = "delete",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "delete a guest for good",
     .options = spec_delete_options,
     .run = spec_delete,
     .subject = &guest_noun,
     .complete = complete_guest},
    {0}};

const struct ray_args_command guest_command = {
    .name = "guest", .help = "guests: what they are to be", .subcommands = guest_commands};
