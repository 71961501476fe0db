/* trust.c - whose word counts, and for what (docs/decisions/0015).
 *
 * A link proves which node speaks. Voters and standbys are believed in what concerns the cluster:
 * they hold the log, and consensus stands and falls with them. Every other node is believed in what
 * it says of itself. Who is which our own registry says, and the newest configuration that our log
 * has. Where both are behind, whoever they name says in his hello who came after him, and the
 * owner may know more than the state that is left here. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/core/config.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"
#include "net/proto/registry.pb-c.h"

/* Each recovery raises the epoch by one, and is made by a person who has lost a majority. */
enum { EPOCH_STEP_MAX = 64 };

/* ---- who has a voice ---- */

static bool is_configured(const struct coord_replica *r, uint64_t server_id)
{
    return r->core != NULL && server_id != 0 &&
           coord_config_find(coord_core_configuration(r->core), server_id) != NULL;
}

/* By what is here. */
static bool is_colleague(struct coord_replica *r, const struct replica_peer *peer)
{
    const struct coord_fsm *fsm = replica_state(r);
    const struct coord_object *node = coord_fsm_find(fsm, COORD_NODE, &peer->node);

    if (node == NULL && coord_fsm_cluster(fsm) == NULL) {
        /* Nothing is here yet, and the link lets in only whom the owner knows. */
        return r->user.knows_member == NULL || r->user.knows_member(r->user.arg, &peer->node) ||
               is_configured(r, peer->said.server_id);
    }
    if (node == NULL || node->node.state == COORD_NODE_REMOVED) {
        return peer->has_said_hello && peer->standing == REPLICA_STANDING_GOOD &&
               is_configured(r, peer->said.server_id);
    }
    return node->node.role != COORD_NODE_OBSERVER || is_configured(r, node->node.raft_id) ||
           (r->user.knows_member != NULL && r->user.knows_member(r->user.arg, &peer->node));
}

bool replica_trust_names(struct coord_replica *r, const struct ray_id *node)
{
    const struct replica_peer absent = {.node = *node};

    return is_colleague(r, &absent);
}

/* Who is behind may not know the leader as a member; a colleague that is up does. */
bool replica_trust_is_vouched_for(const struct coord_replica *r, const struct ray_id *node)
{
    for (size_t i = 0; i < r->vouched_count; i++) {
        if (ray_id_equal(&r->vouched[i], node)) {
            return true;
        }
    }
    return false;
}

static void vouch(struct coord_replica *r, const struct replica_peer *peer)
{
    for (size_t i = 0; i < peer->said.member_count; i++) {
        const struct ray_id *member = &peer->said.members[i];

        if (r->vouched_count < REPLICA_VOUCHED_MAX && !replica_trust_is_vouched_for(r, member)) {
            r->vouched[r->vouched_count++] = *member;
        }
    }
}

/* Each configuration follows from the one before: who was named may name who came after him, as the
 * colleague that named him may have left since. So he is dialled, too (peers.c): by the registry
 * here he may be an observer, and by his this node. */
static void hear_of_members(struct coord_replica *r)
{
    struct ray_id known[REPLICA_VOUCHED_MAX];
    size_t known_count = r->vouched_count;
    size_t before;

    memcpy(known, r->vouched, known_count * sizeof known[0]);
    r->vouched_count = 0;
    do {
        before = r->vouched_count;
        for (const struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
            if (replica_standing_is_heard(peer) &&
                (peer->is_colleague || replica_trust_is_vouched_for(r, &peer->node))) {
                vouch(r, peer);
            }
        }
    } while (r->vouched_count > before);
    r->is_peers_due = r->is_peers_due || r->vouched_count != known_count ||
                      memcmp(known, r->vouched, known_count * sizeof known[0]) != 0;
}

/* Of those that are linked now, so that no word outlives the link that it came by. */
static void hear_of_others(struct coord_replica *r)
{
    uint64_t term = 0;

    hear_of_members(r);
    r->heard_leader = (struct ray_id){{0}};
    for (const struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        if (!peer->is_colleague || !replica_standing_is_heard(peer)) {
            continue;
        }
        if (!ray_id_is_none(&peer->said.leader) && peer->said.term >= term) {
            r->heard_leader = peer->said.leader;
            term = peer->said.term;
        }
    }
}

static bool is_present(const struct replica_peer *peer)
{
    return peer->epoch != 0 && peer->has_said_hello;
}

void replica_trust_weigh(struct coord_replica *r)
{
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        peer->is_colleague = is_present(peer) && is_colleague(r, peer);
    }
    hear_of_others(r);
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        peer->has_voice = peer->is_colleague ||
                          (is_present(peer) && replica_trust_is_vouched_for(r, &peer->node));
    }
}

void replica_trust_weigh_one(struct coord_replica *r, struct replica_peer *peer)
{
    bool had_voice = peer->is_colleague || peer->has_voice;

    peer->is_colleague = is_present(peer) && is_colleague(r, peer);
    if (had_voice || peer->is_colleague || replica_trust_is_vouched_for(r, &peer->node)) {
        replica_trust_weigh(r); /* what it says of others may be new */
    } else {
        peer->has_voice = is_present(peer) && replica_trust_is_vouched_for(r, &peer->node);
    }
}

/* ---- what is believed ---- */

bool replica_trust_epoch(const struct coord_replica *r, const struct replica_peer *peer,
                         uint64_t cluster_epoch)
{
    uint64_t own = r->meta.now.cluster_epoch;

    if (RAY_MUTANT(REPLICA_EPOCH_OF_ANYBODY)) {
        return cluster_epoch > own;
    }
    return peer->is_colleague && cluster_epoch > own && cluster_epoch - own <= EPOCH_STEP_MAX;
}

static bool is_about_us(const struct coord_replica *r, const Rayos__Member__Standing *item)
{
    return item->about_server_id == r->meta.now.server_id &&
           item->about_incarnation.len == RAY_ID_SIZE &&
           memcmp(item->about_incarnation.data, r->meta.now.incarnation.bytes, RAY_ID_SIZE) == 0;
}

bool replica_trust_standing(const struct coord_replica *r, const struct replica_peer *peer,
                            const Rayos__Member__Standing *item)
{
    if (RAY_MUTANT(REPLICA_STANDING_OF_ANYBODY)) {
        return true;
    }
    return replica_standing_is_heard(peer) && peer->is_colleague && is_about_us(r, item);
}

/* ---- whether this node was removed ---- */

struct removers {
    size_t voters; /* other than this node */
    size_t count;  /* of them, who have said so */
};

static bool has_removed_us(struct coord_replica *r, const struct ray_id *node)
{
    const struct replica_peer *peer = replica_peer_find(r, node);

    return peer != NULL && peer->has_removed_us;
}

/* As heard; or, when there is no link to it, as the registry has it. */
static const struct ray_id *node_of(struct coord_replica *r, uint64_t server_id)
{
    const struct replica_peer *peer = replica_peer_of_server(r, server_id);
    const struct coord_object *node = coord_fsm_find_raft_id(r->fsm, server_id);

    return peer != NULL ? &peer->node : node != NULL ? &node->id : NULL;
}

/* Those that the owner knows, where whose a number is is not known here yet. */
static size_t count_known(struct coord_replica *r)
{
    size_t count = 0;

    if (r->user.knows_member == NULL) {
        return 0;
    }
    for (const struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        count += peer->has_removed_us && r->user.knows_member(r->user.arg, &peer->node);
    }
    return count;
}

static void count_configured(struct coord_replica *r, const struct coord_config *config,
                             struct removers *out)
{
    bool is_any_unknown = false;

    for (size_t i = 0; i < config->count; i++) {
        uint64_t id = config->servers[i].id;

        if (config->servers[i].role == COORD_VOTER && id != r->meta.now.server_id) {
            const struct ray_id *node = node_of(r, id);

            out->voters++;
            out->count += node != NULL && has_removed_us(r, node);
            is_any_unknown |= node == NULL;
        }
    }
    if (is_any_unknown) {
        out->count = count_known(r);
    }
}

static void count_registered(struct coord_replica *r, struct removers *out)
{
    const struct coord_object *node = coord_fsm_next(r->fsm, COORD_NODE, NULL);

    while (node != NULL) {
        struct ray_id id = node->id;

        if (node->node.role == COORD_NODE_VOTER && !ray_id_equal(&id, &r->meta.now.node_id)) {
            out->voters++;
            out->count += has_removed_us(r, &id);
        }
        node = coord_fsm_next(r->fsm, COORD_NODE, &id);
    }
}

/* By what is here itself. Whose log and registry are empty knows the members by one member's word:
 * for such a node nobody is most of them. */
bool replica_trust_is_removed(struct coord_replica *r)
{
    struct removers removers = {0};
    const struct coord_config *config = r->core != NULL ? coord_core_configuration(r->core) : NULL;

    if (config != NULL && config->count > 0) {
        count_configured(r, config, &removers);
    } else if (coord_fsm_cluster(r->fsm) != NULL) {
        count_registered(r, &removers);
    }
    return removers.count > removers.voters / 2;
}
