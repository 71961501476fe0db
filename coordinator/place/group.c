/* group.c - depth first without recursion: depth d is the d-th hardest member. A depth remembers
 * only the node that it tried last; what comes next is found again, for the state at a depth is the
 * same each time it is reached. */
#include "coordinator/place/group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* One member on its way. */
struct depth {
    uint32_t member;
    uint32_t node; /* tried now; COORD_PLACE_NOWHERE: none yet */
    int32_t score; /* of it */
};

struct coord_place_group {
    struct coord_place *place;
    uint32_t node_count_max;
    struct coord_place_node *nodes; /* as they are with what was placed so far */
    struct depth *depths;
    struct coord_place_relation *relations;
};

/* What a search works on. */
struct search {
    struct coord_place_group *group;
    struct coord_place_cluster cluster; /* group->nodes */
    const struct coord_place_question *question;
    uint32_t *places;
    struct ray_err *err;
};

int coord_place_group_create(uint32_t node_count_max, struct coord_place_group **out_group,
                             struct ray_err *err)
{
    struct coord_place_group *group = calloc(1, sizeof(*group));
    int rc;

    if (group == NULL) {
        return ray_fail(err, RAY_ENOMEM, "placement of several guests");
    }
    rc = coord_place_create(node_count_max, &group->place, err);
    if (rc == RAY_OK) {
        group->node_count_max = node_count_max;
        group->nodes = calloc(node_count_max, sizeof(*group->nodes));
        group->depths = calloc(COORD_PLACE_MEMBERS_MAX, sizeof(*group->depths));
        group->relations = calloc(COORD_PLACE_RELATIONS_MAX, sizeof(*group->relations));
        if (group->nodes == NULL || group->depths == NULL || group->relations == NULL) {
            rc = ray_fail(err, RAY_ENOMEM, "placement over %u nodes", node_count_max);
        }
    }
    if (rc != RAY_OK) {
        coord_place_group_destroy(group);
        return rc;
    }
    *out_group = group;
    return RAY_OK;
}

void coord_place_group_destroy(struct coord_place_group *group)
{
    if (group != NULL) {
        coord_place_destroy(group->place);
        free(group->nodes);
        free(group->depths);
        free(group->relations);
        free(group);
    }
}

static int check(const struct coord_place_group *group, const struct coord_place_cluster *cluster,
                 const struct coord_place_question *question, struct ray_err *err)
{
    if (cluster->node_count > group->node_count_max) {
        return ray_fail(err, RAY_EINVAL, "%u nodes, made for %u", cluster->node_count,
                        group->node_count_max);
    }
    if (question->member_count > COORD_PLACE_MEMBERS_MAX ||
        question->bond_count > COORD_PLACE_BONDS_MAX) {
        return ray_fail(err, RAY_EINVAL, "%u guests and %u bonds, at most %d and %d",
                        question->member_count, question->bond_count, COORD_PLACE_MEMBERS_MAX,
                        COORD_PLACE_BONDS_MAX);
    }
    for (uint32_t i = 0; i < question->bond_count; i++) {
        const struct coord_place_bond *bond = &question->bonds[i];

        if (bond->a >= question->member_count || bond->b >= question->member_count ||
            bond->a == bond->b) {
            return ray_fail(err, RAY_EINVAL, "bond %u joins no two guests", i);
        }
    }
    return RAY_OK;
}

/* ---- the order ---- */

static struct coord_place_amount largest(const struct coord_place_cluster *cluster)
{
    struct coord_place_amount most = {{0}};

    for (uint32_t i = 0; i < cluster->node_count; i++) {
        for (int r = 0; r < COORD_PLACE_RESOURCE_COUNT; r++) {
            if (cluster->nodes[i].total.of[r] > most.of[r]) {
                most.of[r] = cluster->nodes[i].total.of[r];
            }
        }
    }
    return most;
}

/* Of the largest node, in millionths, of the resource that it takes most of. */
static uint64_t share(const struct coord_place_amount *needs, const struct coord_place_amount *most)
{
    uint64_t result = 0;

    for (int i = 0; i < COORD_PLACE_RESOURCE_COUNT; i++) {
        uint64_t part = most->of[i] == 0 ? 0 : needs->of[i] * 1000000 / most->of[i];

        result = part > result ? part : result;
    }
    return result;
}

static bool is_before(const struct coord_place_question *question, uint32_t a, uint32_t b,
                      const struct coord_place_amount *most)
{
    const struct coord_place_member *first = &question->members[a];
    const struct coord_place_member *second = &question->members[b];
    uint64_t of_first;
    uint64_t of_second;

    if (first->priority != second->priority) {
        return first->priority > second->priority;
    }
    of_first = share(&first->request.needs, most);
    of_second = share(&second->request.needs, most);
    return of_first != of_second ? of_first > of_second : a < b;
}

static void sift(struct depth *heap, uint32_t from, uint32_t count,
                 const struct coord_place_question *question, const struct coord_place_amount *most)
{
    uint32_t at = from;

    for (;;) {
        uint32_t child = 2 * at + 1;
        struct depth moved = heap[at];

        if (child >= count) {
            return;
        }
        if (child + 1 < count &&
            is_before(question, heap[child].member, heap[child + 1].member, most)) {
            child++;
        }
        if (!is_before(question, moved.member, heap[child].member, most)) {
            return;
        }
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

/* Heap sort: qsort has no argument for what to compare by. The last of the order is on top. */
static void order(struct search *search, const struct coord_place_cluster *cluster)
{
    struct depth *depths = search->group->depths;
    uint32_t count = search->question->member_count;
    struct coord_place_amount most = largest(cluster);

    for (uint32_t i = 0; i < count; i++) {
        depths[i] = (struct depth){.member = i, .node = COORD_PLACE_NOWHERE};
    }
    for (uint32_t i = count / 2; i-- > 0;) {
        sift(depths, i, count, search->question, &most);
    }
    for (uint32_t end = count; end-- > 1;) {
        struct depth last = depths[0];

        depths[0] = depths[end];
        depths[end] = last;
        sift(depths, 0, end, search->question, &most);
    }
}

/* ---- one step ---- */

static void take(struct search *search, uint32_t member, uint32_t node)
{
    const struct coord_place_request *request = &search->question->members[member].request;

    search->places[member] = node;
    for (int i = 0; i < COORD_PLACE_RESOURCE_COUNT; i++) {
        /* At home its share is part of `used` already. */
        search->group->nodes[node].used.of[i] +=
            request->home == node ? 0 : coord_place_needed(request, node, i);
    }
}

static void give_back(struct search *search, uint32_t member)
{
    const struct coord_place_request *request = &search->question->members[member].request;
    uint32_t node = search->places[member];

    search->places[member] = COORD_PLACE_NOWHERE;
    for (int i = 0; i < COORD_PLACE_RESOURCE_COUNT; i++) {
        search->group->nodes[node].used.of[i] -=
            request->home == node ? 0 : coord_place_needed(request, node, i);
    }
}

/* The request of `member` with its bonds to those that have their place. */
static int request_of(struct search *search, uint32_t member, struct coord_place_request *out)
{
    struct coord_place_relation *relations = search->group->relations;
    const struct coord_place_question *question = search->question;
    uint32_t count = question->members[member].request.relation_count;

    *out = question->members[member].request;
    if (count > COORD_PLACE_RELATIONS_MAX) {
        return ray_fail(search->err, RAY_EINVAL, "%u relations, at most %d", count,
                        COORD_PLACE_RELATIONS_MAX);
    }
    if (count > 0) {
        memcpy(relations, out->relations, count * sizeof(*relations));
    }
    for (uint32_t i = 0; i < question->bond_count; i++) {
        const struct coord_place_bond *bond = &question->bonds[i];
        uint32_t other = bond->a == member ? bond->b : bond->a;

        if ((bond->a != member && bond->b != member) ||
            search->places[other] == COORD_PLACE_NOWHERE) {
            continue;
        }
        if (count == COORD_PLACE_RELATIONS_MAX) {
            return ray_fail(search->err, RAY_EINVAL, "more than %d relations of one guest",
                            COORD_PLACE_RELATIONS_MAX);
        }
        relations[count++] = (struct coord_place_relation){
            .node = search->places[other],
            .is_together = bond->is_together,
            .is_for_domain = bond->is_for_domain,
            .is_required = bond->is_required,
        };
    }
    out->relations = relations;
    out->relation_count = count;
    return RAY_OK;
}

/* The next node after the one that `depth` tried last, in the order of score, then index. */
static int next_node(struct search *search, struct depth *depth, uint32_t *out_node)
{
    struct coord_place_request request;
    struct coord_place_answer answer;
    uint32_t best = COORD_PLACE_NOWHERE;
    int rc = request_of(search, depth->member, &request);

    if (rc == RAY_OK) {
        rc = coord_place_find(search->group->place, &search->cluster, &request, &answer,
                              search->err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    for (uint32_t i = 0; i < search->cluster.node_count; i++) {
        const struct coord_place_verdict *verdict = &answer.verdicts[i];
        bool was_tried =
            depth->node != COORD_PLACE_NOWHERE &&
            (verdict->score > depth->score || (verdict->score == depth->score && i <= depth->node));

        if (verdict->barriers == 0 && !was_tried &&
            (best == COORD_PLACE_NOWHERE || verdict->score > answer.verdicts[best].score)) {
            best = i;
        }
    }
    if (best != COORD_PLACE_NOWHERE) {
        depth->score = answer.verdicts[best].score;
    }
    depth->node = best;
    *out_node = best;
    return RAY_OK;
}

/* ---- searches ---- */

static void begin(struct search *search, const struct coord_place_cluster *cluster)
{
    if (cluster->node_count > 0) {
        memcpy(search->group->nodes, cluster->nodes, cluster->node_count * sizeof(*cluster->nodes));
    }
    for (uint32_t i = 0; i < search->question->member_count; i++) {
        search->places[i] = COORD_PLACE_NOWHERE;
    }
    order(search, cluster);
}

/* RAY_OK: all are placed. RAY_ENOTFOUND: tried everything. RAY_EAGAIN: out of steps. */
static int search_all(struct search *search)
{
    uint32_t count = search->question->member_count;
    uint32_t steps = search->question->steps_max > count ? search->question->steps_max : count;
    uint32_t at = 0;

    while (at < count) {
        struct depth *depth = &search->group->depths[at];
        uint32_t node;
        int rc;

        if (steps == 0) {
            return RAY_EAGAIN;
        }
        steps--;
        rc = next_node(search, depth, &node);
        if (rc != RAY_OK) {
            return rc;
        }
        if (node != COORD_PLACE_NOWHERE) {
            take(search, depth->member, node);
            at++;
        } else if (at == 0) {
            return RAY_ENOTFOUND;
        } else {
            at--;
            give_back(search, search->group->depths[at].member);
        }
    }
    return RAY_OK;
}

/* Each that fits beside those before it. */
static int search_some(struct search *search, struct coord_place_group_answer *answer)
{
    for (uint32_t at = 0; at < search->question->member_count; at++) {
        struct depth *depth = &search->group->depths[at];
        uint32_t node;
        int rc = next_node(search, depth, &node);

        if (rc != RAY_OK) {
            return rc;
        }
        if (node != COORD_PLACE_NOWHERE) {
            take(search, depth->member, node);
            answer->placed_count++;
        } else if (answer->first_failed == COORD_PLACE_NOWHERE) {
            answer->first_failed = depth->member;
        }
    }
    return RAY_OK;
}

int coord_place_group_find(struct coord_place_group *group,
                           const struct coord_place_cluster *cluster,
                           const struct coord_place_question *question, uint32_t *places,
                           struct coord_place_group_answer *out_answer, struct ray_err *err)
{
    struct coord_place_group_answer answer = {.first_failed = COORD_PLACE_NOWHERE};
    struct search search = {
        .group = group,
        .cluster = {group->nodes, cluster->node_count},
        .question = question,
        .places = places,
        .err = err,
    };
    int rc = check(group, cluster, question, err);

    if (rc != RAY_OK) {
        return rc;
    }
    begin(&search, cluster);
    rc = search_all(&search);
    if (rc == RAY_OK) {
        answer.placed_count = question->member_count;
    } else if (rc == RAY_ENOTFOUND || rc == RAY_EAGAIN) {
        answer.is_proven = rc == RAY_ENOTFOUND;
        begin(&search, cluster);
        rc = search_some(&search, &answer);
    }
    if (rc == RAY_OK) {
        *out_answer = answer;
    }
    return rc;
}
