/* office.c - what a leader writes down of what it sees, once a second: roles of the configuration,
 * who is in quarantine, identities that are there twice, runs that nobody wants.
 *
 * However much there is of it, one turn proposes at most REPLICA_OFFICE_MAX of a kind, and the next
 * one goes on where that one stopped: what is refused again and again keeps nothing else waiting.
 */
#include <stdio.h>

#include "base/clock.h"
#include "coordinator/core/config.h"
#include "coordinator/replica/impl.h"
#include "net/proto/registry.pb-c.h"
#include "net/proto_codec.h"

/* `note` says whether it has proposed anything about the object. */
static void sweep(struct coord_replica *r, enum coord_kind kind, struct ray_id *after,
                  bool (*note)(struct coord_replica *r, const struct coord_object *object))
{
    size_t count = coord_fsm_count(r->fsm, kind);
    size_t proposed_count = 0;

    for (size_t i = 0; i < count && proposed_count < REPLICA_OFFICE_MAX; i++) {
        const struct coord_object *object = coord_fsm_next(r->fsm, kind, after);

        if (object == NULL) {
            object = coord_fsm_next(r->fsm, kind, NULL);
        }
        if (object == NULL) {
            return;
        }
        *after = object->id;
        proposed_count += note(r, object) ? 1 : 0;
    }
}

static enum coord_node_role role_in(const struct coord_config *config, uint64_t raft_id)
{
    const struct coord_server *server = coord_config_find(config, raft_id);

    if (raft_id == 0 || server == NULL) {
        return COORD_NODE_OBSERVER;
    }
    return server->role == COORD_VOTER ? COORD_NODE_VOTER : COORD_NODE_STANDBY;
}

enum coord_node_role coord_replica_role_of(const struct coord_replica *r,
                                           const struct coord_object *node)
{
    enum coord_node_role role;

    if (!replica_is_running(r) || r->role == COORD_REPLICA_WAITING || replica_is_viewing(r)) {
        return node->node.role;
    }
    role = role_in(coord_core_configuration(r->core), node->node.raft_id);
    if (role == COORD_NODE_OBSERVER && node->node.role != COORD_NODE_OBSERVER) {
        return COORD_NODE_STANDBY; /* it can be removed only when the registry has followed */
    }
    return role;
}

/* The registry says what the committed configuration says. */
static bool note_role(struct coord_replica *r, const struct coord_object *node)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeRole change = RAYOS__REGISTRY__NODE_ROLE__INIT;
    uint64_t config_index;
    const struct coord_config *config = coord_core_committed_configuration(r->core, &config_index);
    enum coord_node_role role = role_in(config, node->node.raft_id);

    if (node->node.role == role) {
        return false;
    }
    change.node = ray_proto_id(&node->id);
    change.raft_id = node->node.raft_id;
    change.role = (Rayos__Registry__Role)role;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_ROLE;
    command.node_role = &change;
    replica_propose_office(r, &command, "the configuration of the log");
    return true;
}

/* Whether it has begun anew, by its newest number, or leads. */
static bool is_well(struct coord_replica *r, const struct coord_object *node,
                    const struct replica_peer *peer)
{
    if (ray_id_equal(&node->id, &r->meta.now.node_id)) {
        return true;
    }
    return peer != NULL && peer->epoch != 0 && replica_standing_is_heard(peer) &&
           !peer->said.is_quarantined && peer->said.server_id == node->node.raft_id;
}

/* Not of one that says so, and the contrary, all the time: each is an entry and an event. */
static bool is_well_for_long(const struct coord_replica *r, const struct replica_peer *peer)
{
    return peer == NULL ||
           replica_now_ns(r) - peer->quarantined_ns >= REPLICA_RETURN_MS * RAY_NS_PER_MS;
}

/* What it says of itself; who is not heard stays as he was, and a clone says nothing of the node.
 */
static bool note_quarantine(struct coord_replica *r, const struct coord_object *node)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeQuarantine change = RAYOS__REGISTRY__NODE_QUARANTINE__INIT;
    const struct replica_peer *peer = replica_peer_find(r, &node->id);
    bool is_quarantined = peer != NULL && replica_refill_is_served(peer);

    if ((!is_quarantined && !(is_well(r, node, peer) && is_well_for_long(r, peer))) ||
        node->node.is_quarantined == is_quarantined ||
        (node->node.state != COORD_NODE_MEMBER && node->node.state != COORD_NODE_DRAINED)) {
        return false;
    }
    change.node = ray_proto_id(&node->id);
    change.is_quarantined = is_quarantined;
    change.message = is_quarantined ? (char *)peer->said.trouble : (char *)"";
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_QUARANTINE;
    command.node_quarantine = &change;
    replica_propose_office(r, &command, "what the node says of itself");
    return true;
}

/* What was deleted, or is not to run any more, ends when its home has been silent for W, or its
 * volumes would be held for ever; the book refuses before. */
static bool end_unwanted(struct coord_replica *r, const struct coord_object *guest)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Outcome outcome = RAYOS__REGISTRY__OUTCOME__INIT;
    Rayos__Registry__Epoch epoch = RAYOS__REGISTRY__EPOCH__INIT;

    if (!guest->guest.has_run || (!guest->is_gone && guest->guest.is_wanted)) {
        return false;
    }
    epoch.cluster = guest->guest.epoch.cluster;
    epoch.index = guest->guest.epoch.index;
    outcome.entry = RAYOS__REGISTRY__ORIGIN__ORIGIN_DEATH;
    outcome.guest = ray_proto_id(&guest->id);
    outcome.expected_epoch = &epoch;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OUTCOME;
    command.outcome = &outcome;
    replica_propose_office(r, &command, "not wanted, and its home is silent");
    return true;
}

/* Each of them once, by whoever leads then. */
static void note_duplicates(struct coord_replica *r)
{
    size_t count = 0;

    for (struct replica_peer *peer = r->peers.all; peer != NULL && count < REPLICA_OFFICE_MAX;
         peer = peer->next) {
        Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
        Rayos__Registry__EventAdd event = RAYOS__REGISTRY__EVENT_ADD__INIT;
        char text[RAY_ID_TEXT_SIZE + 64];
        char id[RAY_ID_TEXT_SIZE];

        if (!peer->is_duplicate_due || ray_id_equal(&peer->duplicate, &peer->said.incarnation)) {
            continue;
        }
        count++;
        peer->is_duplicate_due = false;
        peer->duplicate = peer->said.incarnation;
        (void)snprintf(text, sizeof(text), "incarnation %s of boot %llu is not heard",
                       ray_id_format(&peer->said.incarnation, id),
                       (unsigned long long)peer->said.boot_counter);
        event.what = (char *)"duplicate-identity";
        event.text = text;
        event.object_kind = RAYOS__REGISTRY__KIND__KIND_NODE;
        event.object_id = ray_proto_id(&peer->node);
        command.body_case = RAYOS__REGISTRY__COMMAND__BODY_EVENT_ADD;
        command.event_add = &event;
        replica_propose_office(r, &command, "two machines, one identity");
    }
}

void replica_office_turn(struct coord_replica *r)
{
    sweep(r, COORD_NODE, &r->office.role_after, note_role);
    sweep(r, COORD_NODE, &r->office.quarantine_after, note_quarantine);
    sweep(r, COORD_GUEST, &r->office.unwanted_after, end_unwanted);
    note_duplicates(r);
}
