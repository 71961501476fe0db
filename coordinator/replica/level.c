/* level.c - the feature level of the log: what the members' builds have, as their hellos say it,
 * and the leader's proposal to raise it (coordinator/core/feature.h decides). */
#include <stdio.h>

#include "base/clock.h"
#include "coordinator/core/config.h"
#include "coordinator/mutant.h"
#include "coordinator/replica/impl.h"

/* Of a build that says none: the first. */
static uint32_t level_of(const struct replica_peer *peer)
{
    return peer->feature_level == 0 ? 1 : peer->feature_level;
}

static uint32_t cluster_level(const struct coord_replica *r)
{
    const struct coord_object *cluster = coord_fsm_cluster(replica_state(r));

    return cluster == NULL ? 0 : cluster->cluster.feature_level;
}

/* What is proposed counts already: a server that is added now gets that entry, too. */
bool replica_level_fits(const struct coord_replica *r, const struct replica_peer *peer)
{
    return level_of(peer) >= cluster_level(r) &&
           (r->feature_term != coord_core_term(r->core) || level_of(peer) >= r->raising_level);
}

static void add_self(struct coord_replica *r, struct coord_feature_found *found)
{
    struct coord_feature_node self = {.id = r->meta.now.node_id,
                                      .level = r->config.feature_level,
                                      .is_server = true,
                                      .is_heard = true};

    coord_feature_add(found, &self);
}

static void add_servers(struct coord_replica *r, const struct coord_config *config,
                        struct coord_feature_found *found)
{
    for (size_t i = 0; i < config->count; i++) {
        struct coord_feature_node node = {.is_server = true};
        const struct coord_object *object;
        const struct replica_peer *peer;

        if (config->servers[i].id == r->meta.now.server_id) {
            continue;
        }
        object = coord_fsm_find_raft_id(replica_state(r), config->servers[i].id);
        peer = object == NULL ? NULL : replica_peer_find(r, &object->id);
        if (object != NULL) {
            node.id = object->id;
        }
        if (peer != NULL && peer->epoch != 0 && replica_standing_is_heard(peer)) {
            node.is_heard = true;
            node.level = level_of(peer);
        }
        coord_feature_add(found, &node);
    }
}

/* Nodes outside of the log show what is in it: they must understand it as long as they are there.
 */
static void add_observers(struct coord_replica *r, struct coord_feature_found *found)
{
    for (struct replica_peer *peer = r->peers.all; peer != NULL; peer = peer->next) {
        const struct coord_object *object =
            coord_fsm_find(replica_state(r), COORD_NODE, &peer->node);
        struct coord_feature_node node = {
            .id = peer->node, .level = level_of(peer), .is_heard = true};

        if (peer->epoch != 0 && replica_standing_is_heard(peer) && object != NULL &&
            (object->node.state == COORD_NODE_MEMBER || object->node.state == COORD_NODE_DRAINED)) {
            coord_feature_add(found, &node);
        }
    }
}

/* Both configurations, while one is being changed. */
static struct coord_feature_found look(struct coord_replica *r)
{
    struct coord_feature_found found = {.is_any = false};
    uint64_t index;

    add_self(r, &found);
    if (RAY_MUTANT(REPLICA_FEATURE_EARLY)) {
        return found;
    }
    add_servers(r, coord_core_configuration(r->core), &found);
    add_servers(r, coord_core_committed_configuration(r->core, &index), &found);
    add_observers(r, &found);
    return found;
}

bool coord_replica_feature(struct coord_replica *r, struct coord_replica_feature *out)
{
    struct coord_feature_found found;

    if (!replica_is_running(r) || cluster_level(r) == 0) {
        return false;
    }
    found = look(r);
    *out = (struct coord_replica_feature){.level = cluster_level(r),
                                          .build_level = r->config.feature_level,
                                          .common_level = found.level};
    if (found.level < r->config.feature_level) {
        out->holder = found.holder.id;
        out->holder_level = found.holder.is_heard ? found.holder.level : 0;
    }
    return true;
}

void replica_level_turn(struct coord_replica *r)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__FeatureRaise raise = RAYOS__REGISTRY__FEATURE_RAISE__INIT;
    char reason[COORD_MESSAGE_SIZE];

    if (r->feature_term != coord_core_term(r->core)) {
        r->feature_term = coord_core_term(r->core);
        r->feature = (struct coord_feature_watch){.level = 0};
        r->raising_level = 0;
    }
    raise.level =
        coord_feature_step(&r->feature, look(r).level, cluster_level(r), replica_now_ns(r),
                           (uint64_t)r->config.feature_ms * RAY_NS_PER_MS);
    if (raise.level == 0) {
        return;
    }
    (void)snprintf(reason, sizeof reason, "all members have had it for %u s",
                   r->config.feature_ms / 1000);
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_FEATURE_RAISE;
    command.feature_raise = &raise;
    r->raising_level = raise.level;
    replica_propose_office(r, &command, reason);
}
