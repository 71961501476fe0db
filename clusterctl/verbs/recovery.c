/* recovery.c - inventory, recover, confirm-off. The first two are about one member, the one that is
 * called, or (inventory) its disk: there is no cluster that could be asked. */
#include "clusterctl/verbs/recovery.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/confirm.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/node_find.h"
#include "clusterctl/verbs/registry_call.h"
#include "coordinator/store/inventory_api.h"
#include "net/proto_codec.h"

enum { NAMED_MAX = 64, REASON_SIZE = 128, PAUSE_MS = 300, TEXT_SIZE = 1024 };

static int fetch_status(const struct ray_args *args, Rayos__Cluster__Status **out,
                        struct ray_err *err)
{
    Rayos__Cluster__StatusRequest request = RAYOS__CLUSTER__STATUS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    int rc = cluster_call_here(args, "cluster.status", &request.base,
                               &rayos__cluster__status__descriptor, &body, err);

    if (rc == RAY_OK) {
        *out = (Rayos__Cluster__Status *)body;
    }
    return rc;
}

static void free_status(Rayos__Cluster__Status *status)
{
    if (status != NULL) {
        rayos__cluster__status__free_unpacked(status, NULL);
    }
}

/* ---- inventory ---- */

static bool add_text(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, const char *text)
{
    return yyjson_mut_obj_add_strcpy(doc, root, key, text);
}

static yyjson_mut_val *show_inventory(yyjson_mut_doc *doc, const Rayos__Cluster__Status *status)
{
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *voters = yyjson_mut_arr(doc);
    bool is_ok = root != NULL && voters != NULL;

    for (size_t i = 0; is_ok && i < status->n_voters; i++) {
        is_ok = yyjson_mut_arr_add_strcpy(doc, voters, status->voters[i]);
    }
    is_ok = is_ok && add_text(doc, root, "node", status->node) &&
            add_text(doc, root, "node_id", status->node_id) &&
            add_text(doc, root, "node_state", status->node_state) &&
            add_text(doc, root, "node_role", status->node_role) &&
            add_text(doc, root, "cluster", status->name) &&
            add_text(doc, root, "cluster_id", status->id) &&
            yyjson_mut_obj_add_uint(doc, root, "cluster_epoch", status->cluster_epoch) &&
            yyjson_mut_obj_add_uint(doc, root, "term", status->term) &&
            yyjson_mut_obj_add_uint(doc, root, "last_term", status->last_term) &&
            yyjson_mut_obj_add_uint(doc, root, "last_index", status->last_index) &&
            yyjson_mut_obj_add_uint(doc, root, "commit_index", status->commit_index) &&
            yyjson_mut_obj_add_uint(doc, root, "revision", status->revision) &&
            yyjson_mut_obj_add_bool(doc, root, "quorate", status->quorate) &&
            yyjson_mut_obj_add_val(doc, root, "age_ms", output_age(doc, status->age_ms)) &&
            yyjson_mut_obj_add_val(doc, root, "voters", voters);
    return is_ok ? root : NULL;
}

/* As `rayosd --root` has it, or the data folder itself: one that was moved away. */
static int read_folder(const char *root, struct coord_inventory *out, struct ray_err *err)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/var/rayos", root) >= (int)sizeof path) {
        return ray_fail(err, RAY_ETOOBIG, "the path of --root");
    }
    if (access(path, F_OK) == 0 || errno != ENOENT) {
        return coord_inventory_read(path, out, err);
    }
    return coord_inventory_read(root, out, err);
}

static const char *folder_state(const struct coord_inventory *inventory)
{
    return inventory->is_removed                               ? "removed"
           : inventory->is_quarantined || inventory->is_rotten ? "quarantined"
           : inventory->is_refilling                           ? "refilling"
                                                               : "member";
}

static yyjson_mut_val *show_folder(yyjson_mut_doc *doc, const struct coord_inventory *inventory)
{
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"cluster_epoch", inventory->cluster_epoch},
                   {"server_id", inventory->server_id},
                   {"term", inventory->term},
                   {"vote", inventory->vote},
                   {"last_term", inventory->last_term},
                   {"first_index", inventory->first_index},
                   {"last_index", inventory->last_index},
                   {"durable_index", inventory->durable_index},
                   {"snapshot_index", inventory->snapshot_index},
                   {"checkpoint_index", inventory->checkpoint_index}};
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char node_id[RAY_ID_TEXT_SIZE];
    char cluster_id[RAY_ID_TEXT_SIZE];
    bool is_ok =
        add_text(doc, root, "node", inventory->node) &&
        add_text(doc, root, "node_id", ray_id_format(&inventory->node_id, node_id)) &&
        add_text(doc, root, "node_state", folder_state(inventory)) &&
        add_text(doc, root, "cluster_id", ray_id_format(&inventory->cluster_id, cluster_id));

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        is_ok = is_ok && yyjson_mut_obj_add_uint(doc, root, numbers[i].key, numbers[i].value);
    }
    is_ok = is_ok && add_text(doc, root, "log_trouble", inventory->log_trouble) &&
            add_text(doc, root, "checkpoint_trouble", inventory->checkpoint_trouble);
    return is_ok ? root : NULL;
}

static int folder_inventory(const struct ray_args *args, const char *root)
{
    static const struct output_view view = {.name_key = "node"};
    struct coord_inventory inventory;
    struct ray_err err = {0};
    yyjson_mut_doc *doc;
    int status;

    if (read_folder(root, &inventory, &err) != RAY_OK) {
        return output_error(&err);
    }
    doc = yyjson_mut_doc_new(NULL);
    status = output_tree(args, doc == NULL ? NULL : show_folder(doc, &inventory), &view);
    yyjson_mut_doc_free(doc);
    return status;
}

int cluster_inventory(const struct ray_args *args, void *context)
{
    static const struct output_view view = {.name_key = "node"};
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    Rayos__Cluster__Status *status = NULL;
    enum output_form form = OUTPUT_TABLE;
    yyjson_mut_val *root = NULL;
    struct ray_err err = {0};
    int rc = output_form_parse(ray_args_value(args, "output"), &form, &err);

    (void)context;
    if (ray_args_value(args, "root") != NULL) {
        yyjson_mut_doc_free(doc);
        return folder_inventory(args, ray_args_value(args, "root"));
    }
    if (rc == RAY_OK) {
        rc = fetch_status(args, &status, &err);
    }
    if (status != NULL) {
        root = show_inventory(doc, status);
        rc = root == NULL ? ray_fail(&err, RAY_ENOMEM, "the output")
                          : output_print(stdout, form, root, &view, &err);
    }
    free_status(status);
    yyjson_mut_doc_free(doc);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- recover ---- */

/* Nodes that the command line names. */
struct named {
    struct ray_id ids[NAMED_MAX];
    ProtobufCBinaryData bytes[NAMED_MAX];
    size_t count;
};

static int read_named(const struct ray_args *args, const char *option,
                      const Rayos__Cluster__Nodes *nodes, struct named *out, struct ray_err *err)
{
    const char *name;

    for (size_t i = 0; (name = ray_args_value_at(args, option, i)) != NULL; i++) {
        const Rayos__Cluster__NodeStatus *node = NULL;
        int rc;

        if (out->count == NAMED_MAX) {
            return ray_fail(err, RAY_EUSAGE, "at most %d nodes with --%s", NAMED_MAX, option);
        }
        rc = node_find(nodes, NULL, name, &node, err);
        if (rc == RAY_OK) {
            rc = ray_id_parse(node->id, &out->ids[out->count], err);
        }
        if (rc != RAY_OK) {
            return rc;
        }
        out->bytes[out->count] = ray_proto_id(&out->ids[out->count]);
        out->count++;
    }
    return RAY_OK;
}

static bool is_named(const struct named *named, const char *id)
{
    char text[RAY_ID_TEXT_SIZE];

    for (size_t i = 0; i < named->count; i++) {
        if (strcmp(ray_id_format(&named->ids[i], text), id) == 0) {
            return true;
        }
    }
    return false;
}

struct recovery {
    const Rayos__Cluster__Status *status;
    const Rayos__Cluster__Nodes *nodes;
    struct named survivors;
    struct named off;
};

static void show_nodes(const struct recovery *recovery)
{
    for (size_t i = 0; i < recovery->nodes->n_nodes; i++) {
        const Rayos__Cluster__NodeStatus *node = recovery->nodes->nodes[i];
        const char *what = "unknown: no guest starts anywhere until it is back or confirmed off";

        if (strcmp(node->id, recovery->status->node_id) == 0) {
            what = "goes on, with what its log has";
        } else if (strcmp(node->state, "pending") == 0) {
            continue; /* it never ran a guest */
        } else if (is_named(&recovery->survivors, node->id)) {
            what = "a survivor: comes back by itself, and is filled anew";
        } else if (is_named(&recovery->off, node->id)) {
            what = "confirmed off";
        }
        (void)printf("node %s: %s\n", node->name, what);
    }
}

static void show_loss(const struct recovery *recovery)
{
    const Rayos__Cluster__Status *status = recovery->status;

    (void)printf("cluster %s: epoch %llu becomes %llu; voters were", status->name,
                 (unsigned long long)status->cluster_epoch,
                 (unsigned long long)status->cluster_epoch + 1);
    for (size_t i = 0; i < status->n_voters; i++) {
        (void)printf("%s %s", i == 0 ? "" : ",", status->voters[i]);
    }
    (void)printf("\n");
    show_nodes(recovery);
    (void)printf("lost: what others have and this log does not, which ends at entry %llu of term "
                 "%llu\n",
                 (unsigned long long)status->last_index, (unsigned long long)status->last_term);
    (void)printf(
        "before: 'clusterctl cluster inventory' at each survivor; recover the one with the "
        "highest last_term, then last_index\n");
    (void)fflush(stdout); /* before anybody is asked */
}

static int order(const struct ray_args *args, struct recovery *recovery, struct ray_err *err)
{
    Rayos__Cluster__RecoverRequest request = RAYOS__CLUSTER__RECOVER_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    char reason[REASON_SIZE];
    int rc;

    request.expected_cluster_epoch = recovery->status->cluster_epoch;
    request.survivors = recovery->survivors.bytes;
    request.n_survivors = recovery->survivors.count;
    request.confirmed_off = recovery->off.bytes;
    request.n_confirmed_off = recovery->off.count;
    request.reason =
        (char *)(uintptr_t)cluster_reason(args, reason, sizeof reason); /* only read from */
    rc = cluster_call_here(args, "cluster.recover", &request.base,
                           &rayos__cluster__recovering__descriptor, &body, err);
    if (rc == RAY_OK) {
        protobuf_c_message_free_unpacked(body, NULL);
    }
    return rc;
}

/* Its process ends, is started again, recovers, and leads. */
static int wait_until_it_leads(const struct ray_args *args, uint64_t epoch, struct ray_err *err)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * (long)RAY_NS_PER_MS};
    uint64_t timeout_ms = 0;
    uint64_t end_ns;
    bool is_done = false;
    int rc = node_call_timeout_ms(args, &timeout_ms, err);

    end_ns = ray_clock_boottime_ns() + timeout_ms * RAY_NS_PER_MS;
    while (rc == RAY_OK && !is_done) {
        Rayos__Cluster__Status *status = NULL;
        struct ray_err why = {0};

        if (ray_clock_boottime_ns() >= end_ns) {
            rc = ray_fail(err, RAY_ETIMEOUT, "the member does not lead yet");
            (void)ray_next(err, "start rayosd again if nothing does; then 'clusterctl cluster "
                                "status'");
            break;
        }
        if (fetch_status(args, &status, &why) == RAY_OK) {
            is_done = status->cluster_epoch > epoch && status->quorate;
        }
        free_status(status);
        if (!is_done) {
            (void)nanosleep(&pause, NULL); /* shorter: looks again sooner */
        }
    }
    return rc;
}

static int recover(const struct ray_args *args, struct recovery *recovery, struct ray_err *err)
{
    int rc;

    show_loss(recovery);
    if (ray_args_flag(args, "dry-run")) {
        return RAY_OK;
    }
    rc = confirm_name(args, "This cannot be taken back.", recovery->status->name, err);
    if (rc == RAY_OK) {
        rc = order(args, recovery, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    (void)printf("node %s: ends, and recovers when it starts again\n", recovery->status->node);
    (void)fflush(stdout); /* whoever has to start it reads this now */
    if (ray_args_flag(args, "no-wait")) {
        return RAY_OK;
    }
    rc = wait_until_it_leads(args, recovery->status->cluster_epoch, err);
    if (rc == RAY_OK) {
        (void)printf("cluster %s: recovered, epoch %llu\n", recovery->status->name,
                     (unsigned long long)recovery->status->cluster_epoch + 1);
    }
    return rc;
}

static int check_state(const Rayos__Cluster__Status *status, struct ray_err *err)
{
    if (status->cluster_epoch == 0) {
        (void)ray_fail(err, RAY_EUNAVAILABLE, "node %s has no cluster's state", status->node);
        (void)ray_next(err, "clusterctl cluster inventory, at another survivor");
        return RAY_EUNAVAILABLE;
    }
    if (status->quorate) {
        (void)ray_fail(err, RAY_ECONFLICT, "nothing is lost: node %s hears a quorum", status->node);
        (void)ray_next(err, "clusterctl cluster status");
        return RAY_ECONFLICT;
    }
    return RAY_OK;
}

int cluster_recover(const struct ray_args *args, void *context)
{
    struct recovery recovery = {.status = NULL};
    Rayos__Cluster__Status *status = NULL;
    Rayos__Cluster__Nodes *nodes = NULL;
    struct ray_err err = {0};
    int rc = fetch_status(args, &status, &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = check_state(status, &err);
    }
    if (rc == RAY_OK) {
        rc = node_list_fetch(args, false, &nodes, &err);
    }
    if (rc == RAY_OK) {
        rc = read_named(args, "survivor", nodes, &recovery.survivors, &err);
    }
    if (rc == RAY_OK) {
        rc = read_named(args, "confirmed-off", nodes, &recovery.off, &err);
    }
    if (rc == RAY_OK) {
        recovery.status = status;
        recovery.nodes = nodes;
        rc = recover(args, &recovery, &err);
    }
    node_list_free(nodes);
    free_status(status);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- confirm-off ---- */

static int check_unknown(const struct ray_args *args, const Rayos__Cluster__NodeStatus *node,
                         const struct ray_id *id, struct ray_err *err)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    const Rayos__Registry__Object *cluster = NULL;
    struct registry_page page;
    bool is_unknown = false;
    int rc;

    query.kind = RAYOS__REGISTRY__KIND__KIND_CLUSTER;
    rc = registry_fetch(args, &query, true, &page, err);
    if (rc == RAY_OK && page.answer->n_entries == 1) {
        cluster = page.answer->entries[0]->object;
    }
    for (size_t i = 0;
         cluster != NULL && cluster->cluster != NULL && i < cluster->cluster->n_unknown_nodes;
         i++) {
        const ProtobufCBinaryData *unknown = &cluster->cluster->unknown_nodes[i];

        is_unknown |=
            unknown->len == RAY_ID_SIZE && memcmp(unknown->data, id->bytes, RAY_ID_SIZE) == 0;
    }
    registry_page_fini(&page);
    if (rc == RAY_OK && !is_unknown) {
        (void)ray_fail(err, RAY_ECONFLICT, "node %s is not unknown: there is nothing to confirm",
                       node->name);
        (void)ray_next(err, "clusterctl query cluster -o yaml");
        return RAY_ECONFLICT;
    }
    if (rc == RAY_OK && node->is_up) {
        (void)ray_fail(err, RAY_ECONFLICT, "node %s is up", node->name);
        (void)ray_next(err, "wait: it is known once it takes part");
        return RAY_ECONFLICT;
    }
    return rc;
}

static int send_off(const struct ray_args *args, const struct ray_id *id, uint64_t *out_revision,
                    struct ray_err *err)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ConfirmOff off = RAYOS__REGISTRY__CONFIRM_OFF__INIT;
    ProtobufCBinaryData bytes = ray_proto_id(id);

    off.nodes = &bytes;
    off.n_nodes = 1;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_CONFIRM_OFF;
    command.confirm_off = &off;
    return registry_change_once(args, &command, out_revision, err);
}

int node_confirm_off(const struct ray_args *args, void *context)
{
    static const char why[] = "What it runs may run a second time if it is not off.";
    const Rayos__Cluster__NodeStatus *node = NULL;
    Rayos__Cluster__Nodes *nodes = NULL;
    struct ray_err err = {0};
    uint64_t revision = 0;
    struct ray_id id;
    int rc = node_list_fetch(args, true, &nodes, &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = node_find(nodes, NULL, args->positionals[0], &node, &err);
    }
    if (rc == RAY_OK) {
        rc = ray_id_parse(node->id, &id, &err);
    }
    if (rc == RAY_OK) {
        rc = check_unknown(args, node, &id, &err);
    }
    if (rc == RAY_OK) {
        rc = confirm_name(args, why, node->name, &err);
    }
    if (rc == RAY_OK) {
        rc = send_off(args, &id, &revision, &err);
    }
    if (rc == RAY_OK) {
        (void)printf("node %s: confirmed off, revision %llu\n", node->name,
                     (unsigned long long)revision);
    }
    node_list_free(nodes);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- tables ---- */

const struct ray_args_option cluster_inventory_options[] = {
    {.name = "root",
     .value_name = "DIR",
     .help = "read the disk of a node whose rayosd does not run: rayosd's --root, or its data "
             "folder; changes nothing there"},
    OUTPUT_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};

const struct ray_args_option cluster_recover_options[] = {
    {.name = "survivor", .value_name = "NODE...", .help = "another one that lives, by name or id"},
    {.name = "confirmed-off",
     .value_name = "NODE...",
     .help = "one that is off for certain, by name or id"},
    CONFIRM_YES_OPTION,
    {.name = "no-wait", .help = "end once the member is about to do it"},
    {.name = "dry-run", .help = "say what would be lost, and change nothing"},
    CLUSTER_REASON_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("120"),
    {0}};

const struct ray_args_option node_confirm_off_options[] = {CONFIRM_YES_OPTION,
                                                           CLUSTER_REASON_OPTION,
                                                           CLUSTER_SOCKET_OPTION,
                                                           NODE_TIMEOUT_OPTION("30"),
                                                           {0}};
