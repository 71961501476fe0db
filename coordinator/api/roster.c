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
            ray_id_equal(&id, &m->id) || (registry_of(m) != NULL && !member_is_observer(m))) {
            continue;
        }
        if (m->link->ops->add_peer(m->link, &id, member->address, &err) != RAY_OK) {
            ray_log(m->config.logger, RAY_LOG_WARN, "member", "no link to %s: %s", member->address,
                    err.text);
        }
    }
}

/* ---- what the registry says, for the time when it is not here ---- */

static bool is_listed(const struct coord_member *m, const struct coord_object *node)
{
    return (node->node.state == COORD_NODE_MEMBER || node->node.state == COORD_NODE_DRAINED) &&
           node->node.address[0] != '\0' &&
           (node->node.role != COORD_NODE_OBSERVER || ray_id_equal(&node->id, &m->id));
}

static void fill_line(Rayos__Cluster__Member *line, const struct coord_object *node)
{
    rayos__cluster__member__init(line);
    line->id = member_id_field(&node->id);
    line->identity_key.data = (uint8_t *)(uintptr_t)node->node.identity_key;
    line->identity_key.len = COORD_KEY_SIZE;
    line->link_key.data = (uint8_t *)(uintptr_t)node->node.link_key;
    line->link_key.len = COORD_KEY_SIZE;
    line->address = (char *)(uintptr_t)node->node.address;
}

bool member_roster_list(struct coord_member *m, struct member_roster_lines *out)
{
    struct coord_fsm *fsm = registry_of(m);
    const struct coord_object *cluster;
    const struct coord_object *node;
    size_t count = 0;

    if (fsm == NULL) {
        return false;
    }
    node = coord_fsm_next(fsm, COORD_NODE, NULL);
    while (node != NULL && count < MEMBER_ROSTER_MAX) {
        struct ray_id id = node->id;

        if (is_listed(m, node)) {
            fill_line(&out->members[count], node);
            out->pointers[count] = &out->members[count];
            count++;
        }
        node = coord_fsm_next(fsm, COORD_NODE, &id);
    }
    cluster = coord_fsm_cluster(fsm);
    rayos__cluster__joined__init(&out->joined);
    out->joined.cluster_id = member_id_field(&cluster->id);
    out->joined.cluster_epoch = cluster->cluster.cluster_epoch;
    out->joined.cluster = (char *)(uintptr_t)cluster->name;
    out->joined.members = out->pointers;
    out->joined.n_members = count;
    return true;
}

static bool is_same(const Rayos__Cluster__Joined *a, const Rayos__Cluster__Joined *b)
{
    size_t size = rayos__cluster__joined__get_packed_size(a);
    uint8_t *bytes;
    bool is_equal;

    if (size != rayos__cluster__joined__get_packed_size(b)) {
        return false;
    }
    bytes = malloc(2 * size + 1);
    if (bytes == NULL) {
        return false;
    }
    (void)rayos__cluster__joined__pack(a, bytes);
    (void)rayos__cluster__joined__pack(b, bytes + size);
    is_equal = memcmp(bytes, bytes + size, size) == 0;
    free(bytes);
    return is_equal;
}

/* Out of the configuration, without a view: its registry is older than the roster may be. */
static bool is_left_behind(const struct coord_member *m)
{
    struct coord_replica_status status;

    coord_replica_status(m->replica, &status);
    return status.role == COORD_REPLICA_WAITING && !status.is_partial;
}

void member_roster_refresh(struct coord_member *m)
{
    const Rayos__Cluster__Joined *kept = m->roster.joined;
    struct member_roster_lines *lines;
    struct ray_err err = {0};

    if (m->replica == NULL || is_left_behind(m)) {
        return;
    }
    lines = calloc(1, sizeof *lines);
    if (lines != NULL && member_roster_list(m, lines) && lines->joined.n_members > 1) {
        lines->joined.raft_id = kept == NULL ? 0 : kept->raft_id;
        if ((kept == NULL || !is_same(&lines->joined, kept)) &&
            member_roster_keep(m, &lines->joined, &err) != RAY_OK) {
            ray_log(m->config.logger, RAY_LOG_WARN, "member", "the roster is not kept: %s",
                    err.text);
        }
    }
    free(lines);
}

bool member_roster_names(void *arg, const struct ray_id *node)
{
    const struct coord_member *m = arg;
    const Rayos__Cluster__Joined *joined = m->roster.joined;

    for (size_t i = 0; joined != NULL && i < joined->n_members; i++) {
        const Rayos__Cluster__Member *member = joined->members[i];

        if (member->id.len == RAY_ID_SIZE &&
            memcmp(member->id.data, node->bytes, RAY_ID_SIZE) == 0) {
            return true;
        }
    }
    return false;
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
        int rc = known_by_registry(fsm, peer, out_static, out_identity);

        /* What an observer has may be old, or a part: until it follows a member again, those that
         * it knew last are members, too. */
        if (rc != RAY_ENOTFOUND || !member_is_observer(m)) {
            return rc;
        }
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
