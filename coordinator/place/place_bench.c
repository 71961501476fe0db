/* place_bench.c - how long one placement takes, with the reasons of every node. Prints a line for
 * each size: nodes, nanoseconds of find alone, nanoseconds with all explanations. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "coordinator/place/place.h"

enum { NODES_MAX = 10000, LOOK_COUNT = 2000000 };

static void make_nodes(struct coord_place_node *nodes)
{
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        nodes[i] = (struct coord_place_node){
            .total = {{16000, 65536, 1 << 20}},
            .used = {{(i * 7919) % 17000, (i * 104729) % 70000, (i * 1299709) % (1 << 20)}},
            .domain = i / 40,
            .cpu_level = (uint16_t)(2 + i % 3),
            .standing = i % 50 == 0 ? COORD_PLACE_DRAINED : COORD_PLACE_STANDS,
            .failures = i % 97 == 0,
        };
    }
}

static size_t explain(const struct coord_place *place, const struct coord_place_cluster *cluster,
                      const struct coord_place_request *request)
{
    size_t count = 0;

    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct coord_place_change changes[COORD_PLACE_BARRIER_COUNT];

        count += coord_place_changes(place, cluster, request, i, changes);
    }
    return count;
}

static int measure(struct coord_place *place, const struct coord_place_node *nodes, uint32_t count)
{
    static const struct coord_place_relation relations[] = {
        {.node = 1, .is_for_domain = true},
        {.node = 2, .is_required = true},
        {.node = 3, .is_together = true, .is_for_domain = true},
    };
    struct coord_place_cluster cluster = {nodes, count};
    struct coord_place_request request = {
        .needs = {{2000, 4096, 10240}},
        .cpu_level = 3,
        .home = COORD_PLACE_NOWHERE,
        .relations = relations,
        .relation_count = sizeof(relations) / sizeof(relations[0]),
    };
    uint32_t rounds = LOOK_COUNT / count;
    uint64_t find_ns = 0;
    uint64_t all_ns = 0;
    size_t changes = 0;

    for (uint32_t i = 0; i < rounds; i++) {
        struct coord_place_answer answer;
        uint64_t begin_ns = ray_clock_monotonic_ns();

        if (coord_place_find(place, &cluster, &request, &answer, NULL) != RAY_OK) {
            return EXIT_FAILURE;
        }
        find_ns += ray_clock_monotonic_ns() - begin_ns;
        changes += explain(place, &cluster, &request);
        all_ns += ray_clock_monotonic_ns() - begin_ns;
    }
    (void)printf("%5" PRIu32 " nodes: find %8" PRIu64 " ns, with %zu reasons %8" PRIu64 " ns\n",
                 count, find_ns / rounds, changes / rounds, all_ns / rounds);
    return EXIT_SUCCESS;
}

int main(void)
{
    static const uint32_t counts[] = {8, 64, 1024, NODES_MAX};
    struct coord_place_node *nodes = calloc(NODES_MAX, sizeof(*nodes));
    struct coord_place *place = NULL;
    int status = EXIT_SUCCESS;

    if (nodes == NULL || coord_place_create(NODES_MAX, &place, NULL) != RAY_OK) {
        free(nodes);
        return EXIT_FAILURE;
    }
    make_nodes(nodes);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]) && status == EXIT_SUCCESS; i++) {
        status = measure(place, nodes, counts[i]);
    }
    coord_place_destroy(place);
    free(nodes);
    return status;
}
