/* subject.c - what a command does, as actions on objects for the policy.
 *
 * What exists is judged as it is and as it will be, so that nothing is renamed or labelled into
 * somebody's reach by the same command, nor out of another's. Each of the two is described once,
 * however many actions a command is. docs/reference/policy.md says which command asks what. */
#include <assert.h>
#include <string.h>

#include "coordinator/fsm/judge.h"

/* ---- objects ---- */

static void describe(struct fsm_judge *judge, const struct fsm_object *object)
{
    int rc = coord_fsm_describe(judge->apply->fsm, judge->policy, &object->pub, &judge->was);

    judge->code = rc != RAY_OK ? rc : judge->code;
    fsm_judge_note(judge, object);
}

/* By the kind alone when there is none: whether it is there is not told to who may not ask. */
static void describe_or_kind(struct fsm_judge *judge, enum coord_kind kind,
                             const struct fsm_object *object)
{
    if (object != NULL) {
        describe(judge, object);
        return;
    }
    judge->was.object = (struct coord_policy_object){.kind = fsm_kind_text(kind), .name = ""};
    if (kind == COORD_GUEST || kind == COORD_VOLUME) {
        fsm_set_unmeasured(&judge->was.object);
    }
}

static void judge_object(struct fsm_judge *judge, enum coord_policy_action action,
                         enum coord_kind kind, const struct fsm_object *object)
{
    describe_or_kind(judge, kind, object);
    fsm_judge_one(judge, action, &judge->was.object);
}

/* NULL: there is none. */
static const struct fsm_object *find(const struct fsm_judge *judge, enum coord_kind kind,
                                     const ProtobufCBinaryData *bytes)
{
    struct ray_id id;

    return fsm_id(bytes, "object", &id, NULL) == RAY_OK ? fsm_find(judge->apply->fsm, kind, &id)
                                                        : NULL;
}

static void judge_id(struct fsm_judge *judge, enum coord_policy_action action, enum coord_kind kind,
                     const ProtobufCBinaryData *bytes)
{
    judge_object(judge, action, kind, find(judge, kind, bytes));
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

/* A guest that is shown is meant, not the record of its being shown; on the node that shows it. */
static void judge_present(struct fsm_judge *judge, const struct fsm_object *guest, const char *node)
{
    describe_or_kind(judge, COORD_GUEST, guest);
    judge->was.object.node = node;
    fsm_judge_one(judge, COORD_POLICY_GUEST_PRESENT, &judge->was.object);
}

static void judge_presentation(struct fsm_judge *judge, const struct fsm_object *presentation)
{
    const struct coord_fsm *fsm = judge->apply->fsm;
    const struct coord_presentation *shown = &presentation->pub.presentation;

    fsm_judge_note(judge, presentation);
    judge_present(judge, fsm_find(fsm, COORD_GUEST, &shown->guest),
                  fsm_node_name(fsm, &shown->node));
}

/* One that is there is moved to another display, or shows another guest from now on: both. */
static void judge_presentation_put(struct fsm_judge *judge, const Rayos__Registry__Object *in)
{
    const struct fsm_object *object = find(judge, COORD_PRESENTATION, &in->id);
    const struct fsm_object *node = find(judge, COORD_NODE, &in->presentation->node);

    if (object != NULL) {
        judge_presentation(judge, object);
    }
    judge_present(judge, find(judge, COORD_GUEST, &in->presentation->guest),
                  node != NULL && node->pub.name[0] != '\0' ? node->pub.name : NULL);
}

/* One that may stand in texts, events and logs. */
static bool is_name(const char *text)
{
    char name[COORD_NAME_SIZE];

    return fsm_word(text, "name", name, sizeof name, NULL) == RAY_OK;
}

static void set_label(struct coord_policy_label *out, const Rayos__Registry__Label *label)
{
    *out = (struct coord_policy_label){.key = label->key,
                                       .value = (const char *)label->value.data,
                                       .value_size = label->value.len};
}

/* Wrong ones, and too many: the handler refuses. */
static void set_wanted_labels(struct fsm_judge *judge, const Rayos__Registry__Object *in)
{
    size_t count = in->n_labels <= COORD_LABELS_MAX ? in->n_labels : 0;

    for (size_t i = 0; i < count; i++) {
        set_label(&judge->will.labels[i], in->labels[i]);
    }
    judge->will.object.labels = judge->will.labels;
    judge->will.object.label_count = count;
}

/* As the object will be; `was` is described when there is one. */
static void describe_wanted(struct fsm_judge *judge, const Rayos__Registry__Object *in,
                            const struct fsm_object *object)
{
    enum coord_kind kind = (enum coord_kind)in->kind;
    const struct coord_bytes spec = {in->spec.data, (uint32_t)in->spec.len};
    struct coord_policy_object *will = &judge->will.object;
    int rc;

    *will = (struct coord_policy_object){.kind = fsm_kind_text(kind), .name = ""};
    if (object != NULL) {
        *will = judge->was.object;
    }
    if (in->name[0] != '\0') {
        will->name = is_name(in->name) ? in->name : "?"; /* the handler refuses it */
    }
    if (kind == COORD_NODE && in->name[0] != '\0') {
        will->node = will->name;
    }
    set_wanted_labels(judge, in);
    rc = fsm_measure(judge->apply->fsm, judge->policy, kind, &spec, will);
    judge->code = rc != RAY_OK ? rc : judge->code;
}

/* Whoever may make or change principals makes no admin by it. */
static void judge_admin(struct fsm_judge *judge, const Rayos__Registry__Object *in,
                        const struct fsm_object *object)
{
    bool was_admin = object != NULL && object->pub.principal.is_admin;
    bool is_admin = in->body_case == RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL &&
                    (in->principal->is_admin ||
                     in->principal->role == RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN);

    if (was_admin) {
        fsm_judge_one(judge, COORD_POLICY_PRINCIPAL_ADMIN, &judge->was.object);
    }
    if (was_admin || is_admin) {
        fsm_judge_one(judge, COORD_POLICY_PRINCIPAL_ADMIN, &judge->will.object);
    }
}

/* ---- networks of guests ---- */

struct networks {
    size_t count;
    char names[RAY_SPEC_NETWORKS_MAX][COORD_NAME_SIZE];
};

static_assert((int)RAY_SPEC_NAME_SIZE_MAX < (int)COORD_NAME_SIZE, "a name fits");

/* None of what is no spec: the handler refuses it, or an older build let it in. */
static void read_networks(struct fsm_judge *judge, const struct coord_bytes *bytes,
                          struct networks *out)
{
    ProtobufCMessage *message;
    const Rayos__Spec__GuestSpec *spec;
    int rc = fsm_spec_read(judge->apply->fsm, RAY_SPEC_GUEST, bytes, &message);

    judge->code = rc != RAY_OK ? rc : judge->code;
    spec = (const Rayos__Spec__GuestSpec *)message;
    out->count = 0;
    for (size_t i = 0; spec != NULL && i < spec->n_networks; i++) {
        size_t size = strnlen(spec->networks[i]->network, COORD_NAME_SIZE - 1);

        memcpy(out->names[out->count], spec->networks[i]->network, size);
        out->names[out->count++][size] = '\0';
    }
}

static bool has_network(const struct networks *networks, const char *name)
{
    for (size_t i = 0; i < networks->count; i++) {
        if (strcmp(networks->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Where the guest is. */
static void judge_network(struct fsm_judge *judge, const char *name)
{
    const struct fsm_object *network = fsm_find_name(judge->apply->fsm, COORD_NETWORK, name);

    describe_or_kind(judge, COORD_NETWORK, network);
    judge->was.object.name = name;
    judge->was.object.node = judge->will.object.node;
    fsm_judge_one(judge, COORD_POLICY_GUEST_NETWORK, &judge->was.object);
}

/* Those that it gets, and all when it starts: what it has had it keeps while it is stopped or
 * renamed, whatever the rules say by now. */
static void judge_networks(struct fsm_judge *judge, const Rayos__Registry__Object *in,
                           const struct fsm_object *object, bool starts)
{
    const struct coord_bytes spec = {in->spec.data, (uint32_t)in->spec.len};
    struct networks before = {.count = 0};
    struct networks networks;

    read_networks(judge, &spec, &networks);
    if (networks.count > 0 && object != NULL && !starts) {
        read_networks(judge, &object->pub.spec, &before);
    }
    for (size_t i = 0; i < networks.count; i++) {
        if (!has_network(&before, networks.names[i])) {
            judge_network(judge, networks.names[i]);
        }
    }
}

/* `was` and `will` are described. */
static void judge_guest(struct fsm_judge *judge, const Rayos__Registry__Object *in,
                        const struct fsm_object *object)
{
    bool has_body = in->body_case == RAYOS__REGISTRY__OBJECT__BODY_GUEST;
    bool is_wanted = has_body && in->guest->wanted == RAYOS__REGISTRY__WANTED__WANTED_RUNNING;
    bool was_wanted = object != NULL && object->pub.guest.is_wanted;

    if (has_body && is_wanted != was_wanted) {
        fsm_judge_one(judge, is_wanted ? COORD_POLICY_GUEST_START : COORD_POLICY_GUEST_STOP,
                      &judge->will.object);
    }
    judge_networks(judge, in, object, is_wanted && !was_wanted);
}

/* A token that removes a node and lets another one in its place says both beforehand. */
static void judge_replaced(struct fsm_judge *judge, const Rayos__Registry__Object *in)
{
    if (in->body_case == RAYOS__REGISTRY__OBJECT__BODY_TOKEN && in->token->replaces.len > 0) {
        judge_id(judge, COORD_POLICY_NODE_APPROVE, COORD_NODE, &in->token->replaces);
        judge_id(judge, COORD_POLICY_NODE_REMOVE, COORD_NODE, &in->token->replaces);
    }
}

static void judge_object_put(struct fsm_judge *judge, const Rayos__Registry__Object *in)
{
    enum coord_kind kind = (enum coord_kind)in->kind;
    const struct kind_actions actions = actions_of(kind);
    const struct fsm_object *object = find(judge, kind, &in->id);

    if (object != NULL) {
        judge_object(judge, actions.set, kind, object);
    }
    describe_wanted(judge, in, object);
    fsm_judge_one(judge, object != NULL ? actions.set : actions.create, &judge->will.object);
    if (kind == COORD_GUEST) {
        judge_guest(judge, in, object);
    } else if (kind == COORD_PRINCIPAL) {
        judge_admin(judge, in, object);
    }
    judge_replaced(judge, in);
}

void fsm_subject_put(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__ObjectPut *put = command;
    const Rayos__Registry__Object *in = put->object;

    /* Operations of clients no rule is about. */
    if (in == NULL || !is_kind((int)in->kind) ||
        in->kind == RAYOS__REGISTRY__KIND__KIND_OPERATION) {
        judge_cluster(judge, COORD_POLICY_CLUSTER_SET);
    } else if (in->kind == RAYOS__REGISTRY__KIND__KIND_PRESENTATION &&
               in->body_case == RAYOS__REGISTRY__OBJECT__BODY_PRESENTATION) {
        judge_presentation_put(judge, in);
    } else {
        judge_object_put(judge, in);
    }
}

/* ---- labels ---- */

static bool is_set(const Rayos__Registry__ObjectLabel *label, const char *key)
{
    for (size_t i = 0; i < label->n_set; i++) {
        if (strcmp(label->set[i]->key, key) == 0) {
            return true;
        }
    }
    return false;
}

/* As the handler merges them; what it would refuse for its size is refused before, as this is done
 * for whoever asks. */
static void describe_labelled(struct fsm_judge *judge, const Rayos__Registry__ObjectLabel *label,
                              const struct coord_object *object)
{
    size_t count = 0;

    judge->will.object = judge->was.object;
    judge->will.object.labels = judge->will.labels;
    for (size_t i = 0; i < object->label_count; i++) {
        const char *key = object->labels[i].key;

        if (!fsm_label_is_removed(label, key) && !is_set(label, key)) {
            judge->will.labels[count++] = judge->was.labels[i];
        }
    }
    if (count + label->n_set > COORD_LABELS_MAX) {
        judge->code = fsm_refuse(judge->apply->err, RAY_ETOOBIG, "%zu labels, at most %d",
                                 count + label->n_set, COORD_LABELS_MAX);
        return;
    }
    for (size_t i = 0; i < label->n_set; i++) {
        set_label(&judge->will.labels[count++], label->set[i]);
    }
    judge->will.object.label_count = count;
}

void fsm_subject_label(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__ObjectLabel *label = command;
    const struct fsm_object *object;
    enum coord_kind kind;

    if (!is_kind((int)label->kind)) {
        judge_cluster(judge, COORD_POLICY_REGISTRY_LABEL);
        return;
    }
    if (label->n_set > COORD_LABELS_MAX || label->n_remove > COORD_LABELS_MAX) {
        judge->code = fsm_refuse(judge->apply->err, RAY_ETOOBIG,
                                 "at most %d labels are set or removed at once", COORD_LABELS_MAX);
        return;
    }
    kind = (enum coord_kind)label->kind;
    object = find(judge, kind, &label->id);
    judge_object(judge, COORD_POLICY_REGISTRY_LABEL, kind, object);
    if (object == NULL) {
        return;
    }
    describe_labelled(judge, label, &object->pub);
    fsm_judge_one(judge, COORD_POLICY_REGISTRY_LABEL, &judge->will.object);
    if (kind == COORD_PRINCIPAL && object->pub.principal.is_admin) {
        fsm_judge_one(judge, COORD_POLICY_PRINCIPAL_ADMIN, &judge->was.object);
        fsm_judge_one(judge, COORD_POLICY_PRINCIPAL_ADMIN, &judge->will.object);
    }
}

/* ---- the others ---- */

void fsm_subject_delete(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__ObjectDelete *request = command;
    const struct fsm_object *object;
    enum coord_kind kind;

    if (!is_kind((int)request->kind) || request->kind == RAYOS__REGISTRY__KIND__KIND_OPERATION) {
        judge_cluster(judge, COORD_POLICY_CLUSTER_SET);
        return;
    }
    kind = (enum coord_kind)request->kind;
    object = find(judge, kind, &request->id);
    if (object != NULL && kind == COORD_PRESENTATION) {
        judge_presentation(judge, object);
        return;
    }
    if (object != NULL && kind == COORD_MIGRATION) {
        fsm_judge_note(judge, object);
        judge_object(judge, actions_of(kind).remove, COORD_GUEST,
                     fsm_find(judge->apply->fsm, COORD_GUEST, &object->pub.migration.guest));
        return;
    }
    judge_object(judge, actions_of(kind).remove, kind, object);
    if (object != NULL && kind == COORD_PRINCIPAL && object->pub.principal.is_admin) {
        fsm_judge_one(judge, COORD_POLICY_PRINCIPAL_ADMIN, &judge->was.object);
    }
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

    const struct fsm_object *node = find(judge, COORD_NODE, &approve->node);

    judge_object(judge, COORD_POLICY_NODE_APPROVE, COORD_NODE, node);
    if (node != NULL && node->pub.node.wanted_name[0] != '\0') { /* which it then has */
        judge->was.object.name = node->pub.node.wanted_name;
        judge->was.object.node = node->pub.node.wanted_name;
        fsm_judge_one(judge, COORD_POLICY_NODE_APPROVE, &judge->was.object);
    }
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
    struct ray_id id;

    describe_or_kind(judge, COORD_GUEST, find(judge, COORD_GUEST, &open->guest));
    judge->was.object.node = NULL; /* where it moves to, not where it is */
    if (open->to != NULL && fsm_id(&open->to->node, "node", &id, NULL) == RAY_OK) {
        judge->was.object.node = fsm_node_name(judge->apply->fsm, &id);
    }
    fsm_judge_one(judge, COORD_POLICY_GUEST_MIGRATE, &judge->was.object);
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

/* By the kind alone: rules are not about versions of rules. */
void fsm_subject_policy(struct fsm_judge *judge, const void *command)
{
    const struct fsm_object *newest = fsm_policy_newest(judge->apply->fsm);

    (void)command;
    if (newest != NULL) {
        fsm_judge_note(judge, newest);
    }
    judge_object(judge, COORD_POLICY_POLICY_SET, COORD_POLICY, NULL);
}

void fsm_subject_decide(struct fsm_judge *judge, const void *command)
{
    const Rayos__Registry__OperationDecide *decision = command;

    judge_id(judge, COORD_POLICY_OPERATION_DECIDE, COORD_OPERATION, &decision->operation);
}
