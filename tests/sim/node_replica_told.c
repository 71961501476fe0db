/* What the replica tells, on its way to the checkers. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/mem.h"
#include "tests/sim/node_replica.h"

static uint64_t entry_hash(const struct coord_entry *entry)
{
    return sim_hash((uint64_t)entry->type, entry->data, entry->size);
}

static void show_executed(struct sim_node *node, const struct coord_entry *entry,
                          const struct coord_fsm_outcome *outcome)
{
    struct sim_op op = {.index = entry->index};
    int code = outcome->result.code;

    if (outcome->result.is_retry || !sim_replica_read_reason(entry, &op)) {
        return;
    }
    op.has_failed = op.kind == SIM_OP_SWAP && code == RAY_ECONFLICT;
    if (code == RAY_OK || op.has_failed) {
        node->world.observer.executed(node->world.observer.arg, &op);
    }
}

/* ---- rosters ---- */

static bool knows_member(void *arg, const struct ray_id *id)
{
    const struct sim_node *node = arg;
    const struct member_roster *roster = &node->world.membership->rosters[node->world.place];
    const struct coord_fsm *fsm = node->replica == NULL ? NULL : coord_replica_fsm(node->replica);

    return member_roster_decides(roster, fsm) && member_roster_find(roster, id) != NULL;
}

static const struct ray_id *own_id(const struct sim_node *node)
{
    return &node->world.cluster->nodes[node->world.place];
}

static void keep_roster(struct sim_node *node)
{
    struct member_roster *kept = &node->world.membership->rosters[node->world.place];
    struct member_roster now;

    if (member_roster_renew(kept, coord_replica_fsm(node->replica), own_id(node), &now)) {
        *kept = now;
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

        if (object != NULL && object->node.boot_counter > membership->admitted[i]) {
            membership->admitted[i] = object->node.boot_counter;
            membership->admitted_index[i] = coord_fsm_index(fsm);
        }
        if (object != NULL && object->node.raft_id > membership->server_ids[i]) {
            membership->server_ids[i] = object->node.raft_id;
            membership->boot_counters[i] = object->node.boot_counter;
            (void)member_roster_list(fsm, own_id(node), &membership->rosters[i]);
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

static void show_level(struct sim_node *node)
{
    uint32_t level = sim_replica_level(node);
    struct sim_node_status status;

    if (level > node->told_level) {
        node->told_level = level;
        sim_node_replica.status(node, &status);
        node->world.observer.raised(node->world.observer.arg, level, status.members);
    }
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
        keep_roster(node);
        show_level(node);
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
        sim_replica_fail(node, "the replica has failed");
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

struct coord_replica_user sim_replica_user(struct sim_node *node)
{
    return (struct coord_replica_user){.on_role = on_role,
                                       .on_applied = on_applied,
                                       .on_appended = on_appended,
                                       .on_renewed = on_renewed,
                                       .on_trouble = on_trouble,
                                       .knows_member = knows_member,
                                       .arg = node};
}
