/* record_read.c - messages of records as objects. Only what could make the state inconsistent is
 * checked here; whatever else differs from what we would have written shows when the object is
 * packed again and compared. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/fsm/state.h"

static int read_ids(const ProtobufCBinaryData *list, size_t count, struct ray_id *out,
                    struct ray_err *err)
{
    for (size_t i = 0; i < count; i++) {
        int rc = fsm_id(&list[i], "id of a list", &out[i], err);

        if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

static int read_unknown(struct coord_cluster *out, const Rayos__Registry__Cluster *in,
                        struct ray_err *err)
{
    size_t count = in->n_unknown_nodes;
    int rc;

    if (count > COORD_UNKNOWN_NODES_MAX) {
        return fsm_refuse(err, RAY_ETOOBIG, "%zu unknown nodes", count);
    }
    if (count == 0) {
        return RAY_OK;
    }
    out->unknown_nodes =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(count, sizeof *out->unknown_nodes);
    if (out->unknown_nodes == NULL) {
        return RAY_ENOMEM;
    }
    out->unknown_count = (uint32_t)count;
    rc = read_ids(in->unknown_nodes, count, out->unknown_nodes, err);
    for (size_t i = 1; i < count && rc == RAY_OK; i++) {
        if (ray_id_compare(&out->unknown_nodes[i - 1], &out->unknown_nodes[i]) >= 0) {
            rc = fsm_refuse(err, RAY_EINVAL, "unknown nodes are not sorted");
        }
    }
    return rc;
}

static int read_cluster(const struct coord_fsm *fsm, struct coord_cluster *out,
                        const Rayos__Registry__Cluster *in, struct ray_err *err)
{
    int rc = fsm_timing(in->timing, &out->timing, err);

    out->cluster_epoch = in->cluster_epoch;
    out->feature_level = in->feature_level;
    out->wanted_voters = in->wanted_voters;
    out->grant_ms_max = in->grant_ms_max;
    out->margin_ms_max = in->margin_ms_max;
    out->drift_ppm_max = in->drift_ppm_max;
    out->timing_revision = in->timing_revision;
    out->is_settled = in->is_settled;
    out->last_raft_id = in->last_raft_id;
    if (rc == RAY_OK) {
        rc = fsm_level_known(fsm, in->feature_level, err);
    }
    return rc == RAY_OK ? read_unknown(out, in, err) : rc;
}

static int read_node_keys(struct coord_node *out, const Rayos__Registry__Node *in,
                          struct ray_err *err)
{
    int rc = fsm_fixed(&in->identity_key, "identity key", out->identity_key,
                       sizeof out->identity_key, err);

    if (rc == RAY_OK) {
        rc = fsm_fixed(&in->link_key, "link key", out->link_key, sizeof out->link_key, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_fixed(&in->link_key_signature, "link key's signature", out->link_key_signature,
                       sizeof out->link_key_signature, err);
    }
    return rc;
}

static int read_node_texts(struct coord_node *out, const Rayos__Registry__Node *in,
                           struct ray_err *err)
{
    int rc = fsm_word(in->address, "address", out->address, sizeof out->address, err);

    if (rc == RAY_OK) {
        rc = fsm_word(in->domain, "failure domain", out->domain, sizeof out->domain, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_word(in->health, "health", out->health, sizeof out->health, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_line(in->message, "message", out->message, sizeof out->message, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_word(in->wanted_name, "name", out->wanted_name, sizeof out->wanted_name, err);
    }
    return rc;
}

static int read_join_token(struct coord_node *out, const Rayos__Registry__Node *in,
                           struct ray_err *err)
{
    out->has_join_token = in->join_token.len != 0;
    return out->has_join_token ? fsm_fixed(&in->join_token, "token's hash", out->join_token,
                                           sizeof out->join_token, err)
                               : RAY_OK;
}

static int read_node(struct coord_node *out, const Rayos__Registry__Node *in, struct ray_err *err)
{
    int rc = read_node_keys(out, in, err);

    if (rc == RAY_OK) {
        rc = read_node_texts(out, in, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_optional_id(&in->incarnation, "incarnation", &out->incarnation, err);
    }
    if (rc == RAY_OK) {
        rc = read_join_token(out, in, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (in->state < (int)COORD_NODE_PENDING || in->state > (int)COORD_NODE_REMOVED ||
        in->role < (int)COORD_NODE_OBSERVER || in->role > (int)COORD_NODE_VOTER ||
        in->facts.len > COORD_FACTS_SIZE_MAX) {
        return fsm_refuse(err, RAY_EINVAL, "a node's state, role or facts");
    }
    out->state = (enum coord_node_state)in->state;
    out->role = (enum coord_node_role)in->role;
    out->raft_id = in->raft_id;
    out->boot_counter = in->boot_counter;
    out->admitted_revision = in->admitted_revision;
    out->numbered_revision = in->numbered_revision;
    out->is_fit_for_leases = in->is_fit_for_leases;
    out->is_ephemeral = in->is_ephemeral;
    out->is_in_memory = in->is_in_memory;
    out->is_quarantined = in->is_quarantined;
    return fsm_bytes_set(&out->facts, in->facts.data, in->facts.len) ? RAY_OK : RAY_ENOMEM;
}

static int read_principal(struct coord_principal *out, const Rayos__Registry__Principal *in,
                          struct ray_err *err)
{
    out->is_admin = in->is_admin;
    out->role = (enum coord_principal_role)in->role;
    if (!fsm_is_role(in)) {
        return fsm_refuse(err, RAY_EINVAL, "a principal's role");
    }
    return fsm_fixed(&in->key, "principal's key", out->key, sizeof out->key, err);
}

static int read_token(struct coord_token *out, const Rayos__Registry__Token *in,
                      struct ray_err *err)
{
    int rc;

    out->uses_left = in->uses_left;
    out->expires_at_us = in->expires_at_us;
    out->needs_approval = in->needs_approval;
    out->is_ephemeral = in->is_ephemeral;
    if (in->uses_left == 0) {
        return fsm_refuse(err, RAY_EINVAL, "a token that is used up");
    }
    out->takes_place = in->takes_place;
    rc = fsm_word(in->node_name, "token's node", out->node_name, sizeof out->node_name, err);
    if (rc == RAY_OK) {
        rc = fsm_optional_id(&in->replaces, "token's replaced node", &out->replaces, err);
    }
    return rc == RAY_OK ? fsm_fixed(&in->hash, "token's hash", out->hash, sizeof out->hash, err)
                        : rc;
}

static int read_volume(struct coord_volume *out, const Rayos__Registry__Volume *in,
                       struct ray_err *err)
{
    out->is_detaching = in->is_detaching;
    out->has_writer = in->writer_epoch != NULL;
    out->writer_epoch = fsm_epoch(in->writer_epoch);
    return fsm_optional_id(&in->guest, "volume's guest", &out->guest, err);
}

static int read_guest_home(struct coord_fsm *fsm, struct fsm_object *object,
                           const Rayos__Registry__Guest *in, struct ray_err *err)
{
    struct coord_home home = {0};
    int rc;

    if (in->home == NULL) {
        return RAY_OK;
    }
    rc = fsm_home(in->home, "guest's home", &home, err);
    if (rc == RAY_OK && !fsm->is_view && fsm_find(fsm, COORD_NODE, &home.node) == NULL) {
        rc = fsm_refuse(err, RAY_EINVAL, "a guest's home is not there");
    }
    if (rc == RAY_OK) {
        fsm_guest_set_home(fsm, object, &home);
    }
    return rc;
}

static int read_guest(struct coord_fsm *fsm, struct fsm_object *object,
                      const Rayos__Registry__Guest *in, struct ray_err *err)
{
    struct coord_guest *out = &object->pub.guest;
    int rc;

    if (in->wanted < 0 || in->wanted > (int)RAYOS__REGISTRY__WANTED__WANTED_RUNNING ||
        in->entry < (int)RAY_EPOCH_NONE || in->entry >= (int)RAY_EPOCH_ORIGIN_COUNT ||
        in->state < 0 || in->state > (int)RAYOS__REGISTRY__GUEST_STATE__GUEST_FAILED ||
        in->n_volumes > COORD_GUEST_VOLUMES_MAX) {
        return fsm_refuse(err, RAY_EINVAL, "a guest's state or volumes");
    }
    out->is_wanted = in->wanted != 0;
    out->is_strict = in->is_strict;
    out->state = (uint32_t)in->state;
    out->entry = (enum ray_epoch_origin)in->entry;
    out->epoch = fsm_epoch(in->epoch);
    out->epoch_from = fsm_epoch(in->epoch_from);
    out->volume_count = (uint32_t)in->n_volumes;
    rc = read_ids(in->volumes, in->n_volumes, out->volumes, err);
    if (rc == RAY_OK) {
        rc = fsm_optional_id(&in->migration, "guest's migration", &out->migration, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_line(in->message, "message", out->message, sizeof out->message, err);
    }
    return rc == RAY_OK ? read_guest_home(fsm, object, in, err) : rc;
}

/* An open one is also in its guest, which was read before. */
static int read_open_migration(struct coord_fsm *fsm, const struct coord_object *object,
                               struct ray_err *err)
{
    struct fsm_object *guest = fsm_find(fsm, COORD_GUEST, &object->migration.guest);

    if (guest == NULL || !ray_id_equal(&guest->pub.guest.migration, &object->id)) {
        if (fsm->is_view) {
            return RAY_OK; /* the guest may come later */
        }
        return fsm_refuse(err, RAY_EINVAL, "an open migration that its guest does not have");
    }
    guest->pub.guest.migration_to = object->migration.to;
    return RAY_OK;
}

static int read_migration(struct coord_fsm *fsm, struct coord_object *object,
                          const Rayos__Registry__Migration *in, struct ray_err *err)
{
    struct coord_migration *out = &object->migration;
    int rc = fsm_id(&in->guest, "migration's guest", &out->guest, err);

    if (rc == RAY_OK) {
        rc = fsm_home(in->from, "migration's source", &out->from, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_home(in->to, "migration's destination", &out->to, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (in->state < (int)COORD_MIGRATION_OPEN || in->state > (int)COORD_MIGRATION_CLOSED) {
        return fsm_refuse(err, RAY_EINVAL, "a migration's state");
    }
    out->state = (enum coord_migration_state)in->state;
    out->epoch = fsm_epoch(in->epoch);
    return out->state == COORD_MIGRATION_OPEN ? read_open_migration(fsm, object, err) : RAY_OK;
}

static int read_presentation(struct coord_presentation *out,
                             const Rayos__Registry__Presentation *in, struct ray_err *err)
{
    int rc = fsm_id(&in->guest, "presentation's guest", &out->guest, err);

    if (rc == RAY_OK) {
        rc = fsm_id(&in->node, "presentation's node", &out->node, err);
    }
    out->epoch = fsm_epoch(in->epoch);
    return rc == RAY_OK ? fsm_line(in->surface, "surface", out->surface, sizeof out->surface, err)
                        : rc;
}

static int read_operation(struct coord_operation *out, const Rayos__Registry__Operation *in,
                          struct ray_err *err)
{
    char rules[COORD_OPERATION_RULES_MAX * COORD_NAME_SIZE];
    int rc = fsm_word(in->state, "operation's state", out->state, sizeof out->state, err);

    if (rc == RAY_OK) {
        rc = fsm_line(in->message, "message", out->message, sizeof out->message, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_optional_id(&in->node, "operation's node", &out->node, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_line(in->rule, "rule", out->rule, sizeof out->rule, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_line(in->asker, "who asked", out->asker, sizeof out->asker, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_optional_id(&in->asker_id, "who asked", &out->asker_id, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_line(in->decider, "who decided", out->decider, sizeof out->decider, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_line(in->action, "action", out->action, sizeof out->action, err);
    }
    if (rc == RAY_OK && in->command.len > COORD_FSM_KEPT_COMMAND_SIZE_MAX) {
        rc = fsm_refuse(err, RAY_EINVAL, "a command of %zu bytes that waits", in->command.len);
    }
    if (rc == RAY_OK) {
        rc = fsm_line(in->rules, "rules", rules, sizeof rules, err);
    }
    out->expires_at_us = in->expires_at_us;
    if (rc != RAY_OK) {
        return rc;
    }
    return fsm_bytes_set(&out->command, in->command.data, in->command.len) &&
                   fsm_bytes_set(&out->rules, rules, strlen(rules))
               ? RAY_OK
               : RAY_ENOMEM;
}

static int read_policy(struct coord_object *object, const Rayos__Registry__PolicyVersion *in,
                       struct ray_err *err)
{
    object->policy.version = in->version;
    object->policy.confirm_by_us = in->confirm_by_us;
    object->policy.restores = in->restores;
    object->policy.from = in->from;
    return fsm_policy_check(&object->spec, err);
}

static int read_event(struct coord_happening *out, const Rayos__Registry__Event *in,
                      struct ray_err *err)
{
    int rc = fsm_word(in->what, "what happened", out->what, sizeof out->what, err);

    if (rc == RAY_OK) {
        rc = fsm_line(in->text, "text", out->text, sizeof out->text, err);
    }
    if (rc == RAY_OK) {
        rc = fsm_line(in->principal, "principal", out->principal, sizeof out->principal, err);
    }
    if (rc == RAY_OK && (in->object_kind < 0 || in->object_kind >= (int)COORD_KIND_COUNT)) {
        rc = fsm_refuse(err, RAY_EINVAL, "an event's kind");
    }
    out->sequence = in->sequence;
    out->object_kind = (enum coord_kind)in->object_kind;
    out->time_us = in->time_us;
    return rc == RAY_OK ? fsm_optional_id(&in->object_id, "event's object", &out->object_id, err)
                        : rc;
}

Rayos__Registry__Object__BodyCase fsm_body_of(enum coord_kind kind)
{
    static const Rayos__Registry__Object__BodyCase cases[COORD_KIND_COUNT] = {
        [COORD_CLUSTER] = RAYOS__REGISTRY__OBJECT__BODY_CLUSTER,
        [COORD_NODE] = RAYOS__REGISTRY__OBJECT__BODY_NODE,
        [COORD_PRINCIPAL] = RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL,
        [COORD_TOKEN] = RAYOS__REGISTRY__OBJECT__BODY_TOKEN,
        [COORD_VOLUME] = RAYOS__REGISTRY__OBJECT__BODY_VOLUME,
        [COORD_GUEST] = RAYOS__REGISTRY__OBJECT__BODY_GUEST,
        [COORD_MIGRATION] = RAYOS__REGISTRY__OBJECT__BODY_MIGRATION,
        [COORD_PRESENTATION] = RAYOS__REGISTRY__OBJECT__BODY_PRESENTATION,
        [COORD_OPERATION] = RAYOS__REGISTRY__OBJECT__BODY_OPERATION,
        [COORD_EVENT] = RAYOS__REGISTRY__OBJECT__BODY_EVENT,
        [COORD_POLICY] = RAYOS__REGISTRY__OBJECT__BODY_POLICY,
    };

    return cases[kind];
}

static int read_body(struct coord_fsm *fsm, struct fsm_object *object,
                     const Rayos__Registry__Object *in, struct ray_err *err)
{
    struct coord_object *pub = &object->pub;

    if (in->body_case != fsm_body_of(pub->kind)) {
        return fsm_refuse(err, RAY_EINVAL, "the body is not that of kind %d", (int)pub->kind);
    }
    switch (pub->kind) {
    case COORD_CLUSTER:
        return read_cluster(fsm, &pub->cluster, in->cluster, err);
    case COORD_NODE:
        return read_node(&pub->node, in->node, err);
    case COORD_PRINCIPAL:
        return read_principal(&pub->principal, in->principal, err);
    case COORD_TOKEN:
        return read_token(&pub->token, in->token, err);
    case COORD_VOLUME:
        return read_volume(&pub->volume, in->volume, err);
    case COORD_GUEST:
        return read_guest(fsm, object, in->guest, err);
    case COORD_MIGRATION:
        return read_migration(fsm, pub, in->migration, err);
    case COORD_PRESENTATION:
        return read_presentation(&pub->presentation, in->presentation, err);
    case COORD_OPERATION:
        return read_operation(&pub->operation, in->operation, err);
    case COORD_POLICY:
        return read_policy(pub, in->policy, err);
    case COORD_EVENT:
        return read_event(&pub->happening, in->event, err);
    default:
        return RAY_OK;
    }
}

int fsm_object_read(struct coord_fsm *fsm, struct fsm_object *object,
                    const Rayos__Registry__Object *message, struct ray_err *err)
{
    struct coord_object *pub = &object->pub;
    char name[COORD_NAME_SIZE];
    struct coord_label *labels;
    int rc = fsm_word(message->name, "name", name, sizeof name, err);

    if (rc == RAY_OK) {
        rc = fsm_labels(message->labels, message->n_labels, &fsm->scratch, &labels, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (fsm_find_name(fsm, pub->kind, name) != NULL ||
        message->spec.len > fsm_spec_size_max(pub->kind)) {
        return fsm_refuse(err, RAY_EINVAL, "a name twice, or a spec that is too large");
    }
    pub->revision = message->revision;
    pub->created_revision = message->created_revision;
    pub->is_gone = message->is_gone;
    if (!fsm_object_rename(fsm, object, name) || !fsm_labels_set(pub, labels, message->n_labels) ||
        !fsm_bytes_set(&pub->spec, message->spec.data, message->spec.len)) {
        return RAY_ENOMEM;
    }
    return read_body(fsm, object, message, err);
}
