/* coordinator/core/random_test.c - a few members under everything at once: crashes, cuts, loss,
 * doubled and delayed messages, stalled disks, changes of membership, transfers, snapshots. No
 * two logs may differ, no term have two leaders, and after healing everybody catches up.
 *
 * RAYOS_CORE_SEEDS=first,count runs others. */
#include "base/test.h"
#include "coordinator/core/cluster_fixture.h"

enum { NODES = 5, STEPS = 400, SEEDS_DEFAULT = 40 };

struct chaos {
    struct cluster *cluster;
    uint32_t loss_percent;
};

static bool pass(void *arg, const struct coord_message *message)
{
    struct chaos *chaos = arg;

    (void)message;
    return cluster_random(chaos->cluster, 100) >= chaos->loss_percent;
}

static struct cluster_node *any_node(struct cluster *cluster)
{
    return cluster_node(cluster, 1 + cluster_random(cluster, NODES));
}

static struct cluster_node *leader(struct cluster *cluster)
{
    for (uint64_t id = 1; id <= NODES; id++) {
        struct cluster_node *node = cluster_node(cluster, id);

        if (node->core != NULL && coord_core_state(node->core) == COORD_LEADER) {
            return node;
        }
    }
    return NULL;
}

static void try_submit(struct cluster *cluster, struct cluster_node *node)
{
    static const uint8_t bytes[3000] = "x";
    struct coord_entry entries[20];
    size_t count = 1 + cluster_random(cluster, 20);
    uint64_t index;

    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct coord_entry){.type = COORD_ENTRY_COMMAND,
                                          .size = cluster_random(cluster, sizeof bytes),
                                          .data = bytes};
    }
    if (coord_core_submit(node->core, cluster->now_ms, entries, count, &index, &node->out, NULL) ==
        RAY_OK) {
        cluster_handle(cluster, node);
    }
}

static void try_change(struct cluster *cluster, struct cluster_node *node)
{
    struct coord_config next = *coord_core_configuration(node->core);
    uint64_t id = 1 + cluster_random(cluster, NODES);
    const struct coord_server *server = coord_config_find(&next, id);
    uint64_t index;

    if (server == NULL) {
        (void)coord_config_add(&next, id, COORD_STANDBY, NULL);
    } else if (cluster_random(cluster, 3) == 0 && next.count > 3) {
        (void)coord_config_remove(&next, id, NULL);
    } else {
        (void)coord_config_set_role(
            &next, id, server->role == COORD_VOTER && next.count > 3 ? COORD_STANDBY : COORD_VOTER,
            NULL);
    }
    if (coord_core_change(node->core, cluster->now_ms, &next, &index, &node->out, NULL) == RAY_OK) {
        cluster_handle(cluster, node);
    }
}

static void try_transfer(struct cluster *cluster, struct cluster_node *node)
{
    if (coord_core_transfer(node->core, cluster->now_ms, cluster_random(cluster, NODES + 1),
                            &node->out, NULL) == RAY_OK) {
        cluster_handle(cluster, node);
    }
}

static void try_snapshot(struct cluster *cluster, struct cluster_node *node)
{
    if (node->core != NULL && node->applied_index > node->snapshot.index + 20 &&
        node->config_index > 0 && coord_core_stored_index(node->core) >= node->applied_index) {
        cluster_snapshot(cluster, node->id, cluster_random(cluster, 40));
    }
}

static void restart(struct cluster *cluster, struct cluster_node *node)
{
    if (node->core != NULL) {
        cluster_crash(cluster, node->id);
    } else {
        cluster_start(cluster, node->id);
    }
}

static void step_down(struct cluster *cluster, struct cluster_node *node)
{
    assert_int_equal(coord_core_step_down(node->core, cluster->now_ms, &node->out, NULL), RAY_OK);
    cluster_handle(cluster, node);
}

static void leader_lost(struct cluster *cluster, struct cluster_node *node)
{
    if (node->core != NULL) {
        assert_int_equal(coord_core_leader_lost(node->core, cluster->now_ms, node->out.leader_id,
                                                &node->out, NULL),
                         RAY_OK);
        cluster_handle(cluster, node);
    }
}

static void announce(struct cluster *cluster, struct cluster_node *node)
{
    assert_int_equal(coord_core_announce(node->core, cluster->now_ms, &node->out, NULL), RAY_OK);
    cluster_handle(cluster, node);
}

static void act(struct cluster *cluster)
{
    struct cluster_node *any = any_node(cluster);
    struct cluster_node *leads = leader(cluster);
    uint32_t dice = cluster_random(cluster, 100);

    if (dice < 4) {
        restart(cluster, any);
    } else if (dice < 8) {
        cluster_cut(cluster, any->id, cluster_random(cluster, 2) == 0);
    } else if (dice < 11) {
        cluster->is_cut[any->id][any_node(cluster)->id] ^= true;
    } else if (dice < 14) {
        any->is_disk_stalled = !any->is_disk_stalled;
    } else if (dice < 18) {
        try_snapshot(cluster, any);
    } else if (dice < 20) {
        any->is_install_held = !any->is_install_held;
    } else if (dice < 22) {
        leader_lost(cluster, any);
    } else if (leads == NULL) {
        return;
    } else if (dice < 30) {
        try_change(cluster, leads);
    } else if (dice < 32) {
        try_transfer(cluster, leads);
    } else if (dice < 33) {
        step_down(cluster, leads);
    } else if (dice < 40) {
        announce(cluster, leads);
    } else {
        try_submit(cluster, leads);
    }
}

static void heal(struct cluster *cluster)
{
    memset(cluster->is_cut, 0, sizeof cluster->is_cut);
    cluster->filter = NULL;
    cluster->jitter_ms = 0;
    cluster->double_percent = 0;
    for (uint64_t id = 1; id <= NODES; id++) {
        struct cluster_node *node = cluster_node(cluster, id);

        node->is_disk_stalled = false;
        node->is_install_held = false;
        if (node->core == NULL) {
            cluster_start(cluster, id);
        }
    }
}

static void run_seed(uint32_t seed)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);
    struct chaos chaos = {.cluster = cluster};

    assert_non_null(cluster);
    cluster_init(cluster, NODES);
    cluster->random = seed * 2654435761u + 1;
    cluster_grow(cluster, 3);
    chaos.loss_percent = cluster_random(cluster, 3) * 3;
    cluster->filter = pass;
    cluster->filter_arg = &chaos;
    /* Half of the runs without what links promise: order, and once. */
    cluster->jitter_ms = seed % 2 == 0 ? 0 : 30;
    cluster->double_percent = seed % 2 == 0 ? 0 : 5;
    cluster->cache_size = seed % 3 == 0 ? 5000 : 0;
    for (int i = 0; i < STEPS; i++) {
        act(cluster);
        cluster_run(cluster, cluster_random(cluster, 40));
    }
    heal(cluster);
    cluster_run(cluster, 100);
    for (int i = 0; i < 5; i++) {
        uint64_t id = cluster_await_leader(cluster);

        cluster_run(cluster, 2 * (uint64_t)CLUSTER_ELECTION_MS);
        if (cluster_await_leader(cluster) == id &&
            !coord_core_is_transferring(cluster_node(cluster, id)->core)) {
            (void)cluster_submit(cluster, id, 10);
        }
    }
    cluster_await_applied(cluster, cluster->applied_max);
    cluster_fini(cluster);
    free(cluster);
}

static void test_seeds(void **state)
{
    const char *wanted = getenv("RAYOS_CORE_SEEDS");
    unsigned long first = 1;
    unsigned long count = SEEDS_DEFAULT;

    (void)state;
    if (wanted != NULL) {
        char *end;

        first = strtoul(wanted, &end, 10);
        count = *end == ',' ? strtoul(end + 1, NULL, 10) : 1;
    }
    for (unsigned long seed = first; seed < first + count; seed++) {
        if (wanted != NULL) {
            print_message("seed %lu\n", seed);
        }
        run_seed((uint32_t)seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
