/* support.c - sections, each from one answer by its list of fields. One that cannot be had is named
 * with the reason: a bundle is made when something is wrong. */
#include "clusterctl/verbs/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "clusterctl/cli/allow.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/events.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/node_find.h"
#include "net/proto/node.pb-c.h"

/* No labels and specs (an operator's own words), no keys, no serials and addresses of cards, no
 * reasons of changes. */
static const char *const status_fields[] = {"quorate",       "leader",        "term",
                                            "revision",      "name",          "id",
                                            "fingerprint",   "cluster_epoch", "timing",
                                            "age_ms",        "node",          "node_id",
                                            "node_state",    "node_role",     "node_message",
                                            "commit_index",  "last_index",    "node_count",
                                            "feature_level", "common_level",  NULL};
static const char *const node_fields[] = {
    "name",    "role",      "state",   "health", "message", "address",      "id",
    "raft_id", "is_leader", "trouble", "domain", "is_up",   "is_ephemeral", NULL};
static const char *const token_fields[] = {
    "id", "uses_left", "expires_in_s", "needs_approval", "is_ephemeral", NULL};
static const char *const event_fields[] = {"sequence",  "time_us",  "what",    "text", "object",
                                           "principal", "revision", "has_gap", NULL};
static const char *const check_fields[] = {"name", "state", "message", "next_step", NULL};
static const char *const facts_fields[] = {
    "name",     "image_version",           "kernel", "boot_counter", "boot_path",
    "uptime_s", "has_persistent_identity", NULL};

struct bundle {
    const struct ray_args *args;
    yyjson_mut_doc *doc;
    yyjson_mut_val *root;
    yyjson_mut_val *missing;
    yyjson_mut_val *events;
    bool is_short; /* of memory */
};

/* NULL is a lack of memory. */
static void put(struct bundle *bundle, const char *section, yyjson_mut_val *value)
{
    bundle->is_short |= !yyjson_mut_obj_add_val(bundle->doc, bundle->root, section, value);
}

static void put_missing(struct bundle *bundle, const char *section, const struct ray_err *why)
{
    yyjson_mut_val *line = yyjson_mut_arr_add_obj(bundle->doc, bundle->missing);

    bundle->is_short |= !(yyjson_mut_obj_add_str(bundle->doc, line, "section", section) &&
                          yyjson_mut_obj_add_strcpy(bundle->doc, line, "why", why->text));
}

/* ---- sections ---- */

static void put_status(struct bundle *bundle)
{
    Rayos__Cluster__StatusRequest request = RAYOS__CLUSTER__STATUS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};

    if (cluster_call(bundle->args, "cluster.status", &request.base,
                     &rayos__cluster__status__descriptor, &body, &err) != RAY_OK) {
        put_missing(bundle, "status", &err);
        return;
    }
    put(bundle, "status",
        allow_object(bundle->doc, output_from_message(bundle->doc, body), status_fields));
    protobuf_c_message_free_unpacked(body, NULL);
}

static void put_nodes(struct bundle *bundle)
{
    Rayos__Cluster__Nodes *nodes = NULL;
    struct ray_err err = {0};

    if (node_list_fetch(bundle->args, false, &nodes, &err) != RAY_OK) {
        put_missing(bundle, "nodes", &err);
        return;
    }
    put(bundle, "nodes",
        allow_list(bundle->doc,
                   yyjson_mut_obj_get(output_from_message(bundle->doc, &nodes->base), "nodes"),
                   node_fields));
    node_list_free(nodes);
}

static void put_tokens(struct bundle *bundle)
{
    Rayos__Cluster__TokensRequest request = RAYOS__CLUSTER__TOKENS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};

    if (cluster_call(bundle->args, "token.list", &request.base, &rayos__cluster__tokens__descriptor,
                     &body, &err) != RAY_OK) {
        put_missing(bundle, "tokens", &err);
        return;
    }
    put(bundle, "tokens",
        allow_list(bundle->doc,
                   yyjson_mut_obj_get(output_from_message(bundle->doc, body), "tokens"),
                   token_fields));
    protobuf_c_message_free_unpacked(body, NULL);
}

static void on_event(void *arg, const Rayos__Cluster__Event *event)
{
    struct bundle *bundle = arg;

    bundle->is_short |= !yyjson_mut_arr_append(
        bundle->events,
        allow_object(bundle->doc, output_from_message(bundle->doc, &event->base), event_fields));
}

static void put_events(struct bundle *bundle)
{
    struct ray_err err = {0};

    bundle->events = yyjson_mut_arr(bundle->doc);
    put(bundle, "events", bundle->events);
    if (!bundle->is_short && events_each(bundle->args, on_event, bundle, &err) != RAY_OK) {
        put_missing(bundle, "events", &err);
    }
}

/* What only the node itself tells, where this runs on one. */
static void put_here(struct bundle *bundle)
{
    Rayos__Node__HealthRequest health = RAYOS__NODE__HEALTH_REQUEST__INIT;
    Rayos__Node__FactsRequest facts = RAYOS__NODE__FACTS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};

    if (!cluster_is_here(bundle->args)) {
        return;
    }
    if (cluster_call_here(bundle->args, "node.health", &health.base,
                          &rayos__node__health__descriptor, &body, &err) == RAY_OK) {
        put(bundle, "health",
            allow_list(bundle->doc,
                       yyjson_mut_obj_get(output_from_message(bundle->doc, body), "checks"),
                       check_fields));
        protobuf_c_message_free_unpacked(body, NULL);
    } else {
        put_missing(bundle, "health", &err);
    }
    body = NULL;
    if (cluster_call_here(bundle->args, "node.facts", &facts.base, &rayos__node__facts__descriptor,
                          &body, &err) == RAY_OK) {
        put(bundle, "facts",
            allow_object(bundle->doc, output_from_message(bundle->doc, body), facts_fields));
        protobuf_c_message_free_unpacked(body, NULL);
    } else {
        put_missing(bundle, "facts", &err);
    }
}

static void collect(struct bundle *bundle)
{
    put(bundle, "clusterctl", yyjson_mut_str(bundle->doc, RAY_VERSION));
    put(bundle, "missing", bundle->missing);
    put_status(bundle);
    put_nodes(bundle);
    put_tokens(bundle);
    put_events(bundle);
    put_here(bundle);
}

/* ---- the verb ---- */

/* It must not be there: a slip of the pen would be an old bundle, or something else. */
static int write_file(const char *path, const char *text, size_t size, struct ray_err *err)
{
    if (access(path, F_OK) == 0) {
        (void)ray_fail(err, RAY_EEXISTS, "%s is there already", path);
        (void)ray_next(err, "give another name");
        return RAY_EEXISTS;
    }
    return ray_atomic_write(AT_FDCWD, path, text, size, S_IRUSR | S_IWUSR, err);
}

static int hand_out(const struct ray_args *args, yyjson_mut_val *root, struct ray_err *err)
{
    yyjson_write_err why = {0};
    size_t size = 0;
    char *text = yyjson_mut_val_write_opts(
        root,
        YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_ESCAPE_UNICODE | YYJSON_WRITE_NEWLINE_AT_END,
        NULL, &size, &why);
    int rc = RAY_OK;

    if (text == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a bundle: %s", why.msg);
    }
    if (ray_args_flag(args, "show")) {
        if (fwrite(text, 1, size, stdout) != size || fflush(stdout) != 0) {
            rc = ray_fail(err, RAY_EIO, "cannot write the output");
        }
    } else {
        rc = write_file(args->positionals[0], text, size, err);
    }
    free(text);
    return rc;
}

static int run_bundle(const struct ray_args *args, void *context)
{
    struct bundle bundle = {.args = args, .doc = yyjson_mut_doc_new(NULL)};
    struct ray_err err = {0};
    int rc = RAY_OK;

    (void)context;
    if (ray_args_flag(args, "show") == (args->positional_count > 0)) {
        rc = ray_fail(&err, RAY_EUSAGE, "either --show or the name of a file that is to be made");
    }
    if (rc == RAY_OK) {
        bundle.root = yyjson_mut_obj(bundle.doc);
        bundle.missing = yyjson_mut_arr(bundle.doc);
        collect(&bundle);
        rc = bundle.is_short ? ray_fail(&err, RAY_ENOMEM, "a bundle")
                             : hand_out(args, bundle.root, &err);
    }
    yyjson_mut_doc_free(bundle.doc);
    return rc == RAY_OK ? 0 : output_error(&err);
}

static const struct ray_args_option bundle_options[] = {
    {.name = "show", .help = "print what would be in it"},
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("10"),
    {0}};

static const struct ray_args_command subcommands[] = {
    {.name = "bundle",
     .positional = "[FILE]",
     .positional_max = 1,
     .help = "state, nodes and events for whoever helps you; no secrets, labels or specs",
     .options = bundle_options,
     .run = run_bundle},
    {0}};

const struct ray_args_command support_command = {
    .name = "support", .help = "help from others", .subcommands = subcommands};
