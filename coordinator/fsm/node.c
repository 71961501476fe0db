/* node.c - commands about nodes: who they are in this boot, what they report, how they leave.
 *
 * One incarnation of a node is admitted at a time. Another one comes in only with a higher boot
 * counter, so that one that was replaced never comes back: of two copies of one disk, each boot
 * replaces the other, and says so by an event. */
#include "coordinator/fsm/node.h"

#include <stdio.h>
#include <string.h>

#include "coordinator/fsm/state.h"
#include "coordinator/mutant.h"

void fsm_node_admit_boot(struct fsm_apply *apply, struct coord_node *node,
                         const struct ray_id *incarnation, uint64_t boot_counter)
{
    node->incarnation = *incarnation;
    node->boot_counter = boot_counter;
    node->admitted_revision = apply->index;
}

int fsm_node_give_raft_id(struct fsm_apply *apply, struct coord_node *node)
{
    struct fsm_object *cluster;
    int rc;

    cluster = fsm_cluster_of(apply, &rc);
    if (cluster == NULL) {
        return rc;
    }
    node->raft_id = ++cluster->pub.cluster.last_raft_id;
    node->numbered_revision = apply->index;
    return RAY_OK;
}

int fsm_node_duplicate(struct fsm_apply *apply, const struct fsm_object *node,
                       const struct ray_id *incarnation, uint64_t boot_counter)
{
    char id[RAY_ID_TEXT_SIZE];
    char text[COORD_MESSAGE_SIZE];
    int rc;

    (void)snprintf(text, sizeof text, "incarnation %s of boot %llu came after boot %llu",
                   ray_id_format(incarnation, id), (unsigned long long)boot_counter,
                   (unsigned long long)node->pub.node.boot_counter);
    rc = fsm_happen(apply, "duplicate-identity", COORD_NODE, &node->pub.id, text);
    if (rc != RAY_OK) {
        return rc;
    }
    return fsm_refuse(apply->err, RAY_ECONFLICT, "node %s: %s", node->pub.name, text);
}

static bool is_member(const struct coord_node *node)
{
    return node->state == COORD_NODE_MEMBER || node->state == COORD_NODE_DRAINED;
}

int fsm_node_admit(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__NodeAdmit *request = command;
    struct fsm_object *object;
    struct coord_node *node;
    struct ray_id incarnation;
    int rc = fsm_find_or_fail(apply, COORD_NODE, &request->node, &object);

    if (rc == RAY_OK) {
        rc = fsm_id(&request->incarnation, "incarnation", &incarnation, apply->err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    node = &object->pub.node;
    if (!is_member(node)) {
        return fsm_refuse(apply->err, RAY_EDENIED, "node %s is no member", object->pub.name);
    }
    if (request->cluster_epoch != apply->fsm->cluster->pub.cluster.cluster_epoch) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "node %s is at another cluster epoch",
                          object->pub.name);
    }
    if (!ray_id_equal(&node->incarnation, &incarnation)) {
        if (!ray_id_is_none(&node->incarnation) && request->boot_counter <= node->boot_counter &&
            !RAY_MUTANT(FSM_CLONE_ACCEPTED)) {
            return fsm_node_duplicate(apply, object, &incarnation, request->boot_counter);
        }
        rc = fsm_touch(apply, object);
        if (rc != RAY_OK) {
            return rc;
        }
        fsm_node_admit_boot(apply, node, &incarnation, request->boot_counter);
    }
    return fsm_unknown_remove(apply, &object->pub.id);
}

static int check_report(struct fsm_apply *apply, const Rayos__Registry__NodeReport *report,
                        struct coord_node *out)
{
    int rc = fsm_word(report->address, "address", out->address, sizeof out->address, apply->err);

    if (rc == RAY_OK) {
        rc = fsm_word(report->health, "health", out->health, sizeof out->health, apply->err);
    }
    if (rc == RAY_OK) {
        rc = fsm_line(report->message, "message", out->message, sizeof out->message, apply->err);
    }
    if (rc == RAY_OK && report->facts.len > COORD_FACTS_SIZE_MAX) {
        rc = fsm_refuse(apply->err, RAY_ETOOBIG, "facts of %zu bytes, at most %d",
                        report->facts.len, COORD_FACTS_SIZE_MAX);
    }
    return rc;
}

static bool is_same_report(const struct coord_node *node, const struct coord_node *said,
                           const Rayos__Registry__NodeReport *report)
{
    return strcmp(node->address, said->address) == 0 && strcmp(node->health, said->health) == 0 &&
           strcmp(node->message, said->message) == 0 &&
           node->is_fit_for_leases == report->is_fit_for_leases &&
           node->facts.size == report->facts.len &&
           (report->facts.len == 0 ||
            memcmp(node->facts.data, report->facts.data, report->facts.len) == 0);
}

int fsm_node_report(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__NodeReport *report = command;
    struct fsm_object *object;
    struct coord_node *node;
    struct coord_node said;
    int rc = fsm_find_or_fail(apply, COORD_NODE, &report->node, &object);

    if (rc == RAY_OK) {
        rc = check_report(apply, report, &said);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    node = &object->pub.node;
    if (ray_id_is_none(&apply->incarnation) ||
        !ray_id_equal(&node->incarnation, &apply->incarnation)) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "node %s: not from its admitted incarnation",
                          object->pub.name);
    }
    if (is_same_report(node, &said, report) && !node->has_join_token) {
        return RAY_OK;
    }
    /* Facts come often; only what people ask "since when?" about belongs to the history. */
    if (strcmp(node->health, said.health) == 0 &&
        node->is_fit_for_leases == report->is_fit_for_leases) {
        rc = fsm_touch_quiet(apply, object);
    } else {
        rc = fsm_touch(apply, object);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    memcpy(node->address, said.address, sizeof node->address);
    memcpy(node->health, said.health, sizeof node->health);
    memcpy(node->message, said.message, sizeof node->message);
    node->is_fit_for_leases = report->is_fit_for_leases;
    if (is_member(node)) { /* it has its disk: nothing to come back for */
        node->has_join_token = false;
        memset(node->join_token, 0, sizeof node->join_token);
    }
    return fsm_bytes_set(&node->facts, report->facts.data, report->facts.len) ? RAY_OK : RAY_ENOMEM;
}

static int check_raft_id(struct fsm_apply *apply, const struct fsm_object *object, uint64_t raft_id)
{
    if (object->pub.node.raft_id != raft_id || raft_id == 0) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "node %s has raft id %llu, not %llu",
                          object->pub.name, (unsigned long long)object->pub.node.raft_id,
                          (unsigned long long)raft_id);
    }
    return RAY_OK;
}

int fsm_node_role(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__NodeRole *role = command;
    struct fsm_object *object;
    int rc = fsm_find_or_fail(apply, COORD_NODE, &role->node, &object);

    if (rc == RAY_OK) {
        rc = check_raft_id(apply, object, role->raft_id);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (role->role < (int)COORD_NODE_OBSERVER || role->role > (int)COORD_NODE_VOTER) {
        return fsm_refuse(apply->err, RAY_EINVAL, "no such role: %d", (int)role->role);
    }
    if ((enum coord_node_role)role->role == object->pub.node.role) {
        return RAY_OK;
    }
    rc = fsm_touch(apply, object);
    if (rc == RAY_OK) {
        object->pub.node.role = (enum coord_node_role)role->role;
    }
    return rc;
}

int fsm_node_renumber(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__NodeRenumber *renumber = command;
    struct fsm_object *object;
    struct ray_id incarnation;
    int rc = fsm_find_or_fail(apply, COORD_NODE, &renumber->node, &object);

    if (rc == RAY_OK) {
        rc = check_raft_id(apply, object, renumber->expected_raft_id);
    }
    if (rc == RAY_OK && !is_member(&object->pub.node)) {
        rc = fsm_refuse(apply->err, RAY_ECONFLICT, "node %s is no member", object->pub.name);
    }
    if (rc == RAY_OK) {
        rc = fsm_id(&renumber->incarnation, "incarnation", &incarnation, apply->err);
    }
    if (rc == RAY_OK && !ray_id_equal(&incarnation, &object->pub.node.incarnation)) {
        rc = fsm_refuse(apply->err, RAY_ECONFLICT, "node %s: not its admitted incarnation",
                        object->pub.name);
    }
    if (rc == RAY_OK) {
        rc = fsm_touch(apply, object);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    object->pub.node.role = COORD_NODE_OBSERVER;
    rc = fsm_node_give_raft_id(apply, &object->pub.node);
    apply->has_reply = true;
    apply->reply.raft_id = object->pub.node.raft_id;
    return rc;
}

/* What it says of its health counts again with its first report afterwards. */
int fsm_node_quarantine(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__NodeQuarantine *quarantine = command;
    bool is_quarantined = quarantine->is_quarantined;
    char message[COORD_MESSAGE_SIZE];
    struct fsm_object *object;
    struct coord_node *node;
    int rc = fsm_find_or_fail(apply, COORD_NODE, &quarantine->node, &object);

    if (rc == RAY_OK && !is_member(&object->pub.node)) {
        rc = fsm_refuse(apply->err, RAY_ECONFLICT, "node %s is no member", object->pub.name);
    }
    if (rc == RAY_OK) {
        rc = fsm_line(quarantine->message, "message", message, sizeof message, apply->err);
    }
    if (rc != RAY_OK || object->pub.node.is_quarantined == is_quarantined) {
        return rc;
    }
    rc = fsm_touch(apply, object);
    if (rc != RAY_OK) {
        return rc;
    }
    node = &object->pub.node;
    node->is_quarantined = is_quarantined;
    (void)snprintf(node->health, sizeof node->health, "%s", is_quarantined ? "failed" : "");
    (void)snprintf(node->message, sizeof node->message, "%s", is_quarantined ? message : "");
    return fsm_happen(apply, is_quarantined ? "node-quarantined" : "node-returned", COORD_NODE,
                      &object->pub.id, is_quarantined ? message : object->pub.name);
}

int fsm_node_drain(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__NodeDrain *drain = command;
    struct fsm_object *object;
    enum coord_node_state state = drain->is_drained ? COORD_NODE_DRAINED : COORD_NODE_MEMBER;
    int rc = fsm_find_or_fail(apply, COORD_NODE, &drain->node, &object);

    if (rc != RAY_OK) {
        return rc;
    }
    if (!is_member(&object->pub.node)) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "node %s is no member", object->pub.name);
    }
    if (object->pub.node.state == state) {
        return RAY_OK;
    }
    rc = fsm_touch(apply, object);
    if (rc == RAY_OK) {
        object->pub.node.state = state;
    }
    return rc;
}

static int check_remove(struct fsm_apply *apply, const struct fsm_object *object)
{
    int rc = RAY_OK;

    if (object->home_first != NULL) {
        rc = fsm_refuse(apply->err, RAY_ECONFLICT, "node %s has guests", object->pub.name);
    } else if (object->pub.node.role != COORD_NODE_OBSERVER) {
        rc = fsm_refuse(apply->err, RAY_ECONFLICT, "node %s is a %s", object->pub.name,
                        object->pub.node.role == COORD_NODE_VOTER ? "voter" : "standby");
    }
    if (rc != RAY_OK) {
        (void)ray_next(apply->err, "run 'clusterctl node drain %s' and wait", object->pub.name);
    }
    return rc;
}

int fsm_node_remove(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__NodeRemove *removal = command;
    struct fsm_object *object;
    int rc = fsm_find_or_fail(apply, COORD_NODE, &removal->node, &object);

    if (rc == RAY_OK && !removal->is_forced && object->pub.node.state != COORD_NODE_REMOVED) {
        rc = check_remove(apply, object);
    }
    if (rc == RAY_OK) {
        rc = fsm_touch(apply, object);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    object->pub.node.state = COORD_NODE_REMOVED;
    rc = fsm_happen(apply, "node-removed", COORD_NODE, &object->pub.id, object->pub.name);
    return rc == RAY_OK ? fsm_node_release(apply, &object->pub.id) : rc;
}

int fsm_node_release(struct fsm_apply *apply, const struct ray_id *node)
{
    struct fsm_object *object = fsm_find(apply->fsm, COORD_NODE, node);

    if (object == NULL || object->pub.node.state != COORD_NODE_REMOVED ||
        object->home_first != NULL) {
        return RAY_OK;
    }
    return fsm_remove(apply, object);
}
