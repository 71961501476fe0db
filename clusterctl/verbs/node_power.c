/* node_power.c - a member is asked to have that node's PID 1 reboot it. That it is back is seen by
 * the registry: a boot has an incarnation of its own, which is admitted when the node takes part
 * again.
 *
 * With --drain it gives up guests and vote before, and gets them again after a reboot. */
#include "clusterctl/verbs/node_power.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/confirm.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/node_find.h"
#include "clusterctl/verbs/node_leave.h"
#include "clusterctl/verbs/node_wait.h"
#include "clusterctl/verbs/registry_call.h"
#include "net/proto/init.pb-c.h"
#include "net/proto_codec.h"

enum { REASON_SIZE = 512, WHY_SIZE = 320 };

struct power {
    const char *mode;
    Rayos__Cluster__Nodes *nodes;
    const Rayos__Cluster__NodeStatus *node;
    Rayos__Cluster__Plan *plan;
    struct ray_id before; /* its incarnation */
};

static bool is_reboot(const struct power *power)
{
    return strcmp(power->mode, "reboot") == 0;
}

/* ---- what would happen ---- */

static bool loses_quorum(const struct power *power)
{
    const Rayos__Cluster__Plan *plan = power->plan;
    uint32_t up_then = plan->voters_up;

    if (strcmp(power->node->role, "voter") == 0 && power->node->is_up && up_then > 0) {
        up_then--;
    }
    return up_then < plan->voters / 2 + 1;
}

static void describe(const struct ray_args *args, const struct power *power,
                     char out[static WHY_SIZE])
{
    const Rayos__Cluster__Plan *plan = power->plan;
    bool is_drained = ray_args_flag(args, "drain");
    int used =
        snprintf(out, WHY_SIZE, "Node %s goes down%s.", power->node->name,
                 is_reboot(power) ? " and comes back" : "; its power button starts it again");

    if (!is_drained && loses_quorum(power)) {
        used += snprintf(out + used, WHY_SIZE - (size_t)used,
                         " Without it there is no quorum: of %u voters %u are up, and until it is "
                         "back the cluster changes nothing.",
                         plan->voters, plan->voters_up);
    }
    if (!is_drained && plan->guests > 0) {
        (void)snprintf(out + used, WHY_SIZE - (size_t)used,
                       " Its %llu guests go with it (--drain moves them first).",
                       (unsigned long long)plan->guests);
    }
}

/* ---- waiting ---- */

static int read_incarnation(const struct ray_args *args, const char *id_text, struct ray_id *out,
                            struct ray_err *err)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    const Rayos__Registry__Object *object = NULL;
    struct registry_page page = {.answer = NULL};
    struct ray_id id;
    int rc = ray_id_parse(id_text, &id, err);

    if (rc != RAY_OK) {
        return rc;
    }
    query.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    query.id = ray_proto_id(&id);
    rc = registry_fetch(args, &query, false, &page, err);
    if (rc == RAY_OK && page.answer->n_entries == 1) {
        object = page.answer->entries[0]->object;
    }
    if (object != NULL && object->node != NULL) {
        *out = (struct ray_id){.bytes = {0}};
        if (object->node->incarnation.len > 0) {
            rc = ray_id_from_bytes(object->node->incarnation.data, object->node->incarnation.len,
                                   out, err);
        }
    } else if (rc == RAY_OK) {
        rc = ray_fail(err, RAY_ENOTFOUND, "the node was removed meanwhile");
    }
    registry_page_fini(&page);
    return rc;
}

static int look_for_down(const void *context, const struct ray_args *args,
                         const Rayos__Cluster__NodeStatus *node, bool *out_done,
                         char line[static NODE_WAIT_LINE_SIZE], struct ray_err *err)
{
    (void)context;
    (void)args;
    (void)err;
    *out_done = node == NULL || !node->is_up;
    (void)snprintf(line, NODE_WAIT_LINE_SIZE, *out_done ? "down" : "goes down");
    return RAY_OK;
}

/* Its new boot was admitted, and who answers hears it. */
static int look_for_back(const void *context, const struct ray_args *args,
                         const Rayos__Cluster__NodeStatus *node, bool *out_done,
                         char line[static NODE_WAIT_LINE_SIZE], struct ray_err *err)
{
    const struct power *power = context;
    struct ray_id now;
    int rc;

    if (node == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "node %s was removed meanwhile", power->node->name);
    }
    rc = read_incarnation(args, node->id, &now, err);
    if (rc != RAY_OK) {
        (void)snprintf(line, NODE_WAIT_LINE_SIZE, "%s", err->text);
        return ray_err_is_retryable(rc) ? RAY_OK : rc; /* an election */
    }
    *out_done = node->is_up && !ray_id_equal(&now, &power->before);
    if (*out_done) {
        (void)snprintf(line, NODE_WAIT_LINE_SIZE, "back, %s, %s", node->state, node->role);
    } else if (ray_id_equal(&now, &power->before)) {
        (void)snprintf(line, NODE_WAIT_LINE_SIZE, node->is_up ? "goes down" : "down");
    } else {
        (void)snprintf(line, NODE_WAIT_LINE_SIZE, "starts");
    }
    return RAY_OK;
}

static int wait_for(const struct ray_args *args, const struct power *power, struct ray_err *err)
{
    const struct node_wait wait = {.id = power->node->id,
                                   .name = power->node->name,
                                   .look = is_reboot(power) ? look_for_back : look_for_down,
                                   .context = power};

    return ray_args_flag(args, "no-wait") ? RAY_OK : node_wait(args, &wait, err);
}

/* ---- the order ---- */

static int send_order(const struct ray_args *args, const struct power *power, struct ray_err *err)
{
    Rayos__Cluster__PowerRequest request = RAYOS__CLUSTER__POWER_REQUEST__INIT;
    Rayos__Cluster__Order order = RAYOS__CLUSTER__ORDER__INIT;
    char reason[REASON_SIZE];
    int rc;

    order.node = power->node->id;
    order.reason = (char *)(uintptr_t)cluster_reason(args, reason, sizeof reason);
    request.order = &order;
    request.mode = (char *)(uintptr_t)power->mode;
    rc = cluster_call(args, "node.power", &request.base, &rayos__init__done__descriptor, NULL, err);
    if (rc == RAY_OK) {
        (void)printf("node %s: %s has begun\n", power->node->name, power->mode);
        (void)fflush(stdout); /* the machine that this runs on may go with it */
    }
    return rc;
}

static int check_options(const struct ray_args *args, struct ray_err *err)
{
    if (ray_args_flag(args, "drain") && ray_args_flag(args, "no-wait")) {
        return ray_fail(err, RAY_EUSAGE, "--drain has to be waited for: not with --no-wait");
    }
    return RAY_OK;
}

static int find(const struct ray_args *args, struct power *power, struct ray_err *err)
{
    int rc = check_options(args, err);

    if (rc == RAY_OK) {
        rc = node_list_fetch(args, false, &power->nodes, err);
    }
    if (rc == RAY_OK) {
        rc = node_find(power->nodes, NULL, args->positionals[0], &power->node, err);
    }
    if (rc == RAY_OK) {
        rc = node_plan_fetch(args, power->node->id, &power->plan, err);
    }
    return rc == RAY_OK ? read_incarnation(args, power->node->id, &power->before, err) : rc;
}

/* Whoever was drained by hand stays so. */
static bool is_to_drain(const struct ray_args *args, const struct power *power)
{
    return ray_args_flag(args, "drain") && strcmp(power->node->state, "drained") != 0;
}

static int run(const struct ray_args *args, const struct power *power, struct ray_err *err)
{
    int rc =
        is_to_drain(args, power) ? node_drain_first(args, power->node, power->plan, err) : RAY_OK;

    if (rc == RAY_OK) {
        rc = send_order(args, power, err);
    }
    if (rc == RAY_OK) {
        rc = wait_for(args, power, err);
    }
    if (rc == RAY_OK && is_to_drain(args, power) && is_reboot(power)) {
        rc = node_send_drain(args, power->node->id, false, err);
    }
    return rc;
}

int node_power(const struct ray_args *args, const char *mode)
{
    struct power power = {.mode = mode};
    char why[WHY_SIZE];
    struct ray_err err = {0};
    int rc = find(args, &power, &err);

    if (rc == RAY_OK) {
        describe(args, &power, why);
    }
    if (rc == RAY_OK && ray_args_flag(args, "dry-run")) {
        (void)printf("node %s: %s\n", power.node->name, why);
    } else if (rc == RAY_OK) {
        if (ray_args_flag(args, "yes") && loses_quorum(&power)) {
            (void)fprintf(stderr, "clusterctl: warning: %s\n", why);
        }
        rc = confirm_name(args, why, power.node->name, &err);
        rc = rc == RAY_OK ? run(args, &power, &err) : rc;
    }
    node_plan_free(power.plan);
    node_list_free(power.nodes);
    return rc == RAY_OK ? 0 : output_error(&err);
}
