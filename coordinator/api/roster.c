/* roster.c - once the registry is here it alone says who is known. */
#include "coordinator/api/roster.h"

#include <stdlib.h>
#include <string.h>

static struct coord_fsm *registry_of(const struct coord_member *m)
{
    struct coord_fsm *fsm = m->replica == NULL ? NULL : coord_replica_fsm(m->replica);

    return fsm != NULL && coord_fsm_cluster(fsm) != NULL ? fsm : NULL;
}

static void drop(struct coord_member *m)
{
    if (m->roster.joined != NULL) {
        rayos__cluster__joined__free_unpacked(m->roster.joined, NULL);
        m->roster.joined = NULL;
    }
}

int member_roster_load(struct coord_member *m, struct ray_err *err)
{
    struct ray_buf bytes;
    int rc;

    ray_buf_init(&bytes, COORD_FACTS_VALUE_SIZE_MAX);
    rc = m->facts->ops->get(m->facts, MEMBER_FACT_ROSTER, &bytes, err);
    if (rc == RAY_OK) {
        drop(m);
        m->roster.joined = rayos__cluster__joined__unpack(NULL, bytes.size, bytes.data);
        rc = m->roster.joined == NULL ? ray_fail(err, RAY_EMALFORMED, "the roster is damaged")
                                      : RAY_OK;
    }
    ray_buf_fini(&bytes);
    return rc == RAY_ENOTFOUND ? RAY_OK : rc;
}

int member_roster_keep(struct coord_member *m, const Rayos__Cluster__Joined *joined,
                       struct ray_err *err)
{
    size_t size = rayos__cluster__joined__get_packed_size(joined);
    uint8_t *bytes;
    int rc;

    if (size > COORD_FACTS_VALUE_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "a roster of %zu bytes", size);
    }
    bytes = malloc(size + 1);
    if (bytes == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a roster");
    }
    (void)rayos__cluster__joined__pack(joined, bytes);
    rc = m->facts->ops->put(m->facts, MEMBER_FACT_ROSTER, bytes, size, err);
    free(bytes);
    return rc == RAY_OK ? member_roster_load(m, err) : rc;
}

void member_roster_fini(struct coord_member *m)
{
    drop(m);
}

static bool is_whole(const Rayos__Cluster__Member *member)
{
    return member->identity_key.len == RAY_KEY_SIZE && member->link_key.len == RAY_KEY_SIZE;
}

void member_roster_dial(struct coord_member *m)
{
    const Rayos__Cluster__Joined *joined = m->roster.joined;

    for (size_t i = 0; joined != NULL && i < joined->n_members; i++) {
        const Rayos__Cluster__Member *member = joined->members[i];
        struct ray_err err = {0};
        struct ray_id id;

        if (!is_whole(member) ||
            ray_id_from_bytes(member->id.data, member->id.len, &id, NULL) != RAY_OK ||
            ray_id_equal(&id, &m->id) || registry_of(m) != NULL) {
            continue;
        }
        if (m->link->ops->add_peer(m->link, &id, member->address, &err) != RAY_OK) {
            ray_log(m->config.logger, RAY_LOG_WARN, "member", "no link to %s: %s", member->address,
                    err.text);
        }
    }
}

static int known_by_registry(struct coord_fsm *fsm, const struct ray_id *peer, uint8_t *out_static,
                             uint8_t *out_identity)
{
    const struct coord_object *node = coord_fsm_find(fsm, COORD_NODE, peer);

    if (node == NULL || node->node.state == COORD_NODE_PENDING) {
        return RAY_ENOTFOUND;
    }
    if (node->node.state == COORD_NODE_REMOVED) {
        return RAY_EDENIED;
    }
    memcpy(out_static, node->node.link_key, RAY_KEY_SIZE);
    memcpy(out_identity, node->node.identity_key, RAY_KEY_SIZE);
    return RAY_OK;
}

int member_roster_known(void *arg, const struct ray_id *peer,
                        uint8_t out_static[static RAY_KEY_SIZE],
                        uint8_t out_identity[static RAY_KEY_SIZE])
{
    const struct coord_member *m = arg;
    const Rayos__Cluster__Joined *joined = m->roster.joined;
    struct coord_fsm *fsm = registry_of(m);

    if (fsm != NULL) {
        return known_by_registry(fsm, peer, out_static, out_identity);
    }
    for (size_t i = 0; joined != NULL && i < joined->n_members; i++) {
        const Rayos__Cluster__Member *member = joined->members[i];

        if (is_whole(member) && member->id.len == RAY_ID_SIZE &&
            memcmp(member->id.data, peer->bytes, RAY_ID_SIZE) == 0) {
            memcpy(out_static, member->link_key.data, RAY_KEY_SIZE);
            memcpy(out_identity, member->identity_key.data, RAY_KEY_SIZE);
            return RAY_OK;
        }
    }
    return RAY_ENOTFOUND;
}
