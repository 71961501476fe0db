/* removal.c - a node that was removed while it was off: no link is made with it, so it asks those
 * that it knows why not (net/link_former.c).
 *
 * A number is given once. So a registry that has given one, and has no such node, says for ever
 * that the node was removed; one that may not have heard of the number yet says nothing. */
#include "coordinator/core/config.h"
#include "coordinator/replica/impl.h"

/* ---- of others ---- */

/* Servers that are about to go may be needed for that. */
static bool has_strangers(const struct coord_replica *r)
{
    const struct coord_config *config = coord_core_configuration(r->core);

    for (size_t i = 0; i < config->count; i++) {
        const struct coord_object *node = coord_fsm_find_raft_id(r->fsm, config->servers[i].id);

        if (node == NULL || node->node.state == COORD_NODE_REMOVED) {
            return true;
        }
    }
    return false;
}

int coord_replica_removed(const struct coord_replica *r, const struct ray_id *node,
                          struct coord_replica_removal *out)
{
    const struct coord_object *cluster = coord_fsm_cluster(r->fsm);
    const struct coord_object *object = coord_fsm_find(r->fsm, COORD_NODE, node);

    if (!replica_is_running(r) || r->role == COORD_REPLICA_WAITING || cluster == NULL) {
        return RAY_EUNAVAILABLE;
    }
    if ((object != NULL && object->node.state != COORD_NODE_REMOVED) || has_strangers(r)) {
        return RAY_ENOTFOUND;
    }
    *out = (struct coord_replica_removal){.last_number = cluster->cluster.last_raft_id,
                                          .cluster_epoch = r->meta.now.cluster_epoch};
    return RAY_OK;
}

/* ---- of this node ---- */

static bool is_of_us(const struct coord_replica *r, const struct coord_replica_removal *removal)
{
    return r->meta.now.server_id != 0 && r->meta.now.server_id <= removal->last_number &&
           removal->cluster_epoch >= r->meta.now.cluster_epoch;
}

bool coord_replica_told_removed(struct coord_replica *r, const struct ray_id *node,
                                const struct coord_replica_removal *removal)
{
    struct replica_peer *peer;

    if (!is_of_us(r, removal)) {
        return false;
    }
    if (r->role == COORD_REPLICA_FAILED || r->role == COORD_REPLICA_REMOVED ||
        !replica_trust_names(r, node)) {
        return true;
    }
    peer = replica_peer_get(r, node);
    if (peer != NULL) {
        replica_standing_hear_removed(r, peer);
        r->is_turn_due = true;
    }
    return true;
}
