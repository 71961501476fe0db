/* The replica of production, whole, with the registry as the registers of the clients.
 *
 * Register k is a label of the image object of that number. A write is an object-label; a swap
 * reads first and then writes with the revision that it expects. Each client is a session. The
 * node of place 0 founds the cluster; the others join as soon as they are told their number,
 * which the founder's state machine gives them. */
#include "tests/sim/node_replica.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/core/config.h"
#include "net/proto_codec.h"
#include "tests/sim/mem.h"

enum {
    RETRY_MS = 100,
    DUTY_MS = 100,
    SNAPSHOT_ENTRIES = 300,
    TRAILING_ENTRIES = 50,
    LOG_CACHE_SIZE = 64 << 10,
    SAVE_MS = 250,
    FEATURE_MS = 500,
    WATCH_SIZE = 24 << 10, /* little: who watches and lags falls out of it */
};

static const uint64_t ms_ns = 1000000;

/* ---- what all parts use ---- */

struct ray_id sim_replica_key(uint32_t key)
{
    struct ray_id id = {{'k', 'e', 'y'}};

    id.bytes[RAY_ID_SIZE - 1] = (uint8_t)(key + 1);
    return id;
}

uint64_t sim_replica_now_ns(const struct sim_node *node)
{
    return node->world.env->now_ns(node->world.env->arg);
}

void sim_replica_fail(struct sim_node *node, const char *why)
{
    if (!node->has_failed) {
        node->has_failed = true;
        node->world.observer.failed(node->world.observer.arg, why);
    }
}

void sim_replica_propose(struct sim_node *node, Rayos__Registry__Command *command,
                         const char *reason, const struct sim_op *op, coord_replica_done *done,
                         void *arg)
{
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    struct ray_id session = {{0}};
    uint8_t bytes[SIM_REPLICA_COMMAND_SIZE_MAX];
    struct coord_replica_status status;
    size_t size;

    coord_replica_status(node->replica, &status);
    header.version = COORD_FSM_COMMAND_VERSION;
    header.principal = (char *)"client";
    header.reason = (char *)reason;
    if (op != NULL) {
        session = sim_replica_session(op->client);
        header.session = ray_proto_id(&session);
        header.sequence = op->sequence;
    }
    command->header = &header;
    size = rayos__registry__command__get_packed_size(command);
    assert(size <= sizeof bytes);
    (void)rayos__registry__command__pack(command, bytes);
    command->header = NULL;
    if (coord_replica_propose(node->replica, bytes, size,
                              sim_replica_now_ns(node) + SIM_REPLICA_DEADLINE_NS, done, arg, NULL,
                              NULL) != RAY_OK &&
        done != NULL) {
        done(arg, RAY_EAGAIN, NULL);
    }
}

uint32_t sim_replica_level(const struct sim_node *node)
{
    const struct coord_object *cluster = coord_fsm_cluster(coord_replica_fsm(node->replica));

    return cluster == NULL ? 0 : cluster->cluster.feature_level;
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
    return sim_replica_now_ns(arg);
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

void sim_replica_log(void *arg, enum ray_log_level level, const char *module, const char *text)
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

/* Of the build that is on the machine now. */
static uint32_t own_level(const struct sim_node *node)
{
    return node->world.membership->levels[node->world.place];
}

static int open_replica(struct sim_node *node, struct ray_err *err)
{
    struct coord_replica_world world = replica_world(node);
    struct coord_replica_config config = {.election_ms = node->world.cluster->election_ms,
                                          .heartbeat_ms = node->world.cluster->heartbeat_ms,
                                          .segment_size = node->world.cluster->segment_size,
                                          .snapshot_entries = SNAPSHOT_ENTRIES,
                                          .trailing_entries = TRAILING_ENTRIES,
                                          .log_cache_size = LOG_CACHE_SIZE,
                                          .watch_size = WATCH_SIZE,
                                          .save_ms = SAVE_MS,
                                          .feature_level = own_level(node),
                                          .feature_ms = FEATURE_MS,
                                          .duty_ms = DUTY_MS};
    struct coord_replica_user user = sim_replica_user(node);
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
        sim_replica_fail(node, "it cannot be born");
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
        sim_replica_fail(node, "it cannot be recovered");
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
                                              .reason = "the others are lost",
                                              .feature_level = own_level(node)};
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

    node->retry_ns = sim_replica_now_ns(node) + RETRY_MS * ms_ns;
    if (node->replica == NULL && node->is_to_recover) {
        return;
    }
    if (node->replica == NULL) {
        if (be_born(node, &err) != RAY_OK) {
            sim_replica_fail(node, err.text);
        }
    } else {
        sim_replica_begin_cluster(node);
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
    node->retry_ns = sim_replica_now_ns(node);
    node->env = (struct coord_env){.now_ns = env_now,
                                   .realtime_us = env_realtime,
                                   .random = env_random,
                                   .set_timer = env_timer,
                                   .log = sim_replica_log,
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
    if (sim_replica_now_ns(node) >= node->retry_ns && !node->has_failed) {
        try_again(node);
    }
    if (node->replica != NULL) {
        coord_replica_on_timer(node->replica);
    }
}

/* ---- watchers ---- */

static void serve_watchers(struct sim_node *node)
{
    uint64_t now_ms = sim_replica_now_ns(node) / ms_ns;
    uint64_t next_ms;

    coord_watch_hub_tick(node->hub, now_ms);
    next_ms = coord_watch_hub_next_ms(node->hub, now_ms);
    node->watch_ns = next_ms == UINT64_MAX ? UINT64_MAX : next_ms * ms_ns;
}

static void node_watch(struct sim_node *node, uint64_t number, const uint8_t *bytes, size_t size)
{
    struct ray_err err = {0};

    if (node->hub != NULL &&
        coord_watch_hub_add(node->hub, number, sim_replica_now_ns(node) / ms_ns, bytes, size,
                            &err) != RAY_OK) {
        sim_replica_fail(node, err.text);
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
        sim_replica_fail(node, err.text);
    }
}

static void node_watch_end(struct sim_node *node, uint64_t number)
{
    if (node->hub != NULL) {
        coord_watch_hub_remove(node->hub, number);
    }
}

static int node_query(struct sim_node *node, const uint8_t *bytes, size_t size, struct ray_buf *out)
{
    enum coord_replica_role role =
        node->replica == NULL ? COORD_REPLICA_FAILED : coord_replica_role(node->replica);

    if (role != COORD_REPLICA_FOLLOWER && role != COORD_REPLICA_CANDIDATE &&
        role != COORD_REPLICA_LEADER) {
        return RAY_EUNAVAILABLE;
    }
    return coord_fsm_query(coord_replica_fsm(node->replica), bytes, size, out, NULL);
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
    out->boot_counter = status.boot_counter;
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
        if (coord_config_is_voter(&status.config, node->world.membership->server_ids[i])) {
            out->voters |= 1U << i;
        }
    }
    out->last_index = status.last_index;
    out->last_term = status.last_term;
    out->server_count = status.config.count;
    out->feature_level = sim_replica_level(node);
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
    drain.node = ray_proto_id(id);
    drain.is_drained = (draw >> 32 & 3) == 0;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_DRAIN;
    command.node_drain = &drain;
    sim_replica_propose(node, &command, "a change", NULL, NULL, NULL);
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
                                              .ask = sim_replica_ask,
                                              .status = node_status,
                                              .change = node_change,
                                              .transfer = node_transfer,
                                              .watch = node_watch,
                                              .watch_credit = node_watch_credit,
                                              .watch_end = node_watch_end,
                                              .query = node_query};

const struct sim_node_ops sim_node_grants = {.name = "grants",
                                             .needs_promises = true,
                                             .has_guests = true,
                                             .comes_back = true,
                                             .warm_up_ns = UINT64_C(4000000000),
                                             .create = node_create,
                                             .destroy = node_destroy,
                                             .on_timer = node_on_timer,
                                             .turn = node_turn,
                                             .ask = sim_replica_ask,
                                             .status = node_status,
                                             .change = node_change,
                                             .transfer = node_transfer,
                                             .watch = node_watch,
                                             .watch_credit = node_watch_credit,
                                             .watch_end = node_watch_end,
                                             .query = node_query};
