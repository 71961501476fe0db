/* fsm_fixture.c - commands of tests. */
#include "coordinator/fsm/fsm_fixture.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/proto_codec.h"
#include "net/spec_fixture.h"

#define BODY(command, part, member, MEMBER)                                                        \
    ((command)->message.body_case = RAYOS__REGISTRY__COMMAND__BODY_##MEMBER,                       \
     (command)->message.member = &(part))

struct ray_id fix_id(unsigned number)
{
    struct ray_id id = {0};

    for (int i = 0; i < 4; i++) {
        id.bytes[RAY_ID_SIZE - 1 - i] = (uint8_t)(number >> (8 * i));
    }
    return id;
}

unsigned fix_incarnation(unsigned node)
{
    return node + 100;
}

void fix_open(struct fix *fix)
{
    *fix = (struct fix){.term = 1};
    if (coord_fsm_create(&fix->fsm, NULL) != RAY_OK ||
        coord_fsm_create(&fix->twin, NULL) != RAY_OK) {
        abort();
    }
}

void fix_close(struct fix *fix)
{
    coord_fsm_destroy(fix->fsm);
    coord_fsm_destroy(fix->twin);
}

void fix_command(struct fix_command *command)
{
    *command = (struct fix_command){0};
    rayos__registry__command__init(&command->message);
    rayos__registry__header__init(&command->header);
    command->header.version = COORD_FSM_COMMAND_VERSION;
    command->header.principal = (char *)"admin";
    command->header.reason = (char *)"test";
    command->message.header = &command->header;
}

void fix_as(struct fix_command *command, const char *principal, Rayos__Registry__Caller caller)
{
    command->header.principal = (char *)(uintptr_t)principal;
    command->header.caller = caller;
}

uint8_t *fix_pack(const struct fix_command *command, size_t *out_size)
{
    size_t size = rayos__registry__command__get_packed_size(&command->message);
    uint8_t *bytes = malloc(size > 0 ? size : 1);

    if (bytes == NULL) {
        abort();
    }
    *out_size = rayos__registry__command__pack(&command->message, bytes);
    return bytes;
}

static void must_agree(const struct fix *fix, const struct coord_fsm_outcome *other)
{
    const struct coord_fsm_outcome *own = &fix->outcome;
    uint8_t a[COORD_HASH_SIZE];
    uint8_t b[COORD_HASH_SIZE];

    coord_fsm_hash(fix->fsm, a);
    coord_fsm_hash(fix->twin, b);
    if (memcmp(a, b, sizeof a) != 0 || own->result.code != other->result.code ||
        strcmp(own->result.text, other->result.text) != 0 ||
        own->result.revision != other->result.revision ||
        own->result.body_size != other->result.body_size ||
        own->event_count != other->event_count) {
        (void)fprintf(stderr, "the twins differ at entry %llu\n", (unsigned long long)fix->index);
        abort();
    }
    for (size_t i = 0; i < own->event_count; i++) {
        if (own->events[i].packed_size != other->events[i].packed_size ||
            memcmp(own->events[i].packed, other->events[i].packed, own->events[i].packed_size) !=
                0) {
            (void)fprintf(stderr, "the twins' events differ at entry %llu\n",
                          (unsigned long long)fix->index);
            abort();
        }
    }
}

int fix_apply_bytes(struct fix *fix, const uint8_t *bytes, size_t size)
{
    struct coord_fsm_outcome other;
    struct ray_err err = {0};
    int rc;
    int other_rc;

    fix->index++;
    rc = coord_fsm_apply(fix->fsm, fix->index, fix->term, bytes, size, &fix->outcome, &err);
    if (fix->has_no_twin) {
        return rc;
    }
    other_rc = coord_fsm_apply(fix->twin, fix->index, fix->term, bytes, size, &other, &err);
    if (rc != other_rc) {
        abort();
    }
    if (rc == RAY_OK) {
        must_agree(fix, &other);
    }
    return rc;
}

int fix_apply(struct fix *fix, struct fix_command *command)
{
    size_t size;
    uint8_t *bytes;
    int rc;

    command->header.time_us = ++fix->time_us;
    bytes = fix_pack(command, &size);
    rc = fix_apply_bytes(fix, bytes, size);
    free(bytes);
    return rc == RAY_OK ? fix->outcome.result.code : rc;
}

int fix_apply_in(struct fix *fix, struct fix_command *command, unsigned session, uint64_t sequence)
{
    command->session = fix_id(session);
    command->header.session = ray_proto_optional_id(&command->session);
    command->header.sequence = sequence;
    return fix_apply(fix, command);
}

static void propose_as(struct fix_command *command, unsigned incarnation)
{
    command->incarnation = fix_id(incarnation);
    command->header.incarnation = ray_proto_optional_id(&command->incarnation);
}

static void default_timing(Rayos__Registry__Timing *timing, uint32_t grant_ms)
{
    rayos__registry__timing__init(timing);
    timing->profile = (char *)"lan";
    timing->heartbeat_ms = 40;
    timing->election_ms = 200;
    timing->grant_ms = grant_ms;
    timing->renew_ms = grant_ms / 6;
    timing->margin_ms = grant_ms / 6;
    timing->drift_ppm = 10000;
}

/* A node's description; every part in one place that outlives the packing. */
struct node_parts {
    Rayos__Registry__Object object;
    Rayos__Registry__Node node;
    struct ray_id id;
    uint8_t key[COORD_KEY_SIZE];
    uint8_t signature[COORD_SIGNATURE_SIZE];
    char name[16];
};

static void describe_node(struct node_parts *parts, unsigned node)
{
    rayos__registry__object__init(&parts->object);
    rayos__registry__node__init(&parts->node);
    parts->id = fix_id(node);
    memset(parts->key, (int)node, sizeof parts->key);
    memset(parts->signature, (int)node + 1, sizeof parts->signature);
    (void)snprintf(parts->name, sizeof parts->name, "node-%u", node);
    parts->object.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    parts->object.id = ray_proto_optional_id(&parts->id);
    parts->object.name = parts->name;
    parts->object.body_case = RAYOS__REGISTRY__OBJECT__BODY_NODE;
    parts->object.node = &parts->node;
    parts->node.identity_key = ray_proto_bytes(parts->key, sizeof parts->key);
    parts->node.link_key = ray_proto_bytes(parts->key, sizeof parts->key);
    parts->node.link_key_signature = ray_proto_bytes(parts->signature, sizeof parts->signature);
    parts->node.address = (char *)"10.0.0.1:4000";
    parts->node.is_fit_for_leases = true;
}

struct token_parts {
    Rayos__Registry__Object object;
    Rayos__Registry__Token token;
    uint8_t hash[COORD_KEY_SIZE];
    struct ray_id id;
};

static void token_hash(unsigned token, uint8_t out[static COORD_KEY_SIZE])
{
    struct ray_id id = fix_id(token);

    memcpy(out, id.bytes, RAY_ID_SIZE);
    memset(out + RAY_ID_SIZE, 0x5a, COORD_KEY_SIZE - RAY_ID_SIZE);
}

static void describe_token(struct token_parts *parts, unsigned token, uint32_t uses)
{
    rayos__registry__object__init(&parts->object);
    rayos__registry__token__init(&parts->token);
    parts->id = fix_id(token);
    token_hash(token, parts->hash);
    parts->object.kind = RAYOS__REGISTRY__KIND__KIND_TOKEN;
    parts->object.id = ray_proto_optional_id(&parts->id);
    parts->object.body_case = RAYOS__REGISTRY__OBJECT__BODY_TOKEN;
    parts->object.token = &parts->token;
    parts->token.hash = ray_proto_bytes(parts->hash, sizeof parts->hash);
    parts->token.uses_left = uses;
}

void fix_open_cluster(struct fix *fix)
{
    fix_open_cluster_with(fix, NULL, 0);
}

void fix_open_cluster_with(struct fix *fix, const uint8_t *rules, size_t rules_size)
{
    struct fix_command command;
    Rayos__Registry__ClusterCreate create = RAYOS__REGISTRY__CLUSTER_CREATE__INIT;
    Rayos__Registry__Object admin = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Principal principal = RAYOS__REGISTRY__PRINCIPAL__INIT;
    Rayos__Registry__Timing timing;
    struct node_parts node;
    struct token_parts token;
    Rayos__Registry__Object *tokens[] = {&token.object};
    struct ray_id cluster_id = fix_id(FIX_CLUSTER);
    struct ray_id admin_id = fix_id(FIX_ADMIN);
    uint8_t key[COORD_KEY_SIZE] = {1};

    fix_open(fix);
    fix_command(&command);
    BODY(&command, create, cluster_create, CLUSTER_CREATE);
    propose_as(&command, fix_incarnation(FIX_NODE_A));
    describe_node(&node, FIX_NODE_A);
    describe_token(&token, FIX_TOKEN, 5);
    default_timing(&timing, 3000);
    principal.key = ray_proto_bytes(key, sizeof key);
    principal.is_admin = true;
    admin.kind = RAYOS__REGISTRY__KIND__KIND_PRINCIPAL;
    admin.id = ray_proto_optional_id(&admin_id);
    admin.name = (char *)"admin";
    admin.body_case = RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL;
    admin.principal = &principal;
    create.id = ray_proto_optional_id(&cluster_id);
    create.name = (char *)"test";
    create.timing = &timing;
    create.node = &node.object;
    create.boot_counter = 1;
    create.admin = &admin;
    create.tokens = tokens;
    create.n_tokens = 1;
    create.policy = ray_proto_bytes(rules, rules_size);
    if (fix_apply(fix, &command) != RAY_OK) {
        (void)fprintf(stderr, "cluster-create: %s\n", fix->outcome.result.text);
        abort();
    }
}

int fix_join(struct fix *fix, unsigned node, unsigned token, unsigned incarnation,
             uint64_t boot_counter)
{
    char name[16];

    (void)snprintf(name, sizeof name, "node-%u", node);
    return fix_join_as(fix, name, node, token, incarnation, boot_counter);
}

int fix_join_as(struct fix *fix, const char *name, unsigned node, unsigned token,
                unsigned incarnation, uint64_t boot_counter)
{
    const struct fix_joiner joiner = {.name = name,
                                      .node = node,
                                      .token = token,
                                      .incarnation = incarnation,
                                      .boot_counter = boot_counter};

    return fix_join_like(fix, &joiner);
}

int fix_join_like(struct fix *fix, const struct fix_joiner *joiner)
{
    struct fix_command command;
    Rayos__Registry__NodeJoin join = RAYOS__REGISTRY__NODE_JOIN__INIT;
    struct node_parts parts;
    struct ray_id incarnation_id = fix_id(joiner->incarnation);
    const struct coord_object *outlived;
    struct ray_id node;
    uint8_t hash[COORD_KEY_SIZE];

    fix_command(&command);
    BODY(&command, join, node_join, NODE_JOIN);
    describe_node(&parts, joiner->node);
    parts.object.name = (char *)(uintptr_t)joiner->name;
    token_hash(joiner->token, hash);
    if (joiner->token != 0) {
        join.token_hash = ray_proto_bytes(hash, sizeof hash);
    }
    join.node = &parts.object;
    join.incarnation = ray_proto_optional_id(&incarnation_id);
    join.boot_counter = joiner->boot_counter;
    join.is_ephemeral = joiner->is_ephemeral;
    node = fix_id(joiner->node);
    outlived = coord_fsm_outlived(fix->fsm, &node, joiner->name, joiner->is_ephemeral, hash);
    if (outlived != NULL && !joiner->names_nobody) {
        join.replaces = ray_proto_id(&outlived->id);
    }
    return fix_apply(fix, &command);
}

int fix_add_node(struct fix *fix, unsigned node)
{
    return fix_join(fix, node, FIX_TOKEN, fix_incarnation(node), 1);
}

int fix_admit(struct fix *fix, unsigned node, unsigned incarnation, uint64_t boot_counter,
              uint64_t cluster_epoch)
{
    struct fix_command command;
    Rayos__Registry__NodeAdmit admit = RAYOS__REGISTRY__NODE_ADMIT__INIT;
    struct ray_id node_id = fix_id(node);
    struct ray_id incarnation_id = fix_id(incarnation);

    fix_command(&command);
    BODY(&command, admit, node_admit, NODE_ADMIT);
    admit.node = ray_proto_optional_id(&node_id);
    admit.incarnation = ray_proto_optional_id(&incarnation_id);
    admit.boot_counter = boot_counter;
    admit.cluster_epoch = cluster_epoch;
    return fix_apply(fix, &command);
}

static int put(struct fix *fix, Rayos__Registry__Object *object)
{
    struct fix_command command;
    Rayos__Registry__ObjectPut request = RAYOS__REGISTRY__OBJECT_PUT__INIT;

    fix_command(&command);
    BODY(&command, request, object_put, OBJECT_PUT);
    request.object = object;
    return fix_apply(fix, &command);
}

int fix_put_guest(struct fix *fix, unsigned guest, bool is_wanted)
{
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Guest body = RAYOS__REGISTRY__GUEST__INIT;
    struct ray_id id = fix_id(guest);
    char name[16];

    (void)snprintf(name, sizeof name, "guest-%u", guest);
    object.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    object.id = ray_proto_optional_id(&id);
    object.name = name;
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_GUEST;
    object.guest = &body;
    body.wanted = is_wanted ? RAYOS__REGISTRY__WANTED__WANTED_RUNNING
                            : RAYOS__REGISTRY__WANTED__WANTED_STOPPED;
    return put(fix, &object);
}

int fix_put_volume(struct fix *fix, unsigned volume)
{
    char name[16];

    (void)snprintf(name, sizeof name, "volume-%u", volume);
    return fix_put_plain(fix, RAYOS__REGISTRY__KIND__KIND_VOLUME, volume, name, 16);
}

int fix_put_plain(struct fix *fix, Rayos__Registry__Kind kind, unsigned id, const char *name,
                  size_t spec_size)
{
    uint8_t *spec = calloc(1, spec_size + SPEC_FIX_HEAD_SIZE_MAX);
    int rc;

    if (spec == NULL) {
        abort();
    }
    memset(spec, 'a' + (int)(fix->index % 26), spec_size);
    if (spec_size >= 2 && spec_size <= COORD_FSM_SPEC_SIZE_MAX) {
        (void)spec_fix_head(spec, spec_size);
    }
    rc = fix_put_spec(fix, kind, id, name, spec, spec_size);
    free(spec);
    return rc;
}

int fix_put_spec(struct fix *fix, Rayos__Registry__Kind kind, unsigned id, const char *name,
                 const void *spec, size_t spec_size)
{
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    struct ray_id object_id = fix_id(id);

    object.kind = kind;
    object.id = ray_proto_optional_id(&object_id);
    object.name = (char *)(uintptr_t)name;
    object.spec = ray_proto_bytes(spec, spec_size);
    return put(fix, &object);
}

int fix_delete(struct fix *fix, Rayos__Registry__Kind kind, unsigned id)
{
    struct fix_command command;
    Rayos__Registry__ObjectDelete request = RAYOS__REGISTRY__OBJECT_DELETE__INIT;
    struct ray_id object_id = fix_id(id);

    fix_command(&command);
    BODY(&command, request, object_delete, OBJECT_DELETE);
    request.kind = kind;
    request.id = ray_proto_optional_id(&object_id);
    return fix_apply(fix, &command);
}

int fix_attach(struct fix *fix, unsigned volume, unsigned guest)
{
    struct fix_command command;
    Rayos__Registry__VolumeAttach request = RAYOS__REGISTRY__VOLUME_ATTACH__INIT;
    struct ray_id volume_id = fix_id(volume);
    struct ray_id guest_id = fix_id(guest);

    fix_command(&command);
    BODY(&command, request, volume_attach, VOLUME_ATTACH);
    request.volume = ray_proto_optional_id(&volume_id);
    request.guest = ray_proto_optional_id(&guest_id);
    return fix_apply(fix, &command);
}

int fix_detach(struct fix *fix, unsigned volume)
{
    struct fix_command command;
    Rayos__Registry__VolumeDetach request = RAYOS__REGISTRY__VOLUME_DETACH__INIT;
    struct ray_id volume_id = fix_id(volume);

    fix_command(&command);
    BODY(&command, request, volume_detach, VOLUME_DETACH);
    request.volume = ray_proto_optional_id(&volume_id);
    return fix_apply(fix, &command);
}

int fix_outcome(struct fix *fix, enum ray_epoch_origin entry, unsigned guest, unsigned proposer,
                unsigned to_node, unsigned to_incarnation, const struct ray_epoch *expected)
{
    struct fix_command command;
    Rayos__Registry__Outcome outcome = RAYOS__REGISTRY__OUTCOME__INIT;
    Rayos__Registry__Epoch epoch = RAYOS__REGISTRY__EPOCH__INIT;
    Rayos__Registry__Home to = RAYOS__REGISTRY__HOME__INIT;
    const struct coord_object *object = fix_find(fix, COORD_GUEST, guest);
    struct ray_id guest_id = fix_id(guest);
    struct ray_id node_id = fix_id(to_node);
    struct ray_id incarnation_id = fix_id(to_incarnation);

    fix_command(&command);
    BODY(&command, outcome, outcome, OUTCOME);
    propose_as(&command, proposer);
    if (expected == NULL && object != NULL) {
        expected = &object->guest.epoch;
    }
    if (expected != NULL) {
        epoch.cluster = expected->cluster;
        epoch.index = expected->index;
    }
    to.node = ray_proto_optional_id(&node_id);
    to.incarnation = ray_proto_optional_id(&incarnation_id);
    outcome.entry = (Rayos__Registry__Origin)entry;
    outcome.guest = ray_proto_optional_id(&guest_id);
    outcome.expected_epoch = &epoch;
    outcome.to = to_node != 0 ? &to : NULL;
    return fix_apply(fix, &command);
}

int fix_restart(struct fix *fix, unsigned guest, unsigned node)
{
    return fix_outcome(fix, RAY_EPOCH_RESTART, guest, 0, node, fix_incarnation(node), NULL);
}

int fix_migrate(struct fix *fix, unsigned migration, unsigned guest, unsigned node)
{
    struct fix_command command;
    Rayos__Registry__MigrationOpen open = RAYOS__REGISTRY__MIGRATION_OPEN__INIT;
    Rayos__Registry__Epoch epoch = RAYOS__REGISTRY__EPOCH__INIT;
    Rayos__Registry__Home to = RAYOS__REGISTRY__HOME__INIT;
    const struct coord_object *object = fix_find(fix, COORD_GUEST, guest);
    struct ray_id migration_id = fix_id(migration);
    struct ray_id guest_id = fix_id(guest);
    struct ray_id node_id = fix_id(node);
    struct ray_id incarnation_id = fix_id(fix_incarnation(node));

    fix_command(&command);
    BODY(&command, open, migration_open, MIGRATION_OPEN);
    if (object != NULL) {
        epoch.cluster = object->guest.epoch.cluster;
        epoch.index = object->guest.epoch.index;
    }
    to.node = ray_proto_optional_id(&node_id);
    to.incarnation = ray_proto_optional_id(&incarnation_id);
    open.id = ray_proto_optional_id(&migration_id);
    open.guest = ray_proto_optional_id(&guest_id);
    open.expected_epoch = &epoch;
    open.to = &to;
    return fix_apply(fix, &command);
}

int fix_tick(struct fix *fix, uint64_t now_us)
{
    struct fix_command command;
    Rayos__Registry__Tick tick = RAYOS__REGISTRY__TICK__INIT;

    fix_command(&command);
    BODY(&command, tick, tick, TICK);
    tick.now_us = now_us;
    return fix_apply(fix, &command);
}

int fix_session_open(struct fix *fix, unsigned session, uint64_t ttl_us)
{
    struct fix_command command;
    Rayos__Registry__SessionOpen open = RAYOS__REGISTRY__SESSION_OPEN__INIT;
    struct ray_id id = fix_id(session);

    fix_command(&command);
    BODY(&command, open, session_open, SESSION_OPEN);
    open.id = ray_proto_optional_id(&id);
    open.ttl_us = ttl_us;
    return fix_apply(fix, &command);
}

int fix_token_put(struct fix *fix, unsigned token, uint32_t uses, uint64_t ttl_us,
                  bool needs_approval)
{
    struct token_parts parts;

    describe_token(&parts, token, uses);
    parts.token.ttl_us = ttl_us;
    parts.token.needs_approval = needs_approval;
    return put(fix, &parts.object);
}

int fix_token_put_ephemeral(struct fix *fix, unsigned token)
{
    struct token_parts parts;

    describe_token(&parts, token, 1);
    parts.token.is_ephemeral = true;
    return put(fix, &parts.object);
}

int fix_token_put_for(struct fix *fix, unsigned token, const char *name, unsigned replaces)
{
    struct token_parts parts;
    struct ray_id id = fix_id(replaces);

    describe_token(&parts, token, 1);
    parts.token.node_name = (char *)(uintptr_t)name;
    parts.token.replaces = ray_proto_optional_id(&id);
    return put(fix, &parts.object);
}

int fix_recover(struct fix *fix, uint64_t expected_epoch, const unsigned *survivors, size_t count)
{
    struct fix_command command;
    Rayos__Registry__ClusterRecover recover = RAYOS__REGISTRY__CLUSTER_RECOVER__INIT;
    struct ray_id ids[8];
    ProtobufCBinaryData list[8];

    assert(count <= 8);
    fix_command(&command);
    BODY(&command, recover, cluster_recover, CLUSTER_RECOVER);
    for (size_t i = 0; i < count; i++) {
        ids[i] = fix_id(survivors[i]);
        list[i] = ray_proto_optional_id(&ids[i]);
    }
    recover.expected_cluster_epoch = expected_epoch;
    recover.survivors = list;
    recover.n_survivors = count;
    return fix_apply(fix, &command);
}

int fix_confirm_off(struct fix *fix, unsigned node)
{
    struct fix_command command;
    Rayos__Registry__ConfirmOff off = RAYOS__REGISTRY__CONFIRM_OFF__INIT;
    struct ray_id id = fix_id(node);
    ProtobufCBinaryData list = ray_proto_optional_id(&id);

    fix_command(&command);
    BODY(&command, off, confirm_off, CONFIRM_OFF);
    off.nodes = &list;
    off.n_nodes = 1;
    return fix_apply(fix, &command);
}

int fix_timing(struct fix *fix, uint32_t grant_ms)
{
    struct fix_command command;
    Rayos__Registry__TimingSet set = RAYOS__REGISTRY__TIMING_SET__INIT;
    Rayos__Registry__Timing timing;

    fix_command(&command);
    BODY(&command, set, timing_set, TIMING_SET);
    default_timing(&timing, grant_ms);
    set.timing = &timing;
    return fix_apply(fix, &command);
}

int fix_principal(struct fix *fix, unsigned id, const char *name,
                  Rayos__Registry__PrincipalRole role)
{
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Principal body = RAYOS__REGISTRY__PRINCIPAL__INIT;
    struct ray_id object_id = fix_id(id);
    uint8_t key[COORD_KEY_SIZE] = {0};

    key[0] = (uint8_t)id;
    body.key = ray_proto_bytes(key, sizeof key);
    body.role = role;
    body.is_admin = role == RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN;
    object.kind = RAYOS__REGISTRY__KIND__KIND_PRINCIPAL;
    object.id = ray_proto_optional_id(&object_id);
    object.name = (char *)(uintptr_t)name;
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL;
    object.principal = &body;
    return put(fix, &object);
}

int fix_policy_set(struct fix *fix, const uint8_t *rules, size_t rules_size,
                   uint64_t expected_version, uint64_t confirm_within_us)
{
    struct fix_command command;
    Rayos__Registry__PolicySet set = RAYOS__REGISTRY__POLICY_SET__INIT;

    fix_command(&command);
    BODY(&command, set, policy_set, POLICY_SET);
    set.rules = ray_proto_bytes(rules, rules_size);
    set.expected_version = expected_version;
    set.confirm_within_us = confirm_within_us;
    return fix_apply(fix, &command);
}

int fix_policy_confirm(struct fix *fix, uint64_t version)
{
    struct fix_command command;
    Rayos__Registry__PolicyConfirm confirm = RAYOS__REGISTRY__POLICY_CONFIRM__INIT;

    fix_command(&command);
    BODY(&command, confirm, policy_confirm, POLICY_CONFIRM);
    confirm.version = version;
    return fix_apply(fix, &command);
}

int fix_policy_revert(struct fix *fix, uint64_t version)
{
    struct fix_command command;
    Rayos__Registry__PolicyRevert revert = RAYOS__REGISTRY__POLICY_REVERT__INIT;

    fix_command(&command);
    BODY(&command, revert, policy_revert, POLICY_REVERT);
    revert.version = version;
    return fix_apply(fix, &command);
}

int fix_decide(struct fix *fix, const char *principal, uint64_t operation, bool is_approved)
{
    struct fix_command command;
    Rayos__Registry__OperationDecide decide = RAYOS__REGISTRY__OPERATION_DECIDE__INIT;
    struct ray_id id = fix_id((unsigned)operation);

    fix_command(&command);
    BODY(&command, decide, operation_decide, OPERATION_DECIDE);
    fix_as(&command, principal, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    decide.operation = ray_proto_optional_id(&id);
    decide.is_approved = is_approved;
    return fix_apply(fix, &command);
}

int fix_label_as(struct fix *fix, const char *principal, unsigned guest, const char *value)
{
    struct fix_command command;
    Rayos__Registry__ObjectLabel label = RAYOS__REGISTRY__OBJECT_LABEL__INIT;
    Rayos__Registry__Label set = RAYOS__REGISTRY__LABEL__INIT;
    Rayos__Registry__Label *sets[] = {&set};
    struct ray_id id = fix_id(guest);

    fix_command(&command);
    BODY(&command, label, object_label, OBJECT_LABEL);
    fix_as(&command, principal, RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL);
    label.kind = RAYOS__REGISTRY__KIND__KIND_GUEST;
    label.id = ray_proto_optional_id(&id);
    label.set = sets;
    label.n_set = 1;
    set.key = (char *)"env";
    set.value = ray_proto_bytes(value, strlen(value));
    return fix_apply(fix, &command);
}

const struct coord_object *fix_find(const struct fix *fix, enum coord_kind kind, unsigned id)
{
    struct ray_id wanted = fix_id(id);

    return coord_fsm_find(fix->fsm, kind, &wanted);
}

const struct coord_guest *fix_guest(const struct fix *fix, unsigned guest)
{
    const struct coord_object *object = fix_find(fix, COORD_GUEST, guest);

    if (object == NULL) {
        abort();
    }
    return &object->guest;
}

const struct coord_cluster *fix_cluster(const struct fix *fix)
{
    return &coord_fsm_cluster(fix->fsm)->cluster;
}

const struct coord_fsm_event *fix_event(const struct fix *fix, enum coord_kind kind, unsigned id)
{
    struct ray_id wanted = fix_id(id);

    for (size_t i = 0; i < fix->outcome.event_count; i++) {
        const struct coord_fsm_event *event = &fix->outcome.events[i];

        if (event->kind == kind && ray_id_equal(&event->id, &wanted)) {
            return event;
        }
    }
    return NULL;
}

const struct coord_happening *fix_happening(const struct fix *fix)
{
    const struct coord_object *object = NULL;
    const struct coord_object *newest = NULL;

    while ((object = coord_fsm_next(fix->fsm, COORD_EVENT, object != NULL ? &object->id : NULL)) !=
           NULL) {
        newest = object;
    }
    return newest != NULL ? &newest->happening : NULL;
}

void fix_dump(struct coord_fsm *fsm, struct ray_buf *out)
{
    bool is_done = false;

    ray_buf_init(out, (size_t)256 << 20);
    if (coord_fsm_dump_begin(fsm, NULL) != RAY_OK) {
        abort();
    }
    while (!is_done) {
        if (coord_fsm_dump_next(fsm, out, 4096, &is_done, NULL) != RAY_OK) {
            abort();
        }
    }
    coord_fsm_dump_end(fsm);
}

struct coord_fsm *fix_load(const uint8_t *bytes, size_t size, size_t piece)
{
    struct coord_fsm_load *load;
    struct coord_fsm *fsm = NULL;
    int rc = coord_fsm_load_begin(&load, NULL);

    if (rc != RAY_OK) {
        return NULL;
    }
    for (size_t at = 0; at < size && rc == RAY_OK; at += piece) {
        rc = coord_fsm_load_bytes(load, bytes + at, size - at < piece ? size - at : piece, NULL);
    }
    if (rc != RAY_OK) {
        coord_fsm_load_cancel(load);
        return NULL;
    }
    return coord_fsm_load_end(load, false, &fsm, NULL) == RAY_OK ? fsm : NULL;
}
