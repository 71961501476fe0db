/* node_leave.c - drain, undrain, remove, set.
 *
 * Whether a node can give up its part of the log is asked before (node.plan); that it does so is
 * the leader's work, step by step, and only watched here. */
#include "clusterctl/verbs/node_leave.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/confirm.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/node_find.h"
#include "clusterctl/verbs/node_wait.h"
#include "clusterctl/verbs/registry_call.h"
#include "net/proto_codec.h"

enum { REMOVE_TRIES = 3, SET_TRIES = 5, TEXT_SIZE = 1024 };

/* ---- what would happen ---- */

int node_plan_fetch(const struct ray_args *args, const char *id, Rayos__Cluster__Plan **out,
                    struct ray_err *err)
{
    Rayos__Cluster__PlanRequest request = RAYOS__CLUSTER__PLAN_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    int rc;

    request.id = (char *)(uintptr_t)id; /* protobuf-c packs from pointers without const */
    rc = cluster_call(args, "node.plan", &request.base, &rayos__cluster__plan__descriptor, &body,
                      err);
    if (rc == RAY_OK) {
        *out = (Rayos__Cluster__Plan *)body;
    }
    return rc;
}

void node_plan_free(Rayos__Cluster__Plan *plan)
{
    if (plan != NULL) {
        rayos__cluster__plan__free_unpacked(plan, NULL);
    }
}

static void show_plan(const char *name, const Rayos__Cluster__Plan *plan)
{
    char text[TEXT_SIZE];

    for (size_t i = 0; i < plan->n_steps; i++) {
        (void)ray_escape(text, sizeof text, plan->steps[i], strlen(plan->steps[i]));
        (void)printf("node %s: then %s\n", name, text);
    }
    (void)printf("node %s: voters: %u, %u of them up; afterwards %u, %u up\n", name, plan->voters,
                 plan->voters_up, plan->voters_then, plan->voters_up_then);
    if (plan->guests > 0) {
        (void)printf("node %s: %llu guests have to move\n", name, (unsigned long long)plan->guests);
    }
}

/* Refused, as the leader would wait for ever. */
static int check_plan(const Rayos__Cluster__Plan *plan, struct ray_err *err)
{
    if (plan->is_possible) {
        return RAY_OK;
    }
    (void)ray_fail(err, RAY_ECONFLICT, "%s", plan->why);
    (void)ray_next(err, "%s", plan->next_step);
    return RAY_ECONFLICT;
}

/* ---- changes ---- */

/* `node` is where the command names the one of `id_text`. */
static int send(const struct ray_args *args, const char *id_text, Rayos__Registry__Command *command,
                ProtobufCBinaryData *node, struct ray_err *err)
{
    uint64_t revision = 0;
    struct ray_id id;
    int rc = ray_id_parse(id_text, &id, err);

    if (rc != RAY_OK) {
        return rc;
    }
    *node = ray_proto_id(&id);
    return registry_change_once(args, command, &revision, err);
}

int node_send_drain(const struct ray_args *args, const char *id_text, bool is_drained,
                    struct ray_err *err)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeDrain drain = RAYOS__REGISTRY__NODE_DRAIN__INIT;

    drain.is_drained = is_drained;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_DRAIN;
    command.node_drain = &drain;
    return send(args, id_text, &command, &drain.node, err);
}

static int send_removal(const struct ray_args *args, const char *id_text, bool is_forced,
                        struct ray_err *err)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeRemove removal = RAYOS__REGISTRY__NODE_REMOVE__INIT;

    removal.is_forced = is_forced;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE;
    command.node_remove = &removal;
    return send(args, id_text, &command, &removal.node, err);
}

/* ---- waiting ---- */

static int look_until(const struct ray_args *args, const Rayos__Cluster__NodeStatus *node,
                      bool with_guests, bool *out_done, char line[static NODE_WAIT_LINE_SIZE],
                      struct ray_err *err)
{
    Rayos__Cluster__Plan *plan = NULL;
    int rc;

    if (node == NULL) {
        *out_done = true;
        (void)snprintf(line, NODE_WAIT_LINE_SIZE, "gone");
        return RAY_OK;
    }
    rc = node_plan_fetch(args, node->id, &plan, err);
    if (rc != RAY_OK) {
        (void)snprintf(line, NODE_WAIT_LINE_SIZE, "%s", err->text);
        return ray_err_is_retryable(rc) ? RAY_OK : rc; /* an election */
    }
    *out_done = !plan->has_part && strcmp(node->role, "observer") == 0 &&
                (!with_guests || plan->guests == 0);
    if (*out_done) {
        (void)snprintf(line, NODE_WAIT_LINE_SIZE, "%s, without a vote%s", node->state,
                       with_guests ? " and without guests" : "");
    } else {
        (void)snprintf(line, NODE_WAIT_LINE_SIZE, "%s, %s, %llu guests", node->state, node->role,
                       (unsigned long long)plan->guests);
    }
    node_plan_free(plan);
    return RAY_OK;
}

static int look_for_drained(const void *context, const struct ray_args *args,
                            const Rayos__Cluster__NodeStatus *node, bool *out_done,
                            char line[static NODE_WAIT_LINE_SIZE], struct ray_err *err)
{
    (void)context;
    return look_until(args, node, true, out_done, line, err);
}

static int look_for_no_vote(const void *context, const struct ray_args *args,
                            const Rayos__Cluster__NodeStatus *node, bool *out_done,
                            char line[static NODE_WAIT_LINE_SIZE], struct ray_err *err)
{
    (void)context;
    return look_until(args, node, false, out_done, line, err);
}

static int look_for_removed(const void *context, const struct ray_args *args,
                            const Rayos__Cluster__NodeStatus *node, bool *out_done,
                            char line[static NODE_WAIT_LINE_SIZE], struct ray_err *err)
{
    (void)context;
    (void)args;
    (void)err;
    *out_done = node == NULL;
    (void)snprintf(line, NODE_WAIT_LINE_SIZE,
                   node == NULL ? "removed" : "removed, but guests of it have still to move");
    return RAY_OK;
}

static int wait_for(const struct ray_args *args, const Rayos__Cluster__NodeStatus *node,
                    node_wait_look *look, struct ray_err *err)
{
    const struct node_wait wait = {.id = node->id, .name = node->name, .look = look};

    return ray_args_flag(args, "no-wait") ? RAY_OK : node_wait(args, &wait, err);
}

/* ---- verbs ---- */

/* The node that is meant, and what would become of the voters without it. */
static int find(const struct ray_args *args, Rayos__Cluster__Nodes **out_nodes,
                const Rayos__Cluster__NodeStatus **out_node, Rayos__Cluster__Plan **out_plan,
                struct ray_err *err)
{
    int rc = node_list_fetch(args, true, out_nodes, err);

    if (rc == RAY_OK) {
        rc = node_find(*out_nodes, NULL, args->positionals[0], out_node, err);
    }
    if (rc == RAY_OK && out_plan != NULL) {
        rc = node_plan_fetch(args, (*out_node)->id, out_plan, err);
    }
    return rc;
}

int node_drain_first(const struct ray_args *args, const Rayos__Cluster__NodeStatus *node,
                     const Rayos__Cluster__Plan *plan, struct ray_err *err)
{
    int rc = check_plan(plan, err);

    if (rc != RAY_OK) {
        return rc;
    }
    show_plan(node->name, plan);
    if (ray_args_flag(args, "dry-run")) {
        return RAY_OK;
    }
    rc = node_send_drain(args, node->id, true, err);
    return rc == RAY_OK ? wait_for(args, node, look_for_drained, err) : rc;
}

int node_drain(const struct ray_args *args, void *context)
{
    const Rayos__Cluster__NodeStatus *node = NULL;
    Rayos__Cluster__Nodes *nodes = NULL;
    Rayos__Cluster__Plan *plan = NULL;
    struct ray_err err = {0};
    int rc = find(args, &nodes, &node, &plan, &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = node_drain_first(args, node, plan, &err);
    }
    node_plan_free(plan);
    node_list_free(nodes);
    return rc == RAY_OK ? 0 : output_error(&err);
}

int node_undrain(const struct ray_args *args, void *context)
{
    const Rayos__Cluster__NodeStatus *node = NULL;
    Rayos__Cluster__Nodes *nodes = NULL;
    struct ray_err err = {0};
    int rc = find(args, &nodes, &node, NULL, &err);

    (void)context;
    if (rc == RAY_OK && !ray_args_flag(args, "dry-run")) {
        rc = node_send_drain(args, node->id, false, &err);
    }
    if (rc == RAY_OK) {
        (void)printf("node %s: %s guests and a part of the log again\n", node->name,
                     ray_args_flag(args, "dry-run") ? "would get" : "may get");
    }
    node_list_free(nodes);
    return rc == RAY_OK ? 0 : output_error(&err);
}

static int check_guests(const struct ray_args *args, const Rayos__Cluster__NodeStatus *node,
                        const Rayos__Cluster__Plan *plan, struct ray_err *err)
{
    if (plan->guests == 0 || ray_args_flag(args, "force")) {
        return RAY_OK;
    }
    (void)ray_fail(err, RAY_ECONFLICT, "node %s is the home of %llu guests", node->name,
                   (unsigned long long)plan->guests);
    (void)ray_next(err, "'clusterctl node drain %s', or --force when it is gone for good",
                   node->name);
    return RAY_ECONFLICT;
}

/* It has no part in the log any more, but the role that it had may be written down once more, and
 * be refused for that: then that is waited for, too. */
static int remove_without_vote(const struct ray_args *args, const Rayos__Cluster__NodeStatus *node,
                               struct ray_err *err)
{
    int rc = RAY_ECONFLICT;

    for (unsigned i = 0; i < REMOVE_TRIES && rc == RAY_ECONFLICT; i++) {
        rc = wait_for(args, node, look_for_no_vote, err);
        if (rc == RAY_OK) {
            rc = send_removal(args, node->id, ray_args_flag(args, "force"), err);
        }
    }
    return rc;
}

/* Its vote goes first, so that what is removed is out of the configuration. */
static int remove_it(const struct ray_args *args, const Rayos__Cluster__NodeStatus *node,
                     const Rayos__Cluster__Plan *plan, struct ray_err *err)
{
    int rc;

    if (ray_args_flag(args, "no-wait") || !plan->has_part) {
        rc = send_removal(args, node->id, true, err);
    } else {
        rc = node_send_drain(args, node->id, true, err);
        rc = rc == RAY_OK ? remove_without_vote(args, node, err) : rc;
    }
    return rc == RAY_OK ? wait_for(args, node, look_for_removed, err) : rc;
}

static int check_removal(const struct ray_args *args, const Rayos__Cluster__NodeStatus *node,
                         const Rayos__Cluster__Plan *plan, struct ray_err *err)
{
    int rc = check_plan(plan, err);

    if (rc == RAY_OK) {
        rc = check_guests(args, node, plan, err);
    }
    if (rc == RAY_OK) {
        show_plan(node->name, plan);
    }
    return rc;
}

int node_remove(const struct ray_args *args, void *context)
{
    const Rayos__Cluster__NodeStatus *node = NULL;
    Rayos__Cluster__Nodes *nodes = NULL;
    Rayos__Cluster__Plan *plan = NULL;
    struct ray_err err = {0};
    int rc = find(args, &nodes, &node, &plan, &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = check_removal(args, node, plan, &err);
    }
    if (rc == RAY_OK && !ray_args_flag(args, "dry-run")) {
        rc = confirm_name(args, "It can come back only as a new node.", node->name, &err);
        if (rc == RAY_OK) {
            rc = remove_it(args, node, plan, &err);
        }
    }
    node_plan_free(plan);
    node_list_free(nodes);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- set ---- */

static int put_domain(const struct ray_args *args, Rayos__Registry__Object *object, char *domain,
                      uint64_t *out_revision, struct ray_err *err)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    char *before = object->node->domain;
    int rc;

    object->node->domain = domain;
    put.object = object;
    put.expected_revision = object->revision;
    put.is_update = true;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.object_put = &put;
    rc = registry_change_once(args, &command, out_revision, err);
    object->node->domain = before; /* freed with the object */
    return rc;
}

/* The object as it is, with another domain; refused when it has changed since it was read. */
static int set_domain(const struct ray_args *args, const struct ray_id *id, char *domain,
                      uint64_t *out_revision, struct ray_err *err)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    Rayos__Registry__Object *object = NULL;
    struct registry_page page;
    int rc;

    query.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    query.id = ray_proto_id(id);
    rc = registry_fetch(args, &query, true, &page, err);
    if (rc == RAY_OK && page.answer->n_entries == 1) {
        object = page.answer->entries[0]->object;
    }
    if (object != NULL && object->node != NULL) {
        rc = put_domain(args, object, domain, out_revision, err);
    } else if (rc == RAY_OK) {
        rc = ray_fail(err, RAY_ENOTFOUND, "the node was removed meanwhile");
    }
    registry_page_fini(&page);
    return rc;
}

int node_set(const struct ray_args *args, void *context)
{
    const char *domain = ray_args_value(args, "domain");
    const Rayos__Cluster__NodeStatus *node = NULL;
    Rayos__Cluster__Nodes *nodes = NULL;
    struct ray_err err = {0};
    uint64_t revision = 0;
    struct ray_id id;
    int rc = RAY_ECONFLICT;

    (void)context;
    if (domain == NULL) {
        (void)ray_fail(&err, RAY_EUSAGE, "nothing to set");
        (void)ray_next(&err, "give --domain NAME; --domain '' makes it a domain of its own");
        return output_error(&err);
    }
    if (find(args, &nodes, &node, NULL, &err) != RAY_OK ||
        ray_id_parse(node->id, &id, &err) != RAY_OK) {
        node_list_free(nodes);
        return output_error(&err);
    }
    for (unsigned i = 0; i < SET_TRIES && rc == RAY_ECONFLICT; i++) { /* its node reports, too */
        rc = set_domain(args, &id, (char *)(uintptr_t)domain, &revision, &err);
    }
    if (rc == RAY_EINVAL) {
        (void)ray_next(&err, "a domain is one word, as rack2");
    }
    if (rc == RAY_OK) {
        (void)printf("node %s: revision %llu\n", node->name, (unsigned long long)revision);
    }
    node_list_free(nodes);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- tables ---- */

const struct ray_args_option node_drain_options[] = {
    NODE_NO_WAIT_OPTION,   NODE_DRY_RUN_OPTION,        CLUSTER_REASON_OPTION,
    CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("300"), {0}};

const struct ray_args_option node_undrain_options[] = {NODE_DRY_RUN_OPTION,
                                                       CLUSTER_REASON_OPTION,
                                                       CLUSTER_SOCKET_OPTION,
                                                       NODE_TIMEOUT_OPTION("30"),
                                                       {0}};

const struct ray_args_option node_remove_options[] = {
    CONFIRM_YES_OPTION,
    {.name = "force", .help = "although guests of it have still to move"},
    NODE_NO_WAIT_OPTION,
    NODE_DRY_RUN_OPTION,
    CLUSTER_REASON_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("300"),
    {0}};

const struct ray_args_option node_set_options[] = {
    {.name = "domain", .value_name = "NAME", .help = "its failure domain: what fails with it"},
    CLUSTER_REASON_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};
