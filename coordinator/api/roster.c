/* roster.c - once the registry here has caught up with the roster it alone says who is known. */
#include "coordinator/api/roster.h"

#include <stdlib.h>
#include <string.h>

enum { COMPARE_S = 5 };

static bool is_needed(const struct coord_member *m)
{
    return member_roster_decides(&m->roster,
                                 m->replica == NULL ? NULL : coord_replica_fsm(m->replica));
}

int member_roster_load(struct coord_member *m, struct ray_err *err)
{
    struct ray_err why = {0};
    struct ray_buf bytes;
    int rc;

    ray_buf_init(&bytes, COORD_FACTS_VALUE_SIZE_MAX);
    rc = m->facts->ops->get(m->facts, MEMBER_FACT_ROSTER, &bytes, &why);
    if (rc == RAY_OK) {
        rc = member_roster_parse(bytes.data, bytes.size, &m->roster, &why);
    }
    ray_buf_fini(&bytes);
    if (rc == RAY_EMALFORMED || rc == RAY_ETOOBIG) {
        /* The registry may be here, and is the better one; then it is kept anew. */
        ray_log(m->config.logger, RAY_LOG_WARN, "member", "the roster is damaged: %s", why.text);
        return RAY_OK;
    }
    if (rc != RAY_OK && rc != RAY_ENOTFOUND) {
        *err = why;
        return rc;
    }
    return RAY_OK;
}

int member_roster_keep(struct coord_member *m, const struct member_roster *roster,
                       struct ray_err *err)
{
    struct ray_buf bytes;
    int rc;

    ray_buf_init(&bytes, COORD_FACTS_VALUE_SIZE_MAX);
    rc = member_roster_pack(roster, &bytes);
    rc = rc == RAY_OK
             ? m->facts->ops->put(m->facts, MEMBER_FACT_ROSTER, bytes.data, bytes.size, err)
             : ray_fail(err, rc, "a roster of %zu members", roster->count);
    ray_buf_fini(&bytes);
    if (rc == RAY_OK) {
        m->roster = *roster;
    }
    return rc;
}

/* ---- whom to go to ---- */

/* Again and again, as entries of old may have moved a peer to where it was then. */
static void dial(struct coord_member *m)
{
    for (size_t i = 0; i < m->roster.count; i++) {
        const struct member_roster_line *line = &m->roster.lines[i];
        struct ray_err err = {0};

        if (ray_id_equal(&line->id, &m->id) || line->address[0] == '\0') {
            continue;
        }
        if (m->link->ops->add_peer(m->link, &line->id, line->address, &err) != RAY_OK &&
            !m->has_dialled_roster) {
            ray_log(m->config.logger, RAY_LOG_WARN, "member", "no link to %s: %s", line->address,
                    err.text);
        }
    }
    m->has_dialled_roster = true;
}

/* Nobody of this cluster, for good. */
static void part(struct coord_member *m)
{
    for (size_t i = 0; i < m->roster.count; i++) {
        m->link->ops->remove_peer(m->link, &m->roster.lines[i].id);
    }
}

/* Those that nobody goes to any more; of all others the replica takes care. */
static void hang_up(struct coord_member *m)
{
    struct coord_fsm *fsm = coord_replica_fsm(m->replica);

    for (size_t i = 0; i < m->roster.count; i++) {
        const struct coord_object *node = coord_fsm_find(fsm, COORD_NODE, &m->roster.lines[i].id);

        if (node == NULL || node->node.state == COORD_NODE_REMOVED ||
            node->node.role == COORD_NODE_OBSERVER) {
            m->link->ops->remove_peer(m->link, &m->roster.lines[i].id);
        }
    }
    m->has_dialled_roster = false;
}

/* ---- a revision that nobody has reached ---- */

static void on_compared(void *arg, int status, uint64_t revision)
{
    struct coord_member *m = arg;

    m->is_roster_doubted = false;
    if (status != RAY_OK || !member_roster_is_ahead(&m->roster, coord_replica_fsm(m->replica))) {
        return;
    }
    ray_log(m->config.logger, RAY_LOG_WARN, "member",
            "the roster is of revision %llu, the registry has got to %llu: it is made anew",
            (unsigned long long)m->roster.revision, (unsigned long long)revision);
    m->roster.revision = revision;
    m->roster.cluster_epoch =
        coord_fsm_cluster(coord_replica_fsm(m->replica))->cluster.cluster_epoch;
    m->has_node_news = true;
}

/* It may have been made of what one member said (an observer's is). What the registry shows after a
 * linearizable read is no older than anything that was ever true. */
static void compare_with_leader(struct coord_member *m)
{
    uint64_t deadline_ns = ray_clock_boottime_ns() + COMPARE_S * RAY_NS_PER_S;
    struct coord_replica_status status;

    coord_replica_status(m->replica, &status);
    if (!m->is_roster_doubted && status.is_quorate &&
        coord_fsm_cluster(coord_replica_fsm(m->replica)) != NULL) {
        m->is_roster_doubted =
            coord_replica_read(m->replica, deadline_ns, on_compared, m, NULL, NULL) == RAY_OK;
    }
}

static void refresh(struct coord_member *m)
{
    struct member_roster *now = calloc(1, sizeof *now);
    struct ray_err err = {0};

    if (now != NULL &&
        member_roster_renew(&m->roster, coord_replica_fsm(m->replica), &m->id, now)) {
        bool is_kept = member_roster_keep(m, now, &err) == RAY_OK;

        if (!is_kept && !m->is_roster_late) { /* tried again with the next turn */
            ray_log(m->config.logger, RAY_LOG_WARN, "member", "the roster is not kept: %s",
                    err.text);
        }
        m->is_roster_late = !is_kept;
    }
    free(now);
}

void member_roster_turn(struct coord_member *m)
{
    if (m->replica == NULL) {
        return;
    }
    if (member_is_removed(m)) {
        part(m);
        return;
    }
    if (is_needed(m)) {
        dial(m);
        compare_with_leader(m);
        return;
    }
    if (m->has_dialled_roster) {
        hang_up(m);
    }
    refresh(m);
}

/* ---- who is known ---- */

bool member_roster_names(void *arg, const struct ray_id *node)
{
    const struct coord_member *m = arg;

    return is_needed(m) && member_roster_find(&m->roster, node) != NULL;
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
    const struct member_roster_line *line;

    if (member_is_removed(m)) {
        return RAY_EDENIED;
    }
    if (!is_needed(m)) {
        return known_by_registry(coord_replica_fsm(m->replica), peer, out_static, out_identity);
    }
    /* Whom an old registry knows besides may have been removed since. */
    line = member_roster_find(&m->roster, peer);
    if (line == NULL) {
        return RAY_ENOTFOUND;
    }
    memcpy(out_static, line->link_key, RAY_KEY_SIZE);
    memcpy(out_identity, line->identity_key, RAY_KEY_SIZE);
    return RAY_OK;
}

int member_roster_removed(void *arg, const struct ray_id *peer, struct ray_link_removal *out)
{
    const struct coord_member *m = arg;
    struct coord_replica_removal removal;
    int rc = is_needed(m) ? RAY_EUNAVAILABLE : coord_replica_removed(m->replica, peer, &removal);

    if (rc == RAY_OK) {
        *out = (struct ray_link_removal){.last_number = removal.last_number,
                                         .cluster_epoch = removal.cluster_epoch};
    }
    return rc;
}
