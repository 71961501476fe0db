/* node_power.c - a member is asked to have that node's PID 1 reboot it. That it is back is seen by
 * the registry: each boot is counted when the node takes part again.
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
#include "clusterctl/verbs/power_judge.h"
#include "clusterctl/verbs/registry_call.h"
#include "net/proto/init.pb-c.h"
#include "net/proto_codec.h"

enum { REASON_SIZE = 512 };

struct power {
    const char *mode;
    Rayos__Cluster__Nodes *nodes;
    Rayos__Cluster__Plan *plan;
    struct power_order order;
    char name[POWER_NAME_SIZE]; /* for the terminal */
    bool is_itself;             /* the node that is asked is the one that goes down */
    struct power_boot before;
};

/* ---- waiting ---- */

static int read_boot(const struct ray_args *args, const char *id_text, bool is_linearizable,
                     struct power_boot *out, struct ray_err *err)
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
    rc = registry_fetch(args, &query, is_linearizable, &page, err);
    if (rc == RAY_OK && page.answer->n_entries == 1) {
        object = page.answer->entries[0]->object;
    }
    if (object != NULL && object->node != NULL) {
        *out = (struct power_boot){.node = id, .counter = object->node->boot_counter};
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
    struct power_boot now;
    int rc;

    if (node == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "node %s was removed meanwhile",
                        power->order.node->name);
    }
    rc = read_boot(args, node->id, false, &now, err);
    if (rc != RAY_OK) {
        (void)snprintf(line, NODE_WAIT_LINE_SIZE, "%s", err->text);
        return ray_err_is_retryable(rc) ? RAY_OK : rc; /* an election */
    }
    *out_done = power_is_back(&power->before, &now, node, line);
    return RAY_OK;
}

static int wait_for(const struct ray_args *args, const struct power *power, struct ray_err *err)
{
    const struct node_wait wait = {.id = power->order.node->id,
                                   .name = power->order.node->name,
                                   .look = power->order.is_reboot ? look_for_back : look_for_down,
                                   .context = power,
                                   .is_by_name =
                                       power->order.is_reboot && power->order.node->is_ephemeral};

    if (ray_args_flag(args, "no-wait")) {
        return RAY_OK;
    }
    if (!power->order.is_reboot && (power->is_itself || power->nodes->n_nodes == 1)) {
        (void)printf("node %s: goes down; nobody else is asked when\n", power->name);
        return RAY_OK;
    }
    return node_wait(args, &wait, err);
}

/* ---- the order ---- */

/* Its boot is read as late as can be: one that comes before the order is not its effect. */
static int send_order(const struct ray_args *args, struct power *power, struct ray_err *err)
{
    Rayos__Cluster__PowerRequest request = RAYOS__CLUSTER__POWER_REQUEST__INIT;
    Rayos__Cluster__Order order = RAYOS__CLUSTER__ORDER__INIT;
    char reason[REASON_SIZE];
    int rc = read_boot(args, power->order.node->id, true, &power->before, err);

    if (rc != RAY_OK) {
        return rc;
    }
    order.node = power->order.node->id;
    order.reason = (char *)(uintptr_t)cluster_reason(args, reason, sizeof reason);
    request.order = &order;
    request.mode = (char *)(uintptr_t)power->mode;
    rc = cluster_call(args, "node.power", &request.base, &rayos__init__done__descriptor, NULL, err);
    if (rc == RAY_OK) {
        (void)printf("node %s: %s has begun\n", power->name, power->mode);
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

/* Drained it would be an observer, which hands no orders on. */
static int check_itself(const struct ray_args *args, struct power *power, struct ray_err *err)
{
    Rayos__Cluster__StatusRequest request = RAYOS__CLUSTER__STATUS_REQUEST__INIT;
    const char *name = power->order.node->name;
    ProtobufCMessage *body = NULL;
    int rc = RAY_OK;

    if (!cluster_is_here(args)) {
        return RAY_OK; /* by a context: the next member takes what an observer does not */
    }
    rc = cluster_call(args, "cluster.status", &request.base, &rayos__cluster__status__descriptor,
                      &body, err);
    if (rc == RAY_OK) {
        power->is_itself =
            strcmp(((const Rayos__Cluster__Status *)body)->node_id, power->order.node->id) == 0;
        protobuf_c_message_free_unpacked(body, NULL);
    }
    if (rc == RAY_OK && power->is_itself && power->order.is_drained) {
        rc = ray_fail(err, RAY_ECONFLICT,
                      "node %s is asked itself: once it is drained it hands no orders on", name);
        (void)ray_next(err,
                       "ask another node, or 'clusterctl node drain %s', then 'clusterctl node %s' "
                       "there without a name",
                       name, args->command->name);
    }
    return rc;
}

static int find(const struct ray_args *args, struct power *power, struct ray_err *err)
{
    int rc = check_options(args, err);

    if (rc == RAY_OK) {
        rc = node_list_fetch(args, false, &power->nodes, err);
    }
    if (rc == RAY_OK) {
        rc = node_find(power->nodes, NULL, args->positionals[0], &power->order.node, err);
    }
    if (rc == RAY_OK) {
        rc = node_plan_fetch(args, power->order.node->id, &power->plan, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    power->order.plan = power->plan;
    power_name(power->order.node->name, power->name);
    return check_itself(args, power, err);
}

/* Whoever was drained by hand stays so. */
static bool is_to_drain(const struct power *power)
{
    return power->order.is_drained && strcmp(power->order.node->state, "drained") != 0;
}

/* ---- guests and vote ---- */

/* One without a disk has come back as a new node, which nobody has drained. */
static int give_back(const struct ray_args *args, const struct power *power, struct ray_err *err)
{
    int rc = node_send_drain(args, power->order.node->id, false, err);

    return rc == RAY_ENOTFOUND && power->order.node->is_ephemeral ? RAY_OK : rc;
}

/* Whether the order may have been taken although the answer is an error. */
static bool is_unsure(int code)
{
    return code != RAY_ENOQUORUM && (code == RAY_ECANCELED || ray_err_is_retryable(code));
}

/* It was drained for an order that has failed. */
static void leave_drained(const struct ray_args *args, const struct power *power, bool is_ordered,
                          struct ray_err *err)
{
    struct ray_err ignored = {0};

    if (is_ordered || is_unsure(err->code) || give_back(args, power, &ignored) != RAY_OK) {
        (void)ray_next(err, "node %s is drained still: 'clusterctl node undrain %s' when it is up",
                       power->order.node->name, power->order.node->name);
    }
}

static int run_drained(const struct ray_args *args, struct power *power, struct ray_err *err)
{
    bool is_ordered = false;
    int rc = node_drain_first(args, power->order.node, power->plan, err);

    if (rc == RAY_ETIMEOUT) {
        (void)ray_next(err, "it goes on by itself; 'clusterctl node undrain %s' takes it back",
                       power->order.node->name);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    rc = send_order(args, power, err);
    is_ordered = rc == RAY_OK;
    rc = is_ordered ? wait_for(args, power, err) : rc;
    if (rc != RAY_OK) {
        leave_drained(args, power, is_ordered, err);
    }
    return rc == RAY_OK && power->order.is_reboot ? give_back(args, power, err) : rc;
}

static int run(const struct ray_args *args, struct power *power, struct ray_err *err)
{
    int rc;

    if (is_to_drain(power)) {
        return run_drained(args, power, err);
    }
    rc = send_order(args, power, err);
    return rc == RAY_OK ? wait_for(args, power, err) : rc;
}

int node_power(const struct ray_args *args, const char *mode)
{
    struct power power = {.mode = mode,
                          .order = {.is_reboot = strcmp(mode, "reboot") == 0,
                                    .is_drained = ray_args_flag(args, "drain")}};
    char why[POWER_WHY_SIZE];
    struct ray_err err = {0};
    int rc = find(args, &power, &err);

    if (rc == RAY_OK) {
        power_describe(&power.order, why);
    }
    if (rc == RAY_OK && ray_args_flag(args, "dry-run")) {
        (void)printf("node %s: %s\n", power.name, why);
    } else if (rc == RAY_OK) {
        if (ray_args_flag(args, "yes") && power_loses_quorum(&power.order)) {
            (void)fprintf(stderr, "clusterctl: warning: %s\n", why);
        }
        rc = confirm_name(args, why, power.name, &err);
        rc = rc == RAY_OK ? run(args, &power, &err) : rc;
    }
    node_plan_free(power.plan);
    node_list_free(power.nodes);
    return rc == RAY_OK ? 0 : output_error(&err);
}
