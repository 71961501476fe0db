/* membership.c - the list of nodes, one of them, and letting one in that waits. */
#include "clusterctl/verbs/membership.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/node_find.h"
#include "clusterctl/verbs/node_wait.h"
#include "clusterctl/verbs/registry_call.h"
#include "net/proto_codec.h"
#include "net/words.h"

/* ---- list, show ---- */

int node_list(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {{"NAME", "name", OUTPUT_AS_TEXT},
                                                   {"ROLE", "role", OUTPUT_AS_TEXT},
                                                   {"STATE", "state", OUTPUT_AS_TEXT},
                                                   {"HEALTH", "health", OUTPUT_AS_TEXT},
                                                   {"LEADER", "is_leader", OUTPUT_AS_TEXT},
                                                   {"ADDRESS", "address", OUTPUT_AS_TEXT},
                                                   {"MESSAGE", "message", OUTPUT_AS_TEXT},
                                                   {"TROUBLE", "trouble", OUTPUT_AS_TEXT},
                                                   {0}};
    static const struct output_column pending_columns[] = {
        {"NAME", "name", OUTPUT_AS_TEXT},
        {"FINGERPRINT", "fingerprint", OUTPUT_AS_TEXT},
        {"IN PLACE OF", "wanted_name", OUTPUT_AS_TEXT},
        {"ADDRESS", "address", OUTPUT_AS_TEXT},
        {"ID", "id", OUTPUT_AS_TEXT},
        {0}};
    static const struct output_column wide[] = {
        {"ID", "id", OUTPUT_AS_TEXT}, {"RAFT ID", "raft_id", OUTPUT_AS_TEXT}, {0}};
    bool is_pending = ray_args_flag(args, "pending");
    const struct output_view view = {.list_key = "nodes",
                                     .columns = is_pending ? pending_columns : columns,
                                     .wide = is_pending ? NULL : wide};
    Rayos__Cluster__Nodes *nodes = NULL;
    struct ray_err err = {0};
    int status;

    (void)context;
    if (node_list_fetch(args, ray_args_flag(args, "linearizable"), &nodes, &err) != RAY_OK) {
        return output_error(&err);
    }
    if (is_pending) {
        node_list_keep(nodes, "pending");
    }
    status = output_message(args, &nodes->base, &view);
    node_list_free(nodes);
    return status;
}

int node_show(const struct ray_args *args, void *context)
{
    const Rayos__Cluster__NodeStatus *node = NULL;
    Rayos__Cluster__Nodes *nodes = NULL;
    struct ray_err err = {0};
    int rc = node_list_fetch(args, ray_args_flag(args, "linearizable"), &nodes, &err);
    int status;

    (void)context;
    if (rc == RAY_OK) {
        rc = node_find(nodes, NULL, args->positionals[0], &node, &err);
    }
    status = rc == RAY_OK ? output_message(args, &node->base, NULL) : output_error(&err);
    node_list_free(nodes);
    return status;
}

/* ---- approve ---- */

static int check_words(const struct ray_args *args, const Rayos__Cluster__NodeStatus *node,
                       struct ray_err *err)
{
    const char *given = ray_args_value(args, "fingerprint");
    uint8_t own[RAY_WORDS_COUNT];
    uint8_t wanted[RAY_WORDS_COUNT];
    int rc;

    if (given == NULL) {
        (void)ray_fail(err, RAY_EUSAGE, "--fingerprint wants the %d words of its own console",
                       RAY_WORDS_COUNT);
        (void)ray_next(err, "clusterctl node approve %s --fingerprint WORDS", node->name);
        return RAY_EUSAGE;
    }
    rc = ray_words_parse(given, wanted, sizeof wanted, err);
    if (rc == RAY_OK) {
        rc = ray_words_parse(node->fingerprint, own, sizeof own, err);
    }
    if (rc != RAY_OK) {
        (void)ray_wrap(err, rc, "--fingerprint");
        (void)ray_next(err, "it shows %d words, as apple-robot-...; spaces instead of '-' are fine",
                       RAY_WORDS_COUNT);
        err->code = RAY_EUSAGE;
        return RAY_EUSAGE;
    }
    if (memcmp(own, wanted, sizeof own) != 0) {
        rc = ray_fail(err, RAY_EDENIED, "these are not the words of node %s (%s)", node->name,
                      node->id);
        (void)ray_next(err, "read them off the node's own console; if it shows others, it is not "
                            "the node that asks");
    }
    return rc;
}

/* Whose name it is to take: nobody's, or that of a machine that does not run any more. */
static int find_replaced(const Rayos__Cluster__Nodes *nodes, const Rayos__Cluster__NodeStatus *node,
                         const Rayos__Cluster__NodeStatus **out, struct ray_err *err)
{
    const Rayos__Cluster__NodeStatus *other = NULL;

    for (size_t i = 0; i < nodes->n_nodes && node->wanted_name[0] != '\0'; i++) {
        if (strcmp(nodes->nodes[i]->name, node->wanted_name) == 0) {
            other = nodes->nodes[i];
        }
    }
    if (other != NULL && other->is_up) {
        (void)ray_fail(err, RAY_ECONFLICT,
                       "node %s (%s) runs: it is not replaced by another of that name", other->name,
                       other->id);
        (void)ray_next(err, "switch it off, or 'clusterctl node remove %s' first", other->name);
        return RAY_ECONFLICT;
    }
    *out = other;
    return RAY_OK;
}

static int send_approval(const struct ray_args *args, const Rayos__Cluster__NodeStatus *node,
                         const Rayos__Cluster__NodeStatus *replaced, uint64_t *out_revision,
                         struct ray_err *err)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeApprove approve = RAYOS__REGISTRY__NODE_APPROVE__INIT;
    struct ray_id id;
    struct ray_id replaced_id = {0};
    int rc = ray_id_parse(node->id, &id, err);

    if (rc == RAY_OK && replaced != NULL) {
        rc = ray_id_parse(replaced->id, &replaced_id, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    approve.node = ray_proto_id(&id);
    approve.replaces = ray_proto_optional_id(&replaced_id);
    approve.is_ephemeral = ray_args_flag(args, "ephemeral");
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_APPROVE;
    command.node_approve = &approve;
    return registry_change_once(args, &command, out_revision, err);
}

/* In: it has its disk, and the others have a link to it. */
static int look_for_it(const void *context, const struct ray_args *args,
                       const Rayos__Cluster__NodeStatus *node, bool *out_done,
                       char line[static NODE_WAIT_LINE_SIZE], struct ray_err *err)
{
    (void)context;
    (void)args;
    if (node == NULL) {
        return ray_fail(err, RAY_ECONFLICT, "the node was removed meanwhile");
    }
    *out_done = strcmp(node->state, "pending") != 0 && node->is_up;
    (void)snprintf(line, NODE_WAIT_LINE_SIZE, "%s, %s", node->state,
                   *out_done ? "it takes part" : "not heard yet");
    return RAY_OK;
}

static int approve(const struct ray_args *args, const Rayos__Cluster__Nodes *nodes,
                   const Rayos__Cluster__NodeStatus *node, struct ray_err *err)
{
    const char *name = node->wanted_name[0] != '\0' ? node->wanted_name : node->name;
    const struct node_wait wait = {.id = node->id, .name = name, .look = look_for_it};
    const Rayos__Cluster__NodeStatus *replaced = NULL;
    uint64_t revision = 0;
    int rc = check_words(args, node, err);

    if (rc == RAY_OK) {
        rc = find_replaced(nodes, node, &replaced, err);
    }
    if (rc == RAY_OK && replaced != NULL) {
        (void)printf("node %s: in place of the one with id %s\n", name, replaced->id);
    }
    if (rc == RAY_OK && ray_args_flag(args, "dry-run")) {
        (void)printf("node %s: would be approved\n", name);
        return RAY_OK;
    }
    if (rc == RAY_OK) {
        rc = send_approval(args, node, replaced, &revision, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    (void)printf("node %s: approved, revision %llu\n", name, (unsigned long long)revision);
    return ray_args_flag(args, "no-wait") ? RAY_OK : node_wait(args, &wait, err);
}

int node_approve(const struct ray_args *args, void *context)
{
    const Rayos__Cluster__NodeStatus *node = NULL;
    Rayos__Cluster__Nodes *nodes = NULL;
    struct ray_err err = {0};
    int rc = node_list_fetch(args, true, &nodes, &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = node_find(nodes, "pending", args->positionals[0], &node, &err);
    }
    if (rc == RAY_ENOTFOUND) {
        (void)ray_next(&err, "clusterctl node list --pending");
    }
    if (rc == RAY_OK) {
        rc = approve(args, nodes, node, &err);
    }
    node_list_free(nodes);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- tables ---- */

const struct ray_args_option node_list_options[] = {
    {.name = "pending", .help = "those that wait for approval, with their fingerprints"},
    CLUSTER_LINEARIZABLE_OPTION,
    OUTPUT_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};

const struct ray_args_option node_show_options[] = {CLUSTER_LINEARIZABLE_OPTION,
                                                    OUTPUT_OPTION,
                                                    CLUSTER_SOCKET_OPTION,
                                                    NODE_TIMEOUT_OPTION("30"),
                                                    {0}};

const struct ray_args_option node_approve_options[] = {
    {.name = "fingerprint",
     .value_name = "WORDS",
     .help = "the words that the node's own console shows"},
    {.name = "ephemeral", .help = "it never holds a part of the log"},
    NODE_NO_WAIT_OPTION,
    NODE_DRY_RUN_OPTION,
    CLUSTER_REASON_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("60"),
    {0}};
