/* lead.c - what members do slowly, once a second: a leader keeps the set of voters as it should be,
 * lets time pass in the log, has states compared, writes down what it sees (office.c); every member
 * sees to it that its own incarnation is admitted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coordinator/core/config.h"
#include "coordinator/core/members.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"
#include "net/proto/registry.pb-c.h"
#include "net/proto_codec.h"

enum { OWN_COMMAND_SIZE_MAX = 4096, HEALTHY_ELECTIONS = 5, OUTSIDER_DUTIES = 2 };

static void propose(struct coord_replica *r, Rayos__Registry__Command *command, const char *reason,
                    uint64_t office_term)
{
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    uint8_t bytes[OWN_COMMAND_SIZE_MAX];
    size_t size;

    header.version = COORD_FSM_COMMAND_VERSION;
    header.principal = (char *)replica_own_principal;
    header.reason = (char *)reason;
    header.incarnation = ray_proto_id(&r->meta.now.incarnation);
    command->header = &header;
    size = rayos__registry__command__get_packed_size(command);
    if (size <= sizeof(bytes)) {
        (void)rayos__registry__command__pack(command, bytes);
        replica_propose_own(r, bytes, size, office_term);
    }
    command->header = NULL;
}

void replica_propose_office(struct coord_replica *r, Rayos__Registry__Command *command,
                            const char *reason)
{
    propose(r, command, reason, coord_core_term(r->core));
}

/* ---- every member ---- */

static void ask_admission(struct coord_replica *r)
{
    struct coord_fsm *fsm = replica_state(r);
    const struct coord_object *self = coord_fsm_find(fsm, COORD_NODE, &r->meta.now.node_id);
    const struct coord_object *cluster = coord_fsm_cluster(fsm);
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeAdmit admit = RAYOS__REGISTRY__NODE_ADMIT__INIT;

    if (self == NULL || cluster == NULL ||
        (self->node.state != COORD_NODE_MEMBER && self->node.state != COORD_NODE_DRAINED) ||
        ray_id_equal(&self->node.incarnation, &r->meta.now.incarnation)) {
        return;
    }
    admit.node = ray_proto_id(&r->meta.now.node_id);
    admit.incarnation = ray_proto_id(&r->meta.now.incarnation);
    admit.boot_counter = r->meta.now.boot_counter;
    admit.cluster_epoch = cluster->cluster.cluster_epoch;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_ADMIT;
    command.node_admit = &admit;
    propose(r, &command, "the node has started", 0);
}

/* ---- the leader ---- */

static uint64_t domain_number(const char *domain)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    if (domain[0] == '\0') {
        return 0;
    }
    for (const char *c = domain; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
    }
    return hash == 0 ? 1 : hash;
}

/* Who is in the configuration is heard at each heartbeat, another once a second. */
static uint64_t silence_max_ns(const struct coord_replica *r, uint64_t server_id)
{
    uint64_t limit_ms = (uint64_t)r->election_ms * HEALTHY_ELECTIONS;

    if (coord_config_find(coord_core_configuration(r->core), server_id) == NULL) {
        limit_ms += (uint64_t)OUTSIDER_DUTIES * r->config.duty_ms;
    }
    return limit_ms * RAY_NS_PER_MS;
}

bool replica_is_heard(struct coord_replica *r, const struct coord_object *node)
{
    const struct replica_peer *peer = replica_peer_find(r, &node->id);

    if (ray_id_equal(&node->id, &r->meta.now.node_id)) {
        return true;
    }
    return peer != NULL && peer->epoch != 0 &&
           replica_now_ns(r) - peer->heard_ns <= silence_max_ns(r, node->node.raft_id);
}

bool coord_replica_hears(struct coord_replica *r, const struct coord_object *node)
{
    const struct replica_peer *peer = replica_peer_find(r, &node->id);

    if (ray_id_equal(&node->id, &r->meta.now.node_id)) {
        return replica_is_running(r);
    }
    if (replica_is_running(r) && r->role == COORD_REPLICA_LEADER) {
        return replica_is_heard(r, node) && peer->server_id == node->node.raft_id &&
               !peer->said.is_quarantined;
    }
    return peer != NULL && peer->epoch != 0 && !peer->said.is_quarantined;
}

bool coord_replica_may_run(struct coord_replica *r, const struct coord_object *node)
{
    const struct replica_peer *peer = replica_peer_find(r, &node->id);

    if (ray_id_equal(&node->id, &r->meta.now.node_id)) {
        return true;
    }
    if (replica_is_running(r) && r->role == COORD_REPLICA_LEADER) {
        return replica_is_heard(r, node);
    }
    return peer != NULL && peer->epoch != 0;
}

/* Whom a vote can be given to: it also understands what is in the log. */
static bool is_healthy(struct coord_replica *r, const struct coord_object *node)
{
    const struct replica_peer *peer;

    if (node->node.raft_id == r->meta.now.server_id) {
        return true;
    }
    peer = replica_peer_find(r, &node->id);
    return peer != NULL && coord_replica_hears(r, node) && replica_level_fits(r, peer);
}

static bool is_wanted(const struct coord_object *node)
{
    if (RAY_MUTANT(REPLICA_REMOVED_STAYS) && node->node.state == COORD_NODE_REMOVED) {
        return true;
    }
    return node->node.state == COORD_NODE_MEMBER && !node->node.is_ephemeral;
}

static struct coord_member_node member_of(struct coord_replica *r, const struct coord_object *node)
{
    struct coord_member_node member = {.id = node->node.raft_id,
                                       .domain = domain_number(node->node.domain),
                                       .is_healthy = is_healthy(r, node),
                                       .is_wanted = is_wanted(node)};
    uint64_t match;

    if (coord_core_match(r->core, member.id, &match) == RAY_OK) {
        member.match_index = match;
    }
    return member;
}

static int compare_members(const void *a, const void *b)
{
    uint64_t left = ((const struct coord_member_node *)a)->id;
    uint64_t right = ((const struct coord_member_node *)b)->id;

    return left < right ? -1 : left > right;
}

/* Servers whose node the registry has forgotten are members that nobody wants. */
static size_t add_strangers(const struct coord_config *config, struct coord_member_node *nodes,
                            size_t count)
{
    size_t known = count;

    for (size_t i = 0; i < config->count; i++) {
        struct coord_member_node stranger = {.id = config->servers[i].id,
                                             .is_wanted = RAY_MUTANT(REPLICA_REMOVED_STAYS)};

        if (bsearch(&stranger, nodes, known, sizeof(*nodes), compare_members) == NULL) {
            nodes[count++] = stranger;
        }
    }
    return count;
}

static size_t collect(struct coord_replica *r, const struct coord_config *config,
                      struct coord_member_node *nodes, size_t max)
{
    const struct coord_object *node = coord_fsm_next(r->fsm, COORD_NODE, NULL);
    size_t count = 0;

    while (node != NULL && count < max) {
        struct ray_id id = node->id;

        if (node->node.raft_id != 0) {
            nodes[count++] = member_of(r, node);
        }
        node = coord_fsm_next(r->fsm, COORD_NODE, &id);
    }
    qsort(nodes, count, sizeof(*nodes), compare_members);
    count = add_strangers(config, nodes, count);
    qsort(nodes, count, sizeof(*nodes), compare_members);
    return count;
}

/* Hearsay of one that may not lead: links instead of heartbeats. */
static void look_at_links(struct coord_replica *r, const struct ray_id *leaving,
                          struct coord_member_node *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct coord_object *node = coord_fsm_find_raft_id(r->fsm, nodes[i].id);

        if (node != NULL) {
            nodes[i].is_healthy = r->role == COORD_REPLICA_LEADER ? is_healthy(r, node)
                                                                  : coord_replica_hears(r, node);
            nodes[i].is_wanted = nodes[i].is_wanted && !ray_id_equal(&node->id, leaving);
        }
    }
}

int coord_replica_forecast(struct coord_replica *r, const struct ray_id *leaving,
                           struct coord_replica_forecast *out, struct ray_err *err)
{
    const struct coord_object *leader = coord_fsm_find(r->fsm, COORD_NODE, &r->told_leader);
    const struct coord_object *cluster = coord_fsm_cluster(r->fsm);
    struct coord_members members = {.count = 0};
    struct coord_member_node *nodes;
    uint64_t config_index;
    int rc;

    if (!replica_is_running(r) || r->role == COORD_REPLICA_WAITING || leader == NULL ||
        cluster == NULL) {
        return ray_fail(err, RAY_EUNAVAILABLE, "this member knows no leader, or holds no log");
    }
    nodes = calloc(COORD_MEMBERS_NODES_MAX, sizeof(*nodes));
    if (nodes == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a forecast");
    }
    members.config = *coord_core_committed_configuration(r->core, &config_index);
    members.nodes = nodes;
    members.count = collect(r, &members.config, nodes, COORD_MEMBERS_NODES_MAX - COORD_SERVERS_MAX);
    members.leader_id = leader->node.raft_id;
    members.wanted_voters = cluster->cluster.wanted_voters;
    look_at_links(r, leaving, nodes, members.count);
    rc = coord_forecast(&members, &out->forecast, err);
    if (rc == RAY_OK) {
        out->config = members.config;
        out->healthy_voters = coord_forecast_healthy(&members, &members.config);
        out->healthy_voters_then = coord_forecast_healthy(&members, &out->forecast.config);
    }
    free(nodes);
    return rc;
}

static void act(struct coord_replica *r, const struct coord_members_step *step)
{
    struct coord_core_out out;
    struct ray_err err = {0};
    uint64_t index = 0;
    int rc = RAY_OK;

    if (step->action == COORD_MEMBERS_CHANGE) {
        rc = coord_core_change(r->core, replica_now_ms(r), &step->next, &index, &out, &err);
    } else if (step->action == COORD_MEMBERS_TRANSFER) {
        rc = coord_core_transfer(r->core, replica_now_ms(r), step->transfer_id, &out, &err);
    } else {
        return;
    }
    /* Refused, it is tried again at the next turn: whom it promotes has not stored the change
     * before it yet. */
    if (replica_drive(r, rc, &out, &err) && step->is_hurried) {
        r->hurried_index = rc == RAY_OK ? index : coord_fsm_index(r->fsm);
    }
}

static void keep_members(struct coord_replica *r)
{
    const struct coord_object *cluster = coord_fsm_cluster(r->fsm);
    uint64_t config_index;
    const struct coord_config *config = coord_core_committed_configuration(r->core, &config_index);
    size_t max = coord_fsm_count(r->fsm, COORD_NODE);
    struct coord_members members = {.config = *config,
                                    .leader_id = r->meta.now.server_id,
                                    .last_index = coord_core_last_index(r->core),
                                    .wanted_voters = cluster->cluster.wanted_voters};
    struct coord_members_step step;
    struct coord_member_node *nodes;
    struct ray_err err = {0};

    /* What earlier leaders logged decides, too (a feature level, whom nobody wants). */
    if (config_index > coord_fsm_index(r->fsm) || r->noop_index > coord_fsm_index(r->fsm)) {
        return;
    }
    if (max > COORD_MEMBERS_NODES_MAX - COORD_SERVERS_MAX) {
        max = COORD_MEMBERS_NODES_MAX - COORD_SERVERS_MAX;
    }
    nodes = calloc(max + COORD_SERVERS_MAX, sizeof(*nodes));
    if (nodes == NULL) {
        return;
    }
    members.count = collect(r, config, nodes, max);
    members.nodes = nodes;
    if (coord_members_next(&members, &step, &err) == RAY_OK) {
        act(r, &step);
    } else {
        replica_log(r, RAY_LOG_ERROR, "members: %s", err.text);
    }
    free(nodes);
}

static void tick(struct coord_replica *r)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Tick body = RAYOS__REGISTRY__TICK__INIT;

    if (replica_now_ns(r) - r->ticked_ns < REPLICA_TICK_MS * RAY_NS_PER_MS ||
        !coord_fsm_can_expire(r->fsm)) {
        return;
    }
    r->ticked_ns = replica_now_ns(r);
    body.now_us = replica_now_ns(r) / RAY_NS_PER_US;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_TICK;
    command.tick = &body;
    replica_propose_office(r, &command, "time passes");
}

static void compare_hash(struct coord_replica *r)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Hash body = RAYOS__REGISTRY__HASH__INIT;
    uint8_t hash[COORD_HASH_SIZE];
    uint64_t index;

    if (!coord_fsm_last_hash(r->fsm, &index, hash) || index <= r->hashed_index) {
        return;
    }
    body.index = index;
    body.hash = ray_proto_bytes(hash, sizeof(hash));
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_HASH;
    command.hash = &body;
    r->hashed_index = index;
    replica_propose_office(r, &command, "states are compared");
}

static void settle(struct coord_replica *r)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__TimingSettled body = RAYOS__REGISTRY__TIMING_SETTLED__INIT;

    if (!replica_grants_may_settle(r)) {
        return;
    }
    body.timing_revision = coord_fsm_cluster(r->fsm)->cluster.timing_revision;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_TIMING_SETTLED;
    command.timing_settled = &body;
    replica_propose_office(r, &command, "older times are no longer in use");
}

/* Who is not in the configuration has nothing to say; that it lives a leader learns so. */
static void show_life(struct coord_replica *r)
{
    if (coord_config_find(coord_core_configuration(r->core), r->meta.now.server_id) != NULL) {
        return;
    }
    replica_hellos_due(r);
}

static bool may_lead_slowly(const struct coord_replica *r)
{
    return replica_is_running(r) && r->role == COORD_REPLICA_LEADER &&
           coord_core_is_ready(r->core) && coord_fsm_cluster(r->fsm) != NULL &&
           !coord_core_is_transferring(r->core);
}

/* Between an odd number of voters and the next it waits for nothing but the change itself. */
static void hurry(struct coord_replica *r)
{
    if (r->hurried_index == 0 || coord_fsm_index(r->fsm) < r->hurried_index) {
        return;
    }
    r->hurried_index = 0;
    if (may_lead_slowly(r)) {
        keep_members(r);
    }
}

void replica_lead_turn(struct coord_replica *r)
{
    uint64_t now_ns = replica_now_ns(r);

    if (replica_is_running(r)) {
        hurry(r);
    }
    if (!replica_is_running(r) || now_ns < r->duty_ns) {
        return;
    }
    r->duty_ns = now_ns + r->config.duty_ms * RAY_NS_PER_MS;
    show_life(r);
    replica_drive_left_out(r);
    coord_wal_tick(r->wal);
    if (coord_wal_queued_size(r->wal) == 0) {
        coord_wal_seal(r->wal); /* idle */
    }
    if (r->role == COORD_REPLICA_WAITING && !replica_is_viewing(r)) {
        return; /* what it has may be long out of date */
    }
    replica_standing_check_self(r);
    if (!replica_is_running(r)) {
        return;
    }
    replica_standing_remind(r);
    ask_admission(r);
    if (may_lead_slowly(r)) {
        tick(r);
        compare_hash(r);
        settle(r);
        replica_office_turn(r);
        replica_level_turn(r);
        replica_refill_serve(r);
        keep_members(r);
    }
}
