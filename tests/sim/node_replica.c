/* The replica of production, whole, with the registry as the registers of the clients.
 *
 * Register k is a label of the image object of that number. A write is an object-label; a swap
 * reads first and then writes with the revision that it expects. Each client is a session. The
 * node of place 0 founds the cluster; the others join as soon as they are told their number,
 * which the founder's state machine gives them. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/core/config.h"
#include "coordinator/replica/replica.h"
#include "coordinator/store/checkpoint_mem.h"
#include "coordinator/watch/hub.h"
#include "net/proto/registry.pb-c.h"
#include "tests/sim/grants.h"
#include "tests/sim/mem.h"
#include "tests/sim/node.h"

enum {
    ASKS_MAX = 64,
    COMMAND_SIZE_MAX = 2048,
    RETRY_MS = 100,
    DUTY_MS = 100,
    SNAPSHOT_ENTRIES = 300,
    TRAILING_ENTRIES = 50,
    LOG_CACHE_SIZE = 64 << 10,
    SAVE_MS = 250,
    WATCH_SIZE = 24 << 10, /* little: who watches and lags falls out of it */
    TOKEN_USES = 1000,
};

static const uint64_t ms_ns = 1000000;
static const uint64_t deadline_ms = 5000;
static const char register_label[] = "v";

enum ask_state { ASK_FREE, ASK_READING, ASK_SWAP_READING, ASK_WRITING };

struct ask {
    struct sim_node *node;
    struct sim_op op;
    uint64_t ticket;
    enum ask_state state;
};

struct sim_node {
    struct sim_node_world world;
    struct coord_mem_store *records; /* of this life */
    struct coord_checkpoint *checkpoint;
    struct coord_replica *replica; /* NULL: not born yet */
    struct coord_watch_hub *hub;   /* with it */
    struct sim_agent *agent;       /* NULL: no guests */
    struct ask asks[ASKS_MAX];
    uint64_t retry_ns;
    uint64_t replica_timer_ns;
    uint64_t watch_ns;
    struct coord_env env; /* the replica's: its timer is one of two */
    uint64_t opened_clients;
    bool is_in_birth;
    bool is_to_recover;
    bool is_gone;
    bool is_commit_begun;
    bool has_failed;
    bool is_leader;
};

/* ---- identities ---- */

static struct ray_id key_id(uint32_t key)
{
    struct ray_id id = {{'k', 'e', 'y'}};

    id.bytes[RAY_ID_SIZE - 1] = (uint8_t)(key + 1);
    return id;
}

static struct ray_id session_id(uint32_t client)
{
    struct ray_id id = {{'s', 'e', 's'}};

    id.bytes[RAY_ID_SIZE - 1] = (uint8_t)(client + 1);
    return id;
}

static ProtobufCBinaryData bytes_of(const void *data, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)data};
}

static uint64_t now_ns(const struct sim_node *node)
{
    return node->world.env->now_ns(node->world.env->arg);
}

static void fail(struct sim_node *node, const char *why)
{
    if (!node->has_failed) {
        node->has_failed = true;
        node->world.observer.failed(node->world.observer.arg, why);
    }
}

/* ---- commands ---- */

/* What ran is read back from the reason when an entry is applied, at each replica: it is found
 * in the packed command as it is, and ends with a sign that no number has. */
static const char reason_mark[] = "sim-op ";

static void write_reason(char out[static 128], const struct sim_op *op)
{
    (void)snprintf(out, 128, "%s%d %" PRIu32 " %" PRIu64 " %" PRIu32 " %" PRIu64 " %" PRIu64 ";",
                   reason_mark, (int)op->kind, op->client, op->sequence, op->key, op->value,
                   op->expected);
}

/* The number at `*at`, which moves behind the sign that ends it. */
static uint64_t next_number(const uint8_t **at, const uint8_t *end)
{
    uint64_t number = 0;

    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        number = number * 10 + (uint64_t)(**at - '0');
    }
    *at += *at < end;
    return number;
}

static bool read_reason(const struct coord_entry *entry, struct sim_op *op)
{
    const uint8_t *end = entry->data + entry->size;
    const uint8_t *at = memmem(entry->data, entry->size, reason_mark, sizeof reason_mark - 1);

    if (at == NULL) {
        return false;
    }
    at += sizeof reason_mark - 1;
    op->kind = (enum sim_op_kind)next_number(&at, end);
    op->client = (uint32_t)next_number(&at, end);
    op->sequence = next_number(&at, end);
    op->key = (uint32_t)next_number(&at, end);
    op->value = next_number(&at, end);
    op->expected = next_number(&at, end);
    assert(at[-1] == ';');
    return true;
}

static void propose(struct sim_node *node, Rayos__Registry__Command *command, const char *reason,
                    const struct sim_op *op, coord_replica_done *done, void *arg)
{
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    struct ray_id session = {{0}};
    uint8_t bytes[COMMAND_SIZE_MAX];
    struct coord_replica_status status;
    size_t size;

    coord_replica_status(node->replica, &status);
    header.version = COORD_FSM_COMMAND_VERSION;
    header.principal = (char *)"client";
    header.reason = (char *)reason;
    if (op != NULL) {
        session = session_id(op->client);
        header.session = bytes_of(session.bytes, RAY_ID_SIZE);
        header.sequence = op->sequence;
    }
    command->header = &header;
    size = rayos__registry__command__get_packed_size(command);
    assert(size <= sizeof bytes);
    (void)rayos__registry__command__pack(command, bytes);
    command->header = NULL;
    if (coord_replica_propose(node->replica, bytes, size, now_ns(node) + deadline_ms * ms_ns, done,
                              arg, NULL, NULL) != RAY_OK &&
        done != NULL) {
        done(arg, RAY_EAGAIN, NULL);
    }
}

static void open_session(struct sim_node *node, uint32_t client)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__SessionOpen open = RAYOS__REGISTRY__SESSION_OPEN__INIT;
    struct ray_id id = session_id(client);

    if ((node->opened_clients >> client & 1) != 0) {
        return;
    }
    node->opened_clients |= UINT64_C(1) << client;
    open.id = bytes_of(id.bytes, RAY_ID_SIZE);
    open.ttl_us = COORD_FSM_SESSION_TTL_MAX_US;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_SESSION_OPEN;
    command.session_open = &open;
    propose(node, &command, "begin", NULL, NULL, NULL);
}

static void create_key(struct sim_node *node, uint32_t key)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    struct ray_id id = key_id(key);
    char name[16];

    (void)snprintf(name, sizeof name, "k%" PRIu32, key);
    object.kind = RAYOS__REGISTRY__KIND__KIND_IMAGE;
    object.id = bytes_of(id.bytes, RAY_ID_SIZE);
    object.name = name;
    put.object = &object;
    put.is_create = true;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.object_put = &put;
    propose(node, &command, "begin", NULL, NULL, NULL);
}

/* ---- the cluster's beginning ---- */

struct node_keys {
    uint8_t identity[COORD_KEY_SIZE];
    uint8_t link[COORD_KEY_SIZE];
    uint8_t signature[COORD_SIGNATURE_SIZE];
    char name[16];
};

static void fill_node(Rayos__Registry__Object *object, Rayos__Registry__Node *body,
                      struct node_keys *keys, const struct ray_id *id, uint32_t place)
{
    memset(keys, (int)place + 1, sizeof *keys);
    (void)snprintf(keys->name, sizeof keys->name, "n%" PRIu32, place);
    body->identity_key = bytes_of(keys->identity, sizeof keys->identity);
    body->link_key = bytes_of(keys->link, sizeof keys->link);
    body->link_key_signature = bytes_of(keys->signature, sizeof keys->signature);
    body->address = (char *)"sim:1";
    object->kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    object->id = bytes_of(id->bytes, RAY_ID_SIZE);
    object->name = keys->name;
    object->body_case = RAYOS__REGISTRY__OBJECT__BODY_NODE;
    object->node = body;
}

static const uint8_t token_hash[COORD_KEY_SIZE] = {7};

static void create_cluster(struct sim_node *node)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    Rayos__Registry__ClusterCreate create = RAYOS__REGISTRY__CLUSTER_CREATE__INIT;
    Rayos__Registry__Timing timing = RAYOS__REGISTRY__TIMING__INIT;
    Rayos__Registry__Object self = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Node body = RAYOS__REGISTRY__NODE__INIT;
    Rayos__Registry__Object admin = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Principal principal = RAYOS__REGISTRY__PRINCIPAL__INIT;
    Rayos__Registry__Object token = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Token token_body = RAYOS__REGISTRY__TOKEN__INIT;
    Rayos__Registry__Object *tokens[] = {&token};
    struct node_keys keys;
    struct coord_replica_status status;
    uint8_t bytes[COMMAND_SIZE_MAX];
    uint8_t key[COORD_KEY_SIZE] = {9};
    struct ray_id admin_id = {{'a'}};

    coord_replica_status(node->replica, &status);
    timing.profile = (char *)"sim";
    timing.heartbeat_ms = node->world.cluster->heartbeat_ms;
    timing.election_ms = node->world.cluster->election_ms;
    timing.grant_ms = node->world.cluster->grant_ms;
    timing.renew_ms = node->world.cluster->renew_ms;
    timing.margin_ms = node->world.cluster->margin_ms;
    timing.drift_ppm = node->world.cluster->drift_ppm;
    fill_node(&self, &body, &keys, &node->world.cluster->nodes[0], 0);
    principal.key = bytes_of(key, sizeof key);
    principal.is_admin = true;
    admin.kind = RAYOS__REGISTRY__KIND__KIND_PRINCIPAL;
    admin.id = bytes_of(admin_id.bytes, RAY_ID_SIZE);
    admin.name = (char *)"admin";
    admin.body_case = RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL;
    admin.principal = &principal;
    token_body.hash = bytes_of(token_hash, sizeof token_hash);
    token_body.uses_left = TOKEN_USES;
    token.kind = RAYOS__REGISTRY__KIND__KIND_TOKEN;
    token.id = bytes_of(token_hash, RAY_ID_SIZE);
    token.body_case = RAYOS__REGISTRY__OBJECT__BODY_TOKEN;
    token.token = &token_body;
    create.id = bytes_of(node->world.cluster->id.bytes, RAY_ID_SIZE);
    create.name = (char *)"sim";
    create.timing = &timing;
    create.node = &self;
    create.boot_counter = status.boot_counter;
    create.admin = &admin;
    create.n_tokens = 1;
    create.tokens = tokens;
    header.version = COORD_FSM_COMMAND_VERSION;
    header.principal = (char *)"admin";
    header.reason = (char *)"begin";
    header.incarnation = bytes_of(status.incarnation.bytes, RAY_ID_SIZE);
    command.header = &header;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_CLUSTER_CREATE;
    command.cluster_create = &create;
    size_t size = rayos__registry__command__pack(&command, bytes);

    assert(size <= sizeof bytes);
    (void)coord_replica_propose(node->replica, bytes, size, now_ns(node) + deadline_ms * ms_ns,
                                NULL, NULL, NULL, NULL);
}

/* On behalf of a node that is not a member yet: it says which incarnation will be its first. */
static void join(struct sim_node *node, uint32_t place)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeJoin body = RAYOS__REGISTRY__NODE_JOIN__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Node newcomer = RAYOS__REGISTRY__NODE__INIT;
    struct node_keys keys;
    struct ray_id incarnation = {{'f', 'i', 'r', 's', 't'}};
    const struct coord_object *known = coord_fsm_find(coord_replica_fsm(node->replica), COORD_NODE,
                                                      &node->world.cluster->nodes[place]);

    /* One per disk that it had. */
    incarnation.bytes[RAY_ID_SIZE - 1] = (uint8_t)place;
    incarnation.bytes[RAY_ID_SIZE - 2] = (uint8_t)node->world.membership->lost_ids[place];
    body.boot_counter = known == NULL ? 0 : known->node.boot_counter + 1;
    fill_node(&object, &newcomer, &keys, &node->world.cluster->nodes[place], place);
    body.token_hash = bytes_of(token_hash, sizeof token_hash);
    body.node = &object;
    body.incarnation = bytes_of(incarnation.bytes, RAY_ID_SIZE);
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_JOIN;
    command.node_join = &body;
    propose(node, &command, "begin", NULL, NULL, NULL);
}

/* The leader repeats whatever is missing. */
static void begin_cluster(struct sim_node *node)
{
    struct coord_fsm *fsm = coord_replica_fsm(node->replica);

    if (!node->is_leader) {
        return;
    }
    if (coord_fsm_cluster(fsm) == NULL) {
        if (node->world.place == 0) {
            create_cluster(node);
        }
        return;
    }
    for (uint32_t i = 0; i < node->world.cluster->node_count; i++) {
        const struct coord_object *object =
            coord_fsm_find(fsm, COORD_NODE, &node->world.cluster->nodes[i]);

        if (object == NULL || object->node.raft_id <= node->world.membership->lost_ids[i]) {
            join(node, i);
        }
    }
    for (uint32_t i = 0; i < node->world.cluster->key_count; i++) {
        struct ray_id id = key_id(i);

        if (coord_fsm_find(fsm, COORD_IMAGE, &id) == NULL) {
            create_key(node, i);
        }
    }
}

/* ---- answers to clients ---- */

static void env_log(void *arg, enum ray_log_level level, const char *module, const char *text);

static uint64_t value_of(struct sim_node *node, uint32_t key, uint64_t *out_revision)
{
    struct ray_id id = key_id(key);
    const struct coord_object *object =
        coord_fsm_find(coord_replica_fsm(node->replica), COORD_IMAGE, &id);
    uint64_t value = 0;

    *out_revision = object == NULL ? 0 : object->revision;
    if (object != NULL && object->label_count > 0) {
        assert(object->labels[0].value.size == sizeof value);
        memcpy(&value, object->labels[0].value.data, sizeof value);
    }
    return value;
}

static void answer(struct ask *ask, int status, const struct sim_answer *result)
{
    static const struct sim_answer none;
    struct sim_node *node = ask->node;

    ask->state = ASK_FREE;
    node->world.observer.answered(node->world.observer.arg, ask->ticket, status,
                                  result == NULL ? &none : result);
}

static void on_written(void *arg, int status, const struct coord_fsm_result *result)
{
    struct ask *ask = arg;
    struct sim_answer given = {0};

    if (status == RAY_OK) {
        given.index = result->revision;
        given.value = ask->op.value;
        given.has_failed = result->code == RAY_ECONFLICT && ask->op.kind == SIM_OP_SWAP;
        if (result->code != RAY_OK && !given.has_failed) {
            /* No session or no object yet: it did not run. */
            env_log(ask->node, RAY_LOG_INFO, "client", result->text);
            ask->node->opened_clients &= ~(UINT64_C(1) << ask->op.client);
            status = RAY_EAGAIN;
        }
    }
    answer(ask, status, &given);
}

static void write_register(struct ask *ask, uint64_t expected_revision)
{
    struct sim_node *node = ask->node;
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectLabel body = RAYOS__REGISTRY__OBJECT_LABEL__INIT;
    Rayos__Registry__Label label = RAYOS__REGISTRY__LABEL__INIT;
    Rayos__Registry__Label *labels[] = {&label};
    struct ray_id id = key_id(ask->op.key);
    char reason[128];

    if (!ask->op.is_plain) {
        open_session(node, ask->op.client);
    }
    write_reason(reason, &ask->op);
    label.key = (char *)register_label;
    label.value = bytes_of(&ask->op.value, sizeof ask->op.value);
    body.kind = RAYOS__REGISTRY__KIND__KIND_IMAGE;
    body.id = bytes_of(id.bytes, RAY_ID_SIZE);
    body.n_set = 1;
    body.set = labels;
    body.expected_revision = expected_revision;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL;
    command.object_label = &body;
    ask->state = ASK_WRITING;
    propose(node, &command, reason, ask->op.is_plain ? NULL : &ask->op, on_written, ask);
}

static void on_read(void *arg, int status, uint64_t revision)
{
    struct ask *ask = arg;
    struct sim_answer given = {.index = revision};
    uint64_t object_revision;

    if (status != RAY_OK) {
        answer(ask, status, NULL);
        return;
    }
    given.value = value_of(ask->node, ask->op.key, &object_revision);
    if (ask->state == ASK_READING) {
        answer(ask, RAY_OK, &given);
        return;
    }
    if (object_revision == 0) {
        answer(ask, RAY_EAGAIN, NULL);
        return;
    }
    /* Values are never written twice: one that is no longer there never comes back, and no
     * object has the revision of the first entry. */
    write_register(ask, given.value == ask->op.expected ? object_revision : 1);
}

static void node_ask(struct sim_node *node, const struct sim_op *op, uint64_t ticket)
{
    struct ask *ask = NULL;

    for (size_t i = 0; i < ASKS_MAX && ask == NULL; i++) {
        ask = node->asks[i].state == ASK_FREE ? &node->asks[i] : NULL;
    }
    if (ask == NULL || node->replica == NULL || node->has_failed) {
        static const struct sim_answer none;

        node->world.observer.answered(node->world.observer.arg, ticket, RAY_EAGAIN, &none);
        return;
    }
    *ask = (struct ask){.node = node, .op = *op, .ticket = ticket, .state = ASK_READING};
    if (op->kind == SIM_OP_WRITE) {
        write_register(ask, 0);
        return;
    }
    ask->state = op->kind == SIM_OP_READ ? ASK_READING : ASK_SWAP_READING;
    if (coord_replica_read(node->replica, now_ns(node) + deadline_ms * ms_ns, on_read, ask, NULL,
                           NULL) != RAY_OK) {
        answer(ask, RAY_EAGAIN, NULL);
    }
}

/* ---- what the replica tells ---- */

static uint64_t entry_hash(const struct coord_entry *entry)
{
    return sim_hash((uint64_t)entry->type, entry->data, entry->size);
}

static void show_executed(struct sim_node *node, const struct coord_entry *entry,
                          const struct coord_fsm_outcome *outcome)
{
    struct sim_op op = {.index = entry->index};
    int code = outcome->result.code;

    if (outcome->result.is_retry || !read_reason(entry, &op)) {
        return;
    }
    op.has_failed = op.kind == SIM_OP_SWAP && code == RAY_ECONFLICT;
    if (code == RAY_OK || op.has_failed) {
        node->world.observer.executed(node->world.observer.arg, &op);
    }
}

static void tell_number(struct sim_node *node)
{
    struct coord_fsm *fsm = coord_replica_fsm(node->replica);
    struct sim_membership *membership = node->world.membership;
    const struct coord_object *cluster = coord_fsm_cluster(fsm);

    if (cluster != NULL && cluster->cluster.cluster_epoch > membership->cluster_epoch) {
        membership->cluster_epoch = cluster->cluster.cluster_epoch;
    }
    membership->is_founded = membership->is_founded || cluster != NULL;

    for (uint32_t i = 0; i < node->world.cluster->node_count; i++) {
        const struct coord_object *object =
            coord_fsm_find(fsm, COORD_NODE, &node->world.cluster->nodes[i]);

        if (object != NULL && object->node.raft_id > membership->server_ids[i]) {
            membership->server_ids[i] = object->node.raft_id;
            membership->boot_counters[i] = object->node.boot_counter;
        }
    }
}

static void show_event(struct sim_node *node, const struct coord_fsm_event *event)
{
    const struct sim_cluster *cluster = node->world.cluster;
    uint64_t subject = (uint64_t)event->kind | (event->is_for_all ? SIM_WATCH_FOR_ALL : 0);

    for (uint32_t i = 0; i < cluster->node_count; i++) {
        for (uint32_t k = 0; k < event->node_count; k++) {
            if (ray_id_equal(&cluster->nodes[i], &event->nodes[k])) {
                subject |= UINT64_C(1) << (8 + i);
            }
        }
    }
    node->world.observer.emitted(node->world.observer.arg, event->revision, event->sub_index,
                                 sim_hash(0, event->packed, event->packed_size), subject);
}

static void on_applied(void *arg, const struct coord_entry *entry,
                       const struct coord_fsm_outcome *outcome)
{
    struct sim_node *node = arg;
    struct sim_observer *observer = &node->world.observer;
    uint8_t hash[COORD_HASH_SIZE];
    uint64_t word;

    observer->applied(observer->arg, entry->index, entry->term, entry_hash(entry));
    if (outcome != NULL) {
        show_executed(node, entry, outcome);
        tell_number(node);
        for (size_t i = 0; i < outcome->event_count; i++) {
            show_event(node, &outcome->events[i]);
        }
    }
    if (node->agent != NULL) {
        sim_agent_applied(node->agent, coord_replica_fsm(node->replica), entry, outcome);
    }
    coord_fsm_hash(coord_replica_fsm(node->replica), hash);
    memcpy(&word, hash, sizeof word);
    observer->state(observer->arg, entry->index, word);
}

static void on_appended(void *arg, const struct coord_entry *entry, uint64_t previous_term)
{
    struct sim_node *node = arg;

    node->world.observer.appended(node->world.observer.arg, entry->index, entry->term,
                                  entry_hash(entry), previous_term);
    if (node->agent != NULL) {
        sim_agent_appended(node->agent, entry);
    }
}

static void on_renewed(void *arg, const struct coord_lease_answer *answer)
{
    struct sim_node *node = arg;
    struct coord_replica_status status;

    if (node->agent != NULL) {
        coord_replica_status(node->replica, &status);
        sim_agent_answers(node->agent, status.term, answer);
    }
}

static void on_role(void *arg, enum coord_replica_role role)
{
    struct sim_node *node = arg;
    struct coord_replica_status status;

    node->is_leader = role == COORD_REPLICA_LEADER;
    if (role == COORD_REPLICA_LEADER) {
        coord_replica_status(node->replica, &status);
        node->world.observer.leads(node->world.observer.arg, status.server_id, status.term);
        if (node->agent != NULL) {
            sim_agent_led(node->agent, status.term);
        }
    } else if (role == COORD_REPLICA_FAILED) {
        fail(node, "the replica has failed");
    }
}

static void on_trouble(void *arg, const struct ray_err *what)
{
    struct sim_node *node = arg;
    struct coord_replica_status status;

    coord_replica_status(node->replica, &status);
    if (status.role == COORD_REPLICA_QUARANTINED) {
        node->world.observer.quarantined(node->world.observer.arg, what->text);
    }
}

/* ---- the replica's world ---- */

static void set_timers(struct sim_node *node)
{
    uint64_t at_ns = node->replica_timer_ns;

    if (node->retry_ns < at_ns) {
        at_ns = node->retry_ns;
    }
    if (node->watch_ns < at_ns) {
        at_ns = node->watch_ns;
    }
    if (node->agent != NULL && node->replica != NULL && sim_agent_due_ns(node->agent) < at_ns) {
        at_ns = sim_agent_due_ns(node->agent);
    }
    node->world.env->set_timer(node->world.env->arg, at_ns);
}

static uint64_t env_now(void *arg)
{
    return now_ns(arg);
}

static uint64_t env_realtime(void *arg)
{
    struct sim_node *node = arg;

    return node->world.env->realtime_us(node->world.env->arg);
}

static void env_random(void *arg, void *out, size_t size)
{
    struct sim_node *node = arg;

    node->world.env->random(node->world.env->arg, out, size);
}

static void env_timer(void *arg, uint64_t at_ns)
{
    struct sim_node *node = arg;

    node->replica_timer_ns = at_ns;
    set_timers(node);
}

static void env_log(void *arg, enum ray_log_level level, const char *module, const char *text)
{
    struct sim_node *node = arg;

    node->world.env->log(node->world.env->arg, level, module, text);
}

static void on_commit(void *arg)
{
    ((struct sim_node *)arg)->is_commit_begun = true;
}

static struct coord_replica_world replica_world(struct sim_node *node)
{
    return (struct coord_replica_world){.env = &node->env,
                                        .disk = node->world.disk,
                                        .checkpoint = node->checkpoint,
                                        .link = node->world.link};
}

static int on_watched(void *arg, uint64_t watcher, const uint8_t *bytes, size_t size)
{
    struct sim_node *node = arg;

    return node->world.observer.watched(node->world.observer.arg, watcher, bytes, size);
}

static int open_replica(struct sim_node *node, struct ray_err *err)
{
    struct coord_replica_world world = replica_world(node);
    struct coord_replica_config config = {.address = "sim:1",
                                          .election_ms = node->world.cluster->election_ms,
                                          .heartbeat_ms = node->world.cluster->heartbeat_ms,
                                          .segment_size = node->world.cluster->segment_size,
                                          .snapshot_entries = SNAPSHOT_ENTRIES,
                                          .trailing_entries = TRAILING_ENTRIES,
                                          .log_cache_size = LOG_CACHE_SIZE,
                                          .watch_size = WATCH_SIZE,
                                          .save_ms = SAVE_MS,
                                          .duty_ms = DUTY_MS};
    struct coord_replica_user user = {.on_role = on_role,
                                      .on_applied = on_applied,
                                      .on_appended = on_appended,
                                      .on_renewed = on_renewed,
                                      .on_trouble = on_trouble,
                                      .arg = node};
    int rc;

    env_random(node, config.incarnation.bytes, RAY_ID_SIZE);
    if (node->world.grants != NULL) {
        config.incarnation = node->world.grants->incarnation; /* of the boot, not the process */
    }
    rc = coord_replica_create(&node->replica, &world, &config, &user, err);
    if (rc == RAY_OK) {
        rc = coord_watch_hub_create(&node->hub, coord_replica_ring(node->replica), on_watched, node,
                                    err);
    }
    for (uint32_t i = 0; rc == RAY_OK && i < node->world.cluster->node_count; i++) {
        if (i != node->world.place) {
            rc = node->world.link->ops->add_peer(node->world.link, &node->world.cluster->nodes[i],
                                                 "sim:1", err);
        }
    }
    return rc;
}

static void on_born(void *arg, int status)
{
    struct sim_node *node = arg;
    struct ray_err err = {0};

    node->is_in_birth = false;
    if (node->is_gone) {
        free(node);
        return;
    }
    if (status != RAY_OK || open_replica(node, &err) != RAY_OK) {
        fail(node, "it cannot be born");
    }
}

static void on_recovered(void *arg, int status)
{
    struct sim_node *node = arg;
    struct ray_err err = {0};

    node->is_in_birth = false;
    if (node->is_gone) {
        free(node);
        return;
    }
    if (status == RAY_OK) {
        node->world.membership->recovered = 0;
    }
    if (status != RAY_OK || open_replica(node, &err) != RAY_OK) {
        fail(node, "it cannot be recovered");
    }
}

/* Who lost its disk was off: nothing that it ran runs. */
static int recover(struct sim_node *node, struct ray_err *err)
{
    struct coord_replica_world world = replica_world(node);
    const struct ray_id *self = &node->world.cluster->nodes[node->world.place];
    struct ray_id others[SIM_NET_PLACES_MAX];
    struct coord_replica_recovery recovery = {.survivors = self,
                                              .survivor_count = 1,
                                              .confirmed_off = others,
                                              .principal = "operator",
                                              .reason = "the others are lost"};
    int rc;

    for (uint32_t i = 0; i < node->world.cluster->node_count; i++) {
        if (i != node->world.place && node->world.membership->lost_ids[i] != 0) {
            others[recovery.confirmed_off_count++] = node->world.cluster->nodes[i];
        }
    }
    rc = coord_replica_recover(&world, &recovery, on_recovered, node, err);
    node->is_in_birth = rc == RAY_OK;
    return rc;
}

static int be_born(struct sim_node *node, struct ray_err *err)
{
    struct coord_replica_world world = replica_world(node);
    struct sim_membership *membership = node->world.membership;
    uint32_t place = node->world.place;
    bool is_founder = place == 0 && !membership->is_founded && membership->lost_ids[0] == 0;
    struct coord_replica_birth birth = {.cluster_id = node->world.cluster->id,
                                        .node_id = node->world.cluster->nodes[place],
                                        .server_id = is_founder ? 1 : membership->server_ids[place],
                                        .cluster_epoch = is_founder ? 1 : membership->cluster_epoch,
                                        .boot_counter = membership->boot_counters[place],
                                        .segment_size = node->world.cluster->segment_size,
                                        .is_founder = is_founder};

    if (birth.server_id <= membership->lost_ids[place] || node->is_in_birth) {
        return RAY_OK; /* later */
    }
    node->is_in_birth = true;
    return coord_replica_format(&world, &birth, on_born, node, err);
}

/* ---- struct sim_node_ops ---- */

static void try_again(struct sim_node *node)
{
    struct ray_err err = {0};

    node->retry_ns = now_ns(node) + RETRY_MS * ms_ns;
    if (node->replica == NULL && node->is_to_recover) {
        return;
    }
    if (node->replica == NULL) {
        if (be_born(node, &err) != RAY_OK) {
            fail(node, err.text);
        }
    } else {
        begin_cluster(node);
    }
}

static int node_create(struct sim_node **out, const struct sim_node_world *world,
                       struct ray_err *err)
{
    struct sim_node *node = sim_alloc(1, sizeof *node);
    int rc;

    node->world = *world;
    node->replica_timer_ns = UINT64_MAX;
    node->watch_ns = UINT64_MAX;
    node->retry_ns = now_ns(node);
    node->env = (struct coord_env){.now_ns = env_now,
                                   .realtime_us = env_realtime,
                                   .random = env_random,
                                   .set_timer = env_timer,
                                   .log = env_log,
                                   .arg = node};
    *out = node;
    if (world->grants != NULL) {
        node->agent = sim_agent_create(world->grants, world->env);
    }
    node->is_to_recover = (world->membership->recovered >> world->place & 1) != 0;
    rc = coord_mem_store_create(&node->records, err);
    if (rc == RAY_OK) {
        rc = coord_checkpoint_mem_create(&node->checkpoint, node->records, on_commit, node, err);
    }
    if (rc == RAY_OK) {
        rc = node->is_to_recover ? recover(node, err) : open_replica(node, err);
    }
    /* Without a membership, or the power failed while one was made. */
    if (rc == RAY_ENOTFOUND || rc == RAY_EMALFORMED) {
        rc = RAY_OK;
    }
    set_timers(node);
    return rc;
}

static void node_destroy(struct sim_node *node)
{
    if (node == NULL) {
        return;
    }
    coord_watch_hub_destroy(node->hub);
    if (node->checkpoint != NULL) {
        node->checkpoint->ops->destroy(node->checkpoint);
    }
    coord_replica_destroy(node->replica);
    sim_agent_destroy(node->agent);
    node->agent = NULL;
    coord_mem_store_destroy(node->records);
    node->is_gone = true;
    if (!node->is_in_birth) {
        free(node);
    }
}

static void node_on_timer(struct sim_node *node)
{
    if (now_ns(node) >= node->retry_ns && !node->has_failed) {
        try_again(node);
    }
    if (node->replica != NULL) {
        coord_replica_on_timer(node->replica);
    }
}

/* ---- watchers ---- */

static void serve_watchers(struct sim_node *node)
{
    uint64_t now_ms = now_ns(node) / ms_ns;
    uint64_t next_ms;

    coord_watch_hub_tick(node->hub, now_ms);
    next_ms = coord_watch_hub_next_ms(node->hub, now_ms);
    node->watch_ns = next_ms == UINT64_MAX ? UINT64_MAX : next_ms * ms_ns;
}

static void node_watch(struct sim_node *node, uint64_t number, const uint8_t *bytes, size_t size)
{
    struct ray_err err = {0};

    if (node->hub != NULL &&
        coord_watch_hub_add(node->hub, number, now_ns(node) / ms_ns, bytes, size, &err) != RAY_OK) {
        fail(node, err.text);
    }
}

/* The watch may be over meanwhile. */
static void node_watch_credit(struct sim_node *node, uint64_t number, const uint8_t *bytes,
                              size_t size)
{
    struct ray_err err = {0};
    int rc =
        node->hub == NULL ? RAY_OK : coord_watch_hub_credit(node->hub, number, bytes, size, &err);

    if (rc != RAY_OK && rc != RAY_ENOTFOUND) {
        fail(node, err.text);
    }
}

static void node_watch_end(struct sim_node *node, uint64_t number)
{
    if (node->hub != NULL) {
        coord_watch_hub_remove(node->hub, number);
    }
}

static void node_turn(struct sim_node *node)
{
    if (node->replica == NULL) {
        set_timers(node);
        return;
    }
    if (node->is_commit_begun) {
        node->is_commit_begun = false;
        coord_mem_store_end(node->records, RAY_OK);
    }
    if (node->agent != NULL) {
        sim_agent_turn(node->agent, node->replica, node->is_leader);
    }
    coord_replica_turn(node->replica);
    if (node->hub != NULL) {
        serve_watchers(node);
    }
    set_timers(node);
}

static void node_status(const struct sim_node *node, struct sim_node_status *out)
{
    struct coord_replica_status status;

    *out = (struct sim_node_status){.leader = UINT32_MAX};
    if (node->replica == NULL) {
        return;
    }
    coord_replica_status(node->replica, &status);
    out->is_leader = status.role == COORD_REPLICA_LEADER;
    out->is_quarantined = status.role == COORD_REPLICA_QUARANTINED;
    out->is_member = coord_config_find(&status.config, status.server_id) != NULL;
    out->term = status.term;
    out->applied_index = status.applied_index;
    out->commit_index = status.commit_index;
    out->stored_index = status.durable_index;
    out->voter_count = coord_config_voter_count(&status.config);
    for (uint32_t i = 0; i < node->world.cluster->node_count; i++) {
        if (ray_id_equal(&status.leader, &node->world.cluster->nodes[i])) {
            out->leader = i;
        }
        if (node->world.membership->server_ids[i] != 0 &&
            coord_config_find(&status.config, node->world.membership->server_ids[i]) != NULL) {
            out->members |= 1U << i;
        }
    }
}

/* Who drains a node has its role taken away, and given back later. */
static void node_change(struct sim_node *node, uint64_t draw)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeDrain drain = RAYOS__REGISTRY__NODE_DRAIN__INIT;
    const struct ray_id *id = &node->world.cluster->nodes[draw % node->world.cluster->node_count];

    if (node->replica == NULL || !node->is_leader) {
        return;
    }
    drain.node = bytes_of(id->bytes, RAY_ID_SIZE);
    drain.is_drained = (draw >> 32 & 3) == 0;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_DRAIN;
    command.node_drain = &drain;
    propose(node, &command, "a change", NULL, NULL, NULL);
}

static void node_transfer(struct sim_node *node)
{
    if (node->replica != NULL && node->is_leader) {
        (void)coord_replica_transfer(node->replica, NULL);
    }
}

const struct sim_node_ops sim_node_replica = {.name = "replica",
                                              .needs_promises = true,
                                              .comes_back = true,
                                              .warm_up_ns = UINT64_C(4000000000),
                                              .create = node_create,
                                              .destroy = node_destroy,
                                              .on_timer = node_on_timer,
                                              .turn = node_turn,
                                              .ask = node_ask,
                                              .status = node_status,
                                              .change = node_change,
                                              .transfer = node_transfer,
                                              .watch = node_watch,
                                              .watch_credit = node_watch_credit,
                                              .watch_end = node_watch_end};

const struct sim_node_ops sim_node_grants = {.name = "grants",
                                             .needs_promises = true,
                                             .has_guests = true,
                                             .comes_back = true,
                                             .warm_up_ns = UINT64_C(4000000000),
                                             .create = node_create,
                                             .destroy = node_destroy,
                                             .on_timer = node_on_timer,
                                             .turn = node_turn,
                                             .ask = node_ask,
                                             .status = node_status,
                                             .change = node_change,
                                             .transfer = node_transfer,
                                             .watch = node_watch,
                                             .watch_credit = node_watch_credit,
                                             .watch_end = node_watch_end};
