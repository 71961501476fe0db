/* record.c - objects as messages, and back.
 *
 * One object has one message, and one message one sequence of bytes: what a record says is read,
 * packed again and compared (load.c), so nothing that a reader would ignore can differ between
 * replicas. */
#include <assert.h>
#include <string.h>

#include "base/fault.h"
#include "coordinator/fsm/state.h"
#include "net/proto_codec.h"

static ProtobufCBinaryData blob(const struct coord_bytes *bytes)
{
    return ray_proto_bytes(bytes->data, bytes->size);
}

/* Initialised message in the arena; leaves the calling function with NULL without memory. */
#define NEW(variable, type, prefix)                                                                \
    type *(variable) = ray_arena_alloc(arena, sizeof *(variable));                                 \
    if ((variable) == NULL) {                                                                      \
        return NULL;                                                                               \
    }                                                                                              \
    prefix##__init(variable)

static Rayos__Registry__Epoch *epoch_message(struct ray_epoch epoch, struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Epoch, rayos__registry__epoch);
    message->cluster = epoch.cluster;
    message->index = epoch.index;
    return message;
}

static Rayos__Registry__Home *home_message(const struct coord_home *home, struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Home, rayos__registry__home);
    message->node = ray_proto_optional_id(&home->node);
    message->incarnation = ray_proto_optional_id(&home->incarnation);
    return message;
}

static Rayos__Registry__Timing *timing_message(const struct coord_timing *timing,
                                               struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Timing, rayos__registry__timing);
    message->profile = (char *)timing->profile;
    message->heartbeat_ms = timing->heartbeat_ms;
    message->election_ms = timing->election_ms;
    message->grant_ms = timing->grant_ms;
    message->renew_ms = timing->renew_ms;
    message->margin_ms = timing->margin_ms;
    message->drift_ppm = timing->drift_ppm;
    return message;
}

static ProtobufCBinaryData *id_list(const struct ray_id *ids, size_t count, struct ray_arena *arena)
{
    ProtobufCBinaryData *list = ray_arena_alloc(arena, (count + 1) * sizeof *list);

    for (size_t i = 0; list != NULL && i < count; i++) {
        list[i] = ray_proto_optional_id(&ids[i]);
    }
    return list;
}

static Rayos__Registry__Cluster *cluster_message(const struct coord_cluster *cluster,
                                                 struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Cluster, rayos__registry__cluster);
    message->cluster_epoch = cluster->cluster_epoch;
    message->feature_level = cluster->feature_level;
    message->timing = timing_message(&cluster->timing, arena);
    message->grant_ms_max = cluster->grant_ms_max;
    message->margin_ms_max = cluster->margin_ms_max;
    message->drift_ppm_max = cluster->drift_ppm_max;
    message->timing_revision = cluster->timing_revision;
    message->is_settled = cluster->is_settled;
    message->last_raft_id = cluster->last_raft_id;
    message->n_unknown_nodes = cluster->unknown_count;
    message->unknown_nodes = id_list(cluster->unknown_nodes, cluster->unknown_count, arena);
    message->wanted_voters = cluster->wanted_voters;
    return message->timing != NULL && message->unknown_nodes != NULL ? message : NULL;
}

static Rayos__Registry__Node *node_message(const struct coord_node *node, struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Node, rayos__registry__node);
    message->identity_key = ray_proto_bytes(node->identity_key, sizeof node->identity_key);
    message->link_key = ray_proto_bytes(node->link_key, sizeof node->link_key);
    message->link_key_signature =
        ray_proto_bytes(node->link_key_signature, sizeof node->link_key_signature);
    message->address = (char *)node->address;
    message->domain = (char *)node->domain;
    message->state = (Rayos__Registry__NodeState)node->state;
    message->role = (Rayos__Registry__Role)node->role;
    message->raft_id = node->raft_id;
    message->incarnation = ray_proto_optional_id(&node->incarnation);
    message->boot_counter = node->boot_counter;
    message->admitted_revision = node->admitted_revision;
    message->numbered_revision = node->numbered_revision;
    message->is_fit_for_leases = node->is_fit_for_leases;
    message->is_ephemeral = node->is_ephemeral;
    message->is_in_memory = node->is_in_memory;
    message->is_quarantined = node->is_quarantined;
    if (node->has_join_token) {
        message->join_token = ray_proto_bytes(node->join_token, sizeof node->join_token);
    }
    message->wanted_name = (char *)node->wanted_name;
    message->health = (char *)node->health;
    message->message = (char *)node->message;
    message->facts = blob(&node->facts);
    return message;
}

static Rayos__Registry__Principal *principal_message(const struct coord_principal *principal,
                                                     struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Principal, rayos__registry__principal);
    message->key = ray_proto_bytes(principal->key, sizeof principal->key);
    message->is_admin = principal->is_admin;
    message->role = (Rayos__Registry__PrincipalRole)principal->role;
    return message;
}

static Rayos__Registry__Token *token_message(const struct coord_token *token,
                                             struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Token, rayos__registry__token);
    message->hash = ray_proto_bytes(token->hash, sizeof token->hash);
    message->uses_left = token->uses_left;
    message->expires_at_us = token->expires_at_us;
    message->needs_approval = token->needs_approval;
    message->is_ephemeral = token->is_ephemeral;
    message->node_name = (char *)token->node_name;
    message->replaces = ray_proto_optional_id(&token->replaces);
    message->takes_place = token->takes_place;
    return message;
}

static Rayos__Registry__Volume *volume_message(const struct coord_volume *volume,
                                               struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Volume, rayos__registry__volume);
    message->guest = ray_proto_optional_id(&volume->guest);
    message->is_detaching = volume->is_detaching;
    if (volume->has_writer) {
        message->writer_epoch = epoch_message(volume->writer_epoch, arena);
        return message->writer_epoch != NULL ? message : NULL;
    }
    return message;
}

static Rayos__Registry__Guest *guest_message(const struct coord_guest *guest,
                                             struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Guest, rayos__registry__guest);
    message->wanted = guest->is_wanted ? RAYOS__REGISTRY__WANTED__WANTED_RUNNING
                                       : RAYOS__REGISTRY__WANTED__WANTED_STOPPED;
    if (!ray_id_is_none(&guest->home.node)) {
        message->home = home_message(&guest->home, arena);
        if (message->home == NULL) {
            return NULL;
        }
    }
    message->epoch = epoch_message(guest->epoch, arena);
    message->epoch_from = epoch_message(guest->epoch_from, arena);
    message->entry = (Rayos__Registry__Origin)guest->entry;
    message->has_run = guest->has_run;
    message->migration = ray_proto_optional_id(&guest->migration);
    message->n_volumes = guest->volume_count;
    message->volumes = id_list(guest->volumes, guest->volume_count, arena);
    message->state = (Rayos__Registry__GuestState)guest->state;
    message->message = (char *)guest->message;
    message->is_strict = guest->is_strict;
    return message->epoch != NULL && message->epoch_from != NULL && message->volumes != NULL
               ? message
               : NULL;
}

static Rayos__Registry__Migration *migration_message(const struct coord_migration *migration,
                                                     struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Migration, rayos__registry__migration);
    message->guest = ray_proto_optional_id(&migration->guest);
    message->from = home_message(&migration->from, arena);
    message->to = home_message(&migration->to, arena);
    message->epoch = epoch_message(migration->epoch, arena);
    message->state = (Rayos__Registry__MigrationState)migration->state;
    return message->from != NULL && message->to != NULL && message->epoch != NULL ? message : NULL;
}

static Rayos__Registry__Presentation *
presentation_message(const struct coord_presentation *presentation, struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Presentation, rayos__registry__presentation);
    message->guest = ray_proto_optional_id(&presentation->guest);
    message->node = ray_proto_optional_id(&presentation->node);
    message->surface = (char *)presentation->surface;
    message->epoch = epoch_message(presentation->epoch, arena);
    return message->epoch != NULL ? message : NULL;
}

static Rayos__Registry__Operation *operation_message(const struct coord_operation *operation,
                                                     struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Operation, rayos__registry__operation);
    message->state = (char *)operation->state;
    message->message = (char *)operation->message;
    message->node = ray_proto_optional_id(&operation->node);
    message->command = blob(&operation->command);
    message->rule = (char *)operation->rule;
    message->rules = ray_arena_strndup(
        arena, operation->rules.size > 0 ? (const char *)operation->rules.data : "",
        operation->rules.size);
    message->asker = (char *)operation->asker;
    message->asker_id = ray_proto_optional_id(&operation->asker_id);
    message->decider = (char *)operation->decider;
    message->action = (char *)operation->action;
    message->expires_at_us = operation->expires_at_us;
    return message->rules != NULL ? message : NULL;
}

static Rayos__Registry__PolicyVersion *policy_message(const struct coord_policy_version *policy,
                                                      struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__PolicyVersion, rayos__registry__policy_version);
    message->version = policy->version;
    message->confirm_by_us = policy->confirm_by_us;
    message->restores = policy->restores;
    message->from = policy->from;
    return message;
}

static Rayos__Registry__Event *event_message(const struct coord_happening *happening,
                                             struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Event, rayos__registry__event);
    message->sequence = happening->sequence;
    message->what = (char *)happening->what;
    message->text = (char *)happening->text;
    message->object_kind = (Rayos__Registry__Kind)happening->object_kind;
    message->object_id = ray_proto_optional_id(&happening->object_id);
    message->time_us = happening->time_us;
    message->principal = (char *)happening->principal;
    return message;
}

/* The kind's own message; every kind without one is true. */
bool fsm_body_message(Rayos__Registry__Object *message, const struct coord_object *object,
                      struct ray_arena *arena)
{
    switch (object->kind) {
    case COORD_CLUSTER:
        message->body_case = RAYOS__REGISTRY__OBJECT__BODY_CLUSTER;
        return (message->cluster = cluster_message(&object->cluster, arena)) != NULL;
    case COORD_NODE:
        message->body_case = RAYOS__REGISTRY__OBJECT__BODY_NODE;
        return (message->node = node_message(&object->node, arena)) != NULL;
    case COORD_PRINCIPAL:
        message->body_case = RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL;
        return (message->principal = principal_message(&object->principal, arena)) != NULL;
    case COORD_TOKEN:
        message->body_case = RAYOS__REGISTRY__OBJECT__BODY_TOKEN;
        return (message->token = token_message(&object->token, arena)) != NULL;
    case COORD_VOLUME:
        message->body_case = RAYOS__REGISTRY__OBJECT__BODY_VOLUME;
        return (message->volume = volume_message(&object->volume, arena)) != NULL;
    case COORD_GUEST:
        message->body_case = RAYOS__REGISTRY__OBJECT__BODY_GUEST;
        return (message->guest = guest_message(&object->guest, arena)) != NULL;
    case COORD_MIGRATION:
        message->body_case = RAYOS__REGISTRY__OBJECT__BODY_MIGRATION;
        return (message->migration = migration_message(&object->migration, arena)) != NULL;
    case COORD_PRESENTATION:
        message->body_case = RAYOS__REGISTRY__OBJECT__BODY_PRESENTATION;
        return (message->presentation = presentation_message(&object->presentation, arena)) != NULL;
    case COORD_OPERATION:
        message->body_case = RAYOS__REGISTRY__OBJECT__BODY_OPERATION;
        return (message->operation = operation_message(&object->operation, arena)) != NULL;
    case COORD_POLICY:
        message->body_case = RAYOS__REGISTRY__OBJECT__BODY_POLICY;
        return (message->policy = policy_message(&object->policy, arena)) != NULL;
    case COORD_EVENT:
        message->body_case = RAYOS__REGISTRY__OBJECT__BODY_EVENT;
        return (message->event = event_message(&object->happening, arena)) != NULL;
    default:
        return true;
    }
}

static bool add_labels(Rayos__Registry__Object *message, const struct coord_object *object,
                       struct ray_arena *arena)
{
    size_t count = object->label_count;
    Rayos__Registry__Label *labels;

    if (count == 0) {
        return true;
    }
    labels = ray_arena_alloc(arena, count * sizeof *labels);
    message->labels = ray_arena_alloc(arena, count * sizeof(Rayos__Registry__Label *));
    if (labels == NULL || message->labels == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        rayos__registry__label__init(&labels[i]);
        labels[i].key = (char *)object->labels[i].key;
        labels[i].value = blob(&object->labels[i].value);
        message->labels[i] = &labels[i];
    }
    message->n_labels = count;
    return true;
}

Rayos__Registry__Object *fsm_object_message(const struct coord_object *object,
                                            struct ray_arena *arena)
{
    NEW(message, Rayos__Registry__Object, rayos__registry__object);
    message->kind = (Rayos__Registry__Kind)object->kind;
    message->id = ray_proto_optional_id(&object->id);
    message->name = (char *)object->name;
    message->revision = object->revision;
    message->created_revision = object->created_revision;
    message->spec = blob(&object->spec);
    message->is_gone = object->is_gone;
    if (!add_labels(message, object, arena) || !fsm_body_message(message, object, arena)) {
        return NULL;
    }
    return message;
}

/* A token's hash is all that a joiner has to know; a command that waits may make a token. */
bool fsm_object_hide(Rayos__Registry__Object *message)
{
    switch (message->body_case) {
    case RAYOS__REGISTRY__OBJECT__BODY_TOKEN:
        message->token->hash = (ProtobufCBinaryData){0};
        return true;
    case RAYOS__REGISTRY__OBJECT__BODY_NODE:
        message->node->join_token = (ProtobufCBinaryData){0};
        return true;
    case RAYOS__REGISTRY__OBJECT__BODY_OPERATION:
        message->operation->command = (ProtobufCBinaryData){0};
        return true;
    default:
        return false;
    }
}

int fsm_operation_show(Rayos__Registry__Object *message, struct ray_arena *arena)
{
    ProtobufCBinaryData *bytes = &message->operation->command;
    ProtobufCMessage *unpacked;
    Rayos__Registry__Command *command;
    const uint8_t *shown;
    size_t size;
    int rc = ray_proto_unpack(&rayos__registry__command__descriptor, bytes->data, bytes->len, arena,
                              &unpacked, NULL);

    if (rc == RAY_OK) {
        command = (Rayos__Registry__Command *)unpacked;
        if (command->body_case == RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT &&
            command->object_put->object != NULL) {
            (void)fsm_object_hide(command->object_put->object);
        }
        rc = ray_proto_pack(unpacked, COORD_FSM_KEPT_COMMAND_SIZE_MAX, arena, &shown, &size, NULL);
    }
    *bytes = rc == RAY_OK ? ray_proto_bytes(shown, size) : (ProtobufCBinaryData){0};
    return rc == RAY_ENOMEM ? rc : RAY_OK;
}

Rayos__Registry__Change **fsm_changes_message(const struct fsm_object *object,
                                              struct ray_arena *arena, size_t *out_count)
{
    size_t count = object->change_count;
    Rayos__Registry__Change **list = ray_arena_alloc(arena, (count + 1) * sizeof(void *));
    Rayos__Registry__Change *changes = ray_arena_alloc(arena, (count + 1) * sizeof *changes);

    if (list == NULL || changes == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const struct fsm_change *change = fsm_history_at(object, i);

        rayos__registry__change__init(&changes[i]);
        changes[i].revision = change->revision;
        changes[i].principal = change->principal->bytes;
        changes[i].reason = change->reason->bytes;
        changes[i].time_us = change->time_us;
        changes[i].what = change->what->bytes;
        list[i] = &changes[i];
    }
    *out_count = count;
    return list;
}
