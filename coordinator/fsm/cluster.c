/* cluster.c - commands about the cluster as a whole: creation, timing, time, features, recovery. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/size.h"
#include "coordinator/fsm/state.h"
#include "coordinator/mutant.h"

enum { CREATE_TOKENS_MAX = 16, WANTED_VOTERS_DEFAULT = 3, FIRST_LEVEL = 1 };

struct fsm_object *fsm_cluster_of(struct fsm_apply *apply, int *out_rc)
{
    struct fsm_object *cluster = apply->fsm->cluster;

    assert(cluster != NULL); /* only cluster-create and what knows no cluster come before */
    *out_rc = fsm_touch(apply, cluster);
    return *out_rc == RAY_OK ? cluster : NULL;
}

int fsm_require_no_recovery(struct fsm_apply *apply)
{
    const struct coord_cluster *cluster = &apply->fsm->cluster->pub.cluster;

    if (cluster->unknown_count == 0 || RAY_MUTANT(FSM_RECOVERY_TRUSTS)) {
        return RAY_OK;
    }
    (void)ray_fail(apply->err, RAY_EUNAVAILABLE,
                   "the cluster is in recovery: %u nodes may still run guests",
                   cluster->unknown_count);
    (void)ray_next(apply->err, "bring each node back, or 'clusterctl node confirm-off NODE'");
    return RAY_EUNAVAILABLE;
}

int fsm_find_or_fail(struct fsm_apply *apply, enum coord_kind kind, const ProtobufCBinaryData *id,
                     struct fsm_object **out)
{
    static const char *const names[COORD_KIND_COUNT] = {
        "object", "cluster", "node",  "principal", "token",        "policy",    "network",
        "image",  "volume",  "guest", "migration", "presentation", "operation", "event",
    };
    char text[RAY_ID_TEXT_SIZE];
    struct fsm_object *object;
    struct ray_id wanted;
    int rc = fsm_id(id, names[kind], &wanted, apply->err);

    if (rc != RAY_OK) {
        return rc;
    }
    object = fsm_find(apply->fsm, kind, &wanted);
    if (object == NULL) {
        return fsm_refuse(apply->err, RAY_ENOTFOUND, "no %s %s", names[kind],
                          ray_id_format(&wanted, text));
    }
    *out = object;
    return RAY_OK;
}

int fsm_name_check(struct fsm_apply *apply, enum coord_kind kind, const char *name,
                   const struct fsm_object *self)
{
    const struct fsm_object *other;

    if (self != NULL && strcmp(self->pub.name, name) == 0) {
        return RAY_OK;
    }
    other = fsm_find_name(apply->fsm, kind, name);
    if (other != NULL && other != self) {
        return fsm_refuse(apply->err, RAY_EEXISTS, "the name '%s' is taken", name);
    }
    return RAY_OK;
}

static void start_cluster(struct coord_cluster *cluster, const struct coord_timing *timing,
                          uint64_t index)
{
    cluster->cluster_epoch = 1;
    cluster->feature_level = FIRST_LEVEL;
    cluster->wanted_voters = WANTED_VOTERS_DEFAULT;
    cluster->timing = *timing;
    cluster->grant_ms_max = timing->grant_ms;
    cluster->margin_ms_max = timing->margin_ms;
    cluster->drift_ppm_max = timing->drift_ppm;
    cluster->timing_revision = index;
    cluster->is_settled = true; /* there was no other timing before */
    cluster->last_raft_id = 1;
}

struct create {
    struct ray_id id;
    char name[COORD_NAME_SIZE];
    struct coord_timing timing;
};

static int check_tokens(struct fsm_apply *apply, const Rayos__Registry__ClusterCreate *command)
{
    int rc = RAY_OK;

    if (command->n_tokens > CREATE_TOKENS_MAX) {
        return fsm_refuse(apply->err, RAY_ETOOBIG, "at most %d tokens", CREATE_TOKENS_MAX);
    }
    for (size_t i = 0; i < command->n_tokens && rc == RAY_OK; i++) {
        rc = fsm_token_check(apply, command->tokens[i]);
        for (size_t j = 0; j < i && rc == RAY_OK; j++) {
            if (command->tokens[i]->id.len == command->tokens[j]->id.len &&
                memcmp(command->tokens[i]->id.data, command->tokens[j]->id.data,
                       command->tokens[i]->id.len) == 0) {
                rc = fsm_refuse(apply->err, RAY_EINVAL, "a token is twice there");
            }
        }
    }
    return rc;
}

static int check_create(struct fsm_apply *apply, const Rayos__Registry__ClusterCreate *command,
                        struct create *out)
{
    int rc;

    if (apply->fsm->cluster != NULL) {
        return fsm_refuse(apply->err, RAY_EEXISTS, "the cluster is there already");
    }
    rc = fsm_id(&command->id, "cluster", &out->id, apply->err);
    if (rc == RAY_OK) {
        rc = fsm_word(command->name, "name", out->name, sizeof out->name, apply->err);
    }
    if (rc == RAY_OK) {
        rc = fsm_timing(command->timing, &out->timing, apply->err);
    }
    if (rc == RAY_OK) {
        rc = fsm_principal_check(apply, command->admin);
    }
    if (rc == RAY_OK && !command->admin->principal->is_admin) {
        rc = fsm_refuse(apply->err, RAY_EINVAL, "the first principal must be an admin");
    }
    if (rc == RAY_OK && command->policy.len > 0) {
        const struct coord_bytes rules = {command->policy.data, (uint32_t)command->policy.len};

        rc = fsm_policy_check_new(FIRST_LEVEL, &rules, apply->err);
    }
    return rc == RAY_OK ? check_tokens(apply, command) : rc;
}

int fsm_cluster_create(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__ClusterCreate *create = command;
    struct create checked;
    struct fsm_object *cluster;
    int rc = check_create(apply, create, &checked);

    if (rc == RAY_OK) {
        rc = fsm_first_node_check(apply, create->node);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    rc = fsm_object_new(apply, COORD_CLUSTER, &checked.id, checked.name, &cluster);
    if (rc != RAY_OK) {
        return rc;
    }
    start_cluster(&cluster->pub.cluster, &checked.timing, apply->index);
    rc = fsm_first_node_add(apply, create->node, create->boot_counter);
    if (rc == RAY_OK) {
        rc = fsm_put_principal(apply, create->admin);
    }
    for (size_t i = 0; i < create->n_tokens && rc == RAY_OK; i++) {
        rc = fsm_put_token(apply, create->tokens[i]);
    }
    return rc == RAY_OK ? fsm_policy_first(apply, &create->policy) : rc;
}

static int expire_tokens(struct fsm_apply *apply)
{
    struct coord_fsm *fsm = apply->fsm;
    struct fsm_order *tokens = &fsm->order[COORD_TOKEN];
    size_t count = 0;
    int rc = RAY_OK;

    fsm_order_sort(tokens);
    for (size_t i = 0; i < tokens->count && count < FSM_TICK_TOKENS_MAX && rc == RAY_OK; i++) {
        struct fsm_object *token = fsm_at(fsm, COORD_TOKEN, i);
        uint64_t at_us = token->pub.token.expires_at_us;

        if (at_us != 0 && at_us <= fsm->clock_us) {
            rc = fsm_remove(apply, token);
            count++;
        }
    }
    return rc;
}

int fsm_tick(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__Tick *tick = command;
    struct coord_fsm *fsm = apply->fsm;
    int rc;

    if (fsm->tick_term != fsm->term && !RAY_MUTANT(FSM_FOREIGN_CLOCK)) {
        /* Another leader, another clock: it only begins to count. */
        fsm->tick_term = fsm->term;
        fsm->tick_term_clock_us = fsm->clock_us;
        fsm->tick_now_us = tick->now_us;
        return RAY_OK;
    }
    if (tick->now_us > fsm->tick_now_us) {
        uint64_t step_us = tick->now_us - fsm->tick_now_us;

        fsm->clock_us += step_us < COORD_FSM_TICK_MAX_US ? step_us : COORD_FSM_TICK_MAX_US;
        fsm->tick_now_us = tick->now_us;
    }
    rc = fsm_sessions_expire(fsm);
    if (rc == RAY_OK) {
        rc = expire_tokens(apply);
    }
    if (rc == RAY_OK) {
        rc = fsm_policy_tick(apply);
    }
    return rc == RAY_OK ? fsm_operations_expire(apply) : rc;
}

int fsm_hash(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__Hash *hash = command;
    const struct coord_fsm *fsm = apply->fsm;
    size_t slot = hash->index / COORD_FSM_HASH_INTERVAL % FSM_HASHES_KEPT;

    if (hash->hash.len != COORD_HASH_SIZE || hash->index == 0 ||
        hash->index % COORD_FSM_HASH_INTERVAL != 0) {
        return fsm_refuse(apply->err, RAY_EINVAL, "no hash of a multiple of %d",
                          COORD_FSM_HASH_INTERVAL);
    }
    if (fsm->hashes[slot].index != hash->index) {
        return RAY_OK; /* before our snapshot, or long ago: nothing to compare with */
    }
    if (memcmp(fsm->hashes[slot].hash, hash->hash.data, COORD_HASH_SIZE) != 0) {
        apply->is_fatal = true;
        return fsm_refuse(apply->err, RAY_ECONFLICT,
                          "our state after entry %llu is not the leader's",
                          (unsigned long long)hash->index);
    }
    return RAY_OK;
}

int fsm_feature_raise(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__FeatureRaise *raise = command;
    struct fsm_object *cluster;
    char text[COORD_MESSAGE_SIZE];
    int rc;

    /* Above our own level the state machine has halted before this. */
    assert(raise->level <= apply->fsm->level_max);
    if (raise->level <= apply->fsm->cluster->pub.cluster.feature_level) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "the feature level is %u already",
                          apply->fsm->cluster->pub.cluster.feature_level);
    }
    cluster = fsm_cluster_of(apply, &rc);
    if (cluster != NULL) {
        (void)snprintf(text, sizeof text, "from %u to %u", cluster->pub.cluster.feature_level,
                       raise->level);
        cluster->pub.cluster.feature_level = raise->level;
        rc = fsm_happen(apply, "feature-raised", COORD_CLUSTER, &cluster->pub.id, text);
    }
    return rc;
}

static void raise_to(uint32_t *max, uint32_t value)
{
    if (value > *max || RAY_MUTANT(FSM_T_LOWERED_AT_ONCE)) {
        *max = value;
    }
}

int fsm_timing_set(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__TimingSet *set = command;
    struct coord_timing timing;
    struct fsm_object *object;
    struct coord_cluster *cluster;
    int rc = fsm_timing(set->timing, &timing, apply->err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (!apply->fsm->cluster->pub.cluster.is_settled) {
        return fsm_refuse(apply->err, RAY_ECONFLICT,
                          "the last change of timing has not settled yet: a grant of the old one "
                          "may live");
    }
    object = fsm_cluster_of(apply, &rc);
    if (object == NULL) {
        return rc;
    }
    cluster = &object->pub.cluster;
    cluster->timing = timing;
    raise_to(&cluster->grant_ms_max, timing.grant_ms);
    raise_to(&cluster->margin_ms_max, timing.margin_ms);
    raise_to(&cluster->drift_ppm_max, timing.drift_ppm);
    cluster->timing_revision = apply->index;
    cluster->is_settled = false;
    return RAY_OK;
}

int fsm_timing_settled(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__TimingSettled *settled = command;
    struct fsm_object *object;
    struct coord_cluster *cluster;
    int rc;

    if (settled->timing_revision != apply->fsm->cluster->pub.cluster.timing_revision) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "timing was changed by entry %llu",
                          (unsigned long long)apply->fsm->cluster->pub.cluster.timing_revision);
    }
    if (apply->fsm->cluster->pub.cluster.is_settled) {
        return RAY_OK;
    }
    object = fsm_cluster_of(apply, &rc);
    if (object == NULL) {
        return rc;
    }
    cluster = &object->pub.cluster;
    cluster->grant_ms_max = cluster->timing.grant_ms;
    cluster->margin_ms_max = cluster->timing.margin_ms;
    cluster->drift_ppm_max = cluster->timing.drift_ppm;
    cluster->is_settled = true;
    return RAY_OK;
}

int fsm_voters_set(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__VotersSet *set = command;
    struct fsm_object *cluster;
    int rc;

    if (set->wanted_voters != 1 && set->wanted_voters != 3 && set->wanted_voters != 5) {
        return fsm_refuse(apply->err, RAY_EINVAL, "1, 3 or 5 voters, not %u", set->wanted_voters);
    }
    cluster = fsm_cluster_of(apply, &rc);
    if (cluster != NULL) {
        cluster->pub.cluster.wanted_voters = set->wanted_voters;
    }
    return rc;
}

static bool has_id(const ProtobufCBinaryData *ids, size_t count, const struct ray_id *id)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(ids[i].data, id->bytes, RAY_ID_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

static int check_ids(struct fsm_apply *apply, const ProtobufCBinaryData *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ray_id id;
        int rc = fsm_id(&ids[i], "node", &id, apply->err);

        if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

static int check_survivors(struct fsm_apply *apply, const Rayos__Registry__ClusterRecover *command)
{
    int rc = check_ids(apply, command->survivors, command->n_survivors);

    if (rc == RAY_OK) {
        rc = check_ids(apply, command->confirmed_off, command->n_confirmed_off);
    }
    for (size_t i = 0; i < command->n_survivors && rc == RAY_OK; i++) {
        struct fsm_object *node;

        rc = fsm_find_or_fail(apply, COORD_NODE, &command->survivors[i], &node);
        if (rc == RAY_OK && (node->pub.node.state == COORD_NODE_PENDING ||
                             node->pub.node.state == COORD_NODE_REMOVED)) {
            rc = fsm_refuse(apply->err, RAY_ECONFLICT, "a survivor is no member");
        }
    }
    if (rc == RAY_OK && command->n_survivors == 0) {
        rc = fsm_refuse(apply->err, RAY_EINVAL, "a recovery needs a survivor");
    }
    return rc;
}

/* Nodes that may run guests without our knowledge, sorted; pending ones never ran any. */
static int collect_unknown(struct fsm_apply *apply, const Rayos__Registry__ClusterRecover *command,
                           struct ray_id **out, uint32_t *out_count)
{
    struct fsm_order *nodes = &apply->fsm->order[COORD_NODE];
    struct ray_id *unknown =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(nodes->count + 1, sizeof *unknown);
    uint32_t count = 0;

    if (unknown == NULL) {
        return RAY_ENOMEM;
    }
    fsm_order_sort(nodes);
    for (size_t i = 0; i < nodes->count; i++) {
        const struct coord_object *node = &fsm_at(apply->fsm, COORD_NODE, i)->pub;

        if (node->node.state != COORD_NODE_PENDING &&
            !has_id(command->survivors, command->n_survivors, &node->id) &&
            !has_id(command->confirmed_off, command->n_confirmed_off, &node->id)) {
            unknown[count++] = node->id;
        }
    }
    *out = unknown;
    *out_count = count;
    return RAY_OK;
}

int fsm_cluster_recover(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__ClusterRecover *recover = command;
    struct fsm_object *object = apply->fsm->cluster;
    struct ray_id *unknown;
    uint32_t count;
    char text[COORD_MESSAGE_SIZE];
    int rc = check_survivors(apply, recover);

    if (rc != RAY_OK) {
        return rc;
    }
    if (recover->expected_cluster_epoch != object->pub.cluster.cluster_epoch) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "the cluster epoch is %llu, not %llu",
                          (unsigned long long)object->pub.cluster.cluster_epoch,
                          (unsigned long long)recover->expected_cluster_epoch);
    }
    object = fsm_cluster_of(apply, &rc);
    if (object == NULL) {
        return rc;
    }
    rc = collect_unknown(apply, recover, &unknown, &count);
    if (rc != RAY_OK) {
        return rc;
    }
    free(object->pub.cluster.unknown_nodes);
    object->pub.cluster.unknown_nodes = unknown;
    object->pub.cluster.unknown_count = count;
    object->pub.cluster.cluster_epoch++;
    (void)snprintf(text, sizeof text, "cluster epoch %llu, %zu survivors, %u nodes unknown",
                   (unsigned long long)object->pub.cluster.cluster_epoch, recover->n_survivors,
                   count);
    return fsm_happen(apply, "cluster-recovered", COORD_CLUSTER, &object->pub.id, text);
}

int fsm_unknown_remove(struct fsm_apply *apply, const struct ray_id *node)
{
    struct coord_cluster *cluster = &apply->fsm->cluster->pub.cluster;
    size_t i = 0;
    int rc;

    while (i < cluster->unknown_count && !ray_id_equal(&cluster->unknown_nodes[i], node)) {
        i++;
    }
    if (i == cluster->unknown_count) {
        return RAY_OK;
    }
    if (fsm_cluster_of(apply, &rc) == NULL) {
        return rc;
    }
    memmove(&cluster->unknown_nodes[i], &cluster->unknown_nodes[i + 1],
            (cluster->unknown_count - i - 1) * sizeof *cluster->unknown_nodes);
    cluster->unknown_count--;
    return RAY_OK;
}

static int compare_ids(const void *a, const void *b)
{
    return ray_id_compare(a, b);
}

int fsm_confirm_off_check(struct fsm_apply *apply, const Rayos__Registry__ConfirmOff *off)
{
    struct ray_id *ids;
    int rc;

    if (off->n_nodes > COORD_UNKNOWN_NODES_MAX) {
        return fsm_refuse(apply->err, RAY_ETOOBIG, "%zu nodes, at most %d", off->n_nodes,
                          COORD_UNKNOWN_NODES_MAX);
    }
    rc = check_ids(apply, off->nodes, off->n_nodes);
    if (rc != RAY_OK) {
        return rc;
    }
    ids = ray_arena_alloc(&apply->fsm->arena, (off->n_nodes + 1) * sizeof *ids);
    if (ids == NULL) {
        return RAY_ENOMEM;
    }
    for (size_t i = 0; i < off->n_nodes; i++) {
        memcpy(ids[i].bytes, off->nodes[i].data, RAY_ID_SIZE);
    }
    qsort(ids, off->n_nodes, sizeof *ids, compare_ids);
    for (size_t i = 1; i < off->n_nodes; i++) {
        if (ray_id_equal(&ids[i - 1], &ids[i])) {
            return fsm_refuse(apply->err, RAY_EINVAL, "a node is named twice");
        }
    }
    return RAY_OK;
}

int fsm_confirm_off(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__ConfirmOff *off = command;
    const struct coord_object *cluster = &apply->fsm->cluster->pub;
    uint32_t before = cluster->cluster.unknown_count;
    char text[COORD_MESSAGE_SIZE];
    int rc = fsm_confirm_off_check(apply, off);

    if (rc != RAY_OK) {
        return rc;
    }
    for (size_t i = 0; i < off->n_nodes && rc == RAY_OK; i++) {
        struct ray_id id;

        memcpy(id.bytes, off->nodes[i].data, RAY_ID_SIZE);
        rc = fsm_unknown_remove(apply, &id);
    }
    if (rc != RAY_OK || before == cluster->cluster.unknown_count) {
        return rc;
    }
    (void)snprintf(text, sizeof text, "%u nodes confirmed off, %u still unknown",
                   before - cluster->cluster.unknown_count, cluster->cluster.unknown_count);
    return fsm_happen(apply, "confirmed-off", COORD_CLUSTER, &cluster->id, text);
}

int fsm_event_add(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__EventAdd *add = command;
    char what[COORD_WORD_SIZE * 2];
    char text[COORD_MESSAGE_SIZE];
    struct ray_id id;
    int rc = fsm_word(add->what, "what happened", what, sizeof what, apply->err);

    if (rc == RAY_OK) {
        rc = fsm_line(add->text, "text", text, sizeof text, apply->err);
    }
    if (rc == RAY_OK) {
        rc = fsm_optional_id(&add->object_id, "object", &id, apply->err);
    }
    if (rc == RAY_OK &&
        (what[0] == '\0' || add->object_kind < 0 || add->object_kind >= (int)COORD_KIND_COUNT)) {
        rc = fsm_refuse(apply->err, RAY_EINVAL, "an event says what happened to which kind");
    }
    if (rc == RAY_OK && apply->header->caller != RAYOS__REGISTRY__CALLER__CALLER_NONE &&
        fsm_is_own_word(what)) {
        rc = fsm_refuse(apply->err, RAY_EDENIED, "'%s' is said by the cluster itself", what);
        (void)ray_next(apply->err, "give the event a name of your own");
    }
    if (rc != RAY_OK) {
        return rc;
    }
    /* A member has judged something itself: no less bounded than what is judged here. */
    if (strcmp(what, fsm_denied_word) == 0) {
        return fsm_happen_denied(apply, text);
    }
    return apply->header->caller == RAYOS__REGISTRY__CALLER__CALLER_NONE
               ? fsm_happen(apply, what, (enum coord_kind)add->object_kind, &id, text)
               : fsm_happen_said(apply, what, (enum coord_kind)add->object_kind, &id, text);
}
