/* nearest.c - whom a node outside of the log asks. */
#include <stdlib.h>
#include <string.h>

#include "coordinator/api/impl.h"

struct candidate {
    struct ray_id id;
    uint64_t weight;
};

/* The same at each call, another for each pair: of many nodes each member gets its share. */
static uint64_t weight_of(const struct ray_id *self, const struct ray_id *member)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    for (size_t i = 0; i < RAY_ID_SIZE; i++) {
        hash = (hash ^ self->bytes[i]) * UINT64_C(1099511628211);
        hash = (hash ^ member->bytes[i]) * UINT64_C(1099511628211);
    }
    return hash | 1;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = ((const struct candidate *)a)->weight;
    uint64_t right = ((const struct candidate *)b)->weight;

    return left < right ? 1 : left > right ? -1 : 0;
}

static size_t from_registry(struct coord_member *m, struct coord_fsm *fsm, struct candidate *out)
{
    const struct coord_object *node = coord_fsm_next(fsm, COORD_NODE, NULL);
    size_t count = 0;

    while (node != NULL && count < MEMBER_CANDIDATES_MAX) {
        struct ray_id id = node->id;

        if (node->node.role != COORD_NODE_OBSERVER && !ray_id_equal(&id, &m->id)) {
            out[count++].id = id;
        }
        node = coord_fsm_next(fsm, COORD_NODE, &id);
    }
    return count;
}

static size_t from_roster(const struct coord_member *m, struct candidate *out)
{
    size_t count = 0;

    for (size_t i = 0; i < m->roster.count && count < MEMBER_CANDIDATES_MAX; i++) {
        if (!ray_id_equal(&m->roster.lines[i].id, &m->id)) {
            out[count++].id = m->roster.lines[i].id;
        }
    }
    return count;
}

size_t member_candidates(struct coord_member *m, struct ray_id out[static MEMBER_CANDIDATES_MAX])
{
    struct coord_fsm *fsm = coord_replica_fsm(m->replica);
    struct candidate found[MEMBER_CANDIDATES_MAX] = {{.weight = 0}};
    struct coord_replica_status status;
    size_t count;

    coord_replica_status(m->replica, &status);
    /* Without a view an observer's registry, if any, is older than its roster. */
    count = status.is_partial || status.role != COORD_REPLICA_WAITING || m->roster.count == 0
                ? from_registry(m, fsm, found)
                : from_roster(m, found);
    for (size_t i = 0; i < count; i++) {
        found[i].weight =
            ray_id_equal(&found[i].id, &status.leader) ? 0 : weight_of(&m->id, &found[i].id);
    }
    qsort(found, count, sizeof found[0], compare);
    for (size_t i = 0; i < count; i++) {
        out[i] = found[i].id;
    }
    return count;
}

bool member_is_observer(const struct coord_member *m)
{
    struct coord_replica_status status;

    if (m->replica == NULL) {
        return false;
    }
    coord_replica_status(m->replica, &status);
    return status.role == COORD_REPLICA_WAITING || status.is_partial;
}
