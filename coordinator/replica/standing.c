/* standing.c - who a peer is, by the registry, and who we are by what peers say of us.
 *
 * A number belongs to one boot of one node. Whoever says another's number, an old one, or comes
 * after a later boot of the same node, is not heard, and told why. What is told never becomes
 * untrue: numbers and boot counters only rise, so that any member may say it from the state that
 * it has applied. Who is told draws the conclusion for good, on its disk, before anything else. */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "coordinator/core/config.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"
#include "net/proto/registry.pb-c.h"
#include "net/proto_codec.h"

/* ---- of peers ---- */

/* Another boot, and not a later one. */
static bool is_stale_boot(uint64_t counter, const struct ray_id *incarnation,
                          uint64_t known_counter, const struct ray_id *known)
{
    if (ray_id_is_none(known) || ray_id_equal(incarnation, known) ||
        RAY_MUTANT(REPLICA_OLDER_HEARD)) {
        return false;
    }
    return counter <= known_counter;
}

/* It counts as far as the boot that is known, and further; but that was one of another disk, or of
 * this one before it was set back: then votes and entries of that time are gone from it. The
 * present boot is its own, whatever count it was admitted with. */
static bool is_set_back(const struct coord_meta_boot *boots, size_t count,
                        const struct ray_id *incarnation, uint64_t known_counter,
                        const struct ray_id *known)
{
    return !ray_id_is_none(known) && !ray_id_equal(incarnation, known) &&
           coord_meta_boots_differ(boots, count, known_counter, known) &&
           !RAY_MUTANT(REPLICA_SET_BACK_HEARD);
}

/* A number that came after all that were heard: its disk was lost, and with it the count of boots
 * that the registry had not been told of. */
static bool is_new_life(const struct replica_peer *peer, const struct coord_object *node)
{
    return peer->said.server_id > peer->boot_server_id &&
           (node == NULL || peer->said.server_id >= node->node.raft_id);
}

/* Given by a leader that is ahead of our registry. */
static bool is_later_number(const struct coord_replica *r, uint64_t server_id)
{
    const struct coord_object *cluster = coord_fsm_cluster(r->fsm);

    return cluster == NULL || server_id > cluster->cluster.last_raft_id;
}

/* The latest boot of that node that is known of, from its hellos and from the registry, unless that
 * one is older than its number. */
static void latest_boot(const struct coord_replica *r, const struct replica_peer *peer,
                        const struct coord_object *node, uint64_t *out_counter,
                        struct ray_id *out_incarnation)
{
    bool is_new = is_new_life(peer, node);

    *out_counter = is_new ? 0 : peer->boot_counter;
    *out_incarnation = is_new ? (struct ray_id){{0}} : peer->incarnation;
    if (node != NULL && !is_later_number(r, peer->said.server_id) &&
        !ray_id_is_none(&node->node.incarnation) && node->node.boot_counter > *out_counter) {
        *out_counter = node->node.boot_counter;
        *out_incarnation = node->node.incarnation;
    }
}

static enum replica_standing standing_by_registry(struct coord_replica *r,
                                                  const struct replica_peer *peer,
                                                  const struct coord_object *node)
{
    const struct coord_object *other;

    if (peer->said.server_id == 0 || is_later_number(r, peer->said.server_id)) {
        return REPLICA_STANDING_GOOD;
    }
    other = coord_fsm_find_raft_id(r->fsm, peer->said.server_id);
    if (other != NULL && other != node) {
        return REPLICA_STANDING_FOREIGN;
    }
    if (other == node && node != NULL && node->node.state != COORD_NODE_REMOVED) {
        return REPLICA_STANDING_GOOD;
    }
    if (node != NULL && node->node.state != COORD_NODE_REMOVED) {
        return REPLICA_STANDING_RENUMBERED;
    }
    /* What the configuration still has is heard, or the change that takes it away could wait for
     * it for ever. */
    if (coord_config_find(coord_core_configuration(r->core), peer->said.server_id) != NULL) {
        return REPLICA_STANDING_GOOD;
    }
    return REPLICA_STANDING_REMOVED;
}

static enum replica_standing standing_of(struct coord_replica *r, const struct replica_peer *peer)
{
    const struct coord_object *node = coord_fsm_find(r->fsm, COORD_NODE, &peer->node);
    struct ray_id incarnation;
    uint64_t counter;

    if (peer->said.cluster_epoch != r->meta.now.cluster_epoch) {
        return REPLICA_STANDING_EPOCH;
    }
    latest_boot(r, peer, node, &counter, &incarnation);
    if (is_stale_boot(peer->said.boot_counter, &peer->said.incarnation, counter, &incarnation)) {
        return REPLICA_STANDING_DUPLICATE;
    }
    /* Once it knows itself it has no voice, and is to be refilled. */
    if (!peer->said.is_quarantined && is_set_back(peer->said.boots, peer->said.boot_count,
                                                  &peer->said.incarnation, counter, &incarnation)) {
        return REPLICA_STANDING_DUPLICATE;
    }
    return standing_by_registry(r, peer, node);
}

void replica_standing_tell(struct coord_replica *r, struct replica_peer *peer,
                           Rayos__Member__Standing *item)
{
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Standing *items[] = {item};

    item->about_server_id = peer->said.server_id;
    item->about_incarnation = ray_proto_id(&peer->said.incarnation);
    packet.n_standings = 1;
    packet.standings = items;
    (void)replica_packet_add(r, peer, &packet); /* told again with the next duty */
}

static void tell_standing(struct coord_replica *r, struct replica_peer *peer)
{
    const struct coord_object *node = coord_fsm_find(r->fsm, COORD_NODE, &peer->node);
    Rayos__Member__Standing item = RAYOS__MEMBER__STANDING__INIT;
    struct ray_id incarnation;

    switch (peer->standing) {
    case REPLICA_STANDING_GOOD:
    case REPLICA_STANDING_EPOCH: /* our hello says it */
    case REPLICA_STANDING_FOREIGN:
        return;
    case REPLICA_STANDING_REMOVED:
        item.kind = RAYOS__MEMBER__STANDING_KIND__STANDING_REMOVED;
        break;
    case REPLICA_STANDING_RENUMBERED:
        item.kind = RAYOS__MEMBER__STANDING_KIND__STANDING_RENUMBERED;
        item.server_id = node == NULL ? 0 : node->node.raft_id;
        break;
    case REPLICA_STANDING_DUPLICATE:
        item.kind = RAYOS__MEMBER__STANDING_KIND__STANDING_DUPLICATE;
        latest_boot(r, peer, node, &item.boot_counter, &incarnation);
        item.incarnation = ray_proto_id(&incarnation);
        break;
    }
    replica_standing_tell(r, peer, &item);
}

static void judge(struct coord_replica *r, struct replica_peer *peer)
{
    enum replica_standing before = peer->standing;

    /* Who is damaged itself judges nobody. */
    peer->standing = replica_is_running(r) ? standing_of(r, peer) : REPLICA_STANDING_GOOD;
    peer->server_id = peer->standing == REPLICA_STANDING_GOOD ? peer->said.server_id : 0;
    if (peer->standing == REPLICA_STANDING_GOOD && (peer->said.boot_counter >= peer->boot_counter ||
                                                    peer->said.server_id > peer->boot_server_id)) {
        peer->boot_counter = peer->said.boot_counter;
        peer->incarnation = peer->said.incarnation;
        peer->boot_server_id = peer->said.server_id;
    }
    if (peer->standing != before && peer->standing != REPLICA_STANDING_GOOD) {
        replica_log(r, RAY_LOG_WARN, "server %llu of boot %llu is not heard: standing %d",
                    (unsigned long long)peer->said.server_id,
                    (unsigned long long)peer->said.boot_counter, (int)peer->standing);
        tell_standing(r, peer);
    }
}

static void note_members(struct coord_replica *r);

void replica_standing_judge_all(struct coord_replica *r)
{
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        if (peer->epoch != 0 && peer->has_said_hello) {
            judge(r, peer);
        }
    }
    replica_trust_weigh(r);
    note_members(r);
}

void replica_standing_remind(struct coord_replica *r)
{
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        if (peer->epoch != 0 && peer->has_said_hello) {
            tell_standing(r, peer);
        }
    }
}

bool replica_standing_is_heard(const struct replica_peer *peer)
{
    return peer->has_said_hello && peer->standing == REPLICA_STANDING_GOOD;
}

/* ---- of ourselves ---- */

/* A later cluster epoch: the members that had a majority without us began anew. What we have may
 * be what they gave up. */
static void note_epoch(struct coord_replica *r, const struct replica_peer *peer)
{
    struct ray_err why = {0};
    uint64_t cluster_epoch = peer->said.cluster_epoch;

    if (!replica_trust_epoch(r, peer, cluster_epoch) || r->role == COORD_REPLICA_FAILED ||
        r->role == COORD_REPLICA_REMOVED) {
        return;
    }
    (void)ray_fail(&why, RAY_ECONFLICT, "the cluster was recovered, its epoch is %llu, not %llu",
                   (unsigned long long)cluster_epoch,
                   (unsigned long long)r->meta.now.cluster_epoch);
    replica_quarantine_at(r, &why, cluster_epoch);
}

/* Proven outside of any link; whose word it is counts as in a hello. */
void coord_replica_later_epoch(struct coord_replica *r, const struct ray_id *node,
                               uint64_t cluster_epoch)
{
    struct replica_peer said = {.node = *node, .said = {.cluster_epoch = cluster_epoch}};

    said.is_colleague = replica_trust_names(r, node);
    note_epoch(r, &said);
    r->is_turn_due = true;
}

/* Raised in our own log: what follows it is the cluster's. */
void replica_standing_note_epoch(struct coord_replica *r)
{
    const struct coord_object *cluster = coord_fsm_cluster(r->fsm);
    struct coord_meta next = r->meta.now;
    struct ray_err err = {0};

    if (cluster == NULL || cluster->cluster.cluster_epoch <= next.cluster_epoch ||
        !replica_is_running(r)) {
        return;
    }
    next.cluster_epoch = cluster->cluster.cluster_epoch;
    if (coord_meta_write(&r->meta, &next, &err) != RAY_OK) {
        replica_fail(r, &err);
        return;
    }
    replica_hellos_due(r);
}

/* For good only by the log that is here; a view is what one member says (decision 0015). */
static void note_removal(struct coord_replica *r)
{
    struct ray_err why = {0};

    if (!replica_is_viewing(r)) {
        replica_remove(r);
        return;
    }
    (void)ray_fail(&why, RAY_EDENIED, "the member that is followed says that this node is removed");
    replica_quarantine(r, &why);
}

void replica_standing_check_self(struct coord_replica *r)
{
    struct coord_fsm *fsm = replica_state(r);
    const struct coord_object *self = coord_fsm_find(fsm, COORD_NODE, &r->meta.now.node_id);
    const struct coord_object *cluster = coord_fsm_cluster(fsm);
    struct ray_err why = {0};

    if (cluster == NULL || r->meta.now.server_id > cluster->cluster.last_raft_id) {
        return;
    }
    if (self == NULL || self->node.state == COORD_NODE_REMOVED) {
        if (coord_config_find(coord_core_configuration(r->core), r->meta.now.server_id) == NULL) {
            note_removal(r);
        }
        return;
    }
    if (is_stale_boot(r->meta.now.boot_counter, &r->meta.now.incarnation, self->node.boot_counter,
                      &self->node.incarnation) ||
        is_set_back(r->meta.now.boots, r->meta.now.boot_count, &r->meta.now.incarnation,
                    self->node.boot_counter, &self->node.incarnation)) {
        (void)ray_fail(&why, RAY_ECONFLICT,
                       "duplicate identity: boot %llu of this node was admitted, this is boot %llu",
                       (unsigned long long)self->node.boot_counter,
                       (unsigned long long)r->meta.now.boot_counter);
        replica_quarantine(r, &why);
    }
}

static void hear_duplicate(struct coord_replica *r, const Rayos__Member__Standing *item)
{
    struct ray_err why = {0};
    struct ray_id other;

    if (ray_id_from_bytes(item->incarnation.data, item->incarnation.len, &other, NULL) != RAY_OK ||
        !(is_stale_boot(r->meta.now.boot_counter, &r->meta.now.incarnation, item->boot_counter,
                        &other) ||
          is_set_back(r->meta.now.boots, r->meta.now.boot_count, &r->meta.now.incarnation,
                      item->boot_counter, &other))) {
        return; /* of an earlier boot of ours */
    }
    (void)ray_fail(&why, RAY_ECONFLICT,
                   "duplicate identity: boot %llu of this node was heard, this is boot %llu",
                   (unsigned long long)item->boot_counter,
                   (unsigned long long)r->meta.now.boot_counter);
    replica_quarantine(r, &why);
}

static void hear_renumbered(struct coord_replica *r, const Rayos__Member__Standing *item)
{
    struct ray_err why = {0};

    if (item->server_id <= r->meta.now.server_id && item->server_id != 0) {
        return; /* of an earlier hello */
    }
    if (r->role != COORD_REPLICA_QUARANTINED) {
        (void)ray_fail(&why, RAY_ECONFLICT, "the cluster knows this node by number %llu, not %llu",
                       (unsigned long long)item->server_id,
                       (unsigned long long)r->meta.now.server_id);
        replica_quarantine(r, &why);
    } else if (item->is_yours && item->server_id != 0) {
        replica_refill_begin(r, item->server_id);
    }
}

/* Quarantined at one's word, which costs a refill when it was wrong; for good only by most. */
void replica_standing_hear_removed(struct coord_replica *r, struct replica_peer *peer)
{
    struct ray_err why = {0};
    char id[RAY_ID_TEXT_SIZE];

    peer->has_removed_us = true;
    if (replica_trust_is_removed(r)) {
        replica_remove(r);
        return;
    }
    (void)ray_fail(&why, RAY_EDENIED, "node %s says that the cluster has removed this node",
                   ray_id_format(&peer->node, id));
    replica_quarantine(r, &why);
}

void replica_standing_told(struct coord_replica *r, struct replica_peer *peer,
                           const Rayos__Member__Standing *item)
{
    if (r->role == COORD_REPLICA_FAILED || r->role == COORD_REPLICA_REMOVED ||
        !replica_trust_standing(r, peer, item)) {
        return;
    }
    switch (item->kind) {
    case RAYOS__MEMBER__STANDING_KIND__STANDING_REMOVED:
        replica_standing_hear_removed(r, peer);
        break;
    case RAYOS__MEMBER__STANDING_KIND__STANDING_RENUMBERED:
        hear_renumbered(r, item);
        break;
    case RAYOS__MEMBER__STANDING_KIND__STANDING_DUPLICATE:
        hear_duplicate(r, item);
        break;
    default:
        break;
    }
}

/* ---- hellos ---- */

/* By our own consensus. What we were only told is not told on: two that believe each other would
 * never stop. */
static const struct ray_id *known_leader(struct coord_replica *r)
{
    const struct replica_peer *peer;

    if (!replica_is_running(r)) {
        return NULL;
    }
    if (r->role == COORD_REPLICA_LEADER) {
        return &r->meta.now.node_id;
    }
    peer = replica_peer_of_server(r, coord_core_leader(r->core));
    return peer == NULL ? NULL : &peer->node;
}

void replica_hellos_due(struct coord_replica *r)
{
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        peer->is_hello_due = true;
    }
}

/* By the registry; where that is behind the log, by who is heard as that server. */
static const struct ray_id *node_of_server(struct coord_replica *r, uint64_t server_id)
{
    const struct coord_object *node = coord_fsm_find_raft_id(r->fsm, server_id);
    const struct replica_peer *peer;

    if (node != NULL) {
        return &node->id;
    }
    if (server_id == r->meta.now.server_id) {
        return &r->meta.now.node_id;
    }
    peer = replica_peer_of_server(r, server_id);
    return peer == NULL ? NULL : &peer->node;
}

/* Those of the newest configuration whose nodes are known here. */
static size_t list_members(struct coord_replica *r, ProtobufCBinaryData *out)
{
    const struct coord_config *config;
    size_t count = 0;

    if (!replica_is_running(r)) {
        return 0;
    }
    config = coord_core_configuration(r->core);
    for (size_t i = 0; i < config->count; i++) {
        const struct ray_id *node = node_of_server(r, config->servers[i].id);

        if (node != NULL) {
            out[count++] = ray_proto_id(node);
        }
    }
    return count;
}

/* Who can name more members than before says so to all: one that is behind may know none of them.
 * Fewer is said when the configuration has fewer (drive.c), not when a link is down and its number
 * has no name here: others may know it by this node's word. */
static void note_members(struct coord_replica *r)
{
    ProtobufCBinaryData members[COORD_SERVERS_MAX];
    size_t count = list_members(r, members);

    if (count > r->named_count) {
        replica_hellos_due(r);
    }
    r->named_count = count;
}

static bool is_named(const struct replica_said *said, const struct ray_id *node)
{
    for (size_t i = 0; i < said->member_count; i++) {
        if (ray_id_equal(&said->members[i], node)) {
            return true;
        }
    }
    return false;
}

/* The entry that takes a server away does not go to that server. What its leader says is: members,
 * and this node is none of them; then nothing more. A leader that only does not know yet whose the
 * number is goes on sending. */
static void note_left_out(struct coord_replica *r, const struct replica_peer *peer)
{
    bool is_leader = peer->is_colleague && replica_standing_is_heard(peer) &&
                     ray_id_equal(&peer->said.leader, &peer->node) &&
                     peer->said.term >= r->meta.now.term && peer->said.member_count > 0;

    if (is_leader && is_named(&peer->said, &r->meta.now.node_id)) {
        r->left_out_ns = 0;
    } else if (is_leader && r->left_out_ns == 0) {
        r->left_out_ns = replica_now_ns(r);
    }
}

void replica_hello_say(struct coord_replica *r, struct replica_peer *peer)
{
    ProtobufCBinaryData members[COORD_SERVERS_MAX];
    Rayos__Member__Boot boots[COORD_META_BOOTS_MAX];
    Rayos__Member__Boot *boot_items[COORD_META_BOOTS_MAX];
    Rayos__Member__Packet packet = RAYOS__MEMBER__PACKET__INIT;
    Rayos__Member__Hello hello = RAYOS__MEMBER__HELLO__INIT;
    bool is_quarantined = r->role == COORD_REPLICA_QUARANTINED && !r->is_refilling;
    const struct ray_id *leader;

    hello.server_id = r->meta.now.server_id;
    hello.incarnation = ray_proto_id(&r->meta.now.incarnation);
    hello.boot_counter = r->meta.now.boot_counter;
    hello.feature_level = r->config.feature_level;
    hello.cluster_epoch = r->meta.now.cluster_epoch;
    hello.has_space = !r->is_full;
    hello.term = r->meta.now.term;
    hello.is_quarantined = is_quarantined;
    hello.trouble = is_quarantined ? r->failure.text : (char *)"";
    hello.members = members;
    hello.n_members = list_members(r, members);
    for (uint32_t i = 0; i < r->meta.now.boot_count; i++) {
        rayos__member__boot__init(&boots[i]);
        boots[i].incarnation = ray_proto_id(&r->meta.now.boots[i].incarnation);
        boots[i].since = r->meta.now.boots[i].since;
        boot_items[i] = &boots[i];
    }
    hello.boots = boot_items;
    hello.n_boots = r->meta.now.boot_count;
    leader = known_leader(r);
    if (leader != NULL) {
        hello.leader = ray_proto_id(leader);
    }
    packet.hello = &hello;
    peer->is_hello_due = replica_packet_add(r, peer, &packet) != RAY_OK;
}

static void hear_members(struct replica_peer *peer, const Rayos__Member__Hello *hello)
{
    for (size_t i = 0; i < hello->n_members && i < COORD_SERVERS_MAX; i++) {
        if (ray_id_from_bytes(hello->members[i].data, hello->members[i].len,
                              &peer->said.members[peer->said.member_count], NULL) == RAY_OK) {
            peer->said.member_count++;
        }
    }
}

static void hear_boots(struct replica_peer *peer, const Rayos__Member__Hello *hello)
{
    struct replica_said *said = &peer->said;

    for (size_t i = 0; i < hello->n_boots && i < COORD_META_BOOTS_MAX; i++) {
        struct coord_meta_boot *boot = &said->boots[said->boot_count];

        boot->since = hello->boots[i]->since;
        if (ray_id_from_bytes(hello->boots[i]->incarnation.data, hello->boots[i]->incarnation.len,
                              &boot->incarnation, NULL) == RAY_OK) {
            said->boot_count++;
        }
    }
}

void replica_hello_heard(struct coord_replica *r, struct replica_peer *peer,
                         const Rayos__Member__Hello *hello)
{
    struct ray_id incarnation;

    if (ray_id_from_bytes(hello->incarnation.data, hello->incarnation.len, &incarnation, NULL) !=
        RAY_OK) {
        return;
    }
    peer->said = (struct replica_said){.server_id = hello->server_id,
                                       .incarnation = incarnation,
                                       .boot_counter = hello->boot_counter,
                                       .cluster_epoch = hello->cluster_epoch,
                                       .is_quarantined = hello->is_quarantined,
                                       .term = hello->term};
    if (hello->leader.len > 0 && ray_id_from_bytes(hello->leader.data, hello->leader.len,
                                                   &peer->said.leader, NULL) != RAY_OK) {
        peer->said.leader = (struct ray_id){{0}};
    }
    (void)ray_escape(peer->said.trouble, sizeof(peer->said.trouble), hello->trouble,
                     strlen(hello->trouble));
    hear_members(peer, hello);
    hear_boots(peer, hello);
    if (hello->is_quarantined) {
        peer->quarantined_ns = replica_now_ns(r);
    }
    peer->feature_level = hello->feature_level;
    peer->has_space = hello->has_space;
    peer->has_said_hello = true;
    judge(r, peer);
    replica_trust_weigh_one(r, peer);
    note_members(r);
    note_left_out(r, peer);
    note_epoch(r, peer);
    /* Not of a link that only has not noticed yet that its process is gone. */
    peer->is_duplicate_due = peer->standing == REPLICA_STANDING_DUPLICATE;
}
