/* feature.c - the feature level for people: what holds it back, and who is too old for it. */
#include <stdio.h>
#include <string.h>

#include "coordinator/api/impl.h"
#include "net/proto/node.pb-c.h"
#include "net/proto_codec.h"

enum { FACTS_ARENA_SIZE = 1 << 20 };

/* As its facts say; untouched when they say none. */
static void read_version(const struct coord_node *node, char out[static COORD_NAME_SIZE])
{
    struct ray_arena arena;
    ProtobufCMessage *message;

    ray_arena_init(&arena, FACTS_ARENA_SIZE);
    if (node->facts.size > 0 &&
        ray_proto_unpack(&rayos__node__facts__descriptor, node->facts.data, node->facts.size,
                         &arena, &message, NULL) == RAY_OK) {
        const char *version = ((const Rayos__Node__Facts *)message)->image_version;

        if (version[0] != '\0') {
            (void)ray_escape(out, COORD_NAME_SIZE, version, strlen(version));
        }
    }
    ray_arena_fini(&arena);
}

bool member_feature_is_held_back(const struct coord_replica_feature *feature)
{
    return feature->level < feature->build_level && feature->common_level < feature->build_level;
}

bool member_feature_wait(struct coord_member *m, struct coord_replica_feature *out,
                         char text[static MEMBER_FEATURE_TEXT_SIZE])
{
    const struct coord_object *holder;
    char version[COORD_NAME_SIZE] = "unknown";

    text[0] = '\0';
    if (m->replica == NULL || !coord_replica_feature(m->replica, out)) {
        return false;
    }
    if (!member_feature_is_held_back(out)) {
        return true;
    }
    holder = coord_fsm_find(coord_replica_fsm(m->replica), COORD_NODE, &out->holder);
    if (holder == NULL) {
        (void)snprintf(text, MEMBER_FEATURE_TEXT_SIZE,
                       "a member that the registry here does not know is not heard");
        return true;
    }
    read_version(&holder->node, version);
    if (out->holder_level == 0) {
        (void)snprintf(text, MEMBER_FEATURE_TEXT_SIZE, "node %s (version %s) is not heard",
                       holder->name, version);
    } else {
        (void)snprintf(text, MEMBER_FEATURE_TEXT_SIZE, "node %s (version %s) has feature level %u",
                       holder->name, version, out->holder_level);
    }
    return true;
}

void member_feature_explain(struct coord_member *m, struct ray_err *err)
{
    struct coord_replica_feature feature;
    char text[MEMBER_FEATURE_TEXT_SIZE];

    if (err->code == RAY_EUNSUPPORTED && member_feature_wait(m, &feature, text) &&
        text[0] != '\0') {
        (void)ray_next(err, "%s: bring it up to date", text);
    }
}

int member_feature_admit(uint32_t cluster_level, uint32_t build_level, struct ray_err *err)
{
    uint32_t says = build_level == 0 ? 1 : build_level; /* who says none has the first */

    if (says >= cluster_level) {
        return RAY_OK;
    }
    (void)ray_fail(
        err, RAY_EUNSUPPORTED,
        "the build of this node is too old: it has feature level %u, the cluster is at %u", says,
        cluster_level);
    (void)ray_next(err,
                   "start it with the build that the members have, or a newer, and join again");
    return RAY_EUNSUPPORTED;
}
