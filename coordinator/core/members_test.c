/* coordinator/core/members_test.c - the policy in a closed loop: each step is carried out, the
 * next asked for, until it rests; and never does a step endanger the majority. */
#include "base/test.h"
#include "coordinator/core/config.h"
#include "coordinator/core/members.h"

enum { NODES = 9, STEPS_MAX = 60 };

struct world {
    struct coord_member_node nodes[NODES];
    struct coord_members members;
    size_t transfers;
    size_t two_voters; /* steps that ended with two */
};

static void init(struct world *world, size_t nodes, size_t wanted_voters)
{
    *world = (struct world){0};
    for (size_t i = 0; i < nodes; i++) {
        world->nodes[i] = (struct coord_member_node){
            .id = i + 1, .match_index = 100, .is_healthy = true, .is_wanted = true};
    }
    world->members = (struct coord_members){
        .nodes = world->nodes,
        .count = nodes,
        .config = {.servers = {{.id = 1, .role = COORD_VOTER}}, .count = 1},
        .leader_id = 1,
        .last_index = 100,
        .wanted_voters = wanted_voters,
    };
}

static void check_step(const struct world *world, const struct coord_members_step *step)
{
    size_t healthy = 0;

    assert_int_equal(coord_config_check_next(&world->members.config, &step->next, NULL), RAY_OK);
    for (size_t i = 0; i < step->next.count; i++) {
        const struct coord_server *server = &step->next.servers[i];
        const struct coord_server *before = coord_config_find(&world->members.config, server->id);

        healthy += server->role == COORD_VOTER && world->nodes[server->id - 1].is_healthy;
        if (server->role == COORD_VOTER) {
            assert_non_null(before); /* a standby first */
        }
    }
    assert_true(healthy > coord_config_voter_count(&step->next) / 2);
    /* The leader keeps its vote, and no voter leaves at once. */
    assert_true(coord_config_is_voter(&step->next, world->members.leader_id));
    for (size_t i = 0; i < world->members.config.count; i++) {
        const struct coord_server *server = &world->members.config.servers[i];

        assert_true(server->role == COORD_STANDBY ||
                    coord_config_find(&step->next, server->id) != NULL);
    }
}

/* Until it rests; the last step's `why` is in *out. */
static void settle(struct world *world, struct coord_members_step *out)
{
    for (int i = 0; i < STEPS_MAX; i++) {
        assert_int_equal(coord_members_next(&world->members, out, NULL), RAY_OK);
        switch (out->action) {
        case COORD_MEMBERS_NONE:
            return;
        case COORD_MEMBERS_CHANGE:
            check_step(world, out);
            world->members.config = out->next;
            if (coord_config_voter_count(&out->next) % 2 == 0) {
                assert_true(out->is_hurried);
            }
            world->two_voters += coord_config_voter_count(&out->next) == 2;
            break;
        case COORD_MEMBERS_TRANSFER:
            assert_true(coord_config_is_voter(&world->members.config, out->transfer_id));
            world->members.leader_id = out->transfer_id;
            world->transfers++;
            break;
        }
    }
    fail_msg("it never rests");
}

static void expect(const struct world *world, size_t voters, size_t standbys)
{
    assert_int_equal(coord_config_voter_count(&world->members.config), voters);
    assert_int_equal(world->members.config.count, voters + standbys);
}

static void test_by_number_of_nodes(void **state)
{
    static const struct {
        size_t nodes;
        size_t wanted;
        size_t voters;
        size_t standbys;
    } cases[] = {{1, 3, 1, 0}, {2, 3, 1, 1}, {3, 3, 3, 0}, {4, 3, 3, 1}, {5, 3, 3, 2},
                 {9, 3, 3, 4}, {9, 5, 5, 4}, {5, 5, 5, 0}, {4, 5, 3, 1}, {6, 1, 1, 4}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct coord_members_step step;
        struct world world;

        init(&world, cases[i].nodes, cases[i].wanted);
        settle(&world, &step);
        expect(&world, cases[i].voters, cases[i].standbys);
        assert_int_equal(world.transfers, 0);
    }
}

/* From one voter to three only with two standbys that have everything. */
static void test_growth_waits_for_two(void **state)
{
    struct coord_members_step step;
    struct world world;

    (void)state;
    init(&world, 3, 3);
    world.members.last_index = 100000;
    world.nodes[0].match_index = 100000;
    world.nodes[1].match_index = 100000;
    settle(&world, &step);
    expect(&world, 1, 2);
    assert_non_null(strstr(step.why, "until two standbys"));
    world.nodes[2].match_index = 99990;
    settle(&world, &step);
    expect(&world, 3, 0);
}

static void test_dead_voter_is_replaced(void **state)
{
    struct coord_members_step step;
    struct world world;

    (void)state;
    init(&world, 4, 3);
    settle(&world, &step);
    expect(&world, 3, 1);
    world.nodes[1].is_healthy = false;
    assert_int_equal(coord_members_next(&world.members, &step, NULL), RAY_OK);
    assert_int_equal(coord_config_voter_count(&step.next), 4); /* add ... */
    settle(&world, &step);
    expect(&world, 3, 1); /* ... then demote */
    assert_false(coord_config_is_voter(&world.members.config, 2));
    assert_true(coord_config_is_voter(&world.members.config, 4));
}

/* Without a replacement it keeps its seat: away is not gone. */
static void test_dead_voter_without_replacement_stays(void **state)
{
    struct coord_members_step step;
    struct world world;

    (void)state;
    init(&world, 3, 3);
    settle(&world, &step);
    world.nodes[2].is_healthy = false;
    settle(&world, &step);
    expect(&world, 3, 0);
    assert_non_null(strstr(step.why, "no standby"));
}

static void test_drained_leader_hands_over_and_leaves(void **state)
{
    struct coord_members_step step;
    struct world world;

    (void)state;
    init(&world, 4, 3);
    settle(&world, &step);
    world.nodes[0].is_wanted = false;
    settle(&world, &step);
    expect(&world, 3, 0);
    assert_null(coord_config_find(&world.members.config, 1));
    assert_int_equal(world.transfers, 1);
    /* Two of three stay: one votes. */
    world.nodes[world.members.leader_id - 1].is_wanted = false;
    settle(&world, &step);
    expect(&world, 1, 1);
    assert_int_equal(world.transfers, 2);
}

static void test_drained_sole_voter(void **state)
{
    struct coord_members_step step;
    struct world world;

    (void)state;
    init(&world, 2, 3);
    settle(&world, &step);
    expect(&world, 1, 1);
    world.nodes[0].is_wanted = false;
    settle(&world, &step);
    expect(&world, 1, 0);
    assert_int_equal(world.members.leader_id, 2);
    /* Nobody else: it cannot leave. */
    world.nodes[1].is_wanted = false;
    settle(&world, &step);
    expect(&world, 1, 0);
    assert_true(strlen(step.why) > 0);
}

static void test_quorum_is_not_lost(void **state)
{
    struct coord_members_step step;
    struct world world;

    (void)state;
    init(&world, 5, 5);
    settle(&world, &step);
    world.nodes[3].is_healthy = false;
    world.nodes[4].is_healthy = false;
    world.nodes[1].is_wanted = false;
    /* 1, 2, 3 are all that there is: 2 may not go although it is asked to. */
    settle(&world, &step);
    assert_true(coord_config_is_voter(&world.members.config, 1));
    assert_true(coord_config_is_voter(&world.members.config, 3));
}

static void test_voters_spread_over_domains(void **state)
{
    struct coord_members_step step;
    struct world world;
    size_t domains = 0;

    (void)state;
    init(&world, 6, 3);
    for (size_t i = 0; i < 6; i++) {
        world.nodes[i].domain = i / 2 + 1; /* 1 1 2 2 3 3 */
    }
    world.members.count = 3;
    settle(&world, &step); /* 1, 2, 3: domains 1 1 2 */
    expect(&world, 3, 0);
    world.members.count = 6;
    settle(&world, &step);
    expect(&world, 3, 3);
    for (size_t domain = 1; domain <= 3; domain++) {
        for (size_t i = 0; i < 6; i++) {
            domains += world.nodes[i].domain == domain &&
                       coord_config_is_voter(&world.members.config, i + 1);
        }
    }
    assert_int_equal(domains, 3);
    for (size_t i = 0; i < 6; i += 2) {
        assert_int_equal(coord_config_is_voter(&world.members.config, i + 1) +
                             coord_config_is_voter(&world.members.config, i + 2),
                         1);
    }
}

static void test_contradictions(void **state)
{
    struct coord_members_step step;
    struct world world;

    (void)state;
    init(&world, 3, 2);
    assert_int_equal(coord_members_next(&world.members, &step, NULL), RAY_EINVAL);
    init(&world, 3, 3);
    world.nodes[2].id = 2;
    assert_int_equal(coord_members_next(&world.members, &step, NULL), RAY_EINVAL);
    init(&world, 3, 3);
    world.members.config.servers[0].id = 7;
    assert_int_equal(coord_members_next(&world.members, &step, NULL), RAY_EINVAL);
    init(&world, 3, 3);
    world.members.config.count = 0;
    assert_int_equal(coord_members_next(&world.members, &step, NULL), RAY_EINVAL);
}

/* Nodes come, go, die and lag at random; it always rests, and never loses the majority. */
static void test_at_random(void **state)
{
    uint32_t random = 7;

    (void)state;
    for (int run = 0; run < 300; run++) {
        struct coord_members_step step;
        struct world world;

        init(&world, NODES, 1 + 2 * (size_t)(run % 3));
        for (int i = 0; i < 30; i++) {
            struct coord_member_node *node;

            random = random * 1664525u + 1013904223u;
            node = &world.nodes[(random >> 8) % NODES];
            if ((random >> 16) % 3 == 0) {
                node->is_wanted = !node->is_wanted;
            } else if ((random >> 16) % 3 == 1) {
                size_t healthy = 0;

                /* The leader hears from a majority, or it would not lead. */
                node->is_healthy = !node->is_healthy || node->id == world.members.leader_id;
                for (size_t n = 0; n < NODES; n++) {
                    healthy += world.nodes[n].is_healthy &&
                               coord_config_is_voter(&world.members.config, n + 1);
                }
                if (healthy <= coord_config_voter_count(&world.members.config) / 2) {
                    node->is_healthy = true;
                }
            } else {
                node->domain = (random >> 20) % 4;
            }
            settle(&world, &step);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_number_of_nodes),
        cmocka_unit_test(test_growth_waits_for_two),
        cmocka_unit_test(test_dead_voter_is_replaced),
        cmocka_unit_test(test_dead_voter_without_replacement_stays),
        cmocka_unit_test(test_drained_leader_hands_over_and_leaves),
        cmocka_unit_test(test_drained_sole_voter),
        cmocka_unit_test(test_quorum_is_not_lost),
        cmocka_unit_test(test_voters_spread_over_domains),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
