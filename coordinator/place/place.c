/* place.c - one pass over relations that counts them per node and per domain, one pass over nodes
 * that judges each. All arithmetic is on integers whose limits are checked first, so no sum can
 * overflow: amounts are at most 2^40, counts at most 4096. */
#include "coordinator/place/place.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* What a term can reach at most; their sum fits an int32_t a thousand times. */
    CPU_WEIGHT = 300,
    MEMORY_WEIGHT = 400,
    DISK_WEIGHT = 100,
    BALANCE_WEIGHT = 200,
    VOLUMES_WEIGHT = 400,
    COPY_COST_PER_GIB = 5,
    TOGETHER_WEIGHT = 100,
    TOGETHER_MAX = 300,
    APART_NODE_COST = 150,
    APART_DOMAIN_COST = 75,
    APART_COST_MAX = 600,
    HOME_WEIGHT = 120,
    RISK_COST = 100,
    MIB_PER_GIB = 1024,
};

/* Relations, counted. */
struct counts {
    uint16_t apart;           /* required */
    uint16_t apart_wished;    /* that are there */
    uint16_t together;        /* required */
    uint16_t together_wished; /* that are there */
};

struct coord_place {
    uint32_t node_count_max;
    struct counts *of_node;
    struct counts *of_domain;
    uint32_t together_count; /* required, of the last request */
    struct coord_place_verdict *verdicts;
};

static_assert(COORD_PLACE_RELATIONS_MAX <= UINT16_MAX, "counts hold all relations");
static_assert(COORD_PLACE_BARRIER_MEMORY - COORD_PLACE_BARRIER_CPU == COORD_PLACE_MEMORY &&
                  COORD_PLACE_BARRIER_DISK - COORD_PLACE_BARRIER_CPU == COORD_PLACE_DISK,
              "barriers follow resources");
static_assert(COORD_PLACE_TERM_MEMORY == (int)COORD_PLACE_MEMORY &&
                  COORD_PLACE_TERM_DISK == (int)COORD_PLACE_DISK,
              "terms follow resources");

static const int32_t weights[COORD_PLACE_RESOURCE_COUNT] = {CPU_WEIGHT, MEMORY_WEIGHT, DISK_WEIGHT};

int coord_place_create(uint32_t node_count_max, struct coord_place **out_place, struct ray_err *err)
{
    struct coord_place *place;

    if (node_count_max == 0 || node_count_max > COORD_PLACE_NODES_MAX) {
        return ray_fail(err, RAY_EINVAL, "placement over %u nodes: from 1 to %d", node_count_max,
                        COORD_PLACE_NODES_MAX);
    }
    place = calloc(1, sizeof(*place));
    if (place == NULL) {
        return ray_fail(err, RAY_ENOMEM, "placement");
    }
    place->node_count_max = node_count_max;
    place->of_node = calloc(node_count_max, sizeof(*place->of_node));
    place->of_domain = calloc(node_count_max, sizeof(*place->of_domain));
    place->verdicts = calloc(node_count_max, sizeof(*place->verdicts));
    if (place->of_node == NULL || place->of_domain == NULL || place->verdicts == NULL) {
        coord_place_destroy(place);
        return ray_fail(err, RAY_ENOMEM, "placement over %u nodes", node_count_max);
    }
    *out_place = place;
    return RAY_OK;
}

void coord_place_destroy(struct coord_place *place)
{
    if (place != NULL) {
        free(place->of_node);
        free(place->of_domain);
        free(place->verdicts);
        free(place);
    }
}

/* ---- what is asked, in its limits ---- */

static bool is_amount(const struct coord_place_amount *amount)
{
    for (int i = 0; i < COORD_PLACE_RESOURCE_COUNT; i++) {
        if (amount->of[i] > COORD_PLACE_AMOUNT_MAX) {
            return false;
        }
    }
    return true;
}

static int check_cluster(const struct coord_place *place, const struct coord_place_cluster *cluster,
                         struct ray_err *err)
{
    if (cluster->node_count > place->node_count_max) {
        return ray_fail(err, RAY_EINVAL, "%u nodes, made for %u", cluster->node_count,
                        place->node_count_max);
    }
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        const struct coord_place_node *node = &cluster->nodes[i];

        if (!is_amount(&node->total) || !is_amount(&node->used) ||
            node->domain >= cluster->node_count ||
            (unsigned)node->standing >= COORD_PLACE_STANDING_COUNT) {
            return ray_fail(err, RAY_EINVAL, "node %u of the view is out of range", i);
        }
    }
    return RAY_OK;
}

static bool is_place(const struct coord_place_cluster *cluster, uint32_t node, bool may_be_nowhere)
{
    return node < cluster->node_count || (may_be_nowhere && node == COORD_PLACE_NOWHERE);
}

static int check_request(const struct coord_place_cluster *cluster,
                         const struct coord_place_request *request, struct ray_err *err)
{
    if (!is_amount(&request->needs) || !is_place(cluster, request->home, true)) {
        return ray_fail(err, RAY_EINVAL, "needs or home of the guest are out of range");
    }
    if (request->relation_count > COORD_PLACE_RELATIONS_MAX ||
        request->volume_count > COORD_PLACE_VOLUMES_MAX) {
        return ray_fail(err, RAY_EINVAL, "%u relations and %u volumes, at most %d and %d",
                        request->relation_count, request->volume_count, COORD_PLACE_RELATIONS_MAX,
                        COORD_PLACE_VOLUMES_MAX);
    }
    for (uint32_t i = 0; i < request->relation_count; i++) {
        if (!is_place(cluster, request->relations[i].node, false)) {
            return ray_fail(err, RAY_EINVAL, "relation %u names no node", i);
        }
    }
    for (uint32_t i = 0; i < request->volume_count; i++) {
        if (!is_place(cluster, request->volumes[i].node, true) ||
            request->volumes[i].size_mib > COORD_PLACE_AMOUNT_MAX) {
            return ray_fail(err, RAY_EINVAL, "volume %u is out of range", i);
        }
    }
    return RAY_OK;
}

/* ---- relations ---- */

static void count_relations(struct coord_place *place, const struct coord_place_cluster *cluster,
                            const struct coord_place_request *request)
{
    memset(place->of_node, 0, cluster->node_count * sizeof(*place->of_node));
    memset(place->of_domain, 0, cluster->node_count * sizeof(*place->of_domain));
    place->together_count = 0;
    for (uint32_t i = 0; i < request->relation_count; i++) {
        const struct coord_place_relation *relation = &request->relations[i];
        struct counts *counts = relation->is_for_domain
                                    ? &place->of_domain[cluster->nodes[relation->node].domain]
                                    : &place->of_node[relation->node];

        if (relation->is_together) {
            counts->together += relation->is_required;
            counts->together_wished += !relation->is_required;
            place->together_count += relation->is_required;
        } else {
            counts->apart += relation->is_required;
            counts->apart_wished += !relation->is_required;
        }
    }
}

/* ---- barriers ---- */

static uint64_t disk_needed(const struct coord_place_request *request, uint32_t node)
{
    uint64_t needed = request->needs.of[COORD_PLACE_DISK];

    for (uint32_t i = 0; i < request->volume_count; i++) {
        needed += request->volumes[i].node != node ? request->volumes[i].size_mib : 0;
    }
    return needed;
}

uint64_t coord_place_needed(const struct coord_place_request *request, uint32_t node, int resource)
{
    return resource == COORD_PLACE_DISK ? disk_needed(request, node) : request->needs.of[resource];
}

/* Free for this guest: at home its own share counts as free, its volumes do not. */
static uint64_t available(const struct coord_place_cluster *cluster,
                          const struct coord_place_request *request, uint32_t node, int resource)
{
    const struct coord_place_node *at = &cluster->nodes[node];
    uint64_t used = at->used.of[resource];

    if (request->home == node) {
        uint64_t own = request->needs.of[resource];

        used = used > own ? used - own : 0;
    }
    return at->total.of[resource] > used ? at->total.of[resource] - used : 0;
}

static uint32_t volumes_elsewhere(const struct coord_place_request *request, uint32_t node)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < request->volume_count; i++) {
        const struct coord_place_volume *volume = &request->volumes[i];

        count += volume->node != COORD_PLACE_NOWHERE && volume->node != node && !volume->can_move;
    }
    return count;
}

static uint32_t bit_if(bool is_set, enum coord_place_barrier barrier)
{
    return is_set ? 1U << barrier : 0;
}

static uint32_t barriers_of(const struct coord_place *place,
                            const struct coord_place_cluster *cluster,
                            const struct coord_place_request *request, uint32_t node)
{
    const struct coord_place_node *at = &cluster->nodes[node];
    const struct counts *of_node = &place->of_node[node];
    const struct counts *of_domain = &place->of_domain[at->domain];
    uint32_t barriers = 0;

    barriers |= bit_if(at->standing != COORD_PLACE_STANDS, COORD_PLACE_BARRIER_STANDING);
    barriers |= bit_if(at->architecture != request->architecture, COORD_PLACE_BARRIER_ARCHITECTURE);
    barriers |= bit_if(at->cpu_level < request->cpu_level, COORD_PLACE_BARRIER_CPU_LEVEL);
    for (int i = 0; i < COORD_PLACE_RESOURCE_COUNT; i++) {
        barriers |=
            bit_if(available(cluster, request, node, i) < coord_place_needed(request, node, i),
                   (enum coord_place_barrier)(COORD_PLACE_BARRIER_CPU + i));
    }
    barriers |= bit_if(request->denied_by != NULL && request->denied_by[node] != 0,
                       COORD_PLACE_BARRIER_POLICY);
    barriers |= bit_if(of_node->apart + of_domain->apart > 0, COORD_PLACE_BARRIER_APART);
    barriers |= bit_if((uint32_t)of_node->together + of_domain->together < place->together_count,
                       COORD_PLACE_BARRIER_TOGETHER);
    barriers |= bit_if(volumes_elsewhere(request, node) > 0, COORD_PLACE_BARRIER_VOLUMES);
    barriers |=
        bit_if(request->has_domain && at->domain != request->domain, COORD_PLACE_BARRIER_DOMAIN);
    barriers |=
        bit_if(request->lacks != NULL && request->lacks[node] != 0, COORD_PLACE_BARRIER_LABELS);
    return barriers;
}

/* ---- score ---- */

static int32_t at_most(uint64_t value, int32_t limit)
{
    return value < (uint64_t)limit ? (int32_t)value : limit;
}

/* Share of the resource that stays free afterwards, in thousandths. */
static int32_t headroom(const struct coord_place_cluster *cluster,
                        const struct coord_place_request *request, uint32_t node, int resource)
{
    uint64_t total = cluster->nodes[node].total.of[resource];
    uint64_t left =
        available(cluster, request, node, resource) - coord_place_needed(request, node, resource);

    return total == 0 ? 0 : (int32_t)(left * 1000 / total);
}

static void add_room(const struct coord_place_cluster *cluster,
                     const struct coord_place_request *request, uint32_t node,
                     int32_t terms[static COORD_PLACE_TERM_COUNT])
{
    int32_t room[COORD_PLACE_RESOURCE_COUNT];
    int32_t difference;

    for (int i = 0; i < COORD_PLACE_RESOURCE_COUNT; i++) {
        room[i] = headroom(cluster, request, node, i);
        terms[COORD_PLACE_TERM_CPU + i] = weights[i] * room[i] / 1000;
    }
    difference = abs(room[COORD_PLACE_CPU] - room[COORD_PLACE_MEMORY]);
    terms[COORD_PLACE_TERM_BALANCE] = -(BALANCE_WEIGHT * difference / 1000);
}

static int32_t volumes_term(const struct coord_place_request *request, uint32_t node)
{
    uint64_t there = 0;
    uint64_t elsewhere = 0;

    for (uint32_t i = 0; i < request->volume_count; i++) {
        if (request->volumes[i].node == node) {
            there += request->volumes[i].size_mib;
        } else if (request->volumes[i].node != COORD_PLACE_NOWHERE) {
            elsewhere += request->volumes[i].size_mib;
        }
    }
    if (there + elsewhere == 0) {
        return 0;
    }
    return (int32_t)(there * VOLUMES_WEIGHT / (there + elsewhere)) -
           at_most(elsewhere * COPY_COST_PER_GIB / MIB_PER_GIB, VOLUMES_WEIGHT);
}

static void score(const struct coord_place *place, const struct coord_place_cluster *cluster,
                  const struct coord_place_request *request, uint32_t node,
                  struct coord_place_verdict *out)
{
    const struct coord_place_node *at = &cluster->nodes[node];
    const struct counts *of_node = &place->of_node[node];
    const struct counts *of_domain = &place->of_domain[at->domain];
    uint64_t together = (uint64_t)of_node->together_wished + of_domain->together_wished;
    uint64_t apart = (uint64_t)of_node->apart_wished * APART_NODE_COST +
                     (uint64_t)of_domain->apart_wished * APART_DOMAIN_COST;
    uint32_t failures = at->failures < COORD_PLACE_FAILURES_COUNTED_MAX
                            ? at->failures
                            : COORD_PLACE_FAILURES_COUNTED_MAX;

    add_room(cluster, request, node, out->terms);
    out->terms[COORD_PLACE_TERM_VOLUMES] = volumes_term(request, node);
    out->terms[COORD_PLACE_TERM_TOGETHER] = at_most(together * TOGETHER_WEIGHT, TOGETHER_MAX);
    out->terms[COORD_PLACE_TERM_APART] = -at_most(apart, APART_COST_MAX);
    out->terms[COORD_PLACE_TERM_HOME] = request->home == node ? HOME_WEIGHT : 0;
    out->terms[COORD_PLACE_TERM_RISK] = -(int32_t)(failures * RISK_COST);
    for (int i = 0; i < COORD_PLACE_TERM_COUNT; i++) {
        out->score += out->terms[i];
    }
}

static void rank(const struct coord_place_verdict *verdicts, uint32_t node,
                 struct coord_place_answer *answer)
{
    if (answer->best == COORD_PLACE_NOWHERE ||
        verdicts[node].score > verdicts[answer->best].score) {
        answer->second = answer->best;
        answer->best = node;
    } else if (answer->second == COORD_PLACE_NOWHERE ||
               verdicts[node].score > verdicts[answer->second].score) {
        answer->second = node;
    }
}

int coord_place_find(struct coord_place *place, const struct coord_place_cluster *cluster,
                     const struct coord_place_request *request,
                     struct coord_place_answer *out_answer, struct ray_err *err)
{
    struct coord_place_answer answer = {COORD_PLACE_NOWHERE, COORD_PLACE_NOWHERE, place->verdicts};
    int rc = check_cluster(place, cluster, err);

    if (rc == RAY_OK) {
        rc = check_request(cluster, request, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    count_relations(place, cluster, request);
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct coord_place_verdict *verdict = &place->verdicts[i];

        *verdict = (struct coord_place_verdict){
            .barriers = barriers_of(place, cluster, request, i),
        };
        if (verdict->barriers == 0) {
            score(place, cluster, request, i, verdict);
            rank(place->verdicts, i, &answer);
        }
    }
    *out_answer = answer;
    return RAY_OK;
}

/* ---- what would have to change ---- */

/* Relations that keep the guest from `node`. */
static void relations_against(const struct coord_place_cluster *cluster,
                              const struct coord_place_request *request, uint32_t node,
                              bool is_together, struct coord_place_change *out)
{
    for (uint32_t i = 0; i < request->relation_count; i++) {
        const struct coord_place_relation *relation = &request->relations[i];
        bool is_same = relation->is_for_domain
                           ? cluster->nodes[relation->node].domain == cluster->nodes[node].domain
                           : relation->node == node;

        if (relation->is_required && relation->is_together == is_together &&
            is_same != is_together) {
            out->relation = out->count == 0 ? i : out->relation;
            out->count++;
        }
    }
}

static void fill(const struct coord_place_cluster *cluster,
                 const struct coord_place_request *request, uint32_t node,
                 struct coord_place_change *out)
{
    switch (out->barrier) {
    case COORD_PLACE_BARRIER_CPU:
    case COORD_PLACE_BARRIER_MEMORY:
    case COORD_PLACE_BARRIER_DISK: {
        int resource = (int)(out->barrier - COORD_PLACE_BARRIER_CPU);

        out->lacking = coord_place_needed(request, node, resource) -
                       available(cluster, request, node, resource);
        break;
    }
    case COORD_PLACE_BARRIER_CPU_LEVEL:
        out->lacking = request->cpu_level;
        break;
    case COORD_PLACE_BARRIER_POLICY:
        out->rule = request->denied_by[node];
        break;
    case COORD_PLACE_BARRIER_APART:
        relations_against(cluster, request, node, false, out);
        break;
    case COORD_PLACE_BARRIER_TOGETHER:
        relations_against(cluster, request, node, true, out);
        break;
    case COORD_PLACE_BARRIER_VOLUMES:
        out->count = volumes_elsewhere(request, node);
        break;
    case COORD_PLACE_BARRIER_LABELS:
        out->count = request->lacks[node];
        break;
    case COORD_PLACE_BARRIER_STANDING:
    case COORD_PLACE_BARRIER_ARCHITECTURE:
    case COORD_PLACE_BARRIER_DOMAIN:
    case COORD_PLACE_BARRIER_COUNT:
        break;
    }
}

size_t coord_place_changes(const struct coord_place *place,
                           const struct coord_place_cluster *cluster,
                           const struct coord_place_request *request, uint32_t node,
                           struct coord_place_change out[static COORD_PLACE_BARRIER_COUNT])
{
    size_t count = 0;

    assert(node < cluster->node_count);
    for (int i = 0; i < COORD_PLACE_BARRIER_COUNT; i++) {
        if ((place->verdicts[node].barriers & (1U << i)) != 0) {
            out[count] = (struct coord_place_change){.barrier = (enum coord_place_barrier)i};
            fill(cluster, request, node, &out[count]);
            count++;
        }
    }
    return count;
}
