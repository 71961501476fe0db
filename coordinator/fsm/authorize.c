/* authorize.c - what a command does, as the policy's actions and objects, and what its rules say.
 *
 * Evaluated when the command is applied: the log's order decides between a command and a change of
 * the rules, and every replica comes to the same end. A command may be several actions; the worst
 * answer counts: deny, then ask, then allow. What exists is judged as it is and as it will be, so
 * that nothing is renamed or labelled into somebody's reach by the same put. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/fsm/state.h"

struct fsm_judge {
    struct fsm_apply *apply;
    const struct coord_policy *policy; /* NULL: admins alone */
    struct coord_policy_actor actor;
    bool is_console;
    bool is_free; /* a command that needs no permission */
    size_t count; /* of what was judged */
    int code;     /* RAY_ENOMEM, or why the command is refused before anything is judged */
    struct fsm_verdict *verdict;
    /* Of the object that is judged just now: how many a command names must cost no memory. */
    struct coord_fsm_described described;
};

int fsm_actor(struct fsm_apply *apply, const Rayos__Registry__Header *header,
              struct coord_policy_actor *out)
{
    const struct fsm_object *principal;

    *out = (struct coord_policy_actor){.kind = "principal", .name = header->principal};
    switch (header->caller) {
    case RAYOS__REGISTRY__CALLER__CALLER_CONSOLE:
        out->roles = COORD_POLICY_ADMIN;
        return RAY_OK;
    case RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL:
        principal = fsm_find_name(apply->fsm, COORD_PRINCIPAL, header->principal);
        if (principal == NULL) {
            break;
        }
        out->roles = coord_fsm_roles(&principal->pub.principal);
        return RAY_OK;
    default:
        break;
    }
    (void)ray_fail(apply->err, RAY_EDENIED, "there is no principal '%s' (any more)",
                   header->principal);
    (void)ray_next(apply->err, "clusterctl query principal");
    return RAY_EDENIED;
}

static int severity(enum coord_policy_effect effect)
{
    switch (effect) {
    case COORD_POLICY_ALLOW:
        return 0;
    case COORD_POLICY_ASK:
        return 1;
    case COORD_POLICY_DENY:
        break;
    }
    return 2;
}

static struct coord_policy_decision decide(const struct fsm_judge *judge,
                                           enum coord_policy_action action,
                                           const struct coord_policy_object *object)
{
    struct coord_policy_decision decision = {
        .effect = COORD_POLICY_ALLOW, .name = "console", .reason = ""};

    if (judge->is_console && action == COORD_POLICY_POLICY_SET) {
        return decision; /* the way back from rules that lock everybody out */
    }
    decision = coord_fsm_decide(judge->policy, &judge->actor, action, object);
    /* The rule that asks says who decides; only a rule that denies it to somebody stands before. */
    if (action == COORD_POLICY_OPERATION_DECIDE &&
        (decision.effect == COORD_POLICY_ASK || decision.rule == COORD_POLICY_NO_RULE)) {
        decision.effect = COORD_POLICY_ALLOW;
    }
    return decision;
}

static void judge_one(struct fsm_judge *judge, enum coord_policy_action action,
                      const struct coord_policy_object *object)
{
    struct coord_policy_decision decision;
    struct fsm_verdict *verdict = judge->verdict;
    int actor_size;

    if (judge->count > 0 && verdict->effect == COORD_POLICY_DENY) {
        return; /* nothing is worse */
    }
    decision = decide(judge, action, object);
    judge->count++;
    if (judge->count > 1 && severity(decision.effect) <= severity(verdict->effect)) {
        return;
    }
    verdict->effect = decision.effect;
    verdict->rule = decision.rule;
    verdict->rule_name = decision.name;
    verdict->reason = decision.reason;
    actor_size = snprintf(verdict->detail, sizeof verdict->detail, "%s %s", judge->actor.name,
                          coord_policy_action_text(action));
    assert(actor_size > 0 && (size_t)actor_size < sizeof verdict->detail);
    if (object->kind[0] != '\0') {
        (void)snprintf(verdict->detail + actor_size, sizeof verdict->detail - (size_t)actor_size,
                       " %s:%s", object->kind, object->name);
    }
    verdict->action = verdict->detail + strlen(judge->actor.name) + 1;
}

/* ---- objects ---- */

/* Wrong ones, and too many: the handler refuses. */
static void set_wanted_labels(struct fsm_judge *judge, Rayos__Registry__Label *const *labels,
                              size_t count, struct coord_policy_object *out)
{
    out->labels = judge->described.labels;
    out->label_count = count <= COORD_LABELS_MAX ? count : 0;
    for (size_t i = 0; i < out->label_count; i++) {
        judge->described.labels[i] =
            (struct coord_policy_label){.key = labels[i]->key,
                                        .value = (const char *)labels[i]->value.data,
                                        .value_size = labels[i]->value.len};
    }
}

/* False: no memory, which the judge then says. */
static bool measure(struct fsm_judge *judge, enum coord_kind kind, const struct coord_bytes *spec,
                    struct coord_policy_object *out)
{
    int rc = fsm_measure(judge->apply->fsm, judge->policy, kind, spec, out);

    judge->code = rc != RAY_OK ? rc : judge->code;
    return rc == RAY_OK;
}

static void describe(struct fsm_judge *judge, const struct coord_object *object,
                     struct coord_policy_object *out)
{
    int rc = coord_fsm_describe(judge->apply->fsm, judge->policy, object, &judge->described);

    judge->code = rc != RAY_OK ? rc : judge->code;
    *out = judge->described.object;
}

/* By the kind alone when there is none: whether it is there is not told to who may not ask. */
static void judge_object(struct fsm_judge *judge, enum coord_policy_action action,
                         enum coord_kind kind, const struct fsm_object *object)
{
    struct coord_policy_object described = {.kind = fsm_kind_text(kind), .name = ""};

    if (kind == COORD_GUEST || kind == COORD_VOLUME) {
        fsm_set_unmeasured(&described);
    }
    if (object != NULL) {
        describe(judge, &object->pub, &described);
    }
    judge_one(judge, action, &described);
}

static void judge_id(struct fsm_judge *judge, enum coord_policy_action action, enum coord_kind kind,
                     const ProtobufCBinaryData *bytes)
{
    struct ray_id id;

    judge_object(judge, action, kind,
                 fsm_id(bytes, "object", &id, NULL) == RAY_OK
                     ? fsm_find(judge->apply->fsm, kind, &id)
                     : NULL);
}

static void judge_cluster(struct fsm_judge *judge, enum coord_policy_action action)
{
    judge_object(judge, action, COORD_CLUSTER, judge->apply->fsm->cluster);
}

/* ---- what commands do ---- */

struct kind_actions {
    enum coord_policy_action create;
    enum coord_policy_action set;
    enum coord_policy_action remove;
};

/* Kinds that are not put have what comes closest; their handlers refuse. */
static struct kind_actions actions_of(enum coord_kind kind)
{
    switch (kind) {
    case COORD_NODE:
        return (struct kind_actions){COORD_POLICY_NODE_SET, COORD_POLICY_NODE_SET,
                                     COORD_POLICY_NODE_REMOVE};
    case COORD_PRINCIPAL:
        return (struct kind_actions){COORD_POLICY_PRINCIPAL_CREATE, COORD_POLICY_PRINCIPAL_SET,
                                     COORD_POLICY_PRINCIPAL_DELETE};
    case COORD_TOKEN:
        return (struct kind_actions){COORD_POLICY_TOKEN_CREATE, COORD_POLICY_TOKEN_CREATE,
                                     COORD_POLICY_TOKEN_DELETE};
    case COORD_POLICY:
        return (struct kind_actions){COORD_POLICY_POLICY_SET, COORD_POLICY_POLICY_SET,
                                     COORD_POLICY_POLICY_SET};
    case COORD_NETWORK:
        return (struct kind_actions){COORD_POLICY_NETWORK_CREATE, COORD_POLICY_NETWORK_SET,
                                     COORD_POLICY_NETWORK_DELETE};
    case COORD_IMAGE:
        return (struct kind_actions){COORD_POLICY_IMAGE_IMPORT, COORD_POLICY_IMAGE_IMPORT,
                                     COORD_POLICY_IMAGE_DELETE};
    case COORD_VOLUME:
        return (struct kind_actions){COORD_POLICY_VOLUME_CREATE, COORD_POLICY_VOLUME_SET,
                                     COORD_POLICY_VOLUME_DELETE};
    case COORD_GUEST:
        return (struct kind_actions){COORD_POLICY_GUEST_CREATE, COORD_POLICY_GUEST_SET,
                                     COORD_POLICY_GUEST_DELETE};
    case COORD_MIGRATION:
        return (struct kind_actions){COORD_POLICY_GUEST_MIGRATE, COORD_POLICY_GUEST_MIGRATE,
                                     COORD_POLICY_GUEST_MIGRATE};
    case COORD_PRESENTATION:
        return (struct kind_actions){COORD_POLICY_GUEST_PRESENT, COORD_POLICY_GUEST_PRESENT,
                                     COORD_POLICY_GUEST_PRESENT};
    case COORD_OPERATION:
        return (struct kind_actions){COORD_POLICY_OPERATION_DECIDE, COORD_POLICY_OPERATION_DECIDE,
                                     COORD_POLICY_OPERATION_DECIDE};
    case COORD_NONE:
    case COORD_CLUSTER:
    case COORD_EVENT:
    case COORD_KIND_COUNT:
        break;
    }
    return (struct kind_actions){COORD_POLICY_CLUSTER_SET, COORD_POLICY_CLUSTER_SET,
                                 COORD_POLICY_CLUSTER_SET};
}

static bool is_kind(int kind)
{
    return kind > (int)COORD_NONE && kind < (int)COORD_KIND_COUNT;
}

/* A guest that is shown is meant, not the record of its being shown. */
static void judge_present(struct fsm_judge *judge, const ProtobufCBinaryData *guest)
{
    judge_id(judge, COORD_POLICY_GUEST_PRESENT, COORD_GUEST, guest);
}

static void judge_operation_put(struct fsm_judge *judge)
{
    /* Operations of clients, which no rule is about. */
    judge_cluster(judge, COORD_POLICY_CLUSTER_SET);
}

/* One that may stand in texts, events and logs. */
static bool is_name(const char *text)
{
    char name[COORD_NAME_SIZE];

    return fsm_word(text, "name", name, sizeof name, NULL) == RAY_OK;
}

/* As the object will be. */
static void judge_put(struct fsm_judge *judge, enum coord_policy_action action,
                      const Rayos__Registry__Object *in, const struct fsm_object *object)
{
    struct coord_policy_object described = {.kind = fsm_kind_text((enum coord_kind)in->kind),
                                            .name = ""};

    if (object != NULL) {
        describe(judge, &object->pub, &described);
    }
    if (in->name[0] != '\0') {
        described.name = is_name(in->name) ? in->name : "?"; /* the handler refuses it */
    }
    if (in->kind == RAYOS__REGISTRY__KIND__KIND_NODE && in->name[0] != '\0') {
        described.node = described.name;
    }
    set_wanted_labels(judge, in->labels, in->n_labels, &described);
    (void)measure(judge, (enum coord_kind)in->kind,
                  &(struct coord_bytes){in->spec.data, (uint32_t)in->spec.len}, &described);
    judge_one(judge, action, &described);
}

static void judge_wanted(struct fsm_judge *judge, const Rayos__Registry__Object *in,
                         const struct fsm_object *object)
{
    bool is_wanted = in->body_case == RAYOS__REGISTRY__OBJECT__BODY_GUEST &&
                     in->guest->wanted == RAYOS__REGISTRY__WANTED__WANTED_RUNNING;
    bool was_wanted = object != NULL && object->pub.guest.is_wanted;

    if (in->body_case == RAYOS__REGISTRY__OBJECT__BODY_GUEST && is_wanted != was_wanted) {
        judge_put(judge, is_wanted ? COORD_POLICY_GUEST_START : COORD_POLICY_GUEST_STOP, in,
                  object);
    }
}

/* A token that removes a node and lets another one in its place says both beforehand. */
static void judge_replaced(struct fsm_judge *judge, const ProtobufCBinaryData *node)
{
    judge_id(judge, COORD_POLICY_NODE_APPROVE, COORD_NODE, node);
    judge_id(judge, COORD_POLICY_NODE_REMOVE, COORD_NODE, node);
}

void fsm_subject_put(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__ObjectPut *put = command;
    const Rayos__Registry__Object *in = put->object;
    const struct fsm_object *object = NULL;
    struct kind_actions actions;
    struct ray_id id;

    if (in == NULL || !is_kind((int)in->kind)) {
        judge_cluster(judge, COORD_POLICY_CLUSTER_SET);
        return;
    }
    if (in->kind == RAYOS__REGISTRY__KIND__KIND_OPERATION) {
        judge_operation_put(judge);
        return;
    }
    if (in->body_case == RAYOS__REGISTRY__OBJECT__BODY_PRESENTATION) {
        judge_present(judge, &in->presentation->guest);
        return;
    }
    actions = actions_of((enum coord_kind)in->kind);
    if (fsm_id(&in->id, "object", &id, NULL) == RAY_OK) {
        object = fsm_find(judge->apply->fsm, (enum coord_kind)in->kind, &id);
    }
    if (object != NULL) {
        judge_object(judge, actions.set, (enum coord_kind)in->kind, object);
    }
    judge_put(judge, object != NULL ? actions.set : actions.create, in, object);
    if (in->kind == RAYOS__REGISTRY__KIND__KIND_GUEST) {
        judge_wanted(judge, in, object);
    }
    if (in->body_case == RAYOS__REGISTRY__OBJECT__BODY_TOKEN && in->token->replaces.len > 0) {
        judge_replaced(judge, &in->token->replaces);
    }
}

void fsm_subject_label(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__ObjectLabel *label = command;

    if (is_kind((int)label->kind)) {
        judge_id(judge, COORD_POLICY_REGISTRY_LABEL, (enum coord_kind)label->kind, &label->id);
    } else {
        judge_cluster(judge, COORD_POLICY_REGISTRY_LABEL);
    }
}

void fsm_subject_delete(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__ObjectDelete *request = command;
    const struct fsm_object *object = NULL;
    struct ray_id id;

    if (!is_kind((int)request->kind) || request->kind == RAYOS__REGISTRY__KIND__KIND_OPERATION) {
        judge_cluster(judge, COORD_POLICY_CLUSTER_SET);
        return;
    }
    if (request->kind == RAYOS__REGISTRY__KIND__KIND_PRESENTATION ||
        request->kind == RAYOS__REGISTRY__KIND__KIND_MIGRATION) {
        if (fsm_id(&request->id, "object", &id, NULL) == RAY_OK) {
            object = fsm_find(judge->apply->fsm, (enum coord_kind)request->kind, &id);
        }
        if (object != NULL) {
            const struct ray_id *guest = request->kind == RAYOS__REGISTRY__KIND__KIND_MIGRATION
                                             ? &object->pub.migration.guest
                                             : &object->pub.presentation.guest;

            judge_object(judge, actions_of((enum coord_kind)request->kind).remove, COORD_GUEST,
                         fsm_find(judge->apply->fsm, COORD_GUEST, guest));
            return;
        }
    }
    judge_id(judge, actions_of((enum coord_kind)request->kind).remove,
             (enum coord_kind)request->kind, &request->id);
}

/* What is done within one is judged by itself. */
void fsm_subject_session(struct fsm_judge *judge, const void *command)
{
    (void)command;
    judge->is_free = true;
}

void fsm_subject_cluster(struct fsm_judge *judge, const void *command)
{
    (void)command;
    judge_cluster(judge, COORD_POLICY_CLUSTER_SET);
}

void fsm_subject_recover(struct fsm_judge *judge, const void *command)
{
    (void)command;
    judge_cluster(judge, COORD_POLICY_CLUSTER_RECOVER);
}

/* All ids that name no node are judged as one. */
void fsm_subject_confirm_off(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__ConfirmOff *off = command;
    bool has_other = off->n_nodes == 0;

    judge->code = fsm_confirm_off_check(judge->apply, off);
    for (size_t i = 0; i < off->n_nodes && judge->code == RAY_OK; i++) {
        struct fsm_object *node;
        struct ray_id id;

        memcpy(id.bytes, off->nodes[i].data, RAY_ID_SIZE);
        node = fsm_find(judge->apply->fsm, COORD_NODE, &id);
        has_other |= node == NULL;
        if (node != NULL) {
            judge_object(judge, COORD_POLICY_NODE_CONFIRM_OFF, COORD_NODE, node);
        }
    }
    if (has_other && judge->code == RAY_OK) {
        judge_object(judge, COORD_POLICY_NODE_CONFIRM_OFF, COORD_NODE, NULL);
    }
}

/* A word about an object, kept beside it. */
void fsm_subject_event(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__EventAdd *add = command;

    if (is_kind((int)add->object_kind)) {
        judge_id(judge, COORD_POLICY_REGISTRY_LABEL, (enum coord_kind)add->object_kind,
                 &add->object_id);
    } else {
        judge_cluster(judge, COORD_POLICY_REGISTRY_LABEL);
    }
}

void fsm_subject_approve(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__NodeApprove *approve = command;

    judge_id(judge, COORD_POLICY_NODE_APPROVE, COORD_NODE, &approve->node);
    if (approve->replaces.len > 0) { /* which then is removed */
        judge_id(judge, COORD_POLICY_NODE_REMOVE, COORD_NODE, &approve->replaces);
    }
}

void fsm_subject_drain(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__NodeDrain *drain = command;

    judge_id(judge, COORD_POLICY_NODE_DRAIN, COORD_NODE, &drain->node);
}

void fsm_subject_remove(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__NodeRemove *request = command;

    judge_id(judge, COORD_POLICY_NODE_REMOVE, COORD_NODE, &request->node);
}

void fsm_subject_migrate(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__MigrationOpen *open = command;
    struct coord_policy_object described = {.kind = fsm_kind_text(COORD_GUEST), .name = ""};
    const struct fsm_object *guest = NULL;
    struct ray_id id;

    if (fsm_id(&open->guest, "guest", &id, NULL) == RAY_OK) {
        guest = fsm_find(judge->apply->fsm, COORD_GUEST, &id);
    }
    if (guest != NULL) {
        describe(judge, &guest->pub, &described);
    }
    described.node = NULL; /* where it moves to, not where it is */
    if (open->to != NULL && fsm_id(&open->to->node, "node", &id, NULL) == RAY_OK) {
        described.node = fsm_node_name(judge->apply->fsm, &id);
    }
    judge_one(judge, COORD_POLICY_GUEST_MIGRATE, &described);
}

void fsm_subject_attach(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__VolumeAttach *attach = command;

    judge_id(judge, COORD_POLICY_VOLUME_SET, COORD_VOLUME, &attach->volume);
    judge_id(judge, COORD_POLICY_GUEST_SET, COORD_GUEST, &attach->guest);
}

void fsm_subject_detach(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__VolumeDetach *detach = command;

    judge_id(judge, COORD_POLICY_VOLUME_SET, COORD_VOLUME, &detach->volume);
}

void fsm_subject_policy(struct fsm_judge *judge, const void *command)
{
    const struct coord_policy_object object = {.kind = fsm_kind_text(COORD_POLICY), .name = ""};

    (void)command;
    judge_one(judge, COORD_POLICY_POLICY_SET, &object);
}

void fsm_subject_decide(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__OperationDecide *decision = command;

    judge_id(judge, COORD_POLICY_OPERATION_DECIDE, COORD_OPERATION, &decision->operation);
}

/* ---- the verdict ---- */

int fsm_judge_command(struct fsm_apply *apply, const Rayos__Registry__Header *header,
                      fsm_subject *subject, const void *command, struct fsm_verdict *out)
{
    struct fsm_judge judge = {.apply = apply,
                              .is_console =
                                  header->caller == RAYOS__REGISTRY__CALLER__CALLER_CONSOLE,
                              .verdict = out};
    int rc;

    *out = (struct fsm_verdict){.effect = COORD_POLICY_ALLOW, .rule_name = "", .reason = ""};
    out->action = out->detail;
    rc = fsm_actor(apply, header, &judge.actor);
    if (rc != RAY_OK) {
        return rc;
    }
    if (subject == NULL) {
        return fsm_refuse(apply->err, RAY_EDENIED, "members say that, no operator");
    }
    rc = coord_fsm_policy(apply->fsm, &judge.policy, apply->err);
    if (rc != RAY_OK) {
        return rc;
    }
    subject(&judge, command);
    assert(judge.is_free || judge.count > 0 || judge.code != RAY_OK);
    return judge.code;
}

int fsm_deny(struct fsm_apply *apply, const struct fsm_verdict *verdict)
{
    char text[COORD_MESSAGE_SIZE];
    const char *detail = ray_arena_strndup(&apply->fsm->arena, verdict->detail, FSM_DETAIL_SIZE);
    const char *rule = ray_arena_strndup(&apply->fsm->arena, verdict->rule_name, COORD_NAME_SIZE);
    int rc;

    if (detail == NULL || rule == NULL) {
        return RAY_ENOMEM;
    }
    (void)snprintf(text, sizeof text, "rule '%.50s': %.190s", rule, detail);
    rc = fsm_happen_denied(apply, text);
    if (rc != RAY_OK) {
        return rc;
    }
    apply->has_refusal = true;
    apply->reply.rule = (char *)(uintptr_t)rule;
    apply->reply.denied = (char *)(uintptr_t)detail;
    (void)ray_fail(apply->err, RAY_EDENIED, "rule '%s' denies %s%s%s", rule, detail,
                   verdict->reason[0] != '\0' ? ": " : "", verdict->reason);
    (void)ray_next(apply->err, "clusterctl policy test --as %s", detail);
    return RAY_EDENIED;
}
