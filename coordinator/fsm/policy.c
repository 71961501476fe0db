/* policy.c - the rules in force, and the versions before them.
 *
 * Each version is an object of kind policy whose spec is the rules; the newest is in force, and
 * what is brought back is a new version with old rules, so that numbers only grow. A version that
 * is to be confirmed names the one that comes back by logged time; only the newest waits so. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/fsm/state.h"
#include "coordinator/mutant.h"

bool fsm_is_role(const Rayos__Registry__Principal *message)
{
    switch (message->role) {
    case RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_NONE:
        return true;
    case RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN:
        return message->is_admin;
    case RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_OPERATOR:
    case RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_VIEWER:
        return !message->is_admin;
    default:
        return false;
    }
}

uint32_t coord_fsm_roles(const struct coord_principal *principal)
{
    if (principal->is_admin) {
        return COORD_POLICY_ADMIN;
    }
    switch (principal->role) {
    case COORD_PRINCIPAL_OPERATOR:
        return COORD_POLICY_OPERATOR;
    case COORD_PRINCIPAL_VIEWER:
        return COORD_POLICY_VIEWER;
    case COORD_PRINCIPAL_NONE:
    case COORD_PRINCIPAL_ADMIN:
        break;
    }
    return 0;
}

int fsm_policy_check_new(uint32_t level, const struct coord_bytes *rules, struct ray_err *err)
{
    struct coord_policy *policy = NULL;
    int rc = coord_policy_create_new(level, rules->data, rules->size, &policy, err);

    coord_policy_destroy(policy);
    return rc;
}

static int read_rules(const struct coord_bytes *rules, struct coord_policy **out,
                      struct ray_err *err)
{
    return coord_policy_create(rules->data, rules->size, out, err);
}

int fsm_policy_check(const struct coord_bytes *rules, struct ray_err *err)
{
    struct coord_policy *policy = NULL;
    int rc = read_rules(rules, &policy, err);

    coord_policy_destroy(policy);
    return rc;
}

struct fsm_object *fsm_policy_newest(struct coord_fsm *fsm)
{
    struct fsm_order *order = &fsm->order[COORD_POLICY];

    fsm_order_sort(order);
    return order->count > 0 ? fsm_at(fsm, COORD_POLICY, order->count - 1) : NULL;
}

uint64_t coord_fsm_policy_version(struct coord_fsm *fsm)
{
    const struct fsm_object *newest = fsm_policy_newest(fsm);

    return newest != NULL ? newest->pub.policy.version : 0;
}

int coord_fsm_policy(struct coord_fsm *fsm, const struct coord_policy **out_policy,
                     struct ray_err *err)
{
    const struct fsm_object *newest = fsm_policy_newest(fsm);
    struct coord_policy *policy;
    int rc;

    if (newest == NULL) {
        *out_policy = NULL;
        return RAY_OK;
    }
    if (fsm->policy == NULL ||
        (fsm->policy_version != newest->pub.policy.version && !RAY_MUTANT(FSM_POLICY_OF_START))) {
        rc = read_rules(&newest->pub.spec, &policy, err);
        if (rc != RAY_OK) { /* they were checked: no memory */
            return fsm_refuse(err, RAY_ENOMEM, "the policy");
        }
        coord_policy_destroy(fsm->policy);
        fsm->policy = policy;
        fsm->policy_version = newest->pub.policy.version;
    }
    *out_policy = fsm->policy;
    return RAY_OK;
}

static struct fsm_object *find_version(const struct coord_fsm *fsm, uint64_t version)
{
    struct ray_id id;

    fsm_happening_id(version, &id);
    return fsm_find(fsm, COORD_POLICY, &id);
}

bool fsm_policy_is_right(const struct coord_fsm *fsm, const struct coord_object *object)
{
    const struct coord_policy_version *policy = &object->policy;
    const struct fsm_order *order = &fsm->order[COORD_POLICY];
    struct ray_id id;

    fsm_happening_id(policy->version, &id);
    if (policy->version == 0 || object->is_gone || !ray_id_equal(&id, &object->id) ||
        (policy->confirm_by_us == 0) != (policy->restores == 0)) {
        return false;
    }
    if (policy->confirm_by_us == 0) {
        return true;
    }
    for (size_t i = 0; i < order->count; i++) {
        if (fsm_object_of(order->items[i])->pub.policy.version > policy->version) {
            return false;
        }
    }
    return policy->restores < policy->version && find_version(fsm, policy->restores) != NULL;
}

/* ---- a new version ---- */

struct change {
    struct coord_bytes rules;
    uint64_t from;
    uint64_t confirm_within_us;
};

/* The oldest that nothing needs. */
static int remove_oldest(struct fsm_apply *apply, uint64_t restores)
{
    const struct fsm_order *order = &apply->fsm->order[COORD_POLICY];

    if (order->count <= COORD_FSM_POLICIES_MAX) {
        return RAY_OK;
    }
    fsm_order_sort(&apply->fsm->order[COORD_POLICY]);
    for (size_t i = 0; i + 1 < order->count; i++) {
        struct fsm_object *oldest = fsm_at(apply->fsm, COORD_POLICY, i);

        if (oldest->pub.policy.version != restores) {
            return fsm_remove(apply, oldest);
        }
    }
    return RAY_OK;
}

/* What comes back if the next version is not confirmed: the last that needs no confirmation. It
 * waits for none any more, as it is in force no longer. */
static int leave(struct fsm_apply *apply, struct fsm_object *newest, uint64_t *out_restores)
{
    struct coord_policy_version *policy = &newest->pub.policy;
    int rc = RAY_OK;

    *out_restores = policy->version;
    if (policy->confirm_by_us != 0) {
        *out_restores = policy->restores;
        rc = fsm_touch(apply, newest);
        if (rc == RAY_OK) {
            policy->confirm_by_us = 0;
            policy->restores = 0;
        }
    }
    return rc;
}

static int add_version(struct fsm_apply *apply, const struct change *change,
                       struct fsm_object **out)
{
    struct fsm_object *newest = fsm_policy_newest(apply->fsm);
    uint64_t version = newest != NULL ? newest->pub.policy.version + 1 : 1;
    struct fsm_object *object;
    char name[COORD_NAME_SIZE];
    uint64_t restores = 0;
    struct ray_id id;
    int rc = newest != NULL ? leave(apply, newest, &restores) : RAY_OK;

    if (rc != RAY_OK) {
        return rc;
    }
    fsm_happening_id(version, &id);
    (void)snprintf(name, sizeof name, "%" PRIu64, version);
    rc = fsm_object_new(apply, COORD_POLICY, &id, name, &object);
    if (rc != RAY_OK) {
        return rc;
    }
    object->pub.policy.version = version;
    object->pub.policy.from = change->from;
    if (change->confirm_within_us > 0 && restores != 0) {
        object->pub.policy.confirm_by_us = apply->fsm->clock_us + change->confirm_within_us;
        object->pub.policy.restores = restores;
    }
    if (!fsm_bytes_set(&object->pub.spec, change->rules.data, change->rules.size)) {
        return RAY_ENOMEM;
    }
    *out = object;
    return remove_oldest(apply, object->pub.policy.restores);
}

int fsm_policy_first(struct fsm_apply *apply, const ProtobufCBinaryData *rules)
{
    const struct change change = {.rules = {rules->data, (uint32_t)rules->len}};
    struct fsm_object *object;

    return rules->len > 0 ? add_version(apply, &change, &object) : RAY_OK;
}

/* ---- commands ---- */

/* Whether an admin of that name may set the next rules. */
static bool may_set(const struct coord_policy *policy, const char *name)
{
    const struct coord_policy_object object = {.kind = "policy", .name = ""};
    const struct coord_policy_actor actor = {
        .kind = "principal", .name = name, .roles = COORD_POLICY_ADMIN};

    return coord_fsm_decide(policy, &actor, COORD_POLICY_POLICY_SET, &object).effect ==
           COORD_POLICY_ALLOW;
}

/* Nobody locks everybody out, neither by rules nor by taking admins away: some admin that there is,
 * `except` apart, may set the next rules. */
static bool has_way_back(const struct coord_fsm *fsm, const struct coord_policy *policy,
                         const struct fsm_object *except)
{
    const struct fsm_order *order = &fsm->order[COORD_PRINCIPAL];

    for (size_t i = 0; i < order->count; i++) {
        const struct fsm_object *object = fsm_object_of(order->items[i]);

        if (object != except && object->pub.principal.is_admin &&
            may_set(policy, object->pub.name)) {
            return true;
        }
    }
    return false;
}

static int refuse_last(struct fsm_apply *apply, const struct fsm_object *principal,
                       const char *which)
{
    (void)ray_fail(apply->err, RAY_ECONFLICT,
                   "%s is the last admin who may set the policy under the rules %s",
                   principal->pub.name, which);
    (void)ray_next(apply->err, "let another admin do that first: 'clusterctl policy show', "
                               "'clusterctl principal list'");
    return RAY_ECONFLICT;
}

/* `name` NULL: no admin any more. */
static bool stays_possible(const struct coord_fsm *fsm, const struct coord_policy *policy,
                           const struct fsm_object *principal, const char *name)
{
    return (name != NULL && may_set(policy, name)) || has_way_back(fsm, policy, principal);
}

/* Those that come back by themselves unless somebody confirms the rules in force. */
static int check_restored(struct fsm_apply *apply, const struct fsm_object *principal,
                          const char *name)
{
    const struct fsm_object *newest = fsm_policy_newest(apply->fsm);
    const struct fsm_object *restored;
    struct coord_policy *policy;
    int rc;

    if (newest == NULL || newest->pub.policy.confirm_by_us == 0) {
        return RAY_OK;
    }
    restored = find_version(apply->fsm, newest->pub.policy.restores);
    assert(restored != NULL); /* remove_oldest leaves it */
    rc = coord_policy_create(restored->pub.spec.data, restored->pub.spec.size, &policy, apply->err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (!stays_possible(apply->fsm, policy, principal, name)) {
        rc = refuse_last(apply, principal, "that come back unless those in force are confirmed");
    }
    coord_policy_destroy(policy);
    return rc;
}

int fsm_policy_check_admin(struct fsm_apply *apply, const struct fsm_object *principal,
                           const char *name, bool is_admin)
{
    const struct coord_policy *policy;
    int rc;

    if (!principal->pub.principal.is_admin) {
        return RAY_OK;
    }
    name = is_admin ? name : NULL;
    rc = coord_fsm_policy(apply->fsm, &policy, apply->err);
    if (rc == RAY_OK && !stays_possible(apply->fsm, policy, principal, name)) {
        rc = refuse_last(apply, principal, "in force");
    }
    return rc == RAY_OK ? check_restored(apply, principal, name) : rc;
}

static int check_rules(struct fsm_apply *apply, const struct coord_bytes *rules)
{
    uint32_t level = apply->fsm->cluster->pub.cluster.feature_level;
    struct coord_policy *policy;
    int rc = coord_policy_create_new(level, rules->data, rules->size, &policy, apply->err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (!has_way_back(apply->fsm, policy, NULL)) {
        (void)ray_fail(apply->err, RAY_EINVAL, "under these rules no admin may set the policy");
        (void)ray_next(apply->err, "add a rule that allows policy.set to role:admin");
        rc = RAY_EINVAL;
    }
    coord_policy_destroy(policy);
    return rc;
}

static int check_expected(struct fsm_apply *apply, uint64_t expected_version,
                          uint64_t confirm_within_us)
{
    uint64_t version = coord_fsm_policy_version(apply->fsm);

    if (expected_version != 0 && expected_version != version) {
        (void)ray_fail(apply->err, RAY_ECONFLICT,
                       "version %" PRIu64 " of the policy is in force, not %" PRIu64, version,
                       expected_version);
        (void)ray_next(apply->err, "clusterctl policy diff FILE, then set it again");
        return RAY_ECONFLICT;
    }
    if (confirm_within_us > COORD_FSM_POLICY_CONFIRM_MAX_US) {
        return fsm_refuse(apply->err, RAY_EINVAL, "a policy is confirmed within a day");
    }
    return RAY_OK;
}

static int set(struct fsm_apply *apply, const struct change *change)
{
    struct fsm_object *object;
    char text[COORD_MESSAGE_SIZE];
    int size;
    int rc = check_rules(apply, &change->rules);

    if (rc == RAY_OK) {
        rc = add_version(apply, change, &object);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    apply->has_reply = true;
    apply->reply.policy_version = object->pub.policy.version;
    size = snprintf(text, sizeof text, "version %" PRIu64, object->pub.policy.version);
    if (change->from != 0) {
        size += snprintf(text + size, sizeof text - (size_t)size, ", the rules of %" PRIu64,
                         change->from);
    }
    if (object->pub.policy.confirm_by_us != 0) {
        (void)snprintf(text + size, sizeof text - (size_t)size,
                       ", to be confirmed within %" PRIu64 " s",
                       change->confirm_within_us / 1000000);
    }
    return fsm_happen(apply, "policy-set", COORD_POLICY, &object->pub.id, text);
}

int fsm_policy_set(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__PolicySet *request = command;
    const struct change change = {
        .rules = {request->rules.data, (uint32_t)request->rules.len},
        .confirm_within_us = request->confirm_within_us,
    };
    int rc = check_expected(apply, request->expected_version, request->confirm_within_us);

    return rc == RAY_OK ? set(apply, &change) : rc;
}

int fsm_policy_revert(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__PolicyRevert *request = command;
    const struct fsm_object *old = find_version(apply->fsm, request->version);
    struct change change = {.from = request->version,
                            .confirm_within_us = request->confirm_within_us};
    int rc = check_expected(apply, request->expected_version, request->confirm_within_us);

    if (rc == RAY_OK && old == NULL) {
        (void)ray_fail(apply->err, RAY_ENOTFOUND,
                       "version %" PRIu64 " of the policy is not kept, or never was",
                       request->version);
        (void)ray_next(apply->err, "clusterctl policy history");
        rc = RAY_ENOTFOUND;
    }
    if (rc != RAY_OK) {
        return rc;
    }
    change.rules = old->pub.spec;
    return set(apply, &change);
}

int fsm_policy_confirm(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__PolicyConfirm *request = command;
    struct fsm_object *newest = fsm_policy_newest(apply->fsm);
    char text[COORD_MESSAGE_SIZE];
    int rc;

    if (newest == NULL || newest->pub.policy.version != request->version) {
        (void)ray_fail(apply->err, RAY_ECONFLICT,
                       "version %" PRIu64 " of the policy is in force, not %" PRIu64,
                       coord_fsm_policy_version(apply->fsm), request->version);
        (void)ray_next(apply->err, "clusterctl policy history");
        return RAY_ECONFLICT;
    }
    if (newest->pub.policy.confirm_by_us == 0) {
        return RAY_OK; /* it is confirmed */
    }
    rc = fsm_touch(apply, newest);
    if (rc != RAY_OK) {
        return rc;
    }
    newest->pub.policy.confirm_by_us = 0;
    newest->pub.policy.restores = 0;
    (void)snprintf(text, sizeof text, "version %" PRIu64, request->version);
    return fsm_happen(apply, "policy-confirmed", COORD_POLICY, &newest->pub.id, text);
}

int fsm_policy_tick(struct fsm_apply *apply)
{
    struct fsm_object *newest = fsm_policy_newest(apply->fsm);
    struct fsm_object *object;
    struct change change = {.from = 0};
    char text[COORD_MESSAGE_SIZE];
    uint64_t version;
    int rc;

    if (newest == NULL || newest->pub.policy.confirm_by_us == 0 ||
        newest->pub.policy.confirm_by_us > apply->fsm->clock_us) {
        return RAY_OK;
    }
    version = newest->pub.policy.version;
    change.from = newest->pub.policy.restores;
    object = find_version(apply->fsm, change.from);
    assert(object != NULL); /* remove_oldest leaves it */
    change.rules = object->pub.spec;
    rc = add_version(apply, &change, &object);
    if (rc != RAY_OK) {
        return rc;
    }
    (void)snprintf(text, sizeof text,
                   "version %" PRIu64 " was not confirmed: version %" PRIu64
                   " has the rules of %" PRIu64,
                   version, object->pub.policy.version, change.from);
    return fsm_happen(apply, "policy-reverted", COORD_POLICY, &object->pub.id, text);
}
