#include "coordinator/place/place_fixture.h"

#include <math.h>
#include <string.h>

uint32_t place_fix_below(struct place_fix_random *random, uint32_t limit)
{
    /* SplitMix64 (Steele, Lea, Flood 2014). */
    uint64_t z = (random->state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % limit);
}

static bool one_in(struct place_fix_random *random, uint32_t count)
{
    return place_fix_below(random, count) == 0;
}

static void connect(struct place_fix *fix)
{
    fix->cluster.nodes = fix->nodes;
    fix->request.relations = fix->relations;
    fix->request.volumes = fix->volumes;
}

static void make_node(struct place_fix *fix, struct place_fix_random *random, uint32_t i)
{
    struct coord_place_node *node = &fix->nodes[i];

    *node = (struct coord_place_node){
        .domain = place_fix_below(random, fix->cluster.node_count),
        .architecture = one_in(random, 12),
        .cpu_level = (uint16_t)(1 + place_fix_below(random, 4)),
        .standing = one_in(random, 8) ? (enum coord_place_standing)place_fix_below(
                                            random, COORD_PLACE_STANDING_COUNT)
                                      : COORD_PLACE_STANDS,
        .failures = one_in(random, 4) ? place_fix_below(random, 9) : 0,
    };
    for (int r = 0; r < COORD_PLACE_RESOURCE_COUNT; r++) {
        uint32_t total = one_in(random, 8) ? 0 : (8 + place_fix_below(random, 64)) * 512;

        node->total.of[r] = total;
        node->used.of[r] =
            place_fix_below(random, one_in(random, 4) ? total + total / 8 + 1 : total / 2 + 1);
    }
}

static uint32_t any_node(const struct place_fix *fix, struct place_fix_random *random)
{
    return place_fix_below(random, fix->cluster.node_count);
}

void place_fix_make(struct place_fix *fix, uint64_t seed)
{
    struct place_fix_random random = {seed};

    memset(fix, 0, sizeof(*fix));
    connect(fix);
    fix->cluster.node_count = 1 + place_fix_below(&random, PLACE_FIX_NODES_MAX);
    for (uint32_t i = 0; i < fix->cluster.node_count; i++) {
        make_node(fix, &random, i);
        fix->denied_by[i] = one_in(&random, 10) ? 1 + place_fix_below(&random, 9) : 0;
    }
    fix->request.denied_by = one_in(&random, 2) ? fix->denied_by : NULL;
    fix->request.architecture = one_in(&random, 20);
    fix->request.cpu_level = (uint16_t)(1 + place_fix_below(&random, 3));
    for (int r = 0; r < COORD_PLACE_RESOURCE_COUNT; r++) {
        fix->request.needs.of[r] = place_fix_below(&random, 8 * 512);
    }
    fix->request.home = one_in(&random, 2) ? any_node(fix, &random) : COORD_PLACE_NOWHERE;
    if (fix->request.home != COORD_PLACE_NOWHERE) {
        /* What is at home is used there. */
        for (int r = 0; r < COORD_PLACE_RESOURCE_COUNT; r++) {
            fix->nodes[fix->request.home].used.of[r] += fix->request.needs.of[r];
        }
    }
    fix->request.relation_count = place_fix_below(&random, PLACE_FIX_RELATIONS_MAX + 1);
    for (uint32_t i = 0; i < fix->request.relation_count; i++) {
        fix->relations[i] = (struct coord_place_relation){
            .node = any_node(fix, &random),
            .is_together = one_in(&random, 3),
            .is_for_domain = one_in(&random, 2),
            .is_required = one_in(&random, 6),
        };
    }
    for (uint32_t i = 0; i < fix->cluster.node_count; i++) {
        fix->lacks[i] = one_in(&random, 10) ? 1 + place_fix_below(&random, 3) : 0;
    }
    fix->request.lacks = one_in(&random, 3) ? fix->lacks : NULL;
    fix->request.has_domain = one_in(&random, 8);
    fix->request.domain =
        one_in(&random, 8) ? COORD_PLACE_NOWHERE : fix->nodes[any_node(fix, &random)].domain;
    fix->request.volume_count = place_fix_below(&random, PLACE_FIX_VOLUMES_MAX + 1);
    for (uint32_t i = 0; i < fix->request.volume_count; i++) {
        fix->volumes[i] = (struct coord_place_volume){
            .node = one_in(&random, 4) ? COORD_PLACE_NOWHERE : any_node(fix, &random),
            .size_mib = place_fix_below(&random, 5 * 1024),
            .can_move = !one_in(&random, 8),
        };
    }
}

void place_fix_plain(struct place_fix *fix, uint32_t node_count)
{
    memset(fix, 0, sizeof(*fix));
    connect(fix);
    fix->cluster.node_count = node_count;
    for (uint32_t i = 0; i < node_count; i++) {
        fix->nodes[i] = (struct coord_place_node){
            .total = {{8000, 16384, 65536}},
            .domain = i,
            .cpu_level = 3,
        };
    }
    fix->request.needs = (struct coord_place_amount){{1000, 1024, 0}};
    fix->request.cpu_level = 2;
    fix->request.home = COORD_PLACE_NOWHERE;
}

/* ---- the rules, once more ---- */

/* Resources of `node` without the guest, wherever that is. */
static uint64_t used_by_others(const struct coord_place_cluster *cluster,
                               const struct coord_place_request *request, uint32_t node, int r)
{
    uint64_t used = cluster->nodes[node].used.of[r];

    if (request->home != node) {
        return used;
    }
    return used < request->needs.of[r] ? 0 : used - request->needs.of[r];
}

static uint64_t wanted_there(const struct coord_place_request *request, uint32_t node, int r)
{
    uint64_t wanted = request->needs.of[r];

    for (uint32_t i = 0; r == COORD_PLACE_DISK && i < request->volume_count; i++) {
        if (request->volumes[i].node == COORD_PLACE_NOWHERE || request->volumes[i].node != node) {
            wanted += request->volumes[i].size_mib;
        }
    }
    return wanted;
}

static bool is_met(const struct coord_place_cluster *cluster,
                   const struct coord_place_relation *relation, uint32_t node)
{
    bool is_same = relation->node == node;

    if (relation->is_for_domain) {
        is_same = cluster->nodes[relation->node].domain == cluster->nodes[node].domain;
    }
    return is_same == relation->is_together;
}

bool place_fix_is_possible(const struct coord_place_cluster *cluster,
                           const struct coord_place_request *request, uint32_t node)
{
    const struct coord_place_node *at = &cluster->nodes[node];

    if (at->standing != COORD_PLACE_STANDS || at->architecture != request->architecture ||
        request->cpu_level > at->cpu_level) {
        return false;
    }
    for (int r = 0; r < COORD_PLACE_RESOURCE_COUNT; r++) {
        uint64_t sum = used_by_others(cluster, request, node, r) + wanted_there(request, node, r);

        if (wanted_there(request, node, r) > 0 && sum > at->total.of[r]) {
            return false;
        }
    }
    if (request->denied_by != NULL && request->denied_by[node] > 0) {
        return false;
    }
    if (request->lacks != NULL && request->lacks[node] > 0) {
        return false;
    }
    if (request->has_domain && request->domain != at->domain) {
        return false;
    }
    for (uint32_t i = 0; i < request->relation_count; i++) {
        if (request->relations[i].is_required && !is_met(cluster, &request->relations[i], node)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < request->volume_count; i++) {
        const struct coord_place_volume *volume = &request->volumes[i];

        if (!volume->can_move && volume->node != COORD_PLACE_NOWHERE && volume->node != node) {
            return false;
        }
    }
    return true;
}

/* ---- the score, once more: in real numbers, cut off where the definition says ---- */

static double room_left(const struct coord_place_cluster *cluster,
                        const struct coord_place_request *request, uint32_t node, int r)
{
    double total = (double)cluster->nodes[node].total.of[r];
    double used = (double)used_by_others(cluster, request, node, r);
    double left = total - used;

    if (left < 0) {
        left = 0;
    }
    left -= (double)wanted_there(request, node, r);
    return total == 0 ? 0 : floor(left * 1000 / total);
}

static double of_volumes(const struct coord_place_request *request, uint32_t node)
{
    double there = 0;
    double elsewhere = 0;

    for (uint32_t i = 0; i < request->volume_count; i++) {
        if (request->volumes[i].node == COORD_PLACE_NOWHERE) {
            continue;
        }
        *(request->volumes[i].node == node ? &there : &elsewhere) +=
            (double)request->volumes[i].size_mib;
    }
    if (there + elsewhere == 0) {
        return 0;
    }
    return floor(400 * there / (there + elsewhere)) - fmin(floor(elsewhere * 5 / 1024), 400);
}

static double of_relations(const struct coord_place_cluster *cluster,
                           const struct coord_place_request *request, uint32_t node)
{
    double together = 0;
    double apart = 0;

    for (uint32_t i = 0; i < request->relation_count; i++) {
        const struct coord_place_relation *relation = &request->relations[i];

        if (relation->is_required) {
            continue;
        }
        if (relation->is_together) {
            together += is_met(cluster, relation, node) ? 100 : 0;
        } else if (!is_met(cluster, relation, node)) {
            apart += relation->is_for_domain ? 75 : 150;
        }
    }
    return fmin(together, 300) - fmin(apart, 600);
}

int32_t place_fix_score(const struct coord_place_cluster *cluster,
                        const struct coord_place_request *request, uint32_t node)
{
    double cpu = room_left(cluster, request, node, COORD_PLACE_CPU);
    double memory = room_left(cluster, request, node, COORD_PLACE_MEMORY);
    double disk = room_left(cluster, request, node, COORD_PLACE_DISK);
    double sum = floor(cpu * 0.3 + 1e-6) + floor(memory * 0.4 + 1e-6) + floor(disk * 0.1 + 1e-6);

    sum -= floor(fabs(cpu - memory) * 0.2 + 1e-6);
    sum += of_volumes(request, node) + of_relations(cluster, request, node);
    sum += request->home == node ? 120 : 0;
    sum -= 100 * fmin(cluster->nodes[node].failures, 5);
    return (int32_t)sum;
}
